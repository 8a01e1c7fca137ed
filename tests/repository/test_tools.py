from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import v4

from benchmarks import generator_speed
from captcha_helpers.drawing.styles import STYLES
from captcha_helpers.results import save_result
from tools.labelling_table import LABELLING
from tools.languages import READMES
from tools.markers import fill
from tools.pretraining_tables import CHINESE, HELD_OUT, MORE, STANDING
from tools.run_notebooks import execute, find_notebooks
from tools.scale_tables import (
    ON_CPU,
    ON_GPU,
    SCALE,
    TOGETHER,
    OnCluster,
    Training,
    more_cores,
    more_gpus,
    of_a_training,
    together_table,
)
from tools.set_repository import get_repository, set_repository
from tools.setup_cell import setup_cell
from tools.update_readme import (
    FEW_LABELS,
    MORE_LABELS,
    OF_CHINESE,
    READERS,
    ZERO_LABELS,
    outdated,
)

STYLES_TIMED = ["slanted", "stars", "stars3"]
FILLED = {
    "install.md": ("colab",),
    "results.md": (
        *("results", "zero_labels", "zero_labels_chinese"),
        *("few_labels", "readers", "more_labels"),
    ),
    "labelling.md": ("labelling",),
    "scale.md": ("scale", "calculated_from", "more_cores", "more_gpus"),
    "pretraining.md": (
        *("together", "held_out", "worst_looks", "standing"),
        *("more_characters", "chinese"),
    ),
    "README": ("best", "comparison"),
}
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{}/blob/main/notebooks/01_data.ipynb)"
)


