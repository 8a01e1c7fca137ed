"""The looks of CAPTCHAs, as data.

A `Style` says how an image looks and nothing about how it is drawn; `drawing.painter`
draws it. To try another look, change a number of a preset with `dataclasses.replace`:

>>> from dataclasses import replace
>>> wide = replace(SLANTED, gap=(6.0, 8.0))
>>> wide.gap, SLANTED.width
((6.0, 8.0), 280)

Every pair `(low, high)` is a range that an image (or a character) draws from, uniformly. Lengths
are pixels, angles are degrees, colours are channel values from 0 (black) to 255 (white).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from captcha_helpers.core.charset import (
    ALPHANUMERIC,
    DIGITS,
    LOWER,
    UNAMBIGUOUS,
    UPPER,
)

Range = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line across the image: a straight one, or a Bézier curve with random control points.

    Attributes:
        x: Range of each control point's x, as a fraction of the width. Two points make a straight
            line, four a curve.
        y: Range of each control point's y, as a fraction of the height.
        thickness: Range of the line's thickness in pixels, a range for each of the first pieces of
            the curve; the last range holds for all further pieces.
        count: Fewest and most such lines in an image.
        colour: Range of each colour channel of a line that lies under the text; None for a line
            over the text, in the colour of the ink.
        flatness: Curves are drawn as straight pieces that stray at most so many pixels from the
            curve: a large number gives kinks, a small one a smooth line.
        smooth: Antialias the line's edges.
        erases: The line takes ink away and shows the background, instead of adding ink; it needs
            ``colour=None``.
    """

    x: tuple[Range, ...]
    y: tuple[Range, ...]
    thickness: tuple[Range, ...] = ((2.0, 2.0),)
    count: tuple[int, int] = (1, 1)
    colour: Range | None = None
    flatness: float = 1.0
    smooth: bool = True
    erases: bool = False

    def __post_init__(self) -> None:
        if self.erases and self.colour is not None:
            raise ValueError("A stroke that erases has no colour of its own; set colour=None.")
        if len(self.x) not in (2, 4) or len(self.y) != len(self.x):
            raise ValueError(
                f"A stroke has {len(self.x)} x and {len(self.y)} y ranges; give 2 of each for a "
                "straight line or 4 of each for a curve."
            )
        if not self.thickness:
            raise ValueError("A stroke needs a thickness, for example ((2.0, 3.0),).")
        for name, ranges in (("x", self.x), ("y", self.y), ("thickness", self.thickness)):
            for pair in ranges:
                _check_range(f"A stroke's {name}", pair)
        _check_range("A stroke's count", self.count, low=0)
        if self.colour is not None:
            _check_range("A stroke's colour", self.colour, low=0, high=255)
        if self.flatness <= 0:
            raise ValueError(f"A stroke's flatness is {self.flatness}; it must be above 0 pixels.")


@dataclass(frozen=True)
class Wave:
    """A sine that moves the pixels of the finished text.

    Attributes:
        kind: "x" moves pixels sideways, by a sine that runs down the image; "y" moves them up and
            down, by a sine that runs along it; "ring" moves them to and from a centre, like a stone
            thrown into water.
        amplitude: Largest displacement in pixels.
        wavelength: Distance from crest to crest in pixels. Around 2, every pixel goes another way,
            which tears the letters' edges.
        phase: Where the sine starts, in degrees.
        centre: For "ring": range of the centre's x and y, as fractions of the width and height.
        radius: For "ring": the distance from the centre, in pixels, at which the wave has died out;
            0 for a ring wave that does not die out.
    """

    kind: str
    amplitude: Range
    wavelength: Range
    phase: Range = (0.0, 360.0)
    centre: tuple[Range, Range] = ((0.5, 0.5), (0.5, 0.5))
    radius: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("x", "y", "ring"):
            raise ValueError(f"A wave's kind is {self.kind!r}; choose 'x', 'y' or 'ring'.")
        _check_range("A wave's amplitude", self.amplitude)
        _check_range("A wave's wavelength", self.wavelength)
        if self.wavelength[0] <= 0:
            raise ValueError(
                f"A wave's wavelength is {self.wavelength}; it must be above 0 pixels."
            )


