from __future__ import annotations

import numpy as np
import pytest

from captcha_helpers import augment_batch, augmented_batch, draw, get_style, prepare


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return prepare(draw(get_style("stars"), "123456", np.random.default_rng(0)), 48, 160)


def test_changes_little_and_never_the_same_way(image: np.ndarray):
    changed = augment_batch(np.stack([image] * 20), np.random.default_rng(0)).astype(int)
    assert changed.shape == (20, 48, 160, 1)
    assert len({one.tobytes() for one in changed}) == 20
    assert 2 < np.abs(changed - image).mean() < 40


def test_same_seed_same_pixels_and_input_untouched(image: np.ndarray):
    images = np.stack([image] * 3)
    before = images.copy()
    first, second = (augment_batch(images, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all() and (images == before).all()


def test_strength_zero_changes_nothing(image: np.ndarray):
    assert (augment_batch(image[None], np.random.default_rng(0), strength=0) == image).all()


def test_negative_strength():
    with pytest.raises(ValueError, match="0 or more"):
        augment_batch(np.zeros((1, 48, 160, 1), np.uint8), np.random.default_rng(0), strength=-1)


def test_batches_go_through_all_images_before_one_comes_twice():
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 1), np.uint8)
    labels = np.arange(7, dtype=np.int32)[:, None]
    seen = np.concatenate(
        [augmented_batch(images, labels, n, batch_size=3)[1].ravel() for n in range(7)]
    )
    for start in (0, 7, 14):
        assert sorted(seen[start : start + 7]) == list(range(7))


def test_a_batch_is_the_same_whatever_came_before():
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), dtype=np.uint8)
    labels = np.arange(5, dtype=np.int32)[:, None]
    one, other = (augmented_batch(images, labels, 11, batch_size=8, seed=2) for _ in range(2))
    assert (one[0] == other[0]).all() and (one[1] == other[1]).all()


def test_all_channels_of_an_image_are_changed_alike(image: np.ndarray):
    grey = np.stack([image] * 20)
    rgb = np.repeat(grey, 3, axis=3)
    one, other = (augment_batch(images, np.random.default_rng(0)) for images in (grey, rgb))
    assert other.shape == (20, 48, 160, 3) and np.array_equal(other, np.repeat(one, 3, axis=3))
