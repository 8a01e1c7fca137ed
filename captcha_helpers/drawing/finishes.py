"""What happens to a finished CAPTCHA: how it is saved, scanned, framed and lit.

Every finish takes an image ``(H, W, 3)`` uint8 and a random generator and gives an image of the
same shape. `FINISHES` lists them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from captcha_helpers.drawing.backgrounds import noise_map
from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.painter import cv2

Finish = Callable[[np.ndarray, Rng], np.ndarray]

_BAYER = (
    np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - 0.47
)


def _jpeg(image: np.ndarray, rng: Rng) -> np.ndarray:
    quality = whole(rng, 15, 85)
    _, coded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)


def _palette(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A GIF of few colours."""
    dither = Image.Dither.FLOYDSTEINBERG if chance(rng, 0.5) else Image.Dither.NONE
    few = Image.fromarray(image).quantize(
        pick(rng, (4, 8, 16, 32)), Image.Quantize.FASTOCTREE, dither=dither
    )
    return np.array(few.convert("RGB"))


def _web_colours(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The 216 colours that every browser had, with error diffusion."""
    return np.array(Image.fromarray(image).convert("P").convert("RGB"))


def _ordered(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Few levels a channel, dithered by a fixed pattern."""
    height, width = image.shape[:2]
    levels = pick(rng, (2, 3, 4, 5, 6)) - 1
    pattern = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    steps = np.round(image * (levels / 255) + pattern)
    return (np.clip(steps, 0, levels) * (255 / levels)).astype(np.uint8)


def _blurred(image: np.ndarray, rng: Rng) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), between(rng, 0.4, 0.3 + 0.018 * len(image)))


def _sharpened(image: np.ndarray, rng: Rng) -> np.ndarray:
    strength = between(rng, 0.5, 2)
    return cv2.addWeighted(image, 1 + strength, cv2.GaussianBlur(image, (0, 0), 1.2), -strength, 0)


def _grain(image: np.ndarray, rng: Rng) -> np.ndarray:
    channels = 3 if chance(rng, 0.5) else 1
    noise = rng.standard_normal((*image.shape[:2], channels), np.float32) * between(rng, 4, 35)
    noisy: np.ndarray = np.clip(image + noise, 0, 255)
    return noisy.astype(np.uint8)


def _salted(image: np.ndarray, rng: Rng) -> np.ndarray:
    """White, black or coloured pixels anywhere."""
    hit = rng.random(image.shape[:2], np.float32) < between(rng, 0.01, 0.13)
    count = int(hit.sum())
    image = image.copy()
    if chance(rng, 0.5):
        image[hit] = (rng.random((count, 1)) < 0.5) * 255
    else:
        image[hit] = rng.integers(0, 256, (count, 3), np.uint8)
    return image


def _low_resolution(image: np.ndarray, rng: Rng) -> np.ndarray:
    height, width = image.shape[:2]
    smaller = max(between(rng, 0.5, 0.85), 22 / max(height, 22))
    small = cv2.resize(
        image,
        (max(8, int(width * smaller)), max(8, int(height * smaller))),
        interpolation=pick(rng, (cv2.INTER_AREA, cv2.INTER_LINEAR)),
    )
    way = cv2.INTER_NEAREST if chance(rng, 0.3) else cv2.INTER_LINEAR
    return cv2.resize(small, (width, height), interpolation=way)


def _framed(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A frame on the outermost pixels, flat or raised."""
    height, width = image.shape[:2]
    colour = pick(rng, ((0, 0, 0), (128, 128, 128), (204, 204, 204), (90, 110, 160), (180, 40, 40)))
    image = np.ascontiguousarray(image)
    far = width - 1, height - 1
    cv2.rectangle(image, (0, 0), far, colour, 1 if chance(rng, 0.7) else 2)
    if chance(rng, 0.2):
        cv2.line(image, (0, 0), (far[0], 0), (245, 245, 245), 1)
        cv2.line(image, (0, 0), (0, far[1]), (245, 245, 245), 1)
    return image


def letterboxed(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Add space of one colour above and below an image, or at its sides.

    Args:
        image: ``(H, W, 3)`` uint8.
        rng: Where every random number comes from.

    Returns:
        A larger image.

    Example:
        >>> image = np.zeros((40, 90, 3), np.uint8)
        >>> letterboxed(image, np.random.default_rng(0)).size > image.size
        True
    """
    height, width = image.shape[:2]
    colour = pick(rng, ((0, 0, 0), (255, 255, 255), (128, 128, 128), tuple(image[0, 0].tolist())))
    tall = chance(rng, 0.7)
    room = between(rng, 0.1, 0.5) * (height if tall else width)
    first = round(room * rng.random())
    before, after = (first, round(room) - first)
    sides = (before, after, 0, 0) if tall else (0, 0, before, after)
    top, bottom, left, right = sides
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)


def _lit(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Light that falls off across the image."""
    height, width = image.shape[:2]
    angle = between(rng, 0, 2 * math.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32) * math.cos(angle)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * math.sin(angle)
    light = 1 - between(rng, 0.1, 0.35) * (1 + x + y)[..., None]
    return np.clip(image * light, 0, 255).astype(np.uint8)


def _stained(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Darker and lighter clouds over everything."""
    height, width = image.shape[:2]
    clouds = noise_map(height, width, max(4, height // 2), rng)[..., None] - 0.5
    return np.clip(image + between(rng, 30, 110) * clouds, 0, 255).astype(np.uint8)


def _inverted(image: np.ndarray, rng: Rng) -> np.ndarray:
    return 255 - image


def _contrast(image: np.ndarray, rng: Rng) -> np.ndarray:
    gain, shift = between(rng, 0.5, 1.5), between(rng, -30, 30)
    levels = np.arange(256.0) * gain + (127.5 * (1 - gain) + shift)
    return cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8))


def _greyed(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Without colour, if it can be read without."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if float(np.ptp(grey)) < 60:
        return image
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def _rows(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Every second row or column darker or lighter, as on an old screen."""
    image = image.copy()
    shift, step = pick(rng, (-60, -35, 35, 60)), pick(rng, (2, 3))
    part = image[::step] if chance(rng, 0.6) else image[:, ::step]
    part[:] = np.clip(part.astype(np.int16) + shift, 0, 255)
    return image


def _edges(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Only the edges of everything are left, on grey: an emboss filter."""
    kernel = np.array(
        pick(rng, ([[-1, 0, -1], [0, 4, 0], [-1, 0, -1]], [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])),
        np.float32,
    )
    return cv2.filter2D(image, -1, kernel, delta=127)


def _mosaic(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Small stones, each of one colour, with joints between them."""
    height, width = image.shape[:2]
    side = max(2, height // whole(rng, 18, 26))
    size = max(1, width // side), max(1, height // side)
    stones = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    image = cv2.resize(stones, (width, height), interpolation=cv2.INTER_NEAREST)
    if side > 2:
        image[::side] = image[::side] // 4 * 3
        image[:, ::side] = image[:, ::side] // 4 * 3
    return image


FINISHES: dict[str, Finish] = {
    "jpeg": _jpeg,
    "palette": _palette,
    "web_colours": _web_colours,
    "ordered": _ordered,
    "blurred": _blurred,
    "sharpened": _sharpened,
    "grain": _grain,
    "salted": _salted,
    "low_resolution": _low_resolution,
    "framed": _framed,
    "lit": _lit,
    "stained": _stained,
    "inverted": _inverted,
    "contrast": _contrast,
    "greyed": _greyed,
    "rows": _rows,
    "edges": _edges,
    "mosaic": _mosaic,
}
