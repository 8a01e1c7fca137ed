from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers import check_folder


def save(folder: Path, name: str, seed: int = 0, size: tuple[int, int] = (60, 20)) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(250):
        save(tmp_path, f"{number % 10}{number // 10 % 10}{number // 25}_{number}.png", number)
    return tmp_path


def test_a_good_folder_has_no_problems(folder: Path):
    found = check_folder(folder)
    assert found.problems == []
    assert found.images == 250 and found.lengths == {3: 250} and found.sizes == {(60, 20): 250}
    assert str(found).startswith("250 images, labels of 3 characters, 10 different ones: 0123")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1234_a.png"], "4 characters (1 labels)"),
        (["12x.png"], "fewer than 3 times can hardly be learned: 'x'"),
        (["_nolabel.png"], "1 images have no label in their names: _nolabel.png"),
    ],
)
def test_odd_labels_are_named(folder: Path, names: list[str], said: str):
    for number, name in enumerate(names, start=1000):
        save(folder, name, number)
    assert said in str(check_folder(folder))


def test_unreadable_files_are_named(folder: Path):
    (folder / "999_cut.png").write_bytes((folder / "000_0.png").read_bytes()[:100])
    assert "1 images cannot be read: 999_cut.png" in str(check_folder(folder))


def test_copies_and_contradictions(folder: Path):
    save(folder, "000_copy.png", 0)
    assert "1 images are exact copies of others" in str(check_folder(folder))
    save(folder, "777_wrong.png", 0)
    said = str(check_folder(folder))
    assert "different labels" in said and "777_wrong.png ('777')" in said


def test_sizes(folder: Path):
    save(folder, "123_big.png", 5000, size=(120, 40))
    assert "60x20 (250 images), 120x40 (1 images)" in str(check_folder(folder))


def test_letters_in_both_cases(tmp_path: Path):
    for number in range(250):
        label = "abcdefghijkl"[number % 12] * 2 + ("A" if number < 3 else "b")
        save(tmp_path, f"{label}_{number}.png", number)
    assert "a and A" in str(check_folder(tmp_path))


def test_few_images(tmp_path: Path):
    save(tmp_path, "12.png")
    assert "Only 1 images" in str(check_folder(tmp_path))
