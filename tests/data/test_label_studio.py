"""Exports of Label Studio are lists of labels, and what it imports shows the guesses.

The files here are written as `label_studio_converter` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from captcha_helpers.data.label_files import read_listing
from captcha_helpers.data.label_studio import CONFIG, image_name, make_task
from captcha_helpers.data.labels import find_labels

ABOUT = {"created_at": "2024-01-02T03:04:05Z", "updated_at": "2024-01-02T03:05:05Z"}


def result(text: str, name: str = "transcription", kind: str = "textarea") -> dict[str, Any]:
    value = {"text": [text]} if kind == "textarea" else {"choices": [text]}
    return {
        "value": value,
        "id": "Dx",
        "from_name": name,
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }


def task(image: str, *results: dict[str, Any], key: str = "annotations", **more: object) -> Any:
    """A task with one annotation."""
    one = {"id": 9, "completed_by": 1, "result": list(results), "was_cancelled": False, **ABOUT}
    return {"id": 3, key: [one | more], "predictions": [], "data": {"ocr": image}, "meta": {}}


def flat(image: str, text: str, field: str = "transcription", **more: object) -> dict[str, Any]:
    """A record of JSON-MIN."""
    return {
        "image": image,
        "id": 3,
        field: text,
        "annotator": 1,
        "annotation_id": 9,
        **ABOUT,
        "lead_time": 4.3,
        **more,
    }


UPLOADED = "/data/upload/12/3f2a90b1-7.png"
CSV = (
    '"annotation_id","annotator","chars","created_at","id","image","lead_time","updated_at",'
    '"was_cancelled"\n9,"me@a.example","0053","2024",3,"/data/upload/12/3f2a90b1-7.png",4.3,"2024",'
    'False\n10,"me@a.example","","2024",4,"/data/upload/12/3f2a90b2-8.png",4.3,"2024",True\n'
)
EXPORTS = {
    "JSON": ("a.json", json.dumps([task(UPLOADED, result("0053"))])),
    "choices": ("a.json", json.dumps([task(UPLOADED, result("0053", "kind", "choices"))])),
    "completions": ("a.json", json.dumps([task(UPLOADED, result("0053"), key="completions")])),
    "JSON-MIN": ("a.json", json.dumps([flat(UPLOADED, "0053")])),
    "JSON-MIN, own name": ("a.json", json.dumps([flat(UPLOADED, "0053", "says")])),
    "CSV": ("a.csv", CSV),
    "TSV": ("a.tsv", CSV.replace(",", "\t")),
}


@pytest.mark.parametrize(("name", "text"), EXPORTS.values(), ids=EXPORTS)
def test_an_export_is_a_list_of_labels(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text, "utf-8")
    found = read_listing(tmp_path / name)
    assert found.rows == [("7.png", "0053")]
    assert found.said == "exported by Label Studio"


def test_a_folder_with_an_export_has_labels(tmp_path: Path):
    for name in ("7.png", "8.png"):
        (tmp_path / name).touch()
    served = "/data/local-files/?d=other/place/8.png"
    content = [task(UPLOADED, result("0053")), task(served, result("9"))]
    (tmp_path / "project-1.json").write_text(json.dumps(content), "utf-8")
    found = find_labels(tmp_path)
    assert found.pairs == [(tmp_path / "7.png", "0053"), (tmp_path / "8.png", "9")]
    assert "project-1.json (exported by Label Studio)" in found.notes[0]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/3f2a90b1-7xk2.png", "7xk2.png"),
        ("/data/upload/1/3f2a90b1-deadbeef-7.png", "deadbeef-7.png"),
        ("http://localhost:8080/data/upload/1/3f2a90b1-7.png", "7.png"),
        ("/label/data/upload/1/3f2a90b1-7.png", "7.png"),
        ("deadbeef-7.png", "deadbeef-7.png"),  # not uploaded: it is the file's name
        ("/data/local-files/?d=a/3f2a90b1-7.png", "a/3f2a90b1-7.png"),
        ("/data/local-files/?d=%C3%A9%2B1.png", "é+1.png"),
        ("s3://bucket/a/7.png", "/a/7.png"),
        ("C:\\a\\7.png", "\\a\\7.png"),
    ],
)
def test_names_are_those_that_the_files_had(address: str, name: str):
    assert image_name(address) == name


def test_what_has_no_label_is_left_out(tmp_path: Path):
    content = [
        task("1.png", result("a")),
        task("2.png", result("b"), was_cancelled=True),
        task("3.png"),
        {"id": 4, "annotations": [], "predictions": [], "data": {"ocr": "4.png"}},
        task("5.png", {"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["c"]}}),
    ]
    (tmp_path / "a.json").write_text(json.dumps(content), "utf-8")
    assert read_listing(tmp_path / "a.json").rows == [("1.png", "a")]


def test_the_label_is_what_the_field_of_a_known_name_says(tmp_path: Path):
    one = task("1.png", result("nice", "remark"), result("0053", "captcha"))
    (tmp_path / "a.json").write_text(json.dumps([one]), "utf-8")
    assert read_listing(tmp_path / "a.json").rows == [("1.png", "0053")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([task("1.png", result("a", "p"), result("b", "q"))], "fields p, q; call that of the lab"),
        ([task("1.png", result("a")), task("1.png", result("b"))], "two labels, 'a' and 'b'"),
        ([make_task("images", "1.png", "a", 0.5)], "no labels yet"),
        (
            [{"data": {}, "annotations": [1, {"result": 1}, {"result": [1, {"value": 1}]}]}],
            "no lab",
        ),
        ([task("1.png")], "a.json: this export of Label Studio has no labels yet"),
    ],
)
def test_what_is_not_clear_is_asked_about(tmp_path: Path, content: Any, said: str):
    (tmp_path / "a.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match=said):
        read_listing(tmp_path / "a.json")


def test_two_who_agree_are_no_conflict(tmp_path: Path):
    content = [flat("1.png", "a"), flat("1.png", "a")]
    (tmp_path / "a.json").write_text(json.dumps(content), "utf-8")
    assert read_listing(tmp_path / "a.json").rows == [("1.png", "a")]


def test_a_task_names_what_the_interface_has_and_leads_back_to_the_file():
    made = make_task("my images", "a+b %.png", "7xk2", 0.87654)
    assert image_name(made["data"]["image"]) == "my images/a+b %.png"
    (prediction,) = made["predictions"]
    (one,) = prediction["result"]
    assert prediction["score"] == 0.8765 and one["value"] == {"text": ["7xk2"]}
    assert f'<TextArea name="{one["from_name"]}" toName="{one["to_name"]}"' in CONFIG
    assert made["data"].keys() == {"image"} and 'value="$image"' in CONFIG
    assert make_task("a", "1.png", "", 0.1)["predictions"] == []
