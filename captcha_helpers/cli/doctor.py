"""Say what is installed and whether it works, for a bug report: doctor."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import captcha_helpers
from captcha_helpers.cli.loading import import_runtime
from captcha_helpers.cli.options import Verb, json_option
from captcha_helpers.core.extras import NAME, installed_from, packages, pip_line

EXTRAS = ("predict", "train", "serve", "export", "scale")
_DIGITS: dict[str, Any] = {"charset": captcha_helpers.DIGITS, "length": (6, 6)}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromedriver")


@click.command(cls=Verb, epilog="captcha-helpers doctor\ncaptcha-helpers doctor --json")
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, for a bug report.

    Prints the versions, the optional parts that are installed, browsers and fonts, and reads one
    image with each model that comes with the package. Your home folder is written as ~. The exit
    code is 1 if a model cannot read although everything that it needs is installed.
    """
    facts: dict[str, Any] = {
        "versions": dict(_versions()),
        "extras": dict(_extras()),
        "browsers": dict(_browsers()),
        "fonts": _fonts(),
        "models": {name: _model(name) for name in captcha_helpers.shipped_models()},
    }
    said = json.dumps(facts) if as_json else "\n".join(_lines(facts))
    click.echo(said.replace(os.fspath(Path.home()), "~"))
    if any(model.startswith("FAILED") for model in facts["models"].values()):
        sys.exit(1)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    for title, values in facts.items():
        yield f"{title}:"
        width = max([0, *map(len, values)])
        yield from (f"  {name:<{width}}  {value}" for name, value in values.items())


def _versions() -> Iterator[tuple[str, str]]:
    from importlib.metadata import version

    yield NAME, f"{captcha_helpers.__version__} (from {installed_from()})"
    yield "python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", f"{platform.platform()}, {os.cpu_count()} processors"
    for package in ("click", "numpy", "pillow", "rapidfuzz", "tqdm"):
        yield package, version(package)


def _extras() -> Iterator[tuple[str, str]]:
    """The versions of what each extra brings; or what is missing, and how to install it."""
    told: set[str] = set()
    for extra in EXTRAS:
        found = packages(extra)
        missing = [name for name, known in found.items() if not known]
        if missing:
            yield extra, f"NOT INSTALLED: {', '.join(missing)}; {pip_line(extra)}"
        else:
            new = [f"{name} {known}" for name, known in found.items() if name not in told]
            yield extra, ", ".join(new)
        told |= set(found)


def _browsers() -> Iterator[tuple[str, str]]:
    for name in BROWSERS:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            done = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            yield name, f"FAILED: {_one_line(error)}"
        else:
            yield name, _one_line(done.stdout)


def _fonts() -> dict[str, str]:
    """For each style, whether its fonts are there."""
    try:
        from captcha_helpers.drawing.painter import check_fonts

        found = {}
        for name, style in captcha_helpers.STYLES.items():
            check_fonts(style, list(style.charset))
            found[name] = f"{len(style.fonts)} found"
    except (ImportError, ValueError, OSError) as error:
        return {"styles": f"FAILED: {_one_line(error)}"}
    return found


def _model(name: str) -> str:
    """Load a model and read one image with it."""
    try:
        image, label, note = _picture(name)
        known = {} if name in captcha_helpers.STYLES else _DIGITS  # 0 and o look the same to it
        begun = time.perf_counter()
        import_runtime(name)
        reader = captcha_helpers.load(name, **known)
        loaded = time.perf_counter()
        reading = reader.read(image)
    except ModuleNotFoundError as error:
        return f"not tried: {error.name} is not installed"
    except ImportError as error:
        return f"not tried: {_one_line(error)}"
    except Exception as error:  # whatever it is, it belongs into the report
        return f"FAILED: {type(error).__name__}: {_one_line(error)}"
    seconds = f"loaded in {loaded - begun:.2f} s, read in {time.perf_counter() - loaded:.2f} s"
    told = "; with --charset digits --length 6" if known else ""
    return (
        f"{label} read as {reading.text}, confidence {reading.confidence:.1%}; "
        f"{seconds}{note}{told}"
    )


def _picture(name: str) -> tuple[Any, str, str]:
    """An image of the model's own style, or plain digits where nothing can be drawn; and a note."""
    try:
        style = name if name in captcha_helpers.STYLES else "stars"
        images, labels = captcha_helpers.generate(style, 1, seed=5)  # one that all read
        return images[0], labels[0], ""
    except ImportError:
        from PIL import Image, ImageDraw

        picture, label = Image.new("RGB", (140, 44), "white"), "204857"
        ImageDraw.Draw(picture).text((12, 6), label, "black", font_size=30)
        return picture, label, "; plain digits, not its style"


def _one_line(what: object) -> str:
    return " ".join(str(what).split())
