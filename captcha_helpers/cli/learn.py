"""Learn from images: train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

import captcha_helpers
from captcha_helpers.cli.loading import import_keras
from captcha_helpers.cli.options import Verb, json_option, overwrite_option, path_type
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.data.labels import find_labels


@click.command(
    cls=Verb,
    epilog="captcha-helpers train my_images --out my_reader.keras\n"
    "captcha-helpers train my_images --minutes 1 --out quick.keras\n"
    "captcha-helpers train my_images --out my_reader.keras --resume\n"
    "captcha-helpers train more_images --init my_reader.keras --out better.keras",
)
@click.argument("folder", type=path_type)
@click.option("--out", required=True, type=path_type, help="Model file, .keras.")
@click.option("--minutes", default=5.0, show_default=True, help="How long it may take.")
@click.option("--epochs", type=int, help="Passes over the images, instead of a time.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another split.")
@click.option("--from-scratch", is_flag=True, help="Do not start from the pre-trained weights.")
@click.option("--init", metavar="MODEL", help="Go on from this reader, a .keras file.")
@click.option("--strict", is_flag=True, help="Stop at images that cannot be used.")
@click.option("--resume", is_flag=True, help="Go on with a training that was cut off.")
@overwrite_option("the model file")
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
@json_option
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
    labelled = find_labels(folder).pairs
    check_writable(out)
    refuse_existing(out, overwrite=overwrite or resume)
    if init is not None:
        from captcha_helpers.reading.shipped import model_path

        captcha_helpers.read_spec(model_path(init))
    if not as_json:
        click.echo(f"{len(labelled)} labelled images in {folder}; loading TensorFlow ...")
    import_keras()
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