def write_notebook(path: Path, *sources: str, title: str = "# 1 · Data\n\nWords.") -> None:
    cells = [v4.new_markdown_cell(title), *map(v4.new_code_cell, sources)]
    nbformat.write(v4.new_notebook(cells=cells), path)


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def page_with(*markers: str) -> str:
    """A page on which a tool fills what is between these markers."""
    lines = (f"<!-- {one}:start -->\n<!-- {one}:end -->\n" for one in markers)
    return f"# Title\n{''.join(lines)}end\n"


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """A small copy of the project that a test may change."""
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(root / name, tmp_path)
    write_notebook(tmp_path / "notebooks" / "01_data.ipynb", setup_cell(), "1 + 1")
    for name, language in READMES.items():
        for page, filled in FILLED.items():
            path = tmp_path / (name if page == "README" else f"{language.pages}/{page}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page_with(*filled), encoding="utf-8")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "pretraining").mkdir()
    shown = (ZERO_LABELS, OF_CHINESE, FEW_LABELS, READERS, MORE_LABELS, LABELLING)
    of_pretraining = (HELD_OUT, STANDING, MORE, CHINESE)
    for file in (*shown, *of_pretraining, SCALE, TOGETHER, ON_CPU, ON_GPU):
        shutil.copy(root / file, tmp_path / file)
    set_repository(tmp_path, "")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_address_goes_everywhere(clone: Path):
    changed = set_repository(clone, "someone/some.name")
    pages = ["install.md"] * len(READMES)
    assert changed == ["pyproject.toml", "01_data.ipynb", *pages, "CITATION.cff"]
    assert get_repository(clone) == "someone/some.name"
    opening, setup, _ = sources(clone / "notebooks" / "01_data.ipynb")
    badge = BADGE.format("someone/some.name")
    assert opening == f"# 1 · Data\n\n{badge}\n\nWords."
    assert setup == setup_cell("someone/some.name")
    citation = yaml.safe_load((clone / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == "https://github.com/someone/some.name"
    for language in READMES.values():
        page = clone / language.pages / "install.md"
        assert f"- `01_data` {badge}" in page.read_text(encoding="utf-8")


def test_address_can_be_set_again_changed_and_taken_out(clone: Path):
    before = contents(clone)
    set_repository(clone, "someone/first")
    assert set_repository(clone, "someone/first") == []
    set_repository(clone, "other/second")
    assert "first" not in str(contents(clone))
    set_repository(clone, "")
    assert contents(clone) == before


def test_solutions_get_the_address_too(clone: Path):
    path = clone / "notebooks" / "solutions" / "01_data.ipynb"
    path.parent.mkdir()
    write_notebook(path, setup_cell(), "1 + 1")
    set_repository(clone, "a/b")
    assert "blob/main/notebooks/solutions/01_data.ipynb" in sources(path)[0]
    assert sources(path)[1] == setup_cell("a/b")


def test_title_alone_gets_a_badge(clone: Path):
    path = clone / "notebooks" / "01_data.ipynb"
    write_notebook(path, setup_cell(), title="# 1 · Data")
    set_repository(clone, "a/b")
    assert sources(path)[0] == f"# 1 · Data\n\n{BADGE.format('a/b')}"
    set_repository(clone, "")
    assert sources(path)[0] == "# 1 · Data"


@pytest.mark.parametrize("address", ["name", "https://github.com/a/b", "a/b/c", 'a/"b', "a b/c"])
def test_malformed_address(clone: Path, address: str):
    before = contents(clone)
    with pytest.raises(ValueError, match="must be owner/name"):
        set_repository(clone, address)
    assert contents(clone) == before


def test_notebook_without_set_up_cell_is_named_and_nothing_changes(clone: Path):
    write_notebook(clone / "notebooks" / "02_cnn.ipynb", "1 + 1")
    before = contents(clone)
    with pytest.raises(ValueError, match=r"02_cnn\.ipynb needs one code cell"):
        set_repository(clone, "a/b")
    assert contents(clone) == before


def test_the_clone_carries_its_own_address_everywhere(root: Path, tmp_path: Path):
    for name in ("notebooks", "docs"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(root / name, tmp_path)
    assert set_repository(tmp_path, get_repository(root)) == []


@pytest.mark.parametrize("text", ["", "<!-- a:start -->", "<!-- a:end --><!-- a:start -->"])
def test_fill_needs_both_markers(text: str):
    with pytest.raises(ValueError, match=r"README\.md needs the line"):
        fill(text, "a", "new", "README.md")


def test_readme_tables_follow_the_results(clone: Path):
    row = {"model": "cnn", "style": "classic", "n": 1000, "cer": 0.01}
    row |= {"exact_match": 0.95, "exact_match_ci95": [0.93, 0.96]}
    save_result("02_cnn", row, clone / "results")
    stale = outdated(clone)
    filled = ("results.md", "labelling.md", "scale.md")
    pages = {f"{one.pages}/{page}" for one in READMES.values() for page in filled}
    changed = {path.relative_to(clone).as_posix() for path in stale}
    assert changed == {*READMES, *pages, "docs/pretraining.md"}
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    assert outdated(clone) == {}
    assert "| Ray, 2 workers |" in (clone / "docs/scale.md").read_text("utf-8")
    assert "| Ray，2 个进程 |" in (clone / "docs/zh-CN/scale.md").read_text("utf-8")
    assert "| 95.0 % |" in " ".join((clone / "README.md").read_text("utf-8").split())
    assert READMES["README_zh-CN.md"].results["exact_match"] in (
        clone / "README_zh-CN.md"
    ).read_text("utf-8")


def test_readmes_of_the_clone_are_up_to_date(root: Path):
    assert [path.name for path in outdated(root)] == [], "run make readme"


def test_the_calculated_times_follow_their_formula():
    one_core_and_two = OnCluster({1: 3.6e6, 2: 3.6e6}, {}, {})  # efficiency 0.5
    jobs = {"draw": one_core_and_two, "read": one_core_and_two}
    training = Training(of_a_core=100, of_a_gpu=50_000, efficiency=0.25)
    ten, *_ = more_cores(jobs, training)
    assert ten == {
        "cores": "10", "draw_minutes": "330", "read_minutes": "170", "train_hours": "110"
    }  # fmt: skip
    assert [row["train_minutes"] for row in more_gpus(training)] == ["33", "19", "9.3", "4.6"]


def test_two_processes_that_were_timed_on_a_core_each_say_what_they_are_worth(clone: Path):
    report = json.loads((clone / TOGETHER).read_text())
    speeds = ((1, 1, 4), (1, 1, 3), (2, 1, 6), (1, 2, 7))
    report["fast"] = [
        {"processes": count, "cores_of_each": cores, "steps_a_second": steps,
         "core_seconds_a_step": 1}
        for count, cores, steps in speeds
    ]  # fmt: skip
    (clone / TOGETHER).write_text(json.dumps(report))
    assert of_a_training(clone).efficiency == 6 / (2 * 4)
    timed = [row["steps"] for row in together_table(clone) if row["reader"] == "general"]
    assert timed == ["4.00", "7.00", "6.00"]


@pytest.mark.slow
def test_benchmark_names_the_styles_that_are_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    report = tmp_path / "speed.json"
    monkeypatch.setattr(generator_speed.cv2, "setNumThreads", lambda count: None)
    monkeypatch.setattr(generator_speed, "TARGETS", {"slanted": 10**9, "stars": 1, "stars3": 10**9})
    monkeypatch.setattr(generator_speed, "STYLES", {name: STYLES[name] for name in STYLES_TIMED})
    options = ["--rounds", "1", "--batch", "2", "--json", str(report)]
    monkeypatch.setattr(sys, "argv", ["generator_speed.py", *options])
    with pytest.raises(SystemExit, match="^slower than the target: slanted, stars3$"):
        generator_speed.main()
    assert "to a batch" in capsys.readouterr().out
    speeds = json.loads(report.read_text(encoding="utf-8"))["images_per_second_per_core"]
    assert list(speeds) == STYLES_TIMED
    assert all(speed["to_a_batch"] > 0 and speed["median"] > 0 for speed in speeds.values())


def test_find_notebooks(tmp_path: Path):
    for name in ("02_b.ipynb", "01_a.ipynb", "10_c.ipynb"):
        (tmp_path / name).touch()
    assert [p.name[:2] for p in find_notebooks([], tmp_path)] == ["01", "02", "10"]
    assert [p.name[:2] for p in find_notebooks(["10", "01"], tmp_path)] == ["10", "01"]
    assert find_notebooks([str(tmp_path / "02_b.ipynb")], tmp_path) == [tmp_path / "02_b.ipynb"]
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "01_a.ipynb").touch()
    assert len(find_notebooks(["", "solutions/"], tmp_path)) == 4
    for missing in ("03", "03_x.ipynb"):
        with pytest.raises(FileNotFoundError, match=f"no notebook '{missing}'"):
            find_notebooks([missing], tmp_path)


@pytest.mark.slow
def test_execute_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "01_a.ipynb"
    # The second line writes as C++ code does, to the file descriptor.
    code = "import os, sys\nos.write(2, b'log line')\nprint(sys.executable == @, os.getcwd() == #)"
    here, python = repr(str(tmp_path)), repr(sys.executable)
    write_notebook(path, code.replace("@", python).replace("#", here), "40 + 2")
    execute(path)
    first, second = nbformat.read(path, as_version=4).cells[1:]
    assert [(out.name, out.text) for out in first.outputs] == [("stdout", "True True\n")]
    assert second.outputs[0].data["text/plain"] == "42"
    assert "execution" not in first.metadata
    assert "01_a.ipynb [cell 2/2, " in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["01_a.ipynb"]


@pytest.mark.slow
def test_execute_into_another_folder(tmp_path: Path):
    path = tmp_path / "notebooks" / "01_a.ipynb"
    path.parent.mkdir()
    write_notebook(path, "import os\nprint(os.getcwd())")
    before = path.read_bytes()
    execute(path, tmp_path / "executed")
    assert path.read_bytes() == before
    (cell,) = nbformat.read(tmp_path / "executed" / "01_a.ipynb", as_version=4).cells[1:]
    assert cell.outputs[0].text == f"{path.parent}\n"


@pytest.mark.slow
def test_failing_notebook_stays_as_it_was(tmp_path: Path):
    path = tmp_path / "01_a.ipynb"
    write_notebook(path, "x = 1", "x / 0")
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match=r"(?s)01_a\.ipynb failed .*x / 0.*ZeroDivisionError"):
        execute(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["01_a.ipynb"]
