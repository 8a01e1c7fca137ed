"""Read images: predict; evaluate, which measures it; and models, which names what reads."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import captcha_helpers
from captcha_helpers.cli.errors import tell_warning
from captcha_helpers.cli.loading import import_runtime
from captcha_helpers.cli.options import (
    ModelName,
    ModelOrImage,
    Verb,
    frame_option,
    json_option,
    known_strings,
    overwrite_option,
    path_type,
    ray_option,
    refuse_together,
    span,
)
from captcha_helpers.cli.readings import Table, as_row, summary, tell_line, write_csv
from captcha_helpers.core.charset import shortened
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.data.names import counted

if TYPE_CHECKING:
    from typing import NoReturn

    from tqdm import tqdm

    from captcha_helpers.data.images import ImageError, ImageSource
    from captcha_helpers.data.processing import Processing
    from captcha_helpers.reading.decoder import Reading
    from captcha_helpers.reading.recognizer import Recognizer

    Source = tuple[str, ImageSource]  # an image and what to call it

STDIN = "-"


@click.command(
    cls=Verb,
    epilog="captcha-helpers evaluate my_reader.keras other_images\n"
    "captcha-helpers evaluate my_reader.keras other_images --report errors.html\n"
    "captcha-helpers evaluate my_reader.keras other_images --json\n"
    "captcha-helpers evaluate pretrained other_images --charset digits --length 4-6",
)
@click.argument("model", type=ModelName())
@click.argument("folder", type=path_type)
@json_option
@click.option("--report", type=path_type, help="Write the figures and the errors to an HTML page.")
@overwrite_option("the HTML page")
@click.option("--skip-errors", is_flag=True, help="Leave out images that cannot be read.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Count readings with at least this confidence, and how many are right; by default 0.5.",
)
@known_strings
def evaluate(
    model: str,
    folder: Path,
    as_json: bool,
    report: Path | None,
    overwrite: bool,
    skip_errors: bool,
    min_confidence: float | None,
    **known: Any,
) -> None:
    """Measure MODEL on the labelled images in FOLDER.

    With --ignore-case, labels and readings are compared without regard to case. Labels that MODEL
    can never output, because of their characters or lengths, are counted and named.
    """
    if report is not None:
        check_writable(report)
        refuse_existing(report, overwrite=overwrite)
    from captcha_helpers.reading.shipped import model_path

    captcha_helpers.read_spec(model_path(model))
    captcha_helpers.read_labels(folder)  # wrong paths are told before TensorFlow is loaded
    import_runtime(model)
    result = captcha_helpers.evaluate(
        captcha_helpers.load(model, **known),
        folder,
        on_error="skip" if skip_errors else "raise",
        **({} if min_confidence is None else {"min_confidence": min_confidence}),
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
    "captcha-helpers predict my_reader.keras other_images --min-confidence 0.9\n"
    "captcha-helpers predict exported/model.onnx other_images --limit 10 --json\n"
    "captcha-helpers predict stars - < one.png\n"
    "captcha-helpers predict stars dark.png --invert --save-debug steps\n"
    "captcha-helpers predict stars 'gs://bucket/*.png' --ray 10.0.0.1:6379 --out read.parquet",
)
@click.argument("what", nargs=-1, required=True, type=ModelOrImage(), metavar="[MODEL] IMAGES...")
@known_strings
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Leave out the text of readings below this confidence.",
)
@click.option("--limit", type=click.IntRange(1), help="Read at most this many images.")
@click.option(
    "--no-auto-crop", is_flag=True, help="Keep empty edges, even if training cropped them."
)
@click.option("--invert", is_flag=True, help="Read the negative of each image.")
@click.option("--strong", is_flag=True, help="Make strokes a pixel thicker.")
@frame_option
@click.option(
    "--save-debug", type=path_type, help="Save each processing step of every image to this folder."
)
@click.option("--csv", "table", type=path_type, help="Write the readings to a CSV file.")
@ray_option("The readings go to --out.")
@click.option(
    "--out",
    type=click.Path(),
    help="With --ray, write the readings to this Parquet file or URL.",
)
@overwrite_option("the CSV or Parquet file and the saved steps")
@json_option
def predict(
    what: tuple[str, ...],
    min_confidence: float | None,
    limit: int | None,
    no_auto_crop: bool,
    invert: bool,
    strong: bool,
    frame: str | None,
    save_debug: Path | None,
    table: Path | None,
    ray: str | None,
    out: str | None,
    overwrite: bool,
    as_json: bool,
    **known: Any,
) -> None:
    """Read IMAGES with MODEL.

    IMAGES are files, folders, or - for standard input. MODEL is a file, or a name that
    captcha-helpers models lists. Without one, the general reader is used, which reads any style.

    If you know which characters occur, and how many, say so: only such strings are considered, and
    the confidence is the probability among them.

    In a terminal the readings are printed as a table with a summary, and a confidence below 50 % is
    marked with a question mark. In a pipe each image is one line: file, text and confidence (0 to
    1), separated by tabs. Both end with the characters that the model could not tell apart, if any,
    such as 0/O. An image that cannot be read is named on stderr; the others are still read, and the
    exit code is 1. Images are prepared as in the model's training, unless --no-auto-crop,
    --invert, --strong or --frame say otherwise.

    With --ray, the images are read on a cluster, and IMAGES may be URLs and patterns such as
    'gs://bucket/*.png'. The file has one row per image, sorted by name, with file, text, confidence
    and error.
    """
    if ray is not None:
        not_there = ["--csv", "--save-debug", "--min-confidence"]
        refuse_together("cannot be used with --ray", not_there)
        changes = _changes(no_auto_crop, invert, strong, frame)
        try:
            _read_on_cluster(what, ray, out, limit, overwrite, as_json, changes, known)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command continues") from None
        return
    refuse_together("needs --ray", ["--out"])
    if table is not None:
        check_writable(table)
        refuse_existing(table, overwrite=overwrite)
    model, images = _model_and_images(what)
    sources = _sources(images)[:limit]
    reader = _load(model, _changes(no_auto_crop, invert, strong, frame), known)
    if save_debug is not None:
        _save_steps(reader, sources, save_debug, overwrite=overwrite)
    # The lines show how far it is; without them there is a bar.
    rows = _read_and_tell(reader, sources, min_confidence, quiet=as_json or table is not None)
    if table is not None:
        write_csv(table, rows)
    if as_json:
        click.echo(json.dumps(rows))
    elif table is not None:
        click.echo(f"{table}: {counted(len(rows), 'image')}")
    _tell_doubts(rows, model, min_confidence, known)
    if any("error" in row for row in rows):
        sys.exit(1)


def _read_on_cluster(
    what: Sequence[str],
    ray: str,
    out: str | None,
    limit: int | None,
    overwrite: bool,
    as_json: bool,
    changes: dict[str, Any],
    known: dict[str, Any],
) -> None:
    """Have images read elsewhere, and say how many there were."""
    if out is None:
        raise click.UsageError("--ray needs --out, the Parquet file for the readings.")
    model, images = _model_and_images(what)
    if STDIN in images:
        raise click.UsageError("- cannot be used with --ray.")
    counts = captcha_helpers.read_files(
        model,
        images,
        out,
        ray=ray,
        processing=_processing(model, changes),
        limit=limit,
        overwrite=overwrite,
        progress=False if as_json else None,
        **known,
    )
    if as_json:
        click.echo(json.dumps({"file": out, **counts}))
    else:
        failed = f"; {counts['errors']} could not be read" if counts["errors"] else ""
        click.echo(f"{out}: {counted(counts['images'], 'image')}{failed}")
    if counts["errors"]:
        sys.exit(1)


def _model_and_images(what: Sequence[str]) -> tuple[str, list[str]]:
    """Take the first argument for the model, unless it is an image or a folder of images."""
    from captcha_helpers.reading.recognizer import DEFAULT_MODEL

    model, *images = what
    if _may_be_model(model):
        if not images:
            raise click.UsageError(_nothing_to_read(model))
        return model, images
    return DEFAULT_MODEL, list(what)


def _may_be_model(name: str) -> bool:
    """Whether a name is a model's, or that of nothing at all."""
    from captcha_helpers.data.names import IMAGE_SUFFIXES

    path = Path(name)
    if name in captcha_helpers.shipped_models() or (path / "saved_model.pb").exists():
        return True
    if path.suffix in (".keras", ".h5", ".onnx", ".tflite"):
        return True
    if "://" in name or "*" in name:
        return False
    return name != STDIN and not path.exists() and path.suffix.lower() not in IMAGE_SUFFIXES


