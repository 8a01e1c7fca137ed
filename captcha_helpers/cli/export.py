"""Take a model elsewhere: export; and web, which shows the page that it writes."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import captcha_helpers
from captcha_helpers.cli.errors import tell_warning
from captcha_helpers.cli.loading import import_runtime, silence
from captcha_helpers.cli.options import (
    Formats,
    ModelName,
    Verb,
    json_option,
    known_strings,
    overwrite_option,
    path_type,
    typed,
)
from captcha_helpers.data.names import counted


@click.command(
    cls=Verb,
    epilog="captcha-helpers export my_reader.keras --out exported\n"
    "captcha-helpers export my_reader.keras --to onnx,litert --out exported\n"
    "captcha-helpers export my_reader.keras --charset digits --length 4-6 --out digits_only\n"
    "captcha-helpers export my_reader.keras --to web --samples my_images --out page",
)
@click.argument("model", type=ModelName())
@click.option("--out", required=True, type=path_type, help="Folder to write the files to.")
@click.option(
    "--to",
    "formats",
    type=Formats(),
    help="Formats to write, such as keras,onnx; by default all but onnx-int8.",
)
@known_strings
@click.option("--samples", type=path_type, help="Folder of images to try on the web page.")
@click.option("--cdn", is_flag=True, help="Let the web page load its runtime from a public CDN.")
@overwrite_option("the folder")
@json_option
def export(
    model: str,
    out: Path,
    formats: str | None,
    samples: Path | None,
    cdn: bool,
    overwrite: bool,
    as_json: bool,
    **known: Any,
) -> None:
    """Write MODEL in other formats.

    MODEL is a .keras file, or a name that captcha-helpers models lists. An ONNX file can only be
    turned into onnx and web. --charset, --length and --ignore-case are stored in the files, which
    then read only such strings.

    Each file is compared with MODEL and must read the same text. The formats are keras, h5 and
    savedmodel; onnx, which takes raw pixels; onnx-int8, which computes in 8 bits (only with --to);
    litert, which gives four .tflite files; and web, a page that reads images in the browser. The
    page's runtime (14 MB) is downloaded into the folder; with --cdn the page loads it when it is
    opened.
    """
    from captcha_helpers.exporting.formats import DEFAULT_FORMATS
    from captcha_helpers.reading.mask import MaskWarning
    from captcha_helpers.reading.shipped import shipped_starts

    import_runtime(os.fspath(shipped_starts().get(model, model)))
    with warnings.catch_warnings(record=True) as told, silence():  # what converters print
        checks = captcha_helpers.export(
            model,
            out,
            formats=formats.split(",") if formats else DEFAULT_FORMATS,
            samples=samples,
            cdn=cdn,
            overwrite=overwrite,
            **known,
        )
    for one in told:
        if issubclass(one.category, MaskWarning):
            tell_warning(one.message)
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
        return
    for check in checks:
        click.echo(
            f"{check.file:<26} {check.bytes / 1e6:6.2f} MB  logits within "
            f"{check.max_logit_difference:<8.2g} same text {check.same_text:7.2%} of {check.n}"
            + (f"  left out: {check.left_out}" if check.left_out else "")
        )
    click.echo(
        f"{out}: written, with {counted(sum(not check.left_out for check in checks), 'file')}"
    )
    if (out / "web").exists():
        click.echo(
            f"{out / 'web'}: the page; captcha-helpers web {typed(out)} opens it in a browser"
        )


@click.command(
    cls=Verb,
    epilog="captcha-helpers web exported\ncaptcha-helpers web exported --port 8080 --no-browser",
)
@click.argument("folder", metavar="DIR", type=path_type)
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port; by default a free one."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def web(folder: Path, port: int, no_browser: bool) -> None:
    """Open the page that export wrote to DIR in a browser. Ctrl-C ends it.

    Only this machine can reach it.
    """
    from captcha_helpers.exporting.page import serve_page

    with suppress(KeyboardInterrupt):
        serve_page(folder, port=port, open_browser=not no_browser)
