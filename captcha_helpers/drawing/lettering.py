"""The letters of a CAPTCHA: where they stand, how they are inked, and what is done to each.

`LAYOUTS` says where letters stand, as data. `INKS` turns a letter's distance field into ink,
`TEXTURES` are patterns that the ink is cut by, and `EFFECTS` add what goes with a letter: a shadow,
a rim, a tile under it. Letters are drawn on a sheet ``(H, W, 4)``: colour times coverage, and the
coverage itself, so that sheets can be bent before they are laid on a background.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from captcha_helpers.drawing.backgrounds import noise_map
from captcha_helpers.drawing.dice import Rng, between, chance, pick
from captcha_helpers.drawing.painter import FIELD_SCALE, Glyph, cv2
from captcha_helpers.drawing.palettes import Colour, Palette, difference, mix
from captcha_helpers.drawing.styles import Range

_CORNERS = (-0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j, -0.5 + 0.5j)


@dataclass(frozen=True)
class Layout:
    """Where letters stand. Lengths are in em: 1 is the size of the font.

    Attributes:
        gap: Room between neighbours; negative lets them overlap.
        size_jitter: Letters are up to so much smaller or larger than the font's size.
        rise: Letters jump up or down by up to so much.
        rotation: Letters tilt by up to so many degrees to either side.
        shear: Letters slant by up to so many degrees.
        stretch: Range of a factor on the widths.
        pull: How far each corner of a letter's box is pulled inwards at most, of the box.
        arc: How far the middle of the text lies above or below its ends.
        slope: The line of text climbs or falls by up to so many degrees.
        tilted: All letters tilt the same way, instead of each its own.
        margin: Room left and right of the text, and above and below, of the font's size.
        cut: Letters may be cut off at the edges by up to so much.
        pitch: Letters stand in equal steps, as in a typewriter.
        mixed_fonts: Share of the images in which each letter has another font.
        above: More room above the text, of the font's size.
        below: More room below the text.
    """

    gap: Range = (0.0, 0.15)
    size_jitter: float = 0.0
    rise: float = 0.0
    rotation: float = 0.0
    shear: float = 0.0
    stretch: Range = (0.9, 1.1)
    pull: float = 0.0
    arc: float = 0.0
    slope: float = 0.0
    tilted: bool = False
    margin: tuple[Range, Range] = ((0.1, 0.8), (0.1, 0.5))
    cut: float = 0.0
    pitch: bool = False
    mixed_fonts: float = 0.0
    above: float = 0.0
    below: float = 0.0


LAYOUTS: dict[str, Layout] = {
    "plain": Layout(),
    "spaced": Layout(gap=(0.2, 0.6)),
    "typewriter": Layout(pitch=True, gap=(0.05, 0.4)),
    "filling": Layout(margin=((0.02, 0.1), (0.02, 0.08)), stretch=(0.8, 1.3)),
    "small": Layout(margin=((0.3, 2.5), (0.4, 1.1))),
    "jumping": Layout(rise=0.25, rotation=15, size_jitter=0.15, mixed_fonts=0.2),
    "rotated": Layout(gap=(0.05, 0.3), rise=0.08, rotation=38, size_jitter=0.1, mixed_fonts=0.2),
    "thrown": Layout(gap=(-0.15, 0.15), rise=0.2, rotation=70, size_jitter=0.1, mixed_fonts=0.2),
    "slanted": Layout(gap=(-0.03, 0.1), shear=25, tilted=True),
    "touching": Layout(gap=(-0.07, 0.01), rotation=8, rise=0.06),
    "overlapping": Layout(gap=(-0.14, -0.04), rotation=14, rise=0.1, size_jitter=0.1),
    "bent": Layout(gap=(-0.02, 0.15), pull=0.3, rotation=12, rise=0.1),
    "arched": Layout(gap=(0.02, 0.2), arc=0.6, rotation=4),
    "sloping": Layout(gap=(0.0, 0.15), slope=14, rotation=4),
    "mixed": Layout(gap=(0.0, 0.25), size_jitter=0.3, rise=0.15, rotation=20, mixed_fonts=1.0),
    "scattered": Layout(gap=(0.1, 0.5), rise=0.4, rotation=25, size_jitter=0.2, mixed_fonts=0.4),
    "far_apart": Layout(gap=(0.5, 1.3), rise=0.15, rotation=12, mixed_fonts=0.7),
    "cut_off": Layout(gap=(0.0, 0.12), cut=0.12, rotation=8, margin=((0.0, 0.1), (0.0, 0.1))),
    "narrow": Layout(gap=(-0.02, 0.08), stretch=(0.5, 0.75)),
    "line_above": Layout(above=0.5, rotation=6),
    "line_below": Layout(below=0.5, rotation=6),
    "wide": Layout(gap=(0.02, 0.15), stretch=(1.25, 1.8)),
}


def roughened(layout: Layout, rng: Rng) -> Layout:
    """Make letters harder to read: rotated further, pulled out of shape, or small in much space.

    Args:
        layout: How they stand.
        rng: Where every random number comes from.

    Returns:
        A layout in which nothing is smoother than before.

    Example:
        >>> rough = roughened(LAYOUTS["plain"], np.random.default_rng(0))
        >>> rough.rotation >= 0 and rough.pull >= 0
        True
    """
    sides, ends = layout.margin
    room = (between(rng, 0.3, 1.2), between(rng, 0.3, 1.2)) if chance(rng, 0.25) else (0.0, 0.0)
    return replace(
        layout,
        rotation=max(layout.rotation, between(rng, 10, 65) if chance(rng, 0.6) else 0.0),
        pull=max(layout.pull, between(rng, 0.1, 0.4) if chance(rng, 0.5) else 0.0),
        rise=max(layout.rise, between(rng, 0.05, 0.35) if chance(rng, 0.4) else 0.0),
        shear=max(layout.shear, between(rng, 5, 25) if chance(rng, 0.3) else 0.0),
        size_jitter=max(layout.size_jitter, between(rng, 0.05, 0.35) if chance(rng, 0.3) else 0.0),
        mixed_fonts=max(layout.mixed_fonts, 0.25),
        cut=layout.cut or (between(rng, 0.05, 0.2) if chance(rng, 0.1) else 0.0),
        margin=((sides[0], sides[1] + room[0]), (ends[0], ends[1] + room[0])),
        above=layout.above + room[1] * chance(rng, 0.5),
        below=layout.below + room[1] * chance(rng, 0.5),
    )


class Letter(NamedTuple):
    """A letter in its place."""

    distance: np.ndarray  # (h, w) float32: pixels to the letter's edge, positive inside
    x0: int  # the part of the canvas that this is
    y0: int
    x1: int
    y1: int
    quad: np.ndarray  # (4, 2) corners of its box on the canvas


def place_letters(
    layout: Layout, glyphs: Sequence[Glyph], size: float, rng: Rng
) -> tuple[list[Letter], int, int]:
    """Set letters in a line, and say how large a canvas they need.

    Args:
        layout: How they stand.
        glyphs: The letters.
        size: Size of the font in pixels.
        rng: Where every random number comes from.

    Returns:
        The letters, and height and width of the canvas in pixels.

    Example:
        >>> from captcha_helpers.drawing.painter import glyph
        >>> glyphs = [glyph("DejaVuSans", char) for char in "ab"]
        >>> letters, height, width = place_letters(
        ...     LAYOUTS["plain"], glyphs, 20.0, np.random.default_rng(0))
        >>> len(letters), letters[0].x0 < letters[1].x0
        (2, True)
    """
    sizes, quads = _line(layout, glyphs, size, rng)
    xs = [corner.real for quad in quads for corner in quad]
    ys = [corner.imag for quad in quads for corner in quad]
    margin = [size * between(rng, *layout.margin[side]) for side in (0, 0, 1, 1)]
    cut = [size * layout.cut * rng.random() for _ in range(4)] if layout.cut else [0.0] * 4
    left, right, top, bottom = (m - c for m, c in zip(margin, cut, strict=True))
    top, bottom = top + layout.above * size, bottom + layout.below * size
    text_height = max(ys) - min(ys)
    if text_height + top + bottom < 0.7 * size:  # a line of letters such as "." or "-"
        top = bottom = (0.7 * size - text_height) / 2
    width = max(right + left + max(xs) - min(xs), 1.1 * (text_height + top + bottom))
    spare = width - (right + left + max(xs) - min(xs))
    width, height = max(12, round(width)), max(10, round(text_height + top + bottom))
    move = complex(left + spare / 2 - min(xs), top - min(ys))
    letters = [
        letter
        for glyph, em, quad in zip(glyphs, sizes, quads, strict=True)
        if (letter := _cut_out(glyph, em, [corner + move for corner in quad], height, width))
    ]
    return letters, height, width


def _line(
    layout: Layout, glyphs: Sequence[Glyph], size: float, rng: Rng
) -> tuple[list[float], list[list[complex]]]:
    """The size of each letter, and its corners with the baseline at 0."""
    count = len(glyphs)
    jitter = (2 * rng.random((6, count)) - 1).tolist()
    sizes = [size * (1 + layout.size_jitter * change) for change in jitter[0]]
    stretch, gap = between(rng, *layout.stretch), between(rng, *layout.gap)
    slack = 0.25 * (layout.gap[1] - layout.gap[0])
    slope = math.radians(layout.slope) * between(rng, -1, 1)
    strength = rng.random() ** 0.5
    arc = layout.arc * between(rng, -1, 1) * size
    step = (0.62 * stretch + gap) * size
    pen, quads = 0.0, []
    for i, (glyph, em) in enumerate(zip(glyphs, sizes, strict=True)):
        width, height = glyph.width * em * stretch, (glyph.top + glyph.bottom) * em
        if layout.pitch:
            middle_x = i * max(step, 0.1)
        else:
            middle_x = pen + width / 2
            pen += width + (gap + slack * jitter[1][i] + 0.05) * size
        along = (i + 0.5) / count * 2 - 1
        middle_y = (glyph.bottom - glyph.top) * em / 2 + arc * (along * along)
        middle_y += layout.rise * jitter[2][i] * size + math.tan(slope) * middle_x
        turn = layout.rotation * jitter[3][i] * strength
        turn += math.degrees(slope + math.atan(2 * arc * along / max(size * count * 0.3, 1)) * 0.5)
        slant = layout.shear * (jitter[4][0] if layout.tilted else jitter[4][i])
        quads.append(
            _quad(complex(middle_x, middle_y), width, height, turn, slant, layout.pull, rng)
        )
    return sizes, quads


def _quad(
    middle: complex, width: float, height: float, turn: float, slant: float, pull: float, rng: Rng
) -> list[complex]:
    """The corners of a box after it was bent, slanted and rotated."""
    pulls = (1 - pull * rng.random((4, 2))).tolist() if pull else [(1.0, 1.0)] * 4
    lean, spin = math.tan(math.radians(slant)), cmath.rect(1, math.radians(turn))
    quad = []
    for corner, (pull_x, pull_y) in zip(_CORNERS, pulls, strict=True):
        y = corner.imag * pull_y * height
        quad.append(middle + spin * complex(corner.real * pull_x * width - y * lean, y))
    return quad


def _cut_out(
    glyph: Glyph, size: float, quad: list[complex], height: int, width: int
) -> Letter | None:
    """Bring a letter into its place; None if that lies outside of the canvas."""
    xs, ys = [corner.real for corner in quad], [corner.imag for corner in quad]
    room = 3 + 0.1 * size
    x0, y0 = max(int(min(xs) - room), 0), max(int(min(ys) - room), 0)
    x1, y1 = min(int(max(xs) + room + 1), width), min(int(max(ys) + room + 1), height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    corners = np.array([[corner.real, corner.imag] for corner in quad], np.float32)
    ends = corners - np.array([x0 + 0.5, y0 + 0.5], np.float32)
    matrix = cv2.getPerspectiveTransform(glyph.ends, ends)
    field = cv2.warpPerspective(glyph.field, matrix, (x1 - x0, y1 - y0))
    distance = (field.astype(np.float32) - 127.5) * (FIELD_SCALE * size)
    return Letter(distance, x0, y0, x1, y1, corners)


def over(sheet: np.ndarray, coverage: np.ndarray, colour: Colour | np.ndarray) -> None:
    """Draw on a part of a sheet.

    Args:
        sheet: ``(h, w, 4)`` uint8: colour times coverage, and coverage; it is changed.
        coverage: ``(h, w)`` uint8: how much of each pixel is drawn over.
        colour: One colour, or one for each pixel ``(h, w, 3)``.

    Example:
        >>> sheet = np.zeros((1, 1, 4), np.uint8)
        >>> over(sheet, np.array([[255]], np.uint8), (10, 20, 30))
        >>> sheet.tolist()
        [[[10, 20, 30, 255]]]
    """
    share = cv2.merge([coverage] * 4)
    if isinstance(colour, np.ndarray):
        paint = np.dstack([colour, np.full(coverage.shape, 255)]).astype(np.uint8)
        ink = cv2.multiply(share, paint, scale=1 / 255)
    else:
        tinted = [cv2.convertScaleAbs(coverage, None, value / 255) for value in colour]
        ink = cv2.merge([*tinted, coverage])
    sheet[:] = cv2.add(cv2.multiply(sheet, cv2.bitwise_not(share), scale=1 / 255), ink)


def _coverage(distance: np.ndarray) -> np.ndarray:
    """Ink (h, w) uint8 of distances in pixels: half a pixel to either side is grey."""
    return cv2.convertScaleAbs(np.clip(distance + 0.5, 0, 1), alpha=255)


Ink = Callable[[np.ndarray], np.ndarray]  # from distances to coverage (h, w) uint8


def _solid(size: float, rng: Rng) -> Ink:
    weight = between(rng, -0.01, 0.02) * size if chance(rng, 0.6) else 0.0
    return lambda distance: _coverage(distance + max(weight, _needed(distance)))


def _needed(distance: np.ndarray) -> float:
    """What makes strokes one pixel thick at least, in small images."""
    return 0.5 - float(distance.max())


def _bold(size: float, rng: Rng) -> Ink:
    weight = between(rng, 0.015, 0.045) * size
    return lambda distance: _coverage(distance + weight)


def _thin(size: float, rng: Rng) -> Ink:
    """Lighter than the font, but never so light that nothing is left."""
    share = between(rng, 0.3, 0.7)

    def ink(distance: np.ndarray) -> np.ndarray:
        deep = min(float(distance.max()), 0.06 * size)
        return _coverage(distance - share * deep + 0.15)

    return ink


def _hairline(size: float, rng: Rng) -> Ink:
    """Only the middle of each stroke, one pixel thin: where the distances stop to grow."""
    width, strength = between(rng, 0.35, 0.6), between(rng, 0.7, 1.0)

    def ink(distance: np.ndarray) -> np.ndarray:
        slope_x = cv2.Sobel(distance, -1, 1, 0, scale=0.125)
        slope_y = cv2.Sobel(distance, -1, 0, 1, scale=0.125)
        steep = cv2.magnitude(slope_x, slope_y)
        line = np.clip((0.78 - steep) * 4 * width, 0, 1) * np.clip(distance + 0.6, 0, 1)
        return np.asarray(line * (255 * strength), np.uint8)

    return ink


def _outline(size: float, rng: Rng) -> Ink:
    half = max(between(rng, 0.008, 0.03) * size, 0.5)
    return lambda distance: _coverage(half - np.abs(distance))


def _double_outline(size: float, rng: Rng) -> Ink:
    half, apart = max(0.009 * size, 0.4), max(0.04 * size, 1.6)

    def ink(distance: np.ndarray) -> np.ndarray:
        inner, outer = np.abs(distance - 0.2 * apart), np.abs(distance + 0.8 * apart)
        return _coverage(half - np.minimum(inner, outer))

    return ink


def _inline(size: float, rng: Rng) -> Ink:
    """A letter with a fine line left free inside of it."""
    depth, half = 0.022 * size, max(0.01 * size, 0.35)
    grow = 0.015 * size

    def ink(distance: np.ndarray) -> np.ndarray:
        gap = half - np.abs(distance + grow - depth - 1)
        return cv2.subtract(_coverage(distance + grow), _coverage(gap))

    return ink


def _jagged(size: float, rng: Rng) -> Ink:
    """No antialiasing at all."""
    weight = between(rng, -0.1, 0.5)
    return lambda distance: np.where(distance + max(weight, _needed(distance)) > 0, 255, 0).astype(
        np.uint8
    )


def _soft(size: float, rng: Rng) -> Ink:
    blur = between(rng, 1.0, 0.06 * size + 1.1)
    return lambda distance: cv2.convertScaleAbs(np.clip(distance / blur + 0.5, 0, 1), alpha=255)


def _eaten(size: float, rng: Rng) -> Ink:
    """Edges that were gnawed at."""
    strength = between(rng, 0.02, 0.05) * size
    seed = rng.bit_generator.random_raw() >> 1

    def ink(distance: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(seed).random(distance.shape, np.float32) - 0.5
        return _coverage(distance + strength * cv2.blur(noise, (2, 2)) * 2 + 0.01 * size)

    return ink


def _glassy(size: float, rng: Rng) -> Ink:
    """See-through ink."""
    alpha = between(rng, 120, 220)
    return lambda distance: cv2.convertScaleAbs(np.clip(distance + 0.5, 0, 1), alpha=alpha)


def _stitched(size: float, rng: Rng) -> Ink:
    """A dashed outline."""
    half, pace = max(0.014 * size, 0.6), 2 * math.pi / (between(rng, 0.12, 0.22) * size + 2)

    def ink(distance: np.ndarray) -> np.ndarray:
        h, w = distance.shape
        x, y = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)[:, None]
        gaps = np.clip(np.sin((x + 0.7 * y) * pace) + np.sin((y - 0.4 * x) * pace) + 0.9, 0, 1)
        return np.asarray(np.clip(half - np.abs(distance) + 0.5, 0, 1) * gaps * 255, np.uint8)

    return ink


INKS: dict[str, Callable[[float, Rng], Ink]] = {
    "solid": _solid,
    "bold": _bold,
    "thin": _thin,
    "hairline": _hairline,
    "outline": _outline,
    "double_outline": _double_outline,
    "inline": _inline,
    "jagged": _jagged,
    "soft": _soft,
    "eaten": _eaten,
    "glassy": _glassy,
    "stitched": _stitched,
}

Texture = Callable[[int, int, float, Rng], np.ndarray]  # (height, width) uint8: what is kept


def _lines_kept(height: int, width: int, angle: float, pitch: float, share: float) -> np.ndarray:
    x = np.arange(width, dtype=np.float32) * math.cos(angle)
    phase = (x + np.arange(height, dtype=np.float32)[:, None] * math.sin(angle)) % pitch
    edge = np.clip(share * pitch - phase + 0.5, 0, 1) * np.clip(phase + 0.5, 0, 1)
    return (255 * edge).astype(np.uint8)


def _hatched(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    angle = between(rng, 0, math.pi)
    pitch = between(rng, 2.2, max(2.4, 0.09 * size))
    return _lines_kept(height, width, angle, pitch, between(rng, 0.4, 0.65))


def _hatched_twice(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    angle, pitch = between(rng, 0.3, 1.2), between(rng, 3, max(3.2, 0.11 * size))
    first = _lines_kept(height, width, angle, pitch, 0.4)
    return cv2.max(first, _lines_kept(height, width, angle + math.pi / 2, pitch, 0.4))


def _dotted(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    pace = 2 * math.pi / between(rng, 2.6, max(2.8, 0.1 * size))
    angle = between(rng, 0, math.pi / 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    first = np.cos((x * math.cos(angle) + y * math.sin(angle)) * pace)
    second = np.cos((y * math.cos(angle) - x * math.sin(angle)) * pace)
    return np.asarray(np.clip(128 + 200 * (first + second + 0.25), 0, 255), np.uint8)


def _sprayed(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    kept = rng.random((height, width), np.float32) < between(rng, 0.45, 0.85)
    return kept.astype(np.uint8) * 255


def _pixelled(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    side = max(2, round(between(rng, 0.05, 0.08) * size))
    kept = rng.random((height // side + 1, width // side + 1)) < between(rng, 0.6, 0.85)
    large = (kept.astype(np.uint8) * 255).repeat(side, 0).repeat(side, 1)
    return np.ascontiguousarray(large[:height, :width])


def _short_strokes(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    kept = np.zeros((height, width), np.uint8)
    length = between(rng, 0.08, 0.2) * size
    count = min(int(height * width / length), 2000)
    places = rng.random((count, 3))
    x, y, angle = places[:, 0] * width, places[:, 1] * height, places[:, 2] * math.pi
    ends = np.stack([x, y, x + length * np.cos(angle), y + length * np.sin(angle)], 1)
    cv2.polylines(kept, list(ends.reshape(-1, 2, 2).astype(np.int32)), False, 255, 1)
    return kept


def _holed(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    kept = np.full((height, width), 255, np.uint8)
    count = int(height * width / (size * size) * between(rng, 8, 22))
    for x, y, radius in rng.random((count, 3)).tolist():
        large = int((1 + radius) * 0.035 * size * 4)
        cv2.circle(kept, (int(x * width * 4), int(y * height * 4)), large, 0, -1, cv2.LINE_AA, 2)
    return kept


def _sliced(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    """Cut by fine straight gaps."""
    pitch = between(rng, 0.15, 0.3) * size
    share = 1 - max(between(rng, 0.15, 0.3), 1.2 / pitch)
    return _lines_kept(height, width, between(rng, 0, math.pi), pitch, share)


def _scanned(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    """Every second or third row or column is missing."""
    kept = np.full((height, width), 255, np.uint8)
    step = pick(rng, (2, 3, 4))
    if chance(rng, 0.6):
        kept[::step] = 0
    else:
        kept[:, ::step] = 0
    return kept


def _faded(height: int, width: int, size: float, rng: Rng) -> np.ndarray:
    """Ink that is thin here and there."""
    noise = noise_map(height, width, max(4, int(0.4 * size)), rng)
    return (255 * np.clip(0.45 + 1.1 * noise, 0, 1)).astype(np.uint8)


TEXTURES: dict[str, Texture | None] = {
    "none": None,
    "hatched": _hatched,
    "hatched_twice": _hatched_twice,
    "dotted": _dotted,
    "sprayed": _sprayed,
    "pixelled": _pixelled,
    "short_strokes": _short_strokes,
    "holed": _holed,
    "sliced": _sliced,
    "scanned": _scanned,
    "faded": _faded,
}


# Takes the sheet, a letter, its ink, its colour and its number.
Stamp = Callable[[np.ndarray, Letter, np.ndarray, Colour, int], None]


class Effect(NamedTuple):
    """What goes with letters: drawn before the ink of all, or in place of plain ink."""

    under: Stamp | None = None
    fill: Stamp | None = None


def _part(sheet: np.ndarray, letter: Letter) -> np.ndarray:
    return sheet[letter.y0 : letter.y1, letter.x0 : letter.x1]


def _moved(coverage: np.ndarray, dx: float, dy: float) -> np.ndarray:
    h, w = coverage.shape
    return cv2.warpAffine(coverage, np.array([[1, 0, dx], [0, 1, dy]], np.float32), (w, h))


def _no_effect(size: float, colours: Palette, rng: Rng) -> Effect:
    return Effect()


def _shadow(size: float, colours: Palette, rng: Rng) -> Effect:
    reach = max(1.0, between(rng, 0.03, 0.08) * size)
    dx, dy = reach * pick(rng, (-1, 1)), reach * pick(rng, (-1, 0, 1, 1))
    tint = mix(
        colours.paper[0],
        pick(rng, ((0, 0, 0), (0, 0, 0), colours.paper[1])),
        between(rng, 0.2, 0.6),
    )
    soft = 0.02 * size if chance(rng, 0.4) else 0.0

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        dark = _moved(ink, dx, dy)
        over(
            _part(sheet, letter), cv2.GaussianBlur(dark, (0, 0), soft + 0.3) if soft else dark, tint
        )

    return Effect(under)


def _extruded(size: float, colours: Palette, rng: Rng) -> Effect:
    """A letter with a body behind it."""
    steps, dx, dy = max(2, round(between(rng, 0.05, 0.12) * size)), pick(rng, (-1, 1)), 1
    share = between(rng, 0.3, 0.6)

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        body = ink
        for step in range(1, min(steps, 6)):
            body = cv2.max(body, _moved(ink, dx * step, dy * step))
        over(_part(sheet, letter), body, mix(colour, colours.paper[0], share))

    return Effect(under)


def _rim(size: float, colours: Palette, rng: Rng) -> Effect:
    """A second colour around each letter."""
    width = max(1.0, between(rng, 0.02, 0.05) * size)
    tint = _far_from(colours.inks[0], rng)

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        over(_part(sheet, letter), _coverage(letter.distance + width), tint)

    return Effect(under)


def _far_from(colour: Colour, rng: Rng) -> Colour:
    bright = 255.0 if sum(colour) < 382 else 0.0
    return mix((bright, bright, bright), tuple((255 * rng.random(3)).tolist()), rng.random() * 0.4)


def _glow(size: float, colours: Palette, rng: Rng) -> Effect:
    tint, blur = _far_from(colours.inks[0], rng), between(rng, 0.4, 1.0) * (1 + 0.02 * size)

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        wide = cv2.GaussianBlur(_coverage(letter.distance + 0.04 * size), (0, 0), blur)
        over(_part(sheet, letter), wide, tint)

    return Effect(under)


def _bevel(size: float, colours: Palette, rng: Rng) -> Effect:
    """Lit from one side."""
    light = pick(rng, ((1.0, 1.0), (-1.0, 1.0), (0.0, 1.2)))
    strength = between(rng, 40, 110)

    def fill(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        slope = light[0] * cv2.Sobel(letter.distance, -1, 1, 0, scale=0.125)
        slope += light[1] * cv2.Sobel(letter.distance, -1, 0, 1, scale=0.125)
        lit = np.clip(np.array(colour, np.float32) + strength * slope[..., None], 0, 255)
        over(_part(sheet, letter), ink, lit)

    return Effect(None, fill)


def _tile(size: float, colours: Palette, rng: Rng) -> Effect:
    """Each letter on a rotated tile, of one colour or of one each."""
    tints = [
        mix(colours.paper[0], tuple((255 * rng.random(3)).tolist()), between(rng, 0.3, 0.8))
        for _ in range(10 if chance(rng, 0.7) else 1)
    ]
    grow, edge = between(rng, 0.06, 0.2) * size, chance(rng, 0.4)
    round_ones = chance(rng, 0.2)

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        middle = letter.quad.mean(axis=0)
        away = letter.quad - middle
        corners = middle + away * (1 + grow / np.maximum(np.hypot(*away.T), 1))[:, None] * 1.05
        tint = (*map(int, tints[index % len(tints)]), 255)
        if round_ones:
            radius = int(0.5 * float(np.hypot(*away[0])) * 1.9)
            cv2.circle(sheet, tuple(map(int, middle)), radius, tint, -1, cv2.LINE_AA)
            return
        points = [corners.round().astype(np.int32)]
        cv2.fillPoly(sheet, points, tint, cv2.LINE_AA)
        if edge:
            cv2.polylines(sheet, points, True, (*map(int, colour), 255), 1, cv2.LINE_AA)

    return Effect(under)


def _strips(size: float, colours: Palette, rng: Rng) -> Effect:
    """All that is behind a letter, from top to bottom, in a colour of its own."""
    tints = rng.integers(0, 256, (10, 3)).tolist()

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        left = max(0, round(float(letter.quad[:, 0].min()) - 0.05 * size)) if index else 0
        sheet[:, left:] = (*tints[index % len(tints)], 255)

    return Effect(under)


def _box(size: float, colours: Palette, rng: Rng) -> Effect:
    """A line around each letter's box."""
    thick = max(1, round(between(rng, 0.02, 0.05) * size))
    tint = (*map(int, pick(rng, colours.clutter)), 255)
    grow = between(rng, 0.05, 0.15) * size

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        middle = letter.quad.mean(axis=0)
        away = letter.quad - middle
        corners = middle + away * (1 + grow / np.maximum(np.hypot(*away.T), 1))[:, None]
        cv2.polylines(sheet, [corners.round().astype(np.int32)], True, tint, thick, cv2.LINE_AA)

    return Effect(under)


