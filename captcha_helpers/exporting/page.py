"""Write a web page that reads CAPTCHAs in the browser: a folder of static files.

The page's own files are in `assets/web`. They need the model as ONNX beside them, what it
expects as JSON, and the runtime: from a public address, or offline from the folder itself.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from captcha_helpers.core.files import WEB
from captcha_helpers.reading.model_file import ModelSpec

RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")

_OFFLINE = "./onnxruntime/"
_TIMEOUT = 300  # seconds; the package has 33 MB


def write_page(
    folder: Path,
    onnx_file: bytes,
    spec: ModelSpec,
    samples: Sequence[tuple[str, bytes]],
    *,
    offline: bool = False,
) -> None:
    """Write the page, to be served by any web server (``python -m http.server`` will do).

    Args:
        folder: Where the files go; an empty folder.
        onnx_file: The model, as `captcha_helpers.exporting.onnx_graph.build_onnx` gives it.
        spec: What the model expects and what its logits mean.
        samples: Labels and PNG files that the page offers for a try; may be empty.
        offline: Put the ONNX runtime into the folder too, so that the page needs no internet. This
            takes npm, which comes with Node.js.

    Raises:
        OSError: If a file cannot be written, or npm is missing or cannot get the runtime.

    Example:
        >>> spec = ModelSpec("0123456789", length=(4, 6), height=48, width=160)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(Path(folder), b"the model", spec, [("42", b"a picture")])
        ...     print(*sorted(path.name for path in Path(folder).glob("m*[nx]")))
        metadata.json model.onnx
    """
    for source in WEB.iterdir():
        if not source.name.startswith("service"):  # the pages of captcha_helpers.serving.app
            shutil.copy(source, folder)
    (folder / "model.onnx").write_bytes(onnx_file)
    (folder / "metadata.json").write_text(spec.to_json(), encoding="utf-8")
    _write_samples(folder, samples)
    if offline:
        _take_offline(folder)


def _write_samples(folder: Path, samples: Sequence[tuple[str, bytes]]) -> None:
    (folder / "samples").mkdir()
    listed = []
    for number, (label, image) in enumerate(samples, start=1):
        name = f"samples/{number:02d}.png"
        (folder / name).write_bytes(image)
        listed.append({"file": name, "label": label})
    text = json.dumps(listed, indent=2, ensure_ascii=False)
    (folder / "samples.json").write_text(text, encoding="utf-8")


def _take_offline(folder: Path) -> None:
    """Put the runtime into the folder and its address there into the page."""
    page = folder / "index.html"
    text = page.read_text(encoding="utf-8")
    address, package = re.findall(r'"(https://[^"]+/(onnxruntime-web@[\d.]+)/dist/)"', text)[0]
    _fetch_runtime(package, address, folder / _OFFLINE)
    host = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    page.write_text(text.replace(address, _OFFLINE).replace(f" {host}", ""), encoding="utf-8")


def _fetch_runtime(package: str, address: str, target: Path) -> None:
    target.mkdir()
    with tarfile.open(fileobj=io.BytesIO(_npm_pack(package, address))) as archive:
        for name in archive.getnames():
            inside = name.removeprefix("package/").removeprefix("dist/")
            wanted = inside in RUNTIME_FILES or inside.startswith("LICENSE")
            if wanted and (file := archive.extractfile(name)):  # None for a folder
                (target / inside).write_bytes(file.read())


def _npm_pack(package: str, address: str) -> bytes:
    """Download a package with npm, as a gzipped tar archive."""
    npm = shutil.which("npm")
    by_hand = (
        f"write the page without offline, download {' and '.join(RUNTIME_FILES)} from {address} "
        f"into its folder onnxruntime, and replace that address in index.html by {_OFFLINE}"
    )
    if npm is None:
        raise OSError(
            f"an offline page needs npm to get {package}, but there is no npm: install Node.js "
            f"(https://nodejs.org); or {by_hand}"
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                [npm, "pack", package],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", None) or error
            raise OSError(
                f"npm could not get {package}: {said}\nCheck the internet connection; or {by_hand}"
            ) from None
        return next(Path(folder).glob("*.tgz")).read_bytes()
