"""Images and labels come as a folder, as two lists, as a pair, or as `LabeledImages`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers.data.examples import examples_of
from captcha_helpers.data.folders import LabeledImages, load_folder

IMAGES = np.arange(3 * 16 * 48, dtype=np.uint32).astype(np.uint8).reshape(3, 16, 48, 1)
LABELS = ["7xk2", "9mn4", "0053"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for image, label in zip(IMAGES, LABELS, strict=True):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{label}.png")
    return tmp_path


@pytest.mark.parametrize("labels", [LABELS, tuple(LABELS), np.array(LABELS)])
@pytest.mark.parametrize("images", [IMAGES, list(IMAGES), tuple(IMAGES)])
def test_images_and_labels(images, labels):
    found = examples_of(images, labels)
    assert [example.label for example in found.examples] == LABELS
    assert all(type(example.label) is str for example in found.examples)
    assert [example.name for example in found.examples] == ["image 0", "image 1", "image 2"]


def test_a_pair_as_generate_gives_it():
    assert [example.label for example in examples_of((list(IMAGES), LABELS)).examples] == LABELS


def test_two_images_are_no_pair_of_images_and_labels():
    two = examples_of((IMAGES[0], IMAGES[1]), ["a", "b"]).examples
    assert [example.label for example in two] == ["a", "b"]
    with pytest.raises(ValueError, match="give a label for each image: received 2 images and no"):
        examples_of(("a.png", "b.png"))


def test_a_loaded_folder_is_the_folder(folder: Path):
    data = load_folder(folder, height=16, width=48)
    one, other = examples_of(data).examples, examples_of(folder).examples
    assert [example[:2] for example in one] == [example[:2] for example in other]


def test_blanks_around_labels_in_memory_are_removed():
    found = examples_of(IMAGES, [" 7xk2", "9mn4 ", "00 53"])
    assert [example.label for example in found.examples] == ["7xk2", "9mn4", "00 53"]


@pytest.mark.parametrize(
    ("images", "labels", "error", "said"),
    [
        (IMAGES, LABELS[:2], ValueError, "received 3 images and 2 labels"),
        (IMAGES, None, ValueError, "received 3 images and no labels"),
        (IMAGES, "abc", TypeError, "expected several labels, got the string 'abc'"),
        (IMAGES, [7, 9, 53], TypeError, r"label 7 \(number 0\) is not a string; use '7'"),
        (IMAGES, ["a", None, "b"], TypeError, "label None"),
        ("folder", LABELS, ValueError, "a folder has its labels"),
        (LabeledImages(IMAGES, LABELS, LABELS), LABELS, ValueError, "so have LabeledImages"),
        (["a.png", "a.png"], ["a", "b"], ValueError, "given twice"),
    ],
)
def test_what_does_not_fit_together_is_said(images, labels, error, said):
    with pytest.raises(error, match=said):
        examples_of(images, labels)
