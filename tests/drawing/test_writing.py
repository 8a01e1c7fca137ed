"""Data sets on disk: what is in them, that a kill costs nothing, that no foreign file is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers import (
    STYLES,
    classic,
    generate,
    load_folder,
    read_labels,
    write_dataset,
)
from captcha_helpers.drawing import writing
from captcha_helpers.drawing.styles import STARS
from tests.patience import end_of


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def whole_images(folder: Path) -> list[Path]:
    """Images that a run, going on or killed, has finished writing."""
    return sorted(folder.rglob("[!.]*.png"))


def labels_of(folder: Path) -> list[str]:
    return [label for _, label in read_labels(folder)]


def begin(folder: Path, keep: int, **arguments) -> dict[str, bytes]:
    """Leave a data set as a run would that was cut off; returns what it should become."""
    about = write_dataset(folder=folder, **arguments)
    whole = contents(folder)
    for path in sorted(folder.rglob("*.png"))[keep:]:
        path.unlink()
    (folder / "meta.json").write_text(json.dumps(about | {"complete": False}))
    return whole


@pytest.mark.parametrize("name", list(STYLES))
def test_the_images_are_those_of_generate(tmp_path: Path, name: str):
    write_dataset(name, tmp_path, 3, seed=4)
    images, labels = generate(name, 3, seed=4)
    listed = read_labels(tmp_path)
    by_number = sorted(listed, key=lambda pair: pair[0].stem.rpartition("_")[2])
    assert [label for _, label in by_number] == labels
    for (path, label), image in zip(by_number, images, strict=True):
        assert path.name.startswith(f"{label}_00000")
        mode = "RGBA" if image.shape[2] == 4 else "RGB"
        assert (np.asarray(Image.open(path).convert(mode)) == image).all()
    assert load_folder(tmp_path, height=48, width=144).labels == [label for _, label in listed]


@pytest.mark.slow
def test_an_epoch_has_every_string_once(tmp_path: Path):
    about = write_dataset(classic(2), tmp_path, epochs=2)
    assert about["count"] == 200 and about["complete"]
    pairs = sorted(read_labels(tmp_path), key=lambda pair: pair[0].stem[-6:])
    labels = [label for _, label in pairs]
    everything = {f"{number:02d}" for number in range(100)}
    assert set(labels[:100]) == set(labels[100:]) == everything
    assert labels[:100] != sorted(labels[:100]) and labels[:100] != labels[100:]
    pictures = {path.read_bytes() for path, _ in pairs}
    assert len(pictures) == 200  # the same string looks different in the next epoch


def test_an_epoch_has_strings_of_every_length(tmp_path: Path):
    write_dataset(replace(STARS, charset="ab", length=(1, 3)), tmp_path, epochs=1)
    assert sorted(labels_of(tmp_path)) == sorted(
        ["a", "b", "aa", "ab", "ba", "bb", "aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"]
    )


def test_the_count_is_the_maximum_of_the_epochs(tmp_path: Path):
    about = write_dataset("stars", tmp_path, 12, epochs=3)  # a million strings
    assert about["count"] == 12 and len(set(labels_of(tmp_path))) == 12


def test_no_string_is_in_both_parts(tmp_path: Path):
    about = write_dataset(classic(1), tmp_path, 60, test_ratio=0.3)
    train, test = labels_of(tmp_path / "train"), labels_of(tmp_path / "test")
    assert len(set(test)) == 3 and len(set(train)) == 7 and not set(train) & set(test)
    assert Counter(train + test) == Counter(generate(classic(1), 60)[1])
    assert about["parts"] == {"train": len(train), "test": len(test)}
    with pytest.raises(ValueError, match="in parts; pass one: .*train"):
        read_labels(tmp_path)


def test_the_settings_are_on_record(tmp_path: Path):
    about = write_dataset("gradient", tmp_path, 2, seed=9)
    assert about.pop("drawn") == 2
    assert json.loads((tmp_path / "meta.json").read_text()) == about
    expected = {"style": "gradient", "seed": 9, "count": 2, "length": [5, 5], "complete": True}
    assert about | expected == about
    assert (about["width"], about["height"], about["charset"]) == (200, 50, "2345678bcdefgmnpwxy")


def test_labels_that_cannot_be_file_names_stand_in_the_list(tmp_path: Path):
    style = replace(STARS, charset="+=/7")
    write_dataset(style, tmp_path, 4)
    assert sorted(path.name for path in tmp_path.glob("*.png"))[0] == "000000.png"
    assert labels_of(tmp_path) == generate(style, 4)[1]


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path):
    arguments = {"style": "mixed", "count": 100, "seed": 2, "test_ratio": 0.2}
    write_dataset(folder=tmp_path / "one", **arguments)
    write_dataset(folder=tmp_path / "two", workers=2, **arguments)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs kill -9")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_is_continued_to_the_same_bytes(tmp_path: Path, workers: int):
    write_dataset("slanted", tmp_path / "whole", 1500, seed=1, test_ratio=0.1)
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "captcha_helpers", "generate", "slanted", "--count", "1500"]
    command += ["--seed", "1", "--test-ratio", "0.1", "--workers", str(workers), "--out", folder]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while len(whole_images(folder)) < 10:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for _ in range(500):  # its drawing processes end with it
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("drawing processes go on without their parent")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    images = whole_images(folder)
    assert 10 <= len(images) < 1500
    for path in images:
        assert path.read_bytes() == (tmp_path / "whole" / path.relative_to(folder)).read_bytes()
    (folder / "train" / f".{images[-1].name}.123.part").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in images}
    assert subprocess.run(command, check=False).returncode == 0
    assert contents(folder) == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in images} == before


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs groups of processes")
@pytest.mark.parametrize(
    ("end", "code", "name"),
    [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM"), ("SIGHUP", 129, "SIGHUP")],
)
def test_a_signal_leaves_whole_files_and_says_how_to_go_on(
    tmp_path: Path, end: str, code: int, name: str
):
    folder = tmp_path / "images"
    command = [sys.executable, "-m", "captcha_helpers", "generate", "slanted", "--count", "4000"]
    command += ["--workers", "2", "--out", folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(whole_images(folder)) < 10:
        assert process.poll() is None
        time.sleep(0.01)
    # As a terminal does, to all processes at once
    os.killpg(process.pid, getattr(signal, end))
    _, said = end_of(process)
    assert said == f"Error: stopped by {name}; the same command continues\n"
    assert process.returncode == code
    assert not list(folder.glob(".*"))
    assert json.loads((folder / "meta.json").read_text())["complete"] is False


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_while_processes_begin_is_not_lost_and_does_not_reach_them():
    child = [sys.executable, "-c", "import time; print('began', flush=True); time.sleep(60)"]
    with pytest.raises(KeyboardInterrupt), writing._ctrl_c_held_back():
        process = subprocess.Popen(child, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout.readline() == b"began\n"
        os.kill(process.pid, signal.SIGINT)
        # To this thread: another one, of a library, might take its time to pass it on.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        reached = True
    assert reached and process.poll() is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    process.kill()
    process.communicate()


def test_a_complete_data_set_is_not_drawn_again(tmp_path: Path):
    write_dataset("stars", tmp_path, 3)
    before = contents(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    assert write_dataset("stars", tmp_path, 3)["drawn"] == 0
    assert contents(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")} == times


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "seed 0, now 1"),
        ({"count": 5}, "count 4, now 5"),
        ({"style": replace(STARS, rise=0.0)}, "the look"),
        ({"test_ratio": 0.5}, "test_ratio 0.0, now 0.5"),
    ],
)
def test_other_settings_do_not_continue_it(tmp_path: Path, changed: dict, said: str):
    begin(tmp_path, 2, style="stars", count=4)
    before = contents(tmp_path)
    arguments = {"style": "stars", "count": 4} | changed
    with pytest.raises(FileExistsError, match=said):
        write_dataset(folder=tmp_path, **arguments)
    assert contents(tmp_path) == before


def test_labels_that_somebody_changed_are_kept(tmp_path: Path):
    begin(tmp_path, 2, style="stars", count=4)
    (tmp_path / "labels.csv").write_text("file,label\nmine.png,1\n")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match="labels.csv was changed"):
        write_dataset("stars", tmp_path, 4)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db"])
def test_what_a_file_manager_leaves_in_a_folder_does_not_make_it_foreign(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    write_dataset("stars", tmp_path, 2, progress=False)
    assert (tmp_path / name).exists() and len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "123456_000000.png", "meta.json", ".hidden"])
def test_a_foreign_folder_is_never_touched(tmp_path: Path, name: str, overwrite: bool):
    (tmp_path / name).write_text('{"made_by": "me"}')
    with pytest.raises(FileExistsError, match="choose another folder"):
        write_dataset("stars", tmp_path, 4, overwrite=overwrite)
    assert contents(tmp_path) == {name: b'{"made_by": "me"}'}


def test_overwrite_replaces_what_was_drawn_and_nothing_else(tmp_path: Path):
    folder = tmp_path / "set"
    write_dataset("stars", folder, 6, test_ratio=0.5)
    (folder / "notes.txt").write_text("mine")
    (folder / "train" / "mine_000001.png").write_text("mine too")
    write_dataset("stars", folder, 3, seed=1, overwrite=True)
    write_dataset("stars", tmp_path / "fresh", 3, seed=1)
    mine = {"notes.txt": b"mine", "train/mine_000001.png": b"mine too"}
    assert contents(folder) == contents(tmp_path / "fresh") | mine


def test_overwrite_follows_no_path_out_of_the_folder(tmp_path: Path):
    folder = tmp_path / "set"
    write_dataset("stars", folder, 2)
    (tmp_path / "1_000000.png").write_text("precious")
    (folder / "photo.png").write_text("precious")
    with open(folder / "labels.csv", "a") as listing:
        listing.write("../1_000000.png,1\nphoto.png,photo\n")
    write_dataset("stars", folder, 2, seed=1, overwrite=True)
    assert (tmp_path / "1_000000.png").read_text() == "precious"
    assert (folder / "photo.png").read_text() == "precious"


def test_overwrite_without_the_list_replaces_no_image(tmp_path: Path):
    """The same names, another look: they must not be taken for images of the new set."""
    write_dataset("stars", tmp_path, 2)
    (tmp_path / "labels.csv").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    with pytest.raises(FileExistsError, match="would be replaced"):
        write_dataset(replace(STARS, rise=0.0), tmp_path, 2, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == before


def test_a_file_in_place_of_the_folder_is_kept(tmp_path: Path):
    (tmp_path / "images").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file; name a folder"):
        write_dataset("stars", tmp_path / "images", 1, overwrite=True)
    assert (tmp_path / "images").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Give count"),
        ({"count": 0}, "count is 0"),
        ({"count": 1, "workers": 0}, "workers is 0"),
        ({"count": 1, "seed": -1}, "seed is -1"),
        ({"count": 1, "test_ratio": 1.0}, "test_ratio is 1.0"),
        ({"epochs": 2}, "1,000,000 strings .* set count as the maximum"),
        ({"count": 1, "test_ratio": 0.5}, "too few to split"),
        ({"style": replace(STARS, length=(30, 30)), "count": 1, "epochs": 1}, "leave epochs out"),
        ({"style": "fancy", "count": 1}, "choose one of slanted"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path: Path, arguments: dict, said: str):
    with pytest.raises(ValueError, match=said):
        write_dataset(**{"style": "stars", "folder": tmp_path / "new"} | arguments)
    assert not (tmp_path / "new").exists()
