"""Draw CAPTCHAs: a style and a seed go in, images and labels come out.

The same style, seed and number give the same pixels, whatever was drawn before:

>>> images, labels = generate("stars", 2, seed=1)
>>> images.shape, images.dtype
((2, 32, 104, 3), dtype('uint8'))
>>> later, _ = generate("stars", 1, seed=1, start=1)
>>> bool((later[0] == images[1]).all())
True

Each character is kept as a distance field: for every pixel of a large drawing, how far inside or
outside the letter it lies. A field can be turned, bent and resized in one step, stays sharp, and
makes strokes thicker or thinner by adding a number.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from captcha_helpers.styles import Stroke, Style, Wave, get_style

try:
    import cv2
except ImportError as error:  # pragma: no cover
    raise ImportError(
        'Drawing images needs OpenCV, which is not installed: pip install "captcha-helpers[train]"'
    ) from error

_EM = 128  # size in pixels at which the distance fields are made
_PAD = 12  # pixels around a character in its field
_REACH = 8  # a field tells distances of up to so many pixels
_EDGE = 0.9  # pixels that OpenCV's antialiasing adds to a line's thickness
_SHIFT = 4  # OpenCV takes coordinates in 1/2**4 pixel

_STAR = np.array(
    [
        [0, 1, 1, 0, 1, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 1, 1, 0, 1, 1, 0],
    ],
    dtype=bool,
)

Point = tuple[float, float]
Rng = np.random.Generator


class _Glyph(NamedTuple):
    """A character as a distance field; its measures are in em (1 is the font's size)."""

    field: np.ndarray  # (h, w) uint8: 0 far outside, 127.5 on the edge, 255 deep inside
    ends: np.ndarray  # (4, 2) float32: corners of the ink in the field
    bearing: float  # from the pen to the ink's left edge
    width: float  # of the ink
    top: float  # of the ink above the baseline
    bottom: float  # of the ink below the baseline; negative if it ends above


class _Jitter(NamedTuple):
    """How each character differs from its neighbours: n numbers from -1 to 1 a property."""

    drift: np.ndarray
    gap: np.ndarray
    turn: np.ndarray
    rise: np.ndarray
    weight: np.ndarray
    slant: np.ndarray
    size: np.ndarray


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "Drawing images needs the fonts of matplotlib, which is not installed: "
            'pip install "captcha-helpers[train]"'
        )
    folder = Path(spec.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
    path = folder / f"{name}.ttf"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.ttf")))
        raise ValueError(f"matplotlib has no font {name!r}; choose from: {known}.")
    return ImageFont.truetype(str(path), _EM)


@lru_cache(maxsize=4096)
def _glyph(font: str, char: str) -> _Glyph:
    image = Image.new("L", (4 * _EM, 4 * _EM))
    pen_x, pen_y = _EM, 2 * _EM
    ImageDraw.Draw(image).text((pen_x, pen_y), char, 255, _font(font), anchor="ls")
    ink = np.asarray(image) > 127
    if not ink.any():
        raise ValueError(f"Font {font!r} draws nothing for {char!r}; take it out of the charset.")
    xs, ys = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    left, right, top, bottom = xs[0], xs[-1] + 1, ys[0], ys[-1] + 1
    inside = ink[top - _PAD : bottom + _PAD, left - _PAD : right + _PAD].astype(np.uint8)
    # OpenCV measures to the middle of the nearest other pixel; the edge is half a pixel closer.
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - inside
    distance -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) - 0.5
    field = np.clip(127.5 * (1 + distance / _REACH), 0, 255).astype(np.uint8)
    h, w = field.shape
    ends = [[_PAD, _PAD], [w - _PAD, _PAD], [w - _PAD, h - _PAD], [_PAD, h - _PAD]]
    return _Glyph(
        field,
        np.array(ends, np.float32) - 0.5,
        bearing=float(left - pen_x) / _EM,
        width=float(right - left) / _EM,
        top=float(pen_y - top) / _EM,
        bottom=float(bottom - pen_y) / _EM,
    )


