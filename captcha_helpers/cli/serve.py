"""Answer HTTP requests: serve."""

from __future__ import annotations

from typing import Any

import click

from captcha_helpers.cli.loading import import_runtime
from captcha_helpers.cli.options import ModelName, Verb, known_strings


@click.command(
    cls=Verb,
    epilog="captcha-helpers serve exported/model.onnx\n"
    "captcha-helpers serve exported/model.onnx --charset digits --length 4-6\n"
    "captcha-helpers serve my_reader.keras --port 8080 --allow-url-host images.example.org",
)
@click.argument("model", type=ModelName())
@known_strings
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for any free one.",
)
@click.option(
    "--allow-url-host",
    "allow_url_hosts",
    multiple=True,
    metavar="HOST",
    help="Allow fetching images from URLs of this host (none by default). May be repeated.",
)
@click.option(
    "--queue-size",
    default=256,
    show_default=True,
    type=click.IntRange(1),
    help="Maximum number of queued images.",
)
@click.option(
    "--batch-size",
    default=32,
    show_default=True,
    type=click.IntRange(1),
    help="Maximum number of images that go through the model together.",
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

    --charset, --length and --ignore-case are defaults; a request may override them.
    """
    from captcha_helpers.serving import app

    import_runtime(model)
    app.serve(
        model,
        host=host,
        port=port,
        allow_url_hosts=list(allow_url_hosts),
        queue_size=queue_size,
        batch_size=batch_size,
        **known,
    )
