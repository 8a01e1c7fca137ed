"""Label images, and look over the labels that there are: label, check."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

import captcha_helpers
from captcha_helpers.cli.loading import import_keras, import_runtime
from captcha_helpers.cli.options import (
    ModelName,
    Verb,
    json_option,
    known_strings,
    overwrite_option,
    path_type,
)
from captcha_helpers.data.label_book import LabelBook
from captcha_helpers.data.label_studio import CONFIG
from captcha_helpers.data.labels import LABELS_FILE, find_labels
from captcha_helpers.data.names import counted


def model_option(why: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the option that names its reader; by default the one that reads every look."""
    return click.option(
        "--model",
        type=ModelName(),
        default="general",
        show_default=True,
        metavar="MODEL",
        help=why,
    )


@click.command(
    cls=Verb,
    epilog="captcha-helpers label my_images --out my_reader.keras\n"
    "captcha-helpers label my_images --charset digits --length 4\n"
    "captcha-helpers label my_images --model my_reader.keras --labels labels.csv\n"
    "captcha-helpers label my_images --tasks tasks.json --number 500\n"
    "captcha-helpers label my_images --labels-from exported.json",
)
@click.argument("folder", type=path_type)
@click.option(
    "--out", type=path_type, help="Where the page saves the reader that it trains, .keras."
)
@click.option("--labels", type=path_type, help="CSV file of labels; default: FOLDER/labels.csv.")
@click.option(
    "--labels-from",
    type=path_type,
    help="Take the labels of this list first: CSV, JSON, or an export of Label Studio.",
)
@model_option("Model that makes the first guesses; trainings begin with it if it is a .keras file.")
@known_strings
@click.option("--minutes", default=1.0, show_default=True, help="Time of each training.")
@click.option("--no-training", is_flag=True, help="Do not train while labels come.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port; by default a free one."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--tasks",
    type=path_type,
    help="Show no page; write tasks with guesses to this file, which Label Studio imports.",
)
@click.option(
    "--number", default=200, show_default=True, type=click.IntRange(1), help="How many tasks."
)
@overwrite_option("the file of --tasks")
def label(
    folder: Path,
    out: Path | None,
    labels: Path | None,
    labels_from: Path | None,
    model: str,
    minutes: float,
    no_training: bool,
    port: int,
    no_browser: bool,
    tasks: Path | None,
    number: int,
    overwrite: bool,
    **known: Any,
) -> None:
    """Label the images in FOLDER on a page in the browser. Ctrl-C ends it.

    Each image is shown with a reader's guess: Enter accepts, typing corrects, Esc skips.
    Each label is written at once to labels.csv; the images are not changed. With 20, 50, 100, 200
    ... labels a reader is trained in the background, which guesses better. Only this machine
    reaches the page.
    """
    import_runtime(model)
    if tasks is not None:
        found = find_labelled(folder, labels)
        reader = captcha_helpers.load(model, **known)
        written = captcha_helpers.write_tasks(
            folder, tasks, reader, number, labelled=found, overwrite=overwrite
        )
        click.echo(f"{counted(written, 'task')} in {tasks}, for a project of Label Studio with")
        click.echo(CONFIG)
        click.echo(f"and with the local storage {folder.resolve()}; see docs/labelling.md")
        return
    from captcha_helpers.serving import labelling

    labelling.label(
        folder,
        labels=labels,
        labels_from=labels_from,
        model=model,
        out=out,
        trainings=not no_training,
        minutes=minutes,
        port=port,
        open_browser=not no_browser,
        **known,
    )


