"""Nothing leaves the machine, and nothing is written but what was asked for."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import captcha_helpers

pytestmark = pytest.mark.slow
READ = "import captcha_helpers, sys; print(captcha_helpers.load('general').read(sys.argv[1]).text)"
TRAIN = """
import captcha_helpers, sys
captcha_helpers.write_dataset('stars', 'images', 24, progress=False)
captcha_helpers.train('images', out='a.keras', init='pretrained', epochs=1, progress=False)
captcha_helpers.export('stars', 'exported', formats=['onnx'])
"""
SERVE = """
import os, signal, socket, sys, threading, time, urllib.request
from captcha_helpers.serving import app

with socket.create_server(("127.0.0.1", 0)) as free:
    address = f"http://127.0.0.1:{free.getsockname()[1]}"

def ask():
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/healthz")
                break
            except OSError:
                time.sleep(0.1)
        with open(sys.argv[1], "rb") as file:
            image = urllib.request.Request(f"{address}/predict", data=file.read())
        image.add_header("Content-Type", "image/png")
        for request in (image, f"{address}/metrics", f"{address}/ui"):
            assert urllib.request.urlopen(request).status == 200
        print("answered")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=ask).start()
app.serve("stars", port=int(address.rpartition(":")[2]))
"""
# What two libraries keep under the user's home: Keras its settings, Matplotlib a list of the fonts.
KEPT = re.compile(r"\.keras/keras\.json|\.(cache|config)/matplotlib/.*")
NETWORK = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(.*sin6?_addr")


def python(code: str, home: Path, *arguments: str) -> list[str]:
    """Run code in a process that knows nothing of this one; what `strace` saw of the network."""
    command = [sys.executable, "-c", code, *arguments]
    trace = home.parent / "trace"
    if shutil.which("strace"):
        options = ["-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-o", str(trace)]
        command = ["strace", *options, *command]
    # No CI=1, which turns telemetry off as well, and none of the settings that conftest.py makes.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    environment["PYTHONPATH"] = str(Path(captcha_helpers.__file__).parents[1])
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "answered" in done.stdout or code != SERVE, done.stderr
    return trace.read_text().splitlines() if trace.exists() else []


def files(folder: Path) -> set[str]:
    """Every file below a folder but those that the two libraries keep there."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not KEPT.fullmatch(name)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.skipif(os.name == "nt", reason="the home of Windows is set otherwise")
def test_a_reading_writes_nothing_and_calls_nobody(home: Path, tmp_path: Path):
    image = tmp_path / "a.png"
    Image.linear_gradient("L").resize((100, 40)).save(image)
    calls = python(READ, home, str(image))
    assert files(home) == set()
    assert [line for line in calls if NETWORK.search(line)] == []


@pytest.mark.skipif(os.name == "nt", reason="the home of Windows is set otherwise")
def test_a_request_to_the_service_writes_nothing_and_calls_nobody(home: Path, tmp_path: Path):
    image = tmp_path / "a.png"
    Image.linear_gradient("L").resize((100, 40)).save(image)
    calls = python(SERVE, home, str(image))
    assert files(home) == set()
    asked = [line for line in calls if NETWORK.search(line)]
    assert [line for line in asked if 'inet_addr("127.0.0.1")' not in line] == []
    assert asked or shutil.which("strace") is None  # the question itself is seen


@pytest.mark.skipif(os.name == "nt", reason="the home of Windows is set otherwise")
def test_a_training_and_an_export_write_what_was_asked_for_and_call_nobody(home: Path):
    calls = python(TRAIN, home)
    assert {name.split("/")[0] for name in files(home)} == {"images", "a.keras", "exported"}
    assert [line for line in calls if NETWORK.search(line)] == []


def imported(source: str) -> list[str]:
    """The packages that a program imports, in order."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append((node.lineno, node.module.split(".")[0]))
    return [name for _, name in sorted(names)]


def test_notebooks_and_programs_import_onnxruntime_after_the_package(root: Path):
    """Its telemetry is on or off from its own import on; the package turns it off."""
    programs = {
        path: path.read_text(encoding="utf-8")
        for folder in ("benchmarks", "tools")
        for path in (root / folder).glob("*.py")
    }
    for path in (root / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        lines = "\n".join(code).splitlines()
        programs[path] = "\n".join(line for line in lines if not line.startswith(("%", "!")))
    met = [path for path, source in programs.items() if "onnxruntime" in imported(source)]
    for path in met:
        names = imported(programs[path])
        first = min(names.index(name) for name in ("captcha_helpers", "onnxruntime"))
        assert names[first] == "captcha_helpers", path.name
    assert any(path.suffix == ".ipynb" for path in met)
