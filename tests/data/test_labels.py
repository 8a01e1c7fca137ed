"""Labels are found where people keep them; what was taken and what was left out is said."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers.data.folders import load_folder, read_labels
from captcha_helpers.data.labels import find_labels, image_files

TEXTS = ["".join(np.random.default_rng(i).choice(list("ACEHKMPT"), 4)) for i in range(60)]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def numbered(folder: Path, count: int = 60) -> None:
    put(folder, *(f"{i}.png" for i in range(count)))


def labels_of(folder: Path) -> tuple[dict[str, str], str]:
    pairs, notes = find_labels(folder)
    return {path.relative_to(folder).as_posix(): label for path, label in pairs}, " ".join(notes)


LISTED = {f"{i}.png": text for i, text in enumerate(TEXTS)}
LISTS = {
    "labels.csv": "file,label\n" + "".join(f"{n},{t}\n" for n, t in LISTED.items()),
    "Labels.CSV": "file,label\n" + "".join(f"{n},{t}\n" for n, t in LISTED.items()),
    "annotations.csv": "image_path,plate_text\n" + "".join(f"{n},{t}\n" for n, t in LISTED.items()),
    "labels.txt": "".join(f"{n} {t}\n" for n, t in LISTED.items()),
    "labels.json": json.dumps(LISTED),
    "metadata.jsonl": "\n".join(json.dumps({"file_name": n, "text": t}) for n, t in LISTED.items()),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_any_name_is_taken_and_named(tmp_path: Path, name: str):
    numbered(tmp_path)
    put(tmp_path, "readme.txt", "notes.json")
    (tmp_path / name).write_text(LISTS[name])
    found, said = labels_of(tmp_path)
    assert found == LISTED
    assert (name in said) == (name != "labels.csv")


@pytest.mark.parametrize(
    ("file", "sub", "named"),
    [
        ("annotations.csv", "images", "images/"),
        ("annotations.csv", "images", ""),
        ("train_labels.txt", "train", "train/"),
        ("train_labels.txt", "train", "data/train/"),
    ],
)
def test_a_list_of_any_name_above_the_folder_of_images_is_taken(
    tmp_path: Path, file: str, sub: str, named: str
):
    numbered(tmp_path / sub)
    put(tmp_path, "val/a.png" if sub == "train" else "readme.txt")
    between, first = (" ", "") if file.endswith(".txt") else (",", "file_name,text\n")
    rows = [f"{named}{name}{between}{text}\n" for name, text in LISTED.items()]
    (tmp_path / file).write_text(first + "".join(rows))
    found, said = labels_of(tmp_path)
    assert found == {f"{sub}/{name}": text for name, text in LISTED.items()}
    assert f"The labels are those of {file}" in said
    assert ("does not list them: 1 image (a.png)" in said) == (sub == "train")


def test_a_refusal_names_the_list_that_lies_one_level_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    numbered(tmp_path / "images")
    rows = "".join(f"images/{name},{text}\n" for name, text in LISTED.items())
    (tmp_path / "annotations.csv").write_text(f"image,text\n{rows}")
    with pytest.raises(ValueError, match=r"are a counter .*one level up, in annotations.csv: pass"):
        find_labels(tmp_path / "images")
    monkeypatch.chdir(tmp_path / "images")
    with pytest.raises(ValueError, match=r"one level up, in annotations.csv: pass '\.\.'"):
        find_labels(".")


@pytest.mark.parametrize("folder", ["", "images"])
def test_a_list_above_that_was_not_understood_is_named(tmp_path: Path, folder: str):
    numbered(tmp_path / "images")
    (tmp_path / "data.csv").write_text("picture,year,says\n1.png,2001,abc\n")
    with pytest.raises(ValueError, match=r"are a counter .*data.csv, line 1: expected a header"):
        find_labels(tmp_path / folder)


def test_labels_csv_comes_first_and_needs_no_word(tmp_path: Path):
    numbered(tmp_path)
    (tmp_path / "labels.txt").write_text(LISTS["labels.txt"])
    (tmp_path / "labels.csv").write_text("file,label\n0.png,mine\n")
    found, said = labels_of(tmp_path)
    assert found == {"0.png": "mine"} and "59 images (1.png" in said


def test_two_lists_are_not_chosen_from(tmp_path: Path):
    numbered(tmp_path)
    for name in ("train.txt", "val.txt"):
        (tmp_path / name).write_text(LISTS["labels.txt"])
    with pytest.raises(ValueError, match=r"train.txt, val.txt .* into one labels.csv"):
        find_labels(tmp_path)


def test_a_list_that_was_not_understood_is_named(tmp_path: Path):
    numbered(tmp_path)
    (tmp_path / "data.csv").write_text("picture,year,says\n1.png,2001,abc\n")
    with pytest.raises(ValueError, match=r"are a counter .*data.csv, line 1: expected a header"):
        find_labels(tmp_path)


@pytest.mark.parametrize(
    "name", ["C:\\data\\1.png", "img\\1.png", "/data/me/captchas/1.png", "data/img/1.PNG", "1"]
)
def test_names_from_another_machine_lead_to_the_images_here(tmp_path: Path, name: str):
    put(tmp_path, "img/1.png", "img/2.png")
    (tmp_path / "labels.csv").write_text(f"file,label\n{name},7xk2\n")
    found, said = labels_of(tmp_path)
    assert found == {"img/1.png": "7xk2"}
    assert (repr(name) in said) and "'img/1.png' here" in said


def test_two_lines_for_one_image_are_refused(tmp_path: Path):
    put(tmp_path, "1.png")
    (tmp_path / "labels.csv").write_text("file,label\na/1.png,7xk2\nb/1.png,9mn4\n")
    with pytest.raises(ValueError, match="several lines are the same image"):
        find_labels(tmp_path)


def test_a_listed_image_that_two_folders_have_is_missing(tmp_path: Path):
    put(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "labels.csv").write_text("file,label\n1.png,7xk2\n")
    assert [path for path, _ in find_labels(tmp_path).pairs] == [tmp_path / "1.png"]


@pytest.mark.parametrize("ending", [".gt.txt", ".txt", ".png.txt"])
def test_a_text_file_beside_each_image(tmp_path: Path, ending: str):
    numbered(tmp_path)
    for i, text in enumerate(TEXTS[:59]):
        (tmp_path / f"{i}{ending}").write_text(text + "\n")
    found, said = labels_of(tmp_path)
    assert found == LISTED | {"59.png": ""}
    assert f"0{ending}" in said


def test_text_files_with_boxes_are_no_labels(tmp_path: Path):
    numbered(tmp_path)
    for i in range(60):
        (tmp_path / f"{i}.txt").write_text("0 0.1 0.2 0.3 0.4\n1 0.2 0.2 0.3 0.4\n")
    with pytest.raises(ValueError, match="are not labels: they are a counter"):
        find_labels(tmp_path)


def test_counted_files_are_refused_with_what_to_do(tmp_path: Path):
    put(tmp_path, *(f"IMG_{i:04}.png" for i in range(60)))
    with pytest.raises(ValueError) as caught:
        find_labels(tmp_path)
    for said in ("one word and a counter", "IMG_0000.png ... IMG_0059.png", "7xk2_01.png", "file,"):
        assert said in str(caught.value)


@pytest.mark.parametrize("ending", [".jfif", ".JPE", ".Apng", ".DIB", ".pjpeg"])
def test_other_endings_of_the_images_that_are_read(tmp_path: Path, ending: str):
    put(tmp_path, f"7xk2{ending}", "9mn4.png")
    assert sorted(labels_of(tmp_path)[0].values()) == ["7xk2", "9mn4"]
    assert len(image_files(tmp_path)) == 2


def test_what_is_left_out_is_counted(tmp_path: Path):
    put(tmp_path, "7xk2.png", "9mn4.svg", "1abc.svg", "2abc.psd", "old/3abc.png", "readme.md")
    (tmp_path / "4abc").write_bytes(b"\x89PNG\r\n")
    _, said = labels_of(tmp_path)
    assert "3 files (.psd: 1, .svg: 2)" in said
    assert "1 image in sub-folders (old)" in said
    assert "1 image (4abc)" in said and "readme" not in said


def test_a_folder_without_any_image_says_what_is_there(tmp_path: Path):
    put(tmp_path, "1abc.svg")
    (tmp_path / "4abc").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"no images in .* 1 file \(.svg: 1\).* 1 image \(4abc\)"):
        find_labels(tmp_path)


def test_the_only_sub_folder_is_looked_into(tmp_path: Path):
    put(tmp_path, *(f"captchas/{text}.png" for text in TEXTS), "notes/a.txt")
    found, said = labels_of(tmp_path)
    assert sorted(found.values()) == sorted(set(TEXTS)) and "'captchas'" in said


@pytest.mark.parametrize("file", ["{i}.png", "img{i}.png", "{i:08}-x.png"])
def test_a_folder_for_each_label(tmp_path: Path, file: str):
    put(tmp_path, *(f"{text}/{file.format(i=i)}" for i, text in enumerate(TEXTS)))
    found, said = labels_of(tmp_path)
    assert list(found.values()) == [Path(name).parent.name for name in found]
    assert len(found) == 60 and "names of the" in said


def test_a_folder_for_each_character_counted_anew_in_each(tmp_path: Path):
    put(tmp_path, *(f"{char}/{i}.png" for char in "ABC" for i in range(20)))
    found, _ = labels_of(tmp_path)
    assert sorted(set(found.values())) == ["A", "B", "C"] and len(found) == 60


@pytest.mark.parametrize("deeper", ["", "A/"])
def test_a_data_set_in_parts_names_them(tmp_path: Path, deeper: str):
    put(tmp_path, *(f"{part}/{deeper}{text}.png" for part in ("test", "Train") for text in TEXTS))
    with pytest.raises(
        ValueError, match=r"in parts; pass one: '.*Train' \(there are Train, test\)"
    ):
        find_labels(tmp_path)


def test_a_list_of_several_parts_is_not_taken_for_one_data_set(tmp_path: Path):
    """The images to test with would be learned from."""
    names = [f"{part}/{i}.png" for part in ("test", "train") for i in range(60)]
    put(tmp_path, *names)
    lines = [f"{name},{text}\n" for name, text in zip(names, TEXTS * 2, strict=True)]
    (tmp_path / "all.csv").write_text("file,label\n" + "".join(lines))
    with pytest.raises(ValueError, match=r"pass one: '.*train' .* its lines into a labels\.csv in"):
        find_labels(tmp_path)
    (tmp_path / "all.csv").write_text("file,label\n" + "".join(lines[60:]))
    found, said = labels_of(tmp_path)
    assert list(found) == sorted(names[60:]) and "all.csv does not list them: 60 images" in said


def test_the_labels_csv_of_a_sub_folder_comes_before_a_list_above(tmp_path: Path):
    put(tmp_path, "images/1.png", "images/2.png")
    (tmp_path / "images" / "labels.csv").write_text("file,label\n1.png,right\n2.png,too\n")
    (tmp_path / "old.csv").write_text("file,label\nimages/1.png,wrong\nimages/2.png,wrong\n")
    assert labels_of(tmp_path)[0] == {"images/1.png": "right", "images/2.png": "too"}


def test_sub_folders_of_labelled_images_are_asked_about(tmp_path: Path):
    put(tmp_path, *(f"{i % 2}/{text}.png" for i, text in enumerate(TEXTS)))
    with pytest.raises(ValueError, match=r"in sub-folders .*\(0, 1\); pass one of them"):
        find_labels(tmp_path)


def test_numbered_folders_are_no_labels(tmp_path: Path):
    put(tmp_path, *(f"{i:03}/image.png" for i in range(60)))
    with pytest.raises(ValueError, match="in sub-folders"):
        find_labels(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path):
    put(tmp_path, "images/7xk2.png")
    archive = shutil.make_archive(str(tmp_path / "images"), "zip", tmp_path / "images")
    with pytest.raises(NotADirectoryError, match="an archive; unpack it and pass the folder"):
        find_labels(archive)


def test_blanks_around_labels_are_removed_and_said(tmp_path: Path):
    put(tmp_path, " 0089.png", "0090 .png", "00 91.png")
    found, said = labels_of(tmp_path)
    assert sorted(found.values()) == ["00 91", "0089", "0090"]
    assert said == "Removed blanks around 2 labels: ' 0089', '0090 '."


def test_notes_are_one_warning_at_the_line_that_called(tmp_path: Path):
    for i, text in enumerate(TEXTS):
        Image.new("L", (60, 20), 9).save(tmp_path / f"{i}_{text}.png")
    for look in (read_labels, lambda folder: load_folder(folder, height=16, width=48)):
        with pytest.warns(UserWarning, match="The label is the part") as caught:
            look(tmp_path)
        assert len(caught) == 1 and caught[0].filename == __file__


def test_a_folder_as_expected_gives_no_warning(tmp_path: Path):
    put(tmp_path, *(f"{text}_{i}.png" for i, text in enumerate(TEXTS)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_labels(tmp_path)) == 60


def test_a_name_that_is_no_text_has_no_label_and_is_named(tmp_path: Path):
    put(tmp_path, "abcd.png", "7xk2_1.png")
    try:
        os.rename(tmp_path / "abcd.png", os.path.join(os.fsencode(tmp_path), b"ab\xf6d.png"))
    except OSError:
        pytest.skip("this file system has names in Unicode only")
    pairs, notes = find_labels(tmp_path)
    assert [label for _, label in pairs] == ["7xk2", ""]
    assert "1 label cannot be decoded" in notes[0] and r"'ab\udcf6d'" in notes[0]
