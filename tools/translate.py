"""Write the notebooks in other languages, from the English ones and from their catalogues.

The English notebooks are the only ones that are executed.

- ``python -m tools.translate`` (``make translate``) writes ``notebooks_zh-CN/``, in which code and
  outputs are the same. A cell that is not translated, or whose English text has changed since,
  stays English with a notice above it; ``--release`` refuses that, and whatever else is wrong.
- ``--status`` (``make translate-status``) counts the cells and says what is wrong.
- ``--refresh 02 03`` makes the catalogues of these notebooks, or brings them up to date: new cells
  come in, and those that have changed show their new English text and are marked as stale.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat

from captcha_helpers.core.files import replacing
from tools.catalogues import (
    all_problems,
    english_files,
    markdown_cells,
    missing,
    read_catalogue,
    read_cells,
    refresh_files,
    stale,
    status,
    translated_names,
)
from tools.languages import ENGLISH, READMES, TRANSLATIONS, Language
from tools.set_repository import BADGE

_LINK = re.compile(r"(?<=\]\()[^)#:\s]+(?=\))")


def _counterpart(root: Path, language: Language, path: str) -> str:
    """Name the file that says the same in the language: itself, if there is none."""
    readmes = {one.code: file for file, one in READMES.items()}
    if path.startswith(f"{ENGLISH.notebooks}/") and path.endswith(".ipynb"):
        if Path(path).stem in translated_names(root, language):
            return language.notebooks + path.removeprefix(ENGLISH.notebooks)
    elif path == readmes[ENGLISH.code]:
        return readmes[language.code]
    else:
        page = language.pages + path.removeprefix(ENGLISH.pages)
        if path.startswith(f"{ENGLISH.pages}/") and (root / page).is_file():
            return page
    return path


def _localize(text: str, root: Path, language: Language, english: Path, translated: Path) -> str:
    """Lead the links of a text to the files of its language."""

    def lead(link: re.Match[str]) -> str:
        place = os.path.relpath(english.parent / link[0], root)
        target = root / _counterpart(root, language, Path(place).as_posix())
        return Path(os.path.relpath(target, translated.parent)).as_posix()

    return _LINK.sub(lead, text)


def _below_title(source: str, *lines: str) -> str:
    title, line_break, rest = source.partition("\n")
    return "\n\n".join(filter(None, (title, *lines))) + line_break + rest


def _place(root: Path, language: Language, english: Path) -> Path:
    return root / language.notebooks / english.relative_to(root / ENGLISH.notebooks)


def _links(root: Path, here: Path, english: Path) -> str:
    """Link to the same notebook in the other languages that have it."""
    languages = [one for one in TRANSLATIONS if english.stem in translated_names(root, one)]
    places = {one.name: _place(root, one, english) for one in (ENGLISH, *languages)}
    return " · ".join(
        f"[{name}]({Path(os.path.relpath(place, here.parent)).as_posix()})"
        for name, place in places.items()
        if place != here
    )


def translate(root: Path, language: Language, english: Path) -> str:
    """Translate a notebook.

    Args:
        root: The clone's root.
        language: The language.
        english: The English notebook.

    Returns:
        The text of the file. Code, outputs and everything else are those of the English one.
    """
    notebook = nbformat.read(english, as_version=4)
    badge = BADGE.search(notebook.cells[0].source)
    entries = read_catalogue(root, language, english.stem)
    here = _place(root, language, english)
    cells = read_cells(root, english.stem)
    in_english = {*missing(cells, entries), *stale(cells, entries)}
    for cell in markdown_cells(notebook):
        text = cell.source if cell.id in in_english else entries[cell.id].translation
        text = _localize(text, root, language, english, here)
        if cell is notebook.cells[0]:
            colab = badge[0].strip("\n") if badge else ""
            colab = colab.replace(f"/{ENGLISH.notebooks}/", f"/{language.notebooks}/")
            text = _below_title(text, colab, _links(root, here, english))
        notice = f"**{language.not_translated}**\n\n" if cell.id in in_english else ""
        cell.source = notice + text
    return f"{nbformat.writes(notebook)}\n"


def linked(root: Path, english: Path) -> str:
    """Write the links to the other languages below the title of an English notebook.

    Args:
        root: The clone's root.
        english: The notebook.

    Returns:
        The text of the file.
    """
    notebook = nbformat.read(english, as_version=4)
    title = notebook.cells[0]
    badge = BADGE.search(title.source)
    colab = badge[0].strip("\n") if badge else ""
    markdown_cells(notebook)
    title.source = _below_title(title.source, colab, _links(root, english, english))
    return f"{nbformat.writes(notebook)}\n"


def out_of_date(root: Path) -> dict[Path, str]:
    """Compare the notebooks of all languages with what the catalogues give.

    Args:
        root: The clone's root.

    Returns:
        The files that differ, each with the text it should have.

    Raises:
        ValueError: If a catalogue is broken.
    """
    names = sorted(path.stem for path in (root / ENGLISH.notebooks).glob("*.ipynb"))
    new = {path: linked(root, path) for name in names for path in english_files(root, name)}
    for language in TRANSLATIONS:
        for name in translated_names(root, language):
            for path in english_files(root, name):
                new[_place(root, language, path)] = translate(root, language, path)
    return {
        path: text
        for path, text in new.items()
        if not path.is_file() or path.read_text("utf-8") != text
    }


def main() -> None:
    """Run from the clone's root."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--release", action="store_true", help="refuse what is not as it should be")
    parser.add_argument("--status", action="store_true", help="only say what is translated")
    parser.add_argument("--refresh", nargs="+", metavar="NN", help="make or refresh catalogues")
    codes = [one.code for one in TRANSLATIONS]
    parser.add_argument("--language", choices=codes, default=codes[0], help="of --refresh")
    options, root = parser.parse_args(), Path.cwd()
    try:
        if options.refresh:
            (language,) = (one for one in TRANSLATIONS if one.code == options.language)
            for dropped in refresh_files(root, language, options.refresh):
                print(dropped)
        found = all_problems(root)
        if options.release and found:
            sys.exit("\n".join(["Nothing was written:", *found]))
        if options.status or options.refresh:
            print("\n".join([*status(root), *found]))
            return
        stale_files = out_of_date(root)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    for path, text in stale_files.items():
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    names = ", ".join(path.relative_to(root).as_posix() for path in stale_files)
    print("changed:", names or "nothing, the notebooks are what the catalogues give")
    if found:
        print(f"{len(found)} problems, which a release refuses: make translate-status")


if __name__ == "__main__":
    main()
