"""The notebooks in other languages say what the English ones say, and differ in nothing else."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode, v4

from tools.catalogues import (
    Entry,
    all_problems,
    digest,
    format_catalogue,
    parse_catalogue,
    problems,
    read_catalogue,
    refresh,
    refresh_files,
    status,
    translated_names,
)
from tools.languages import ENGLISH, READMES, TRANSLATIONS, Language
from tools.set_repository import set_repository
from tools.setup_cell import setup_cell
from tools.translate import main, out_of_date
from tools.translation_checks import compare, figures, figures_in_words, read_glossary

ROOT = Path(__file__).parents[2]
CHINESE = TRANSLATIONS[0]
CATALOGUES = [(one, name) for one in TRANSLATIONS for name in translated_names(ROOT, one)]
LINK = re.compile(r"\]\(((?!https?:)[^)#]+)\)")


def pairs(root: Path, language: Language) -> list[tuple[Path, Path]]:
    """The English and the translated file of each notebook and of its solutions."""
    english, folder = root / ENGLISH.notebooks, root / language.notebooks
    return [
        (english / file, folder / file)
        for name in translated_names(root, language)
        for file in (f"{name}.ipynb", f"solutions/{name}.ipynb")
    ]


PAIRS = [pair for language in TRANSLATIONS for pair in pairs(ROOT, language)]
IDS = [f"{translated.parent.name}/{translated.name}" for _, translated in PAIRS]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "name"), CATALOGUES, ids=[name for _, name in CATALOGUES])
def test_every_cell_is_translated_and_says_the_same(language: Language, name: str):
    assert problems(ROOT, language, name) == []


@pytest.mark.slow
def test_notebooks_are_what_the_catalogues_give():
    assert [path.name for path in out_of_date(ROOT)] == [], "run: make translate"
    for language in TRANSLATIONS:
        there = (ROOT / language.notebooks).rglob("*.ipynb")
        assert sorted(there) == sorted(path for _, path in pairs(ROOT, language))


@pytest.mark.slow
@pytest.mark.parametrize(("english", "translated"), PAIRS, ids=IDS)
def test_only_markdown_differs(english: Path, translated: Path):
    ours, theirs = read(english), read(translated)
    for notebook in (ours, theirs):
        nbformat.validate(notebook)
        for cell in notebook.cells:
            cell.source = "" if cell.cell_type == "markdown" else cell.source
    assert nbformat.writes(ours) == nbformat.writes(theirs)


@pytest.mark.parametrize(("english", "translated"), PAIRS, ids=IDS)
def test_each_title_links_to_the_other_language(english: Path, translated: Path):
    for here, there in ((english, translated), (translated, english)):
        title = read(here).cells[0].source.split("\n\n", 1)[1]
        linked = [Path(os.path.normpath(here.parent / link)) for link in LINK.findall(title)]
        assert there in linked


def markdown(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(("english", "translated"), PAIRS, ids=IDS)
def test_links_lead_to_files_and_stay_in_the_language(english: Path, translated: Path):
    there = {one for pair in PAIRS for one in pair}
    for link in LINK.findall(markdown(translated)):
        target = Path(os.path.normpath(translated.parent / link))
        assert target.exists(), link
        same = (
            ROOT / translated.relative_to(ROOT).parts[0] / Path(*target.relative_to(ROOT).parts[1:])
        )
        assert target in (english, same) or same not in there, link


@pytest.mark.parametrize("file", [file for file, one in READMES.items() if one in TRANSLATIONS])
def test_the_readme_links_to_each_notebook_in_its_language_if_there_is_one(file: str):
    language, text = READMES[file], (ROOT / file).read_text("utf-8")
    there = translated_names(ROOT, language)
    for path in (ROOT / ENGLISH.notebooks).glob("*.ipynb"):
        folder = language.notebooks if path.stem in there else ENGLISH.notebooks
        assert re.findall(rf"\(([\w-]+)/{path.name}\)", text) == [folder]


@pytest.mark.parametrize("language", TRANSLATIONS, ids=lambda one: one.code)
def test_per_cents_on_the_pages_are_written_as_in_the_language(language: Language):
    files = [ROOT / file for file, one in READMES.items() if one is language]
    for path in (*files, *(ROOT / language.pages).glob("*.md")):
        found = re.findall(r"\d( ?%)", path.read_text("utf-8"))
        assert set(found) <= {language.percent}, path


# What the checks find, and what they don't mind.

GLOSSARY = read_glossary(
    "| English | 中文 | |\n|---|---|---|\n| test set | 测试集 | |\n| set, sets | 集合、一组 | |"
)
RIGHT = [
    ("15,000 pictures of 62 characters", "62 种字符的 15,000 张图片"),
    ("15,000 pictures", "1.5 万张图片"),
    ("4 million pictures", "400 万张图片"),
    ("In 95 % of all cases (0.5 %)", "95% 的情况下（0.5%）"),
    ("three of twenty-one, the second, two thousand", "21 个里有 3 个，第 2 个，2000"),
    ("three of twenty-one", "二十一个里有三个"),
    ("notebook 07: 0–255", "笔记本 07：0–255"),
    ("`int8` and ``a `b` c`` or `int8`", "``a `b` c``、`int8` 或 `int8`"),
    ("costs $x^2 + 3$ of `$HOME`", "`$HOME` 的 $x^2 + 3$"),
    ("A formula: $$\\sum_i a_i * b_i * c$$", "公式：$$\\sum_i a_i * b_i * c$$"),
    ("see [this](a.md#b) ![x](c.png)", "![图](c.png)见[这里](a.md#b)"),
    ("## Why\n\n- one\n- two\n\n1. a\n2. b", "## 为何\n\n- 其一\n- 其二\n\n1. 甲\n2. 乙"),
    ("*Why?* Because.", "**为什么？** 因为。"),
    ("```python\nx = 5  # five\n```", "```python\nx = 5  # five\n```"),
    ("Two test sets", "两个测试集"),
    ("A set of `test set`", "`test set` 的集合"),
    ("one\nparagraph", "一段 with\nwords"),
]


@pytest.mark.parametrize(("english", "translation"), RIGHT)
def test_a_right_translation_passes(english: str, translation: str):
    assert compare(english, translation, GLOSSARY, "%") == []


WRONG = [
    ("figures", "15,000 pictures", "1,500 张图片"),
    ("figures", "15,000 pictures", "15 万张图片"),
    ("figures", "15 pictures and 15 labels", "15 张图片和标签"),
    ("figures", "95 % of 3", "95 个中有 3%"),
    ("figures", "many pictures", "300 张图片"),
    ("figures", "two pictures", "3 张图片"),
    ("figures", "notebook 07", "笔记本 7"),
    ("per cent", "95 % of all", "全部的 95 %"),
    ("code spans", "`load_image` reads", "`load_images` 读取"),
    ("code spans", "`load_image` reads", "load_image 读取"),
    ("code spans", "`a`, then `a` again", "先 `a`"),
    ("code blocks", "```\nx = 5\n```", "```\nx = 6\n```"),
    ("formulas", "$x^2$", "$x^3$"),
    ("formulas", "costs $x$", "花费 x"),
    ("links", "[02](02_cnn.ipynb)", "[02](03_crnn.ipynb)"),
    ("links", "![x](a.png)", "图"),
    ("headings", "## Why", "### 为何"),
    ("headings", "## Why", "为何"),
    ("list items", "- one\n- two", "- 其一"),
    ("list items", "- one\n- two", "1. 其一\n2. 其二"),
    ("list items", "- one\n  - two", "- 其一\n- 其二"),
    ("emphases", "*Why?* Because.", "*为什么？*因为。"),
    ("line break", "One\nparagraph.", "一个\n段落。"),
    ("'test set' should be 测试集", "The test set", "测试数据的集合"),
    ("'set' should be 集合 or 一组", "test sets, and a Set", "测试集"),
]


@pytest.mark.parametrize(("kind", "english", "translation"), WRONG)
def test_a_wrong_translation_is_found(kind: str, english: str, translation: str):
    found = compare(english, translation, GLOSSARY, "%")
    assert len([one for one in found if kind in one]) == 1, found


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from(["", " %"]))
def test_a_figure_is_the_same_in_every_way_of_writing_it(whole: int, part: int, end: str):
    shown = f"{whole:,}.{part:02}{end}"
    assert figures(f"on {shown} of") == figures(f"的{whole}.{part:02}{end.strip()}个")
    assert figures(shown) != figures(f"{whole + 1}.{part:02}{end}")
    assert not end or figures(shown) != figures(shown.strip(" %"))


@given(st.integers(1, 10**5))
def test_ten_thousands(count: int):
    assert figures(f"{count * 10_000:,}") == figures(f"{count} 万")


def test_words_that_are_no_figures():
    assert not figures_in_words("none, tone, often, a picture, someone")


@pytest.mark.parametrize("text", ["# Words", "| a | b |\n|---|---|\n| image | |"])
def test_a_glossary_needs_a_table_of_translations(text: str):
    with pytest.raises(ValueError, match="needs a table"):
        read_glossary(text)


# Catalogues.

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(st.lists(st.tuples(LINES, LINES, st.booleans()), max_size=4))
def test_a_catalogue_is_read_as_it_was_written(texts: list[tuple[str, str, bool]]):
    entries = [
        Entry(f"cell-{i}", digest(english), english, translation.strip("\n"), stale)
        for i, (english, translation, stale) in enumerate(texts)
    ]
    assert list(parse_catalogue(format_catalogue("01_a", entries)).values()) == entries


def test_a_catalogue_in_which_a_quotation_was_changed_is_refused():
    text = format_catalogue("01_a", [Entry("a", digest("Look"), "Look", "看")])
    with pytest.raises(ValueError, match="cell a: the quotation is not the text of its hash"):
        parse_catalogue(text.replace("> Look", "> Look!"))
    with pytest.raises(ValueError, match="cell a has two entries"):
        parse_catalogue(text + text)


def test_refreshing_keeps_translations_and_marks_what_changed():
    old = refresh({"a": "One", "b": "Two", "c": "Three", "d": "Four"}, {})
    assert [entry.translation for entry in old] == [""] * 4
    entries = {one.cell: one._replace(translation=f"<{one.english}>") for one in old[:3]}
    cells = {"b": "Two", "new id": "One", "c": "Three!", "d": "Four!"}
    assert [one[0::3] + one[4:] for one in refresh(cells, entries)] == [
        ("b", "<Two>", False),
        ("new id", "<One>", False),
        ("c", "<Three>", True),
        ("d", "", False),
    ]
    marked = {one.cell: one for one in refresh(cells, entries)}
    assert [one.stale for one in refresh(cells, marked)] == [False, False, True, False]


def test_what_is_translated_elsewhere_is_not_translated_again():
    known = Entry("x", digest("Two"), "Two", "二")
    empty = refresh({"a": "One", "b": "Two"}, {})
    found = refresh({"a": "One", "b": "Two"}, {one.cell: one for one in empty}, [known])
    assert [(one.cell, one.translation) for one in found] == [("a", ""), ("b", "二")]


# A small project.


def notebook(*cells: tuple[str, str]) -> NotebookNode:
    setup = v4.new_code_cell(setup_cell(), id="setup")
    code = v4.new_code_cell("print(1)  # one", id="code", execution_count=1)
    code.outputs = [v4.new_output("stream", text="1\n")]
    title, *rest = (v4.new_markdown_cell(text, id=name) for name, text in cells)
    return v4.new_notebook(cells=[title, setup, *rest, code])


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two notebooks, of which the first has solutions and a translation."""
    pages = ("README.md", "README_zh-CN.md", "docs/a.md", "docs/zh-CN/a.md", "docs/b.md")
    for page in (*pages, "docs/install.md", "docs/zh-CN/install.md"):
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text("<!-- colab:start -->\n<!-- colab:end -->\n", "utf-8")
    (tmp_path / "pyproject.toml").write_text('repository = ""\n', "utf-8")
    folder = tmp_path / "notebooks"
    (folder / "solutions").mkdir(parents=True)
    links = "[a](../docs/a.md) [b](../docs/b.md) [1](01_a.ipynb) [2](02_b.ipynb) [r](../README.md)"
    question = ("question", "### Exercise 1: add")
    nbformat.write(notebook(("title", "# 1 · Data\n\nLook."), ("links", links), question),
                   folder / "01_a.ipynb")  # fmt: skip
    solved = notebook(("solved", "# 1 · Solved\n\nOf [1](../01_a.ipynb)."), question)
    nbformat.write(solved, folder / "solutions" / "01_a.ipynb")
    nbformat.write(notebook(("two", "# 2 · More")), folder / "02_b.ipynb")
    (tmp_path / "i18n" / "zh-CN").mkdir(parents=True)
    glossary = "| English | 中文 | |\n|---|---|---|\n| data | 数据 | |\n"
    (tmp_path / "i18n" / "zh-CN" / "glossary.md").write_text(glossary, "utf-8")
    set_repository(tmp_path, "")
    refresh_files(tmp_path, CHINESE, ["01"])
    put(tmp_path, title="# 1 · 数据\n\n请看。", links=f"见 {links}", question="### 练习 1：相加",
        solved="# 1 · 解答\n\n见 [1](../01_a.ipynb)。")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(clone: Path, **translations: str) -> None:
    """Translate cells as a person does, who also removes the mark."""
    entries = read_catalogue(clone, CHINESE, "01_a")
    for cell, text in translations.items():
        entries[cell] = entries[cell]._replace(translation=text, stale=False)
    path = clone / "i18n" / "zh-CN" / "01_a.md"
    path.write_text(format_catalogue("01_a", entries.values()), "utf-8")


