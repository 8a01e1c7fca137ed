from __future__ import annotations

import ast
import importlib
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


def test_saving_results_loads_nothing_heavy():
    assert loaded_after("from captcha_helpers import save_result, load_results") == []


@pytest.mark.parametrize("name", captcha_helpers.__all__)
def test_every_public_name_resolves(name: str):
    assert getattr(captcha_helpers, name) is not None
    assert name in dir(captcha_helpers)


@pytest.mark.parametrize("module", sorted(captcha_helpers._NAMES))
def test_every_module_resolves(module: str):
    assert getattr(captcha_helpers, module) is importlib.import_module(f"captcha_helpers.{module}")


def test_every_module_is_listed():
    files = {path.stem for path in Path(captcha_helpers.__file__).parent.glob("*.py")}
    assert files - {"__init__"} == set(captcha_helpers._NAMES)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(captcha_helpers.__file__).read_text(encoding="utf-8"))
    seen = {
        (node.module.rpartition(".")[2], name.asname)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("captcha_helpers")
        for name in node.names
    }
    assert seen == {
        (module, name) for module, names in captcha_helpers._NAMES.items() for name in names
    }


def test_star_import_has_no_name_twice():
    assert len(set(captcha_helpers.__all__)) == len(captcha_helpers.__all__)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'greedy'"):
        captcha_helpers.greedy  # noqa: B018


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("keras", "GeneratedBatches"),
        ("keras", "crnn_ctc"),
        ("keras", "compile_model"),
        ("tensorflow", "multi_head"),
        ("cv2", "generate"),
        ("matplotlib", "plots"),
    ],
)
def test_missing_extra_says_what_to_install(package: str, name: str):
    message = run(
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    from captcha_helpers import {name}\n"
        "except ImportError as error:\n    print(error)"
    )
    assert message.endswith('pip install "captcha-helpers[train]"')


def test_typing_marker_is_shipped(site: Path):
    assert (site / "captcha_helpers" / "py.typed").is_file()
    assert not (site / "tests").exists()
    assert not (site / "tools").exists()
