"""What would break for somebody who trains on generated images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from captcha_helpers.drawing.painter import draw, generate, sample_label, true_boxes
from captcha_helpers.drawing.styles import SLANTED, STARS, STYLES, Stroke, Style, classic

NAMES = sorted(STYLES)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def bare(style: Style) -> Style:
    """The style's letters alone: black on white, as they stand."""
    return replace(
        style,
        strokes=(),
        waves=(),
        dots=(0, 0),
        stars=(0, 0),
        gradient=None,
        background=(255, 255),
        ink=(0, 0),
        ink_per_character=False,
        negative=0.0,
        outline=0.0,
        tinted=0.0,
        contrast=(1.0, 1.0),
        transparent=False,
    )


@pytest.mark.parametrize("name", NAMES)
def test_images_have_the_promised_shape_and_labels(name: str) -> None:
    style = STYLES[name]
    images, labels = generate(name, 3)
    channels = 4 if style.transparent else 3
    assert images.shape == (3, style.height, style.width, channels)
    assert images.dtype == np.uint8
    assert len(labels) == 3
    for label in labels:
        assert style.length[0] <= len(label) <= style.length[1]
        assert set(label) <= set(style.charset)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_depends_on_its_seed_and_number_only(name: str) -> None:
    images, labels = generate(name, 6, seed=7)
    for start, count in ((0, 1), (2, 3), (5, 1)):
        again, again_labels = generate(name, count, seed=7, start=start)
        assert again_labels == labels[start : start + count]
        np.testing.assert_array_equal(again, images[start : start + count])


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_or_number_gives_another_image(name: str) -> None:
    first, _ = generate(name, 4, seed=1)
    second, _ = generate(name, 4, seed=2)
    pictures = {image.tobytes() for image in (*first, *second)}
    assert len(pictures) == 8


def test_one_label_is_drawn_in_many_ways() -> None:
    pictures = {draw(SLANTED, "CHARMS", rng(seed)).tobytes() for seed in range(5)}
    assert len(pictures) == 5


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    generate("mixed", 2)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_no_images_are_a_valid_request() -> None:
    images, labels = generate("stars", 0)
    assert images.shape == (0, 32, 104, 3)
    assert labels == []


def test_characters_are_drawn_uniformly() -> None:
    labels = "".join(sample_label(STARS, rng(i)) for i in range(2000))
    counts = np.array([Counter(labels)[char] for char in STARS.charset])
    expected = len(labels) / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi-square, 9 d.f., p = 0.001


def test_repeated_characters_occur_as_often_as_chance_gives_them() -> None:
    labels = [sample_label(STARS, rng(i)) for i in range(3000)]
    repeats = np.mean([a == b for label in labels for a, b in pairwise(label)])
    assert abs(repeats - 0.1) < 4 * (0.1 * 0.9 / 15000) ** 0.5
    distinct = np.mean([len(set(label)) == 6 for label in labels])
    assert abs(distinct - 0.1512) < 4 * (0.1512 * 0.8488 / 3000) ** 0.5


def test_every_length_between_the_limits_occurs() -> None:
    style = replace(STARS, length=(2, 5))
    lengths = Counter(len(sample_label(style, rng(i))) for i in range(200))
    assert sorted(lengths) == [2, 3, 4, 5]
    assert min(lengths.values()) > 25


def test_transparent_images_are_black_ink_on_nothing() -> None:
    images, _ = generate("slanted", 4)
    assert (images[..., :3] == 0).all()
    alpha = images[..., 3]
    assert alpha.min() == 0
    assert alpha.max() == 255
    assert 0.03 < (alpha > 128).mean() < 0.3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_letters_stay_inside_the_canvas(name: str, kind: str) -> None:
    """A label of the widest or deepest characters must not lose a letter at an edge."""
    style = bare(STYLES[name])
    wanted = "Wwm0" if kind == "wide" else "Qgpy8"
    char = next(c for c in wanted if c in style.charset)
    cut = max(0, int(np.ceil(-style.margin)))
    roomy = replace(style, height=style.height + 2 * cut, margin=0.0)
    for seed in range(8):
        label = char * style.length[0]
        ink = draw(style, label, rng(seed))[..., 0] < 100
        assert not ink[:, 0].any()
        assert not ink[:, -1].any()
        if cut == 0:
            assert not ink[0].any()
            assert not ink[-1].any()
        whole = draw(roomy, label, rng(seed))[..., 0] < 100
        assert ink.sum() > 0.85 * whole.sum()


