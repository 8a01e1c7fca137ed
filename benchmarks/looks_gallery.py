"""Draw every look of :mod:`captcha_helpers.drawing.looks` by name, into docs/images/looks.png.

python -m benchmarks.looks_gallery
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from captcha_helpers.core.files import write_bytes
from captcha_helpers.drawing.looks import LOOKS, draw_looks
from captcha_helpers.drawing.painter import font_file

COLUMNS, HEIGHT, WIDTH, GAP, LINE = 4, 40, 160, 8, 15
COLOURS = 160  # of the picture: a palette keeps the file small


def gallery(seed: int = 0) -> Image.Image:
    """A picture of all looks, each with its name; the held-out ones are marked by a star.

    Args:
        seed: Another seed gives other images.

    Returns:
        The picture.
    """
    rows = -(-len(LOOKS) // COLUMNS)
    sheet = Image.new(
        "RGB", (COLUMNS * (2 * WIDTH + 3 + GAP), rows * (HEIGHT + LINE + GAP)), "white"
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(font_file("DejaVuSans")), 11)
    for place, (name, look) in enumerate(LOOKS.items()):
        row, column = divmod(place, COLUMNS)
        x, y = column * (2 * WIDTH + 3 + GAP), row * (HEIGHT + LINE + GAP)
        images, _ = draw_looks(
            2, height=HEIGHT, width=WIDTH, look=name, length=(4, 6), seed=seed, start=2 * place
        )
        pen.text((x, y), name + " *" * look.held_out, "black", font)
        for image in images:
            sheet.paste(Image.fromarray(image), (x, y + LINE))
            x += WIDTH + 3
    return sheet


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/looks.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    picture, data = gallery(args.seed), io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
    write_bytes(args.out, data.getvalue())
    print(f"{args.out}: {len(LOOKS)} looks, {np.size(data.getbuffer()) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