def _nothing_to_read(name: str) -> str:
    """Why a single argument is nothing to read: it is a model, or nothing of that name exists."""
    if name in captcha_helpers.shipped_models() or Path(name).exists():
        return f"Missing argument 'IMAGES...': {name!r} is a model."
    return f"There is no image, folder or model {name!r}; check the path"


def _read_and_tell(
    reader: Recognizer, sources: Sequence[Source], least: float | None, *, quiet: bool
) -> list[dict[str, Any]]:
    """Read all, and print each reading as it comes: as a table for people, or as lines."""
    for_people, tell = not quiet and sys.stdout.isatty(), tell_line
    if for_people:
        tell = Table([name for name, _ in sources], reader.decoder.length[1]).tell
    begun, rows = time.perf_counter(), []
    for name, result in _read_each(reader, sources, bar=quiet):
        rows.append(as_row(name, result, least))
        if isinstance(result, captcha_helpers.ImageError):
            click.echo(f"Error: {rows[-1]['error']}", err=True)
        elif not quiet:
            tell(rows[-1], result.undecided if rows[-1]["text"] else ())
    if for_people:
        click.echo(summary(rows, reader.name, time.perf_counter() - begun))
    return rows


def _changes(no_auto_crop: bool, invert: bool, strong: bool, frame: str | None) -> dict[str, Any]:
    """What of the model's own `Processing` is to be another."""
    changes: dict[str, Any] = {"auto_crop": False} if no_auto_crop else {}
    changes |= {"invert": "always"} if invert else {}
    changes |= {"strong": True} if strong else {}
    return changes | ({"frame": frame} if frame else {})


