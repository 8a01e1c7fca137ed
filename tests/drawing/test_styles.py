"""Styles say what is wrong with a look before anything is drawn."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captcha_helpers.drawing.painter import draw, generate
from captcha_helpers.drawing.styles import (
    GRADIENT,
    MIXED,
    SLANTED,
    STARS,
    STARS3,
    STYLES,
    Stroke,
    Wave,
    adapt_style,
    classic,
    get_style,
)


def test_the_presets_have_the_sizes_that_models_are_built_for() -> None:
    sizes = {name: (s.width, s.height, s.length) for name, s in STYLES.items()}
    assert sizes == {
        "slanted": (280, 80, (6, 6)),
        "stars": (104, 32, (6, 6)),
        "stars3": (104, 32, (3, 3)),
        "gradient": (200, 50, (5, 5)),
        "mixed": (150, 40, (5, 5)),
        "classic": (120, 100, (4, 4)),
    }


def test_the_presets_have_the_charsets_that_models_are_built_for() -> None:
    assert SLANTED.charset == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert STARS.charset == STARS3.charset == "0123456789"
    assert GRADIENT.charset == "2345678bcdefgmnpwxy"
    assert len(MIXED.charset) == 62


def test_only_slanted_is_transparent() -> None:
    assert [name for name, style in STYLES.items() if style.transparent] == ["slanted"]


@pytest.mark.parametrize("length", [1, 4, 8])
def test_classic_grows_with_its_length(length: int) -> None:
    style = classic(length, digits=False, lower=True, upper=True)
    assert (style.width, style.height) == (40 + 20 * length, 100)
    assert style.length == (length, length)
    assert len(style.charset) == 52


def test_classic_without_characters_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="at least one of digits, lower, upper"):
        classic(digits=False)


def test_an_unknown_style_lists_the_names() -> None:
    with pytest.raises(ValueError, match="'slated'; choose one of slanted, stars, stars3"):
        get_style("slated")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"charset": ""}, "charset is ''"),
        ({"charset": "AAB"}, "each character once"),
        ({"length": (0, 3)}, "at least one character"),
        ({"length": (5, 3)}, "low <= high"),
        ({"fonts": ()}, "fonts is empty"),
        ({"width": 0}, "8 or more"),
        ({"font_size": (0, 10)}, "font_size"),
        ({"rotation": -5}, "rotation is -5"),
        ({"warp": 0.7}, "warp is 0.7"),
        ({"size_jitter": 1.0}, "size_jitter is 1.0"),
        ({"ink": (0, 300)}, "between 0 and 255"),
        ({"gradient": ((0, 10), (300, 300))}, "between 0 and 255"),
        ({"gap": (3, 1)}, "low <= high"),
        ({"negative": 1.5}, "between 0 and 1"),
        ({"transparent": True}, "black ink"),
    ],
)
def test_a_wrong_value_is_named_when_the_style_is_made(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        replace(STARS, **change)
    assert "'stars'" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": ((0, 1),) * 3, "y": ((0, 1),) * 3}, "2 of each for a straight line"),
        ({"x": ((0, 1),) * 2, "y": ((0, 1),) * 4}, "2 x and 4 y"),
        ({"x": ((1, 0),) * 2, "y": ((0, 1),) * 2}, "low <= high"),
        ({"x": ((0, 1),) * 2, "y": ((0, 1),) * 2, "thickness": ()}, "needs a thickness"),
        ({"x": ((0, 1),) * 4, "y": ((0, 1),) * 4, "flatness": 0.0}, "above 0"),
    ],
)
def test_a_wrong_stroke_says_what_to_give(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stroke(**arguments)


def test_a_wrong_wave_says_what_to_give() -> None:
    with pytest.raises(ValueError, match="choose 'x', 'y' or 'ring'"):
        Wave("z", (1, 1), (10, 10))
    with pytest.raises(ValueError, match="above 0"):
        Wave("x", (1, 1), (0, 10))


@pytest.mark.parametrize("name", STYLES)
def test_adapting_nothing_changes_nothing(name: str) -> None:
    assert adapt_style(name) == STYLES[name]
    assert adapt_style(name, width=STYLES[name].width) == STYLES[name]


@pytest.mark.parametrize("name", ["slanted", "gradient", "classic"])
def test_twice_the_size_is_the_same_look(name: str) -> None:
    """Drawn twice as large and shrunk, an image is nearly the one drawn in its own size."""
    style = STYLES[name]
    style = replace(style, dots=(0, 0), waves=())  # dots and tearing waves are about pixels
    large = adapt_style(style, width=2 * style.width, height=2 * style.height)
    text = style.charset[: style.length[0]]
    one, two, other = (
        draw(s, text, np.random.default_rng(i)) for s, i in ((style, 1), (large, 1), (style, 2))
    )
    size = (style.width, style.height)
    shrunk = cv2.resize(two, size, interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(shrunk - one).mean() < 0.3 * np.abs(shrunk - other).mean()


def test_with_more_characters_the_image_becomes_wider() -> None:
    assert adapt_style("classic", length=(5, 5), charset="abc") == replace(
        classic(5), charset="abc"
    )
    for name, style in STYLES.items():
        sizes = [adapt_style(name, length=(1, most)).width for most in (2, 4, 8)]
        assert sizes == sorted(set(sizes)), name
        assert adapt_style(name, length=(1, style.length[1])).width == style.width


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(STYLES)),
    length=st.integers(1, 9),
    width=st.integers(8, 500),
    height=st.integers(8, 200),
)
def test_any_size_holds_the_text_or_is_refused(
    name: str, length: int, width: int, height: int
) -> None:
    try:
        style = adapt_style(name, length=(length, length), width=width, height=height)
    except ValueError as error:
        assert "too small to read. Give at least" in str(error)
        return
    style = replace(style, strokes=(), stars=(0, 0), dots=(0, 0), waves=(), negative=0, outline=0)
    style = replace(style, gradient=None, ink=(0, 0), background=(255, 255), contrast=(1, 1))
    style = replace(style, tinted=0, ink_per_character=False)
    images, labels = generate(style, 1)
    assert images.shape[1:3] == (height, width) and len(labels[0]) == length
    ink = images[0, ..., 3] if style.transparent else 255 - images[0, ..., 0]
    rows, columns = ink.max(axis=1), ink.max(axis=0)
    assert columns[0] < 128 and columns[-1] < 128  # no letter is cut off at the sides
    assert np.count_nonzero(rows > 128) > 4
