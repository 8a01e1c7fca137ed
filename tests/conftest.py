"""What several test files use."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import captcha_helpers

# The same examples in each run, so that a change is judged by what it changed. To look further:
# pytest --hypothesis-profile=explore
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=20)  # make quick
settings.load_profile("same")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PYTHONFAULTHANDLER", "1")  # so that what hangs shows where, see `patience`

# Tests that were started by nohup or in the background ignore these, and so would all that they
# start, also where a test is about them. A handler is not inherited.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


# What these fixtures make takes long, so every test that uses one is marked.
MARKS = {"site": "slow", "onnx_file": "slow", "exported": "slow", "chromium": "browser"}
SLOW_EXAMPLES = {"captcha_helpers.learning.fitting.ExactMatch"}  # it trains


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a fixture of `MARKS`, and the slow examples of docstrings."""
    for item in items:
        if item.name in SLOW_EXAMPLES:
            item.add_marker("slow")
        for fixture in MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS[fixture])


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone's root."""
    return ROOT


@pytest.fixture(scope="session")
def local_path() -> re.Pattern[str]:
    """What looks like a path of somebody's own machine."""
    unix = r"(?<![\w.:/~$}*-])/(home|root|Users|tmp|work|opt|private)/\w"
    return re.compile(unix + r"|\b[C-Z]:\\" + r"\w")


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every file that git keeps and that still exists."""
    if not (root / ".git").exists():
        pytest.skip("not a git clone")
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    return [root / name for name in names.split("\0") if name and (root / name).is_file()]


@pytest.fixture(scope="session")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the built wheel installed in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site"
    shutil.copytree(
        root / "captcha_helpers",
        source / "captcha_helpers",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("captcha_helpers-*-py3-none-any.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return target


@pytest.fixture(scope="session")
def spec() -> captcha_helpers.ModelSpec:
    """What `model_file` and `onnx_file` read."""
    return captcha_helpers.ModelSpec(
        "0123456789", (4, 6), 48, 160, training={"note": "made by a test"}
    )


@pytest.fixture(scope="session")
def model_file(spec: captcha_helpers.ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pre-trained start for digits, as a .keras file."""
    path = tmp_path_factory.mktemp("model") / "start.keras"
    start = captcha_helpers.pretrained_start(
        captcha_helpers.Charset(spec.charset), length=6, start="pretrained"
    )
    captcha_helpers.save_model(start, spec, path)
    return path


@pytest.fixture(scope="session")
def onnx_file(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as an ONNX file."""
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    captcha_helpers.export(model_file, folder, formats=["onnx"])
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    binary, driver = (
        next(filter(None, map(shutil.which, names)), None),
        shutil.which("chromedriver"),
    )
    if binary is None or driver is None:
        pytest.skip("there is no Chromium, or no chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1000,1200"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    yield browser
    browser.quit()