def _load(model: str, changes: dict[str, Any], known: dict[str, Any]) -> Recognizer:
    """The reader, which prepares images as in its training but for these changes."""
    return captcha_helpers.load(model, processing=_processing(model, changes), **known)


def _processing(model: str, changes: dict[str, Any]) -> Processing:
    """What is done to images, once what the model needs is imported."""
    from captcha_helpers.reading.shipped import model_path

    import_runtime(model)
    return replace(captcha_helpers.read_spec(model_path(model)).processing, **changes)


def _sources(images: Sequence[str]) -> list[Source]:
    """What to read: these files, the files in these folders, or what comes in."""
    sources: list[Source] = []
    for name in images:
        path = Path(name)
        if name == STDIN:
            sources.append((name, _standard_input()))
        elif path.is_dir():
            inside = captcha_helpers.image_files(path)
            if not inside:
                raise ValueError(f"no images in {name!r}")
            sources += [(os.fspath(one), one) for one in inside]
        else:
            sources.append((name, path))
    return sources


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        raise click.UsageError("- reads an image from standard input: predict - < image.png")
    return sys.stdin.buffer.read()


def _save_steps(
    reader: Recognizer, sources: Sequence[Source], folder: Path, *, overwrite: bool
) -> None:
    """Write what is done to each image; those that cannot be read are told of later."""
    for name, image in sources:
        place = "standard_input" if name == STDIN else Path(name).name
        with suppress(captcha_helpers.ImageError):
            captcha_helpers.save_debug(
                image, folder / place, **reader.spec.preparation, overwrite=overwrite
            )


