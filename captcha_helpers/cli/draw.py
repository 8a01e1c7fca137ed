"""Draw images: generate, preview, styles."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import captcha_helpers
from captcha_helpers.cli.options import (
    Length,
    StyleName,
    Verb,
    json_option,
    overwrite_option,
    path_type,
    ray_option,
    refuse_together,
    span,
)
from captcha_helpers.core.files import refuse_existing, write_bytes
from captcha_helpers.data.labels import find_labels
from captcha_helpers.data.names import counted

if TYPE_CHECKING:
    from captcha_helpers.drawing.styles import Style


@click.command(
    cls=Verb,
    epilog="captcha-helpers generate gradient --count 5000 --out my_images\n"
    "captcha-helpers generate classic --length 4 --epochs 2 --test-ratio 0.2 --out digits\n"
    "captcha-helpers generate mixed --length 4-6 --lower --digits --count 5000 --out letters\n"
    "captcha-helpers generate slanted --width 160 --height 60 --count 100 --out small\n"
    "captcha-helpers generate stars --charset 2345 --count 90000 --workers 4 --out many\n"
    "captcha-helpers generate mixed --count 100_000_000 --out s3://bucket/x --ray 10.0.0.1:6379",
)
@click.argument("style", type=StyleName())
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    help="Folder to write the images to; with --ray, also a URL such as s3://bucket/folder.",
)
@click.option(
    "--count", type=click.IntRange(1), help="Number of images; with --epochs, the maximum."
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Draw every possible string this many times."
)
@click.option("--length", type=Length(), help="Characters per image: 4, or 4-6.")
@click.option("--digits", is_flag=True, help="Use 0-9.")
@click.option("--lower", is_flag=True, help="Use a-z.")
@click.option("--upper", is_flag=True, help="Use A-Z.")
@click.option("--charset", help="Use these characters.")
@click.option("--width", type=click.IntRange(1), help="Width in pixels.")
@click.option("--height", type=click.IntRange(1), help="Height in pixels.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Another seed draws other images.",
)
@click.option(
    "--test-ratio",
    default=0.0,
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the strings whose images go to OUT/test; the others go to OUT/train.",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Number of processes."
)
@overwrite_option("an earlier data set made by this command")
@ray_option("Images are written to tar files that WebDataset can read.")
@click.option(
    "--shard-size",
    default=10_000,
    show_default=True,
    type=click.IntRange(1),
    help="Images per tar file.",
)
@json_option
def generate(
    style: str,
    out: str,
    count: int | None,
    epochs: int | None,
    length: tuple[int, int] | None,
    digits: bool,
    lower: bool,
    upper: bool,
    charset: str | None,
    width: int | None,
    height: int | None,
    seed: int,
    test_ratio: float,
    workers: int,
    overwrite: bool,
    ray: str | None,
    shard_size: int,
    as_json: bool,
) -> None:
    """Draw a labelled data set in the style STYLE.

    It consists of the images, labels.csv and meta.json. Settings that you do not give are taken
    from STYLE; captcha-helpers styles lists the styles. No string is in both the training and the
    test part. If a run is interrupted, the same command continues it. --overwrite removes the files
    listed in the labels.csv of an earlier data set, and no others.

    With --ray, the images are drawn on a cluster and written to tar files, which index.json lists
    with their checksums. Finished tar files are not drawn again.
    """
    if ray is None:
        refuse_together("needs --ray", ["--shard-size"])
    else:
        not_there = ["--epochs", "--test-ratio", "--workers", "--overwrite"]
        refuse_together("cannot be used with --ray", not_there)
    if count is None and epochs is None:
        raise click.UsageError("Give --count, or --epochs to draw every string.")
    if charset is not None and (digits or lower or upper):
        raise click.UsageError("Give --charset, or some of --digits, --lower and --upper.")
    kinds = (
        captcha_helpers.DIGITS * digits
        + captcha_helpers.LOWER * lower
        + captcha_helpers.UPPER * upper
    )
    look = captcha_helpers.adapt_style(
        style, charset=charset or kinds or None, length=length, width=width, height=height
    )
    try:
        if ray is not None:
            _draw_on_cluster(look, out, count or 0, seed, ray, shard_size, as_json)
        else:
            about = captcha_helpers.write_dataset(
                look,
                out,
                count,
                epochs=epochs,
                seed=seed,
                test_ratio=test_ratio,
                workers=workers,
                overwrite=overwrite,
                progress=False if as_json else None,
            )
            _tell_images(about, Path(out), as_json)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command continues") from None


def _tell_images(about: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        del about["look"]
        click.echo(json.dumps({"folder": os.fspath(out), **about}))
        return
    if not about["drawn"]:
        click.echo(f"{out}: the data set is complete already; nothing was drawn")
    for part, images in about["parts"].items():
        size = f"{about['width']} x {about['height']} pixels"
        click.echo(f"{out / part}: {counted(images, 'image')} of {size}")


def _draw_on_cluster(
    look: Style, out: str, count: int, seed: int, ray: str, shard_size: int, as_json: bool
) -> None:
    about = captcha_helpers.draw_shards(
        look,
        out,
        count,
        seed=seed,
        ray=ray,
        shard_size=shard_size,
        progress=False if as_json else None,
    )
    shards = about.pop("shards")
    if as_json:
        del about["look"]
        click.echo(json.dumps({"place": out, "shards": len(shards), **about}))
        return
    if not about["drawn"]:
        click.echo(f"{out}: the data set is complete already; nothing was drawn")
    click.echo(
        f"{out}: {counted(count, 'image')} of {look.width} x {look.height} pixels in "
        f"{counted(len(shards), 'tar file')}"
    )


@click.command(
    cls=Verb,
    epilog="captcha-helpers preview gradient --out sheet.png\n"
    "captcha-helpers preview my_images --out sheet.png --rows 10 --columns 6",
)
@click.argument("what", type=StyleName(or_folder=True), metavar="STYLE|FOLDER")
@click.option("--out", required=True, type=path_type, help="PNG file to write.")
@click.option("--rows", default=6, show_default=True, type=click.IntRange(1, 50))
@click.option("--columns", default=5, show_default=True, type=click.IntRange(1, 20))
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Another seed shows other images.",
)
@overwrite_option("the picture")
@json_option
def preview(
    what: str, out: Path, rows: int, columns: int, seed: int, overwrite: bool, as_json: bool
) -> None:
    """Show samples of a style, or images of a folder, on one sheet.

    For a folder of labelled images, a summary is printed as well. To preview a folder that has the
    name of a style, write ./NAME.
    """
    if out.suffix.lower() != ".png":
        raise click.UsageError(f"--out is {str(out)!r}; the picture's name must end in .png.")
    refuse_existing(out, overwrite=overwrite)
    show = _preview_style if what in captcha_helpers.STYLES else _preview_folder
    images, labels, facts, text = show(what, rows * columns, seed)
    import matplotlib

    matplotlib.use("Agg")  # no window, and no need of a screen
    figure = captcha_helpers.plots.gallery(images, labels, columns=columns)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_bytes(out, picture.getvalue())
    click.echo(json.dumps({"sheet": os.fspath(out), **facts}) if as_json else f"{text}\n{out}")


_Preview = tuple[list[Any], list[str], dict[str, Any], str]  # images, labels, facts, summary


def _preview_style(name: str, count: int, seed: int) -> _Preview:
    images, labels = captcha_helpers.generate(name, count, seed=seed)
    shown = list(images)
    if images.shape[-1] == 4:
        shown = [captcha_helpers.load_image(image) for image in images]
    facts = _about_style(name)
    return shown, labels, facts, _style_line(facts)


def _preview_folder(folder: str, count: int, seed: int) -> _Preview:
    import numpy as np

    check = captcha_helpers.check_folder(folder)
    pairs = find_labels(folder).pairs
    order = np.random.default_rng(seed).permutation(len(pairs))
    readable = _readable(pairs[i] for i in order)
    chosen = sorted(islice(readable, count), key=lambda one: one[1])
    if not chosen:
        raise ValueError(f"none of the {len(pairs)} images in {folder!r} can be read")
    sizes = [
        {"width": width, "height": height, "images": images}
        for (width, height), images in sorted(check.sizes.items())
    ]
    facts = asdict(check) | {"folder": folder, "sizes": sizes}
    listed = ", ".join(f"{size['width']} x {size['height']}" for size in sizes[:5])
    more = f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""
    text = f"{check}\nsizes in pixels: {listed}{more}"
    return [image for image, _ in chosen], [label for _, label in chosen], facts, text


def _readable(pairs: Iterable[tuple[Path, str]]) -> Iterator[tuple[Any, str]]:
    for path, label in pairs:
        try:
            yield captcha_helpers.load_image(path), label
        except captcha_helpers.ImageError:
            continue


@click.command(cls=Verb, epilog="captcha-helpers styles\ncaptcha-helpers styles --json")
@json_option
def styles(as_json: bool) -> None:
    """List the styles that generate and preview can draw."""
    listed = [_about_style(name) for name in captcha_helpers.STYLES]
    if as_json:
        click.echo(json.dumps(listed))
        return
    for facts in listed:
        click.echo(_style_line(facts))


def _about_style(name: str) -> dict[str, Any]:
    style = captcha_helpers.get_style(name)
    keys = ("name", "width", "height", "length", "charset", "fonts")
    return {key: getattr(style, key) for key in keys}


def _style_line(facts: dict[str, Any]) -> str:
    fonts = len(facts["fonts"])
    return (
        f"{facts['name']:<9} {facts['width']:>3} x {facts['height']:<3}  "
        f"{span(facts['length'])} characters of {facts['charset']}  "
        f"{fonts} font{'s' * (fonts != 1)}"
    )
