"""The looks of CAPTCHAs, as data.

A `Style` says how an image looks and nothing about how it is drawn: `captcha_helpers.generator` reads
it. To try another look, change one number of a preset with `dataclasses.replace`:

>>> from dataclasses import replace
>>> wide = replace(SLANTED, gap=(6.0, 8.0))
>>> wide.gap, SLANTED.width
((6.0, 8.0), 280)

Every pair `(low, high)` is a range that an image (or a character) draws from, uniformly. Lengths are
pixels, angles are degrees, colours are channel values 0 (black) to 255 (white).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from captcha_helpers.charset import (
    ALPHANUMERIC,
    DIGITS,
    LOWER,
    UNAMBIGUOUS,
    UPPER,
)

Range = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line across the image: a Bézier curve through randomly placed control points.

    Attributes:
        x: Range of each control point's x, as a fraction of the width. Two points make a straight
            line, three or four a curve.
        y: Range of every control point's y, as a fraction of the height; or one range a point.
        thickness: Range of the line's thickness in pixels, one range for each of the first pieces of
            the curve; the last range holds for all further pieces.
        count: Fewest and most such lines in an image.
        colour: Range of each colour channel; None takes the ink of the text.
        behind: Draw it under the text instead of over it.
        flatness: Curves are drawn as straight pieces that stray at most so many pixels from the
            curve: a large number gives kinks, a small one a smooth line.
        smooth: Antialias the line's edges.
    """

    x: tuple[Range, ...]
    y: Range | tuple[Range, ...] = (0.0, 1.0)
    thickness: tuple[Range, ...] = ((2.0, 2.0),)
    count: tuple[int, int] = (1, 1)
    colour: Range | None = None
    behind: bool = False
    flatness: float = 1.0
    smooth: bool = True


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


@dataclass(frozen=True)
class Style:
    """How a kind of CAPTCHA looks.

    Attributes:
        name: Short name, used in messages and as a folder name.
        width: Width of an image in pixels.
        height: Height of an image in pixels.
        charset: The characters that a label is made of.
        length: Fewest and most characters of a label.
        fonts: File names (without ".ttf") of fonts that come with matplotlib; an image uses one.
        font_size: Size of the font (its em) in pixels, drawn once an image.
        size_jitter: How much larger or smaller a single character may be, as a fraction.
        weight: Pixels added to (or taken from) each side of a character's strokes.
        stretch: Range of the characters' width, as a factor.
        start: Where the text's ink starts, in pixels from the left edge; None centres the text.
        baseline: Where the letters stand, in pixels from the top edge; None centres the text.
        gap: Pixels between one character's ink and the next one's; negative lets them overlap.
        rise: Most pixels that a character jumps up or down.
        rotation: Most degrees that a character tilts to either side.
        shear: Most degrees that a character slants, on top of what its font does.
        warp: How far each corner of a character's box is pulled inwards, at most, as a fraction of
            the box.
        margin: Pixels that the text keeps from the canvas' edges at least; negative lets it stick
            out at top and bottom by as much.
        ink: Range of each colour channel of the text.
        ink_per_character: Give every character a colour of its own.
        background: Range of each colour channel of the ground.
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
        jpeg_quality: Range of the quality at which images went through JPEG; None leaves that out.
        transparent: Give the image an alpha channel: black ink on a fully transparent ground.
    """

    name: str
    width: int
    height: int
    charset: str
    length: tuple[int, int]
    fonts: tuple[str, ...]
    font_size: Range
    size_jitter: float = 0.0
    weight: Range = (0.0, 0.0)
    stretch: Range = (1.0, 1.0)
    start: Range | None = None
    baseline: Range | None = None
    gap: Range = (0.0, 0.0)
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
    jpeg_quality: tuple[int, int] | None = None
    transparent: bool = False


