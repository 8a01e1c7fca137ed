"""Write generated images to a folder, the same pixels every time.

The images in `captcha_images/` were written by

    python -m captcha_helpers.drawing.samples captcha_images

A file is called LABEL_NUMBER.png (or .jpg), for example `captcha_images/stars/801218_0001.png`. The
number keeps files apart that have the same label, also where a file system takes `aB3` for `Ab3`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from captcha_helpers.core.files import OR_OVERWRITE, write_bytes
from captcha_helpers.drawing.painter import generate
from captcha_helpers.drawing.styles import Style, get_style
from captcha_helpers.drawing.writing import image_bytes

SAMPLE_STYLES = ("slanted", "stars", "gradient", "mixed", "classic")
_JPEG_STYLES = ("mixed",)  # sites that draw this look send JPEG


def write_samples(
    folder: str | os.PathLike[str],
    count: int = 300,
    seed: int = 0,
    styles: Sequence[Style | str] = SAMPLE_STYLES,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write `count` images a style to `folder/STYLE/LABEL_NUMBER.png`.

    A file that is there already with the same bytes is left alone, so the command can be repeated.
    Files appear whole or not at all.

    Args:
        folder: Where the folders of the styles go; made if it does not exist.
        count: Images a style.
        seed: Which images; the committed ones have seed 0.
        styles: Styles, or names of presets.
        overwrite: Replace files that are there and differ.

    Returns:
        The paths of all images, in the order in which they were generated.

    Raises:
        FileExistsError: A file is there and differs, and `overwrite` is False. Nothing of that
            style has been written then.
        ValueError: There is no such style, a number is negative, or a label has characters other
            than letters and digits.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_samples(folder, count=2, styles=["slanted"])
        >>> len(paths), paths[0].parent.name, paths[0].suffix
        (2, 'slanted', '.png')
    """
    paths: list[Path] = []
    for wanted in styles:
        style = get_style(wanted) if isinstance(wanted, str) else wanted
        images, labels = generate(style, count, seed=seed)
        strange = [label for label in labels if not label.isalnum()]
        if strange:
            raise ValueError(
                f"Label {strange[0]!r} cannot be part of a file name that is read back; use a "
                "charset of letters and digits."
            )
        suffix = ".jpg" if style.name in _JPEG_STYLES else ".png"
        files = {
            Path(folder, style.name, f"{label}_{number:04d}{suffix}"): image_bytes(
                image, suffix, smallest=True
            )
            for number, (image, label) in enumerate(zip(images, labels, strict=True), start=1)
        }
        changed = {path: data for path, data in files.items() if not _holds(path, data)}
        kept = [path for path in changed if path.exists()]
        if kept and not overwrite:
            raise FileExistsError(
                f"{kept[0]} exists and differs from the image to be written ({len(kept)} such "
                f"files); choose another folder, {OR_OVERWRITE}"
            )
        for path, data in changed.items():
            write_bytes(path, data)
        paths += files
    return paths


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `python -m captcha_helpers.drawing.samples`."""
    parser = argparse.ArgumentParser(
        prog="python -m captcha_helpers.drawing.samples",
        description="Write generated CAPTCHA images, the same pixels every time.",
    )
    parser.add_argument("folder", help="where to write, for example captcha_images")
    parser.add_argument("--count", type=int, default=300, help="images a style (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="which images (default: 0)")
    parser.add_argument(
        "--styles", nargs="+", default=SAMPLE_STYLES, help="default: " + " ".join(SAMPLE_STYLES)
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that differ")
    options = parser.parse_args(arguments)
    try:
        paths = write_samples(
            options.folder,
            options.count,
            options.seed,
            options.styles,
            overwrite=options.overwrite,
        )
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{len(paths)} images are in {options.folder}.")


if __name__ == "__main__":
    main()
