"""What is measured of a reader, what is said about it, and the page that shows it."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers import Evaluation, Mask, ModelSpec, Recognizer, evaluate, write_report
from captcha_helpers.reading.decoder import doubt
from captcha_helpers.reading.report import marked, report_html

SPEC = ModelSpec("abc", (2, 3), height=8, width=16)
SURE, UNSURE = 12.0, 0.1


def reader(text: str, sure: float = SURE, spec: ModelSpec = SPEC) -> Recognizer:
    """Read the same string in every image."""
    frames = [index for char in text for index in (spec.charset.index(char) + 1, 0)]
    logits = sure * np.eye(len(spec.charset) + 1)[frames]
    return Recognizer(lambda images: np.stack([logits] * len(images)), spec, name="my_reader.keras")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "my images"
    images.mkdir()
    for label in ("ab", "abc", "ac", "abd", "abcab"):
        Image.new("RGB", (90, 30), "white").save(images / f"{label}.png")
    return images


def result(folder: Path, text: str = "ab", sure: float = SURE) -> Evaluation:
    return evaluate(reader(text, sure), folder, progress=False)


def test_labels_out_of_reach_are_counted_and_named(folder: Path):
    """Of an image whose label has a strange character nobody should wonder about 0 %."""
    found = result(folder)
    assert found.unreachable == (1, "d", 1, (2, 3), 2)
    said = str(found)
    assert "1 of 5 labels hold characters that this model does not read: 'd'" in said
    assert "1 of 5 labels are shorter or longer than what this model reads, 2 to 3" in said
    assert "2 of 5 images cannot be read rightly" in said
    for name in ("abd", "abcab"):
        (folder / f"{name}.png").unlink()
    assert not result(folder).warnings() and "WARNING" not in str(result(folder))


def test_what_is_known_of_the_strings_counts(folder: Path):
    told = replace(SPEC, mask=Mask("ab", (2, 2), ignore_case=True))
    found = evaluate(reader("ab", spec=told), folder, progress=False)
    assert set(found.unreachable.characters) == {"c", "d"} and found.unreachable.by_length == 3
    positions = replace(SPEC, head="per_position")
    assert evaluate(reader("ab", spec=positions), folder, progress=False).unreachable.by_length == 1


def test_doubt_is_told_with_its_share(folder: Path):
    assert "WARNING: 5 of 5 readings (100%) have a confidence below 50%" in str(
        result(folder, sure=UNSURE)
    )
    assert not doubt([]) and not doubt([0.9, 0.9, 0.9, 0.9, 0.4])
    assert doubt([0.4]).startswith("1 of 1 readings (100%)")


def test_the_confident_readings_are_counted_apart(folder: Path):
    found = evaluate(reader("ab"), folder, min_confidence=0.9, progress=False)
    assert found.confident == (5, 1)
    assert "confidence of 90% or more 5 images, 20.00% of them right" in str(found)
    none = evaluate(reader("ab", UNSURE), folder, min_confidence=0.9, progress=False)
    assert none.confident == (0, 0) and none.to_dict()["confident_exact_match"] is None


def test_json_has_all_that_the_text_has(folder: Path):
    found = result(folder)
    figures = json.loads(json.dumps(found.to_dict()))
    for line in str(found).splitlines():
        for number in re.findall(r"(\d+\.\d+)%", line):
            shares = [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e-\d+)?", json.dumps(figures))]
            assert any(abs(100 * share - float(number)) < 0.06 for share in shares), line
    assert figures["warnings"] == found.warnings() and figures["model"] == "my_reader.keras"
    pairs = {(one["written"], one["read"]): one["count"] for one in figures["confusions"]}
    assert pairs == dict(found.confusions)
    assert figures["folder"] == "my images"  # and no path


class Page(HTMLParser):
    """What is on a page: pictures, marked text, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.marked: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "mark":
            self.marked.append(data)


def test_the_page_names_model_folder_and_date_and_no_path(folder: Path):
    page = report_html(result(folder), when=datetime(2026, 3, 1, 12, 30))
    assert "How well my_reader.keras reads my images" in page and "2026-03-01 12:30" in page
    assert str(folder.parent) not in page
    assert 'name="viewport"' in page and "http" not in page.replace("http-equiv", "")


def test_the_page_shows_pictures_in_their_own_shape(folder: Path):
    """The model's input is 16 x 8: stretched, and nothing to look at."""
    page = Page(report_html(result(folder)))
    assert len(page.images) == 4
    data = str(page.images[0]["src"]).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (90, 30)
    Image.new("RGB", (3000, 1000)).save(folder / "ac.png")
    pictures = Page(report_html(result(folder))).images
    sizes = {
        Image.open(io.BytesIO(base64.b64decode(str(one["src"]).partition(",")[2]))).size
        for one in pictures
    }
    assert sizes == {(90, 30), (480, 160)}  # a photograph doesn't make a page of many megabytes


def test_the_page_takes_names_that_are_no_text(folder: Path, tmp_path: Path):
    names = [f"{name}\udcf6" for name in result(folder).data.names]
    found = result(folder)
    found.data.names[:] = names
    write_report(found, tmp_path / "a.html")
    assert "?</small>" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_page_marks_what_is_wrong(folder: Path):
    page = Page(report_html(result(folder)))
    assert Counter(page.marked) == Counter(["c", "·", "c", "b", "d", "·", "cab", "···"])
    assert marked("<a", "<b") == ("&lt;<mark>a</mark>", "&lt;<mark>b</mark>")
    assert marked("ab", "ab") == ("ab", "ab") and marked("", "x")[0] == "<mark>·</mark>"


def test_the_matrix_counts_right_and_wrong(folder: Path):
    text = report_html(result(folder))
    table = text.partition("<table class=matrix>")[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>([^<\n]*)", row) for row in table.split("<tr>")[1:]]
    assert rows[0] == ["", "a", "b", "c", "d", "nothing"]
    assert rows[1:] == [
        ["a", "5", "", "", "", "1"],
        ["b", "", "4", "", "", "1"],
        ["c", "", "1", "0", "", "2"],
        ["d", "", "", "", "0", "1"],
        ["nothing", "", "", "", "", ""],
    ]


def test_a_page_of_a_training_has_its_curves(folder: Path, tmp_path: Path):
    history = [
        {"seconds": 1.0, "exact_match": 0.0, "loss": None},
        {"seconds": 2.0, "exact_match": 0.5, "loss": 0.25},
    ]
    facts = {
        "history": history, "images": 40, "seconds": 2.0, "start": "general",
        "validation_images": 5, "split_by": "label", "warnings": ["Too few images."],
    }  # fmt: skip
    write_report(result(folder), tmp_path / "new" / "page.html", training=facts)
    page = (tmp_path / "new" / "page.html").read_text("utf-8")
    assert page.count("<svg") == 2 and "held-out images read without error: 50%" in page
    assert "loss: 0.25" in page and "Too few images." in page
    assert "<svg" not in report_html(result(folder))


def test_a_page_without_errors_says_so(folder: Path):
    for name in ("abd", "abcab", "abc", "ac"):
        (folder / f"{name}.png").unlink()
    page = report_html(result(folder))
    assert "No character was confused" in page and "Read wrongly: 0 of 1" in page