def change(path: Path, cell: str, text: str) -> None:
    changed = read(path)
    for one in changed.cells:
        one.source = text if one.id == cell else one.source
    nbformat.write(changed, path)


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["translate.py", *options])
    main()


def texts(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def test_what_is_written(clone: Path, monkeypatch: pytest.MonkeyPatch):
    run(monkeypatch, "--release")
    assert texts(clone / "notebooks_zh-CN" / "01_a.ipynb") == [
        "# 1 · 数据\n\n[English](../notebooks/01_a.ipynb)\n\n请看。",
        "见 [a](../docs/zh-CN/a.md) [b](../docs/b.md) [1](01_a.ipynb) "
        "[2](../notebooks/02_b.ipynb) [r](../README_zh-CN.md)",
        "### 练习 1：相加",
    ]
    assert texts(clone / "notebooks_zh-CN" / "solutions" / "01_a.ipynb") == [
        "# 1 · 解答\n\n[English](../../notebooks/solutions/01_a.ipynb)\n\n见 [1](../01_a.ipynb)。",
        "### 练习 1：相加",
    ]
    link = "[简体中文](../notebooks_zh-CN/01_a.ipynb)"
    assert texts(clone / "notebooks" / "01_a.ipynb")[0] == f"# 1 · Data\n\n{link}\n\nLook."
    assert texts(clone / "notebooks" / "02_b.ipynb") == ["# 2 · More"]
    assert not (clone / "notebooks_zh-CN" / "02_b.ipynb").exists()
    assert out_of_date(clone) == {} and all_problems(clone) == []


def test_no_text_is_translated_twice(clone: Path):
    cells = ["title", "links", "question", "solved"]
    assert list(read_catalogue(clone, CHINESE, "01_a")) == cells


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_stale_cell_is_english_in_a_draft_and_refused_by_a_release(
    clone: Path, monkeypatch: pytest.MonkeyPatch, refreshed: bool
):
    out_of_date(clone)
    change(clone / "notebooks" / "01_a.ipynb", "links", "No data.")
    if refreshed:
        run(monkeypatch, "--refresh", "01")
        text = (clone / "i18n" / "zh-CN" / "01_a.md").read_text("utf-8")
        assert f"sha256 {digest('No data.')} stale -->\n\n> No data.\n\n见 [a]" in text
    with pytest.raises(SystemExit, match="(?s)Nothing was written.*01_a, links: .* has changed"):
        run(monkeypatch, "--release")
    assert not (clone / "notebooks_zh-CN").exists()
    run(monkeypatch)
    draft = texts(clone / "notebooks_zh-CN" / "01_a.ipynb")
    assert draft[1] == "**本节待更新**\n\nNo data." and draft[2] == "### 练习 1：相加"
    run(monkeypatch, "--refresh", "01")
    put(clone, links="没有数据。")
    run(monkeypatch, "--release")
    assert texts(clone / "notebooks_zh-CN" / "01_a.ipynb")[1] == "没有数据。"


def test_a_title_that_is_not_translated_keeps_its_links(
    clone: Path, monkeypatch: pytest.MonkeyPatch
):
    put(clone, title="")
    run(monkeypatch)
    title = texts(clone / "notebooks_zh-CN" / "01_a.ipynb")[0]
    link = "[English](../notebooks/01_a.ipynb)"
    assert title == f"**本节待更新**\n\n# 1 · Data\n\n{link}\n\nLook."
    assert all_problems(clone) == ["01_a, title: is not translated"]


def test_the_status_counts_cells(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    put(clone, question="")
    change(clone / "notebooks" / "01_a.ipynb", "links", "No data.")
    counts = [line.split(maxsplit=2)[2] for line in status(clone)]
    assert counts == ["2 translated, 1 missing, 1 stale", "no catalogue, 1 cells"]
    run(monkeypatch, "--status")
    said = capsys.readouterr().out
    assert "01_a, question: is not translated" in said
    assert "01_a, links: the English text has changed" in said
    assert not (clone / "notebooks_zh-CN").exists()


def test_a_departure_and_an_unknown_cell_are_named(clone: Path):
    put(clone, title="# 2 · 资料\n\n请看。")
    path = clone / "i18n" / "zh-CN" / "01_a.md"
    more = format_catalogue("01_a", [Entry("gone", digest("Gone"), "Gone", "没了")])
    path.write_text(path.read_text("utf-8") + more, "utf-8")
    assert all_problems(clone) == [
        "01_a, gone: there is no such cell",
        "01_a, title: 'data' should be 数据",
        "01_a, title: figures: '1' is missing, '2' is not in the English text",
    ]
    assert refresh_files(clone, CHINESE, ["01"]) == ["01_a, gone: dropped, the cell is gone"]
    assert "gone" not in read_catalogue(clone, CHINESE, "01_a")


def test_the_public_address_makes_nothing_stale(clone: Path, monkeypatch: pytest.MonkeyPatch):
    run(monkeypatch)
    before = {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()}
    set_repository(clone, "some/one")
    assert all_problems(clone) == []
    run(monkeypatch, "--release")
    for folder, name in (("notebooks", "简体中文"), ("notebooks_zh-CN", "English")):
        title = texts(clone / folder / "01_a.ipynb")[0]
        assert re.search(rf"^# .*\n\n\[!.*/one/blob/main/{folder}/01_a.*\n\n\[{name}\]", title)
    assert setup_cell("some/one") in read(clone / "notebooks_zh-CN" / "01_a.ipynb").cells[1].source
    set_repository(clone, "")
    run(monkeypatch, "--release")
    assert {path: path.read_bytes() for path in before} == before


def test_exercises_that_differ_from_their_solutions_are_named(
    clone: Path, monkeypatch: pytest.MonkeyPatch
):
    change(clone / "notebooks" / "solutions" / "01_a.ipynb", "question", "### Exercise 1: take")
    with pytest.raises(
        SystemExit, match="cell question differs from the solutions: make exercises"
    ):
        run(monkeypatch)


def test_a_notebook_that_is_not_there_has_no_catalogue(
    clone: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(SystemExit, match="no notebook '03' in notebooks"):
        run(monkeypatch, "--refresh", "03")
