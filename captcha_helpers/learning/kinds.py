"""See without labels whether images are of one kind, or of two that look different.

Many kinds have other colours in each image, and some are light on dark in half of them: what is
measured here does not tell an image from its negative. Two kinds of the same generator are not
told apart, and of two that both look different in each image, few are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 100  # images
LOOKED_AT = 300
SEVERAL = 0.18  # least share of the images that makes a kind of its own
APART = 7.0  # standard deviations; chosen on some kinds, none of which, cut in two, was so far
ROUNDS = 20
STEADY = 0.01  # added to variances, since some measures hardly vary within a kind


def two_kinds(images: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Tell whether images fall into two groups that are clearly apart.

    They are divided by 2-means, and the distance between the groups is that of Mahalanobis.

    Args:
        images: ``(B, H, W, C)``.

    Returns:
        The places of two images, one typical of each group. None if there is one group, or if there
        are too few images to tell.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (100, 16, 32, 3), dtype=np.uint8)
        >>> two_kinds(noise)
        >>> noise[1::2, 4:12] //= 4
        >>> first, second = two_kinds(noise)
        >>> (first + second) % 2
        1
    """
    if len(images) < FEWEST:
        return None
    rows = np.unique(np.linspace(0, len(images) - 1, LOOKED_AT).astype(int))
    x = _measures(images[rows])
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    axes = np.linalg.svd(x, full_matrices=False)[2][:3]
    in_first = min((_two_means(x, x @ axis > 0) for axis in axes), key=lambda one: _spread(x, one))
    if min(in_first.mean(), 1 - in_first.mean()) < SEVERAL:
        return None
    groups = x[in_first], x[~in_first]
    centres = [group.mean(axis=0) for group in groups]
    covariance = (np.cov(groups[0].T) + np.cov(groups[1].T)) / 2 + STEADY * np.eye(x.shape[1])
    between = centres[0] - centres[1]
    if between @ np.linalg.solve(covariance, between) < APART**2:
        return None
    first, second = sorted(int(rows[_distances(x, centre).argmin()]) for centre in centres)
    return first, second


def _measures(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How much ink, contrast, change and colour images have, ``(B, 7)``."""
    x = images.astype(np.float32)
    grey, colour = x.mean(axis=3), np.ptp(x, axis=3)
    contrast = grey.std(axis=(1, 2)) + 1
    ink = np.abs(x - np.median(x, axis=(1, 2), keepdims=True)).mean(axis=3)
    some = np.percentile(ink, 98, axis=(1, 2), keepdims=True) / 5 + 1
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    grain = np.diff(across, axis=2)[:, 1:-1] + np.diff(down, axis=1)[:, :, 1:-1]
    change = [np.abs(one).mean(axis=(1, 2)) / contrast for one in (across, down, grain)]
    colours = [colour.mean(axis=(1, 2)), colour.std(axis=(1, 2))]
    columns = [(ink > some).mean(axis=(1, 2)), np.log(contrast), *change, *colours]
    return np.stack(columns, axis=1).astype(np.float64)


def _two_means(x: NDArray[np.float64], in_first: NDArray[np.bool_]) -> NDArray[np.bool_]:
    for _ in range(ROUNDS):
        if in_first.all() or not in_first.any():
            break
        centres = x[in_first].mean(axis=0), x[~in_first].mean(axis=0)
        in_first = _distances(x, centres[0]) < _distances(x, centres[1])
    return in_first


def _distances(x: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = ((x - point) ** 2).sum(axis=1)
    return squared


def _spread(x: NDArray[np.float64], in_first: NDArray[np.bool_]) -> float:
    groups = [group for group in (x[in_first], x[~in_first]) if len(group)]
    return sum(float(_distances(group, group.mean(axis=0)).sum()) for group in groups)
