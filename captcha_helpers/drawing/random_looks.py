"""Every look at once: the drawn images that the pre-trained start learned to read from.

A model that has seen only one look has to begin again with the next. One that has seen every font,
colour, stroke and wave that the generator can draw has learned what a character is, and needs a few
labels only to see which of all that matters in a new set. This is *domain randomisation* (Tobin et
al., 2017): if the drawn world is varied enough, the real one is just one more variation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

import numpy as np

from captcha_helpers.core.charset import ALPHANUMERIC
from captcha_helpers.data.augment import augment_batch
from captcha_helpers.data.images import prepare
from captcha_helpers.data.processing import Processing
from captcha_helpers.drawing.painter import cv2, draw, has_character, sample_label
from captcha_helpers.drawing.styles import STYLES, Range, Stroke, Style, Wave

Rng = np.random.Generator

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold"),
    *("DejaVuSerif-Italic", "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol"),
    *("STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmb10", "cmss10", "cmtt10"),
    *(f"font_hanken_grotesk:HankenGrotesk-{cut}.otf" for cut in ("Regular", "Bold", "Light")),
    *(f"font_hanken_grotesk:HankenGrotesk-{cut}.otf" for cut in ("Italic", "BoldItalic", "Medium")),
    *(f"font_source_sans_pro:SourceSansPro-{cut}.ttf" for cut in ("Regular", "Bold", "Light")),
    *(f"font_source_sans_pro:SourceSansPro-{cut}.ttf" for cut in ("It", "BoldIt", "Black")),
    *(f"font_manrope:Manrope-{cut}.ttf" for cut in ("Regular", "ExtraBold", "Light")),
    *(f"font_caladea:Caladea-{cut}.ttf" for cut in ("Regular", "Bold", "Italic", "BoldItalic")),
    *(f"font_source_serif_pro:SourceSerifPro-{cut}.otf" for cut in ("Regular", "Semibold", "It")),
    "font_fredoka_one:FredokaOne-Regular.ttf",
    "font_intuitive:Intuitive.ttf",
)
PRESETS = {"mixed": 0.45, "gradient": 0.2, "slanted": 0.1, "stars": 0.1, "classic": 0.15}


def random_style(
    rng: Rng, *, length: int, charset: str = ALPHANUMERIC, rough: bool = True
) -> Style:
    """Make up a look: mostly out of thin air, at times by changing a preset.

    Args:
        rng: Where every random number comes from.
        length: Number of characters.
        charset: The characters that labels are made of.
        rough: Also looks that are harder to read: characters rotated far or over one another, small
            text in a wide space.

    Returns:
        A style, with a size, colours, fonts, strokes and waves that no other is likely to have.

    Example:
        >>> random_style(np.random.default_rng(0), length=5).length
        (5, 5)
    """
    if _chance(rng, 0.45):
        preset = STYLES[str(rng.choice(list(PRESETS), p=list(PRESETS.values())))]
        style = _near(preset, rng, length, charset)
    else:
        style = _from_thin_air(rng, length, charset)
    return _rougher(style, rng) if rough else style


def _from_thin_air(rng: Rng, length: int, charset: str) -> Style:
    height = int(rng.integers(30, 81))
    size = height * rng.uniform(0.5, 0.95)  # of the font
    width = int(np.clip(size * length * rng.uniform(0.45, 1.1), 1.2 * height, 5 * height))
    dark, light = _two_greys(rng)
    spread = rng.uniform(0, 45) if _chance(rng, 0.6) else 0.0
    ink = _around(dark, spread, high=light - 45)
    wide_gap = 0.35 if _chance(rng, 0.4) else 0.08
    gap = sorted(rng.uniform(-0.1, wide_gap, 2) * size)
    return Style(
        name="random",
        width=width,
        height=height,
        charset=charset,
        length=(length, length),
        fonts=tuple(rng.choice(FONTS, 3 if _chance(rng, 0.2) else 1)),
        font_per_character=_chance(rng, 0.5),
        font_size=(size, size),
        size_jitter=_sometimes(rng, 0.5, 0.25),
        weight=_pair(rng, -0.02 * size, 0.03 * size),
        hollow=_pair(rng, 0.7, 1.8) if _chance(rng, 0.12) else None,
        stretch=(rng.uniform(0.7, 1.0), rng.uniform(1.0, 1.3)),
        start=None if _chance(rng, 0.5) else (0.0, max(1.0, 0.4 * size)),
        gap=(gap[0], gap[1]),
        drift=_sometimes(rng, 0.3, 0.08) * size,
        rise=_sometimes(rng, 0.5, 0.2) * height,
        rotation=_sometimes(rng, 0.6, 30.0),
        shear=_sometimes(rng, 0.4, 18.0),
        warp=_sometimes(rng, 0.3, 0.3),
        margin=rng.uniform(-3, 2),
        ink=ink,
        ink_per_character=_chance(rng, 0.5),
        background=_around(light, spread / 3, low=ink[1] + 30),
        gradient=_gradient(rng, light) if _chance(rng, 0.2) else None,
        strokes=_strokes(rng, height, light),
        dots=(0, int(rng.integers(10, 60))) if _chance(rng, 0.25) else (0, 0),
        stars=(5, 16) if _chance(rng, 0.08) else (0, 0),
        star_colour=_around((dark + light) / 2, 50),
        waves=_waves(rng, height),
        waves_move_strokes=_chance(rng, 0.5),
        negative=float(_chance(rng, 0.33)),
        outline=float(_chance(rng, 0.04)),
    )


def draw_anything(
    rng: Rng,
    *,
    height: int,
    width: int,
    charset: str = ALPHANUMERIC,
    length: tuple[int, int],
    near: Style | None = None,
    rough: bool = True,
    exclude: Collection[str] = (),
    processing: Processing | None = None,
    channels: int = 1,
) -> tuple[np.ndarray, str]:
    """Draw one image in a look made up for it, as a model sees it.

    Args:
        rng: Where every random number comes from.
        height: Rows of the image.
        width: Columns of the image.
        charset: The characters that the label is made of.
        length: Fewest and most characters of the label.
        near: A style that the look shall be like; by default any look.
        rough: If it may be any look, also ones that are harder to read: characters rotated far,
            over one another or cut off at the edge, and lines of any grey across them.
        exclude: Labels that are not drawn.
        processing: What is done to the image before it gets this size; by default nothing.
        channels: 1 for a grey image, 3 for RGB.

    Returns:
        The image ``(height, width, channels)`` uint8, 0–255, and its label.

    Example:
        >>> image, label = draw_anything(np.random.default_rng(0), height=48, width=160,
        ...                              length=(4, 4))
        >>> image.shape, len(label)
        ((48, 160, 1), 4)
    """
    characters = int(rng.integers(length[0], length[1] + 1))
    if near is None:
        style = random_style(rng, length=characters, charset=charset, rough=rough)
    else:
        style = _near(near, rng, characters, charset)
    label = sample_label(style, rng, exclude)
    image = draw(style, label, rng)
    if not rough or near is not None:
        return prepare(_degrade(image, rng), height, width, processing, channels), label
    image = _degrade(_cut(_scribble(image, rng), rng), rng)
    image = prepare(image, height, width, processing, channels)
    if _chance(rng, 0.4):
        image = augment_batch(image[None], rng, strength=rng.uniform(0, 2))[0]
    return image, label


def draw_images(
    count: int,
    *,
    height: int,
    width: int,
    charset: str = ALPHANUMERIC,
    length: tuple[int, int],
    near: Style | None = None,
    rough: bool = True,
    exclude: Collection[str] = (),
    processing: Processing | None = None,
    channels: int = 1,
    seed: int = 0,
    start: int = 0,
) -> tuple[np.ndarray, list[str]]:
    """Draw images number `start` and following of an endless row, each in a look of its own.

    Args:
        count: How many images, B.
        height: Rows of the images.
        width: Columns of the images.
        charset: The characters that labels are made of.
        length: Fewest and most characters of a label.
        near: A style that every look shall be like; by default any look.
        rough: If they may be of any look, also ones that are harder to read; see `draw_anything`.
        exclude: Labels that are not drawn.
        processing: What is done to the images before they get this size; by default nothing.
        channels: 1 for grey images, 3 for RGB.
        seed: Another seed gives other images.
        start: Number of the first image.

    Returns:
        Images ``(B, height, width, channels)`` uint8, 0–255, and B labels.

    Example:
        >>> images, labels = draw_images(3, height=48, width=160, length=(4, 6))
        >>> images.shape, len(labels)
        ((3, 48, 160, 1), 3)
    """
    images, labels = np.empty((count, height, width, channels), np.uint8), []
    for row in range(count):
        rng = np.random.default_rng([seed, start + row])
        images[row], label = draw_anything(
            rng,
            height=height,
            width=width,
            charset=charset,
            length=length,
            near=near,
            rough=rough,
            exclude=exclude,
            processing=processing,
            channels=channels,
        )
        labels.append(label)
    return images, labels


def drawable(charset: str) -> str:
    """Pick the characters of a charset that every font here has.

    Args:
        charset: Any characters.

    Returns:
        The ASCII letters and digits among them, in their order.

    Example:
        >>> drawable("añ1?")
        'a1'
    """
    return "".join(char for char in charset if char in ALPHANUMERIC)


@lru_cache(maxsize=64)
def fonts_for(charset: str) -> tuple[str, ...]:
    """Pick the fonts that have all of some characters.

    Args:
        charset: Any characters.

    Returns:
        Those among `FONTS`, in their order.

    Example:
        >>> "DejaVuSans" in fonts_for("жя1"), "cmr10" in fonts_for("жя1"), fonts_for("字")
        (True, False, ())
    """
    rare = [char for char in charset if char not in ALPHANUMERIC]  # the others are in all of them
    return tuple(font for font in FONTS if all(has_character(font, char) for char in rare))


def _near(preset: Style, rng: Rng, length: int, charset: str) -> Style:
    """A preset with other characters, as many as asked for, and often with other fonts."""
    fonts = tuple(rng.choice(FONTS, 3)) if _chance(rng, 0.5) else preset.fonts
    return replace(
        preset,
        width=int(max(preset.width * length / preset.length[1], 1.2 * preset.height)),
        charset=charset,
        length=(length, length),
        fonts=fonts,
        stretch=(preset.stretch[0] * rng.uniform(0.8, 1.0), preset.stretch[1]),
        rotation=preset.rotation + _sometimes(rng, 0.3, 8.0),
        transparent=False,
    )


def _rougher(style: Style, rng: Rng) -> Style:
    """The same look with characters rotated further, some over others, or small in much space."""
    low, high = style.gap
    closer = _sometimes(rng, 0.15, 0.25) * style.font_size[0]
    wider, higher = 1 + _sometimes(rng, 0.2, 0.8), 1 + _sometimes(rng, 0.2, 0.8)
    return replace(
        style,
        rotation=style.rotation + _sometimes(rng, 0.2, 45.0),
        warp=max(style.warp, _sometimes(rng, 0.15, 0.4)),
        gap=(low - closer, high),
        size_jitter=max(style.size_jitter, _sometimes(rng, 0.15, 0.35)),
        rise=style.rise + _sometimes(rng, 0.15, 0.3) * style.height,
        width=round(style.width * wider),
        height=round(style.height * higher),
        start=None if wider > 1 and _chance(rng, 0.5) else style.start,
    )


def _chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _sometimes(rng: Rng, share: float, most: float) -> float:
    """A number from 0 to `most` in this share of all cases, else 0."""
    return rng.uniform(0, most) if _chance(rng, share) else 0.0


def _pair(rng: Rng, low: float, high: float) -> Range:
    first, last = sorted(rng.uniform(low, high, 2).tolist())
    return first, last


def _two_greys(rng: Rng) -> tuple[float, float]:
    """Ink and background, at least 70 levels apart; often black and white."""
    dark = rng.uniform(0, 130) if _chance(rng, 0.75) else 0.0
    light = rng.uniform(dark + 70, 255) if _chance(rng, 0.65) else 255.0
    return dark, light


def _around(grey: float, spread: float, low: float = 0.0, high: float = 255.0) -> Range:
    """A range of channel values about a grey that stays within limits."""
    first, last = np.clip([grey - spread, grey + spread], low, high).tolist()
    return first, last


def _gradient(rng: Rng, light: float) -> tuple[Range, Range]:
    ends = np.clip(light + rng.uniform(-60, 60, 2), 60, 255)
    return (ends[0], ends[0]), (ends[1], ends[1])


def _strokes(rng: Rng, height: int, light: float) -> tuple[Stroke, ...]:
    """No stroke to five: straight or curved, over the text, under it, or cutting it."""
    strokes = []
    kinds = rng.choice(3, size=int(rng.integers(1, 4)), p=(0.55, 0.3, 0.15))
    for kind in kinds if _chance(rng, 0.65) else ():
        thick = rng.uniform(0.5, 0.06 * height)
        along = _chance(rng, 0.7)
        points = 2 if _chance(rng, 0.4) else 4
        ways = [(0.0, 1.0)] * points
        ends = [(0.0, 0.3), *[(0.2, 0.8)] * (points - 2), (0.7, 1.0)]
        strokes.append(
            Stroke(
                x=tuple(ends if along else ways),
                y=tuple(ways if along else ends),
                thickness=((0.7 * thick, 1.2 * thick),),
                count=(0, 2) if _chance(rng, 0.3) else (1, 1),
                colour=_around(light * rng.uniform(0.4, 0.9), 30) if kind == 1 else None,
                erases=bool(kind == 2),
                flatness=0.5,
                smooth=_chance(rng, 0.7),
            )
        )
    return tuple(strokes)


def _waves(rng: Rng, height: int) -> tuple[Wave, ...]:
    waves = []
    for kind, share in (("x", 0.25), ("y", 0.25), ("ring", 0.1)):
        if _chance(rng, share):
            length = rng.uniform(0.4, 3) * height
            high = min(0.12 * height, 0.07 * length)
            waves.append(
                Wave(kind, (0.3 * high, high), (length, length), centre=((0.0, 1.0), (0.0, 1.0)))
            )
    if _chance(rng, 0.08):  # torn edges
        waves.append(Wave(str(rng.choice(["x", "y"])), (0.5, 1.5), (2.0, 4.0)))
    return tuple(waves)


def _scribble(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Draw over an image (H, W, 3): a few lines or bows, a grid or many dots, each of any grey."""
    height, width = image.shape[:2]
    if not _chance(rng, 0.3):
        return image
    image = np.ascontiguousarray(image)
    thick = max(1, round(rng.uniform(0, 0.05) * height))
    kind = int(rng.integers(4))
    if kind == 0:
        for x0, y0, x1, y1, grey in rng.random((int(rng.integers(1, 7)), 5)).tolist():
            ends = (int(x0 * width), int(y0 * height)), (int(x1 * width), int(y1 * height))
            cv2.line(image, *ends, (int(255 * grey),) * 3, thick, cv2.LINE_AA)
    elif kind == 1:
        for x, y, wide, high, grey in rng.random((int(rng.integers(1, 4)), 5)).tolist():
            middle, axes = (
                (int(x * width), int(y * height)),
                (int(wide * width), int(high * height)),
            )
            turn, first = rng.uniform(-20, 20), rng.uniform(0, 360)
            colour = (int(255 * grey),) * 3
            cv2.ellipse(image, middle, axes, turn, first, first + 180, colour, thick, cv2.LINE_AA)
    elif kind == 2:
        grey, pitch = int(rng.integers(256)), int(rng.integers(4, max(6, height // 3)))
        which = int(rng.integers(1, 4))
        if which & 1:
            image[int(rng.integers(pitch)) :: pitch] = grey
        if which & 2:
            image[:, int(rng.integers(pitch)) :: pitch] = grey
    else:
        radius = int(rng.integers(0, max(2, height // 24)))
        for x, y, grey in rng.random((int(rng.integers(20, 120)), 3)).tolist():
            middle = int(x * width), int(y * height)
            cv2.circle(image, middle, radius, (int(255 * grey),) * 3, cv2.FILLED)
    return image


def _cut(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Cut off some of the edges of an image (H, W, 3)."""
    height, width = image.shape[:2]
    if not _chance(rng, 0.2):
        return image
    left, right = (int(_sometimes(rng, 0.6, 0.2) * height) for _ in range(2))
    top, bottom = (int(_sometimes(rng, 0.4, 0.12) * height) for _ in range(2))
    return image[top : height - bottom, left : width - right]


def _degrade(image: np.ndarray, rng: Rng) -> np.ndarray:
    """What happens to an image (H, W, 3) on its way: blur, noise, specks, small sizes, JPEG."""
    height, width = image.shape[:2]
    if _chance(rng, 0.4):
        return image
    if _chance(rng, 0.3):
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.02 * height))
    if _chance(rng, 0.2):
        smaller = rng.uniform(0.55, 0.9)
        small = cv2.resize(image, None, fx=smaller, fy=smaller, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height))
    if _chance(rng, 0.2):
        grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(3, 20)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    if _chance(rng, 0.1):
        hit = rng.random((height, width)) < rng.uniform(0.005, 0.08)
        image = image.copy()
        image[hit] = rng.integers(0, 256, (int(hit.sum()), 1), np.uint8)
    if _chance(rng, 0.25):
        quality = int(rng.integers(20, 90))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return image