def _read_each(
    reader: Recognizer, sources: Sequence[Source], *, bar: bool, batch_size: int = 64
) -> Iterator[tuple[str, Reading | ImageError]]:
    """Read image by image, in order, and go on after one that cannot be read."""
    import numpy as np

    with _bar(len(sources)) if bar else nullcontext() as progress:
        for start in range(0, len(sources), batch_size):
            batch = sources[start : start + batch_size]
            prepared = [_prepare(reader, image) for _, image in batch]
            good = [image for image in prepared if isinstance(image, np.ndarray)]
            readings = iter(reader.read_prepared(np.stack(good)) if good else [])
            for (name, _), image in zip(batch, prepared, strict=True):
                yield name, next(readings) if isinstance(image, np.ndarray) else image
            if progress is not None:
                progress.update(len(batch))


def _bar(images: int) -> tqdm[NoReturn]:
    from tqdm import tqdm  # which takes long to import, and most readings need no bar

    return tqdm(total=images, unit="image", delay=1, disable=None)


def _prepare(reader: Recognizer, image: ImageSource) -> Any:
    """What the model sees of an image, ``(height, width, C)``, or why there is nothing to see."""
    try:
        return reader.spec.prepare(image)
    except captcha_helpers.ImageError as error:
        return error


def _tell_doubts(
    rows: Sequence[dict[str, Any]], model: str, least: float | None, known: dict[str, Any]
) -> None:
    """Say once, at the end, that many readings are of low confidence, and what to do."""
    from captcha_helpers.reading.decoder import doubt
    from captcha_helpers.reading.recognizer import DEFAULT_MODEL

    read = [row for row in rows if "error" not in row]
    withheld = sum(row["low_confidence"] for row in read)
    if least is not None and withheld:
        click.echo(
            f"{withheld} of {len(read)} readings are below --min-confidence {least:g}; their texts "
            "are left out",
            err=True,
        )
    said = doubt([row["confidence"] for row in read])
    if not said:
        return
    ways = []
    if not (known["charset"] and known["length"]):
        ways += ["give --charset and --length if you know them"]
    ways += [f"try the model {DEFAULT_MODEL}"] if model != DEFAULT_MODEL else []
    ways += ["label 50 to 200 of them and learn from them with captcha-helpers train"]
    tell_warning(f"{said}. {', or '.join(ways).capitalize()}.")


@click.command(cls=Verb, epilog="captcha-helpers models\ncaptcha-helpers models --json")
@json_option
def models(as_json: bool) -> None:
    """List the models that come with the package.

    predict, evaluate, serve and export accept their names.
    """
    listed = [_about_model(name, path) for name, path in captcha_helpers.shipped_models().items()]
    if as_json:
        click.echo(json.dumps(listed))
        return
    for facts in listed:
        click.echo(
            f"{facts['name']:<12} {facts['format']:<5} {facts['bytes'] / 1e6:5.2f} MB  "
            f"{facts['width']} x {facts['height']}  {facts['head']}  "
            f"{span(facts['length'])} characters of {shortened(facts['reads'])}{_and_more(facts)}"
        )


def _and_more(facts: dict[str, Any]) -> str:
    more = len(facts["charset"]) - len(facts["reads"])
    return f", and {more} more if --charset names them" if more else ""


def _about_model(name: str, path: Path) -> dict[str, Any]:
    spec = captcha_helpers.read_spec(path)
    return {
        "name": name,
        "file": path.name,
        "format": path.suffix[1:],
        "bytes": path.stat().st_size,
        "charset": spec.charset,
        "reads": spec.mask.charset or spec.charset,
        "length": spec.length,
        "width": spec.width,
        "height": spec.height,
        "head": spec.head,
    }
