"""Every look of a CAPTCHA, by name and as data, and images drawn in them.

A `Look` says for each layer of an image which painters may make it: colours, background, layout,
ink, texture, effect, clutter under and over the letters, warp and finish. Two images in three are
of one named look with all its numbers chosen anew, and every third one takes its layers from two
or three looks, so that there are far more combinations than names. This is *domain randomisation*
(Tobin et al., 2017): if the drawn world is varied enough, the real one is just one more variation.

>>> image, label = draw_look(np.random.default_rng(0), look="tiles", length=(4, 4))
>>> image.shape[2], len(label)
(3, 4)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from captcha_helpers.core.charset import ALPHANUMERIC
from captcha_helpers.data.images import prepare
from captcha_helpers.data.processing import Processing
from captcha_helpers.drawing.backgrounds import BACKGROUNDS
from captcha_helpers.drawing.clutter import CLUTTER
from captcha_helpers.drawing.dice import Rng, between, chance, pick, whole
from captcha_helpers.drawing.finishes import FINISHES, letterboxed
from captcha_helpers.drawing.label_kinds import KINDS, SUM, draw_label
from captcha_helpers.drawing.lettering import (
    EFFECTS,
    INKS,
    LAYOUTS,
    TEXTURES,
    Letter,
    ink_letters,
    place_letters,
    roughened,
)
from captcha_helpers.drawing.painter import Glyph, cv2, glyph
from captcha_helpers.drawing.palettes import SCHEMES, Colour, Palette, choose_colours, difference
from captcha_helpers.drawing.random_looks import FONTS
from captcha_helpers.drawing.styles import Range
from captcha_helpers.drawing.warps import WARPS, warp

CHARSET = ALPHANUMERIC + "+-=?"  # what `draw_look` writes by default

_CROSSED = 1 / 3  # of the images take their layers from several looks
_BLOCK, _POOL = 8192, 64  # images of one block share so many fonts, see `draw_looks`
_COMMON = ("jpeg", "jpeg", "palette", "blurred", "low_resolution", "framed", "grain", "contrast")
_HIDDEN = 0.35  # of the letters, at most, by clutter that was drawn over them
_HIDDEN_ALIKE = 0.2  # by clutter in the letters' own colour
_TINY = 16.0  # letters of fewer pixels bear little clutter and damage
_FINE_INKS = ("outline", "hairline", "double_outline", "inline", "stitched")  # only if large
_LOSSY = (
    "palette",
    "web_colours",
    "ordered",
    "greyed",
    "low_resolution",
    "blurred",
    "jpeg",
    "mosaic",
)
_FINE = ("lines", "specks", "dots", "long_lines", "curves", "words", "first_line", "second_line")
_BOXED = 0.1  # share of the images with empty space added
_ROUGH = 0.4  # share of the images whose letters stand worse than their look has it
_SAFE_FONT = "DejaVuSans"  # has all of ASCII


class Font(NamedTuple):
    """A font that letters may be drawn with.

    Attributes:
        name: As in :func:`drawing.painter.font_file`.
        upper_only: Its small letters look like large ones, or it has none; then no label with small
            letters is drawn with it.
    """

    name: str
    upper_only: bool = False


@dataclass(frozen=True)
class Look:
    """How a kind of CAPTCHA looks.

    Every layer is a tuple of names, of which each image takes one. Names joined by "+" are painted
    one after the other; "none" paints nothing. A name that is listed twice is taken twice as often.

    Attributes:
        name: What it is called.
        weight: How often it is drawn, next to other looks.
        held_out: It is never drawn unless asked for: to measure how a new look is read.
        colours: Names of :data:`drawing.palettes.SCHEMES`.
        background: Of :data:`drawing.backgrounds.BACKGROUNDS`.
        layout: Of :data:`drawing.lettering.LAYOUTS`.
        ink: Of :data:`drawing.lettering.INKS`.
        texture: Of :data:`drawing.lettering.TEXTURES`.
        effect: Of :data:`drawing.lettering.EFFECTS`.
        under: Clutter under the letters, of :data:`drawing.clutter.CLUTTER`.
        over: Clutter over the letters.
        warp: Of :data:`drawing.warps.WARPS`.
        finish: Of :data:`drawing.finishes.FINISHES`.
        labels: Kinds of labels, of :data:`drawing.label_kinds.KINDS`; by default any.
        size: Range of the letters' size in pixels; by default from tiny to large.
    """

    name: str
    weight: float = 1.0
    held_out: bool = False
    colours: tuple[str, ...] = ("dark_on_white", "dark_on_pale", "black_on_white")
    background: tuple[str, ...] = ("flat",)
    layout: tuple[str, ...] = ("plain", "jumping", "spaced")
    ink: tuple[str, ...] = ("solid",)
    texture: tuple[str, ...] = ("none",)
    effect: tuple[str, ...] = ("none",)
    under: tuple[str, ...] = ("none",)
    over: tuple[str, ...] = ("none",)
    warp: tuple[str, ...] = ("none",)
    finish: tuple[str, ...] = ("none",)
    labels: tuple[str, ...] = ()
    size: Range | None = None

    def __post_init__(self) -> None:
        for layer, known in _PAINTERS.items():
            for option in getattr(self, layer):
                for name in option.split("+"):
                    if name not in known and name != "none":
                        raise ValueError(
                            f"Look {self.name!r}: there is no {layer} {name!r}; choose from: "
                            f"{', '.join(known)}."
                        )


_PAINTERS: dict[str, Collection[str]] = {
    "colours": SCHEMES,
    "background": BACKGROUNDS,
    "layout": LAYOUTS,
    "ink": INKS,
    "texture": TEXTURES,
    "effect": EFFECTS,
    "under": CLUTTER,
    "over": CLUTTER,
    "warp": WARPS,
    "finish": FINISHES,
    "labels": (*KINDS, SUM),
}

_ANY_LAYOUT = ("plain", "spaced", "jumping", "rotated", "slanted", "touching", "bent", "filling")
_ANY_PAPER = ("flat", "flat", "gradient", "clouds", "patches", "radial", "stripes")
_LARGE: Range = (26.0, 60.0)

# fmt: off
_ALL = (
    # Simple ones: most real CAPTCHAs are.
    Look("clean", 7, colours=("black_on_white", "dark_on_white", "dark_on_pale", "greys"),
         layout=("plain", "spaced", "typewriter", "slanted", "filling", "small", "narrow", "wide")),
    Look("clean_on_dark", 2, colours=("light_on_dark", "white_on_colour"), layout=("plain",
         "spaced", "filling", "small", "wide")),
    Look("clean_jumping", 3, colours=("dark_on_white", "dark_on_pale", "each", "black_on_white"),
         layout=("jumping", "rotated", "scattered")),
    Look("lines_and_dots", 9, layout=_ANY_LAYOUT, over=("lines", "lines+dots", "long_lines+specks",
         "long_lines", "dots", "specks", "lines+specks", "curves+dots")),
    Look("same_colour_lines", 5, colours=("black_on_white", "dark_on_white"), layout=_ANY_LAYOUT,
         over=("curves", "sine", "long_lines", "arcs", "sine+dots", "curves+specks")),
    Look("lines_behind", 4, colours=("dark_on_white", "dark_on_pale", "greys", "light_on_dark"),
         layout=_ANY_LAYOUT, under=("lines", "long_lines", "grid", "scratches", "lines+specks",
         "boxes")),
    Look("one_stroke", 3, colours=("black_on_white", "dark_on_white", "greys"), layout=("plain",
         "touching", "slanted", "overlapping", "filling"), ink=("solid", "bold"), over=("strike",
         "strike", "curves")),
    Look("bent_black", 3, colours=("black_on_white", "greys"), layout=("touching", "bent",
         "overlapping"), ink=("bold", "solid", "solid"), warp=("wave_x+wave_y", "crumpled",
         "ripple")),
    Look("waves_and_gradient", 2, colours=("greys", "dark_on_pale"), background=("gradient",),
         over=("strike", "curves", "lines"), warp=("wave_x+wave_y", "ripple", "wave_y")),
    Look("specks", 3, layout=_ANY_LAYOUT, over=("specks", "specks+dots", "snow"), finish=("salted",
         "none", "grain")),
    # Colour.
    Look("each_its_colour", 4, colours=("each",), layout=("jumping", "rotated", "mixed", "spaced"),
         under=("none", "stars", "lines"), over=("none", "lines", "dots", "curves", "stars")),
    Look("each_its_font", 3, colours=("each", "each_any", "ramp"), layout=("mixed", "scattered"),
         ink=("solid", "bold", "thin"), over=("none", "lines", "dots")),
    Look("many_colours", 2, colours=("each_any", "each"), background=("confetti", "patches",
         "coloured_noise", "flat"), over=("lines+dots", "circles", "curves")),
    Look("ramp", 1.5, colours=("ramp",), layout=("spaced", "plain", "jumping"), over=("none",
         "lines", "dots")),
    Look("pale_far_apart", 1.5, colours=("pale_each",), layout=("far_apart",), ink=("thin",
         "solid"), over=("none", "dots", "lines")),
    Look("pale_hairlines", 2, colours=("pale", "pale_on_middle", "pale_each"),
         background=("gradient", "radial", "flat"), ink=("hairline", "thin", "hairline"),
         over=("none", "strike", "curves"), size=_LARGE),
    Look("pale", 1.5, colours=("pale", "pale_on_middle"), background=_ANY_PAPER, layout=_ANY_LAYOUT,
         ink=("solid", "bold"), over=("none", "lines", "dots")),
    Look("equal_grey", 2, colours=("equal_grey",), ink=("bold", "solid"), under=("none", "dots",
         "specks"), over=("none", "lines", "long_lines")),
    Look("bright_in_a_thicket", 2, colours=("bright_under_dark",), ink=("bold", "solid"),
         under=("thicket", "scratches"), over=("thicket", "scratches", "scribble")),
    Look("dark_under_bright", 1.5, held_out=True, colours=("dark_under_bright",), ink=("bold",
         "solid"), over=("thicket", "curves+circles", "scribble", "arcs")),
    Look("white_on_colour", 2.5, colours=("white_on_colour", "saturated"), background=("flat",
         "gradient", "clouds", "patches"), ink=("solid", "bold"), over=("none", "lines", "dots")),
    Look("neon", 1.5, colours=("neon",), background=("flat", "clouds"), effect=("glow", "none",
         "echo"), over=("none", "curves", "dots")),
    Look("two_colours", 1.5, colours=("black_on_white", "saturated", "light_on_dark"),
         layout=_ANY_LAYOUT, ink=("jagged",), over=("lines", "specks", "bars", "none")),
    # What letters are made of.
    Look("dotted", 1.5, ink=("bold",), texture=("dotted",), over=("none", "dots", "lines"),
         size=(30, 64)),
    Look("hatched", 1.5, ink=("bold",), texture=("hatched", "hatched_twice"), effect=("none", "rim",
         "none"), size=(30, 64)),
    Look("short_strokes", 1.5, held_out=True, ink=("bold",), texture=("short_strokes",),
         under=("none", "none", "scratches"), size=(30, 64)),
    Look("sprayed", 1.5, ink=("bold", "solid"), texture=("sprayed", "pixelled"), over=("specks",
         "none"), size=_LARGE),
    Look("holed", 1.5, ink=("bold",), texture=("holed", "sliced"), over=("none", "dots"),
         size=_LARGE),
    Look("scanned", 1.5, ink=("bold", "solid"), texture=("scanned", "faded"), finish=("rows",
         "none", "grain"), size=(24, 60)),
    Look("outlined", 2.5, colours=("black_on_white", "dark_on_white", "dark_on_pale",
         "light_on_dark"), layout=_ANY_LAYOUT, ink=("outline",), over=("none", "lines", "curves"),
         size=_LARGE),
    Look("outlines_over_one_another", 1.5, layout=("overlapping",), ink=("outline",),
         warp=("wave_y", "wave_x+wave_y"), size=_LARGE),
    Look("double_outlines", held_out=True, layout=("plain", "spaced", "jumping"),
         ink=("double_outline", "inline"), over=("none", "lines"), size=(36, 64)),
    Look("eaten", 1.5, ink=("eaten",), texture=("none", "faded"), over=("none", "scratches"),
         finish=("none", "ordered", "jpeg")),
    Look("glassy", held_out=True, colours=("each", "dark_on_white"), layout=("overlapping",
         "touching"), ink=("glassy",), effect=("none", "echo"), size=_LARGE),
    # What goes with letters.
    Look("shadow", 2.5, background=_ANY_PAPER, ink=("solid", "bold"), effect=("shadow",),
         over=("none", "lines", "curves")),
    Look("solid_letters", 1.5, background=_ANY_PAPER, layout=("spaced", "rotated", "jumping"),
         ink=("bold",), effect=("extruded", "bevel"), size=_LARGE),
    Look("rim", 1.5, colours=("dark_on_pale", "light_on_dark", "saturated", "white_on_colour"),
         background=("photo", "clouds", "blobs", "patches"), effect=("rim", "glow")),
    Look("tiles", 2, colours=("dark_on_white", "each", "dark_on_pale"), layout=("rotated", "spaced",
         "jumping"), effect=("tile",)),
    Look("strips", 2.5, colours=("each_any", "saturated", "each"), layout=("rotated", "scattered",
         "far_apart", "mixed"), ink=("solid", "bold", "thin"), effect=("strips",), over=("lines",
         "long_lines", "lines+dots", "none", "long_lines+dots")),
    Look("thrown", 2.5, colours=("each", "dark_on_white", "each_any"), layout=("thrown",),
         ink=("solid", "bold"), over=("none", "lines", "lines+dots", "curves")),
    Look("boxes", held_out=True, layout=("rotated", "spaced"), effect=("box",), over=("none",
         "lines", "dots")),
    Look("two_coloured", 1.5, background=_ANY_PAPER, ink=("bold",), effect=("two_coloured",)),
    Look("echo", layout=("spaced", "jumping"), effect=("echo",), over=("none", "dots")),
    # Backgrounds as dense as the ink.
    Look("salt_and_pepper", 2, colours=("dark_on_pale", "greys", "saturated", "each"),
         background=("salt",), ink=("bold", "solid"), size=(22, 60)),
    Look("coloured_noise", 1.5, colours=("dark_on_white", "light_on_dark", "each"),
         background=("coloured_noise",), ink=("bold", "solid"), size=(22, 60)),
    Look("ruled", 2, colours=("dark_on_white", "dark_on_pale", "light_on_dark", "greys"),
         background=("ruled", "grid", "cross_hatched"), ink=("solid", "bold"), over=("none",
         "lines")),
    Look("woven", 1.5, colours=("dark_on_pale", "saturated", "light_on_dark"), background=("woven",
         "checkered", "polka"), ink=("bold",), effect=("none", "rim")),
    Look("sines", held_out=True, colours=("dark_on_pale", "light_on_dark", "saturated"),
         background=("sines", "halftone"), ink=("bold", "solid")),
    Look("photo", 2.5, colours=("dark_on_pale", "light_on_dark", "white_on_colour", "each_any",
         "saturated"), background=("photo", "clouds", "blobs"), ink=("solid", "bold"),
         effect=("none", "shadow", "rim", "none")),
    Look("on_printed_paper", 1.5, colours=("dark_on_pale", "dark_on_white", "light_on_dark",
         "greys"), background=("text",), ink=("bold", "solid")),
    Look("strewn_letters", 1.5, colours=("dark_on_white", "each", "dark_on_pale"),
         under=("small_letters", "words"), over=("none", "small_letters")),
    Look("two_lines", 1.5, layout=("line_below", "line_below"), under=("none", "specks"),
         over=("second_line",)),
    Look("line_above", held_out=True, background=("flat", "gradient"), layout=("line_above",),
         over=("first_line",)),
    # Clutter of other kinds.
    Look("inverted_shapes", 2, colours=("black_on_white", "dark_on_white", "light_on_dark"),
         layout=_ANY_LAYOUT, ink=("bold", "solid"), over=("inverted",)),
    Look("circles_and_arcs", 2, layout=_ANY_LAYOUT, under=("none", "circles", "glass"),
         over=("circles", "arcs", "polygons", "boxes")),
    Look("grid_over", 1.5, layout=_ANY_LAYOUT, ink=("bold", "solid"), over=("grid", "slanted_grid",
         "bars")),
    Look("fisheye_grid", 1.5, colours=("dark_on_white", "dark_on_pale", "light_on_dark"),
         ink=("solid", "bold"), under=("grid", "slanted_grid"), warp=("fisheye", "fisheye+wave_y")),
    Look("scribbled", 1.5, colours=("dark_on_white", "dark_on_pale", "each"), layout=("plain",
         "spaced", "jumping"), ink=("bold",), over=("scribble", "spiral", "thicket")),
    Look("glass", colours=("dark_on_white", "each", "white_on_colour"), under=("glass", "none"),
         over=("glass",)),
    Look("chess", colours=("black_on_white", "dark_on_white", "light_on_dark"), ink=("bold",
         "solid"), over=("chess",), size=(22, 60)),
    Look("web", held_out=True, layout=_ANY_LAYOUT, ink=("bold", "solid"), over=("web",)),
    Look("confetti", 1.5, colours=("greys", "dark_on_pale"), background=("confetti", "salt",
         "polka"), ink=("bold",), texture=("pixelled", "sprayed", "none"), warp=("perspective",
         "none", "wave_y")),
    Look("stitched", ink=("stitched",), over=("none", "dots"), size=(34, 64)),
    Look("mosaic", held_out=True, background=_ANY_PAPER, ink=("bold",), finish=("mosaic",),
         size=(36, 70)),
    # Bent, moved, shaken.
    Look("swirled", 1.5, held_out=True, layout=("plain", "spaced", "filling"), over=("none",
         "lines"), warp=("swirl", "swirl+wave_x")),
    Look("perspective", 1.5, background=_ANY_PAPER, layout=("plain", "spaced", "arched", "sloping"),
         over=("none", "lines", "grid"), warp=("perspective", "squeezed", "crumpled")),
    Look("arched", 1.5, layout=("arched", "sloping"), over=("none", "curves", "dots")),
    Look("sliced_and_moved", ink=("bold", "solid"), over=("none", "lines"), warp=("slices",)),
    Look("shaken", 1.5, ink=("solid", "bold"), over=("none", "lines", "curves"), warp=("shaken",
         "shaken+wave_y"), size=(22, 60)),
    Look("overlapping", 2, colours=("each", "dark_on_white", "ramp"), layout=("overlapping",
         "touching"), over=("none", "curves", "lines"), warp=("none", "wave_y")),
    Look("cut_off", 1.5, layout=("cut_off", "filling"), ink=("solid", "bold"), over=("none",
         "lines", "dots")),
    # How it is saved, how large it is, what it asks.
    Look("tiny", 3, colours=("black_on_white", "dark_on_white", "light_on_dark", "each"),
         layout=("plain", "filling", "spaced", "typewriter"), ink=("solid", "jagged"), over=("none",
         "specks", "lines"), size=(9, 14)),
    Look("large", layout=_ANY_LAYOUT, over=("none", "curves", "lines+dots"), size=(70, 130)),
    Look("dithered", 1.5, colours=("dark_on_pale", "light_on_dark", "saturated"),
         background=("gradient", "clouds", "photo"), finish=("ordered", "web_colours", "palette")),
    Look("worn", 1.5, over=("none", "lines", "scratches"), finish=("stained", "lit", "edges",
         "jpeg+jpeg", "low_resolution+jpeg")),
    Look("sums", 3, background=("flat", "gradient"), layout=("plain", "spaced", "jumping",
         "typewriter"), over=("none", "lines", "dots", "specks"), labels=("sum",)),
)
# fmt: on
LOOKS: dict[str, Look] = {look.name: look for look in _ALL}
_LAYERS = [
    field.name for field in fields(Look) if field.name in _PAINTERS and field.name != "labels"
]


def draw_look(
    rng: Rng,
    *,
    charset: str = CHARSET,
    length: tuple[int, int] = (1, 10),
    fonts: Sequence[Font | str] = FONTS,
    look: str | None = None,
    held_out: bool = False,
    exclude: Collection[str] = (),
) -> tuple[np.ndarray, str]:
    """Draw one image in one of the looks, or in a cross of some.

    Args:
        rng: Where every random number comes from.
        charset: The characters that the label is made of.
        length: Fewest and most characters of the label.
        fonts: The fonts to choose from. One that lacks a character of the label is passed over.
        look: Name of a look; by default any that is not held out.
        held_out: By default take one of the looks that are held out instead, and cross none.
        exclude: Labels that are not drawn.

    Returns:
        The image ``(H, W, 3)`` uint8 RGB, of a size of its own, and its label.

    Raises:
        ValueError: There is no such look, or nearly every label is excluded.

    Example:
        >>> image, label = draw_look(np.random.default_rng(3), charset="0123456789")
        >>> image.dtype, label.isdigit()
        (dtype('uint8'), True)
    """
    recipe = _recipe(rng, look, held_out)
    image, _, label = _draw(recipe, rng, charset, length, fonts, exclude)
    return letterboxed(image, rng) if chance(rng, _BOXED) else image, label


def draw_looks(
    count: int,
    *,
    height: int,
    width: int,
    charset: str = CHARSET,
    length: tuple[int, int] = (1, 10),
    fonts: Sequence[Font | str] = FONTS,
    look: str | None = None,
    held_out: bool = False,
    exclude: Collection[str] = (),
    processing: Processing | None = None,
    seed: int = 0,
    start: int = 0,
    channels: int = 3,
) -> tuple[np.ndarray, list[str]]:
    """Draw images number `start` and following of an endless row, as a model sees them.

    To make letters from a font takes longer than to draw with them. Images number 0 to 8191 share
    64 of the fonts, the next 8192 images share others, and so on: let each process draw rows of
    thousands, and mix what several processes draw.

    Args:
        count: How many images, B.
        height: Rows of the images.
        width: Columns of the images.
        charset: The characters that labels are made of.
        length: Fewest and most characters of a label.
        fonts: The fonts to choose from.
        look: Name of a look; by default any that is not held out.
        held_out: By default take only looks that are held out.
        exclude: Labels that are not drawn.
        processing: What is done to the images before they get this size; by default nothing.
        seed: Another seed gives other images.
        start: Number of the first image.
        channels: 3 for colour, 1 for grey.

    Returns:
        Images ``(B, height, width, channels)`` uint8, 0–255, and B labels. Image i depends on the
        seed and on ``start + i`` only, and of course on what is asked for.

    Raises:
        ValueError: There is no such look, there are no fonts, or nearly every label is excluded.

    Example:
        >>> images, labels = draw_looks(3, height=48, width=192, seed=1)
        >>> images.shape, len(labels)
        ((3, 48, 192, 3), 3)
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}; give 3 for colour or 1 for grey.")
    if not fonts:
        raise ValueError("fonts is empty; give the names of fonts, or leave it out")
    images, labels = np.empty((count, height, width, channels), np.uint8), []
    exclude = frozenset(exclude)
    for row in range(count):
        number = start + row
        image, label = draw_look(
            np.random.default_rng([seed, number]),
            charset=charset,
            length=length,
            fonts=_pool(tuple(fonts), seed, number // _BLOCK),
            look=look,
            held_out=held_out,
            exclude=exclude,
        )
        images[row] = prepare(image, height, width, processing, channels)
        labels.append(label)
    return images, labels


@lru_cache(maxsize=8)
def _pool(fonts: tuple[Font | str, ...], seed: int, block: int) -> tuple[Font | str, ...]:
    """The fonts that the images of a block share."""
    if len(fonts) <= _POOL:
        return fonts
    chosen = np.random.default_rng([seed, block, _POOL]).choice(len(fonts), _POOL, replace=False)
    return tuple(fonts[place] for place in chosen.tolist())


class _Recipe(NamedTuple):
    """What one image is made of: a name for each layer."""

    colours: str
    background: str
    layout: str
    ink: str
    texture: str
    effect: str
    under: str
    over: str
    warp: str
    finish: str
    labels: tuple[str, ...]
    size: Range | None


def _recipe(rng: Rng, name: str | None, held_out: bool) -> _Recipe:
    if name is not None:
        if name not in LOOKS:
            raise ValueError(f"No look is called {name!r}; choose one of {', '.join(LOOKS)}.")
        parents = [LOOKS[name]]
    else:
        crossed = not held_out and chance(rng, _CROSSED)
        parents = [_any_look(rng, held_out) for _ in range(whole(rng, 2, 3) if crossed else 1)]
    layers = {layer: pick(rng, getattr(pick(rng, parents), layer)) for layer in _LAYERS}
    sizes = [look.size for look in parents if look.size is not None]
    size = pick(rng, sizes) if sizes else None
    if layers["texture"] != "none" or layers["ink"] in _FINE_INKS:
        size = next((pair for pair in sizes if pair[0] >= _LARGE[0]), _LARGE)
    return _Recipe(**layers, labels=pick(rng, parents).labels, size=size)


@lru_cache(maxsize=2)
def _weighted(held_out: bool) -> tuple[list[Look], list[float]]:
    looks = [look for look in _ALL if look.held_out == held_out]
    return looks, list(accumulate(look.weight for look in looks))


def _any_look(rng: Rng, held_out: bool) -> Look:
    looks, sums = _weighted(held_out)
    place = rng.random() * sums[-1]
    return looks[next(i for i, upto in enumerate(sums) if place < upto)]


def _size(recipe: _Recipe, letters: int, rng: Rng) -> float:
    """The letters' size in pixels; many letters are smaller, so that no image is very wide."""
    if recipe.size is not None:
        low, high = recipe.size
    else:
        low, high = pick(
            rng,
            (
                (10.0, 18.0),
                (18.0, 30.0),
                (18.0, 30.0),
                (26.0, 42.0),
                (26.0, 42.0),
                (26.0, 42.0),
                (40.0, 60.0),
            ),
        )
    return min(between(rng, low, high), max(low, 260 / letters))


def _draw(
    recipe: _Recipe,
    rng: Rng,
    charset: str,
    length: tuple[int, int],
    fonts: Sequence[Font | str],
    exclude: Collection[str],
) -> tuple[np.ndarray, np.ndarray, str]:
    """The image (H, W, 3), the ink of its letters (H, W), and its label."""
    layout = LAYOUTS[recipe.layout]
    if chance(rng, _ROUGH):
        layout = roughened(layout, rng)
    mixed = chance(rng, layout.mixed_fonts)
    chosen = [pick(rng, fonts) for _ in range(length[1] if mixed else 1)]
    upper_only = any(isinstance(font, Font) and font.upper_only for font in chosen)
    label = draw_label(
        rng, charset, length, kinds=recipe.labels, upper_only=upper_only, exclude=exclude
    )
    glyphs = _glyphs(label, chosen)
    size = _size(recipe, len(label), rng)
    if size < _TINY:
        recipe = _calmer(recipe)
    colours = choose_colours(SCHEMES[recipe.colours], len(label), rng)
    if len(set(colours.inks)) == 1 and "outline" not in recipe.ink:  # or they grow together
        layout = replace(layout, gap=(max(layout.gap[0], -0.06), max(layout.gap[1], -0.02)))
    letters, height, width = place_letters(layout, glyphs, size, rng)
    background = BACKGROUNDS[recipe.background](height, width, colours.paper, rng)
    _paint(background, recipe.under, colours, size, rng)
    texture = TEXTURES[recipe.texture]
    kept = None if texture is None else texture(height, width, size, rng)
    effect = EFFECTS[recipe.effect](size, colours, rng)
    ink = INKS[recipe.ink](size, rng)
    sheet, mask = ink_letters(letters, background, colours, ink, kept, effect, rng)
    if recipe.warp != "none":
        sheet, mask, background = _bend(sheet, mask, background, recipe.warp, size, rng)
    image = _lay(sheet, background)
    image = _paint_over(image, mask, recipe.over, colours, size, rng)
    names = recipe.finish.split("+")
    if size >= _TINY and chance(rng, 0.25):
        names.append(pick(rng, _COMMON))
    return _finished(image, mask, letters, names, rng), mask, label


def _lay(sheet: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Lay a sheet (H, W, 4) on a background (H, W, 3)."""
    red, green, blue, share = cv2.split(sheet)
    bare = cv2.merge([255 - share] * 3)
    return cv2.add(cv2.multiply(background, bare, scale=1 / 255), cv2.merge([red, green, blue]))


def _finished(
    image: np.ndarray, mask: np.ndarray, letters: Sequence[Letter], names: Sequence[str], rng: Rng
) -> np.ndarray:
    """Apply finishes one after the other; what would blot out a letter is left out."""
    for name in names:
        if name == "none":
            continue
        finished = FINISHES[name](image, rng)
        if name in _LOSSY and not _kept(image, finished, mask, letters):
            continue
        image = finished
    return image


def _kept(
    image: np.ndarray, finished: np.ndarray, mask: np.ndarray, letters: Sequence[Letter]
) -> bool:
    """Whether each letter can still be told from what is around it."""
    for letter in letters:
        part = np.s_[letter.y0 : letter.y1, letter.x0 : letter.x1]
        ink, paper = mask[part], cv2.bitwise_not(mask[part])
        before, after = (
            difference(cv2.mean(picture[part], ink)[:3], cv2.mean(picture[part], paper)[:3])
            for picture in (image, finished)
        )
        if after < 0.55 * before:
            return False
    return True


def _calmer(recipe: _Recipe) -> _Recipe:
    """The same with nothing that leaves only a blot of tiny letters."""
    return recipe._replace(
        ink="solid" if recipe.ink not in ("solid", "jagged") else recipe.ink,
        texture="none",
        effect=recipe.effect if recipe.effect in ("shadow", "tile") else "none",
        over=recipe.over if recipe.over in _FINE else "none",
        warp="none",
        finish=recipe.finish if recipe.finish in ("palette", "framed", "web_colours") else "none",
    )


def _glyphs(label: str, fonts: Sequence[Font | str]) -> list[Glyph]:
    """Each character of a label in its font, or in one that has it."""
    names = [font.name if isinstance(font, Font) else font for font in fonts]
    found = []
    for i, char in enumerate(label):
        for name in (names[i % len(names)], *names, _SAFE_FONT):
            try:
                found.append(glyph(name, char))
                break
            except ValueError:  # the font has no such character
                continue
        else:
            raise ValueError(f"No font has the character {char!r}; take it out of the charset.")
    return found


def _bend(
    sheet: np.ndarray, mask: np.ndarray, background: np.ndarray, names: str, size: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bend the letters, and at times the background with them."""
    with_background = chance(rng, 0.5)
    layers = [sheet, mask]
    if with_background:
        layers.append(cv2.cvtColor(background, cv2.COLOR_RGB2RGBA))
    bent = warp(layers, names.split("+"), size, rng)
    if with_background:
        paper = bent[2]
        outside = paper[..., 3] < 255
        background = np.where(outside[..., None], background, paper[..., :3])
    return bent[0], bent[1], background


def _whole_colours(colours: Palette) -> list[tuple[int, ...]]:
    return [tuple(int(value + 0.5) for value in colour) for colour in colours.clutter]


def _distance(some: Sequence[Colour], others: Sequence[Colour]) -> float:
    """How far the two colours lie apart, of which one is here and one there, that are nearest."""
    return min(difference(first, last) for first in some for last in others)


def _paint(image: np.ndarray, names: str, colours: Palette, size: float, rng: Rng) -> None:
    for name in names.split("+"):
        if name != "none":
            CLUTTER[name](image, _whole_colours(colours), size, rng)


def _paint_over(
    image: np.ndarray, mask: np.ndarray, names: str, colours: Palette, size: float, rng: Rng
) -> np.ndarray:
    """Paint clutter over the letters; what would hide too much of them is left out."""
    alike = _distance(colours.clutter, colours.inks) < 50
    for name in names.split("+"):
        if name == "none":
            continue
        before = image.copy()
        CLUTTER[name](image, _whole_colours(colours), size, rng)
        if name in ("inverted", "chess"):
            continue
        red, green, blue = cv2.split(cv2.absdiff(image, before))
        changed = cv2.inRange(cv2.max(cv2.max(red, green), blue), (24,), (255,))
        x, y, wide, high = cv2.boundingRect(mask)
        hidden = cv2.mean(changed, mask)[0] / 255
        beside = cv2.mean(changed[y : y + high, x : x + wide])[0] / 255
        if hidden > _HIDDEN or (alike and max(hidden, beside) > _HIDDEN_ALIKE):
            image = before
    return image
