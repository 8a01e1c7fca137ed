"""Images that stand for somebody else's: a look that no style here was made to describe.

Notebook 08 copies the look of images that it did not draw. Those of a real site belong to the site,
so these take their place. They are drawn by other means than `drawing.painter`: Pillow
draws, turns and pastes each letter, on tinted paper, with a shadow, and the result is squeezed
through JPEG. No image that the shipped weights learned from has a shadow, or one of these two cuts
of their fonts' families.
"""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from captcha_helpers.drawing.painter import font_file

Rng = np.random.Generator
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 190, 60
CHARACTERS = "abcdefghkmnprstuvwxyz2345678"
LENGTH = 5

_FONTS = (
    "font_source_serif_pro:SourceSerifPro-BlackIt.ttf",
    "font_hanken_grotesk:HankenGrotesk-SemiBoldItalic.otf",
)
_FONT_SIZE = (42, 50)
_PITCH = 32  # pixels from one letter's middle to the next one's
_TURN = 24.0  # degrees to either side
_SWING = 7.0  # pixels that the line of letters goes up and down
_SHADOW = (3, 3)  # pixels to the right and down
_QUALITY = (30, 60)  # of JPEG


def draw_wild(count: int, *, seed: int = 0, start: int = 0) -> tuple[np.ndarray, list[str]]:
    """Draw images number `start` and following of the set that stands for a stranger's.

    Args:
        count: How many images, B.
        seed: Another seed gives other images.
        start: Number of the first image.

    Returns:
        Images ``(B, 60, 190, 3)`` uint8, 0–255, and B labels of five small letters and digits.

    Raises:
        ValueError: If `count` or `start` is negative.

    Example:
        >>> images, labels = draw_wild(2, seed=1)
        >>> images.shape, [len(label) for label in labels]
        ((2, 60, 190, 3), [5, 5])
    """
    if count < 0 or start < 0:
        raise ValueError(f"count and start must be 0 or above, received {count} and {start}")
    images, labels = np.empty((count, HEIGHT, WIDTH, 3), np.uint8), []
    for row in range(count):
        rng = np.random.default_rng([seed, start + row])
        label = "".join(rng.choice(list(CHARACTERS), LENGTH))
        images[row] = _draw(label, rng)
        labels.append(label)
    return images, labels


def _draw(label: str, rng: Rng) -> np.ndarray:
    """One image (H, W, 3) uint8: paper, shadow, letters, curves, specks, JPEG."""
    image = _paper(rng)
    colour = _ink(rng)
    letters = _letters(label, rng)
    shadow = Image.new("L", (WIDTH, HEIGHT))
    shadow.paste(letters, _SHADOW)
    shadow = shadow.filter(ImageFilter.GaussianBlur(1.5)).point(lambda value: value * 0.55)
    image.paste((90, 90, 100), mask=shadow)
    image.paste(colour, mask=letters)
    _curve(image, colour, 2, rng)
    _curve(image, (250, 250, 245), 2, rng)
    _specks(image, rng)
    return _as_jpeg(image, int(rng.integers(*_QUALITY)))


def _paper(rng: Rng) -> Image.Image:
    """Two light tints that run into each other from left to right, with some grain."""
    ends = rng.uniform(175, 250, (2, 3))
    along = np.linspace(0, 1, WIDTH)[None, :, None]
    pixels = ends[0] * (1 - along) + ends[1] * along + rng.normal(0, 5, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _ink(rng: Rng) -> Colour:
    red, green, blue = rng.integers(20, 130, 3).tolist()
    return red, green, blue


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_file(name)), size)


def _letters(label: str, rng: Rng) -> Image.Image:
    """Where the ink is (grey, H x W): each letter rotated, along a line that swings."""
    mask = Image.new("L", (WIDTH, HEIGHT))
    phase = rng.uniform(0, 2 * math.pi)
    name = str(rng.choice(_FONTS))
    left = (WIDTH - _PITCH * (len(label) - 1)) / 2
    for place, character in enumerate(label):
        font = _font(name, int(rng.integers(_FONT_SIZE[0], _FONT_SIZE[1] + 1)))
        tile = Image.new("L", (80, 80))
        ImageDraw.Draw(tile).text((40, 40), character, 255, font, anchor="mm")
        tile = tile.rotate(rng.uniform(-_TURN, _TURN), Image.Resampling.BICUBIC)
        x = left + _PITCH * place + rng.uniform(-3, 3)
        y = HEIGHT / 2 + _SWING * math.sin(phase + 1.3 * place)
        mask.paste(255, (round(x) - 40, round(y) - 40), tile)
    return mask


def _curve(image: Image.Image, colour: Colour, thickness: int, rng: Rng) -> None:
    """A sine from edge to edge, over everything that is there."""
    high, middle = rng.uniform(5, 16), rng.uniform(0.35, 0.65) * HEIGHT
    length, phase = rng.uniform(60, 150), rng.uniform(0, 2 * math.pi)
    points = [
        (x, middle + high * math.sin(phase + 2 * math.pi * x / length))
        for x in range(-4, WIDTH + 5, 2)
    ]
    ImageDraw.Draw(image).line(points, fill=colour, width=thickness, joint="curve")


def _specks(image: Image.Image, rng: Rng) -> None:
    """Small marks of many colours, anywhere."""
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(15, 40))):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
        right, down = int(rng.integers(-3, 4)), int(rng.integers(-3, 4))
        pen.line((x, y, x + right, y + down), fill=_ink(rng))


def _as_jpeg(image: Image.Image, quality: int) -> np.ndarray:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return np.array(Image.open(data))
