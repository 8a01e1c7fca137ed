"""Read images: predict; evaluate, which measures it; and models, which names what reads."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import captcha_helpers
from captcha_helpers.cli.loading import import_runtime
from captcha_helpers.cli.options import (
    Verb,
    json_option,
    known_strings,
    overwrite_option,
    path_type,
    span,
)
from captcha_helpers.core.files import refuse_existing, write_bytes

if TYPE_CHECKING:
    from captcha_helpers.data.images import ImageError
    from captcha_helpers.reading.decoder import Reading
    from captcha_helpers.reading.recognizer import Recognizer


@click.command(
    cls=Verb,
    epilog="captcha-helpers evaluate my_reader.keras other_images\n"
    "captcha-helpers evaluate my_reader.keras other_images --report errors.html\n"
    "captcha-helpers evaluate my_reader.keras other_images --json\n"
    "captcha-helpers evaluate pretrained other_images --charset digits --length 4-6",
)
@click.argument("model")
@click.argument("folder", type=path_type)
@json_option
@click.option("--report", type=path_type, help="Write the errors to an HTML page.")
@overwrite_option("the HTML page")
@click.option("--skip-errors", is_flag=True, help="Leave out images that cannot be read.")
@known_strings
def evaluate(
    model: str,
    folder: Path,
    as_json: bool,
    report: Path | None,
    overwrite: bool,
    skip_errors: bool,
    **known: Any,
) -> None:
    """Measure MODEL on the labelled images in FOLDER.

    With --ignore-case, the labels are compared with the readings in one case, too.
    """
    if report is not None:
        refuse_existing(report, overwrite=overwrite)
    from captcha_helpers.reading.shipped import model_path

    captcha_helpers.read_spec(model_path(model))
    captcha_helpers.read_labels(folder)  # wrong paths are told before TensorFlow is loaded
    import_runtime(model)
    result = captcha_helpers.evaluate(
        captcha_helpers.load(model, **known),
        folder,
        on_error="skip" if skip_errors else "raise",
        progress=False if as_json else None,
    )
    if report is not None:
        captcha_helpers.write_report(result, report)
    click.echo(json.dumps(result.to_dict()) if as_json else str(result))


@click.command(
    cls=Verb,
    epilog="captcha-helpers predict one.png\n"
    "captcha-helpers predict one.png --charset digits --length 4-6\n"
    "captcha-helpers predict exported/model.onnx one.png two.png\n"
    "captcha-helpers predict my_reader.keras other_images --csv read.csv\n"
    "captcha-helpers predict exported/model.onnx other_images --limit 10 --json\n"
    "captcha-helpers predict stars dark.png --invert --save-debug steps",
)
@click.argument("what", nargs=-1, required=True, metavar="[MODEL] IMAGES...")
@known_strings
@click.option("--limit", type=click.IntRange(1), help="Read only so many images.")
@click.option("--no-auto-crop", is_flag=True, help="Keep empty edges that training cut away.")
@click.option("--invert", is_flag=True, help="Take the negative of each image.")
@click.option("--strong", is_flag=True, help="Make strokes a pixel thicker.")
@click.option(
    "--save-debug", type=path_type, help="Save each processing step of every image in this folder."
)
@click.option("--csv", "table", type=path_type, help="Write the lines to a CSV file.")
@overwrite_option("the CSV file")
@json_option
def predict(
    what: tuple[str, ...],
    limit: int | None,
    no_auto_crop: bool,
    invert: bool,
    strong: bool,
    save_debug: Path | None,
    table: Path | None,
    overwrite: bool,
    as_json: bool,
    **known: Any,
) -> None:
    """Read IMAGES, files or folders, with MODEL.

    MODEL is a file, or a name that captcha-helpers models lists; without one a reader of any look
    takes its place.

    If you know which characters there are, and how many, say so: only such strings are read, and
    the confidence is the probability among them.

    Prints a line for each image: file, text and confidence (0 to 1), with tabs between them; and
    then the characters that it could not tell apart, if there are such, as 0/O. An
    image that cannot be read is named on stderr, the others are read, and the exit code is 1.
    Images are prepared as in the model's training, unless --no-auto-crop, --invert or --strong say
    otherwise.
    """
    from captcha_helpers.reading.shipped import model_path

    if table is not None:
        refuse_existing(table, overwrite=overwrite)
    model, images = _model_and_images(what)
    paths = _image_paths(images)[:limit]
    import_runtime(model)
    wanted: dict[str, Any] = {"auto_crop": False} if no_auto_crop else {}
    wanted |= {"invert": "always"} if invert else {}
    wanted |= {"strong": True} if strong else {}
    processing = replace(captcha_helpers.read_spec(model_path(model)).processing, **wanted)
    reader = captcha_helpers.load(model, processing=processing, **known)
    if save_debug is not None:
        _save_steps(reader, paths, save_debug)
    quiet = as_json or table is not None  # else the lines show how far it is
    rows, failed = [], False
    for path, result in _read_each(reader, paths, bar=quiet):
        row = _as_row(path, result)
        if isinstance(result, captcha_helpers.ImageError):
            failed = True
            click.echo(f"Error: {row['error']}", err=True)
        elif not quiet:
            columns = [click.format_filename(path), row["text"], f"{row['confidence']:.4f}"]
            undecided = " ".join(result.undecided)
            click.echo("\t".join([*columns, undecided] if undecided else columns))
        rows.append(row)
    if table is not None:
        _write_csv(table, rows)
    if as_json:
        click.echo(json.dumps(rows))
    elif table is not None:
        click.echo(f"{table}: {len(rows)} images")
    if failed:
        sys.exit(1)


def _model_and_images(what: Sequence[str]) -> tuple[str, list[Path]]:
    """Take the first argument for the model, unless it is an image or a folder of images."""
    from captcha_helpers.reading.recognizer import DEFAULT_MODEL

    model, *images = what
    if _may_be_model(model):
        if not images:
            raise click.UsageError("Missing argument 'IMAGES...'.")
        return model, list(map(Path, images))
    return DEFAULT_MODEL, list(map(Path, what))


def _may_be_model(name: str) -> bool:
    """Whether a name is a model's, or that of nothing at all."""
    from captcha_helpers.data.names import IMAGE_SUFFIXES

    path = Path(name)
    if name in captcha_helpers.shipped_models() or (path / "saved_model.pb").exists():
        return True
    if path.suffix in (".keras", ".h5", ".onnx", ".tflite"):
        return True
    return not path.exists() and path.suffix.lower() not in IMAGE_SUFFIXES


