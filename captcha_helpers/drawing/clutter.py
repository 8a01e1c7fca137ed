"""What is drawn over or under the letters of a CAPTCHA to disturb: lines, dots, boxes, small words.

Every painter changes an image ``(H, W, 3)`` uint8, or the sheet ``(H, W, 4)`` of the letters. It
takes the colours to use, the size of the letters in pixels and a random generator. `CLUTTER` lists
them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.painter import cv2

Painter = Callable[[np.ndarray, Sequence["tuple[int, ...]"], float, Rng], None]
Colours = Sequence["tuple[int, ...]"]

_SHIFT = 3  # OpenCV takes coordinates in 1/2**3 pixel
_WORDS = ("qwerty 48 zx", "5081 kvn 37", "HXTRE wq", "captcha", "lmnop 93 AK", "security 7")


def _thick(size: float, rng: Rng, most: float = 0.065) -> int:
    """A line's thickness: one pixel often."""
    return 1 if chance(rng, 0.45) else max(1, round(between(rng, 0.02, most) * size))


def _kind(rng: Rng) -> int:
    """A line's edges: most are smooth."""
    return int(cv2.LINE_8 if chance(rng, 0.25) else cv2.LINE_AA)


def _point(image: np.ndarray, rng: Rng) -> tuple[int, int]:
    height, width = image.shape[:2]
    return int(rng.random() * width), int(rng.random() * height)


def _path(
    image: np.ndarray, points: np.ndarray, colour: tuple[int, ...], thick: int, kind: int
) -> None:
    """A line through points (n, 2)."""
    fixed = (points * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour, thick, kind, _SHIFT)


def _curve(ends: np.ndarray, pieces: int = 20) -> np.ndarray:
    """Points (pieces, 2) along a Bézier curve with four control points (4, 2)."""
    t = np.linspace(0, 1, pieces)[:, None]
    u = 1 - t
    shares = np.concatenate([u**3, 3 * u * u * t, 3 * u * t * t, t**3], axis=1)
    return np.asarray(shares @ ends)


