"""ONNX files give the same in runtimes of other languages; the table of docs/export.md says which.

`stars` computes in float32 and `general` in 8 bits; both prepare raw pixels in the graph.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers.data.labels import image_files
from captcha_helpers.reading.recognizer import load
from captcha_helpers.reading.shipped import model_path

READERS = ("stars", "general")
RUNTIMES = ("onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0")
PAGES = ("docs/export.md", "docs/zh-CN/export.md")


@pytest.fixture(scope="module")
def images(root: Path) -> list[Path]:
    return image_files(root / "captcha_images" / "stars")[:5]


def installed(package: str, folder: Path) -> tuple[str, str]:
    """Node.js, and the name of a package that npm has put into the folder."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js with npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            [*command, package], cwd=folder, capture_output=True, check=True, timeout=120
        )
    except subprocess.SubprocessError as error:
        pytest.skip(f"npm cannot install {package}: {error}")
    return node, package.partition("@")[0]


@pytest.mark.slow
@pytest.mark.parametrize("package", RUNTIMES)
def test_javascript_reads_raw_pixels_as_python_does(
    package: str, root: Path, images: list[Path], tmp_path: Path
):
    node, runtime = installed(package, tmp_path)
    shutil.copy(root / "tests" / "web" / "read.mjs", tmp_path)
    pixels = [np.asarray(Image.open(image).convert("RGBA")) for image in images]
    cases = [{"pixels": one.ravel().tolist(), "dims": [1, *one.shape]} for one in pixels]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    for name in READERS:
        command = [node, "read.mjs", runtime, str(model_path(name)), "cases.json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        reader = load(name)
        frames = json.loads(done.stdout.splitlines()[-1])
        texts = [
            "".join(reader.spec.charset[best - 1] for best, _ in groupby(one) if best)
            for one in frames
        ]
        assert texts == [reader.read(image).text for image in images]


@pytest.mark.parametrize("name", READERS)
def test_opencv_opens_the_files_and_cannot_run_them(name: str, images: list[Path]):
    """When this fails OpenCV has learned to: change the table."""
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.partition(".")[0]) < 5:
        pytest.skip("the table is about OpenCV 5")
    network = cv2.dnn.readNetFromONNX(str(model_path(name)))
    network.setInput(np.asarray(Image.open(images[0]).convert("RGBA"))[None])
    with pytest.raises(cv2.error, match="CV_32F"):
        network.forward()


@pytest.mark.parametrize("page", PAGES)
def test_the_table_names_what_is_tested_here(page: str, root: Path):
    text = (root / page).read_text("utf-8")
    for package in RUNTIMES:
        assert package.replace("@", " ") in text
    assert "OpenCV 5.0" in text
