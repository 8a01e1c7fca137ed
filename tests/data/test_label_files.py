"""Files of labels are read as people have them, and what is wrong is said with its line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers.data.label_files import read_listing

ROWS = [("1.png", "7xk2"), ("2.png", "0053"), ("b 3.JPG", "é9")]


def table(delimiter: str, *header: str) -> str:
    return "\n".join(delimiter.join(cells) for cells in [header, *ROWS] if cells) + "\n"


AS_JSON = [
    dict(ROWS),
    [{"file_name": name, "text": label} for name, label in ROWS],
    {name: {"label": label, "width": 90} for name, label in ROWS},
    [list(row) for row in ROWS],
    {"images": [{"file": name, "label": label} for name, label in ROWS]},
]
CASES = {
    "usual": ("labels.csv", table(",", "file", "label"), ""),
    "windows lines": ("labels.csv", table(",", "file", "label").replace("\n", "\r\n"), ""),
    "semicolons": ("labels.csv", table(";", "file", "label"), "semicolons"),
    "tabs": ("labels.tsv", table("\t", "file", "label"), "tabs"),
    "vertical bars": ("labels.csv", table(" | ", "file", "label"), "vertical bars"),
    "other columns": ("a.csv", table(",", "Image Path", "Plate-Text"), "columns Image Path and"),
    "unknown columns": ("a.csv", table(",", "bild", "sagt"), "columns bild and sagt"),
    "no header": ("labels.csv", table(","), "no header"),
    "no header, tabs": ("rec_gt.txt", table("\t"), "tabs, no header"),
    "spaces": ("labels.txt", table(" "), "a name and a label a line"),
    "colons": ("labels.txt", table(": "), "a name and a label a line"),
    "json": ("labels.json", json.dumps(AS_JSON[0]), ""),
    "json, list": ("labels.json", json.dumps(AS_JSON[1]), "columns file_name and text"),
    "json, objects": ("labels.json", json.dumps(AS_JSON[2]), "columns file and label"),
    "json, pairs": ("labels.json", json.dumps(AS_JSON[3]), ""),
    "json, one key": ("labels.json", json.dumps(AS_JSON[4]), ""),
    "json lines": ("metadata.jsonl", "\n".join(map(json.dumps, AS_JSON[1])), "columns file_name"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("name", "text", "said"), CASES.values(), ids=CASES)
def test_what_lists_images_and_labels_is_read(
    tmp_path: Path, name: str, text: str, said: str, encoding: str
):
    (tmp_path / name).write_bytes(text.encode(encoding))
    found = read_listing(tmp_path / name)
    assert found.rows == ROWS
    assert said in found.said and ("UTF-16" in found.said) == encoding.startswith("utf-16")


def test_the_label_may_come_first_and_other_columns_are_ignored(tmp_path: Path):
    (tmp_path / "a.csv").write_text("label,width,image\n7xk2,90,1.png\n")
    (tmp_path / "b.txt").write_text("7xk2 1.png\n0053 2.png\n")
    assert read_listing(tmp_path / "a.csv").rows == [("1.png", "7xk2")]
    assert read_listing(tmp_path / "b.txt").rows == [("1.png", "7xk2"), ("2.png", "0053")]


def test_names_without_an_ending_are_known_by_their_column(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id;label\n0001;7xk2\n")
    assert read_listing(tmp_path / "a.csv").rows == [("0001", "7xk2")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"width,height\n1,2\n", "line 1: expected a header with the columns file,label"),
        ("a.csv", b"image,x,y2\n1.png,2,3\n", "got 'image,x,y2'; name the two columns so"),
        ("a.csv", "file,label\n1.png,é\n".encode("cp1252"), "is not UTF-8 text"),
        ("a.csv", b"file;label\n1.png;a\n2.png\n", "line 3: the label is missing"),
        ("a.json", b'{"1.png": "a", "2.png": 0.5}', "line 2: the label is missing"),
        ("a.csv", b"1.png,a\n1.png,b\n", "line 2: '1.png' is listed already in line 1"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.json", b"[1, 2]", "expected a header"),
        ("a.jsonl", b'{"file": "1.png"}\n', "expected a header"),
        ("a.json", b'{"1.png": null}', "line 1: the label is missing"),
        ("a.txt", b"1.png abc\nhello\n", "line 1: expected a header"),
        ("a.txt", b"", "line 1: expected a header"),
    ],
)
def test_what_cannot_be_understood_is_said(tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_listing(tmp_path / name)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\ufeff"), min_size=1)


@given(st.lists(texts, min_size=1, max_size=9), st.sampled_from(",;\t"), st.booleans())
def test_whatever_csv_writes_comes_back(tmp_path_factory, labels, delimiter, with_header):
    labels = [label.strip() or "x" for label in labels]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    rows = [(f"{i}.png", label) for i, label in enumerate(labels)]
    writer.writerows([("file", "label"), *rows] if with_header else rows)
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    path.write_text(buffer.getvalue(), "utf-8", newline="")
    assert read_listing(path).rows == rows
