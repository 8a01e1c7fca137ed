"""Finishes: each leaves an image that can be drawn on, and the same seed leaves the same one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captcha_helpers import draw, get_style
from captcha_helpers.drawing.finishes import FINISHES

IMAGE = draw(get_style("stars"), "123456", np.random.default_rng(0))


@pytest.mark.parametrize("name", FINISHES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_an_image_stays_an_image_and_the_seed_decides(name: str, seed: int):
    first, again = (FINISHES[name](IMAGE.copy(), np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    np.testing.assert_array_equal(first, again)
    assert np.ptp(first) > 30  # something is left to read


def test_what_only_colour_shows_is_not_made_grey():
    red_on_green = np.full((30, 60, 3), (40, 150, 70), np.uint8)
    red_on_green[10:20, 20:40] = (220, 60, 60)
    kept = FINISHES["greyed"](red_on_green, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, red_on_green)
