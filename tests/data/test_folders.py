"""Folders are read as they are, bad files are named, and labels do not leak between splits."""

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tqdm import tqdm

from captcha_helpers.core.charset import LOWER, Charset
from captcha_helpers.data.folders import LabeledImages, load_folder, read_labels, split_by_label

REAL = Path(__file__).parents[3] / "shared" / "real"
SIZE = {"height": 16, "width": 48}


def draw(path: Path, grey: int = 200) -> None:
    Image.new("L", (60, 20), grey).save(path)


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def mess(tmp_path):
    """Three good images, and everything that goes wrong in practice."""
    for number, name in enumerate(["ab.png", "abc_copy.png", "b.jpg"]):
        draw(tmp_path / name, 50 * number)
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "zero.gif").touch()
    Image.new("L", (1, 1)).save(tmp_path / "dot.bmp")
    draw(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) - 30])
    draw(tmp_path / "é1.webp")
    draw(tmp_path / "_no label.png")
    return tmp_path


BAD = ["_no label.png", "cut.png", "dot.bmp", "text.png", "zero.gif", "é1.webp"]


def test_labels_from_file_names(tmp_path):
    for name in ["b.png", "a_1.PNG", "a_2.jpeg", "Ab.Gif", "c_d_e.webp", "x.y.bmp", "z.JPG"]:
        (tmp_path / name).touch()
    for name in [".hidden.png", "._a.png", "readme.txt", "Thumbs.db", "noextension"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [(path.name, label) for path, label in read_labels(tmp_path)]
    assert found == [
        ("Ab.Gif", "Ab"),
        ("a_1.PNG", "a"),
        ("a_2.jpeg", "a"),
        ("b.png", "b"),
        ("c_d_e.webp", "c"),
        ("x.y.bmp", "x.y"),
        ("z.JPG", "z"),
    ]


def test_an_accent_is_one_character_whoever_wrote_the_file_name(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "é1_mac.png")).touch()
    (tmp_path / unicodedata.normalize("NFC", "é1_windows.png")).touch()
    assert {label for _, label in read_labels(tmp_path)} == {"\u00e91"}


