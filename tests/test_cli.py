"""The command line in a process of its own: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from captcha_helpers import write_samples


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("images")
    write_samples(target, 60, styles=["stars"])
    return target / "stars"


def test_train_then_evaluate(folder: Path, tmp_path: Path):
    trained = run("train", folder, "--epochs", 2, "--out", tmp_path / "m.keras", "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["images"] == 51 and not trained.stderr
    page = tmp_path / "report.html"
    done = run("evaluate", tmp_path / "m.keras", folder, "--json", "--report", page)
    assert done.returncode == 0 and not done.stderr
    figures = json.loads(done.stdout)
    assert list(figures) == [
        "n", "exact_match", "exact_match_ci95", "exact_match_ignore_case", "cer", "seconds",
    ]  # fmt: skip
    assert figures["n"] == 60 and page.read_text(encoding="utf-8").startswith("<!doctype html>")
    exported = run("export", tmp_path / "m.keras", "--to", "keras,onnx", "--out", tmp_path / "out")
    assert exported.returncode == 0 and not exported.stderr
    assert "model.onnx" in exported.stdout and "same text 100.00% of 128" in exported.stdout
    assert (tmp_path / "out" / "metadata.json").exists()
    onnx = run("evaluate", tmp_path / "out" / "model.onnx", folder, "--json")
    assert json.loads(onnx.stdout)["exact_match"] == figures["exact_match"]
    start = run("evaluate", "pretrained", folder, "--json")
    assert json.loads(start.stdout)["n"] == 60, start.stderr
    again = run("evaluate", tmp_path / "m.keras", folder, "--report", page)
    assert again.returncode == 1 and "exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "nowhere", "--out", "m.keras"], 1, "there is no folder 'nowhere'"),
        (["evaluate", "none.keras", "nowhere"], 1, "there is no model file 'none.keras'"),
        (["train", "nowhere"], 2, "--out"),
        (["export", "none.keras", "--out", "x"], 1, "there is no model file 'none.keras'"),
        (["fly"], 2, "No such command 'fly'"),
    ],
)
def test_errors_are_one_line_on_stderr(arguments: list[str], code: int, said: str, tmp_path: Path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_help_shows_examples():
    assert "captcha-helpers train my_images --out my_reader.keras" in run("train", "--help").stdout
