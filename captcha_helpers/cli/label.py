"""Label images that have no labels yet: label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from captcha_helpers.cli.loading import import_runtime
from captcha_helpers.cli.options import ModelName, Verb, known_strings, path_type


@click.command(
    cls=Verb,
    epilog="captcha-helpers label my_images --out my_reader.keras\n"
    "captcha-helpers label my_images --charset digits --length 4\n"
    "captcha-helpers label my_images --model my_reader.keras --labels labels.csv",
)
@click.argument("folder", type=path_type)
@click.option(
    "--out", type=path_type, help="Where the page saves the reader that it trains, .keras."
)
@click.option("--labels", type=path_type, help="CSV file of labels; default: FOLDER/labels.csv.")
@click.option(
    "--model",
    type=ModelName(),
    default="general",
    show_default=True,
    metavar="MODEL",
    help="What guesses first.",
)
@known_strings
@click.option("--minutes", default=1.0, show_default=True, help="Time of each training.")
@click.option("--no-training", is_flag=True, help="Do not train while labels come.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port; by default a free one."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def label(
    folder: Path,
    out: Path | None,
    labels: Path | None,
    model: str,
    minutes: float,
    no_training: bool,
    port: int,
    no_browser: bool,
    **known: Any,
) -> None:
    """Label the images in FOLDER on a page in the browser. Ctrl-C ends it.

    Each image stands there with what a reader guesses: Enter accepts, typing corrects, Esc skips.
    Each label is written at once to labels.csv; the images are not changed. With 20, 50, 100, 200
    ... labels a reader is trained in the background, which guesses better. Only this machine
    reaches the page.
    """
    from captcha_helpers.serving import labelling

    import_runtime(model)
    labelling.label(
        folder,
        labels=labels,
        model=model,
        out=out,
        trainings=not no_training,
        minutes=minutes,
        port=port,
        open_browser=not no_browser,
        **known,
    )
