"""Draw CAPTCHAs: a style and a seed go in, images and labels come out.

The same style, seed and number give the same pixels, whatever was drawn before:

>>> images, labels = generate("stars", 2, seed=1)
>>> images.shape, images.dtype
((2, 32, 104, 3), dtype('uint8'))
>>> later, _ = generate("stars", 1, seed=1, start=1)
>>> bool((later[0] == images[1]).all())
True

Each character is kept as a signed distance field: for every pixel of a large drawing, how far inside
(positive) or outside (negative) the nearest edge is. A field can be turned, bent and resized in one
step, stays sharp, and makes strokes thicker or thinner by adding a number.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from captcha_helpers.styles import Range, Stroke, Style, Wave, get_style

try:
    import cv2
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "Drawing images needs OpenCV. Install it with: pip install opencv-python-headless"
    ) from error

_EM = 128  # size in pixels at which the distance fields are made
_PAD = 16  # pixels around a character in its field
_EDGE = 0.9  # pixels that OpenCV's antialiasing adds to a shape's thickness
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


class _Glyph(NamedTuple):
    """A character, `_EM` pixels large."""

    field: np.ndarray  # (h, w) float32, pixels to the nearest edge, positive inside
    bearing: float  # from the pen to the ink's left edge, in em
    width: float  # of the ink, in em
    top: float  # of the ink above the baseline, in em
    bottom: float  # of the ink below the baseline, in em (negative: it ends above)


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "The fonts come from matplotlib, which is not installed. "
            "Install it with: pip install matplotlib"
        )
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


@lru_cache(maxsize=None)
def _font(name: str) -> ImageFont.FreeTypeFont:
    path = _font_folder() / f"{name}.ttf"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.ttf")))
        raise ValueError(f"matplotlib has no font {name!r}; choose from: {known}.")
    return ImageFont.truetype(str(path), _EM)


@lru_cache(maxsize=4096)
def _glyph(font: str, char: str) -> _Glyph:
    image = Image.new("L", (4 * _EM, 4 * _EM))
    pen = (_EM, 2 * _EM)
    ImageDraw.Draw(image).text(pen, char, 255, _font(font), anchor="ls")
    ink = np.asarray(image) > 127
    if not ink.any():
        raise ValueError(f"Font {font!r} draws nothing for {char!r}; leave it out of the charset.")
    ys, xs = np.where(ink)
    left, right, top, bottom = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    inside = ink[top - _PAD : bottom + _PAD, left - _PAD : right + _PAD].astype(np.uint8)
    field = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    field -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return _Glyph(
        field,
        bearing=(left - pen[0]) / _EM,
        width=(right - left) / _EM,
        top=(pen[1] - top) / _EM,
        bottom=(bottom - pen[1]) / _EM,
    )


def _between(rng: np.random.Generator, bounds: Range, size: int | None = None) -> np.ndarray:
    low, high = bounds
    return low + (high - low) * rng.random(size)


def sample_label(style: Style, rng: np.random.Generator) -> str:
    """Draw a label: its length, then each character, independently and uniformly.

    >>> sample_label(get_style("stars"), np.random.default_rng(0))
    '652305'
    """
    low, high = style.length
    length = low if low == high else int(rng.integers(low, high + 1))
    return "".join(style.charset[i] for i in rng.integers(len(style.charset), size=length))


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


def draw(style: Style, label: str, rng: np.random.Generator) -> np.ndarray:
    """Draw one image of a label.

    Args:
        style: The look.
        label: The text, made of the style's characters.
        rng: Where every random number comes from.

    Returns:
        The image (H, W, C) uint8; C is 4 (RGBA) for transparent styles and else 3 (RGB).

    Raises:
        ValueError: The label is empty, too short or long, or has characters that the style lacks.

    >>> draw(get_style("classic"), "2031", np.random.default_rng(0)).shape
    (100, 120, 3)
    """
    _check_label(style, label)
    image = _ground(style, rng)
    ink = _between(rng, style.ink, 3)
    _draw_stars(image, style, rng)
    for stroke in style.strokes:
        if stroke.behind:
            _draw_strokes(image, stroke, ink, rng)
    _draw_text(image, style, label, ink, rng)
    if not style.waves_move_strokes:
        image = _displace(image, style.waves, rng)
    for stroke in style.strokes:
        if not stroke.behind:
            _draw_strokes(image, stroke, ink, rng)
    if style.waves_move_strokes:
        image = _displace(image, style.waves, rng)
    _draw_dots(image, style, ink, rng)
    image = _develop(image, style, rng)
    if style.transparent:
        alpha = 255 - image[..., :1]
        return np.concatenate([np.zeros_like(image), alpha], axis=2)
    return image


def _check_label(style: Style, label: str) -> None:
    low, high = style.length
    if not low <= len(label) <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        raise ValueError(
            f"Label {label!r} has {len(label)} characters; style {style.name!r} draws {wanted}."
        )
    for char in label:
        if char not in style.charset:
            raise ValueError(
                f"Label {label!r} has {char!r}, which style {style.name!r} does not draw; "
                f"its characters are {style.charset!r}."
            )


@lru_cache(maxsize=32)
def _ramp(height: int, width: int) -> np.ndarray:
    x = np.arange(width, dtype=np.float32) + np.arange(height, dtype=np.float32)[:, None]
    return (x / x.max())[..., None]


def _ground(style: Style, rng: np.random.Generator) -> np.ndarray:
    if style.gradient is not None:
        first, last = _between(rng, style.gradient[0]), _between(rng, style.gradient[1])
        grey = first + (last - first) * _ramp(style.height, style.width)
        return np.repeat(grey.astype(np.uint8), 3, axis=2)
    image = np.empty((style.height, style.width, 3), np.uint8)
    image[:] = _between(rng, style.background, 3).astype(np.uint8)
    return image


def _draw_text(
    image: np.ndarray, style: Style, label: str, ink: np.ndarray, rng: np.random.Generator
) -> None:
    n = len(label)
    font = style.fonts[rng.integers(len(style.fonts))]
    glyphs = [_glyph(font, char) for char in label]
    sizes = _between(rng, style.font_size) * _between(
        rng, (1 - style.size_jitter, 1 + style.size_jitter), n
    )
    stretch = _between(rng, style.stretch)
    widths = sizes * stretch * [g.width for g in glyphs]
    lefts = _place(style, widths, rng) + sizes * stretch * [g.bearing for g in glyphs]
    if style.baseline is None:
        low = max(s * g.top for s, g in zip(sizes, glyphs, strict=True))
        deep = max(s * g.bottom for s, g in zip(sizes, glyphs, strict=True))
        baseline = (style.height + low - deep) / 2
    else:
        baseline = _between(rng, style.baseline)
    baselines = baseline + _between(rng, (-style.rise, style.rise), n)
    angles = _between(rng, (-style.rotation, style.rotation), n)
    shears = np.tan(np.radians(_between(rng, (-style.shear, style.shear), n)))
    weights = _between(rng, style.weight, n)
    pulls = style.warp * rng.random((n, 4, 2)) if style.warp else [None] * n
    for i, glyph in enumerate(glyphs):
        colour = _between(rng, style.ink, 3) if style.ink_per_character else ink
        top, bottom = baselines[i] - sizes[i] * glyph.top, baselines[i] + sizes[i] * glyph.bottom
        corners = _corners(lefts[i], top, widths[i], bottom - top, angles[i], shears[i], pulls[i])
        corners += _shift_inside(corners, style)
        _draw_glyph(image, glyph, corners, sizes[i] / _EM, weights[i], colour)


def _place(style: Style, widths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the pen stands for each character, squeezed together if they would not fit."""
    gaps = _between(rng, style.gap, len(widths))
    gaps[-1] = 0.0
    start = _between(rng, style.start) if style.start else None
    room = style.width - 2 * max(style.margin, 0) - (start or 0)
    excess = (widths + gaps).sum() - room
    if excess > 0 and len(widths) > 1:
        gaps[:-1] -= excess / (len(widths) - 1)
    if start is None:
        start = (style.width - (widths + gaps).sum()) / 2
    return start + np.concatenate([[0.0], np.cumsum(widths + gaps)[:-1]])