@dataclass(frozen=True)
class Style:
    """How a kind of CAPTCHA looks.

    Attributes:
        name: Short name, used in messages and as a folder name.
        width: Width of an image in pixels.
        height: Height of an image in pixels.
        charset: The characters that a label is made of.
        length: Fewest and most characters of a label.
        fonts: File names (without ".ttf") of fonts that come with matplotlib, or
            "package:file" for a font that another installed package ships in its folder `files`,
            such as "font_manrope:Manrope-Bold.ttf". An image uses one.
        font_per_character: Every character has a font of its own instead.
        font_size: Size of the font (its em) in pixels, drawn once an image.
        size_jitter: How much larger or smaller a single character may be, as a fraction.
        weight: Pixels added to (or taken from) each side of a character's strokes.
        hollow: Range of the thickness in pixels of the outline, where letters are drawn as outlines
            only; None draws them solid.
        stretch: Range of the characters' width, as a factor.
        start: Where the text starts, in pixels from the left edge; None centres the text.
        baseline: Where the letters stand, in pixels from the top edge; None centres the text.
        gap: Pixels between one character's ink and the next one's; negative lets them overlap.
        pitch: Pixels from one character's middle to the next one's; takes the place of `gap`. The
            first character's middle is half a pitch from where the text starts.
        drift: Most pixels that a character moves to the left or right.
        rise: Most pixels that a character jumps up or down.
        rotation: Most degrees that a character tilts to either side.
        shear: Most degrees that a character slants, on top of what its font does.
        warp: How far each corner of a character's box is pulled inwards, at most, as a fraction of
            the box.
        margin: Pixels that the text keeps from the canvas' edges at least; negative lets it stick
            out at top and bottom by as much.
        ink: Range of each colour channel of the text.
        ink_per_character: Give every character a colour of its own.
        background: Range of each colour channel of the background.
        gradient: Greys of the top left and the bottom right corner, instead of `background`.
        strokes: Lines across the image.
        dots: Fewest and most dots in the colour of the ink.
        stars: Fewest and most small asterisks under the text.
        star_colour: Range of each colour channel of an asterisk.
        waves: Displacements of the finished text.
        waves_move_strokes: The waves displace the strokes too.
        contrast: Range of a factor on every pixel's distance from middle grey.
        negative: Share of the images whose colours are inverted.
        outline: Share of the images of which only the edges are left, on grey.
        tint: Largest value added to or taken from a colour channel of a whole image.
        tinted: Share of the images that get a tint.
        transparent: Give the image an alpha channel: black ink on a fully transparent background.
        character_width: Pixels by which an image grows with each further character, if the style is
            adapted to another length; by default as many as a character takes up now.
    """

    name: str
    width: int
    height: int
    charset: str
    length: tuple[int, int]
    fonts: tuple[str, ...]
    font_size: Range
    font_per_character: bool = False
    size_jitter: float = 0.0
    weight: Range = (0.0, 0.0)
    hollow: Range | None = None
    stretch: Range = (1.0, 1.0)
    start: Range | None = None
    baseline: Range | None = None
    gap: Range = (0.0, 0.0)
    pitch: Range | None = None
    drift: float = 0.0
    rise: float = 0.0
    rotation: float = 0.0
    shear: float = 0.0
    warp: float = 0.0
    margin: float = 1.0
    ink: Range = (0.0, 0.0)
    ink_per_character: bool = False
    background: Range = (255.0, 255.0)
    gradient: tuple[Range, Range] | None = None
    strokes: tuple[Stroke, ...] = ()
    dots: tuple[int, int] = (0, 0)
    stars: tuple[int, int] = (0, 0)
    star_colour: Range = (150.0, 255.0)
    waves: tuple[Wave, ...] = ()
    waves_move_strokes: bool = False
    contrast: Range = (1.0, 1.0)
    negative: float = 0.0
    outline: float = 0.0
    tint: float = 0.0
    tinted: float = 0.0
    transparent: bool = False
    character_width: float | None = None

    def __post_init__(self) -> None:
        _check_size(self)
        _check_numbers(self)
        _check_ranges(self)


def _check_size(style: Style) -> None:
    if not style.charset or len(set(style.charset)) < len(style.charset):
        problem = "give each character once, and at least one"
        _refuse(style, f"charset is {style.charset!r}; {problem}")
    if style.width < 8 or style.height < 8:
        _refuse(
            style, f"an image is {style.width} x {style.height} pixels; give 8 or more each way"
        )
    if not style.fonts:
        _refuse(style, 'fonts is empty; name at least one, for example ("DejaVuSans",)')
    if style.length[0] < 1:
        _refuse(style, f"length is {style.length}; a label needs at least one character")


