"""Catalogues of translations: a file for each notebook and language.

``i18n/zh-CN/NN_….md`` is the catalogue of a notebook and of its solutions: for each Markdown cell a
comment with the cell's id and the SHA-256 of its English text, that text as a quotation, and below
it the translation. ``stale`` in the comment marks a cell whose English text has changed since it
was translated; whoever has translated it again removes the word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from captcha_helpers.core.files import replacing
from tools.languages import ENGLISH, READMES, TRANSLATIONS, Language
from tools.set_repository import BADGE
from tools.translation_checks import compare, read_glossary

_HEAD = (
    "Below each quotation stands its translation; tools/catalogues.py says what the comments are."
)
_ENTRY = re.compile(r"^<!-- cell (\S+) sha256 ([0-9a-f]{64})( stale)? -->$", re.MULTILINE)
_NAMES = "|".join(language.name for language in READMES.values())
_OTHER_LANGUAGES = re.compile(rf"\n\n\[(?:{_NAMES})\]\([^)]*\)(?: · \[(?:{_NAMES})\]\([^)]*\))*")


class Entry(NamedTuple):
    """A cell of a catalogue.

    Attributes:
        cell: Its id.
        sha256: Of the English text that was translated.
        english: That text.
        translation: Empty as long as there is none.
        stale: Whether the English text has changed since the translation was written.
    """

    cell: str
    sha256: str
    english: str
    translation: str = ""
    stale: bool = False


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def format_catalogue(name: str, entries: Iterable[Entry]) -> str:
    r"""Write a catalogue.

    Args:
        name: The notebook's, without ending.
        entries: Its cells.

    Returns:
        The text of the file.

    Example:
        >>> text = format_catalogue("01_data", [Entry("a", digest("Look"), "Look", "看！")])
        >>> print(text.split("-->")[-1].strip())
        > Look
        <BLANKLINE>
        看！
    """
    parts = [f"<!-- {name}.ipynb. {_HEAD} -->\n"]
    for entry in entries:
        quotation = "\n".join(f"> {line}" if line else ">" for line in entry.english.split("\n"))
        mark = " stale" if entry.stale else ""
        parts.append(f"<!-- cell {entry.cell} sha256 {entry.sha256}{mark} -->\n\n{quotation}\n")
        parts += [f"{entry.translation}\n"] if entry.translation else []
    return "\n".join(parts)


def parse_catalogue(text: str) -> dict[str, Entry]:
    """Read a catalogue.

    Args:
        text: What `format_catalogue` returned, with translations.

    Returns:
        Its entries, by the id of the cell.

    Raises:
        ValueError: If a cell occurs twice, or its English text is not that of its hash.
    """
    entries: dict[str, Entry] = {}
    _, *fields = _ENTRY.split(text)
    for cell, sha256, stale, body in zip(*(iter(fields),) * 4, strict=True):
        lines = body.strip("\n").split("\n")
        quoted = list(takewhile(lambda line: line.startswith(">"), lines))
        english = "\n".join(line[2:] for line in quoted)
        if cell in entries:
            raise ValueError(f"cell {cell} has two entries")
        if digest(english) != sha256:
            raise ValueError(f"cell {cell}: the quotation is not the text of its hash; leave both")
        translation = "\n".join(lines[len(quoted) :]).strip("\n")
        entries[cell] = Entry(cell, sha256, english, translation, bool(stale))
    return entries


def read_cells(root: Path, name: str) -> dict[str, str]:
    """Read the Markdown cells of a notebook and of its solutions.

    Args:
        root: The clone's root.
        name: The notebook's, without ending.

    Returns:
        Their English text by the id of the cell, without what tools write below a title.

    Raises:
        ValueError: If the two have different texts for one id.
    """
    cells: dict[str, str] = {}
    for path in english_files(root, name):
        for cell in markdown_cells(nbformat.read(path, as_version=4)):
            if cells.setdefault(cell.id, cell.source) != cell.source:
                raise ValueError(
                    f"{name}: cell {cell.id} differs from the solutions: make exercises"
                )
    return cells


def english_files(root: Path, name: str) -> list[Path]:
    """Return the paths of a notebook and of its solutions."""
    folder = root / ENGLISH.notebooks
    paths = (folder / f"{name}.ipynb", folder / "solutions" / f"{name}.ipynb")
    return [path for path in paths if path.is_file()]


def markdown_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the Markdown cells; the first loses what tools write below its title."""
    title = notebook.cells[0]
    title.source = _OTHER_LANGUAGES.sub("", BADGE.sub("", title.source))
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def refresh(
    cells: dict[str, str], entries: dict[str, Entry], elsewhere: Iterable[Entry] = ()
) -> list[Entry]:
    """Bring a catalogue up to date.

    Args:
        cells: What `read_cells` returned.
        entries: The catalogue as it is.
        elsewhere: Entries of other catalogues.

    Returns:
        An entry for each cell, in their order. A translation is found again by the cell's id, or
        by its text if it stands under another id or elsewhere, so that none is written twice.
        Those of cells that are gone are left out.
    """
    there = (*elsewhere, *entries.values())
    by_hash = {entry.sha256: entry for entry in there if entry.translation}
    new = []
    for cell, english in cells.items():
        sha256 = digest(english)
        old = entries.get(cell, Entry(cell, sha256, english))
        old = old if old.translation and old.sha256 == sha256 else by_hash.get(sha256, old)
        stale = bool(old.translation) and (old.stale or old.sha256 != sha256)
        new.append(Entry(cell, sha256, english, old.translation, stale))
    return new


