"""Which images to label next: any, then doubtful ones that differ and a fair random share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from captcha_helpers import ModelSpec, Recognizer, suggest, write_tasks
from captcha_helpers.cli.main import main
from captcha_helpers.data.label_studio import image_name
from captcha_helpers.drawing.samples import write_samples
from captcha_helpers.reading.decoder import Character, Reading
from captcha_helpers.reading.suggestions import most_doubtful

SPEC = ModelSpec("ab", (1, 3), height=16, width=32)


def reader_of(doubtful: set[int]) -> Recognizer:
    """Reads "ab" in every image, and is unsure of it in those of these grey levels."""

    def run(images: np.ndarray) -> np.ndarray:
        sure = np.where([int(image[0, 0, 0]) in doubtful for image in images], 1.0, 9.0)
        return sure[:, None, None] * np.eye(3)[[1, 0, 2]][None]

    return Recognizer(run, SPEC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for grey in range(40):
        image = np.full((16, 32), 200, np.uint8)
        image[0, 0] = grey
        Image.fromarray(image).save(tmp_path / f"{grey:02}.png")
    return tmp_path


def read(text: str, *sure: float) -> Reading:
    return Reading(text, min(sure), tuple(map(Character, text, sure)))


@pytest.mark.slow
def test_three_of_four_are_doubtful_and_every_fourth_is_drawn_at_random(folder: Path):
    # Only pixel (0, 0) tells the images apart: they have the model's size and are not scaled.
    doubtful = set(range(5, 11))
    chosen = [int(path.stem) for path in suggest(folder, reader_of(doubtful), 8)]
    assert len(set(chosen)) == 8 and set(chosen) >= doubtful
    random = {int(suggest(folder, reader_of(doubtful), 1, seed=s)[0].stem) for s in range(20)}
    assert len(random) > 8  # not always the same ones


def test_a_reader_that_doubts_most_images_gets_them_in_random_order(folder: Path):
    """Its doubts would be no guide: 28 of 40 are wrong, as many as of those it would choose."""
    doubtful = set(range(28))
    chosen = {
        seed: [int(path.stem) for path in suggest(folder, reader_of(doubtful), 20, seed=seed)]
        for seed in range(10)
    }
    shares = [np.mean([number in doubtful for number in found]) for found in chosen.values()]
    assert 0.6 < np.mean(shares) < 0.8  # 0.7 is their share; three of four and more if chosen
    assert len(set(map(tuple, chosen.values()))) == 10


def test_labelled_and_unreadable_images_are_not_asked_for(folder: Path):
    (folder / "00.png").write_bytes(b"no picture")
    known = [f"{number:02}.png" for number in range(1, 30)]
    names = [path.name for path in suggest(folder, reader_of(set()), 100, labelled=known)]
    assert sorted(names) == [f"{number:02}.png" for number in range(30, 40)]
    with pytest.raises(ValueError, match="ask for one image at least"):
        suggest(folder, reader_of(set()), 0)


def test_same_seed_same_order(folder: Path):
    reader = reader_of({1, 2, 3})
    assert suggest(folder, reader, 12, seed=3) == suggest(folder, reader, 12, seed=3)


def test_a_doubt_that_was_chosen_already_counts_less():
    readings = [read("xx", 0.3, 0.3), read("xx", 0.31, 0.31), read("yz", 0.5, 0.6)]
    assert most_doubtful(readings, 2) == [0, 2]


def test_a_reading_of_nothing_is_doubtful_too():
    assert most_doubtful([read("a", 0.99), Reading("", 0.2, ())], 1) == [1]


def test_tasks_for_label_studio_come_in_the_same_order_with_what_is_read(folder: Path):
    reader, out = reader_of({5, 6, 7}), folder.parent / "tasks.json"
    assert write_tasks(folder, out, reader, 8, labelled=["05.png"], seed=2) == 8
    tasks = json.loads(out.read_bytes())
    names = [path.name for path in suggest(folder, reader, 8, labelled=["05.png"], seed=2)]
    assert [image_name(task["data"]["image"]) for task in tasks] == [
        f"{folder.name}/{name}" for name in names
    ]
    for task, name in zip(tasks, names, strict=True):
        (prediction,) = task["predictions"]
        assert prediction["result"][0]["value"] == {"text": ["ab"]}
        assert (prediction["score"] < 0.9) == (name in ("06.png", "07.png"))
    with pytest.raises(FileExistsError):
        write_tasks(folder, out, reader, 8)


def test_the_verb_writes_tasks_for_what_has_no_label(tmp_path: Path):
    paths = sorted(write_samples(tmp_path, 6, styles=["stars"]))
    folder, out = tmp_path / "stars", tmp_path / "tasks.json"
    (folder / "labels.csv").write_text(f"file,label\n{paths[0].name},1\n", "utf-8")
    command = ["label", str(folder), "--model", "stars", "--length", "6", "--tasks", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0 and "5 tasks in" in done.output and "<TextArea" in done.output
    tasks = json.loads(out.read_bytes())
    read = {
        Path(image_name(task["data"]["image"])).name: task["predictions"][0]["result"][0]["value"]
        for task in tasks
    }
    assert read == {path.name: {"text": [path.stem.split("_")[0]]} for path in paths[1:]}
