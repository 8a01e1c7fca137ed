"""A file of labels is whole at any moment, keeps its form, and what others wrote into it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from captcha_helpers.data.label_book import LabelBook, take_labels
from captcha_helpers.data.labels import find_labels
from tests.patience import end_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_a_new_file_appears_with_the_first_label_and_is_what_train_reads(path: Path):
    book = LabelBook(path)
    assert book.labels == {} and not path.exists()
    for name in ("b.png", "a.png"):
        (path.parent / name).touch()
    book.write({"b.png": "7xk2"})
    book.write({"a.png": 'a,"é'})
    assert find_labels(path.parent).pairs == [
        (path.parent / "a.png", 'a,"é'),
        (path.parent / "b.png", "7xk2"),
    ]
    assert LabelBook(path).labels == {"b.png": "7xk2", "a.png": 'a,"é'}


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_somebody_elses_keeps_its_columns_separator_and_encoding(
    path: Path, codec: str, end: str
):
    before = ["id;plate_text;image_path", "7;abc;1.png", "8;;2.png"]
    path.write_bytes(end.join([*before, ""]).encode(codec))
    book = LabelBook(path)
    assert book.labels == {"1.png": "abc"}
    book.write({"2.png": "Ü1", "3.png": "x"})
    after = ["id;plate_text;image_path", "7;abc;1.png", "8;Ü1;2.png", ";x;3.png"]
    assert path.read_bytes().decode(codec) == end.join([*after, ""])


def test_a_file_without_a_header_stays_without_one(path: Path):
    path.write_text("1.png\tabc\n", "utf-8")
    LabelBook(path).write({"2.png": "de"})
    assert path.read_text("utf-8") == "1.png\tabc\n2.png\tde\n"


def test_a_label_is_corrected_in_its_place_and_can_be_taken_back(path: Path):
    book = LabelBook(path)
    book.write({"1.png": "a", "2.png": "b", "3.png": "c"})
    book.write({"2.png": "B", "1.png": ""})
    assert path.read_text("utf-8") == "file,label\n2.png,B\n3.png,c\n"
    assert book.labels == {"2.png": "B", "3.png": "c"}


def test_two_that_write_by_turns_lose_nothing(path: Path):
    one, other = LabelBook(path), LabelBook(path)
    one.write({"1.png": "a"})
    other.write({"2.png": "b"})
    one.write({"3.png": "c"})
    assert one.labels == other.labels == {"1.png": "a", "2.png": "b", "3.png": "c"}


def test_two_programs_that_write_at_once_lose_nothing(path: Path):
    script = (
        "import sys; from captcha_helpers.data.label_book import LabelBook\n"
        "book = LabelBook(sys.argv[1])\n"
        "print(flush=True); sys.stdin.readline()\n"
        "for n in range(150):\n"
        "    book.write({f'{sys.argv[2]}{n}.png': str(n)})\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for process in both:
        assert process.stdout is not None and process.stdout.readline()
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        end_of(process)
        assert process.returncode == 0
    assert LabelBook(path).labels == {f"{name}{n}.png": str(n) for name in "ab" for n in range(150)}


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_program_that_is_killed_while_it_writes_leaves_nothing_locked(path: Path):
    script = (
        "import sys, time; from captcha_helpers.data.label_book import LabelBook\n"
        "with LabelBook(sys.argv[1]).held(): print(flush=True); time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.kill()
    LabelBook(path).write({"1.png": "a"})
    assert LabelBook(path).labels == {"1.png": "a"}


EXPORT = (  # of Label Studio
    "annotation_id,annotator,created_at,id,image,label,lead_time,updated_at\n"
    "9,1,2024,3,/data/upload/1/1a2b3c4d-7.png,0053,4.3,2024\n"
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.json", "{}", "must end in .csv"),
        ("labels.csv", "one,two,three\n1,2,3\n", "lists no images .*--labels"),
        ("labels.csv", "\xff\xfe\x00", "UTF-8"),
        ("a.csv", EXPORT, "--labels-from"),
    ],
)
def test_other_files_are_refused_and_stay(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        LabelBook(tmp_path / name)
    assert (tmp_path / name).read_bytes() == text.encode("latin-1")


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_at_any_moment_the_file_holds_all_that_was_answered(path: Path):
    script = (
        "import sys; from captcha_helpers.data.label_book import LabelBook\n"
        "book = LabelBook(sys.argv[1])\n"
        "for n in range(100_000):\n"
        "    book.write({f'{n}.png': str(n)}); print(n, flush=True)\n"
    )
    for stop_after in (3, 20, 57):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(stop_after):
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            last = max([last, *map(int, process.stdout.read().split())])
        found = LabelBook(path).labels
        assert len(found) in (last + 1, last + 2)  # one may have been written, but not answered
        assert all(found[f"{n}.png"] == str(n) for n in range(last + 1))


def test_lines_that_name_the_images_otherwise_are_those_images(tmp_path: Path):
    for name in ("1.png", "2.png", "3.png"):
        (tmp_path / name).touch()
    path = tmp_path / "labels.csv"
    path.write_text("file,label\ndata/1.png,abc\n2.PNG,\nelsewhere.png,x\n", "utf-8")
    book = LabelBook(path, tmp_path / ".." / tmp_path.name)
    assert book.labels == {"1.png": "abc", "elsewhere.png": "x"}
    book.write({"1.png": "abd", "2.png": "ef", "3.png": "gh"})
    after = "file,label\ndata/1.png,abd\n2.PNG,ef\nelsewhere.png,x\n3.png,gh\n"
    assert path.read_text("utf-8") == after
    assert book.labels["2.png"] == "ef"


def test_after_a_label_is_taken_back_the_others_are_still_found(tmp_path: Path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).touch()
    path = tmp_path / "labels.csv"
    path.write_text("id,file,label\n7,1.png,abc\n8,2.png,de\n", "utf-8")
    LabelBook(path, tmp_path).write({"1.png": ""})
    found = find_labels(tmp_path)
    assert found.pairs == [(tmp_path / "2.png", "de")]
    assert found.notes == ["Left out, because labels.csv has no label for it yet: 1 image (1.png)."]


def test_labels_of_another_list_are_taken_where_an_image_has_none(path: Path):
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (path.parent / name).touch()
    path.write_text("file,label\n1.png,a\n2.png,b\n", "utf-8")
    other = path.with_name("others.csv")
    other.write_text("file,label\nx/1.png,a\nx/2.png,other\nx/3.png,c\ngone.png,d\n", "utf-8")
    assert take_labels(LabelBook(path), path.parent, other) == (1, 1, 1)
    assert path.read_text("utf-8") == "file,label\n1.png,a\n2.png,b\n3.png,c\n"
    assert take_labels(LabelBook(path), path.parent, other) == (0, 1, 1)


def test_nothing_is_written_for_a_list_that_has_nothing_for_this_folder(path: Path):
    other = path.with_name("others.csv")
    other.write_text("file,label\n1.png,a\n", "utf-8")
    assert take_labels(LabelBook(path), path.parent, other) == (0, 0, 1)
    assert not path.exists()


def test_two_lines_that_are_one_image_are_changed_and_taken_back_together(path: Path):
    (path.parent / "1.png").touch()
    path.write_text("file,label\n1.png,abc\n1,abd\n", "utf-8")
    book = LabelBook(path, path.parent)
    book.write({"1.png": "xyz"})
    assert path.read_text("utf-8") == "file,label\n1.png,xyz\n1,xyz\n"
    book.write({"1.png": ""})
    assert book.labels == {} and path.read_text("utf-8") == "file,label\n"
