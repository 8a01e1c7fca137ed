from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import captcha_helpers

HEAVY = ["numpy", "PIL", "rapidfuzz", "cv2", "keras", "matplotlib", "tensorflow"]


def run(code: str) -> str:
    """Run code in a fresh Python and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_after(code: str) -> list[str]:
    out = run(f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))")
    return out.split()


def test_import_loads_nothing_else():
    assert loaded_after("import captcha_helpers; dir(captcha_helpers)") == []


def test_reading_and_measuring_never_load_what_only_training_needs():
    names = "Charset, load_image, prepare, greedy_decode, score, load_folder"
    assert not {"keras", "tensorflow", "cv2", "matplotlib"} & set(
        loaded_after(f"from captcha_helpers import {names}")
    )


@pytest.mark.parametrize(("told", "threads"), [(None, "1"), ("2", "2")])
def test_drawing_takes_one_core_unless_told_otherwise(
    told: str | None, threads: str, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("cv2")
    monkeypatch.delenv("OPENCV_FOR_THREADS_NUM", raising=False)
    if told is not None:
        monkeypatch.setenv("OPENCV_FOR_THREADS_NUM", told)
    assert run("import captcha_helpers, cv2; print(cv2.getNumThreads())") == threads


def test_saving_results_loads_nothing_heavy():
    assert loaded_after("from captcha_helpers import save_result, load_results") == []


@pytest.mark.parametrize("name", captcha_helpers.__all__)
def test_every_public_name_resolves(name: str):
    assert getattr(captcha_helpers, name) is not None
    assert name in dir(captcha_helpers)


def test_every_module_can_be_named_without_importing_it():
    """As in ``captcha_helpers.core.ctc`` after ``import captcha_helpers.core``."""
    package = Path(captcha_helpers.__file__).parent
    for room in sorted(path.parent for path in package.glob("*/__init__.py")):
        files = {path.stem for path in room.glob("*.py")} - {"__init__"}
        assert set(importlib.import_module(f"captcha_helpers.{room.name}").__all__) == files


def test_no_room_has_the_name_of_a_public_name():
    package = Path(captcha_helpers.__file__).parent
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert not rooms & set(captcha_helpers.__all__)


def imports(tree: ast.AST) -> set[str]:
    """Return the dotted names that are imported anywhere in the tree."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{name.name}" for name in node.names}
    return names


@pytest.mark.slow
def test_only_training_needs_keras_at_once(root: Path):
    eager = set()
    for path in (root / "captcha_helpers").rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        outside = [
            node
            for node in body
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ]
        if any(
            re.match(r"(keras|tensorflow)\b", name) for node in outside for name in imports(node)
        ):
            eager.add(path.stem)
    assert eager == {"batches", "models", "fitting"}


def test_unknown_name():
    with pytest.raises(AttributeError, match="attribute greedy"):
        captcha_helpers.greedy  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("keras", "GeneratedBatches"),
        ("keras", "crnn_ctc"),
        ("keras", "compile_model"),
        ("tensorflow", "multi_head"),
        ("cv2", "generate"),
        ("cv2", "segment"),
        ("matplotlib", "plots"),
    ],
)
def test_missing_extra_says_what_to_install(package: str, name: str):
    message = run(
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    from captcha_helpers import {name}\n"
        "except ImportError as error:\n    print(error)"
    )
    assert re.search(r"which is not installed: (uv )?pip install \S", message)


def test_typing_marker_is_shipped(site: Path):
    assert (site / "captcha_helpers" / "py.typed").is_file()
    assert not (site / "tests").exists()
    assert not (site / "tools").exists()