def _lines(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    thick, kind = _thick(size, rng), _kind(rng)
    for _ in range(whole(rng, 1, 6)):
        cv2.line(image, _point(image, rng), _point(image, rng), pick(rng, colours), thick, kind)


def _long_lines(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    kind = _kind(rng)
    for _ in range(whole(rng, 1, 5)):
        first = 0, int(rng.random() * height)
        last = width, int(rng.random() * height)
        cv2.line(image, first, last, pick(rng, colours), _thick(size, rng), kind)


def _strike(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """One thick stroke through the whole text, straight or bent."""
    height, width = image.shape[:2]
    thick = max(2, round(between(rng, 0.06, 0.13) * size))
    xs = np.array([0.0, 0.33, 0.67, 1.0]) * width
    ys = (0.5 + between(rng, 0.1, 0.5) * (2 * rng.random(4) - 1)) * height
    _path(image, _curve(np.stack([xs, ys], 1)), pick(rng, colours), thick, cv2.LINE_AA)


def _curves(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    thick, kind = _thick(size, rng), _kind(rng)
    for _ in range(whole(rng, 1, 4)):
        ends = rng.random((4, 2)) * (width, height)
        if chance(rng, 0.7):
            ends = ends[np.argsort(ends[:, 0])]
            ends[0, 0], ends[3, 0] = 0, width
        _path(image, _curve(ends), pick(rng, colours), thick, kind)


def _sine(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    xs = np.arange(0, width + 3, 3.0)
    thick = _thick(size, rng)
    for _ in range(whole(rng, 1, 3)):
        pace = 2 * math.pi / (between(rng, 0.8, 5) * size)
        ys = np.sin(xs * pace + between(rng, 0, 6.3)) * between(rng, 0.1, 0.4) * height
        ys += between(rng, 0.3, 0.7) * height
        _path(image, np.stack([xs, ys], 1), pick(rng, colours), thick, cv2.LINE_AA)


def _thicket(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Curves so dense that only their colour tells them from letters."""
    height, width = image.shape[:2]
    thick = max(1, round(between(rng, 0.02, 0.05) * size))
    for _ in range(whole(rng, 7, 16)):
        ends = rng.random((4, 2)) * (width * 1.2, height * 1.2) - (0.1 * width, 0.1 * height)
        _path(image, _curve(ends, 14), pick(rng, colours), thick, cv2.LINE_AA)


def _scratches(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Many fine lines, nearly parallel."""
    height, width = image.shape[:2]
    angle, length = between(rng, 0, math.pi), between(rng, 0.3, 1.5) * size
    count = whole(rng, 15, 60)
    starts = rng.random((count, 2)) * (width, height)
    turns = angle + between(rng, 0.05, 1.5) * (rng.random(count) - 0.5)
    ends = starts + length * np.stack([np.cos(turns), np.sin(turns)], 1)
    lines = np.stack([starts, ends], 1).astype(np.int32)
    cv2.polylines(image, list(lines), False, pick(rng, colours), 1, _kind(rng))


def _dots(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    count = min(int(between(rng, 0.5, 5) * height * width / (size * size) * 3), 250)
    most = max(0.6, between(rng, 0.02, 0.06) * size)
    kind = _kind(rng)
    for x, y, share, colour in rng.random((count, 4)).tolist():
        radius = int((0.4 + 0.6 * share) * most * 8)
        place = int(x * width * 8), int(y * height * 8)
        cv2.circle(image, place, radius, colours[int(colour * len(colours))], -1, kind, _SHIFT)


def _specks(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Single pixels, or small squares."""
    height, width = image.shape[:2]
    count = int(between(rng, 0.01, 0.12) * min(1, size / 24) * height * width)
    x = (rng.random(count) * width).astype(int)
    y = (rng.random(count) * height).astype(int)
    paint = np.array(colours, np.uint8)[(rng.random(count) * len(colours)).astype(int)]
    image[y, x] = paint
    if size > 30 and chance(rng, 0.3):
        image[y, np.minimum(x + 1, width - 1)] = paint


def _circles(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    thick = _thick(size, rng, 0.05)
    for _ in range(whole(rng, 2, 12)):
        radius = int(between(rng, 0.1, 0.9) * size) + 1
        cv2.circle(image, _point(image, rng), radius, pick(rng, colours), thick, cv2.LINE_AA)


def _arcs(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    width = image.shape[1]
    thick = _thick(size, rng)
    for _ in range(whole(rng, 1, 6)):
        axes = int(between(rng, 0.1, 0.7) * width), int(between(rng, 0.2, 1.2) * size)
        first, turn = between(rng, 0, 360), between(rng, -30, 30)
        colour, sweep = pick(rng, colours), between(rng, 60, 220)
        cv2.ellipse(
            image, _point(image, rng), axes, turn, first, first + sweep, colour, thick, cv2.LINE_AA
        )


def _boxes(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Rectangles that are not filled."""
    thick = _thick(size, rng, 0.04)
    for _ in range(whole(rng, 2, 9)):
        x, y = _point(image, rng)
        far = x + int(between(rng, 0.2, 2) * size), y + int(between(rng, 0.2, 1.2) * size)
        cv2.rectangle(image, (x, y), far, pick(rng, colours), thick)


def _polygons(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    thick = _thick(size, rng, 0.04)
    for _ in range(whole(rng, 1, 5)):
        corners = (rng.random((whole(rng, 3, 6), 2)) * (width, height)).astype(np.int32)
        cv2.polylines(image, [corners], True, pick(rng, colours), thick, cv2.LINE_AA)


def _grid(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    pitch = max(4, int(between(rng, 0.15, 0.8) * size))
    colour, start = pick(rng, colours), whole(rng, 0, pitch - 1)
    if chance(rng, 0.8):
        image[start::pitch] = colour
    if chance(rng, 0.8):
        image[:, start::pitch] = colour


def _slanted_grid(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    height, width = image.shape[:2]
    pitch, lean = max(4, int(between(rng, 0.2, 0.8) * size)), int(between(rng, -1.2, 1.2) * height)
    colour, thick, kind = pick(rng, colours), 1, _kind(rng)
    for x in range(-abs(lean), width + abs(lean), pitch):
        cv2.line(image, (x, 0), (x + lean, height), colour, thick, kind)
    for y in range(0, height, pitch):
        cv2.line(image, (0, y), (width, y + lean // 4), colour, thick, kind)


def _bars(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """A few upright lines."""
    height, width = image.shape[:2]
    thick = _thick(size, rng, 0.06)
    for _ in range(whole(rng, 3, 12)):
        x, lean = int(rng.random() * width), int(between(rng, -0.1, 0.1) * height)
        cv2.line(image, (x, 0), (x + lean, height), pick(rng, colours), thick, _kind(rng))


def _stars(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Asterisks and crosses."""
    arm, rays = max(2.0, between(rng, 0.06, 0.15) * size), pick(rng, (2, 3, 4))
    for _ in range(whole(rng, 5, 20)):
        x, y = _point(image, rng)
        colour = pick(rng, colours)
        first = between(rng, 0, 3.1)
        for ray in range(rays):
            dx = int(arm * math.cos(first + ray * math.pi / rays))
            dy = int(arm * math.sin(first + ray * math.pi / rays))
            cv2.line(image, (x - dx, y - dy), (x + dx, y + dy), colour, 1)


def _scribble(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """A pen that wanders about."""
    width = image.shape[1]
    for _ in range(whole(rng, 1, 3)):
        turns = np.cumsum(between(rng, 0.3, 1.2) * rng.standard_normal(40)) + between(rng, -1, 1)
        steps = 0.25 * size * np.stack([np.cos(turns), np.sin(turns)], 1)
        steps[:, 0] += 0.4 * width / 40
        points = np.cumsum(steps, 0) + np.array(_point(image, rng)) * (0.3, 1)
        _path(image, points, pick(rng, colours), _thick(size, rng, 0.05), cv2.LINE_AA)


def _spiral(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    for _ in range(whole(rng, 1, 3)):
        t = np.linspace(0, between(rng, 2, 4) * 2 * math.pi, 50)
        radius = between(rng, 0.03, 0.1) * size * t
        points = np.stack([radius * np.cos(t), radius * np.sin(t)], 1) + _point(image, rng)
        _path(image, points, pick(rng, colours), _thick(size, rng, 0.04), cv2.LINE_AA)


def _words(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Small text here and there, which is not to be read."""
    scale, font = between(rng, 0.008, 0.014) * size, whole(rng, 0, 7)
    for _ in range(whole(rng, 2, 7)):
        x, y = _point(image, rng)
        word, colour = pick(rng, _WORDS), pick(rng, colours)
        cv2.putText(image, word, (x - int(size), y), font, scale, colour, 1, _kind(rng))


def _small_letters(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Single letters strewn about, a third as large as those to be read."""
    scale, font = between(rng, 0.007, 0.013) * size, whole(rng, 0, 7)
    for _ in range(whole(rng, 8, 40)):
        letter, colour = pick(rng, "ABCDEFGHJKLMNPRSTUVWXYZ23456789abdefghnrt"), pick(rng, colours)
        cv2.putText(image, letter, _point(image, rng), font, scale, colour, 1, cv2.LINE_AA)


def _second_line(
    image: np.ndarray, colours: Colours, size: float, rng: Rng, y: float = 0.93
) -> None:
    """A line of small print along the lower edge."""
    height, width = image.shape[:2]
    scale = between(rng, 0.009, 0.014) * size
    place = int(rng.random() * 0.3 * width), int(y * height)
    word = pick(rng, _WORDS) + " " + pick(rng, _WORDS)
    cv2.putText(image, word, place, whole(rng, 0, 7), scale, pick(rng, colours), 1, cv2.LINE_AA)


def _first_line(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """A line of small print along the upper edge."""
    _second_line(image, colours, size, rng, min(0.35 * size / len(image), 0.5))


def _snow(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Soft blobs."""
    height, width = image.shape[:2]
    hit = (rng.random((height, width), np.float32) > 1 - between(rng, 0.5, 2) / size).astype(
        np.float32
    )
    blur = max(0.6, 0.04 * size)
    share = np.clip(cv2.GaussianBlur(hit, (0, 0), blur) * blur * blur * 5, 0, 1)[..., None]
    image[:] = (image * (1 - share) + np.array(pick(rng, colours)) * share).astype(np.uint8)


def _glass(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Shapes that one can see through."""
    for _ in range(whole(rng, 1, 5)):
        top = image.copy()
        colour = pick(rng, colours)
        axes = int(between(rng, 0.3, 2) * size), int(between(rng, 0.2, 1) * size)
        if chance(rng, 0.5):
            cv2.ellipse(
                top, _point(image, rng), axes, between(rng, 0, 180), 0, 360, colour, -1, cv2.LINE_AA
            )
        else:
            x, y = _point(image, rng)
            cv2.rectangle(top, (x, y), (x + axes[0], y + axes[1]), colour, -1)
        share = between(rng, 0.2, 0.5)
        cv2.addWeighted(image, 1 - share, top, share, 0, image)


def _inverted(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Shapes that invert what they cross: an ellipse, an arc, a polygon, a band."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    kind = whole(rng, 0, 3)
    for _ in range(whole(rng, 1, 3)):
        if kind == 0:
            axes = int(between(rng, 0.15, 0.5) * width), int(between(rng, 0.2, 0.5) * height)
            cv2.ellipse(mask, _point(image, rng), axes, between(rng, -40, 40), 0, 360, 255, -1)
        elif kind == 1:
            corners = (rng.random((whole(rng, 3, 5), 2)) * (width, height)).astype(np.int32)
            cv2.fillPoly(mask, [corners], 255)
        elif kind == 2:
            axes = int(between(rng, 0.2, 0.6) * width), int(between(rng, 0.2, 0.8) * height)
            first = between(rng, 0, 360)
            cv2.ellipse(
                mask,
                _point(image, rng),
                axes,
                0,
                first,
                first + 200,
                255,
                max(2, round(between(rng, 0.06, 0.25) * size)),
            )
        else:
            x, wide = int(rng.random() * width), int(between(rng, 0.3, 2) * size)
            mask[:, x : x + wide] ^= 255
    hit = mask > 0
    image[hit] = 255 - image[hit]


def _chess(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """Every second field, or stripe, of a board is inverted."""
    height, width = image.shape[:2]
    side = max(3, int(between(rng, 0.3, 1.0) * size))
    columns, rows = np.arange(width)[None] // side, np.arange(height)[:, None] // side
    board = pick(rng, (columns + rows, columns + rows, columns + 0 * rows, 0 * columns + rows))
    hit = board % 2 == 1
    image[hit] = 255 - image[hit]


def _web(image: np.ndarray, colours: Colours, size: float, rng: Rng) -> None:
    """A spider's web."""
    middle, rays = np.array(_point(image, rng)), whole(rng, 8, 16)
    angles = np.arange(rays + 1) * (2 * math.pi / rays) + rng.random()
    arms = np.stack([np.cos(angles), np.sin(angles)], 1)
    colour, step = pick(rng, colours), between(rng, 0.25, 0.7) * size
    rings = int(0.7 * image.shape[1] / step) + 1
    for arm in arms[1:]:
        _path(image, np.stack([middle, middle + arm * step * rings]), colour, 1, cv2.LINE_AA)
    for ring in range(1, rings):
        _path(image, middle + arms * step * ring, colour, 1, cv2.LINE_AA)


CLUTTER: dict[str, Painter] = {
    "lines": _lines,
    "long_lines": _long_lines,
    "strike": _strike,
    "curves": _curves,
    "sine": _sine,
    "thicket": _thicket,
    "scratches": _scratches,
    "dots": _dots,
    "specks": _specks,
    "circles": _circles,
    "arcs": _arcs,
    "boxes": _boxes,
    "polygons": _polygons,
    "grid": _grid,
    "slanted_grid": _slanted_grid,
    "bars": _bars,
    "stars": _stars,
    "scribble": _scribble,
    "spiral": _spiral,
    "words": _words,
    "small_letters": _small_letters,
    "first_line": _first_line,
    "second_line": _second_line,
    "snow": _snow,
    "glass": _glass,
    "inverted": _inverted,
    "chess": _chess,
    "web": _web,
}
