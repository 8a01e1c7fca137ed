"""Wrong labels stand at the top of the list; what cannot be read stops nothing."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from captcha_helpers import find_label_errors, load
from captcha_helpers.cli.label import copy_labels, name_below
from captcha_helpers.cli.main import main
from captcha_helpers.data.labels import find_labels
from captcha_helpers.drawing.samples import write_samples
from captcha_helpers.reading.label_errors import contradictions, difference
from captcha_helpers.serving import labelling
from captcha_helpers.serving.label_session import Item, LabelSession


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty images, of which four have a wrong label."""
    paths = sorted(write_samples(tmp_path, 40, seed=3, styles=["stars"]))
    rows = [[path.name, path.stem.split("_")[0]] for path in paths]
    rows[5][1] = rows[5][1][:-1] + str((int(rows[5][1][-1]) + 1) % 10)
    rows[11][1] = rows[12][1]
    rows[20][1] = rows[20][1][:4]
    rows[30][1] += "é"
    with open(tmp_path / "stars" / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *rows])
    return tmp_path / "stars"


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["stars", "general"])
def test_the_wrong_labels_come_first(folder: Path, reader: str):
    found = find_label_errors(folder, reader)
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".png")
    assert {paths.index(one.path) for one in found[:4]} == {5, 11, 20, 30}
    assert all(one.probability < 0.01 for one in found[:4])
    assert all(one.label != one.reading.text for one in found)


def test_an_image_that_cannot_be_read_is_left_out(folder: Path):
    first = sorted(folder.glob("*.png"))[5]
    first.write_bytes(b"no picture")
    assert len(find_label_errors(folder, load("stars"))) == 3


@pytest.mark.slow
def test_the_verb_lists_them_for_people_and_for_programs(folder: Path):
    said = CliRunner().invoke(main, ["check", str(folder), "--model", "stars", "--limit", "2"])
    assert said.exit_code == 0 and "4 labels are not what stars reads" in said.output
    assert said.output.count("times as likely") == 2
    result = CliRunner().invoke(main, ["check", str(folder), "--model", "stars", "--json"])
    rows = json.loads(result.output)
    assert len(rows) == 4 and {"path", "label", "reading", "probability", "reason"} == set(rows[0])


def test_the_same_picture_with_two_labels_is_in_the_list(folder: Path):
    """Both are: where the reader takes the wrong one for true, the true one would be missing."""
    paths = sorted(folder.glob("*.png"))
    first, second = folder / "copy_1.png", folder / "copy_2.png"
    for copy in (first, second):
        copy.write_bytes(paths[0].read_bytes())
    label = dict(find_labels(folder).pairs)[paths[0]]
    with open(folder / "labels.csv", "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["copy_1.png", label], ["copy_2.png", label[:-1] + "x"]])
    found = find_label_errors(folder, "stars")
    reasons = {one.path: one.reason for one in found if one.reason.startswith("the same")}
    assert set(reasons) == {paths[0], first, second}
    assert reasons[first] == f"the same picture as copy_2.png, labelled {label[:-1] + 'x'!r}"
    assert reasons[second].endswith(f"labelled {label!r}")
    places = [one.path for one in found]
    assert places.index(second) < places.index(first)  # the reader says which is the wrong one
    said = CliRunner().invoke(main, ["check", str(folder), "--model", "stars", "--json"])
    rows = json.loads(said.output)
    assert {row["path"] for row in rows} >= {str(path) for path in reasons}
    assert rows[places.index(first)]["reason"] == reasons[first]
    said = CliRunner().invoke(main, ["check", str(folder), "--model", "stars"])
    assert "7 labels are not what stars reads, or not that of a copy; the most" in said.output


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        *(("sub/{}", slice(5, 6)), ("sub\\{}", slice(5, 6)), ("elsewhere/sub/{}", slice(5, 6))),
        *(("{}", slice(5, 6)), ("sub/{}", slice(None)), ("{}", slice(None))),
    ],
)
def test_labels_of_images_in_sub_folders_are_corrected_where_they_stand(
    folder: Path, monkeypatch: pytest.MonkeyPatch, written: str, moved: slice
):
    paths = sorted(folder.glob("*.png"))
    path = paths[5]
    (folder / "sub").mkdir()
    listed = (folder / "labels.csv").read_text("utf-8")
    wrong = dict(csv.reader(listed.splitlines()))[path.name]
    for one in paths[moved]:
        one.rename(folder / "sub" / one.name)
        listed = listed.replace(one.name, written.format(one.name))
    (folder / "labels.csv").write_text(listed, "utf-8")
    asked: list[Item] = []

    def correct(folder: Path, **options: Any) -> None:
        session = LabelSession(folder, **options)
        while (item := session.next()) is not None:
            asked.append(item)
            session.label(item.name, "999", before=item.label, sure=True)
        progress = session.progress()
        assert 0 < progress.labelled <= progress.images
        session.close()

    monkeypatch.setattr(labelling, "label", correct)
    said = CliRunner().invoke(main, ["check", str(folder), "--model", "stars", "--fix"])
    assert said.exit_code == 0, said.output
    assert ("sub/" + path.name, wrong) in [(item.name, item.label) for item in asked]
    after = (folder / "labels.csv").read_text("utf-8")
    assert f"{written.format(path.name)},999" in after.splitlines()
    assert after.count(path.name) == 1