def _check_numbers(style: Style) -> None:
    if not 0 <= style.warp < 0.5:
        _refuse(style, f"warp is {style.warp}; keep it from 0 to below 0.5, or characters collapse")
    if not 0 <= style.size_jitter < 1:
        _refuse(style, f"size_jitter is {style.size_jitter}; keep it from 0 to below 1")
    for name in ("drift", "rise", "rotation", "shear", "tint"):
        if getattr(style, name) < 0:
            _refuse(style, f"{name} is {getattr(style, name)}; give 0 or more, it goes either way")
    for name in ("negative", "outline", "tinted"):
        if not 0 <= getattr(style, name) <= 1:
            _refuse(style, f"{name} is {getattr(style, name)}; a share lies between 0 and 1")
    if style.transparent and (style.ink != (0, 0) or style.ink_per_character):
        _refuse(style, "a transparent image has black ink; set ink=(0, 0) or transparent=False")


def _check_ranges(style: Style) -> None:
    pairs = ("length", "dots", "stars", "gap", "weight", "hollow", "start", "pitch", "baseline")
    for name in pairs:
        if getattr(style, name) is not None:
            _check_range(f"Style {style.name!r}: {name}", getattr(style, name))
    for name in ("font_size", "stretch", "contrast"):
        _check_range(f"Style {style.name!r}: {name}", getattr(style, name), low=0.01)
    for pair in style.gradient or ():
        _check_range(f"Style {style.name!r}: gradient", pair, low=0, high=255)
    for name in ("ink", "background", "star_colour"):
        _check_range(f"Style {style.name!r}: {name}", getattr(style, name), low=0, high=255)


def _refuse(style: Style, problem: str) -> None:
    raise ValueError(f"Style {style.name!r}: {problem}.")


def _check_range(
    name: str, pair: Range, low: float = float("-inf"), high: float = float("inf")
) -> None:
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        limits = f" between {low} and {high}" if high < float("inf") else ""
        raise ValueError(f"{name} is {pair}; give a pair (low, high){limits} with low <= high.")


ANYWHERE: Range = (0.0, 1.0)

SLANTED = Style(
    name="slanted",
    width=280,
    height=80,
    charset=UPPER,
    length=(6, 6),
    fonts=("DejaVuSans-Oblique",),
    font_size=(53.5, 56.0),
    weight=(-0.3, 0.15),
    start=(12.5, 15.5),
    baseline=(58.5, 61.5),
    gap=(-1.5, 1.0),
    strokes=(
        Stroke(
            x=((0.1, 0.1), (0.1, 0.1), (0.25, 0.25), (0.9, 0.9)),
            y=(ANYWHERE,) * 4,
            thickness=((2.3, 3.1),),
            flatness=2.0,
        ),
    ),
    transparent=True,
)

STARS = Style(
    name="stars",
    width=104,
    height=32,
    charset=DIGITS,
    length=(6, 6),
    fonts=("DejaVuSans", "cmss10"),
    font_size=(23.0, 24.5),
    size_jitter=0.18,
    weight=(-0.25, 0.5),
    stretch=(0.88, 1.05),
    start=(1.0, 3.5),
    pitch=(15.7, 16.3),
    drift=2.0,
    rise=7.0,
    rotation=10.0,
    margin=-1.0,
    ink=(0.0, 155.0),
    ink_per_character=True,
    stars=(8, 15),
    star_colour=(155.0, 255.0),
)

STARS3 = replace(STARS, name="stars3", length=(3, 3), start=(1.0, 20.0), pitch=(15.7, 30.0))

_THINNING = ((3.6, 3.6), (2.7, 2.7), (1.8, 1.8), (1.0, 1.2))

