"""Learn from images, with labels and without: train, adapt."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

import captcha_helpers
from captcha_helpers.cli.loading import import_keras, import_runtime
from captcha_helpers.cli.options import (
    ModelName,
    Verb,
    frame_option,
    json_option,
    known_labels,
    known_strings,
    overwrite_option,
    path_type,
    typed,
)
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.data.labels import find_labels
from captcha_helpers.data.names import counted

WORTH_READING = 50  # images without labels, of which it is said what can be done with them
_OPTIMISM = "(slightly optimistic: these images also selected the weights)"


@click.command(
    cls=Verb,
    epilog="captcha-helpers train my_images --out my_reader.keras\n"
    "captcha-helpers train my_images --minutes 1 --out quick.keras\n"
    "captcha-helpers train my_images --out my_reader.keras --report training.html\n"
    "captcha-helpers train my_images --out my_reader.keras --resume\n"
    "captcha-helpers train more_images --init my_reader.keras --out better.keras",
)
@click.argument("folder", type=path_type)
@click.option("--out", required=True, type=path_type, help="Model file to write, .keras.")
@click.option(
    "--unlabelled",
    type=path_type,
    metavar="FOLDER",
    help="Learn from these images as well, 1,000 of them at most, by confident readings of a first "
    "training. Those that have a label are left out, so it may be FOLDER itself.",
)
@known_labels
@click.option("--minutes", default=5.0, show_default=True, help="Time limit.")
@click.option("--epochs", type=int, help="Passes over the images, in place of a time limit.")
@click.option("--seed", default=0, show_default=True, help="Another seed holds out other images.")
@click.option(
    "--report",
    type=path_type,
    help="Write the curves and the errors on the held-out images to an HTML page.",
)
@click.option("--from-scratch", is_flag=True, help="Do not start from the pre-trained weights.")
@click.option(
    "--init", type=ModelName(), metavar="MODEL", help="Continue from this model, a .keras file."
)
@click.option("--strict", is_flag=True, help="Stop if an image cannot be used.")
@click.option("--resume", is_flag=True, help="Continue a training that was interrupted.")
@overwrite_option("the model file and the HTML page")
@click.option(
    "--auto-crop/--no-auto-crop",
    default=None,
    help="Crop empty edges, or keep them.  [default: as the initial weights were trained]",
)
@click.option(
    "--invert",
    type=click.Choice(["no", "auto", "always"]),
    help="Invert dark images, or all.",
)
@click.option("--strong", is_flag=True, default=None, help="Make strokes a pixel thicker.")
@click.option("--clahe", is_flag=True, default=None, help="Enhance the local contrast.")
@frame_option
@json_option
def train(
    folder: Path,
    out: Path,
    unlabelled: Path | None,
    charset: str | None,
    length: tuple[int, int] | None,
    minutes: float,
    epochs: int | None,
    seed: int,
    report: Path | None,
    from_scratch: bool,
    init: str | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **processing: bool | str | None,
) -> None:
    """Train a model on the labelled images in FOLDER.

    The labels are in the file names (LABEL.png, LABEL_anything.png) or in a labels.csv with the
    columns file and label. --charset and --length help where few images are labelled: the model
    then also reads characters that no label has. Ctrl-C keeps the best model so far, and --resume
    continues. What --no-auto-crop, --invert, --strong, --clahe and --frame change is stored with
    the model, which then prepares images in the same way before reading. --init continues from a
    model that was trained before, which learns new labels, characters and lengths. To keep reading
    the old images, include them in FOLDER.
    """
    if init is not None and from_scratch:
        raise click.UsageError("Give --init or --from-scratch, not both.")
    # What is wrong with a path is told before TensorFlow is loaded, and so is that it has begun.
    labelled = find_labels(folder).pairs
    if unlabelled is not None:
        captcha_helpers.image_files(unlabelled)
    for path in filter(None, (out, report)):
        check_writable(path)
        refuse_existing(path, overwrite=overwrite or resume)
    usual = captcha_helpers.Processing(auto_crop=not from_scratch)  # as the general weights
    if init is not None:
        from captcha_helpers.reading.shipped import model_path

        usual = captcha_helpers.read_spec(model_path(init)).processing
    changes: dict[str, Any] = {name: one for name, one in processing.items() if one is not None}
    if not as_json:
        click.echo(f"{len(labelled)} labelled images in {folder}; loading TensorFlow ...")
        more = set(captcha_helpers.image_files(folder)) - {path for path, _ in labelled}
        if len(more) >= WORTH_READING and unlabelled is None:
            click.echo(
                f"{len(more)} images have no label; --unlabelled {typed(folder)} learns from these "
                "as well, by what it reads with confidence"
            )
    import_keras()
    reader = captcha_helpers.train(
        folder,
        minutes=minutes,
        epochs=epochs,
        out=out,
        report=report,
        unlabelled=unlabelled,
        pretrained=not from_scratch,
        charset=charset,
        length=length,
        init=init,
        on_error="raise" if strict else "skip",
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        processing=replace(usual, **changes) if changes else None,
        progress=False if as_json else None,
    )
    facts = reader.spec.training
    if as_json:
        click.echo(json.dumps(facts))
        return
    from captcha_helpers.learning.messages import result_text

    click.echo(f"{out} {result_text(facts)} {_OPTIMISM}.")
    if report is not None:
        click.echo(f"{report} shows the curves and the errors.")
    if facts["complete"]:
        click.echo(
            f"Measure it on other images: captcha-helpers evaluate {typed(out)} OTHER_IMAGES"
        )
    else:
        again = f"captcha-helpers train {typed(folder)} --out {typed(out)} --resume"
        click.echo(f"Continue with the same options and --resume: {again}")


@click.command(
    cls=Verb,
    epilog="captcha-helpers adapt general my_images --out my_reader.keras\n"
    "captcha-helpers adapt general my_images --charset digits --length 4-6 --out my_reader.keras\n"
    "captcha-helpers adapt my_reader.keras new_images --minutes 1 --out newer.keras",
)
@click.argument("model", type=ModelName(), metavar="MODEL")
@click.argument("folder", type=path_type)
@click.option("--out", required=True, type=path_type, help="Model file to write, .keras.")
@known_strings
@click.option("--minutes", default=3.0, show_default=True, help="Time limit.")
@click.option("--seed", default=0, show_default=True, help="Another seed holds out other images.")
@overwrite_option("the model file")
@json_option
def adapt(
    model: str,
    folder: Path,
    out: Path,
    minutes: float,
    seed: int,
    overwrite: bool,
    as_json: bool,
    **known: Any,
) -> None:
    """Adapt MODEL to the unlabelled images in FOLDER.

    FOLDER should hold a few hundred images of one kind. MODEL learns from those of its own readings
    that it is confident of. Whether this helped is checked without labels, too: a quarter of the
    images is held out, and the new model must read them more consistently than MODEL does when they
    are shifted and bent slightly. Only then is the --out file written. --charset and --length help
    a lot.
    """
    # What is wrong with a path is told before TensorFlow is loaded, and so is that it has begun.
    images = captcha_helpers.image_files(folder)
    check_writable(out)
    refuse_existing(out, overwrite=overwrite)
    import_runtime(model)
    if not as_json:
        click.echo(f"{counted(len(images), 'image')} in {folder}; loading TensorFlow ...")
    import_keras()
    result = captcha_helpers.adapt(
        folder,
        model,
        minutes=minutes,
        out=out,
        overwrite=overwrite,
        seed=seed,
        progress=False if as_json else None,
        **known,
    )
    if as_json:
        names = [one.name for one in fields(result) if one.name not in ("reader", "new")]
        click.echo(json.dumps({name: getattr(result, name) for name in names}))
        return
    click.echo(f"{result.reason}.")
    if result.adapted:
        click.echo(f"{out} is written: captcha-helpers predict {typed(out)} {typed(folder)}")