def test_labels_csv_takes_the_place_of_file_names(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ["2.png", "1.png", "sub/3.png", "unlisted.png"]:
        draw(tmp_path / name)
    text = 'file,year,label\n2.png,2001,"x,y"\n1.png,2002,e\u0301\n\nsub/3.png,2003,ab\n'
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8-sig")
    with pytest.warns(UserWarning, match=r"Left out, .* 1 image \(unlisted.png\)"):
        data = load_folder(tmp_path, **SIZE)
    assert list(zip(data.names, data.labels, strict=True)) == [
        ("1.png", "é"),
        ("2.png", "x,y"),
        (str(Path("sub/3.png")), "ab"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"picture of,year,says\na.png,2001,ab\n",
            "line 1: expected a header.*got 'picture of,year",
        ),
        (b"just some words\n", "line 1: expected a header with the columns file,label, got 'just"),
        (b"", "line 1: expected a header"),
        (b"file,label\na.png,\nb.png,\n", "line 2: the label is missing, and so are all others"),
        (b"file,label\na.png,ab\nb.png\n", "line 3: the label is missing"),
        (b"file,label\na.png,ab\n,cd\n", "line 3: the file is missing"),
        (b"file,label\na.png,ab\nb.png,cd\na.png,ef\n", "line 4: 'a.png' is listed already in lin"),
        (b"file,label\na.png,\xe9\n", "labels.csv is not UTF-8"),
        (b"file,label\n", "no images in"),
    ],
)
def test_a_malformed_labels_csv_is_reported_with_its_line(content, message, tmp_path):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["file,label\na.png,ab\nb.png,\nc.png,\n", "id,file,label\n1,a.png,ab\n2,b.png,\n3,c.png,\n"],
)
def test_listed_images_that_have_no_label_yet_are_counted_and_left_out(content: str, tmp_path):
    """So `train` and `check` take a list that somebody prepared and has not labelled to its end."""
    for name in "abc":
        draw(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text(content)
    said = r"Left out, because labels.csv has no label for them yet: 2 images \(b.png, c.png\)\.$"
    with pytest.warns(UserWarning, match=said):
        assert read_labels(tmp_path) == [(tmp_path / "a.png", "ab")]


def test_a_folder_named_labels_csv_is_reported(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(ValueError, match="labels.csv is a folder.*give it another name"):
        read_labels(tmp_path)


def test_a_listed_file_that_is_missing_is_named(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,label\na.png,ab\ngone.png,cd\n")
    with pytest.raises(ValueError, match=r"1 of 2 images.*\n  gone.png: there is no such file"):
        load_folder(tmp_path, **SIZE)
    with pytest.warns(UserWarning, match="1 of 2"):
        assert load_folder(tmp_path, **SIZE, on_error="skip").names == ["a.png"]


def test_load_folder(tmp_path):
    for name, grey in [("b_2.png", 20), ("a.jpg", 10), ("b_1.gif", 30)]:
        draw(tmp_path / name, grey)
    data = load_folder(tmp_path, **SIZE)
    assert data.images.shape == (3, 16, 48, 1)
    assert data.images.dtype == np.uint8
    assert data.images[:, 8, 24, 0].tolist() == [10, 30, 20]
    assert data.labels == ["a", "b", "b"]
    assert data.names == ["a.jpg", "b_1.gif", "b_2.png"]
    assert data.skipped == []
    assert len(data) == 3


def test_labels_of_different_lengths_are_padded_when_encoded(tmp_path):
    for name in ["abc.png", "b.png"]:
        draw(tmp_path / name)
    data = load_folder(tmp_path, **SIZE, charset=Charset("abc"))
    assert Charset("abc").encode(data.labels, names=data.names).tolist() == [[1, 2, 3], [2, 0, 0]]
    with pytest.raises(ValueError, match=r"'abc' \(row 0, abc.png\) is 3 characters long"):
        Charset("abc").encode(data.labels, length=2, names=data.names)


@pytest.mark.parametrize(
    ("length", "expected", "bad"),
    [
        (4, "4", {"ab.png": 2, "abcde_1.png": 5}),
        (np.int64(4), "4", {"ab.png": 2, "abcde_1.png": 5}),
        ((3, 4), "3 to 4", {"ab.png": 2, "abcde_1.png": 5}),
        ((2, 4), "2 to 4", {"abcde_1.png": 5}),
        ((1, 9), "", {}),
    ],
)
def test_labels_of_another_length_are_named(length, expected, bad, tmp_path):
    for name in ["ab.png", "abcd.png", "abcde_1.png", "bcda_x.png"]:
        draw(tmp_path / name)
    if not bad:
        assert len(load_folder(tmp_path, **SIZE, length=length)) == 4
        return
    with pytest.raises(ValueError, match=f"{len(bad)} of 4 images") as caught:
        load_folder(tmp_path, **SIZE, length=length)
    lines = [
        f"  {name}: its label {name[:size]!r} is {size} characters long, expected {expected}"
        for name, size in bad.items()
    ]
    assert str(caught.value).splitlines()[1:] == lines
    with pytest.warns(UserWarning, match=f"{len(bad)} of 4 images .* were skipped"):
        data = load_folder(tmp_path, **SIZE, length=length, on_error="skip")
    assert [f"  {name}: {reason}" for name, reason in data.skipped] == lines
    assert not set(data.names) & set(bad)


@pytest.mark.parametrize("length", [0, (5, 4), (0, 4)])
def test_an_impossible_length_is_refused(length, tmp_path):
    draw(tmp_path / "ab.png")
    with pytest.raises(ValueError, match="length must be a number of characters from 1"):
        load_folder(tmp_path, **SIZE, length=length)


def test_raise_names_every_bad_file_at_once(mess):
    with pytest.raises(ValueError, match="6 of 9 images .*on_error='skip'") as caught:
        load_folder(mess, **SIZE, charset=Charset(LOWER))
    listed = [line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert listed == BAD
    assert "é1.webp: its label 'é1' has characters not in the charset: 'é', '1'" in str(
        caught.value
    )


def test_skip_goes_on_and_records_what_was_left_out(mess):
    with pytest.warns(UserWarning, match="6 of 9 images .* were skipped") as warned:
        data = load_folder(mess, **SIZE, charset=Charset(LOWER), on_error="skip")
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert data.names == ["ab.png", "abc_copy.png", "b.jpg"]
    assert data.labels == ["ab", "abc", "b"]
    assert [name for name, _ in data.skipped] == BAD
    assert all(reason and str(mess) not in reason for _, reason in data.skipped)


def test_a_long_list_of_bad_files_is_cut(tmp_path):
    for number in range(25):
        (tmp_path / f"{number % 5}x{number:02}.png").touch()
    with pytest.raises(ValueError, match="25 of 25") as caught:
        load_folder(tmp_path, **SIZE)
    assert len(str(caught.value).splitlines()) == 12
    assert str(caught.value).endswith("... and 15 more")


@pytest.mark.parametrize("name", ["ab.png", "_ab.png"])
def test_skip_does_not_return_an_empty_set(name, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"1 of 1 images.*\n  {name}: "):
        load_folder(tmp_path, **SIZE, on_error="skip")


def test_the_folder_is_not_changed(mess):
    before = fingerprint(mess)
    with pytest.warns(UserWarning):
        data = load_folder(mess, **SIZE, on_error="skip")
    data.images[:] = 0
    assert fingerprint(mess) == before


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder.*nowhere"):
        load_folder(tmp_path / "nowhere", **SIZE)
    with pytest.raises(ValueError, match="no images in.*LABEL.png"):
        load_folder(tmp_path, **SIZE)
    (tmp_path / "a.png").touch()
    with pytest.raises(NotADirectoryError, match="is a file"):
        load_folder(tmp_path / "a.png", **SIZE)


def test_on_error_must_be_known(tmp_path):
    with pytest.raises(ValueError, match="'raise' or 'skip', got 'ignore'"):
        load_folder(tmp_path, **SIZE, on_error="ignore")


def test_without_a_charset_any_label_but_an_empty_one_will_do(mess):
    with pytest.warns(UserWarning, match="5 of 9"):
        data = load_folder(mess, **SIZE, on_error="skip")
    assert "é1" in data.labels
    assert dict(data.skipped)["_no label.png"] == "its label '' is empty"


@pytest.mark.parametrize(("progress", "shown"), [(None, False), (False, False), (True, True)])
def test_nothing_is_printed_outside_a_terminal(progress, shown, tmp_path, capfd, monkeypatch):
    def bar_at_once(*args, **options):
        return tqdm(*args, **options | {"delay": 0})

    monkeypatch.setattr("captcha_helpers.data.folders.tqdm", bar_at_once)
    draw(tmp_path / "a.png")
    load_folder(tmp_path, **SIZE, progress=progress)
    printed, bar = capfd.readouterr()
    assert printed == ""
    assert ("1/1" in bar) == shown == bool(bar)


def test_subset_keeps_images_labels_and_names_together():
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    data = LabeledImages(images, list("abcd"), ["a.png", "b.png", "c.png", "d.png"], [("e", "bad")])
    for indices in ([3, 1], np.array([3, 1])):
        part = data.subset(indices)
        assert part.images.ravel().tolist() == [3, 1]
        assert part.labels == ["d", "b"]
        assert part.names == ["d.png", "b.png"]
        assert part.skipped == []
    assert data.subset(np.array([True, False, False, True])).labels == ["a", "d"]
    assert data.subset(np.array([], int)).images.shape == (0, 1, 1, 1)
    assert data.subset([]).labels == []


distinct_labels = st.lists(st.text("abcé1", min_size=1), unique=True, min_size=10, max_size=30)
labels_with_repeats = distinct_labels.flatmap(
    lambda labels: st.lists(st.sampled_from(labels)).map(lambda more: labels + more)
)


@given(labels_with_repeats, st.integers(0, 3))
def test_no_label_is_on_two_sides_and_no_image_is_lost(labels, seed):
    parts = split_by_label(labels, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    train, validation, test = ({labels[i] for i in part} for part in parts)
    assert train and validation and test
    assert not (train & validation or train & test or validation & test)
    assert abs(len(train) - 0.8 * len(set(labels))) <= 1


@given(labels_with_repeats, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_the_files(labels, random):
    shuffled = random.sample(labels, len(labels))
    for part, same in zip(split_by_label(labels), split_by_label(shuffled), strict=True):
        assert [labels[i] for i in part] == [shuffled[i] for i in same]


def test_the_split_is_seeded_and_shuffled():
    labels = [f"{number:03}" for number in range(500)]
    first, again, other = (split_by_label(labels, seed=seed)[0].tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert first != sorted(first)


@pytest.mark.parametrize("fractions", [(0.8, 0.1), (1.2, -0.2), (float("nan"), 0.5), (), ((1,),)])
def test_bad_fractions(fractions):
    with pytest.raises(ValueError, match="numbers >= 0 that sum to 1"):
        split_by_label(list("abcdefghij"), fractions)


def test_an_empty_part_is_made_only_where_asked_for():
    with pytest.raises(ValueError, match="2 distinct labels are too few"):
        split_by_label(["a", "b", "a", "b"])
    with pytest.raises(ValueError, match="0 distinct labels"):
        split_by_label([])
    train, validation, test = split_by_label(list("abcdefghij"), (0.7, 0, 0.3))
    assert [len(train), len(validation), len(test)] == [7, 0, 3]


def test_one_label_is_not_taken_for_a_list_of_labels():
    with pytest.raises(TypeError, match="several labels"):
        split_by_label("abcdefghij")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not beside this checkout")
def test_a_real_folder_with_labels_csv():
    data = load_folder(REAL / "stars6", **SIZE, charset=Charset("0123456789"))
    assert len(data) == 200
    assert {len(label) for label in data.labels} == {6}
    assert data.images.std() > 10
