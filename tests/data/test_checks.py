from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from captcha_helpers import check_folder
from captcha_helpers.data import labels
from captcha_helpers.data.checks import doubts


def save(folder: Path, name: str, seed: int = 0, size: tuple[int, int] = (60, 20)) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)


@pytest.fixture(scope="module")
def good_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("good")
    for number in range(250):
        save(made, f"{number % 10}{number // 10 % 10}{number // 25}_{number}.png", number)
    return made


@pytest.fixture
def folder(good_folder: Path, tmp_path: Path) -> Path:
    """A good folder of one's own."""
    return shutil.copytree(good_folder, tmp_path, dirs_exist_ok=True)


def test_a_good_folder_has_no_problems(folder: Path):
    found = check_folder(folder)
    assert found.problems == []
    assert found.images == 250 and found.lengths == {3: 250} and found.sizes == {(60, 20): 250}
    assert str(found).startswith("250 images, labels of 3 characters, 10 different ones: 0123")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1234_a.png"], "4 characters (1 label)"),
        (["12x.png"], "fewer than 3 times can hardly be learned: 'x'"),
        (["_nolabel.png"], "1 image without a label in the name: _nolabel.png"),
    ],
)
def test_odd_labels_are_named(folder: Path, names: list[str], said: str):
    for number, name in enumerate(names, start=1000):
        save(folder, name, number)
    assert said in str(check_folder(folder))


def test_unreadable_files_are_named(folder: Path):
    (folder / "999_cut.png").write_bytes((folder / "000_0.png").read_bytes()[:100])
    assert "1 image cannot be read: 999_cut.png" in str(check_folder(folder))


def test_copies_and_contradictions(folder: Path):
    save(folder, "000_copy.png", 0)
    assert "1 image is an exact copy of another" in str(check_folder(folder))
    save(folder, "777_wrong.png", 0)
    said = str(check_folder(folder))
    assert "different labels" in said and "777_wrong.png ('777')" in said


def test_sizes(folder: Path):
    save(folder, "123_big.png", 5000, size=(120, 40))
    assert "60x20 (250 images), 120x40 (1 image)" in str(check_folder(folder))


def test_letters_in_both_cases(tmp_path: Path):
    for number in range(250):
        label = "abcdefghijkl"[number % 12] * 2 + ("A" if number < 3 else "b")
        save(tmp_path, f"{label}_{number}.png", number)
    assert "a and A" in str(check_folder(tmp_path))


def test_few_images(tmp_path: Path):
    save(tmp_path, "12.png")
    assert "Only 1 image;" in str(check_folder(tmp_path))


def test_where_labels_were_found_and_what_was_left_out_is_said(tmp_path: Path):
    for number in range(60):
        save(tmp_path, f"{number:03}-{'ABC'[number % 3]}{number % 7}{number % 5}.png", number)
    (tmp_path / "1.svg").touch()
    said = str(check_folder(tmp_path))
    assert "The label is the part 'A00'" in said and "1 file (.svg: 1)" in said


def test_an_animation_with_an_empty_first_frame_is_named(folder: Path):
    empty = Image.new("RGB", (60, 20), "white")
    other = Image.linear_gradient("L").resize((60, 20)).convert("RGB")
    empty.save(folder / "123_anim.gif", save_all=True, append_images=[other])
    said = str(check_folder(folder))
    assert "123_anim.gif (it is blank" in said and "--frame most_ink" in said


def test_an_animation_is_named(folder: Path):
    frames = [Image.linear_gradient("L").resize((60, 20)).rotate(turn) for turn in (0, 180)]
    frames[0].save(folder / "123_anim.gif", save_all=True, append_images=frames[1:])
    said = str(check_folder(folder))
    assert "1 image with several frames" in said and "123_anim.gif" in said
    assert "--frame most_ink" in said


def test_images_of_one_colour_are_named(folder: Path):
    Image.new("RGB", (60, 20), "red").save(folder / "123_red.png")
    noise = np.random.default_rng(0).integers(200, 205, (20, 60), np.uint8)  # as JPEG leaves it
    Image.fromarray(noise).save(folder / "123_noise.png")
    said = str(check_folder(folder))
    assert "123_red.png (it is blank" in said
    assert "1 image of one colour only, with nothing to read: 123_noise.png" in said


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path):
    (tmp_path / "123.png").write_text("no image")
    said = str(check_folder(tmp_path))
    assert said.startswith("no image that has a label and can be read\n- 1 image cannot be read")


def test_white_letters_on_nothing_are_named(folder: Path):
    pixels = np.full((20, 60, 4), 255, np.uint8)
    pixels[..., 3] = np.random.default_rng(0).integers(0, 2, (20, 60)) * 255
    for number in range(3):
        Image.fromarray(pixels).save(folder / f"12{number}_white.png")
    said = str(check_folder(folder))
    assert "3 images cannot be read: 120_white.png (it is blank" in said
    assert "different labels" not in said


@pytest.mark.parametrize("rows", [1, 2])
def test_two_rows_of_text_are_named(tmp_path: Path, rows: int):
    for number in range(40):
        image = Image.new("RGB", (120, 90), "white")
        label = f"{number * 7919 % 10**6:06}"
        for i, char in enumerate(label):
            place = (10 + 34 * (i % 3), 4 + 42 * (i // 3)) if rows == 2 else (8 + 17 * i, 30)
            ImageDraw.Draw(image).text(place, char, font_size=32, fill=(20, 20, number))
        image.save(tmp_path / f"{label}.png")
    assert ("two rows" in str(check_folder(tmp_path))) == (rows == 2)


def test_a_file_that_goes_away_while_the_folder_is_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def listed(folder: Path, find=labels.find_labels):
        found = find(folder)
        found.pairs[3][0].unlink()
        return found

    monkeypatch.setattr("captcha_helpers.data.examples.find_labels", listed)
    found = check_folder(folder)
    assert found.images == 249
    assert len(found.problems) == 1 and "there is no such file" in found.problems[0]


@pytest.mark.parametrize(
    "labels",
    [
        [f"{n % 10}{n * 7 % 10}{n * 3 % 10}{n}"[:4] for n in range(100, 200)],
        [f"{n * 37 % 100}" for n in range(60)],
        ["cat", "dog"] * 20,
        ["ab"] * 30,
        ["12-34", "1234", "12 34"] * 10,
    ],
)
def test_usual_labels_raise_no_doubts(labels: list[str]):
    assert list(doubts(labels)) == []
