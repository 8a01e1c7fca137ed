"""The command ``captcha-helpers``; ``captcha-helpers VERB --help`` says what each verb does.

Each verb is one call of a public function. Errors are one line on stderr: exit code 1 if the work
failed, 2 if the command was written wrongly.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

import captcha_helpers


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
                    formatter.write_text(line)


class _OneLineErrors(click.Group):
    """A group that turns our own errors into one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ImportError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(captcha_helpers.__version__, prog_name="captcha-helpers")
def main() -> None:
    """Train readers of text CAPTCHAs on your own images, and measure them."""


@main.command(
    cls=_Examples,
    epilog="captcha-helpers train my_images --out my_reader.keras\n"
    "captcha-helpers train my_images --minutes 1 --out quick.keras\n"
    "captcha-helpers train my_images --out my_reader.keras --resume",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model file, .keras.")
@click.option("--minutes", default=5.0, show_default=True, help="How long it may take.")
@click.option("--epochs", type=int, help="Passes over the images, instead of a time.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another split.")
@click.option("--from-scratch", is_flag=True, help="Do not start from the pre-trained weights.")
@click.option("--strict", is_flag=True, help="Stop at images that cannot be used.")
@click.option("--resume", is_flag=True, help="Go on with a training that was cut off.")
@click.option("--overwrite", is_flag=True, help="Replace the model file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    folder: Path,
    out: Path,
    minutes: float,
    epochs: int | None,
    seed: int,
    from_scratch: bool,
    strict: bool,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Learn to read the labelled images in FOLDER.

    The labels stand in the file names (LABEL.png, LABEL_anything.png) or in a labels.csv with the
    columns file and label. Ctrl-C keeps the best model so far.
    """
    captcha_helpers.read_labels(folder)  # a wrong path is told before TensorFlow is loaded
    _import_keras()
    reader = captcha_helpers.train(
        folder,
        minutes=minutes,
        epochs=epochs,
        out=out,
        pretrained=not from_scratch,
        on_error="raise" if strict else "skip",
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        progress=False if as_json else None,
    )
    facts = reader.spec.training
    if as_json:
        click.echo(json.dumps(facts))
        return
    low, high = facts["validation_exact_match_ci95"]
    click.echo(
        f"{out}: reads {facts['validation_exact_match']:.1%} of {facts['validation_images']} "
        f"validation images (95 %: {low:.1%} to {high:.1%}); they chose the weights, so measure "
        "on others: captcha-helpers evaluate"
    )


@main.command(
    cls=_Examples,
    epilog="captcha-helpers evaluate my_reader.keras other_images\n"
    "captcha-helpers evaluate my_reader.keras other_images --report errors.html\n"
    "captcha-helpers evaluate my_reader.keras other_images --json",
)
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the errors to an HTML page.")
@click.option("--skip-errors", is_flag=True, help="Leave out images that cannot be read.")
def evaluate(
    model: str, folder: Path, as_json: bool, report: Path | None, skip_errors: bool
) -> None:
    """Read the labelled images in FOLDER with MODEL and compare with the labels."""
    if report is not None and report.exists():
        raise FileExistsError(f"{str(report)!r} exists; choose another name or remove it")
    path = captcha_helpers.recognizer.model_path(model)
    captcha_helpers.read_spec(path)  # wrong paths are told before TensorFlow is loaded
    captcha_helpers.read_labels(folder)
    if path.suffix not in (".onnx", ".tflite"):
        _import_keras()
    result = captcha_helpers.evaluate(
        captcha_helpers.load(path),
        folder,
        on_error="skip" if skip_errors else "raise",
        progress=False if as_json else None,
    )
    if report is not None:
        captcha_helpers.write_report(result, report)
    click.echo(json.dumps(result.to_dict()) if as_json else str(result))


@main.command(
    cls=_Examples,
    epilog="captcha-helpers export my_reader.keras --out exported\n"
    "captcha-helpers export my_reader.keras --to onnx,litert --out exported\n"
    "captcha-helpers export my_reader.keras --to web --offline --samples my_images --out page",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--to", "formats", help="Which formats, as in keras,onnx; by default all.")
@click.option("--samples", type=click.Path(path_type=Path), help="Images to try on the web page.")
@click.option("--offline", is_flag=True, help="Copy the web page's runtime beside it.")
@click.option("--overwrite", is_flag=True, help="Replace the folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def export(
    model: Path,
    out: Path,
    formats: str | None,
    samples: Path | None,
    offline: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write MODEL, a .keras file, in other formats, and check that each reads the same.

    keras, h5, savedmodel; onnx takes raw pixels; litert gives four .tflite files; web is a page
    that reads images in the browser.
    """
    captcha_helpers.read_spec(model)  # a wrong path is told before TensorFlow is loaded
    _import_keras()
    with _silence():  # the converters talk
        checks = captcha_helpers.export(
            model,
            out,
            formats=formats.split(",") if formats else captcha_helpers.formats.FORMATS,
            samples=samples,
            offline=offline,
            overwrite=overwrite,
        )
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
        return
    for check in checks:
        click.echo(
            f"{check.file:<26} {check.bytes / 1e6:6.2f} MB  logits within "
            f"{check.max_logit_difference:<8.2g} same text {check.same_text:7.2%} of {check.n}"
            + (f"  left out: {check.left_out}" if check.left_out else "")
        )


if __name__ == "__main__":
    sys.exit(main())
