"""The set that stands for a stranger's images: the same anywhere, readable, and no style's."""

from __future__ import annotations

import numpy as np
import pytest

from captcha_helpers import draw_wild
from captcha_helpers.drawing import strangers
from captcha_helpers.drawing.painter import font_file
from captcha_helpers.drawing.random_looks import FONTS
from captcha_helpers.drawing.styles import STYLES


def test_images_and_labels():
    images, labels = draw_wild(20, seed=1)
    assert images.shape == (20, strangers.HEIGHT, strangers.WIDTH, 3) and images.dtype == np.uint8
    assert all(len(label) == 5 and set(label) <= set(strangers.CHARACTERS) for label in labels)
    assert len(set(labels)) == 20


def test_an_image_depends_on_its_seed_and_number_only():
    images, labels = draw_wild(6, seed=2)
    later, later_labels = draw_wild(2, seed=2, start=4)
    assert (later == images[4:]).all() and later_labels == labels[4:]
    others, _ = draw_wild(6, seed=3)
    assert (others != images).any(axis=(1, 2, 3)).all()


def test_none_is_no_image():
    images, labels = draw_wild(0)
    assert len(images) == 0 and labels == []


@pytest.mark.parametrize("arguments", [{"count": -1}, {"count": 1, "start": -1}])
def test_numbers_below_zero_are_told(arguments: dict[str, int]):
    with pytest.raises(ValueError, match="0 or above"):
        draw_wild(**arguments)


def test_its_fonts_are_installed_and_new_to_the_shipped_weights():
    learned = {*FONTS, *(font for style in STYLES.values() for font in style.fonts)}
    cuts = {font.partition(".")[0] for font in learned}
    for font in strangers._FONTS:
        assert font_file(font).is_file()
        assert font.partition(".")[0] not in cuts


def test_every_character_is_in_every_font():
    missing = "\U0010fffd"
    for name in strangers._FONTS:
        font = strangers._font(name, 46)
        box = bytes(font.getmask(missing))
        assert all(bytes(font.getmask(char)) not in (b"", box) for char in strangers.CHARACTERS)


def test_letters_stay_inside_the_image_as_a_rule():
    """A letter cut off by the edge could not be read by anybody."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        label = "".join(rng.choice(list(strangers.CHARACTERS), 5))
        ink = np.asarray(strangers._letters(label, rng)) > 127
        sides = np.concatenate([ink[:, 0], ink[:, -1], ink[0], ink[-1]])
        inside += not sides.any()
    assert inside >= 80
