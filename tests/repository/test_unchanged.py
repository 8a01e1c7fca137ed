"""What must not change by rebuilding the house: drawn pixels, and what the shipped readers read."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from captcha_helpers import STYLES, draw_images, generate, image_files, load

BEFORE = json.loads(Path(__file__).with_name("unchanged.json").read_text("utf-8"))


def _hash(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()[:16]


@pytest.fixture
def pinned(root: Path) -> None:
    """Pixels may differ by a few grey levels where other versions draw them."""
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.split(";")[0].strip() for line in lines}  # several for one name: by Python
    for name in ("numpy", "pillow", "opencv-python-headless"):
        if f"{name}=={version(name)}" not in pinned:
            pytest.skip(f"{name} {version(name)} is not pinned in constraints.txt")


@pytest.mark.parametrize("style", STYLES)
def test_a_style_draws_the_same_pixels(style: str, pinned: None) -> None:
    assert _hash(generate(style, 8, seed=5)[0]) == BEFORE["pixels"][style]


def test_random_looks_are_the_same_pixels(pinned: None) -> None:
    images, _ = draw_images(16, height=48, width=160, length=(3, 6), seed=5)
    assert _hash(images) == BEFORE["pixels"]["draw_images"]


@pytest.mark.parametrize("name", BEFORE["readings"])
def test_a_shipped_reader_reads_the_same(name: str, root: Path) -> None:
    files = image_files(root / "captcha_images" / name)[::10][:20]
    texts = [reading.text for reading in load(name).read_many(files)]
    assert texts == BEFORE["readings"][name][name]