SLANTED = Style(
    name="slanted",
    width=280,
    height=80,
    charset=UPPER,
    length=(6, 6),
    fonts=("DejaVuSans-Oblique",),
    font_size=(53.5, 56.0),
    weight=(-0.3, 0.4),
    start=(12.5, 15.5),
    baseline=(58.5, 61.5),
    gap=(-1.5, 1.0),
    strokes=(
        Stroke(
            x=((0.1, 0.1), (0.1, 0.1), (0.25, 0.25), (0.9, 0.9)),
            thickness=((2.6, 3.4),),
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
    fonts=("DejaVuSans",),
    font_size=(23.0, 23.0),
    size_jitter=0.2,
    weight=(-0.4, 0.5),
    start=(1.0, 7.0),
    gap=(3.0, 6.0),
    rise=7.0,
    rotation=10.0,
    margin=-1.0,
    ink=(0.0, 150.0),
    ink_per_character=True,
    stars=(8, 14),
)

STARS3 = Style(
    **{
        **{f.name: getattr(STARS, f.name) for f in fields(STARS)},
        "name": "stars3",
        "length": (3, 3),
    }
)

GRADIENT = Style(
    name="gradient",
    width=200,
    height=50,
    charset=UNAMBIGUOUS,
    length=(5, 5),
    fonts=("DejaVuSans-Bold",),
    font_size=(36.0, 38.0),
    weight=(-0.5, 0.2),
    stretch=(0.82, 0.88),
    start=(28.0, 31.0),
    baseline=(40.0, 42.0),
    gap=(0.0, 3.0),
    margin=-4.0,
    gradient=((188.0, 196.0), (248.0, 255.0)),
    waves=(
        Wave("x", (0.0, 0.8), (14.0, 20.0)),
        Wave("y", (0.0, 0.8), (10.0, 20.0)),
        Wave("ring", (2.0, 3.5), (2.0, 2.0), radius=50.0),
    ),
    strokes=(
        Stroke(
            x=((0.1, 0.1), (0.1, 0.1), (0.25, 0.25), (0.25, 0.25)),
            thickness=((3.6, 3.6), (2.7, 2.7), (1.8, 1.8), (1.0, 1.0)),
            flatness=2.0,
        ),
        Stroke(
            x=((0.1, 0.1), (0.25, 0.25), (0.5, 0.5), (0.9, 0.9)),
            thickness=((3.6, 3.6), (2.7, 2.7), (1.8, 1.8), (1.0, 1.0)),
            flatness=2.0,
        ),
    ),
)

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
    font_size=(24.0, 32.0),
    weight=(-0.2, 0.4),
    stretch=(0.9, 1.0),
    gap=(-1.0, 2.0),
    rise=5.0,
    rotation=8.0,
    ink=(0.0, 150.0),
    background=(200.0, 255.0),
    strokes=(
        Stroke(
            x=((0.0, 0.5), (0.5, 1.0)),
            thickness=((1.0, 3.0),),
            count=(0, 3),
            colour=(100.0, 255.0),
            behind=True,
            smooth=False,
        ),
        Stroke(
            x=((0.0, 1.0), (0.0, 1.0)),
            y=((0.0, 0.5), (0.5, 1.0)),
            thickness=((1.0, 3.0),),
            count=(0, 1),
            colour=(100.0, 255.0),
            behind=True,
            smooth=False,
        ),
        Stroke(x=((0.0, 0.5), (0.5, 1.0)), thickness=((1.0, 3.0),), count=(0, 3), smooth=False),
        Stroke(
            x=((0.0, 1.0), (0.0, 1.0)),
            y=((0.0, 0.5), (0.5, 1.0)),
            thickness=((1.0, 3.0),),
            count=(0, 1),
            smooth=False,
        ),
    ),
    waves=(
        Wave("ring", (3.0, 4.5), (170.0, 200.0), phase=(0.0, 0.0), centre=((0.0, 1.0), (0.0, 1.0))),
        Wave("y", (1.0, 1.5), (28.0, 34.0)),
    ),
    waves_move_strokes=True,
    contrast=(0.8, 2.2),
    negative=0.48,
    outline=0.09,
    tint=60.0,
    tinted=0.2,
    jpeg_quality=(86, 94),
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

    >>> style = classic(length=5, lower=True)
    >>> style.width, style.height, len(style.charset)
    (140, 100, 36)
    """
    charset = DIGITS * digits + LOWER * lower + UPPER * upper
    return Style(
        name="classic",
        width=40 + 20 * length,
        height=100,
        charset=charset,
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
                x=((0.0, 0.15), (0.3, 0.7), (0.85, 1.0)),
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

    Raises:
        ValueError: There is no such preset; the message lists the names.

    >>> get_style("slanted").length
    (6, 6)
    """
    if name not in STYLES:
        raise ValueError(f"No style is called {name!r}; choose one of {', '.join(STYLES)}.")
    return STYLES[name]