def missing(cells: dict[str, str], entries: dict[str, Entry]) -> list[str]:
    """Name the cells that have no translation."""
    return [cell for cell in cells if cell not in entries or not entries[cell].translation]


def stale(cells: dict[str, str], entries: dict[str, Entry]) -> list[str]:
    """Name the cells whose English text has changed since they were translated."""
    there = [entries[cell] for cell in cells if cell in entries and entries[cell].translation]
    return [one.cell for one in there if one.stale or one.sha256 != digest(cells[one.cell])]


def translated_names(root: Path, language: Language) -> list[str]:
    """Name the notebooks that have a catalogue."""
    folder = root / "i18n" / language.code
    return sorted(path.stem for path in folder.glob("[0-9]*.md"))


def read_catalogue(root: Path, language: Language, name: str) -> dict[str, Entry]:
    """Read the catalogue of a notebook; it is empty if there is none."""
    path = root / "i18n" / language.code / f"{name}.md"
    return parse_catalogue(path.read_text("utf-8")) if path.is_file() else {}


def problems(root: Path, language: Language, name: str) -> list[str]:
    """Say what keeps a translation from being published.

    Args:
        root: The clone's root.
        language: The language.
        name: The notebook's name, without ending.

    Returns:
        A sentence for each problem, with the name of the cell.

    Raises:
        ValueError: If the catalogue or the glossary is broken.
    """
    cells, entries = read_cells(root, name), read_catalogue(root, language, name)
    glossary = read_glossary((root / "i18n" / language.code / "glossary.md").read_text("utf-8"))
    absent, outdated = missing(cells, entries), stale(cells, entries)
    found = [f"{name}, {cell}: is not translated" for cell in absent]
    found += [f"{name}, {cell}: the English text has changed" for cell in outdated]
    found += [f"{name}, {cell}: there is no such cell" for cell in entries if cell not in cells]
    for cell in cells.keys() - {*absent, *outdated}:
        said = compare(cells[cell], entries[cell].translation, glossary, language.percent)
        found += [f"{name}, {cell}: {one}" for one in said]
    return sorted(found)


def status(root: Path) -> list[str]:
    """Count the cells of each notebook that are translated, missing and stale."""
    lines = []
    names = sorted(path.stem for path in (root / ENGLISH.notebooks).glob("*.ipynb"))
    for language in TRANSLATIONS:
        there = translated_names(root, language)
        for name in names:
            cells, entries = read_cells(root, name), read_catalogue(root, language, name)
            absent, old = len(missing(cells, entries)), len(stale(cells, entries))
            counts = f"{len(cells) - absent - old} translated, {absent} missing, {old} stale"
            said = counts if name in there else f"no catalogue, {len(cells)} cells"
            lines.append(f"{language.code}  {name:22} {said}")
    return lines


def all_problems(root: Path) -> list[str]:
    """Say what keeps the translations of all languages from being published."""
    return [
        problem
        for language in TRANSLATIONS
        for name in translated_names(root, language)
        for problem in problems(root, language, name)
    ]


def refresh_files(root: Path, language: Language, beginnings: Iterable[str]) -> list[str]:
    """Make the catalogues of some notebooks, or bring them up to date.

    Args:
        root: The clone's root.
        language: The language.
        beginnings: How the names of the notebooks begin.

    Returns:
        A sentence for each translation that was dropped because its cell is gone.

    Raises:
        FileNotFoundError: If a beginning fits no notebook.
    """
    dropped = []
    for beginning in beginnings:
        found = sorted((root / ENGLISH.notebooks).glob(f"{beginning}*.ipynb"))
        if not found:
            raise FileNotFoundError(f"no notebook {beginning!r} in {ENGLISH.notebooks}")
        for name in (path.stem for path in found):
            before = read_catalogue(root, language, name)
            others = (
                read_catalogue(root, language, one) for one in translated_names(root, language)
            )
            elsewhere = [entry for one in others for entry in one.values()]
            after = refresh(read_cells(root, name), before, elsewhere)
            kept = {entry.translation for entry in after}
            gone = (
                one for one in before.values() if one.translation and one.translation not in kept
            )
            dropped += [f"{name}, {entry.cell}: dropped, the cell is gone" for entry in gone]
            with replacing(root / "i18n" / language.code / f"{name}.md") as part:
                part.write_text(format_catalogue(name, after), encoding="utf-8")
    return dropped
