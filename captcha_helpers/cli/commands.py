"""The command ``captcha-helpers``; ``captcha-helpers VERB --help`` says what each verb does.

Each verb is a call or two of public functions, and imports nothing that it does not need. Errors
are one line on stderr: exit code 1 if the work failed, 2 if the command was written wrongly.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

import captcha_helpers
from captcha_helpers.core.files import check_writable, write_bytes

if TYPE_CHECKING:
    from captcha_helpers.data.images import ImageError
    from captcha_helpers.reading.decoder import Reading
    from captcha_helpers.reading.recognizer import Recognizer


@contextmanager
def _silence() -> Iterator[None]:
    """Throw away what TensorFlow's C++ code writes to stderr while it is being imported."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _import_keras() -> None:
    with _silence():
        import keras

        keras.ops.zeros(1)  # starts TensorFlow, which has more to say then


class _Examples(click.Command):
    """A command whose docstring keeps its line breaks from "Examples" on."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")  # in one piece, to be copied


@contextmanager
def _one_line_errors(ctx: click.Context | None = None) -> Iterator[None]:
    """Turn errors into one line: our own, and click's, which take several."""
    try:
        yield
    except click.UsageError as error:
        where = error.ctx or ctx
        hint = f" (see {where.command_path} --help)" if where else ""
        said = click.ClickException(error.format_message().rstrip(".") + hint)
        said.exit_code = error.exit_code
        raise said from error
    except BrokenPipeError:  # as in `captcha-helpers ... | head`; click ends in silence
        raise
    except (ValueError, OSError, ImportError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error


class _Verbs(click.Group):
    """The verbs, in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs as they stand in this file."""
        return list(self.commands)

    def make_context(
        self, info_name: str | None, args: list[str], *more: Any, **extra: Any
    ) -> click.Context:
        """Look at what stands before the verb."""
        if not args:  # click shows the help then
            return super().make_context(info_name, args, *more, **extra)
        with _one_line_errors():
            return super().make_context(info_name, args, *more, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb."""
        with _one_line_errors(ctx), warnings.catch_warnings():
            warnings.showwarning = _tell_warning
            return super().invoke(ctx)


def _tell_warning(message: Warning | str, *where: object) -> None:
    """Print a warning as one line, without the line of code that it comes from."""
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)


class _Length(click.ParamType):
    """``4`` or ``4-6`` characters."""

    name = "N or N-M"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """From what was typed to the fewest and the most characters."""
        from captcha_helpers.reading.mask import parse_length

        try:
            return parse_length(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Characters(click.ParamType):
    """Characters, or words for many of them."""

    name = "characters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """From what was typed to the characters."""
        from captcha_helpers.reading.mask import parse_charset

        try:
            return parse_charset(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _knows_the_strings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that say what is known of the strings, as `load` takes them."""
    options = [
        click.option(
            "--charset",
            type=_Characters(),
            help="The only characters that occur: 0123456789, or words as digits+lower (of digits, "
            "lower, upper, letters, alphanumeric).",
        ),
        click.option("--length", type=_Length(), help="How many there are, as 4 or 4-6."),
        click.option(
            "--ignore-case",
            is_flag=True,
            default=None,
            help="Count a letter and its other case as one.",
        ),
    ]
    for option in reversed(options):
        verb = option(verb)
    return verb


def _import_runtime(model: str) -> None:
    """Import Keras if the model needs it, once it is known that there is such a model."""
    from captcha_helpers.reading.runtimes import format_of
    from captcha_helpers.reading.shipped import model_path

    path = model_path(model)
    captcha_helpers.read_spec(path)
    if format_of(path).extra == "train":
        _import_keras()


def _refuse_existing(path: Path | None) -> None:
    if path is not None and path.exists():
        raise FileExistsError(f"{str(path)!r} exists; choose another name or remove it")


_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_path = click.Path(path_type=Path)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(captcha_helpers.__version__, prog_name="captcha-helpers")
def main() -> None:
    """Draw text CAPTCHAs, train readers of your own images, measure them and read with them."""


@main.command(
    cls=_Examples,
    epilog="captcha-helpers generate gradient --count 5000 --out my_images\n"
    "captcha-helpers generate classic --length 4 --epochs 2 --test-ratio 0.2 --out digits\n"
    "captcha-helpers generate mixed --length 4-6 --lower --digits --count 5000 --out letters\n"
    "captcha-helpers generate slanted --width 160 --height 60 --count 100 --out small\n"
    "captcha-helpers generate stars --charset 2345 --count 90000 --workers 4 --out many",
)
@click.argument("style")
@click.option("--out", required=True, type=_path, help="Data folder to make.")
@click.option("--count", type=click.IntRange(1), help="Images; with --epochs, at most so many.")
@click.option(
    "--epochs", type=click.IntRange(1), help="Rounds over all strings, each once a round."
)
@click.option("--length", type=_Length(), help="Characters per image, as 4 or 4-6.")
@click.option("--digits", is_flag=True, help="Use 0-9.")
@click.option("--lower", is_flag=True, help="Use a-z.")
@click.option("--upper", is_flag=True, help="Use A-Z.")
@click.option("--charset", help="Use these characters.")
@click.option("--width", type=click.IntRange(1), help="Width in pixels.")
@click.option("--height", type=click.IntRange(1), help="Height in pixels.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Which data set."
)
@click.option(
    "--test-ratio",
    default=0.0,
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the strings whose images go to OUT/test, the others to OUT/train.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--force", is_flag=True, help="Replace another data set of this command.")
@_json
def generate(
    style: str,
    out: Path,
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
    force: bool,
    as_json: bool,
) -> None:
    """Draw a data set of the look STYLE.

    It has images, labels.csv and meta.json. What is not given is as STYLE has it; captcha-helpers
    styles lists them. No string is both in the train and in the test part. The same command goes
    on with a run that was cut off. --force removes what the labels.csv of a former data set lists,
    and no other file.
    """
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
        about = captcha_helpers.write_dataset(
            look,
            out,
            count,
            epochs=epochs,
            seed=seed,
            test_ratio=test_ratio,
            workers=workers,
            force=force,
            progress=False if as_json else None,
        )
    except KeyboardInterrupt:
        raise click.ClickException("stopped; the same command goes on") from None
    if as_json:
        del about["look"]
        click.echo(json.dumps({"folder": os.fspath(out), **about}))
        return
    for part, images in about["parts"].items():
        click.echo(f"{out / part}: {images} images of {look.width} x {look.height} pixels")


@main.command(
    cls=_Examples,
    epilog="captcha-helpers preview gradient --out sheet.png\n"
    "captcha-helpers preview my_images --out sheet.png --rows 10 --columns 6",
)
@click.argument("what", metavar="STYLE|FOLDER")
@click.option("--out", required=True, type=_path, help="Picture to write, .png.")
@click.option("--rows", default=6, show_default=True, type=click.IntRange(1, 50))
@click.option("--columns", default=5, show_default=True, type=click.IntRange(1, 20))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Which images.")
@click.option("--overwrite", is_flag=True, help="Replace the picture.")
@_json
def preview(
    what: str, out: Path, rows: int, columns: int, seed: int, overwrite: bool, as_json: bool
) -> None:
    """Show a style or a folder on one sheet.

    Sums up the labelled images of a folder, too. A style's name stands for the style; for a folder
    of that name write ./NAME.
    """
    if out.suffix.lower() != ".png":
        raise click.UsageError(f"--out is {str(out)!r}; the picture's name must end in .png.")
    if not overwrite:
        _refuse_existing(out)
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
    if images.shape[-1] == 4:
        images = [captcha_helpers.load_image(image) for image in images]
    facts = _about_style(name)
    return list(images), labels, facts, _style_line(facts)


def _preview_folder(folder: str, count: int, seed: int) -> _Preview:
    import numpy as np

    check = captcha_helpers.check_folder(folder)
    pairs = captcha_helpers.read_labels(folder)
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


@main.command(
    cls=_Examples,
    epilog="captcha-helpers train my_images --out my_reader.keras\n"
    "captcha-helpers train my_images --minutes 1 --out quick.keras\n"
    "captcha-helpers train my_images --out my_reader.keras --resume\n"
    "captcha-helpers train more_images --init my_reader.keras --out better.keras",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model file, .keras.")
@click.option("--minutes", default=5.0, show_default=True, help="How long it may take.")
@click.option("--epochs", type=int, help="Passes over the images, instead of a time.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another split.")
@click.option("--from-scratch", is_flag=True, help="Do not start from the pre-trained weights.")
@click.option("--init", metavar="MODEL", help="Go on from this reader, a .keras file.")
@click.option("--strict", is_flag=True, help="Stop at images that cannot be used.")
@click.option("--resume", is_flag=True, help="Go on with a training that was cut off.")
@click.option("--overwrite", is_flag=True, help="Replace the model file.")
@click.option("--auto-crop", is_flag=True, help="Cut away empty edges.")
@click.option(
    "--invert",
    type=click.Choice(["no", "auto", "always"]),
    default="no",
    show_default=True,
    help="Make dark images light, or all.",
)
@click.option("--strong", is_flag=True, help="Make strokes a pixel thicker.")
@click.option("--clahe", is_flag=True, help="Raise the contrast, part by part.")
@_json
def train(
    folder: Path,
    out: Path,
    minutes: float,
    epochs: int | None,
    seed: int,
    from_scratch: bool,
    init: str | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
    auto_crop: bool,
    invert: Literal["no", "auto", "always"],
    strong: bool,
    clahe: bool,
    as_json: bool,
) -> None:
    """Learn to read the labelled images in FOLDER.

    The labels stand in the file names (LABEL.png, LABEL_anything.png) or in a labels.csv with the
    columns file and label. Ctrl-C keeps the best model so far, and --resume goes on. What
    --auto-crop, --invert, --strong and --clahe do to the images is stored with the model: reading
    does it too. --init takes a reader that has learned already: it learns new labels, characters
    and lengths, and goes on reading what it has read.
    """
    if init is not None and from_scratch:
        raise click.UsageError("Give --init or --from-scratch: it begins with one of them.")
    # What is wrong with a path is told before TensorFlow is loaded, and so is that it has begun.
    labelled = captcha_helpers.read_labels(folder)
    check_writable(out)
    if not (overwrite or resume):
        _refuse_existing(out)
    if init is not None:
        from captcha_helpers.reading.recognizer import model_path

        captcha_helpers.read_spec(model_path(init))
    if not as_json:
        click.echo(f"{len(labelled)} labelled images in {folder}; loading TensorFlow ...")
    _import_keras()
    changed = captcha_helpers.Processing(invert, strong, auto_crop, clahe)
    reader = captcha_helpers.train(
        folder,
        minutes=minutes,
        epochs=epochs,
        out=out,
        pretrained=not from_scratch,
        init=init,
        on_error="raise" if strict else "skip",
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        processing=None if changed == captcha_helpers.Processing() else changed,
        progress=False if as_json else None,
    )
    facts = reader.spec.training
    if as_json:
        click.echo(json.dumps(facts))
        return
    from captcha_helpers.learning.messages import result_text

    next_step = (
        f"captcha-helpers evaluate {out} OTHER_IMAGES measures it on images of which it knows none"
        if facts["complete"]
        else f"captcha-helpers train {folder} --out {out} --resume goes on"
    )
    click.echo(f"{out} {result_text(facts)}, which chose its weights; {next_step}")


@main.command(
    cls=_Examples,
    epilog="captcha-helpers evaluate my_reader.keras other_images\n"
    "captcha-helpers evaluate my_reader.keras other_images --report errors.html\n"
    "captcha-helpers evaluate my_reader.keras other_images --json\n"
    "captcha-helpers evaluate pretrained other_images --charset digits --length 4-6",
)
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@_json
@click.option("--report", type=click.Path(path_type=Path), help="Write the errors to an HTML page.")
@click.option("--skip-errors", is_flag=True, help="Leave out images that cannot be read.")
@_knows_the_strings
def evaluate(
    model: str, folder: Path, as_json: bool, report: Path | None, skip_errors: bool, **known: Any
) -> None:
    """Measure MODEL on the labelled images in FOLDER.

    With --ignore-case, the labels are compared with the readings in one case, too.
    """
    _refuse_existing(report)
    from captcha_helpers.reading.shipped import model_path

    captcha_helpers.read_spec(model_path(model))
    captcha_helpers.read_labels(folder)  # wrong paths are told before TensorFlow is loaded
    _import_runtime(model)
    result = captcha_helpers.evaluate(
        captcha_helpers.load(model, **known),
        folder,
        on_error="skip" if skip_errors else "raise",
        progress=False if as_json else None,
    )
    if report is not None:
        captcha_helpers.write_report(result, report)
    click.echo(json.dumps(result.to_dict()) if as_json else str(result))


@main.command(
    cls=_Examples,
    epilog="captcha-helpers predict one.png\n"
    "captcha-helpers predict one.png --charset digits --length 4-6\n"
    "captcha-helpers predict exported/model.onnx one.png two.png\n"
    "captcha-helpers predict my_reader.keras other_images --csv read.csv\n"
    "captcha-helpers predict exported/model.onnx other_images --limit 10 --json\n"
    "captcha-helpers predict stars dark.png --invert --save-debug steps",
)
@click.argument("what", nargs=-1, required=True, metavar="[MODEL] IMAGES...")
@_knows_the_strings
@click.option("--limit", type=click.IntRange(1), help="Read only so many images.")
@click.option("--no-auto-crop", is_flag=True, help="Keep empty edges that training cut away.")
@click.option("--invert", is_flag=True, help="Take the negative of each image.")
@click.option("--strong", is_flag=True, help="Make strokes a pixel thicker.")
@click.option("--save-debug", type=_path, help="Write each step of an image to a folder in this.")
@click.option("--csv", "table", type=_path, help="Write the lines to a CSV file.")
@_json
def predict(
    what: tuple[str, ...],
    limit: int | None,
    no_auto_crop: bool,
    invert: bool,
    strong: bool,
    save_debug: Path | None,
    table: Path | None,
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
    from captcha_helpers.reading.recognizer import model_path

    _refuse_existing(table)
    model, images = _model_and_images(what)
    paths = _image_paths(images)[:limit]
    _import_runtime(model)
    wanted = {"auto_crop": False} if no_auto_crop else {}
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
        if "error" in row:
            failed = True
            click.echo(f"Error: {row['error']}", err=True)
        elif not quiet:
            columns = [click.format_filename(path), row["text"], f"{row['confidence']:.4f}"]
            undecided = " ".join(result.undecided)
            click.echo("\t".join([*columns, undecided] if undecided else columns))
        if quiet:
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
    from captcha_helpers.data.folders import IMAGE_SUFFIXES

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


@main.command(
    cls=_Examples,
    epilog="captcha-helpers export my_reader.keras --out exported\n"
    "captcha-helpers export my_reader.keras --to onnx,litert --out exported\n"
    "captcha-helpers export my_reader.keras --charset digits --length 4-6 --out digits_only\n"
    "captcha-helpers export my_reader.keras --to web --offline --samples my_images --out page",
)
@click.argument("model")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--to", "formats", help="Which formats, as in keras,onnx; by default all.")
@_knows_the_strings
@click.option("--samples", type=click.Path(path_type=Path), help="Images to try on the web page.")
@click.option("--offline", is_flag=True, help="Copy the web page's runtime beside it.")
@click.option("--overwrite", is_flag=True, help="Replace the folder.")
@_json
def export(
    model: str,
    out: Path,
    formats: str | None,
    samples: Path | None,
    offline: bool,
    overwrite: bool,
    as_json: bool,
    **known: Any,
) -> None:
    """Write MODEL in other formats.

    MODEL is a .keras file, or a name that captcha-helpers models lists; of an ONNX file come onnx
    and web alone. --charset, --length and --ignore-case are kept in the files: whoever reads with
    them reads such strings only.

    Each file is compared with MODEL: it must read the same. The formats: keras, h5, savedmodel;
    onnx takes raw pixels, onnx-int8 is a quarter of its size (only with --to); litert gives four
    .tflite files; web is a page that reads images in the browser.
    """
    from captcha_helpers.exporting.formats import FORMATS
    from captcha_helpers.reading.mask import MaskWarning
    from captcha_helpers.reading.shipped import shipped_starts

    _import_runtime(os.fspath(shipped_starts().get(model, model)))
    with warnings.catch_warnings(record=True) as told, _silence():  # the converters talk
        checks = captcha_helpers.export(
            model,
            out,
            formats=formats.split(",") if formats else FORMATS,
            samples=samples,
            offline=offline,
            overwrite=overwrite,
            **known,
        )
    for one in told:
        if issubclass(one.category, MaskWarning):
            _tell_warning(one.message)
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
        return
    for check in checks:
        click.echo(
            f"{check.file:<26} {check.bytes / 1e6:6.2f} MB  logits within "
            f"{check.max_logit_difference:<8.2g} same text {check.same_text:7.2%} of {check.n}"
            + (f"  left out: {check.left_out}" if check.left_out else "")
        )


@main.command(
    cls=_Examples,
    epilog="captcha-helpers serve exported/model.onnx\n"
    "captcha-helpers serve exported/model.onnx --charset digits --length 4-6\n"
    "captcha-helpers serve my_reader.keras --port 8080 --allow-url-host images.example.org",
)
@click.argument("model")
@_knows_the_strings
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--allow-url-host",
    "allow_url_hosts",
    multiple=True,
    metavar="HOST",
    help="Fetch images from URLs of this host; by default from none. May be repeated.",
)
@click.option(
    "--queue-size",
    default=256,
    show_default=True,
    type=click.IntRange(1),
    help="Images that may be there at a time; more are turned away.",
)
@click.option(
    "--batch-size",
    default=32,
    show_default=True,
    type=click.IntRange(1),
    help="Images that go through the model together, at most.",
)
def serve(
    model: str,
    host: str,
    port: int,
    allow_url_hosts: tuple[str, ...],
    queue_size: int,
    batch_size: int,
    **known: Any,
) -> None:
    """Answer HTTP requests with MODEL: images in, text out. Ctrl-C ends it.

    --charset, --length and --ignore-case hold for requests that do not say otherwise.
    """
    from captcha_helpers.serving import app

    _import_runtime(model)
    app.serve(
        model,
        host=host,
        port=port,
        allow_url_hosts=list(allow_url_hosts),
        queue_size=queue_size,
        batch_size=batch_size,
        **known,
    )


@main.command(cls=_Examples, epilog="captcha-helpers styles\ncaptcha-helpers styles --json")
@_json
def styles(as_json: bool) -> None:
    """List the looks that generate and preview draw."""
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
        f"{_span(facts['length'])} characters of {facts['charset']}  "
        f"{fonts} font{'s' * (fonts != 1)}"
    )


def _span(length: tuple[int, int]) -> str:
    low, high = length
    return str(low) if low == high else f"{low}-{high}"


@main.command(cls=_Examples, epilog="captcha-helpers models\ncaptcha-helpers models --json")
@_json
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
            f"{_span(facts['length'])} characters of {facts['charset']}"
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


if __name__ == "__main__":
    sys.exit(main())
