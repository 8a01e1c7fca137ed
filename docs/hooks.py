"""Let the site have the repository's own files as its pages; mkdocs calls the functions.

Every page keeps the path of its file, so that one relative link is right in the repository and on
the site. A link to a module of the package leads to its place in the reference, where its source
can be opened; another file that a page links to is copied as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.set_repository import get_repository

PAGES = ("*.md", "docs/**/*.md", "docs/images/*", "notebooks*/**/*.ipynb")
COPIED = (
    *("Makefile", "Dockerfile", "LICENSE", "CITATION.cff"),
    *("pyproject.toml", "constraints.txt", "mkdocs.yml"),
    *("benchmarks/*.py", "benchmarks/**/*.json", "tools/languages.py"),
)
_MODULE = re.compile(r"\]\(((?:\.\./)*)captcha_helpers/(?:(\w+)/)?(?:(\w+)\.py)?\)")
_ROOM = re.compile(r"(\]\((?:\.\./)*captcha_helpers/\w+)\)")
_ROLE = re.compile(r":(?:class|data|func|meth|mod):`([\w.]+)`")
_ROOM_OF_NOTEBOOK = re.compile(r'href="\.\./captcha_helpers/(\w+)"')
_NOTEBOOK = re.compile(r'(href="[\w./-]*\d\d[b-z]?_\w+)\.ipynb(?=["#])')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Link to the repository, if ``make repository`` has been told where it is."""
    repository = get_repository(Path(config.config_file_path).parent)
    if repository:
        config.repo_url, config.repo_name = f"https://github.com/{repository}", repository
    return config


@event_priority(100)  # before the plugins, one of which turns notebooks into pages
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the repository's files in place of those in `docs_dir` alone; keep the theme's."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    root = Path(config.config_file_path).parent
    found = sorted(path for pattern in PAGES + COPIED for path in root.glob(pattern))
    own = [
        File(
            path.relative_to(root).as_posix(),
            src_dir=str(root),
            dest_dir=config.site_dir,
            use_directory_urls=config.use_directory_urls,
        )
        for path in found
    ]
    return Files(theme + own)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to modules, and to rooms, lead to the reference."""

    def reference(link: re.Match[str]) -> str:
        up, room, module = link.groups()
        name = ".".join(part for part in ("captcha_helpers", room, module) if part)
        anchor = f"#{name}" if module else ""
        return f"]({up}docs/api/{room or 'notebooks'}.md{anchor})"

    return _MODULE.sub(reference, _ROOM.sub(r"\1/)", markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links between notebooks lead to their pages, and those to a room to the reference."""
    if page.file.src_uri.endswith(".ipynb"):
        html = _ROOM_OF_NOTEBOOK.sub(r'href="../docs/api/\1.html"', html)
        return _NOTEBOOK.sub(r"\1.html", html)
    return html


class Examples(griffe.Extension):
    """Put docstrings into the words of griffe and mkdocstrings.

    The section ``Example:`` is set as code, as griffe does with ``Examples:``, and names with
    a role of Sphinx such as ``:func:`` are set as code, without the role. The arguments of a named
    tuple are its attributes, for griffe does not know that it can be called.
    """

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            if obj.is_class and "NamedTuple" in map(str, obj.bases):
                text = re.sub(r"^Args:$", "Attributes:", text, flags=re.MULTILINE)
            obj.docstring.value = _ROLE.sub(r"`\1`", text)