def _corners(
    left: float,
    top: float,
    width: float,
    height: float,
    angle: float,
    shear: float,
    pull: np.ndarray | None,
) -> np.ndarray:
    """Corners (4, 2) of a character's tilted box: top left, top right, bottom right, bottom left."""
    box = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    if pull is not None:
        box -= np.sign(box) * pull
    box *= (width, height)
    box[:, 0] -= shear * box[:, 1]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return box @ np.array([[cos, sin], [-sin, cos]]) + (left + width / 2, top + height / 2)


def _shift_inside(corners: np.ndarray, style: Style) -> np.ndarray:
    """How far (x, y) a character must move to keep the style's margin."""
    size = np.array([style.width, style.height])
    margin = np.array([max(style.margin, 0.0), style.margin])
    under = np.maximum(margin - corners.min(axis=0), 0)
    over = np.maximum(corners.max(axis=0) - (size - margin), 0)
    return under - over


def _draw_glyph(
    image: np.ndarray,
    glyph: _Glyph,
    corners: np.ndarray,
    scale: float,
    weight: float,
    ink: np.ndarray,
) -> None:
    h, w = glyph.field.shape
    ends = np.array(
        [[_PAD, _PAD], [w - _PAD, _PAD], [w - _PAD, h - _PAD], [_PAD, h - _PAD]], np.float32
    )
    low = np.maximum(np.floor(corners.min(axis=0) - 2), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) + 2), image.shape[1::-1]).astype(int)
    (x0, y0), (x1, y1) = low, high
    matrix = cv2.getPerspectiveTransform(ends - 0.5, (corners - low - 0.5).astype(np.float32))
    field = cv2.warpPerspective(
        glyph.field, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_CONSTANT, borderValue=-_PAD
    )
    mask = np.clip(field * scale + (0.5 + weight), 0, 1)[..., None]
    part = image[y0:y1, x0:x1]
    part += (mask * (ink - part)).astype(np.int16).astype(np.uint8)


