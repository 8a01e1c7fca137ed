"""Draw CAPTCHAs: a style and a seed go in, images and labels come out.

The same style, seed and number give the same pixels, whatever was drawn before:

>>> images, labels = generate("stars", 2, seed=1)
>>> images.shape, images.dtype
((2, 32, 104, 3), dtype('uint8'))
>>> later, _ = generate("stars", 1, seed=1, start=1)
>>> bool((later[0] == images[1]).all())
True

Each character is kept as a distance field: for every pixel of a large drawing, how far inside or
outside the letter it lies. A field can be rotated, bent and resized in one step, stays sharp, and
makes strokes thicker or thinner by adding a number.

Geometry is done with complex numbers, x + y·1j: there are only a few points an image, and Python
turns, moves and halves them faster than NumPy does.
"""

from __future__ import annotations

import cmath
import importlib.util
import math
from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from captcha_helpers.core.extras import needs
from captcha_helpers.drawing.styles import Stroke, Style, Wave, get_style

try:
    import cv2 as cv2  # the alias says that other modules may take it from here
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError(needs("Drawing images needs OpenCV", "train")) from error

_EM = 128  # size in pixels at which the distance fields are made
_FONT_FILES = (".ttf", ".otf", ".woff", ".woff2")
_IN_NO_FONT = "\U0010fffd"  # for private use, so fonts leave it out
_PAD = 12  # pixels around a character in its field
_REACH = 8  # a field tells distances of up to so many pixels
FIELD_SCALE = _REACH / 127.5 / _EM  # em that a step of 1 in a field means
_EDGE = 0.9  # pixels that OpenCV's antialiasing adds to a line's thickness
_SHIFT = 4  # OpenCV takes coordinates in 1/2**4 pixel

_STAR = np.array(
    [
        [0, 1, 1, 0, 1, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 1, 1, 0, 1, 1, 0],
    ]
)
_STAR_Y, _STAR_X = _STAR.nonzero()
_CORNERS = (-0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j, -0.5 + 0.5j)  # of a box of size 1, see Glyph.ends
_NO_PULL = (1.0,) * 4
_DOT = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_OUTLINE = np.array([[-1, 0, -1], [0, 4, 0], [-1, 0, -1]], np.float32)
_LEVELS = np.arange(256.0)[:, None] - 127.5  # every channel value, from middle grey

Rng = np.random.Generator


class Glyph(NamedTuple):
    """A character as a distance field; its measures are in em (1 is the font's size)."""

    field: np.ndarray  # (h, w) uint8: 0 far outside, 127.5 on the edge, 255 deep inside
    ends: np.ndarray  # (4, 2) float32: corners of the ink in the field
    bearing: float  # from the pen to the ink's left edge
    width: float  # of the ink
    top: float  # of the ink above the baseline
    bottom: float  # of the ink below the baseline; negative if it ends above


class _Jitter(NamedTuple):
    """How each character differs from its neighbours: n numbers from -1 to 1 a property."""

    drift: list[float]
    gap: list[float]
    turn: list[float]
    rise: list[float]
    weight: list[float]
    slant: list[float]
    size: list[float]


class _Box(NamedTuple):
    """The ink of a character that is still upright, in pixels."""

    left: float
    top: float
    width: float
    height: float


def font_file(name: str) -> Path:
    """Find the file of a font.

    Args:
        name: As in :class:`drawing.styles.Style`: a file name without ".ttf" of a font that
            comes with matplotlib, or "package:file"; or the path of a font's file.

    Returns:
        Its path.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If the package has no such font.

    Example:
        >>> font_file("DejaVuSans").name
        'DejaVuSans.ttf'
    """
    if name.endswith(_FONT_FILES) and Path(name).is_file():
        return Path(name)
    package, colon, file = name.partition(":")
    if not colon:
        package, file = "matplotlib", f"{name}.ttf"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(needs(f"Drawing images needs the fonts of {package}", "train"))
    inside = "files" if colon else "mpl-data/fonts/ttf"
    folder = Path(spec.submodule_search_locations[0], inside)
    path = folder / file
    if not path.exists():
        known = ", ".join(sorted(p.name if colon else p.stem for p in folder.glob("*.[ot]tf")))
        raise ValueError(
            f"{package} has no font {file if colon else name!r}; choose from: {known}."
        )
    return path