GRADIENT = Style(
    name="gradient",
    width=200,
    height=50,
    charset=UNAMBIGUOUS,
    length=(5, 5),
    fonts=("DejaVuSans-Bold",),
    font_size=(38.0, 40.5),
    weight=(-0.8, -0.1),
    stretch=(0.87, 0.97),
    start=(27.5, 30.5),
    baseline=(42.0, 44.0),
    gap=(-0.5, 2.5),
    margin=-4.0,
    gradient=((188.0, 196.0), (248.0, 255.0)),
    waves=(
        Wave("x", (2.2, 3.0), (88.0, 100.0), phase=(-15.0, 15.0)),
        Wave("y", (1.3, 2.1), (30.0, 33.0), phase=(-20.0, 20.0)),
        Wave("ring", (1.5, 2.7), (1.99, 2.01), phase=(110.0, 185.0), radius=50.0),
    ),
    strokes=(
        Stroke(
            x=((0.1, 0.1), (0.1, 0.1), (0.25, 0.25), (0.25, 0.25)),
            y=(ANYWHERE,) * 4,
            thickness=_THINNING,
            flatness=2.0,
        ),
        Stroke(
            x=((0.1, 0.1), (0.25, 0.25), (0.5, 0.5), (0.9, 0.9)),
            y=(ANYWHERE,) * 4,
            thickness=_THINNING,
            flatness=2.0,
        ),
    ),
)

_ALONG = Stroke(
    x=((0.0, 0.5), (0.5, 1.0)),
    y=(ANYWHERE, ANYWHERE),
    thickness=((1.0, 3.5),),
    count=(0, 3),
    smooth=False,
)
_DOWN = replace(_ALONG, x=(ANYWHERE, ANYWHERE), y=((0.0, 0.5), (0.5, 1.0)), count=(0, 1))

MIXED = Style(
    name="mixed",
    width=150,
    height=40,
    charset=ALPHANUMERIC,
    length=(5, 5),
    fonts=(
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSans-Oblique",
        "DejaVuSerif",
        "DejaVuSansMono",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "cmss10",
        "cmr10",
    ),
    font_size=(27.0, 35.0),
    weight=(0.0, 0.5),
    stretch=(0.92, 1.05),
    gap=(-1.0, 3.0),
    rise=5.0,
    rotation=8.0,
    margin=3.0,
    ink=(0.0, 150.0),
    background=(200.0, 255.0),
    strokes=(
        replace(_ALONG, colour=(100.0, 255.0)),
        replace(_DOWN, colour=(100.0, 255.0)),
        _ALONG,
        _DOWN,
    ),
    waves=(
        Wave("ring", (3.0, 4.5), (170.0, 200.0), phase=(0.0, 0.0), centre=(ANYWHERE, ANYWHERE)),
        Wave("y", (1.0, 1.5), (28.0, 34.0)),
    ),
    waves_move_strokes=True,
    contrast=(0.8, 2.0),
    negative=0.48,
    outline=0.09,
    tint=60.0,
    tinted=0.2,
)


def classic(
    length: int = 4, digits: bool = True, lower: bool = False, upper: bool = False
) -> Style:
    """The look of many small CAPTCHA packages: bent characters, dots and one arc.

    Args:
        length: Characters in every label.
        digits: Use 0-9.
        lower: Use a-z.
        upper: Use A-Z.

    Returns:
        A style whose images are 40 + 20 * length pixels wide and 100 high.

    Raises:
        ValueError: No kind of character was asked for, or the length is below 1.

    Example:
        >>> style = classic(length=5, lower=True)
        >>> style.width, style.height, len(style.charset)
        (140, 100, 36)
    """
    if not (digits or lower or upper):
        raise ValueError("No characters to draw: set at least one of digits, lower, upper to True.")
    return Style(
        name="classic",
        width=40 + 20 * length,
        character_width=20.0,
        height=100,
        charset=DIGITS * digits + LOWER * lower + UPPER * upper,
        length=(length, length),
        fonts=("DejaVuSansMono", "DejaVuSans", "DejaVuSerif"),
        font_size=(42.0, 56.0),
        size_jitter=0.1,
        gap=(-8.0, 0.0),
        rise=8.0,
        rotation=30.0,
        warp=0.3,
        ink=(10.0, 200.0),
        background=(238.0, 255.0),
        dots=(25, 35),
        strokes=(
            Stroke(
                x=((0.0, 0.15), (0.2, 0.4), (0.6, 0.8), (0.85, 1.0)),
                y=(ANYWHERE,) * 4,
                thickness=((2.0, 3.0),),
                flatness=0.3,
            ),
        ),
    )