def test_labels_of_images_elsewhere_are_left_to_whoever_wrote_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(labelling, "label", lambda *_, **__: None)
    path = sorted(folder.glob("*.png"))[5]
    path.rename(folder.parent / path.name)
    listed = (folder / "labels.csv").read_text("utf-8").replace(path.name, f"../{path.name}")
    (folder / "labels.csv").write_text(listed, "utf-8")
    said = CliRunner().invoke(main, ["check", str(folder), "--model", "stars", "--fix"])
    assert said.exit_code == 1 and "correct that label in its list by hand" in said.output


def test_a_program_cannot_correct_labels_on_a_page(folder: Path):
    said = CliRunner().invoke(main, ["check", str(folder), "--fix", "--json"])
    assert said.exit_code == 2 and "Give --fix or --json, not both" in said.output


def test_labels_of_file_names_are_copied_before_they_are_corrected(tmp_path: Path):
    paths = write_samples(tmp_path, 5, styles=["stars"])
    copy_labels(tmp_path / "stars")
    assert dict(find_labels(tmp_path / "stars").pairs) == {
        path: path.stem.split("_")[0] for path in paths
    }
    before = (tmp_path / "stars" / "labels.csv").read_bytes()
    copy_labels(tmp_path / "stars")
    assert (tmp_path / "stars" / "labels.csv").read_bytes() == before


def test_labels_in_sub_folders_are_not_copied_but_it_is_said_what_to_do(tmp_path: Path):
    write_samples(tmp_path, 5, styles=["stars"])
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")]
    lines = [f"{name},{number}\n" for number, name in enumerate(names)]
    (tmp_path / "plates.csv").write_text("file,label\n" + "".join(lines), "utf-8")
    with pytest.raises(ValueError, match=r"in sub-folders .* rename it to labels\.csv"):
        copy_labels(tmp_path)


def test_an_image_on_another_drive_is_named(monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, start: Path) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    with pytest.raises(ValueError, match="correct that label in its list by hand"):
        name_below(Path("images"), Path("D:/1.png"))


def test_copies_whose_labels_differ_in_case_agree_for_a_reader_that_ignores_it(folder: Path):
    first = sorted(folder.glob("*.png"))[0]
    (folder / "copy.png").write_bytes(first.read_bytes())
    pairs = [(first, "ab1"), (folder / "copy.png", "AB1")]
    assert set(contradictions(pairs)) == {first, folder / "copy.png"}
    assert not contradictions(pairs, load("general", ignore_case=True).decoder.as_written)


@pytest.mark.parametrize(
    ("label", "text", "words"),
    [
        ("abc", "abd", "c is read as d"),
        ("abc", "acb", "b and c are exchanged"),
        ("abc", "aBC", "upper and lower case"),
        ("abc", "ab", "1 more than is read"),
        ("ab", "abc", "1 fewer than is read"),
        ("abcd", "axyd", "2 of 4 characters differ"),
        ("abc", "", "3 more than is read"),
    ],
)
def test_reasons(label: str, text: str, words: str):
    assert difference(label, text) == words
