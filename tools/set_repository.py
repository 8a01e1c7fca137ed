"""Write the repository's public address everywhere it is needed.

``make repository REPO=owner/name`` puts it into ``pyproject.toml``, its one place, and from there
into each notebook (set-up cell, Colab badge under the title), the pages on installing (badges
between ``<!-- colab:start -->`` and ``<!-- colab:end -->``) and ``CITATION.cff``. Without ``REPO``
it writes again what ``pyproject.toml`` says. Run it as often as you like.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat

from tools.languages import READMES
from tools.markers import fill
from tools.setup_cell import FIRST_WORDS, METADATA, setup_cell

_ADDRESS = re.compile(r'^repository = "(.*)"$', re.MULTILINE)
BADGE = re.compile(r"\n\n\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)")


def get_repository(root: Path) -> str:
    """Read the address from ``pyproject.toml``.

    Args:
        root: The clone's root.

    Returns:
        ``owner/name``, or nothing while none is set.
    """
    found = _ADDRESS.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError('pyproject.toml needs the line repository = "" in [tool.captcha-helpers]')
    return found[1]


def set_repository(root: Path, repository: str) -> list[str]:
    """Write the address into every file of a clone that carries it; all of them, or none.

    Args:
        root: The clone's root.
        repository: ``owner/name``; nothing takes the address out again.

    Returns:
        The names of the files that changed.

    Raises:
        ValueError: If the address is malformed, or a file has no place for it.
    """
    if repository and not re.fullmatch(r"[\w-]+/[\w.-]+", repository, re.ASCII):
        raise ValueError(
            f"the address must be owner/name as GitHub has it, received {repository!r}"
        )
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    solutions = sorted((root / "notebooks" / "solutions").glob("*.ipynb"))
    pyproject = root / "pyproject.toml"
    line = f'repository = "{repository}"'
    new = {pyproject: _ADDRESS.sub(line, pyproject.read_text(encoding="utf-8"), count=1)}
    new |= {path: _notebook(path, repository) for path in notebooks}
    new |= {path: _notebook(path, repository) for path in solutions}
    for language in READMES.values():
        page = root / language.pages / "install.md"
        badges = [f"- `{path.stem}` {_badge(path, repository)}" for path in notebooks]
        content = "\n".join(badges) if repository else language.no_address
        new[page] = fill(page.read_text("utf-8"), "colab", content, page.name)
    if (root / "CITATION.cff").exists():
        new[root / "CITATION.cff"] = _citation(root / "CITATION.cff", repository)
    changed = [path for path, text in new.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        path.write_text(new[path], encoding="utf-8")
    return [path.name for path in changed]


def _notebook(path: Path, repository: str) -> str:
    notebook = nbformat.read(path, as_version=4)
    setup = [cell for cell in notebook.cells if cell.source.startswith(FIRST_WORDS)]
    if len(setup) != 1:
        raise ValueError(f"{path.name} needs one code cell that starts with {FIRST_WORDS!r}")
    setup[0].source = setup_cell(repository)
    setup[0].metadata.update(METADATA)
    opening = notebook.cells[0]
    title, line_break, rest = BADGE.sub("", opening.source).partition("\n")
    badge = f"\n\n{_badge(path, repository)}" if repository else ""
    opening.source = title + badge + line_break + rest
    return f"{nbformat.writes(notebook)}\n"


def _citation(path: Path, repository: str) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith("repository-code:")]
    if repository:
        lines.append(f'repository-code: "https://github.com/{repository}"\n')
    return "".join(lines)


def _badge(path: Path, repository: str) -> str:
    colab = "https://colab.research.google.com"
    place = "notebooks/solutions" if path.parent.name == "solutions" else "notebooks"
    link = f"{colab}/github/{repository}/blob/main/{place}/{path.name}"
    return f"[![Open in Colab]({colab}/assets/colab-badge.svg)]({link})"


def main() -> None:
    """Run from the clone's root, with the address as the argument."""
    root = Path.cwd()
    try:
        changed = set_repository(root, "".join(sys.argv[1:]) or get_repository(root))
    except ValueError as error:
        sys.exit(f"Nothing was changed: {error}")
    print("changed:", ", ".join(changed) or "nothing, all is as it should be")


if __name__ == "__main__":
    main()