@lru_cache(maxsize=256)
def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_file(name)), _EM)


class _Ink(NamedTuple):
    """A character's pixels, and where they lie as seen from the pen."""

    pixels: np.ndarray  # (h, w) bool, with no empty row or column at its edges
    left: int
    top: int

    def same_as(self, other: _Ink) -> bool:
        """Whether the other is drawn in just the same way."""
        return (self.left, self.top) == (other.left, other.top) and np.array_equal(
            self.pixels, other.pixels
        )


def _ink(font: str, char: str) -> _Ink:
    left, top, right, bottom = map(int, _font(font).getbbox(char, anchor="ls"))
    left, top, right, bottom = left - 1, top - 1, right + 1, bottom + 1
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), char, 255, _font(font), anchor="ls")
    ink = np.asarray(image) > 127
    xs, ys = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(xs):
        return _Ink(ink[:0, :0], 0, 0)
    tight = ink[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    return _Ink(tight, left + int(xs[0]), top + int(ys[0]))


@lru_cache(maxsize=4096)
def _missing(font: str) -> _Ink:
    """What a font draws for every character that it lacks, often an empty box."""
    return _ink(font, _IN_NO_FONT)


def has_character(font: str, char: str) -> bool:
    """Whether a font has a character: it draws something, and not what it draws for all it lacks.

    Args:
        font: As in :func:`font_file`.
        char: One character.

    Raises:
        ImportError: The package that the font comes with is not installed.
        ValueError: There is no such font.

    Example:
        >>> has_character("DejaVuSans", "я"), has_character("DejaVuSans", "字")
        (True, False)
    """
    ink = _ink(font, char)
    return bool(ink.pixels.size) and not ink.same_as(_missing(font))


@lru_cache(maxsize=16384)
def glyph(font: str, char: str) -> Glyph:
    """A character of a font as a distance field.

    Args:
        font: As in :func:`font_file`.
        char: One character.

    Returns:
        The field and its measures. It is kept: 16,384 of them take some 200 MB.

    Raises:
        ImportError: The package that the font comes with is not installed.
        ValueError: There is no such font, or the font lacks the character.

    Example:
        >>> glyph("DejaVuSans", "l").width < glyph("DejaVuSans", "m").width
        True
    """
    ink = _ink(font, char)
    if not ink.pixels.size:
        raise ValueError(f"Font {font!r} draws nothing for {char!r}; take it out of the charset.")
    if ink.same_as(_missing(font)):
        raise ValueError(
            f"Font {font!r} has no character {char!r}; take it out of the charset or choose "
            "another font."
        )
    inside = np.pad(ink.pixels.astype(np.uint8), _PAD)
    # OpenCV measures to the middle of the nearest other pixel; the edge is half a pixel closer.
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - inside
    distance -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) - 0.5
    field = np.clip(127.5 * (1 + distance / _REACH), 0, 255).astype(np.uint8)
    h, w = field.shape
    ends = [[_PAD, _PAD], [w - _PAD, _PAD], [w - _PAD, h - _PAD], [_PAD, h - _PAD]]
    height, width = ink.pixels.shape
    return Glyph(
        field,
        np.array(ends, np.float32) - 0.5,
        bearing=ink.left / _EM,
        width=width / _EM,
        top=-ink.top / _EM,
        bottom=(ink.top + height) / _EM,
    )