def sample_label(style: Style, rng: Rng) -> str:
    """Draw a label: its length, then each character, independently and uniformly.

    Example:
        >>> len(sample_label(get_style("stars"), np.random.default_rng(0)))
        6
    """
    places = rng.random(_count(style.length, rng)) * len(style.charset)
    return "".join([style.charset[int(place)] for place in places])


def generate(
    style: Style | str, count: int, *, seed: int = 0, start: int = 0
) -> tuple[np.ndarray, list[str]]:
    """Draw images number `start` to `start + count - 1` of an endless data set.

    Args:
        style: A style, or the name of a preset.
        count: How many images.
        seed: Which data set; another seed gives other images.
        start: Number of the first image.

    Returns:
        Images (B, H, W, C) uint8, where C is 4 for transparent styles and else 3, and B labels.
        Image i depends on the style, the seed and `start + i` only.

    Raises:
        ValueError: The style has an unknown name, or a number is negative.

    Example:
        >>> images, labels = generate("gradient", 4, seed=3)
        >>> images.shape, len(labels)
        ((4, 50, 200, 3), 4)
    """
    if isinstance(style, str):
        style = get_style(style)
    for name, value in (("count", count), ("seed", seed), ("start", start)):
        if value < 0:
            raise ValueError(f"{name} is {value}; it must be 0 or more.")
    images = np.empty((count, style.height, style.width, 4 if style.transparent else 3), np.uint8)
    labels = []
    for i in range(count):
        rng = np.random.default_rng([seed, start + i])
        labels.append(sample_label(style, rng))
        images[i] = draw(style, labels[-1], rng)
    return images, labels


def draw(style: Style, label: str, rng: Rng) -> np.ndarray:
    """Draw one image of a label.

    Args:
        style: The look.
        label: The text, made of the style's characters.
        rng: Where every random number comes from.

    Returns:
        The image (H, W, C) uint8; C is 4 (RGBA) for transparent styles and else 3 (RGB).

    Raises:
        ValueError: The label is empty, too long, or has characters that the style lacks.

    Example:
        >>> draw(get_style("classic"), "2031", np.random.default_rng(0)).shape
        (100, 120, 3)
    """
    _check_label(style, label)
    ink = _colour(style.ink, rng)
    # Two layers: where there is ink (`mask`), and of what colour (`paint`).
    mask = np.zeros((style.height, style.width), np.uint8)
    paint = None if style.transparent else _flat(style, ink)
    _draw_text(mask, paint, style, label, rng)
    if not style.waves_move_strokes:
        mask = _displace(mask, style.waves, rng)
    for stroke in style.strokes:
        if stroke.colour is None:
            _draw_strokes(mask, stroke, (255,), rng)
    _draw_dots(mask, style, rng)
    if paint is None:
        black = np.zeros_like(mask)
        return cv2.merge([black, black, black, mask])
    ground = _ground(style, rng)
    for stroke in style.strokes:
        if stroke.colour is not None:
            _draw_strokes(ground, stroke, _colour(stroke.colour, rng), rng)
    image = _blend(ground, paint, mask)
    if style.waves_move_strokes:
        image = _displace(image, style.waves, rng)
    return _develop(image, style, rng)


def _check_label(style: Style, label: str) -> None:
    most = style.length[1]
    if not 0 < len(label) <= most:
        raise ValueError(
            f"Label {label!r} has {len(label)} characters; style {style.name!r} draws 1 to {most}. "
            "For another length use dataclasses.replace(style, length=(..., ...))."
        )
    for char in label:
        if char not in style.charset:
            raise ValueError(
                f"Label {label!r} has {char!r}, which style {style.name!r} does not draw; "
                f"its characters are {style.charset!r}."
            )


