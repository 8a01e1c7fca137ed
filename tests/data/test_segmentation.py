"""What would break for somebody who cuts images into characters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captcha_helpers.data.images import ImageError
from captcha_helpers.data.segmentation import (
    binarize,
    character_boxes,
    crops,
    even_grey,
    segment,
    split_wide,
)
from captcha_helpers.drawing.painter import generate, true_boxes
from captcha_helpers.drawing.styles import STYLES

inks = arrays(bool, st.tuples(st.integers(4, 24), st.integers(4, 60)))


def blocks(*lefts: int, width: int = 6) -> np.ndarray:
    """Ink (20, 80) with a block of 12 rows at each place."""
    ink = np.zeros((20, 80), bool)
    for left in lefts:
        ink[4:16, left : left + width] = True
    return ink


def overlaps(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    shared = np.minimum(boxes[:, 2], truth[:, 2]) - np.maximum(boxes[:, 0], truth[:, 0])
    either = np.maximum(boxes[:, 2], truth[:, 2]) - np.minimum(boxes[:, 0], truth[:, 0])
    return shared / either


def test_nearly_all_digits_over_stars_are_found_where_they_were_drawn():
    images, _ = generate("stars", 100, seed=1)
    truths = true_boxes("stars", 100, seed=1)
    pairs = zip(images, truths, strict=True)
    right = [overlaps(segment(image, 6), truth) > 0.5 for image, truth in pairs]
    assert np.mean(right) > 0.98


@given(inks, st.integers(1, 8))
def test_as_many_boxes_as_asked_for_inside_the_image_and_from_left_to_right(
    ink: np.ndarray, count: int
):
    try:
        boxes = character_boxes(ink, count)
    except ValueError as error:
        assert "blank" in str(error) or "columns of ink" in str(error)
        return
    left, top, right, bottom = boxes.T
    assert boxes.shape == (count, 4)
    assert (left >= 0).all() and (right <= ink.shape[1]).all() and (left < right).all()
    assert (top >= 0).all() and (bottom <= ink.shape[0]).all() and (top < bottom).all()
    assert (np.diff(left) >= 0).all()


@given(inks, st.integers(1, 8))
def test_cuts_begin_and_end_at_the_edges_and_leave_no_part_empty(ink: np.ndarray, parts: int):
    if parts > ink.shape[1]:
        with pytest.raises(ValueError, match=f"into {parts} characters"):
            split_wide(ink, parts)
    else:
        cuts = split_wide(ink, parts)
        assert (cuts[0], cuts[-1], len(cuts)) == (0, ink.shape[1], parts + 1)
        assert (np.diff(cuts) > 0).all()


def test_touching_characters_are_split_where_the_least_ink_is():
    ink = blocks(10, 17, 30)
    ink[10, 16] = True  # a thread between the first two
    assert character_boxes(ink)[:, 0].tolist() == [10, 30]
    assert character_boxes(ink, 3)[:, 0].tolist() == [10, 16, 30]


def test_without_ink_to_avoid_the_parts_are_equal():
    assert split_wide(np.ones((9, 30), bool), 3).tolist() == [0, 10, 20, 30]


def test_a_dot_belongs_to_its_letter_and_dirt_to_none():
    ink = blocks(10, 30, width=3)
    ink[0:3, 10:13] = True  # the dot of an i
    ink[14:17, 50:53] = True  # dirt that is large enough to be a piece
    assert character_boxes(ink).tolist() == [[10, 0, 13, 16], [30, 4, 33, 16]]


def test_of_too_many_pieces_those_with_the_most_ink_stay():
    ink = blocks(5, 20, 50)
    ink[4:16, 35:37] = True
    assert character_boxes(ink, 3)[:, 0].tolist() == [5, 20, 50]


def test_a_blank_image_says_so():
    with pytest.raises(ValueError, match="the image is blank"):
        segment(np.full((32, 100, 3), 255, np.uint8), 6)
    with pytest.raises(ValueError, match="the image is blank"):
        segment(np.full((32, 100, 3), 255, np.uint8))


def test_too_little_ink_says_so():
    ink = np.zeros((20, 40), bool)
    ink[2:18, 5:7] = True
    with pytest.raises(ValueError, match="only 2 columns of ink for 6 characters"):
        character_boxes(ink, 6)


def test_light_ink_on_a_dark_ground_is_the_same_ink():
    image = np.full((20, 60, 3), 230, np.uint8)
    image[5:15, 10:16] = (90, 20, 20)
    np.testing.assert_array_equal(binarize(even_grey(image)), binarize(even_grey(255 - image)))


def test_pale_colours_fade_and_dark_ones_stay():
    image = np.full((12, 12, 3), 255, np.uint8)
    image[2:5] = (255, 180, 190)
    image[6:9] = (40, 10, 130)
    grey = even_grey(image)
    assert (grey[2:5] == 255).all()
    assert (grey[6:9] == 130).all()


def test_thin_lines_go_and_thick_strokes_stay():
    grey = np.full((40, 60), 250, np.uint8)
    grey[5:35, 20:28] = 10
    grey[20:22] = 10
    ink = binarize(grey, line=2)
    assert ink[6:34, 21:27].all()
    assert not ink[:, :19].any()


@pytest.mark.parametrize("name", sorted(STYLES))
def test_every_style_can_be_cut(name: str):
    style = STYLES[name]
    images, labels = generate(style, 5, seed=2)
    for image, label in zip(images, labels, strict=True):
        boxes = segment(image, len(label))
        assert len(boxes) == len(label)
        assert crops(image, boxes).shape == (len(label), 32, 32, 1)


def test_a_crop_is_centred_and_keeps_its_proportions():
    image = np.full((40, 60, 3), 255, np.uint8)
    image[10:30, 20:30] = 0
    crop = crops(image, [(20, 10, 30, 30)], size=44)[0, ..., 0]
    rows, columns = np.flatnonzero((crop < 128).any(1)), np.flatnonzero((crop < 128).any(0))
    assert (rows[0], rows[-1]) == (2, 41)
    assert (columns[0], columns[-1]) == (12, 31)


def test_a_crop_at_the_edge_goes_on_with_what_is_there():
    image = np.full((30, 30, 3), 200, np.uint8)
    assert (crops(image, [(0, 0, 8, 8)]) == 200).all()


def test_what_cannot_be_cut():
    grey = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="even_grey makes them"):
        binarize(grey.astype(float))
    with pytest.raises(ValueError, match="line must be 0 pixels or more, received -1"):
        binarize(grey, line=-1)
    with pytest.raises(ValueError, match="count must be at least 1 character, received 0"):
        character_boxes(grey > 0, 0)
    with pytest.raises(ValueError, match=r"the box \(5, 5, 5, 9\) is empty"):
        crops(grey, [(5, 5, 5, 9)])
    with pytest.raises(ValueError, match="size must be more than 4 pixels, received 4"):
        crops(grey, [(5, 5, 9, 9)], size=4)
    with pytest.raises(ImageError):
        segment(np.zeros((2, 2, 3), np.uint8))
