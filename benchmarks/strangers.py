"""Draw folders of labelled CAPTCHAs with other people's packages, to measure readers on.

    pip install -e '.[benchmark]'
    python benchmarks/strangers.py --count 300 --out build/strangers

Chinese is drawn if there is a font that has it: ``--chinese-font FILE``, say with the file
``/usr/share/fonts/truetype/arphic/uming.ttc`` of Debian's package fonts-arphic-uming.

None of these packages takes a seed for all that it draws, so a folder is drawn once and kept: a
folder that exists is left as it is. No reader that ships has learned from any of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import random
import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont
from tqdm import tqdm

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono")  # matplotlib's
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
COMMON = [  # the characters that the national standard GB 2312 counts among the most common
    bytes([row, cell]).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFA if row == 0xD7 else 0xFF)
]
CHINESE = "".join(random.Random(0).sample(COMMON, 500))
Draw = Callable[[random.Random], tuple[Image.Image, str]]


def fonts() -> list[str]:
    """Files of a few common fonts, for packages that ask for one."""
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise SystemExit("this benchmark takes its fonts from Matplotlib: pip install matplotlib")
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [os.fspath(folder / f"{name}.ttf") for name in FONTS]


def text(rng: random.Random, charset: str, least: int, most: int) -> str:
    """Choose a label."""
    return "".join(rng.choices(charset, k=rng.randint(least, most)))


def sum_of_two(rng: random.Random) -> str:
    """Choose a sum, a difference or a product; without a question mark, for names of files."""
    return f"{rng.randint(0, 20)}{rng.choice('+-x')}{rng.randint(0, 9)}="


def captcha(charset: str, least: int, most: int) -> Draw:
    """Draw texts with ``captcha``, the most downloaded of them."""
    return captcha_of(lambda rng: text(rng, charset, least, most))


def captcha_of(choose: Callable[[random.Random], str], font: str | None = None) -> Draw:
    """Draw with ``captcha`` what is chosen; by default in its own fonts."""
    from captcha.image import ImageCaptcha

    fonts = None if font is None else [font]

    def draw(rng: random.Random) -> tuple[Image.Image, str]:
        label = choose(rng)
        return ImageCaptcha(width=160, height=60, fonts=fonts).generate_image(label), label

    return draw


def wheezy(charset: str, least: int, most: int) -> Draw:
    """Draw with ``wheezy.captcha``."""
    from wheezy.captcha import image

    inner = image.text(
        fonts=fonts(),
        drawings=[image.warp(), image.rotate(), image.offset()],
        font_sizes=[40, 44, 50],
    )
    layers = [image.background(), inner, image.curve(), image.noise(), image.smooth()]
    render = image.captcha(drawings=layers, width=200, height=75)

    def draw(rng: random.Random) -> tuple[Image.Image, str]:
        label = text(rng, charset, least, most)
        return render(label), label

    return draw


def multicolor(level: int) -> Draw:
    """Draw with ``multicolorcaptcha``, whose letters each have a colour on a busy background."""
    from multicolorcaptcha import CaptchaGenerator

    generator = CaptchaGenerator(2)

    def draw(rng: random.Random) -> tuple[Image.Image, str]:
        made = generator.gen_captcha_image(
            difficult_level=level, multicolor=True, chars_mode="ascii"
        )
        return made.image.resize((200, 110)), made.characters

    return draw


def gvcode(rng: random.Random) -> tuple[Image.Image, str]:
    """Draw with ``gvcode``: coloured letters, lines and points."""
    from gvcode import VFCode

    made = VFCode(width=200, height=80, fontsize=50)
    made.generate_mix(5)
    return Image.open(io.BytesIO(made.get_img_bytes())), made.code


def claptcha(rng: random.Random) -> tuple[Image.Image, str]:
    """Draw with ``claptcha``: distorted black letters, a line across them, and noise."""
    from claptcha import Claptcha

    ImageFont.FreeTypeFont.getsize = lambda font, text: font.getbbox(text)[2:]  # as until Pillow 10
    label = text(rng, string.ascii_uppercase + string.digits, 4, 6)
    made = Claptcha(label, rng.choice(fonts()), (200, 80), noise=rng.uniform(0, 0.5))
    return made.image[1], label


KINDS: dict[str, Callable[[], Draw]] = {
    "captcha_digits": lambda: captcha(string.digits, 4, 4),
    "captcha_upper_digits": lambda: captcha(string.ascii_uppercase + string.digits, 4, 6),
    "captcha_cyrillic": lambda: captcha(CYRILLIC, 4, 6),
    "captcha_sums": lambda: captcha_of(sum_of_two),
    "wheezy_letters": lambda: wheezy(string.ascii_letters, 4, 4),
    "multicolor_1": lambda: multicolor(1),
    "multicolor_3": lambda: multicolor(3),
    "gvcode_mix": lambda: gvcode,
    "claptcha_upper_digits": lambda: claptcha,
}


def write_folder(folder: Path, draw: Draw, count: int) -> None:
    """Draw a folder; it appears when it is complete."""
    rng = random.Random(folder.name)
    random.seed(folder.name)
    np.random.seed(0)  # some of the packages draw from the global generators
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        partial = Path(work, "new")
        partial.mkdir()
        for number in tqdm(range(count), desc=folder.name, disable=None):
            image, label = draw(rng)
            image.convert("RGB").save(partial / f"{label}_{number:04d}.png")
        partial.replace(folder)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="images a folder")
    parser.add_argument("--out", type=Path, default=Path("build/strangers"))
    parser.add_argument("--chinese-font", metavar="FILE", help="draw characters of Chinese with it")
    options = parser.parse_args()
    kinds = dict(KINDS)
    if options.chinese_font:
        kinds["captcha_chinese"] = lambda: captcha_of(
            lambda rng: text(rng, CHINESE, 4, 4), options.chinese_font
        )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, make in kinds.items():
        folder = options.out / name
        if folder.exists():
            print(f"{folder}: exists, left as it is")
            continue
        write_folder(folder, make(), options.count)
        print(f"{folder}: {options.count} images")


if __name__ == "__main__":
    main()