def sample_label(style: Style, rng: Rng, exclude: Collection[str] = ()) -> str:
    """Draw a label: its length, then each character, independently and uniformly.

    Args:
        style: Says which characters and how many.
        rng: Where every random number comes from.
        exclude: Labels that are not drawn; a set is quick.

    Returns:
        The label.

    Raises:
        ValueError: If nearly every label is excluded.

    Example:
        >>> len(sample_label(get_style("stars"), np.random.default_rng(0)))
        6
    """
    for _ in range(1000):
        places = rng.random(_count(style.length, rng)) * len(style.charset)
        label = "".join([style.charset[place] for place in places.astype(int).tolist()])
        if label not in exclude:
            return label
    raise ValueError(
        f"1000 labels of the style {style.name!r} in a row were among the {len(exclude)} excluded "
        "ones: exclude fewer"
    )


def generate(
    style: Style | str,
    count: int,
    *,
    seed: int = 0,
    start: int = 0,
    exclude: Collection[str] = (),
) -> tuple[np.ndarray, list[str]]:
    """Draw images number `start` to `start + count - 1` of an endless data set.

    Args:
        style: A style, or the name of a preset.
        count: How many images.
        seed: Which data set; another seed gives other images.
        start: Number of the first image.
        exclude: Labels that are never drawn. Give the test labels here when you draw training
            images, and no string is on both sides.

    Returns:
        Images (B, H, W, C) uint8, where C is 4 for transparent styles and else 3, and B labels.
        Image i depends on the style, the seed, `start + i` and `exclude` only.

    Raises:
        ValueError: The style has an unknown name, a number is negative, or nearly every label
            is excluded.

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
    exclude = frozenset(exclude)
    images = np.empty((count, style.height, style.width, 4 if style.transparent else 3), np.uint8)
    labels = []
    for i in range(count):
        rng = np.random.default_rng([seed, start + i])
        labels.append(sample_label(style, rng, exclude))
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
    ink, letters = _coloured_letters(style, label, rng)
    # Two layers: where there is ink (`mask`), and of what colour (`paint`).
    mask = np.zeros((style.height, style.width), np.uint8)
    paint = None if style.transparent else _flat(style.height, style.width, ink)
    _draw_text(mask, paint, letters)
    if not style.waves_move_strokes:
        mask = _displace(mask, style.waves, rng)
    for stroke in style.strokes:
        if stroke.colour is None:
            _draw_strokes(mask, stroke, (0 if stroke.erases else 255,), rng)
    _draw_dots(mask, style, rng)
    if paint is None:
        black = np.zeros_like(mask)
        return cv2.merge([black, black, black, mask])
    background = _background(style, rng)
    for stroke in style.strokes:
        if stroke.colour is not None:
            _draw_strokes(background, stroke, _colour(stroke.colour, rng), rng)
    image = _blend(background, paint, mask)
    if style.waves_move_strokes:
        image = _displace(image, style.waves, rng)
    return _develop(image, style, rng)


def check_fonts(style: Style, characters: Iterable[str]) -> None:
    """Make sure that each font of a style has these characters, before many images are drawn.

    Args:
        style: The look.
        characters: Characters that will be drawn.

    Raises:
        ValueError: A font lacks a character, or there is no such font; the message names both.

    Example:
        >>> check_fonts(get_style("stars"), "0123")
    """
    for char in characters:
        for font in style.fonts:
            glyph(font, char)


def true_boxes(
    style: Style | str,
    count: int,
    *,
    seed: int = 0,
    start: int = 0,
    exclude: Collection[str] = (),
) -> list[np.ndarray]:
    """Say where the characters stand in the images that `generate` draws from the same arguments.

    To measure with how well characters are cut out, not to read: nobody gets these with a CAPTCHA.
    Where waves move the strokes too (`mixed`), the boxes are those from before the waves, which
    move the characters by a few pixels more.

    Args:
        style: A style, or the name of a preset.
        count: How many images.
        seed: Which data set.
        start: Number of the first image.
        exclude: Labels that are never drawn.

    Returns:
        For each image ``(L, 4)`` integers: left, top, right and bottom of each character's ink in
        pixels, in the label's order; right and bottom are the first pixels beyond.

    Raises:
        ValueError: The style has an unknown name, or nearly every label is excluded.

    Example:
        >>> boxes = true_boxes("stars", 4, seed=3)
        >>> len(boxes), boxes[0].shape
        (4, (6, 4))
    """
    if isinstance(style, str):
        style = get_style(style)
    exclude = frozenset(exclude)
    waves = () if style.waves_move_strokes else style.waves
    found = []
    for i in range(start, start + count):
        rng = np.random.default_rng([seed, i])
        label = sample_label(style, rng, exclude)
        layers = np.zeros((len(label), style.height, style.width), np.uint8)
        _, letters = _coloured_letters(style, label, rng)
        for layer, (ink, (x0, y0, x1, y1), _) in zip(layers, letters, strict=True):
            layer[y0:y1, x0:x1] = ink
        found.append(np.array([_ink_box(_displace(x, waves, deepcopy(rng))) for x in layers]))
    return found


def _ink_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the ink of a mask (H, W)."""
    left, top, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
    return left, top, left + width, top + height


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


