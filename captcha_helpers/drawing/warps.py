"""How a finished text is bent: waves, swirls, a fisheye, perspective, slices, shaken pixels.

A warp changes two maps ``(H, W)`` float32 that say where each pixel comes from. `WARPS` lists them
by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.painter import cv2

Warp = Callable[[np.ndarray, np.ndarray, float, Rng], None]


def maps(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The maps that move nothing: x and y of each pixel, ``(height, width)`` float32 each.

    Example:
        >>> x, y = maps(2, 3)
        >>> x.tolist(), y[:, 0].tolist()
        ([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [0.0, 1.0])
    """
    x = np.arange(width, dtype=np.float32)[None].repeat(height, 0)
    return x, np.arange(height, dtype=np.float32)[:, None].repeat(width, 1)


def warp(
    sheets: Sequence[np.ndarray], names: Sequence[str], size: float, rng: Rng
) -> list[np.ndarray]:
    """Bend some sheets all alike.

    Args:
        sheets: Arrays ``(H, W)`` or ``(H, W, C)`` of one size.
        names: Names of `WARPS`, one after the other.
        size: Size of the letters in pixels.
        rng: Where every random number comes from.

    Returns:
        The sheets; what comes from beyond their edges is 0.

    Example:
        >>> sheet, = warp([np.ones((20, 40), np.uint8)], ["wave_x"], 10.0, np.random.default_rng(0))
        >>> sheet.shape
        (20, 40)
    """
    map_x, map_y = maps(*sheets[0].shape[:2])
    for name in names:
        WARPS[name](map_x, map_y, size, rng)
    return [cv2.remap(sheet, map_x, map_y, cv2.INTER_LINEAR) for sheet in sheets]


def _wave_x(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    length = between(rng, 0.8, 4) * size
    amplitude = min(between(rng, 0.04, 0.2) * size, 0.09 * length)
    rows = np.arange(len(map_x), dtype=np.float32)[:, None]
    map_x += amplitude * np.sin(rows * (2 * math.pi / length) + between(rng, 0, 6.3))


def _wave_y(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    length = between(rng, 1.0, 7) * size
    amplitude = min(between(rng, 0.04, 0.25) * size, 0.08 * length)
    columns = np.arange(map_x.shape[1], dtype=np.float32)
    map_y += amplitude * np.sin(columns * (2 * math.pi / length) + between(rng, 0, 6.3))


def _from_centre(
    map_x: np.ndarray, map_y: np.ndarray, rng: Rng
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances dx, dy and r of each pixel from a random centre, about halfway up."""
    height, width = map_x.shape
    dx = np.arange(width, dtype=np.float32)[None] - between(rng, 0.15, 0.85) * width
    dy = np.arange(height, dtype=np.float32)[:, None] - between(rng, 0.35, 0.65) * height
    return dx, dy, np.sqrt(dx * dx + dy * dy + 1e-3)


def _ripple(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    dx, dy, r = _from_centre(map_x, map_y, rng)
    length = between(rng, 0.8, 3) * size
    amplitude = min(between(rng, 0.04, 0.15) * size, 0.08 * length)
    move = amplitude * np.sin(r * (2 * math.pi / length) + between(rng, 0, 6.3)) / r
    map_x += move * dx
    map_y += move * dy


def _swirl(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    dx, dy, r = _from_centre(map_x, map_y, rng)
    radius = between(rng, 0.8, 1.3) * min(size, 0.8 * len(map_x))
    angle = pick(rng, (-1, 1)) * between(rng, 0.4, 1.3) * np.exp(-((r / radius) ** 2) * 2)
    cos, sin = np.cos(angle) - 1, np.sin(angle)
    map_x += cos * dx - sin * dy
    map_y += sin * dx + cos * dy


def _fisheye(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    """Larger in the middle of a circle, or smaller."""
    dx, dy, r = _from_centre(map_x, map_y, rng)
    radius = between(rng, 0.8, 2.2) * size
    inside = np.clip(1 - r / radius, 0, 1)
    change = -between(rng, 0.3, 0.65) if chance(rng, 0.7) else between(rng, 0.2, 0.5)
    map_x += dx * inside * change
    map_y += dy * inside * change


def _perspective(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    height, width = map_x.shape
    lean, shrink = between(rng, -0.25, 0.25), between(rng, -0.3, 0.3)
    x = np.arange(width, dtype=np.float32)[None] / width - 0.5
    y = np.arange(height, dtype=np.float32)[:, None] / height - 0.5
    map_y += height * y * shrink * 2 * np.abs(x) ** pick(rng, (1, 2)) * (1 if shrink > 0 else 0.6)
    map_x += lean * height * y
    if chance(rng, 0.5):
        map_y += between(rng, -0.15, 0.15) * height * x * 2
        map_x += width * x * y * between(rng, -0.2, 0.2)


def _slices(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    """Strips of the image, each moved a little way."""
    height, width = map_x.shape
    thick = max(2, int(between(rng, 0.12, 0.4) * size))
    most = between(rng, 0.04, 0.14) * size
    if chance(rng, 0.6):
        moves = (2 * rng.random((height // thick + 1, 1), np.float32) - 1) * most
        map_x += moves.round().repeat(thick, 0)[:height]
    else:
        moves = (2 * rng.random((1, width // thick + 1), np.float32) - 1) * most
        map_y += moves.round().repeat(thick, 1)[:, :width]


def _shaken(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    """Every pixel from somewhere near."""
    most = between(rng, 0.025, 0.06) * size
    shape = map_x.shape
    map_x += (2 * rng.random(shape, np.float32) - 1) * most
    map_y += (2 * rng.random(shape, np.float32) - 1) * most


def _crumpled(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    """Every part moves another way, smoothly."""
    height, width = map_x.shape
    cell = max(4, int(between(rng, 0.5, 1.2) * size))
    most = 0.16 * cell + 0.03 * size
    for move in (map_x, map_y):
        small = rng.random((height // cell + 3, width // cell + 3), np.float32) - 0.5
        move[...] += 2 * most * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _squeezed(map_x: np.ndarray, map_y: np.ndarray, size: float, rng: Rng) -> None:
    """Some parts of the line are wider than others."""
    width = map_x.shape[1]
    along = np.arange(width, dtype=np.float32) / width
    turns = whole(rng, 1, 2)
    move = np.sin(2 * math.pi * turns * along + pick(rng, (0.0, math.pi)))
    map_x += between(rng, 0.02, 0.07) * width / turns * move


WARPS: dict[str, Warp] = {
    "wave_x": _wave_x,
    "wave_y": _wave_y,
    "ripple": _ripple,
    "swirl": _swirl,
    "fisheye": _fisheye,
    "perspective": _perspective,
    "slices": _slices,
    "shaken": _shaken,
    "crumpled": _crumpled,
    "squeezed": _squeezed,
}
