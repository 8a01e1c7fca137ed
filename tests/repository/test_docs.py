"""The pages name every module, and what they link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from captcha_helpers.cli.main import main
from captcha_helpers.data.decoding import IMAGE_FORMATS
from captcha_helpers.data.names import IMAGE_SUFFIXES

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
MODULES = sorted(
    path.relative_to(ROOT / "captcha_helpers").with_suffix("").as_posix()
    for path in (ROOT / "captcha_helpers").rglob("[a-z]*.py")
)


def test_the_design_gives_every_module_its_reason():
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    named = re.findall(r"^\| \[([\w/]+)\]\(\.\./captcha_helpers/([\w/]+)\.py\) \|", text, re.M)
    assert all(name == target for name, target in named)
    assert sorted(name for name, _ in named) == MODULES


def test_the_reference_describes_every_room():
    pages = [path.read_text("utf-8") for path in (ROOT / "docs" / "api").glob("*.md")]
    described = re.findall(r"^::: captcha_helpers\.(\w+)$", "\n".join(pages), re.M)
    assert sorted(described) == sorted({name.partition("/")[0] for name in MODULES})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_how_to_add_something_takes_three_files_at_most():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## How to add")[2]
    lists = {title: re.findall(r"^\d\. ", body, re.M) for title, body in sections(text)}
    assert len(lists) == 6
    assert all(1 <= len(steps) <= 3 for steps in lists.values()), lists
    for path in re.findall(r"`((?:tests|captcha_helpers)/[\w/.]+)`", text):
        assert (ROOT / path).is_file(), path
    for name in re.findall(r"`(_?[A-Z]+[A-Z_]*)`", text):
        assert f"{name}" in "".join(path.read_text("utf-8") for path in sources()), name


def test_the_page_on_folders_lists_every_ending_that_is_read():
    text = (ROOT / "docs" / "folders.md").read_text("utf-8")
    listed = re.search(r"^Images end in (.*?), in upper or lower case", text, re.M | re.S)
    assert listed and set(re.findall(r"`(\.\w+)`", listed[1])) == IMAGE_SUFFIXES


@pytest.mark.parametrize("name", ["docs/own-images.md", "docs/zh-CN/own-images.md"])
def test_every_format_that_is_read_is_named(name: str):
    formats = re.findall(r"[A-Z]\w+", IMAGE_FORMATS)
    assert {f".{one.lower()}" for one in formats} <= IMAGE_SUFFIXES
    (line,) = (line for line in (ROOT / name).read_text("utf-8").splitlines() if "BMP" in line)
    assert [one for one in formats if one not in line] == []


def test_the_service_names_every_format_that_is_read():
    pytest.importorskip("fastapi")
    from captcha_helpers.serving import app

    assert IMAGE_FORMATS in str(app._PROBLEMS[415])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_have_verbs_and_options_that_exist(page: Path):
    text = page.read_text("utf-8")
    for verb, rest in re.findall(r"(?:^|`)captcha-helpers ([a-z]+)\b([^`\n]*)", text, re.M):
        command = main.commands[verb]
        known = {
            name for option in command.params for name in (*option.opts, *option.secondary_opts)
        }
        assert set(re.findall(r"(?<!\S)--[a-z][\w-]*", rest)) <= known | {"--help"}, rest


def sections(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", text, re.M | re.S)


def sources() -> list[Path]:
    return [
        path for folder in ("captcha_helpers", "tests") for path in (ROOT / folder).rglob("*.py")
    ]


def test_the_site_shows_every_page_and_notebook():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    shown = str(config["nav"])
    notebooks = (path for folder in ROOT.glob("notebooks*") for path in folder.rglob("*.ipynb"))
    for path in (*PAGES, *notebooks):
        assert f"'{path.relative_to(ROOT).as_posix()}'" in shown, path
