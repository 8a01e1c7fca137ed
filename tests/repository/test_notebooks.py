"""The form that every notebook keeps, and that they work without the clone."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode, v4

import captcha_helpers
from captcha_helpers.results import format_table
from tools.exercises import SOLUTION, TAG, derive, open_functions, put
from tools.run_notebooks import execute
from tools.set_repository import get_repository
from tools.setup_cell import METADATA, setup_cell

# Headings contain these words, in this order; upper and lower case are alike.
OPENING = ["what you will learn", "what you need"]
AFTER_TRAINING = ["results", "worst errors"]  # only where a model is trained
CLOSING = ["summary", "exercises", "what comes next"]

LONGEST_CELL = 25
EXERCISES = range(3, 6)
UNCHECKED = {"nbval-ignore-output", "nbval-skip"}
PLACEHOLDER = re.compile(r"@[A-Z0-9]+@")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SOLUTIONS = [path.parent / "solutions" / path.name for path in NOTEBOOKS]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(params=SOLUTIONS, ids=lambda path: f"solutions/{path.name}")
def solutions(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(params=[*NOTEBOOKS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def any_notebook(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def notebook(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def prose(notebook: NotebookNode) -> str:
    """Join all Markdown cells, without what stands in code fences."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def used_names(notebook: NotebookNode) -> set[str]:
    """Names that the cells take from the package: ``ch.ctc``, or by an import."""
    names = set()
    for cell in code_cells(notebook):
        source = "\n".join("" if line[:1] in "%!" else line for line in cell.source.splitlines())
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module == "captcha_helpers":
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names |= {node.attr} if node.value.id in ("ch", "captcha_helpers") else set()
    return names


def headings(notebook: NotebookNode) -> list[str]:
    return [title.lower() for title in re.findall(r"^#+ (.+)$", prose(notebook), re.MULTILINE)]


