"""What the READMEs tell people to type works, and both say the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tools.languages import READMES

ROOT = Path(__file__).parents[2]
NAMES = list(READMES)
PAGES = ("install", "own-images", "command-line", "export", "service", "results", "questions")
ALL = NAMES + [f"{one.pages}/{page}.md" for one in READMES.values() for page in PAGES]


def blocks(name: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / name).read_text("utf-8"), re.M | re.S)


def code(text: str) -> list[str]:
    """Return the lines without comments and placeholders, which are translated."""
    lines = [re.sub(r"\s*#.*|[<‹].*?[>›]", "", line) for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("page", ["", *(page for page in PAGES if page != "command-line")])
def test_all_languages_give_the_same_commands_and_code(page):
    names = [f"{one.pages}/{page}.md" if page else name for name, one in READMES.items()]
    english, *others = ([(kind, code(text)) for kind, text in blocks(name)] for name in names)
    assert all(other == english for other in others)


def test_the_readme_is_short_enough_to_be_read():
    assert (ROOT / "README.md").stat().st_size <= 7168  # 7 KiB


@pytest.mark.parametrize("name", NAMES)
def test_its_first_claim_is_the_first_row_of_the_comparison(name):
    text = (ROOT / name).read_text("utf-8")
    table = text.partition("<!-- comparison:start -->")[2]
    labels, seconds, share = re.search(r"ours +\| +(\d+) \| +(\d+) \| +([\d.]+ ?%)", table).groups()
    claim = text.partition("\n\n[")[0]
    assert re.search(rf"\b{labels} .*\b{seconds} .*\b{share}", claim, re.S)


@pytest.mark.parametrize("name", [*NAMES, "docs/install.md", "docs/zh-CN/install.md"])
def test_pip_installs_into_an_environment_that_is_active(name):
    """Debian's own Python refuses: externally-managed-environment."""
    text = (ROOT / name).read_text("utf-8")
    before = text.partition("pip install")[0]
    assert re.search(r"^python3 -m venv .venv$|^python3 -m venv .venv && ", before, re.M)
    assert re.search(r"(^|&& )\. \.venv/bin/activate$", before, re.M)


@pytest.mark.parametrize("name", ALL)
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    assert (
        links and [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
    )


@pytest.mark.parametrize("name", ALL)
def test_make_targets_exist(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`?\bmake ([a-z]+)\b[^`\n]*`", (ROOT / name).read_text("utf-8")))
    assert named <= targets


@pytest.mark.slow
def test_the_example_runs_on_a_folder_of_images(tmp_path, monkeypatch, capsys):
    (example,) = (text for kind, text in blocks("README.md") if kind == "python")
    images = sorted((ROOT / "captcha_images" / "stars").glob("*.png"))
    for name, part in (("my_images", images[:60]), ("other_images", images[60:80])):
        (tmp_path / name).mkdir()
        for image in part:
            shutil.copy(image, tmp_path / name)
    shutil.copy(images[80], tmp_path / "other_images" / "7XQ2_01.png")
    monkeypatch.chdir(tmp_path)
    exec(example.replace("minutes=5", "epochs=1"), {})
    assert "60 images, labels of 6 characters" in capsys.readouterr().out
    assert len(list((tmp_path / "my_images").iterdir())) == 60