@pytest.mark.parametrize("name", NAMES)
def test_every_character_of_every_font_leaves_ink(name: str) -> None:
    for font in STYLES[name].fonts:
        style = replace(bare(STYLES[name]), fonts=(font,), length=(1, 1))
        areas = [(draw(style, c, rng())[..., 0] < 128).sum() for c in style.charset]
        assert min(areas) > 8


@pytest.mark.parametrize("name", NAMES)
def test_different_characters_look_different(name: str) -> None:
    for font in STYLES[name].fonts:
        style = replace(bare(STYLES[name]), length=(1, 1), fonts=(font,))
        pictures = {draw(style, char, rng()).tobytes() for char in style.charset}
        assert len(pictures) == len(style.charset)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_stands_out_from_its_ground(name: str) -> None:
    images, _ = generate(name, 10, seed=3)
    grey = (255 - images[..., 3] if images.shape[-1] == 4 else images.mean(axis=-1)).astype(float)
    assert np.ptp(grey, axis=(1, 2)).min() > 25


def test_a_wider_gap_makes_wider_text() -> None:
    narrow = replace(bare(SLANTED), gap=(0, 0))
    wide = replace(narrow, gap=(5, 5))

    def right_end(style: Style) -> int:
        ink = draw(style, "IIIIII", rng())[..., 0] < 128
        return int(np.flatnonzero(ink.any(axis=0)).max())

    assert right_end(wide) - right_end(narrow) == pytest.approx(25, abs=1)


def test_an_unknown_character_is_named() -> None:
    with pytest.raises(ValueError, match=r"'CAPTcH' has 'c'.*'slanted'"):
        draw(SLANTED, "CAPTcH", rng())


@pytest.mark.parametrize("label", ["", "ABCDEFG"])
def test_an_empty_or_too_long_label_is_named(label: str) -> None:
    with pytest.raises(ValueError, match=f"Label '{label}' has {len(label)} characters.* 1 to 6"):
        draw(SLANTED, label, rng())


def test_a_long_label_is_squeezed_into_the_canvas() -> None:
    style = replace(bare(SLANTED), length=(12, 12))
    ink = draw(style, "W" * 12, rng())[..., 0] < 128
    assert not ink[:, [0, -1]].any()
    assert ink[:, -20:].any()


def test_an_unknown_font_lists_the_known_ones() -> None:
    style = replace(classic(), fonts=("Comic",))
    with pytest.raises(ValueError, match=r"no font 'Comic'; choose from:.*DejaVuSans"):
        draw(style, "1234", rng())


@pytest.mark.parametrize(
    ("char", "message"),
    [
        (" ", "Font 'DejaVuSans' draws nothing for ' '"),
        ("中", "Font 'DejaVuSans' has no character '中'"),
        ("文", "Font 'DejaVuSans' has no character '文'"),
    ],
)
def test_a_character_that_a_font_lacks_is_named(char: str, message: str) -> None:
    style = replace(classic(), charset=f"é{char}", length=(1, 1), fonts=("DejaVuSans",))
    with pytest.raises(ValueError, match=message):
        draw(style, char, rng())
    draw(style, "é", rng())  # it has this one


@pytest.mark.parametrize("name", ["count", "seed", "start"])
def test_a_negative_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1"):
        generate("stars", **{"count": 1, **{name: -1}})


def test_without_matplotlib_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "captcha_helpers.drawing.painter.importlib.util.find_spec", lambda name: None
    )
    style = replace(SLANTED, fonts=("DejaVuSans-Never-Loaded",))
    with pytest.raises(ImportError, match="matplotlib, which is not installed: "):
        draw(style, "ABCDEF", rng())