def _between(rng: Rng, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return low + (high - low) * rng.random()


def _count(bounds: tuple[int, int], rng: Rng) -> int:
    low, high = bounds
    return low + int((high - low + 1) * rng.random())


def _colour(bounds: tuple[float, float], rng: Rng) -> tuple[float, ...]:
    low, high = bounds
    return tuple((low + (high - low) * rng.random(3)).tolist())


def _flat(style: Style, colour: tuple[float, ...]) -> np.ndarray:
    image = np.empty((style.height, style.width, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (style.width, style.height), colour, cv2.FILLED)
    return image


def _blend(ground: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put paint (H, W, 3) on a ground (H, W, 3) where the mask (H, W) is 255."""
    share = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB).astype(np.uint16)
    return ((ground * (255 - share) + paint * share + 127) // 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _ground(style: Style, rng: Rng) -> np.ndarray:
    if style.gradient is None:
        ground = _flat(style, _colour(style.background, rng))
    else:
        x, y = _grid(style.height, style.width)
        first, last = _between(rng, style.gradient[0]), _between(rng, style.gradient[1])
        grey = first + (x + y) * ((last - first) / (style.width + style.height))
        ground = cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB)
    _draw_stars(ground, style, rng)
    return ground


def _draw_text(
    mask: np.ndarray, paint: np.ndarray | None, style: Style, label: str, rng: Rng
) -> None:
    font = style.fonts[_count((0, len(style.fonts) - 1), rng)]
    glyphs = [_glyph(font, char) for char in label]
    jitter = _Jitter(*(2 * rng.random((len(_Jitter._fields), len(label))) - 1))
    sizes = _between(rng, style.font_size) * (1 + style.size_jitter * jitter.size)
    boxes = _boxes(style, glyphs, sizes, jitter, rng)
    corners = _corners(style, boxes, jitter, rng)
    weights = _spread(style.weight, jitter.weight)
    # A field's slope, times this, is 255 a pixel: from paper to ink within one pixel of the edge.
    gains = sizes / _EM * 2 * _REACH
    lows = np.maximum(corners.min(axis=1) - 2, 0).astype(int)
    highs = np.minimum(corners.max(axis=1) + 3, (style.width, style.height)).astype(int)
    ends = (corners - (lows[:, None] + 0.5)).astype(np.float32)
    parts = zip(lows.tolist(), highs.tolist(), strict=True)
    for i, ((x0, y0), (x1, y1)) in enumerate(parts):
        matrix = cv2.getPerspectiveTransform(glyphs[i].ends, ends[i])
        field = cv2.warpPerspective(glyphs[i].field, matrix, (x1 - x0, y1 - y0))
        ink = cv2.addWeighted(field, gains[i], field, 0, 127.5 * (1 - gains[i]) + 255 * weights[i])
        part = mask[y0:y1, x0:x1]
        cv2.max(part, ink, part)
        if style.ink_per_character and paint is not None:
            colour = np.array(_colour(style.ink, rng), np.uint8)
            paint[y0:y1, x0:x1][ink > 0] = colour


def _spread(bounds: tuple[float, float], jitter: np.ndarray) -> np.ndarray:
    """Values of a range, from numbers that run from -1 to 1."""
    low, high = bounds
    return low + (high - low) * (1 + jitter) / 2


def _boxes(
    style: Style, glyphs: list[_Glyph], sizes: np.ndarray, jitter: _Jitter, rng: Rng
) -> np.ndarray:
    """Where the ink of upright characters lies: left, top, width, height (4, n)."""
    bearing, width, top, bottom = np.array([glyph[2:] for glyph in glyphs]).T * sizes
    stretch = _between(rng, style.stretch)
    width = width * stretch
    if style.pitch is None:
        steps = width + _spread(style.gap, jitter.gap)
        steps[-1] = width[-1]
        offset = bearing * stretch
    else:
        steps = np.full(len(glyphs), _between(rng, style.pitch))
        offset = (steps - width) / 2
    start = None if style.start is None else _between(rng, style.start)
    room = style.width - 2 * max(style.margin, 0) - (start or 0)
    excess = steps.sum() - room
    if excess > 0 and len(steps) > 1:
        steps[:-1] -= excess / (len(steps) - 1)
    if start is None:
        start = (style.width - steps.sum()) / 2
    left = start + np.cumsum(steps) - steps + offset + style.drift * jitter.drift
    if style.baseline is None:
        baseline = (style.height + top.max() - bottom.max()) / 2
    else:
        baseline = _between(rng, style.baseline)
    return np.array([left, baseline + style.rise * jitter.rise - top, width, top + bottom])


def _corners(style: Style, boxes: np.ndarray, jitter: _Jitter, rng: Rng) -> np.ndarray:
    """Corners (n, 4, 2) of turned and bent boxes, moved into the canvas if need be."""
    left, top, width, height = boxes[:, :, None]
    u = np.array([[-0.5, 0.5, 0.5, -0.5]])
    v = np.array([[-0.5, -0.5, 0.5, 0.5]])
    if style.warp:
        pull = 1 - style.warp * rng.random((2, boxes.shape[1], 4))
        u, v = u * pull[0], v * pull[1]
    x, y = u * width, v * height
    if style.shear:
        x = x - y * np.tan(math.radians(style.shear) * jitter.slant)[:, None]
    if style.rotation:
        angle = math.radians(style.rotation) * jitter.turn[:, None]
        sin, cos = np.sin(angle), np.cos(angle)
        x, y = cos * x - sin * y, sin * x + cos * y
    corners = np.stack([x + (left + width / 2), y + (top + height / 2)], axis=2)
    margin = np.array([max(style.margin, 0), style.margin])
    move = np.maximum(margin - corners.min(axis=1), 0)
    move += np.minimum((style.width, style.height) - margin - move - corners.max(axis=1), 0)
    return corners + move[:, None]


def _draw_stars(ground: np.ndarray, style: Style, rng: Rng) -> None:
    count = _count(style.stars, rng)
    low, high = style.star_colour
    colours = (low + (high - low) * rng.random((count, 3))).astype(np.uint8)
    h, w = _STAR.shape
    places = (rng.random((count, 2)) * (style.width, style.height)).astype(int)
    for (x, y), colour in zip(places.tolist(), colours, strict=True):
        part = ground[y : y + h, x : x + w]
        part[_STAR[: part.shape[0], : part.shape[1]]] = colour


def _draw_dots(mask: np.ndarray, style: Style, rng: Rng) -> None:
    places = rng.random((_count(style.dots, rng), 2)) * (style.width, style.height)
    for x, y in places.astype(int).tolist():
        cv2.circle(mask, (x, y), 1, 255, cv2.FILLED)


def _draw_strokes(image: np.ndarray, stroke: Stroke, colour: tuple[float, ...], rng: Rng) -> None:
    height, width = image.shape[:2]
    line = cv2.LINE_AA if stroke.smooth else cv2.LINE_8
    for _ in range(_count(stroke.count, rng)):
        control = [
            (_between(rng, x) * width, _between(rng, y) * height)
            for x, y in zip(stroke.x, stroke.y, strict=True)
        ]
        thickness = [max(_between(rng, pair) - _EDGE, 0.1) for pair in stroke.thickness]
        points = _flatten(control, stroke.flatness)
        for i, (a, b) in enumerate(zip(points, points[1:], strict=False)):
            corners = _bar(a, b, thickness[min(i, len(thickness) - 1)])
            cv2.fillConvexPoly(image, corners, colour, line, _SHIFT)


def _bar(a: Point, b: Point, thickness: float) -> np.ndarray:
    """Corners (4, 2) int32 of a straight line with square ends, in 1/2**_SHIFT pixel."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    half = thickness / 2 / max(math.hypot(dx, dy), 1e-6)
    dx, dy = dx * half, dy * half
    corners = [
        (a[0] - dx - dy, a[1] - dy + dx),
        (b[0] + dx - dy, b[1] + dy + dx),
        (b[0] + dx + dy, b[1] + dy - dx),
        (a[0] - dx + dy, a[1] - dy - dx),
    ]
    one = 1 << _SHIFT
    return np.array([(int((x - 0.5) * one), int((y - 0.5) * one)) for x, y in corners], np.int32)


def _flatten(control: list[Point], flatness: float) -> list[Point]:
    """A straight line or cubic Bézier curve as points, halved until each piece is flat enough."""
    if len(control) == 2:
        return control
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = control
    ex, ey = dx - ax, dy - ay
    allowed = flatness * math.hypot(ex, ey)
    stray_b = abs((bx - ax) * ey - (by - ay) * ex)
    stray_c = abs((cx - ax) * ey - (cy - ay) * ex)
    if stray_b <= allowed and stray_c <= allowed:
        return [control[0], control[3]]
    abx, aby, bcx, bcy = (ax + bx) / 2, (ay + by) / 2, (bx + cx) / 2, (by + cy) / 2
    cdx, cdy = (cx + dx) / 2, (cy + dy) / 2
    abcx, abcy, bcdx, bcdy = (abx + bcx) / 2, (aby + bcy) / 2, (bcx + cdx) / 2, (bcy + cdy) / 2
    middle = ((abcx + bcdx) / 2, (abcy + bcdy) / 2)
    first = _flatten([control[0], (abx, aby), (abcx, abcy), middle], flatness)
    second = _flatten([middle, (bcdx, bcdy), (cdx, cdy), control[3]], flatness)
    return first + second[1:]


def _displace(image: np.ndarray, waves: tuple[Wave, ...], rng: Rng) -> np.ndarray:
    """Move the pixels of an image (H, W) or (H, W, 3) by the sum of all waves."""
    if not waves:
        return image
    height, width = image.shape[:2]
    x, y = _grid(height, width)
    row, column = x[:1], y[:, :1]
    map_x, map_y = x.copy(), y.copy()
    for wave in waves:
        amplitude = _between(rng, wave.amplitude)
        pace = 2 * math.pi / _between(rng, wave.wavelength)
        phase = math.radians(_between(rng, wave.phase))
        if wave.kind == "x":
            map_x += amplitude * np.sin(pace * column + phase)
        elif wave.kind == "y":
            map_y += amplitude * np.sin(pace * row + phase)
        else:
            dx = row - _between(rng, wave.centre[0]) * width
            dy = column - _between(rng, wave.centre[1]) * height
            distance = np.sqrt(dx * dx + (dy * dy + 1e-3))
            move = np.sin(pace * distance + phase)
            move *= amplitude / distance
            if wave.radius:
                move *= np.maximum(1 - distance * (1 / wave.radius), 0)
            map_x += move * dx
            map_y += move * dy
    return cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


_OUTLINE = np.array([[-1, 0, -1], [0, 4, 0], [-1, 0, -1]], np.float32)


def _develop(image: np.ndarray, style: Style, rng: Rng) -> np.ndarray:
    """Invert, outline, tint and change the contrast of an image (H, W, 3), as the style says."""
    if rng.random() < style.negative:
        image = 255 - image
    if rng.random() < style.outline:
        image = cv2.filter2D(image, -1, _OUTLINE, delta=127)
    tint = _colour((-style.tint, style.tint), rng) if rng.random() < style.tinted else (0, 0, 0)
    if style.contrast == (1.0, 1.0) and not any(tint):
        return image
    values = (np.arange(256.0)[:, None] - 127.5) * _between(rng, style.contrast) + 127.5
    return cv2.LUT(image, np.clip(values + tint, 0, 255).astype(np.uint8)[None])