def _draw_stars(image: np.ndarray, style: Style, rng: np.random.Generator) -> None:
    if style.stars[1] == 0:
        return
    count = rng.integers(style.stars[0], style.stars[1] + 1)
    h, w = _STAR.shape
    xs = rng.integers(-w // 2, style.width - w // 2, size=count)
    ys = rng.integers(-h // 2, style.height - h // 2, size=count)
    colours = _between(rng, style.star_colour, 3 * count).reshape(count, 3).astype(np.uint8)
    for x, y, colour in zip(xs, ys, colours, strict=True):
        x0, y0 = max(x, 0), max(y, 0)
        part = image[y0 : y + h, x0 : x + w]
        part[_STAR[y0 - y :, x0 - x :][: part.shape[0], : part.shape[1]]] = colour


def _draw_dots(image: np.ndarray, style: Style, ink: np.ndarray, rng: np.random.Generator) -> None:
    if style.dots[1] == 0:
        return
    count = rng.integers(style.dots[0], style.dots[1] + 1)
    for x, y in rng.random((count, 2)) * (style.width, style.height):
        cv2.circle(image, (int(x), int(y)), 1, ink.tolist(), -1)


def _draw_strokes(
    image: np.ndarray, stroke: Stroke, ink: np.ndarray, rng: np.random.Generator
) -> None:
    height, width = image.shape[:2]
    low, high = stroke.count
    ys = stroke.y if isinstance(stroke.y[0], tuple) else (stroke.y,) * len(stroke.x)
    line_type = cv2.LINE_AA if stroke.smooth else cv2.LINE_8
    for _ in range(low if low == high else int(rng.integers(low, high + 1))):
        colour = ink if stroke.colour is None else _between(rng, stroke.colour, 3)
        control = [
            (_between(rng, x) * width, _between(rng, y) * height)
            for x, y in zip(stroke.x, ys, strict=True)
        ]
        points = np.array(_flatten(control, stroke.flatness))
        for i, (a, b) in enumerate(zip(points[:-1], points[1:], strict=True)):
            if i < len(stroke.thickness):
                thickness = _between(rng, stroke.thickness[i])
            _draw_piece(image, a, b, thickness, colour, line_type)


def _draw_piece(
    image: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    thickness: float,
    colour: np.ndarray,
    line_type: int,
) -> None:
    along = (b - a) / max(np.hypot(*(b - a)), 1e-6) * (thickness - _EDGE) / 2
    across = np.array([-along[1], along[0]])
    a, b = a - along, b + along
    corners = np.array([a + across, b + across, b - across, a - across]) - 0.5
    corners = np.round(corners * 2**_SHIFT).astype(np.int32)
    cv2.fillConvexPoly(image, corners, colour.tolist(), line_type, _SHIFT)


Point = tuple[float, float]


def _flatten(control: list[Point], flatness: float) -> list[Point]:
    """A Bézier curve as points joined by straight pieces, halved until each is flat enough."""
    (x0, y0), (x1, y1) = control[0], control[-1]
    dx, dy = x1 - x0, y1 - y0
    span = max(dx * dx + dy * dy, 1e-9)
    stray = 0.0
    for x, y in control[1:-1]:
        t = min(max(((x - x0) * dx + (y - y0) * dy) / span, 0.0), 1.0)
        stray = max(stray, (x - x0 - t * dx) ** 2 + (y - y0 - t * dy) ** 2)
    if stray <= flatness**2:
        return [control[0], control[-1]]
    left, right, level = [control[0]], [control[-1]], control
    while len(level) > 1:
        level = [
            ((ax + bx) / 2, (ay + by) / 2)
            for (ax, ay), (bx, by) in zip(level[:-1], level[1:], strict=True)
        ]
        left.append(level[0])
        right.append(level[-1])
    return _flatten(left, flatness) + _flatten(right[::-1], flatness)[1:]


@lru_cache(maxsize=32)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _displace(image: np.ndarray, waves: tuple[Wave, ...], rng: np.random.Generator) -> np.ndarray:
    """Move the pixels of an image (H, W, 3) by the sum of all waves."""
    if not waves:
        return image
    height, width = image.shape[:2]
    x, y = _grid(height, width)
    map_x, map_y = x.copy(), y.copy()
    for wave in waves:
        amplitude = np.float32(_between(rng, wave.amplitude))
        turns = np.float32(2 * np.pi / _between(rng, wave.wavelength))
        phase = np.float32(np.radians(_between(rng, wave.phase)))
        if wave.kind == "x":
            map_x += amplitude * np.sin(turns * y[:, :1] + phase)
        elif wave.kind == "y":
            map_y += amplitude * np.sin(turns * x[:1] + phase)
        else:
            dx = x - np.float32(_between(rng, wave.centre[0]) * width)
            dy = y - np.float32(_between(rng, wave.centre[1]) * height)
            distance = np.sqrt(dx * dx + dy * dy) + np.float32(1e-3)
            move = amplitude * np.sin(turns * distance + phase) / distance
            if wave.radius:
                move *= np.maximum(1 - distance / np.float32(wave.radius), 0)
            map_x += move * dx
            map_y += move * dy
    return cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _develop(image: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Invert, outline, tint and compress an image (H, W, 3), as the style says."""
    if style.negative and rng.random() < style.negative:
        image = 255 - image
    if style.outline and rng.random() < style.outline:
        kernel = np.array([[-1, 0, -1], [0, 4, 0], [-1, 0, -1]], np.float32)
        image = cv2.filter2D(image, -1, kernel, delta=127)
    if style.contrast != (1.0, 1.0):
        factor = _between(rng, style.contrast)
        image = cv2.convertScaleAbs(
            (image - 127.5).clip(-127.5 / factor, 127.5 / factor), alpha=factor, beta=127.5
        )
    if style.tinted and rng.random() < style.tinted:
        shift = _between(rng, (-style.tint, style.tint), 3)
        image = np.clip(image + shift, 0, 255).astype(np.uint8)
    if style.jpeg_quality is not None:
        quality = int(rng.integers(style.jpeg_quality[0], style.jpeg_quality[1] + 1))
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return image