def test_hollow_letters_are_their_outlines_only() -> None:
    solid = replace(bare(classic()), fonts=("DejaVuSans-Bold",), length=(1, 1))
    hollow = replace(solid, hollow=(1.5, 1.5))
    full, outline = (
        draw(style, "8", np.random.default_rng(1))[:, :, 0].astype(int) for style in (solid, hollow)
    )
    ink, line = full < 128, outline < 128
    assert 0.15 < line.sum() / ink.sum() < 0.6
    assert not (line & ~ink).any(), "the outline must not leave the letter"


def test_an_erasing_stroke_shows_the_ground() -> None:
    across = Stroke(x=((0, 0), (1, 1)), y=((0.5, 0.5),) * 2, thickness=((8, 8),), erases=True)
    style = replace(bare(classic()), length=(1, 1), strokes=(across,))
    image = draw(style, "8", np.random.default_rng(1))[:, :, 0]
    assert image[50].min() == image.max()
    assert image.min() < 128
    with pytest.raises(ValueError, match="no colour of its own"):
        replace(across, colour=(0, 9))


def test_fonts_can_differ_within_a_string() -> None:
    style = replace(
        bare(classic()), fonts=("DejaVuSans", "cmr10"), font_per_character=True, length=(4, 4)
    )
    heights = set()
    for seed in range(20):
        image = draw(style, "1111", np.random.default_rng(seed))[:, :, 0]
        columns = (image < 128).sum(axis=0)
        heights.add(tuple(columns[columns > 0].tolist()))
    assert len(heights) > 2, "two fonts in four places give more than two pictures"


def test_fonts_of_other_packages() -> None:
    style = replace(bare(classic()), fonts=("font_manrope:Manrope-Bold.ttf",))
    assert draw(style, "2031", np.random.default_rng(0)).min() < 128
    with pytest.raises(ValueError, match=r"font_manrope has no font 'Comic.ttf'; choose from"):
        draw(replace(style, fonts=("font_manrope:Comic.ttf",)), "1", np.random.default_rng(0))
    with pytest.raises(ImportError, match="fonts of font_nowhere"):
        draw(replace(style, fonts=("font_nowhere:A.ttf",)), "1", np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_true_boxes_hold_the_ink_of_every_character(name: str) -> None:
    style = replace(STYLES[name], strokes=(), dots=(0, 0), stars=(0, 0))
    if style.waves_move_strokes:  # the boxes are those from before such waves
        style = replace(style, waves=())
    style = replace(style, negative=0.0, outline=0.0, gradient=None, background=(255, 255))
    style = replace(style, contrast=(1.0, 1.0), tinted=0.0, ink=(0, 0))
    images, labels = generate(style, 4, seed=9)
    for image, label, boxes in zip(images, labels, true_boxes(style, 4, seed=9), strict=True):
        assert boxes.shape == (len(label), 4)
        ink = image[..., 3] > 127 if style.transparent else image.min(axis=2) < 128
        ys, xs = ink.nonzero()
        assert abs(boxes[:, 0].min() - xs.min()) <= 1
        assert abs(boxes[:, 2].max() - 1 - xs.max()) <= 1
        assert abs(boxes[:, 1].min() - ys.min()) <= 1
        assert abs(boxes[:, 3].max() - 1 - ys.max()) <= 1


def test_true_boxes_are_those_of_the_images_that_generate_draws() -> None:
    _, labels = generate("stars", 4, seed=3)
    every = true_boxes("stars", 4, seed=3)
    without = true_boxes("stars", 4, seed=3, exclude=labels[:1])
    assert not np.array_equal(without[0], every[0])  # another label stands there now
    np.testing.assert_array_equal(without[1:], every[1:])
    np.testing.assert_array_equal(every[2], true_boxes(STARS, 1, seed=3, start=2)[0])
    assert (np.diff(every[0][:, 0]) > 0).all()