def _all_between(rng: Rng, ranges: list[tuple[float, float]]) -> list[float]:
    shares = rng.random(len(ranges)).tolist()
    return [low + (high - low) * share for (low, high), share in zip(ranges, shares, strict=True)]


def _count(bounds: tuple[int, int], rng: Rng) -> int:
    low, high = bounds
    return low + int((high - low + 1) * rng.random())


def _colour(bounds: tuple[float, float], rng: Rng) -> tuple[float, ...]:
    return tuple(_all_between(rng, [bounds] * 3))


def _flat(height: int, width: int, colour: tuple[float, ...]) -> np.ndarray:
    image = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (width, height), colour, cv2.FILLED)
    return image


def _blend(background: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put paint (H, W, 3) on a background (H, W, 3) where the mask (H, W) is 255."""
    share = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB).astype(np.uint16)
    return ((background * (255 - share) + paint * share + 127) // 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _background(style: Style, rng: Rng) -> np.ndarray:
    if style.gradient is None:
        background = _flat(style.height, style.width, _colour(style.background, rng))
    else:
        x, y = _grid(style.height, style.width)
        first, last = _between(rng, style.gradient[0]), _between(rng, style.gradient[1])
        grey = first + (x + y) * ((last - first) / (style.width + style.height))
        background = cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB)
    return _draw_stars(background, style, rng)


class _Letter(NamedTuple):
    """A character on the canvas."""

    ink: np.ndarray  # (h, w) uint8
    part: tuple[int, int, int, int]  # of the canvas: left, top, right and bottom pixel
    colour: tuple[float, ...] | None  # of its own


def _coloured_letters(
    style: Style, label: str, rng: Rng
) -> tuple[tuple[float, ...], list[_Letter]]:
    """Choose the colour of the text, draw its characters, and choose theirs."""
    common = _colour(style.ink, rng)
    own = style.ink_per_character and not style.transparent
    return common, [
        _Letter(ink, part, _colour(style.ink, rng) if own else None)
        for ink, part in _letters(style, label, rng)
    ]


def _draw_text(mask: np.ndarray, paint: np.ndarray | None, letters: Iterable[_Letter]) -> None:
    for ink, (x0, y0, x1, y1), colour in letters:
        part = mask[y0:y1, x0:x1]
        cv2.max(part, ink, part)
        if colour is not None and paint is not None:
            flat = _flat(y1 - y0, x1 - x0, tuple(map(int, colour)))
            cv2.copyTo(flat, ink, paint[y0:y1, x0:x1])


def _letters(
    style: Style, label: str, rng: Rng
) -> Iterator[tuple[np.ndarray, tuple[int, int, int, int]]]:
    """Draw each character by itself.

    Yields:
        Its ink (h, w) uint8, and the part of the canvas that this is: left, top, right and bottom
        pixel.
    """
    fonts = [
        style.fonts[_count((0, len(style.fonts) - 1), rng)]
        for _ in range(len(label) if style.font_per_character else 1)
    ]
    glyphs = [glyph(fonts[i % len(fonts)], char) for i, char in enumerate(label)]
    jitter = _Jitter(*(2 * rng.random((len(_Jitter._fields), len(label))) - 1).tolist())
    size = _between(rng, style.font_size)
    sizes = [size * (1 + style.size_jitter * change) for change in jitter.size]
    boxes = _boxes(style, glyphs, sizes, jitter, rng)
    quads = _quads(style, boxes, jitter, rng)
    outline = 0 if style.hollow is None else _between(rng, style.hollow)
    for i, character in enumerate(glyphs):
        ends, (x0, y0, x1, y1) = _place(quads[i], style)
        matrix = cv2.getPerspectiveTransform(character.ends, ends)
        field = cv2.warpPerspective(character.field, matrix, (x1 - x0, y1 - y0))
        # The field's slope, times this, is 255 a pixel: from paper to ink within one pixel.
        gain = sizes[i] / _EM * 2 * _REACH
        weight = _spread(style.weight, jitter.weight[i])
        ink = cv2.addWeighted(field, gain, field, 0, 127.5 * (1 - gain) + 255 * weight)
        if outline:
            inside = 127.5 * (1 - gain) + 255 * (weight - outline)
            ink = cv2.subtract(ink, cv2.addWeighted(field, gain, field, 0, inside))
        yield ink, (x0, y0, x1, y1)


def _spread(bounds: tuple[float, float], jitter: float) -> float:
    """A value of a range, from a number between -1 and 1."""
    low, high = bounds
    return low + (high - low) * (1 + jitter) / 2


def _boxes(
    style: Style, glyphs: list[Glyph], sizes: list[float], jitter: _Jitter, rng: Rng
) -> list[_Box]:
    """Where the ink of upright characters lies."""
    stretch = _between(rng, style.stretch)
    widths = [glyph.width * size * stretch for glyph, size in zip(glyphs, sizes, strict=True)]
    tops = [glyph.top * size for glyph, size in zip(glyphs, sizes, strict=True)]
    bottoms = [glyph.bottom * size for glyph, size in zip(glyphs, sizes, strict=True)]
    if style.pitch is None:
        gaps = [_spread(style.gap, change) for change in jitter.gap[:-1]]
        steps = [width + gap for width, gap in zip(widths, [*gaps, 0], strict=True)]
        offsets = [
            glyph.bearing * size * stretch for glyph, size in zip(glyphs, sizes, strict=True)
        ]
    else:
        steps = [_between(rng, style.pitch)] * len(glyphs)
        offsets = [(step - width) / 2 for step, width in zip(steps, widths, strict=True)]
    start = None if style.start is None else _between(rng, style.start)
    steps = _squeeze(steps, style.width - 2 * max(style.margin, 0) - (start or 0))
    ends = list(accumulate(steps))
    if start is None:
        start = (style.width - ends[-1]) / 2
    if style.baseline is None:
        baseline = (style.height + max(tops) - max(bottoms)) / 2
    else:
        baseline = _between(rng, style.baseline)
    return [
        _Box(
            left=start + ends[i] - steps[i] + offsets[i] + style.drift * jitter.drift[i],
            top=baseline + style.rise * jitter.rise[i] - tops[i],
            width=widths[i],
            height=tops[i] + bottoms[i],
        )
        for i in range(len(glyphs))
    ]


def _squeeze(steps: list[float], room: float) -> list[float]:
    """Shorten all steps but the last, so that together they fit into the room."""
    excess = sum(steps) - room
    if excess <= 0 or len(steps) == 1:
        return steps
    return [step - excess / (len(steps) - 1) for step in steps[:-1]] + steps[-1:]


def _quads(style: Style, boxes: list[_Box], jitter: _Jitter, rng: Rng) -> list[list[complex]]:
    """The corners of each box after it was bent, slanted and rotated."""
    pulls = [[_NO_PULL] * len(boxes)] * 2
    if style.warp:
        pulls = (1 - style.warp * rng.random((2, len(boxes), 4))).tolist()
    quads = []
    for i, (box, *pull) in enumerate(zip(boxes, *pulls, strict=True)):
        middle = complex(box.left + box.width / 2, box.top + box.height / 2)
        slant = math.tan(math.radians(style.shear) * jitter.slant[i])
        turn = cmath.rect(1, math.radians(style.rotation) * jitter.turn[i])
        quad = []
        for corner, pull_x, pull_y in zip(_CORNERS, *pull, strict=True):
            y = corner.imag * pull_y * box.height
            x = corner.real * pull_x * box.width - y * slant
            quad.append(turn * complex(x, y) + middle)
        quads.append(quad)
    return quads


def _place(quad: list[complex], style: Style) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Move a character into the canvas if need be.

    Returns:
        The part of the canvas that it takes up, with room for a thicker stroke, as left, top, right
        and bottom pixel; before it the corners (4, 2) float32, counted from that part's corner.
    """
    xs, ys = [corner.real for corner in quad], [corner.imag for corner in quad]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    move_x = _move(left, right, style.width, max(style.margin, 0))
    move_y = _move(top, bottom, style.height, style.margin)
    x0, y0 = int(max(left + move_x - 2, 0)), int(max(top + move_y - 2, 0))
    x1 = int(min(right + move_x + 3, style.width))
    y1 = int(min(bottom + move_y + 3, style.height))
    move, origin = complex(move_x, move_y), complex(x0 + 0.5, y0 + 0.5)
    ends = np.array([corner + move - origin for corner in quad], np.complex64)
    return ends.view(np.float32).reshape(4, 2), (x0, y0, x1, y1)


def _move(low: float, high: float, size: float, margin: float) -> float:
    """How far an interval has to move to lie between margin and size - margin."""
    move = margin - low if low < margin else 0
    beyond = size - margin - move - high
    return move + beyond if beyond < 0 else move


def _draw_stars(background: np.ndarray, style: Style, rng: Rng) -> np.ndarray:
    count = _count(style.stars, rng)
    if count == 0:
        return background
    low, high = style.star_colour
    colours = (low + (high - low) * rng.random((count, 1, 3))).astype(np.uint8)
    places = (rng.random((count, 2)) * (style.width, style.height)).astype(int)
    # A star may stick out at the right and at the bottom: draw on a larger sheet and cut it.
    h, w = _STAR.shape
    sheet = cv2.copyMakeBorder(background, 0, h, 0, w, cv2.BORDER_CONSTANT)
    sheet[places[:, 1:] + _STAR_Y, places[:, :1] + _STAR_X] = colours
    return sheet[: style.height, : style.width]


def _draw_dots(mask: np.ndarray, style: Style, rng: Rng) -> None:
    count = _count(style.dots, rng)
    if count == 0:
        return
    x, y = (rng.random((count, 2)) * (style.width, style.height)).astype(int).T
    dots = np.zeros_like(mask)
    dots[y, x] = 255
    cv2.max(mask, cv2.dilate(dots, _DOT), mask)


def _draw_strokes(image: np.ndarray, stroke: Stroke, colour: tuple[float, ...], rng: Rng) -> None:
    height, width = image.shape[:2]
    line = cv2.LINE_AA if stroke.smooth else cv2.LINE_8
    ranges = [*chain(*zip(stroke.x, stroke.y, strict=True)), *stroke.thickness]
    for _ in range(_count(stroke.count, rng)):
        values = iter(_all_between(rng, ranges))
        control = [complex(next(values) * width, next(values) * height) for _ in stroke.x]
        thickness = [max(value - _EDGE, 0.1) for value in values]
        for bar in _bars(_flatten(control, stroke.flatness), thickness):
            cv2.fillConvexPoly(image, bar, colour, line, _SHIFT)


def _bars(points: list[complex], thickness: list[float]) -> np.ndarray:
    """Corners (n, 4, 2) int32, in 1/2**_SHIFT pixel, of lines with square ends between points."""
    corners = []
    for i, (a, b) in enumerate(pairwise(points)):
        half = thickness[min(i, len(thickness) - 1)] / 2
        along = (b - a) * (half / max(abs(b - a), 1e-6))
        across = 1j * along
        first, last = a - along, b + along
        corners += [first + across, last + across, last - across, first - across]
    places = np.array(corners).view(np.float64).reshape(-1, 4, 2)
    return ((places - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _flatten(control: list[complex], flatness: float) -> list[complex]:
    """A straight line or cubic Bézier curve as points, halved until each piece is flat enough."""
    if len(control) == 2:
        return control
    a, b, c, d = control
    chord = d - a
    allowed = flatness * abs(chord)
    across = chord.conjugate()  # the imaginary part of across * v: how far v leads off the chord
    if abs((across * (b - a)).imag) <= allowed and abs((across * (c - a)).imag) <= allowed:
        return [a, d]
    ab, bc, cd = (a + b) / 2, (b + c) / 2, (c + d) / 2
    abc, bcd = (ab + bc) / 2, (bc + cd) / 2
    middle = (abc + bcd) / 2
    return _flatten([a, ab, abc, middle], flatness)[:-1] + _flatten([middle, bcd, cd, d], flatness)


class _Ring(NamedTuple):
    """The columns of an image that a ring wave moves, and where their pixels lie."""

    columns: slice
    dx: np.ndarray  # (1, w) from the centre
    dy: np.ndarray  # (h, 1)
    distance: np.ndarray  # (h, w)
    strength: np.ndarray | float  # from 1 in the centre to 0 where the wave has died out


@lru_cache(maxsize=8)
def _ring(height: int, width: int, centre: tuple[float, float], radius: float) -> _Ring:
    columns = slice(0, width)
    if radius:
        columns = slice(max(0, int(centre[0] - radius)), math.ceil(centre[0] + radius) + 1)
    x, y = _grid(height, width)
    dx, dy = x[:1, columns] - centre[0], y[:, :1] - centre[1]
    distance = np.sqrt(dx * dx + (dy * dy + 1e-3))
    strength = np.maximum(1 - distance * (1 / radius), 0) if radius else 1.0
    return _Ring(columns, dx, dy, distance, strength)


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
            centre = _between(rng, wave.centre[0]) * width, _between(rng, wave.centre[1]) * height
            ring = _ring(height, width, centre, wave.radius)
            move = np.sin(pace * ring.distance + phase)
            move *= amplitude / ring.distance
            move *= ring.strength
            map_x[:, ring.columns] += move * ring.dx
            map_y[:, ring.columns] += move * ring.dy
    if image.ndim == 3:  # OpenCV moves four channels in half the time that it needs for three
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    image = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)


def _develop(image: np.ndarray, style: Style, rng: Rng) -> np.ndarray:
    """Invert, outline, tint and change the contrast of an image (H, W, 3), as the style says."""
    if rng.random() < style.negative:
        image = 255 - image
    if rng.random() < style.outline:
        image = cv2.filter2D(image, -1, _OUTLINE, delta=127)
    tint = _colour((-style.tint, style.tint), rng) if rng.random() < style.tinted else (0, 0, 0)
    if style.contrast == (1.0, 1.0) and not any(tint):
        return image
    levels = _LEVELS * _between(rng, style.contrast) + 127.5
    if any(tint):
        levels = levels + tint
    return cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)[None])
