from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captcha_helpers.results import (
    HEADINGS,
    format_table,
    load_results,
    results_folder,
    save_result,
)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "model": "crnn_ctc",
        "style": "gradient",
        "n": 1000,
        "exact_match": 0.98,
        "exact_match_ci95": (0.969, 0.987),
        "cer": 0.0042,
    } | changes


def test_what_is_saved_is_loaded(tmp_path: Path):
    save_result("03_crnn_ctc", [row(), row(model="cnn_ctc", seconds=200.5)], tmp_path)
    save_result("02_cnn", row(model="fixed_length_cnn"), tmp_path)
    rows = load_results(tmp_path)
    assert [r["notebook"] for r in rows] == ["02_cnn", "03_crnn_ctc", "03_crnn_ctc"]
    assert rows[2] == row(notebook="03_crnn_ctc", model="cnn_ctc", seconds=200.5) | {
        "exact_match_ci95": [0.969, 0.987]
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02_cnn.json", "03_crnn_ctc.json"]


def test_saving_again_replaces(tmp_path: Path):
    save_result("02_cnn", row(), tmp_path)
    save_result("02_cnn", row(n=2000), tmp_path)
    assert [r["n"] for r in load_results(tmp_path)] == [2000]


def test_numpy_numbers(tmp_path: Path):
    numbers = row(n=np.int64(5), cer=np.float32(0.5), exact_match_ci95=np.array([0.9, 1.0]))
    save_result("02_cnn", numbers, tmp_path)
    loaded = load_results(tmp_path)[0]
    assert (loaded["n"], loaded["cer"], loaded["exact_match_ci95"]) == (5, 0.5, [0.9, 1.0])


def test_file_says_versions_and_nothing_of_the_machine(tmp_path: Path):
    content = json.loads(save_result("02_cnn", row(), tmp_path).read_text(encoding="utf-8"))
    assert set(content) == {"notebook", "versions", "rows"}
    assert {"python", "captcha_helpers"} <= set(content["versions"])
    assert set(content["versions"]) <= {"python", "captcha_helpers", "tensorflow", "keras"}


@pytest.mark.parametrize(
    ("notebook", "rows", "message"),
    [
        ("02_cnn", {"model": "a"}, "lacks style, n, exact_match, exact_match_ci95, cer"),
        ("02_cnn", row(exact_match=98.0), "must be a share"),
        ("02_cnn", row(exact_match_ci95=[96.9, 98.7]), "must be a share"),
        ("02_cnn", row(exact_match_ci95=[0.9]), "must be a share"),
        ("02_cnn", row(cer=float("nan")), "not JSON compliant"),
        ("02_cnn", [], "list of rows is empty"),
        ("02_cnn.ipynb", row(), "without folder and ending"),
        ("notebooks/02_cnn", row(), "without folder and ending"),
        ("", row(), "without folder and ending"),
    ],
)
def test_what_cannot_be_saved(tmp_path: Path, notebook: str, rows: Any, message: str):
    with pytest.raises(ValueError, match=message):
        save_result(notebook, rows, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_object_that_is_no_number(tmp_path: Path):
    with pytest.raises(TypeError, match="not .*Path"):
        save_result("02_cnn", row(where=tmp_path), tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"notebook": "a"}', '{"notebook": "a", "rows": [{}]}'])
def test_broken_file_is_named(tmp_path: Path, text: str):
    (tmp_path / "02_cnn.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"02_cnn\.json is not a results file .* run its notebook"):
        load_results(tmp_path)


def test_files_of_other_kinds_are_not_looked_at(tmp_path: Path):
    save_result("02_cnn", row(), tmp_path)
    (tmp_path / "generator_speed.json").write_text("{}", encoding="utf-8")
    assert [r["notebook"] for r in load_results(tmp_path)] == ["02_cnn"]


def test_missing_folder_has_no_results(tmp_path: Path):
    assert load_results(tmp_path / "none") == []


def test_environment_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAPTCHA_HELPERS_RESULTS", str(tmp_path / "elsewhere"))
    assert save_result("02_cnn", row()) == tmp_path / "elsewhere" / "02_cnn.json"


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ("clone", "clone/results"),
        ("clone/notebooks", "clone/results"),
        ("clone/notebooks_zh-CN", "clone/results"),
        ("clone/docs", "clone/docs/results"),
        ("notebooks", "notebooks/results"),
    ],
)
def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, expected: str):
    (tmp_path / "clone" / "captcha_helpers").mkdir(parents=True)
    for folder in ("notebooks", "notebooks_zh-CN", "docs"):
        (tmp_path / "clone" / folder).mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "clone" / "pyproject.toml").touch()
    monkeypatch.delenv("CAPTCHA_HELPERS_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path / here)
    assert results_folder().resolve() == (tmp_path / expected).resolve()


def test_plain_table():
    rows = [row(model="a", seconds=199.6), row(model="b", parameters=285983)]
    assert format_table(rows).splitlines() == [
        "Model  Style     Exact match  95 % interval     CER  Test images  Parameters  Training, s",
        "-----  --------  -----------  -------------  ------  -----------  ----------  -----------",
        "a      gradient       98.0 %    96.9–98.7 %  0.42 %        1,000           –          200",
        "b      gradient       98.0 %    96.9–98.7 %  0.42 %        1,000     285,983            –",
    ]


def test_markdown_table_with_other_headings():
    headings = {"model": "模型", "n": "测试"}
    assert format_table([row()], markdown=True, headings=headings).splitlines() == [
        "| 模型     |  测试 |",
        "| -------- | ----: |",
        "| crnn_ctc | 1,000 |",
    ]


def test_no_rows():
    assert "run the notebooks first" in format_table([])


def test_columns_are_in_the_order_of_the_headings():
    first = format_table([row(notebook="a")], markdown=True).splitlines()[0]
    shown = [title.strip() for title in first.strip("|").split("|")]
    assert shown == [title for title in HEADINGS.values() if title in shown]