def opening(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells in front of the first code cell."""
    kinds = [cell.cell_type for cell in notebook.cells]
    return notebook.cells[: kinds.index("code")]


def syntax(cell: NotebookNode) -> ast.Module:
    return ast.parse(re.sub(r"^\s*[%!].*", "pass", cell.source, flags=re.MULTILINE))


def fits(node: ast.AST, trainers: set[str]) -> bool:
    """Say whether `.fit(`, `.train(` or a function that trains is called anywhere in the node."""
    calls = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    return any(
        (isinstance(call, ast.Attribute) and call.attr in ("fit", "train"))
        or (isinstance(call, ast.Name) and call.id in trainers)
        for call in calls
    )


def trainings(notebook: NotebookNode) -> list[bool]:
    """Say of each code cell whether it trains; defining a function that does is no training."""
    trainers: set[str] = set()
    found = []
    for cell in code_cells(notebook):
        training = False
        for statement in syntax(cell).body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                if fits(statement, trainers):
                    trainers.add(statement.name)
            else:
                training |= fits(statement, trainers)
        found.append(training)
    return found


def check_trainings(notebook: NotebookNode) -> None:
    """Fail unless the next checked cell after n training cells prints n times '...: True'."""
    cells, waiting, trained = code_cells(notebook), 0, False
    for cell, training in zip(cells, trainings(notebook), strict=True):
        if training:
            waiting, trained = waiting + 1, True
        elif trained and not UNCHECKED & set(cell.metadata.get("tags", [])):
            printed = "".join(text for output in cell.outputs for text in texts(output))
            answers = re.findall(r": (True|False)$", printed, re.MULTILINE)
            assert "False" not in answers, printed
            if answers:
                assert len(answers) >= waiting, f"{waiting} trainings, checked by:\n{cell.source}"
                waiting = 0
    assert not waiting, "no cell after the last training prints '...: True'"


def texts(output: NotebookNode) -> list[str]:
    """Return what an output says in words, no pictures."""
    if output.output_type == "stream":
        return [output.text]
    data = output.get("data", {})
    return [str(content) for kind, content in data.items() if kind.startswith("text/")]


def has_picture(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def test_notebooks_are_numbered_from_one():
    numbers = [re.match(r"(\d\d[b-z]?)_[a-z0-9_]+\.ipynb$", path.name) for path in NOTEBOOKS]
    assert all(numbers), [path.name for path in NOTEBOOKS]
    assert len({number[1] for number in numbers}) == len(NOTEBOOKS) >= 4
    assert numbers[0][1] == "01"


def test_is_valid(any_notebook: NotebookNode):
    nbformat.validate(any_notebook)
    assert any_notebook.metadata.kernelspec.name == "python3"


def test_title_has_the_number(path: Path, notebook: NotebookNode):
    title = notebook.cells[0].source.splitlines()[0]
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(rf"# (Notebook )?0?{path.name.partition('_')[0].lstrip('0')}\b", title), title
    titles = re.findall(r"^# ", prose(notebook), re.MULTILINE)
    assert len(titles) == 1, "one heading of the first level, the title"


def test_opening_says_what_is_learned_what_is_needed_and_how_long(notebook: NotebookNode):
    text = "\n".join(cell.source for cell in opening(notebook)).lower()
    for words in OPENING:
        assert words in text
    assert re.search(r"\d\W*minutes?", text), "say how many minutes it takes"


def test_starts_with_a_picture(path: Path, notebook: NotebookNode):
    text = "\n".join(cell.source for cell in opening(notebook))
    pictures = re.findall(r"!\[(?!Open in Colab)[^]]*\]\(([^)\s]+)", text)
    pictures += re.findall(r"<img[^>]* src=\"([^\"]+)", text)
    for picture in pictures:
        assert picture.startswith("attachment:") or (path.parent / picture).is_file(), picture
    assert pictures or any(map(has_picture, code_cells(notebook)[:3]))


def test_sections_are_there_and_in_order(notebook: NotebookNode):
    found = headings(notebook)
    trained = any(trainings(notebook))
    for words in [*OPENING, *(AFTER_TRAINING if trained else []), *CLOSING]:
        places = [i for i, title in enumerate(found) if words in title]
        assert places, f"no heading with {words!r} (in this order) in {found}"
        found = found[places[-1] + 1 if words in CLOSING else places[0] + 1 :]
    assert found == [], f"{found} should stand before the closing sections"


def test_has_three_to_five_exercises(notebook: NotebookNode):
    numbers = re.findall(r"^### Exercise (\d+): ", prose(notebook), re.MULTILINE)
    assert len(numbers) in EXERCISES
    assert numbers == [str(i + 1) for i in range(len(numbers))]


def test_exercises_are_those_of_the_solutions(path: Path, notebook: NotebookNode):
    solutions = nbformat.read(path.parent / "solutions" / path.name, as_version=4)
    before = nbformat.writes(notebook)
    put(notebook, derive(solutions))
    assert nbformat.writes(notebook) == before, "run: make exercises"


def verdicts(notebook: NotebookNode) -> list[str]:
    """What the cells that check the exercises printed."""
    printed = [text for cell in code_cells(notebook) for out in cell.outputs for text in texts(out)]
    return re.findall(r"^Exercise \d+: (.*)$", "\n".join(printed), re.MULTILINE)


def test_untouched_exercises_say_so(notebook: NotebookNode):
    asked = re.findall(r"^### Exercise \d+: ", prose(notebook), re.MULTILINE)
    assert verdicts(notebook) == ["not solved yet"] * len(asked)


def test_solutions_solve_every_exercise(solutions: NotebookNode):
    asked = re.findall(r"^### Exercise \d+: ", prose(solutions), re.MULTILINE)
    assert verdicts(solutions) == ["solved"] * len(asked)


def exercise_notebook(*cells: tuple[str, str, list[str]]) -> NotebookNode:
    """Build a notebook of cells: id, source, tags."""
    made = []
    for name, source, tags in cells:
        cell = v4.new_code_cell(source, id=name, metadata={"tags": tags})
        cell.outputs = [v4.new_output("stream", text=f"{name} ran")]
        made.append(cell)
    heading = v4.new_markdown_cell("## Exercises", id="heading")
    return v4.new_notebook(cells=[heading, *made, v4.new_markdown_cell("## Next", id="next")])


def test_put_replaces_what_changed_and_keeps_what_did_not():
    there = exercise_notebook(("a", "same = 1", [TAG]), ("b", "old = 2", [TAG]))
    new = "def double(x):\n    'Twice.'\n    return 2 * x\n\n\nlimit = 3"
    solved = exercise_notebook(("a", "same = 1", [TAG]), ("b", new, [TAG, SOLUTION]))
    put(there, derive(solved))
    opened = "def double(x):\n    'Twice.'\n    # YOUR CODE\n    return ...\n\n\nlimit = 3"
    assert [cell.source for cell in there.cells] == ["## Exercises", "same = 1", opened, "## Next"]
    assert [len(cell.outputs) for cell in there.cells[1:3]] == [1, 0]
    assert there.cells[2].metadata.tags == [TAG]


@pytest.mark.parametrize("source", ["x = 1", "def double(x):\n    return 2 * x"])
def test_a_solution_needs_a_function_with_a_docstring(source: str):
    with pytest.raises(ValueError, match="needs a function with a docstring"):
        open_functions(source)


def test_exercises_need_their_heading():
    with pytest.raises(ValueError, match="one cell must begin with '## Exercises'"):
        put(v4.new_notebook(), [])


def test_set_up_cell_is_the_projects_and_says_nothing(root: Path, any_notebook: NotebookNode):
    cell = code_cells(any_notebook)[0]
    assert cell.source == setup_cell(get_repository(root)), "run: make repository"
    assert METADATA.items() <= cell.metadata.items(), "run: make repository"
    assert cell.outputs == []


def test_cells_ran_in_ascending_order(any_notebook: NotebookNode):
    counts = [cell.execution_count for cell in code_cells(any_notebook)]
    assert None not in counts, "a cell was not run"
    assert counts[0] == 1
    assert counts == sorted(set(counts))


def test_no_error_and_nothing_on_stderr(any_notebook: NotebookNode):
    for cell in code_cells(any_notebook):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"


def test_no_absolute_path(any_notebook: NotebookNode, local_path: re.Pattern[str]):
    for cell in any_notebook.cells:
        for text in [cell.source, *(t for out in cell.get("outputs", []) for t in texts(out))]:
            assert not local_path.search(text), text


def test_no_placeholder_is_left(notebook: NotebookNode):
    words = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert PLACEHOLDER.findall("\n".join(words)) == []


@pytest.mark.parametrize("name", ["README.md", "README_zh-CN.md"])
def test_no_placeholder_is_left_in_the_readmes(root: Path, name: str):
    assert PLACEHOLDER.findall((root / name).read_text(encoding="utf-8")) == []


def test_cells_are_short(any_notebook: NotebookNode):
    for cell in code_cells(any_notebook)[1:]:  # nobody has to read the set-up cell
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


def test_uses_the_helpers_and_defines_none_of_them_again(notebook: NotebookNode):
    trees = [syntax(cell) for cell in code_cells(notebook)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert any(name and name.split(".")[0] == "captcha_helpers" for name in modules)
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert defined & set(captcha_helpers.__all__) == set()


def test_each_training_is_followed_by_a_checked_threshold(notebook: NotebookNode):
    check_trainings(notebook)


DEFINE = "def train(model):\n    model.fit(1)"
CALL = "runs = {'a': train(model)}"
FIT = "model.fit(1)\nmodel.fit(2)"


def made_of(*cells: str | int) -> NotebookNode:
    """Build a notebook: code, or a number n for a cell that prints n times '...: True'."""
    notebook = v4.new_notebook()
    for cell in cells:
        lines = [] if isinstance(cell, str) else [v4.new_output("stream", text="a: True\n" * cell)]
        notebook.cells.append(v4.new_code_cell(str(cell), outputs=lines))
    return notebook


def test_defining_is_no_training_and_calling_is():
    helper = "def helper():\n    return train(1)"
    notebook = made_of(
        "train = 1", "train(1)", DEFINE, CALL, helper, "x = [helper()]", FIT, "len(x)"
    )
    assert trainings(notebook) == [False, False, False, True, False, True, True, False]


@pytest.mark.parametrize(
    "cells", [(FIT, 1, FIT, 2), (DEFINE, CALL, 0, 1, CALL, CALL, CALL, 3), (FIT, 1, 0), ("x = 1",)]
)
def test_checked_trainings(cells: tuple[str | int, ...]):
    check_trainings(made_of(*cells))


@pytest.mark.parametrize(
    "cells", [(FIT,), (1, FIT), (FIT, 1, FIT), (DEFINE, CALL, CALL, CALL, 2, 1), (FIT, FIT, 1)]
)
def test_unchecked_trainings(cells: tuple[str | int, ...]):
    with pytest.raises(AssertionError, match="training"):
        check_trainings(made_of(*cells))


def test_false_is_found():
    notebook = made_of(FIT, 1)
    notebook.cells[1].outputs[0].text += "b: False\n"
    with pytest.raises(AssertionError, match="False"):
        check_trainings(notebook)


def test_training_notebooks_save_their_results(path: Path, root: Path, notebook: NotebookNode):
    if any(trainings(notebook)):
        assert any("save_result(" in cell.source for cell in code_cells(notebook))
        assert (root / "results" / f"{path.stem}.json").is_file()


def test_the_results_are_of_the_run_that_is_stored(path: Path, root: Path, notebook: NotebookNode):
    file = root / "results" / f"{path.stem}.json"
    if not file.is_file():
        pytest.skip("it saves none")
    texts = (out.get("text", "") for cell in code_cells(notebook) for out in cell.outputs)
    lines = [line for text in texts for line in text.splitlines()]
    for row in json.loads(file.read_text("utf-8"))["rows"]:
        heads = {name: name for name in ("exact_match", "seconds") if name in row}
        figures = format_table([row], headings=heads).splitlines()[-1].strip()
        shown = [line for line in lines if line.startswith(row["model"]) and row["style"] in line]
        assert any(all(one in line for one in re.split(" {2,}", figures)) for line in shown), row


WATCH = """
import os, sys
_audit_written = set()
def _audit_watch(event, args):
    if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
        _audit_written.add(os.path.abspath(args[0]))
sys.addaudithook(_audit_watch)
"""
REPORT = "print(*sorted(_audit_written), sep='\\n')"
WHERE = "import captcha_helpers; print(captcha_helpers.__file__)"


def test_first_notebook_works_with_nothing_but_the_wheel(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("CAPTCHA_HELPERS_RESULTS", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = Path(shutil.copy(NOTEBOOKS[0], tmp_path))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, v4.new_code_cell(WATCH))
    notebook.cells += [v4.new_code_cell(WHERE), v4.new_code_cell(REPORT)]
    nbformat.write(notebook, path)

    execute(path)

    where, report = nbformat.read(path, as_version=4).cells[-2:]
    assert where.outputs[0].text.strip() == str(site / "captcha_helpers" / "__init__.py")
    written = "".join(output.text for output in report.outputs).split("\n")
    outside = [name for name in written if not name.startswith((str(tmp_path), "/dev/"))]
    assert [name for name in outside if name] == []


def test_what_it_takes_from_the_package_is_there(notebook: NotebookNode):
    names = used_names(notebook)
    assert names and names <= set(dir(captcha_helpers))