STYLES: dict[str, Style] = {
    style.name: style for style in (SLANTED, STARS, STARS3, GRADIENT, MIXED, classic())
}


def get_style(name: str) -> Style:
    """The preset of that name.

    Args:
        name: One of the keys of `STYLES`.

    Returns:
        The style.

    Raises:
        ValueError: There is no such preset; the message lists the names.

    Example:
        >>> get_style("slanted").length
        (6, 6)
    """
    if name not in STYLES:
        raise ValueError(f"No style is called {name!r}; choose one of {', '.join(STYLES)}.")
    return STYLES[name]


SMALLEST_FONT = 8.0  # pixels; smaller letters cannot be told apart
_TEARING = 4.0  # pixels; shorter waves tear the letters' edges, whatever the letters' size


def adapt_style(
    style: Style | str,
    *,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Style:
    """The same look with other characters, another length or another size.

    With another length and no width, the image becomes as much wider or narrower as the characters
    need. With another size, letters, lines and waves grow or shrink until they fit, and the text
    stays in the middle of the room that is left. (`dataclasses.replace` would change the canvas
    alone.)

    Args:
        style: A style, or the name of a preset.
        charset: Other characters.
        length: Fewest and most characters of a label.
        width: Width of an image in pixels.
        height: Height of an image in pixels.

    Returns:
        The new style.

    Raises:
        ValueError: There is no such preset, the size cannot hold the text, or a value is none that
            a style can have.

    Example:
        >>> longer = adapt_style("stars", length=(8, 8))
        >>> longer.width, longer.height
        (137, 32)
        >>> larger = adapt_style("stars", width=208, height=64)
        >>> larger.font_size, larger.pitch
        ((46.0, 49.0), (31.4, 32.6))
    """
    style = get_style(style) if isinstance(style, str) else style
    length = style.length if length is None else length
    natural = style.width if length[1] == style.length[1] else _natural_width(style, length[1])
    width = natural if width is None else width
    height = style.height if height is None else height
    scale = min(width / natural, height / style.height)
    least = SMALLEST_FONT / style.font_size[0]
    if scale < least:
        raise ValueError(
            f"An image of {width} x {height} pixels cannot hold {length[1]} characters of style "
            f"{style.name!r}: they would be too small to read. Give at least "
            f"{math.ceil(natural * least)} x {math.ceil(style.height * least)}."
        )
    changes: dict[str, Any] = {}
    if (width, height) != (natural, style.height):
        left, top = (width - scale * natural) / 2, (height - scale * style.height) / 2
        changes = _scaled(style, scale, left, top)
    return replace(
        style,
        charset=style.charset if charset is None else charset,
        length=length,
        width=width,
        height=height,
        **changes,
    )


def _natural_width(style: Style, most: int) -> int:
    """How wide an image has to be for another number of characters."""
    if style.character_width is not None:
        return round(style.width + (most - style.length[1]) * style.character_width)
    start = 0 if style.start is None else sum(style.start) / 2
    step = (style.width - 2 * start) / style.length[1]
    wider = (most - style.length[1]) * step
    return max(round(style.width + wider), math.ceil(1.5 * style.font_size[1]))


def _scaled(style: Style, scale: float, left: float, top: float) -> dict[str, Any]:
    """Everything that is measured in pixels, in another scale; the text moved by left and top."""

    def scaled(pair: Range, move: float = 0.0) -> Range:
        return pair[0] * scale + move, pair[1] * scale + move

    moves = {"start": left, "baseline": top}
    names = ("font_size", "weight", "hollow", "gap", "pitch", *moves)
    given = {name: pair for name in names if (pair := getattr(style, name)) is not None}
    pairs = {name: scaled(pair, moves.get(name, 0.0)) for name, pair in given.items()}
    numbers = {name: getattr(style, name) * scale for name in ("drift", "rise", "margin")}
    strokes = tuple(
        replace(stroke, thickness=tuple(map(scaled, stroke.thickness))) for stroke in style.strokes
    )
    waves = tuple(
        replace(
            wave,
            amplitude=scaled(wave.amplitude),
            wavelength=wave.wavelength
            if wave.wavelength[1] < _TEARING
            else scaled(wave.wavelength),
            radius=wave.radius * scale,
        )
        for wave in style.waves
    )
    return {**pairs, **numbers, "strokes": strokes, "waves": waves}