@click.command(
    cls=Verb,
    epilog="captcha-helpers check my_images\n"
    "captcha-helpers check my_images --model my_reader.keras --limit 50\n"
    "captcha-helpers check my_images --train --folds 4\n"
    "captcha-helpers check my_images --fix",
)
@click.argument("folder", type=path_type)
@model_option("What reads the images; one that has not learned from these labels.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="Labels to list."
)
@click.option(
    "--train",
    is_flag=True,
    help="Judge the labels with readers trained on the other images instead of MODEL.",
)
@click.option(
    "--folds",
    default=2,
    show_default=True,
    type=click.IntRange(2),
    help="How many trainings --train does, each for its part of the labels.",
)
@click.option(
    "--minutes", default=2.0, show_default=True, help="Time of each training that --train does."
)
@click.option("--fix", is_flag=True, help="Go through them on a page, and correct labels.csv.")
@json_option
def check(
    folder: Path,
    model: str,
    limit: int,
    train: bool,
    folds: int,
    minutes: float,
    fix: bool,
    as_json: bool,
) -> None:
    """List the labels in FOLDER that are probably wrong.

    Nothing is changed unless you say --fix. A label is doubted if MODEL finds its own reading
    likelier, or if the same picture has another label elsewhere; where MODEL is wrong, the label
    may be right. For images that no model knows, --train trains readers on a part of the folder
    each, which judge the labels of the rest. With --fix the page of the verb label shows them one
    after the other, and what you type goes to labels.csv, into which labels that stand in the file
    names are copied first.
    """
    if train and model != "general":
        raise click.UsageError("Give --train or --model, not both.")
    if fix and as_json:
        raise click.UsageError("Give --fix or --json, not both.")
    progress = False if as_json else None
    report = captcha_helpers.check_folder(folder, progress=progress)
    if train:
        import_keras()
        found = captcha_helpers.cross_check(folder, folds=folds, minutes=minutes, progress=progress)
    else:
        import_runtime(model)
        found = captcha_helpers.find_label_errors(folder, model)
    judge = "readers of the other images read" if train else f"{model} reads"
    if as_json:
        rows = [
            one._asdict() | {"path": str(one.path), "reading": one.reading.text}
            for one in found[:limit]
        ]
        click.echo(json.dumps(rows))
        return
    click.echo(str(report))
    if not found:
        click.echo(f"Every label is what {judge}.")
        return
    are = "is" if len(found) == 1 else "are"
    if any(one.label == one.reading.text for one in found):
        judge += ", or not that of a copy"
    click.echo(f"{counted(len(found), 'label')} {are} not what {judge}; the most doubtful first:")
    for one in found[:limit]:
        click.echo(
            f"{one.path.name:<24} label {one.label!r:<12} read {one.reading.text!r:<12} "
            f"{one.probability:8.2g} times as likely; {one.reason}"
        )
    if fix:
        from captcha_helpers.serving import labelling

        shown = {name_below(folder, one.path): one.reading for one in found[:limit]}
        copy_labels(folder)
        labelling.label(folder, model=model, trainings=False, only=shown)


def find_labelled(folder: Path, labels: Path | None) -> list[str]:
    """The names of the images that have a label in the file of labels."""
    file = labels or folder / LABELS_FILE
    return [*LabelBook(file, folder).labels] if file.exists() else []


def name_below(folder: Path, path: Path) -> str:
    """What `LabelSession` calls an image, which a list may name in a sub-folder.

    Example:
        >>> name_below(Path("my_images"), Path("my_images/sub/1.png"))
        'sub/1.png'
    """
    with suppress(ValueError):  # of Windows, for another drive
        name = Path(os.path.relpath(path, folder))
        if ".." not in name.parts:
            return name.as_posix()
    raise ValueError(
        f"the page shows only images that are in {str(folder)!r}, but the labels name "
        f"{str(path)!r}; correct that label in its list by hand"
    )


def copy_labels(folder: Path) -> None:
    """Write a labels.csv for images whose labels stand elsewhere, in their names as a rule."""
    if any(path.name.lower() == LABELS_FILE for path in folder.iterdir()):
        return
    pairs = find_labels(folder).pairs
    if any(path.parent != folder for path, _ in pairs):
        raise ValueError(
            f"the images are in sub-folders of {str(folder)!r}; name one of those, or, if a table "
            f"in {str(folder)!r} lists them, rename it to {LABELS_FILE}"
        )
    LabelBook(folder / LABELS_FILE).write({path.name: label for path, label in pairs})