def _two_coloured(size: float, colours: Palette, rng: Rng) -> Effect:
    """From one colour to another down or along each letter, at once or little by little."""
    tint = mix(colours.inks[0], tuple((255 * rng.random(3)).tolist()), between(rng, 0.3, 0.7))
    down, gain = chance(rng, 0.6), pick(rng, (1.0, 1.0, 40.0))

    def fill(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        h, w = ink.shape
        along = np.linspace(-0.5, 0.5, h if down else w, dtype=np.float32) * gain + 0.5
        share = np.clip(along, 0, 1)[:, None, None] if down else np.clip(along, 0, 1)[:, None]
        first, last = np.array(colour, np.float32), np.array(tint, np.float32)
        over(_part(sheet, letter), ink, np.broadcast_to(first + (last - first) * share, (h, w, 3)))

    return Effect(None, fill)


def _echo(size: float, colours: Palette, rng: Rng) -> Effect:
    """The letter once more, pale and a little way off."""
    dx, dy = between(rng, -0.15, 0.15) * size, between(rng, -0.1, 0.1) * size
    share = between(rng, 0.5, 0.75)

    def under(
        sheet: np.ndarray, letter: Letter, ink: np.ndarray, colour: Colour, index: int
    ) -> None:
        over(_part(sheet, letter), _moved(ink, dx, dy), mix(colour, colours.paper[0], share))

    return Effect(under)


EFFECTS: dict[str, Callable[[float, Palette, Rng], Effect]] = {
    "none": _no_effect,
    "shadow": _shadow,
    "extruded": _extruded,
    "rim": _rim,
    "glow": _glow,
    "bevel": _bevel,
    "tile": _tile,
    "strips": _strips,
    "box": _box,
    "two_coloured": _two_coloured,
    "echo": _echo,
}


def ink_letters(
    letters: Sequence[Letter],
    background: np.ndarray,
    colours: Palette,
    ink: Ink,
    texture: np.ndarray | None,
    effect: Effect,
    rng: Rng,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw letters on a sheet of their own.

    Args:
        letters: The letters.
        background: What will lie under them ``(H, W, 3)``; letters whose colour is too near to it
            get another.
        colours: Their colours.
        ink: Makes a letter's distances into ink.
        texture: What of the ink is kept ``(H, W)`` uint8; None for all of it.
        effect: What goes with each letter.
        rng: Where every random number comes from.

    Returns:
        The sheet ``(H, W, 4)`` uint8, and the letters' own ink ``(H, W)`` uint8.
    """
    height, width = background.shape[:2]
    sheet, mask = np.zeros((height, width, 4), np.uint8), np.zeros((height, width), np.uint8)
    least = between(rng, 24, 60)
    inked = []
    for i, letter in enumerate(letters):
        part = np.s_[letter.y0 : letter.y1, letter.x0 : letter.x1]
        coverage = ink(letter.distance)
        if texture is not None:
            coverage = cv2.min(coverage, texture[part])
        cv2.max(mask[part], coverage, mask[part])
        inked.append((letter, part, coverage))
        if effect.under is not None:
            effect.under(sheet, letter, coverage, colours.inks[i], i)
    for i, (letter, part, coverage) in enumerate(inked):
        colour = visible(colours.inks[i], background[part], sheet[part], coverage, least)
        if effect.fill is None:
            over(sheet[part], coverage, colour)
        else:
            effect.fill(sheet, letter, coverage, colour, i)
    return sheet, mask


def visible(
    colour: Colour, background: np.ndarray, sheet: np.ndarray, coverage: np.ndarray, least: float
) -> Colour:
    """The colour, or one like it that can be told from what it is drawn on.

    Args:
        colour: Of a letter.
        background: ``(h, w, 3)`` uint8.
        sheet: What lies between background and letter already, ``(h, w, 4)`` uint8.
        coverage: The letter's ink ``(h, w)`` uint8.
        least: The least `difference` on a calm background; on a busy one it is more.

    Returns:
        A colour.
    """
    mean, spread = cv2.meanStdDev(background, mask=coverage)
    beneath = cv2.mean(sheet, coverage)
    bare = 1 - beneath[3] / 255
    under = [bare * float(m) + b for m, b in zip(mean[:, 0], beneath[:3], strict=True)]
    wanted = least + 0.8 * bare * float(spread.mean())
    far = difference(colour, under)
    if far >= wanted:
        return colour
    goal = max(((0.0,) * 3, (255.0,) * 3), key=lambda end: difference(end, under))
    room = difference(goal, under)
    return mix(colour, goal, min(1.0, (wanted - far) / max(room - far, 1.0)))
