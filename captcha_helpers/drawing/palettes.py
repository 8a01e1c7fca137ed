"""Which colours a CAPTCHA has: the paper, the ink of each letter, and the clutter.

Colours are chosen by their grey value first (the luma that ``convert("L")`` computes) and get a hue
after that, so two colours can be made that look alike in grey and different to an eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.styles import Range

Colour = tuple[float, float, float]  # red, green, blue, from 0 to 255

_LUMA = (0.299, 0.587, 0.114)


class Palette(NamedTuple):
    """The colours of one image."""

    paper: tuple[Colour, Colour]  # the background's own colour, and that of its pattern
    inks: list[Colour]  # one a letter
    clutter: list[Colour]  # of lines, dots and the like


@dataclass(frozen=True)
class Scheme:
    """How the colours of an image are chosen; grey values and saturations go from 0 to 1.

    Attributes:
        paper: Grey value of the background.
        ink: Grey value of the letters; None to choose it by `contrast`.
        contrast: How far the ink's grey value lies from the paper's.
        paper_colour: Saturation of the background.
        ink_colour: Saturation of the letters.
        each: Every letter gets a colour of its own.
        ramp: The letters go from dark to light, or the other way.
        opposite: Ink and paper have opposite hues.
        clutter: Where the colour of lines and dots may come from: "ink", "paper", "faint" (between
            ink and paper), "other" (another hue), "dark", "light" or "many".
    """

    paper: Range = (0.8, 1.0)
    ink: Range | None = (0.0, 0.4)
    contrast: Range = (0.0, 0.0)
    paper_colour: Range = (0.0, 0.3)
    ink_colour: Range = (0.0, 1.0)
    each: bool = False
    ramp: bool = False
    opposite: bool = False
    clutter: tuple[str, ...] = ("ink", "ink", "faint", "other", "many")


WHITE: Range = (1.0, 1.0)
NO_COLOUR: Range = (0.0, 0.0)

SCHEMES: dict[str, Scheme] = {
    "black_on_white": Scheme(
        paper=WHITE, ink=(0.0, 0.12), ink_colour=NO_COLOUR, clutter=("ink", "ink", "faint")
    ),
    "dark_on_white": Scheme(paper=WHITE, ink=(0.05, 0.45), ink_colour=(0.3, 1.0)),
    "dark_on_pale": Scheme(paper=(0.75, 0.98), ink_colour=(0.0, 0.9)),
    "greys": Scheme(
        paper=(0.55, 1.0),
        ink=(0.0, 0.35),
        paper_colour=NO_COLOUR,
        ink_colour=NO_COLOUR,
        clutter=("ink", "faint", "faint", "light"),
    ),
    "light_on_dark": Scheme(paper=(0.0, 0.3), ink=(0.6, 1.0), paper_colour=(0.0, 1.0)),
    "white_on_colour": Scheme(
        paper=(0.15, 0.55),
        ink=(0.92, 1.0),
        paper_colour=(0.4, 1.0),
        ink_colour=(0.0, 0.1),
        clutter=("ink", "faint", "light", "dark"),
    ),
    "neon": Scheme(
        paper=(0.0, 0.12),
        ink=(0.4, 0.85),
        ink_colour=(0.8, 1.0),
        each=True,
        clutter=("many", "other", "ink"),
    ),
    "pale": Scheme(paper=(0.72, 1.0), ink=None, contrast=(0.12, 0.32), ink_colour=(0.0, 0.9)),
    "pale_on_middle": Scheme(
        paper=(0.35, 0.65), ink=None, contrast=(0.15, 0.3), paper_colour=(0.1, 0.9)
    ),
    "pale_each": Scheme(
        paper=(0.94, 1.0),
        ink=(0.55, 0.83),
        paper_colour=(0.0, 0.2),
        ink_colour=(0.4, 1.0),
        each=True,
        clutter=("many", "faint"),
    ),
    "each": Scheme(
        paper=(0.9, 1.0),
        ink=(0.05, 0.55),
        ink_colour=(0.5, 1.0),
        each=True,
        clutter=("many", "many", "faint", "other"),
    ),
    "each_any": Scheme(
        paper=(0.0, 1.0),
        ink=None,
        contrast=(0.25, 0.6),
        ink_colour=(0.4, 1.0),
        each=True,
        paper_colour=(0.0, 0.8),
        clutter=("many", "other"),
    ),
    "ramp": Scheme(
        paper=(0.9, 1.0),
        ink=(0.0, 0.75),
        ink_colour=(0.0, 1.0),
        ramp=True,
        clutter=("faint", "many", "ink"),
    ),
    "equal_grey": Scheme(
        paper=(0.35, 0.65),
        ink=None,
        contrast=(0.0, 0.05),
        paper_colour=(0.75, 1.0),
        ink_colour=(0.85, 1.0),
        opposite=True,
        clutter=("paper", "faint", "dark", "light"),
    ),
    "saturated": Scheme(
        paper=(0.15, 0.9),
        ink=None,
        contrast=(0.2, 0.5),
        paper_colour=(0.6, 1.0),
        ink_colour=(0.7, 1.0),
        opposite=True,
    ),
    "bright_under_dark": Scheme(
        paper=(0.9, 1.0), ink=(0.35, 0.65), ink_colour=(0.9, 1.0), clutter=("dark", "dark", "other")
    ),
    "dark_under_bright": Scheme(
        paper=(0.85, 1.0), ink=(0.0, 0.3), ink_colour=(0.2, 1.0), clutter=("many", "light", "other")
    ),
}


def tone(luma: float, saturation: float, hue: float) -> Colour:
    """The colour of a grey value, a saturation and a hue.

    Args:
        luma: The grey value, 0 to 1.
        saturation: 0 for grey, 1 for the strongest colour that has this grey value.
        hue: 0 is red, 1/3 green, 2/3 blue, 1 red again.

    Returns:
        Red, green and blue, 0 to 255.

    Example:
        >>> red, green, blue = tone(0.5, 1.0, 0.0)
        >>> round(0.299 * red + 0.587 * green + 0.114 * blue), red > green
        (128, True)
    """
    pure = [min(max(abs((6 * hue + turn) % 6 - 3) - 1, 0.0), 1.0) for turn in (0, 4, 2)]
    grey = sum(weight * value for weight, value in zip(_LUMA, pure, strict=True))
    room = min((1 - luma) / (max(pure) - grey), luma / (grey - min(pure)))
    red, green, blue = (255 * (luma + saturation * room * (value - grey)) for value in pure)
    return red, green, blue


def mix(first: Colour, last: Colour, share: float) -> Colour:
    """The colour on the way from the first to the last.

    Example:
        >>> mix((0, 0, 0), (200, 100, 0), 0.5)
        (100.0, 50.0, 0.0)
    """
    red, green, blue = (a + (b - a) * share for a, b in zip(first, last, strict=True))
    return red, green, blue


def difference(first: Sequence[float], last: Sequence[float]) -> float:
    """How well two colours can be told apart: by their grey values, or else by their hues.

    Args:
        first: Red, green and blue, 0 to 255.
        last: Another colour.

    Returns:
        From 0 for equal ones to 255 for black and white.

    Example:
        >>> round(difference((0, 0, 0), (0, 0, 255))), round(difference((0, 0, 0), (0, 255, 0)))
        (60, 150)
    """
    apart = [a - b for a, b in zip(first, last, strict=True)]
    grey = sum(weight * step for weight, step in zip(_LUMA, apart, strict=True))
    return max(abs(grey), 0.7 * sum(map(abs, apart)) / 3)


def choose_colours(scheme: Scheme, letters: int, rng: Rng) -> Palette:
    """Choose the colours of one image.

    Args:
        scheme: How they are chosen.
        letters: Number of letters.
        rng: Where every random number comes from.

    Returns:
        The colours.

    Example:
        >>> import numpy as np
        >>> colours = choose_colours(SCHEMES["black_on_white"], 3, np.random.default_rng(0))
        >>> len(colours.inks), colours.paper[0]
        (3, (255.0, 255.0, 255.0))
    """
    luma, hue = between(rng, *scheme.paper), rng.random()
    paper = tone(luma, between(rng, *scheme.paper_colour), hue)
    ink_hue = hue + between(rng, 0.35, 0.65) if scheme.opposite else rng.random()
    inks = _inks(scheme, letters, luma, ink_hue, rng)
    if chance(rng, 0.5):
        other = mix(paper, inks[0], between(rng, 0.1, 0.5))
    else:
        other = tone(min(max(luma + between(rng, -0.3, 0.3), 0), 1), rng.random(), rng.random())
    source = pick(rng, scheme.clutter)
    return Palette((paper, other), inks, _clutter(source, paper, inks, ink_hue, rng))


def _inks(scheme: Scheme, letters: int, paper: float, hue: float, rng: Rng) -> list[Colour]:
    def luma() -> float:
        if scheme.ink is not None:
            return between(rng, *scheme.ink)
        step = between(rng, *scheme.contrast)
        darker = paper - step
        lighter = paper + step
        if darker < 0.02 or (lighter < 0.98 and chance(rng, 0.5)):
            return min(lighter, 1.0)
        return darker

    if scheme.ramp and scheme.ink is not None:
        low, high = scheme.ink
        steps = [low + (high - low) * i / max(letters - 1, 1) for i in range(letters)]
        if chance(rng, 0.5):
            steps.reverse()
        turn = between(rng, -1, 1) if chance(rng, 0.5) else 0.0
        colour = between(rng, *scheme.ink_colour)
        return [tone(step, colour, hue + turn * i / letters) for i, step in enumerate(steps)]
    if scheme.each:
        return [
            tone(luma(), between(rng, *scheme.ink_colour), rng.random()) for _ in range(letters)
        ]
    return [tone(luma(), between(rng, *scheme.ink_colour), hue)] * letters


def _clutter(source: str, paper: Colour, inks: list[Colour], hue: float, rng: Rng) -> list[Colour]:
    if source == "ink":
        return inks[: whole(rng, 1, len(inks))]
    if source == "paper":
        return [paper]
    if source == "faint":
        return [mix(paper, inks[0], between(rng, 0.2, 0.7)) for _ in range(whole(rng, 1, 3))]
    if source == "dark":
        return [tone(between(rng, 0.0, 0.3), rng.random(), rng.random())]
    if source == "light":
        return [tone(between(rng, 0.7, 1.0), rng.random(), rng.random())]
    if source == "other":
        return [tone(between(rng, 0.15, 0.85), 1.0, hue + between(rng, 0.3, 0.7))]
    return [tone(between(rng, 0.1, 0.9), rng.random(), rng.random()) for _ in range(6)]
