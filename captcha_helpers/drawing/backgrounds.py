"""What lies under the letters of a CAPTCHA: from plain paper to photographs.

Every function takes a height, a width, two colours and a random generator, and gives an image
``(height, width, 3)`` uint8. `BACKGROUNDS` lists them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.painter import cv2
from captcha_helpers.drawing.palettes import Colour

Background = Callable[[int, int, "tuple[Colour, Colour]", Rng], np.ndarray]

_WORDS = "captcha security code verify human 0123456789 ABCDEF login image word test"
_HERSHEY = (0, 1, 2, 3, 4, 5, 6, 7)  # the fonts that OpenCV draws itself


def shade(share: np.ndarray, colours: tuple[Colour, Colour]) -> np.ndarray:
    """Colour a map of shares: 0 becomes the first colour, 255 the second.

    Args:
        share: ``(H, W)`` uint8.
        colours: Two colours.

    Returns:
        The image ``(H, W, 3)`` uint8.

    Example:
        >>> shade(np.array([[0, 255]], np.uint8), ((1, 2, 3), (9, 9, 9))).tolist()
        [[[1, 2, 3], [9, 9, 9]]]
    """
    return cv2.LUT(cv2.merge([share, share, share]), _ramp(*colours))


def _ramp(first: Colour, last: Colour) -> np.ndarray:
    low, high = np.array(first, np.float32), np.array(last, np.float32)
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    return (low + (high - low) * levels + 0.5).astype(np.uint8)[None]


def flat_image(height: int, width: int, colour: Colour) -> np.ndarray:
    """An image ``(height, width, 3)`` uint8 of one colour.

    Example:
        >>> flat_image(1, 1, (1, 2, 3)).tolist()
        [[[1, 2, 3]]]
    """
    image = np.empty((height, width, 3), np.uint8)
    image[:] = [int(value + 0.5) for value in colour]
    return image


def _flat(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    return flat_image(height, width, colours[0])


def _along(height: int, width: int, angle: float) -> np.ndarray:
    """How far each pixel (height, width) float32 lies along a direction."""
    x = np.arange(width, dtype=np.float32) * math.cos(angle)
    return x + np.arange(height, dtype=np.float32)[:, None] * math.sin(angle)


def _gradient(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    angle = pick(rng, (0.0, math.pi / 2, between(rng, 0, 2 * math.pi)))
    along = _along(height, width, angle)
    along -= along.min()
    return shade((along * (255 / max(float(along.max()), 1))).astype(np.uint8), colours)


def _radial(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    x = (np.arange(width, dtype=np.float32) / width - rng.random()) ** 2
    y = (np.arange(height, dtype=np.float32) / height - rng.random()) ** 2
    distance = np.sqrt(x + y[:, None])
    return shade((distance * (255 / float(distance.max()))).astype(np.uint8), colours)


def _stripes(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    angle = pick(rng, (0.0, math.pi / 2, between(rng, 0, math.pi)))
    pitch = between(rng, 3, max(4.0, 0.4 * height))
    phase = _along(height, width, angle) % pitch
    return shade(np.where(phase < between(rng, 0.2, 0.8) * pitch, 255, 0).astype(np.uint8), colours)


def _sines(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    pace = 2 * math.pi / between(rng, 4, max(5.0, 0.6 * height))
    along = _along(height, width, between(rng, 0, math.pi))
    across = _along(height, width, between(rng, 0, math.pi))
    along += between(rng, 0, 4) * np.sin(across * (2 * math.pi / between(rng, 8, height + 8)))
    return shade((127.5 + 127 * np.sin(along * pace)).astype(np.uint8), colours)


def _checkered(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    side = whole(rng, 2, max(3, height // 4))
    wide = side if chance(rng, 0.7) else whole(rng, 2, max(3, height // 3))
    odd = (np.arange(width) // wide)[None] + (np.arange(height) // side)[:, None]
    return shade(((odd & 1) * 255).astype(np.uint8), colours)


def _lines(
    image: np.ndarray, colour: Colour, angle: float, pitch: float, thick: int, aa: bool
) -> None:
    """Draw parallel lines on an image (H, W, 3)."""
    height, width = image.shape[:2]
    reach = math.hypot(height, width) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    kind = cv2.LINE_AA if aa else cv2.LINE_8
    offset = -reach
    while offset < reach:
        x, y = width / 2 - sin * offset, height / 2 + cos * offset
        start = int(x - cos * reach), int(y - sin * reach)
        cv2.line(image, start, (int(x + cos * reach), int(y + sin * reach)), colour, thick, kind)
        offset += pitch


def _grid(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    image = flat_image(height, width, colours[0])
    pitch_x, pitch_y = whole(rng, 3, max(5, height // 3)), whole(rng, 3, max(5, height // 3))
    if chance(rng, 0.6):
        pitch_y = pitch_x
    image[::pitch_y] = colours[1]
    image[:, whole(rng, 0, 2) :: pitch_x] = colours[1]
    return image


def _ruled(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    image = flat_image(height, width, colours[0])
    angle = pick(rng, (0.0, math.pi / 2, between(rng, 0, math.pi)))
    _lines(image, colours[1], angle, between(rng, 3, max(5.0, 0.3 * height)), 1, chance(rng, 0.5))
    return image


def _cross_hatched(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    image = flat_image(height, width, colours[0])
    angle, pitch = between(rng, 0.2, 1.3), between(rng, 4, max(6.0, 0.3 * height))
    smooth = chance(rng, 0.5)
    _lines(image, colours[1], angle, pitch, 1, smooth)
    _lines(image, colours[1], -angle, pitch, 1, smooth)
    return image


def _woven(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    side = whole(rng, 4, max(5, height // 4))
    x, y = np.arange(width)[None], np.arange(height)[:, None]
    odd = ((x // side) + (y // side)) & 1
    thread = np.where(odd == 1, x % side, y % side)
    return shade((thread * (255 // max(side - 1, 1))).astype(np.uint8), colours)


def _polka(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    pitch = between(rng, 4, max(6.0, 0.3 * height))
    angle = between(rng, 0, math.pi / 2)
    first, second = _along(height, width, angle), _along(height, width, angle + math.pi / 2)
    pace = 2 * math.pi / pitch
    wave = np.cos(first * pace) + np.cos(second * pace)
    return shade(
        np.clip(127 + 200 * (wave - between(rng, 0.2, 1.2)), 0, 255).astype(np.uint8), colours
    )


def _salt(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    side = pick(rng, (1, 1, 1, 2, 3))
    rows, columns = -(-height // side), -(-width // side)
    hit = (rng.random((rows, columns), np.float32) < between(rng, 0.05, 0.5)).astype(np.uint8)
    image = shade(255 * hit, colours)
    if side > 1:
        image = image.repeat(side, 0).repeat(side, 1)[:height, :width]
    return np.ascontiguousarray(image)


def _coloured_noise(
    height: int, width: int, colours: tuple[Colour, Colour], rng: Rng
) -> np.ndarray:
    side = pick(rng, (1, 1, 2, 4))
    rows, columns = -(-height // side), -(-width // side)
    low = int(between(rng, 120, 220)) if sum(colours[0]) > 382 else 0
    image = rng.integers(
        low, low + int(between(rng, 20, 256 - max(low, 130))), (rows, columns, 3), np.uint8
    )
    image = image.repeat(side, 0).repeat(side, 1)[:height, :width]
    return cv2.addWeighted(
        np.ascontiguousarray(image), 0.7, _flat(height, width, colours, rng), 0.3, 0
    )


def noise_map(height: int, width: int, coarsest: int, rng: Rng) -> np.ndarray:
    """Noise whose strength falls with its frequency, as in clouds and photographs.

    Args:
        height: Rows.
        width: Columns.
        coarsest: Size of the largest clouds in pixels.
        rng: Where every random number comes from.

    Returns:
        ``(height, width)`` float32, from 0 to 1.

    Example:
        >>> noise_map(20, 30, 16, np.random.default_rng(0)).shape
        (20, 30)
    """
    total = np.zeros((height, width), np.float32)
    size, strength = coarsest, 1.0
    while size >= 2 and strength > 0.05:
        small = rng.random((height // size + 2, width // size + 2), np.float32)
        total += strength * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        size, strength = size // 2, strength / 2
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def _clouds(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    noise = noise_map(height, width, max(4, int(between(rng, 0.2, 0.8) * height)), rng)
    return shade((255 * noise).astype(np.uint8), colours)


def _photo(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    """Hills, a sky, round things and their edges, in the two colours and a third one."""
    image = _clouds(height, width, colours, rng)
    red, green, blue = (255 * rng.random(3)).tolist()
    near = [int(0.5 * (a + b)) for a, b in zip(colours[0], (red, green, blue), strict=True)]
    for _ in range(whole(rng, 1, 4)):
        dark = [int(value * between(rng, 0.75, 1.1)) % 256 for value in near]
        if chance(rng, 0.5):
            middle = int(rng.random() * width), int(rng.random() * height)
            axes = (
                int(between(rng, 0.1, 0.6) * height) + 1,
                int(between(rng, 0.1, 0.6) * height) + 1,
            )
            cv2.ellipse(image, middle, axes, 180 * rng.random(), 0, 360, dark, -1, cv2.LINE_AA)
        else:
            xs = np.linspace(0, width, 9)
            ys = height * (between(rng, 0.3, 0.9) + 0.25 * (rng.random(9) - 0.5))
            hill = np.concatenate([np.stack([xs, ys], 1), [[width, height], [0, height]]])
            cv2.fillPoly(image, [hill.astype(np.int32)], dark, cv2.LINE_AA)
    grain = noise_map(height, width, max(4, height // 6), rng)[..., None]
    textured = image * (0.8 + 0.4 * grain)
    return np.clip(textured, 0, 255).astype(np.uint8)


def _blobs(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    noise = noise_map(height, width, max(4, int(between(rng, 0.15, 0.5) * height)), rng)
    edge = np.clip((noise - 0.5) * between(rng, 4, 40) + 0.5, 0, 1)
    return shade((255 * edge).astype(np.uint8), colours)


def _patches(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    """Large pieces, each of a shade of its own."""
    rows, columns = whole(rng, 1, 4), whole(rng, 2, 12)
    if chance(rng, 0.5):
        shares = rng.integers(0, 256, (rows, columns), np.uint8)
        return shade(cv2.resize(shares, (width, height), interpolation=cv2.INTER_NEAREST), colours)
    image = flat_image(height, width, colours[0])
    ramp = _ramp(*colours)[0]
    for share in rng.integers(0, 256, whole(rng, 5, 16)).tolist():
        corners = (rng.random((whole(rng, 3, 5), 2)) * (width, height)).astype(np.int32)
        cv2.fillConvexPoly(image, cv2.convexHull(corners), ramp[share].tolist(), cv2.LINE_AA)
    return image


def _confetti(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    image = flat_image(height, width, colours[0])
    ramp = _ramp(*colours)[0]
    most = max(2, height // 7)
    for x, y, size, share in rng.random((whole(rng, 20, 90), 4)).tolist():
        place = int(x * width), int(y * height)
        colour = ramp[int(share * 255)].tolist()
        if size < 0.5:
            cv2.circle(image, place, int(size * most), colour, 1 if share < 0.4 else -1)
        else:
            cv2.rectangle(image, (*place, int(size * most), int(share * most) + 1), colour, -1)
    return image


def _text(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    """Paper with words printed all over it, smaller than the letters to be read."""
    image = flat_image(height, width, colours[0])
    font, scale = pick(rng, _HERSHEY), between(rng, 0.006, 0.013) * height
    step = max(4, int(24 * scale))
    words = _WORDS[whole(rng, 0, 20) :] * 3
    for row, y in enumerate(range(step, height + step, step)):
        start = (-7 * row * whole(rng, 1, 5)) % 40 - 40, y
        cv2.putText(image, words[row % 9 :], start, font, scale, colours[1], 1, cv2.LINE_AA)
    return image


def _halftone(height: int, width: int, colours: tuple[Colour, Colour], rng: Rng) -> np.ndarray:
    """A gradient in dots of growing size."""
    pace = 2 * math.pi / between(rng, 4, 9)
    wave = np.cos(_along(height, width, math.pi / 4) * pace)
    wave += np.cos(_along(height, width, -math.pi / 4) * pace)
    slope = _along(height, width, between(rng, 0, 2 * math.pi))
    slope = (slope - slope.mean()) / max(float(np.ptp(slope)), 1) * 4
    return shade(np.clip(127 + 150 * (wave + slope - 0.8), 0, 255).astype(np.uint8), colours)


BACKGROUNDS: dict[str, Background] = {
    "flat": _flat,
    "gradient": _gradient,
    "radial": _radial,
    "stripes": _stripes,
    "sines": _sines,
    "checkered": _checkered,
    "grid": _grid,
    "ruled": _ruled,
    "cross_hatched": _cross_hatched,
    "woven": _woven,
    "polka": _polka,
    "salt": _salt,
    "coloured_noise": _coloured_noise,
    "clouds": _clouds,
    "photo": _photo,
    "blobs": _blobs,
    "patches": _patches,
    "confetti": _confetti,
    "text": _text,
    "halftone": _halftone,
}
