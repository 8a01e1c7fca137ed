"""The looks that CAPTCHAs are drawn in for pre-training."""

from __future__ import annotations

import numpy as np
import pytest

from captcha_helpers.core.charset import ALPHANUMERIC
from captcha_helpers.drawing import looks
from captcha_helpers.drawing.looks import CHARSET, LOOKS, Font, Look, draw_look, draw_looks
from captcha_helpers.drawing.painter import cv2, font_file
from captcha_helpers.drawing.random_looks import FONTS

HELD_OUT = [look for look in LOOKS.values() if look.held_out]
TRAINED = [look for look in LOOKS.values() if not look.held_out]


def _drawn(name: str, number: int) -> tuple[np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng([11, number])
    return looks._draw(looks._recipe(rng, name, False), rng, CHARSET, (1, 10), FONTS, ())


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_every_look_draws_what_can_be_seen(name: str):
    for number in range(6):
        image, mask, label = _drawn(name, number)
        assert image.dtype == np.uint8 and image.shape[:2] == mask.shape and image.shape[2] == 3
        assert 1 <= len(label) <= 10
        assert min(image.shape[:2]) >= 10 and max(image.shape[:2]) < 1000
        assert _contrast(image, mask) > 6, f"{label!r}, image {number}"


def _contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """How far ink and what is beside it lie apart, in the channel and part where most.

    Apart in the mean, or in how much values vary: embossed letters have dark and light edges.
    """
    ink = (mask > 100).astype(np.uint8)
    ring = cv2.dilate(ink, np.ones((7, 7), np.uint8)) - ink
    found = [0.0]
    for columns in np.array_split(np.arange(image.shape[1]), 8):
        part, inside, beside = image[:, columns], ink[:, columns] > 0, ring[:, columns] > 0
        if inside.sum() > 3 and beside.sum() > 3:
            for measure in (np.mean, np.std):
                apart = measure(part[inside], axis=0) - measure(part[beside], axis=0)
                found.append(float(np.abs(apart).max()))
    return max(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_the_letters_are_inside_of_the_image(name: str):
    shares = []
    for number in range(8):
        _, mask, _ = _drawn(name, number)
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        shares.append((edge > 100).mean())
    most = 0.35 if "cut_off" in LOOKS[name].layout else 0.15
    assert np.mean(shares) < most


@pytest.mark.slow
@pytest.mark.parametrize("font", FONTS)
def test_every_font_draws_every_character(font: str):
    rng = np.random.default_rng(0)
    for char in CHARSET:
        _, label = draw_look(rng, charset=char, length=(1, 1), fonts=[font], look="clean")
        assert label == char


def test_a_font_may_be_a_file():
    path = str(font_file("DejaVuSans"))
    image, _ = draw_look(np.random.default_rng(0), fonts=[path], look="clean")
    same, _ = draw_look(np.random.default_rng(0), fonts=["DejaVuSans"], look="clean")
    assert np.array_equal(image, same)


@pytest.mark.parametrize(("height", "width"), [(12, 40), (48, 192), (64, 160)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_size_asked_for(height: int, width: int, channels: int):
    images, _ = draw_looks(4, height=height, width=width, channels=channels, seed=2)
    assert images.shape == (4, height, width, channels)
    assert all(np.ptp(image) > 10 for image in images)


def test_an_image_depends_on_its_seed_and_number_only():
    size = {"height": 48, "width": 192}
    many, labels = draw_looks(30, **size, seed=5)
    for number in (29, 3, 17):
        again, label = draw_looks(1, **size, seed=5, start=number)
        assert np.array_equal(again[0], many[number]) and label == [labels[number]]
    other, _ = draw_looks(30, **size, seed=6)
    assert not any(np.array_equal(a, b) for a, b in zip(many, other, strict=True))


def test_images_of_a_block_share_fonts_and_blocks_differ():
    fonts = tuple(f"font{i}" for i in range(1000))
    first, second = (looks._pool(fonts, 1, block) for block in (0, 1))
    assert len(set(first)) == len(set(second)) == looks._POOL
    assert set(first) != set(second) and first == looks._pool(fonts, 1, 0)


@pytest.mark.parametrize(
    ("charset", "length"), [("01", (2, 3)), ("xyz", (1, 1)), (CHARSET, (4, 10))]
)
def test_labels_consist_of_the_charset_and_have_the_length(charset: str, length: tuple[int, int]):
    _, labels = draw_looks(60, height=16, width=40, charset=charset, length=length, seed=1)
    assert set("".join(labels)) <= set(charset)
    assert {len(label) for label in labels} <= set(range(length[0], length[1] + 1))


@pytest.mark.slow
def test_labels_are_of_many_kinds():
    _, labels = draw_looks(300, height=16, width=40, seed=9)
    kinds = (str.isdigit, str.isupper, str.islower, str.isalpha, lambda label: "=" in label)
    assert all(any(map(kind, labels)) for kind in kinds)
    assert {4, 5, 6} <= {len(label) for label in labels}


def test_excluded_labels_are_not_drawn():
    size = {"height": 16, "width": 40, "charset": "01", "length": (2, 2)}
    _, labels = draw_looks(40, **size, exclude=["00", "11"])
    assert set(labels) == {"01", "10"}
    with pytest.raises(ValueError, match="exclude fewer"):
        draw_looks(1, **size, exclude=["00", "01", "10", "11"])


def test_fonts_without_small_letters_draw_none():
    rng, fonts = np.random.default_rng(0), [Font("DejaVuSans", upper_only=True)]
    labels = [draw_look(rng, fonts=fonts)[1] for _ in range(60)]
    assert not any(char.islower() for label in labels for char in label)


def test_a_sum_is_asked_for_only_where_the_charset_has_its_signs():
    rng = np.random.default_rng(0)
    labels = [draw_look(rng, look="sums")[1] for _ in range(20)]
    assert all("+" in label or "-" in label for label in labels)
    assert draw_look(rng, look="sums", charset="abc", length=(2, 2))[1].isalpha()


def test_held_out_looks_are_never_drawn_in_training():
    assert 0.1 < len(HELD_OUT) / len(LOOKS) < 0.2
    rng = np.random.default_rng(0)
    drawn = {looks._any_look(rng, held_out=False).name for _ in range(5000)}
    assert drawn == {look.name for look in TRAINED}
    measured = {looks._any_look(rng, held_out=True).name for _ in range(500)}
    assert measured == {look.name for look in HELD_OUT}


@pytest.mark.parametrize("look", HELD_OUT, ids=lambda look: look.name)
def test_what_a_held_out_look_is_made_of_cannot_come_about_by_crossing(look: Look):
    def own(layer: str) -> bool:
        known = {name for other in TRAINED for name in getattr(other, layer)}
        return not known & set(getattr(look, layer))

    assert any(map(own, looks._LAYERS))


def test_what_is_wrong_is_told():
    with pytest.raises(ValueError, match="'foggy'.*clean"):
        draw_look(np.random.default_rng(0), look="foggy")
    with pytest.raises(ValueError, match="'own'.*no warp 'twist'.*swirl"):
        Look("own", warp=("wave_x+twist",))
    with pytest.raises(ValueError, match="channels is 4"):
        draw_looks(1, height=48, width=192, channels=4)
    with pytest.raises(ValueError, match="No font has the character"):
        draw_look(np.random.default_rng(0), charset="\U0010fffd", length=(1, 1))


@pytest.mark.parametrize(
    ("charset", "all_together"),
    [("0123456789+-=", True), ("абв0123456789", True), ("01ñ", True), ("01ab", False)],
)
def test_characters_that_usual_texts_lack_come_up_too(charset: str, all_together: bool):
    _, labels = draw_looks(60, height=16, width=40, charset=charset, length=(6, 6), seed=1)
    assert set("".join(labels)) == set(charset)
    of_digits = [label for label in labels if label.isdecimal()]
    assert 0 < len(of_digits) < 60  # a usual kind of text for this charset, but not the only one
    unusual = [label for label in labels if set(label) & set(charset) - set(ALPHANUMERIC)]
    assert bool(unusual) == all_together


def test_signs_among_all_letters_and_digits_come_up_in_sums_only():
    _, labels = draw_looks(300, height=16, width=40, seed=1)
    signed = [label for label in labels if set(label) & set("+-=?")]
    assert signed and all(
        label.strip("?=").translate({43: 48, 45: 48}).isdecimal() for label in signed
    )