def _image_paths(images: Sequence[Path]) -> list[Path]:
    """The files among these paths, and those in the folders among them."""
    paths: list[Path] = []
    for path in images:
        inside = captcha_helpers.image_files(path) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"no images in {str(path)!r}")
        paths += inside
    return paths


def _save_steps(reader: Recognizer, paths: Sequence[Path], folder: Path) -> None:
    """Write what is done to each image; those that cannot be read are told of later."""
    for path in paths:
        with suppress(captcha_helpers.ImageError):
            captcha_helpers.save_debug(path, folder / path.name, **reader.spec.preparation)


def _read_each(
    reader: Recognizer, paths: Sequence[Path], *, bar: bool, batch_size: int = 64
) -> Iterator[tuple[Path, Reading | ImageError]]:
    """Read image by image, in order, and go on after one that cannot be read."""
    import numpy as np
    from tqdm import tqdm

    with tqdm(total=len(paths), unit="image", delay=1, disable=None if bar else True) as progress:
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            prepared = [_prepare(reader, path) for path in batch]
            good = [image for image in prepared if isinstance(image, np.ndarray)]
            readings = iter(reader.read_prepared(np.stack(good)) if good else [])
            for path, image in zip(batch, prepared, strict=True):
                yield path, next(readings) if isinstance(image, np.ndarray) else image
            progress.update(len(batch))


def _prepare(reader: Recognizer, path: Path) -> Any:
    """What the model sees of an image, ``(height, width, C)``, or why there is nothing to see."""
    try:
        return reader.spec.prepare(path)
    except captcha_helpers.ImageError as error:
        return error


def _as_row(path: Path, result: Reading | ImageError) -> dict[str, Any]:
    if isinstance(result, captcha_helpers.ImageError):
        return {"file": os.fspath(path), "error": " ".join(str(result).split())}
    characters = [character._asdict() for character in result.characters]
    return {
        "file": os.fspath(path),
        "text": result.text,
        "confidence": result.confidence,
        "characters": characters,
    }


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    columns = ("file", "text", "confidence", "error")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode(errors="surrogateescape"))


@click.command(cls=Verb, epilog="captcha-helpers models\ncaptcha-helpers models --json")
@json_option
def models(as_json: bool) -> None:
    """List the models that come with the package.

    predict, evaluate, serve and export take their names.
    """
    listed = [_about_model(name, path) for name, path in captcha_helpers.shipped_models().items()]
    if as_json:
        click.echo(json.dumps(listed))
        return
    for facts in listed:
        click.echo(
            f"{facts['name']:<12} {facts['format']:<5} {facts['bytes'] / 1e6:5.2f} MB  "
            f"{facts['width']} x {facts['height']}  {facts['head']}  "
            f"{span(facts['length'])} characters of {facts['charset']}"
        )


def _about_model(name: str, path: Path) -> dict[str, Any]:
    spec = captcha_helpers.read_spec(path)
    return {
        "name": name,
        "file": path.name,
        "format": path.suffix[1:],
        "bytes": path.stat().st_size,
        "charset": spec.charset,
        "length": spec.length,
        "width": spec.width,
        "height": spec.height,
        "head": spec.head,
    }
