"""The pages inside the notebooks do what they show, and their data cannot leave its place."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captcha_helpers import Charset, pages


def data_of(page: pages.Page) -> dict:
    """Read back what the page's script gets."""
    shown = re.search(r'srcdoc="([^"]*)"', page._repr_html_())
    line = re.search(r"^const DATA = (.*);$", html.unescape(shown[1]), re.MULTILINE)
    return json.loads(line[1])


def test_trellis_gets_the_states():
    page = pages.trellis([[0.2, 0.3, 0.5]] * 4, [1, 2], "-ab")
    assert data_of(page)["states"] == [0, 1, 0, 2, 0]
    assert data_of(page)["text"] == "ab"


def test_film_keeps_the_probabilities():
    asked = np.random.default_rng(1).dirichlet(np.ones(3), size=(4, 6))
    page = pages.film(np.zeros((8, 24, 1), "uint8"), asked, [0, 5, 10, 15], Charset("ab"), "ab")
    data = data_of(page)
    seen = np.frombuffer(base64.b64decode(data["frames"]), np.uint8).reshape(4, 6, 3) / 255
    assert np.abs(seen - asked).max() <= 0.5 / 255
    assert data["steps"] == [0, 5, 10, 15]


def test_quiz_has_the_images_and_a_label_cannot_end_the_script():
    image = np.full((8, 24, 3), 200, "uint8")
    nasty = '</script><b onload="x">'
    page = pages.quiz([image], [nasty], ["a"], [1], "lines")
    assert "</script><b" not in html.unescape(page._repr_html_())
    data = data_of(page)
    assert data["labels"] == [nasty]
    assert data["images"][0].startswith("data:image/png;base64,")


def test_frame_is_a_sandbox():
    text = pages.trellis([[0.5, 0.5]], [1], "-a")._repr_html_()
    assert 'sandbox="allow-scripts"' in text
    assert text.count('"') == 8, "the page's own quotes are escaped"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pages.trellis([[0.5, 0.5]], [1], "-ab"), r"must be \(T, 3\)"),
        (
            lambda: pages.film(
                np.zeros((8, 8), "uint8"), np.ones((2, 4, 3)), [0], Charset("ab"), ""
            ),
            r"must be \(1, T, 3\)",
        ),
        (lambda: pages.quiz([], [], [], [], ""), "0 images, 0 labels"),
    ],
)
def test_what_does_not_fit_is_said(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def open_page(browser: Any, page: pages.Page, folder: Path) -> None:
    """Open a page as a notebook shows it, and step into its frame."""
    (folder / "cell.html").write_text(page._repr_html_(), encoding="utf-8")
    browser.switch_to.default_content()
    browser.get((folder / "cell.html").as_uri())
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))


def move(browser: Any, slider: str, value: float) -> None:
    """Set a slider as a hand would."""
    browser.execute_script(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input'))",
        slider,
        value,
    )


def test_trellis_adds_up_what_python_adds_up(chromium: Any, tmp_path: Path):
    probability = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.6, 0.1, 0.3]])
    open_page(chromium, pages.trellis(probability, [1, 2], "-ab"), tmp_path)
    move(chromium, "filled", 3)
    paths = ["-ab", "a-b", "ab-", "aab", "abb"]
    total = sum(np.prod([probability[t, "-ab".index(c)] for t, c in enumerate(p)]) for p in paths)
    assert f"{total:.4f}" in chromium.find_element("id", "says").text


def test_film_reads_each_picture(chromium: Any, tmp_path: Path):
    asked = np.stack([np.full((4, 3), 1 / 3), np.eye(3)[[1, 1, 0, 2]]])
    film = pages.film(np.zeros((8, 24), "uint8"), asked, [0, 20], Charset("ab"), "ab")
    open_page(chromium, film, tmp_path)
    assert chromium.find_element("id", "reads").text == "nothing"
    move(chromium, "step", 1)
    assert chromium.find_element("id", "reads").text == "ab"
    assert chromium.find_element("id", "number").text == "after 20 steps"


def test_quiz_counts_both(chromium: Any, tmp_path: Path):
    images = [np.full((8, 24, 3), 60 * i, "uint8") for i in range(4)]
    quiz = pages.quiz(images, ["a", "b", "a", "b"], ["a", "b", "a", "x"], [1, 1, 2, 2], "lines")
    open_page(chromium, quiz, tmp_path)
    chromium.find_element("id", "start").click()
    for _ in images:
        chromium.find_element("id", "answer").send_keys("a\n")
    verdict = chromium.find_element("id", "verdict").text
    assert verdict.startswith("You: 2 of 4 (95 % interval 15 to 85 %)")
    assert "The reader: 3 of 4" in verdict
    assert len(chromium.find_elements("css selector", "#errors tr")) == 3
