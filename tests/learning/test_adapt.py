"""Getting used to images without labels: nothing is changed unless it can be seen to help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captcha_helpers import Charset, ModelSpec, Recognizer, generate
from captcha_helpers.learning import adapt as module
from captcha_helpers.learning.adapt import LEAST, adapt, confident

SPEC = ModelSpec("ab", length=(1, 1), height=16, width=32)


def reader(says, sure: float = 9.0) -> Recognizer:
    """A reader of one character: `says` gives its class, 1 or 2, from an image (H, W)."""

    def run(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), 3, 3), np.float32)
        logits[:, :, 0] = sure
        for row, image in enumerate(images):
            logits[row, 1, says(image[..., 0])] = 2 * sure
        return logits

    return Recognizer(run, SPEC)


def dark(image: np.ndarray) -> int:
    return 1 if image.mean() < 128 else 2


@pytest.fixture
def images() -> np.ndarray:
    """Half of them dark, half light, (40, 16, 32, 1)."""
    greys = np.repeat([[60], [200]], 20, axis=0) + np.arange(40)[:, None] % 7
    return np.broadcast_to(greys[..., None, None], (40, 16, 32, 1)).astype(np.uint8)


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 1))
def test_as_many_as_possible_are_chosen_and_the_most_confident_ones(confidences, right):
    chosen = confident(confidences, right)
    left = [one for row, one in enumerate(confidences) if row not in chosen]
    taken = [confidences[row] for row in chosen]
    if taken:
        assert np.mean(taken) >= right - 1e-9 and max(left, default=0) <= min(taken)
    if left:
        assert np.mean([*taken, max(left)]) < right + 1e-9


def test_a_steadier_reader_is_taken(images: np.ndarray):
    rng = np.random.default_rng(0)
    shaky = reader(lambda image: dark(image) if rng.random() < 0.7 else 1 + int(rng.integers(2)))
    readings = reader(dark).read_prepared(images)
    result = module._compare(shaky, reader(dark), images, readings, seed=1)
    assert result.adapted and result.after == 1.0 > result.before
    assert "are read as the image itself" in result.reason


def test_a_reader_that_says_always_the_same_is_steady_and_not_taken(images: np.ndarray):
    old = reader(dark)
    collapsed = reader(lambda image: 1)
    result = module._compare(old, collapsed, images, old.read_prepared(images), seed=1)
    assert not result.adapted and result.reader is old and result.after == 1.0
    assert "repeats only 50.0%" in result.reason


def test_the_same_reader_brings_nothing(images: np.ndarray):
    old = reader(dark)
    result = module._compare(old, reader(dark), images, old.read_prepared(images), seed=1)
    assert not result.adapted and "no clear gain" in result.reason


def test_too_few_images_are_refused_before_anything_is_learned(images: np.ndarray):
    with pytest.raises(ValueError, match=f"takes {4 * LEAST} or more"):
        adapt(list(images), "pretrained")


def test_without_confidence_nothing_is_changed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("nothing to learn from"))
    noise = np.random.default_rng(0).integers(0, 256, (4 * LEAST, 48, 160), np.uint8)
    result = adapt(list(noise), "pretrained")
    assert not result.adapted and "label some images" in result.reason
    assert result.images == 4 * LEAST and result.taught == 0


def test_images_of_several_kinds_are_told(tmp_path: Path):
    for number in range(20):
        Image.new("L", (160, 48) if number % 2 else (60, 60)).save(tmp_path / f"{number}.png")
    assert "2 different shapes" in module._kinds(sorted(tmp_path.iterdir()))
    assert module._kinds(sorted(tmp_path.iterdir())[:1]) == ""


@pytest.mark.slow
def test_it_learns_from_its_own_readings_and_keeps_what_it_was_told(tmp_path: Path):
    images, _ = generate("gradient", 4 * LEAST, seed=5)
    told = {"charset": "2345678bcdefgmnpwxy", "length": (5, 5)}
    out = tmp_path / "used_to_it.keras"
    result = adapt(images, "pretrained", minutes=0.15, out=out, progress=False, **told)
    assert result.taught >= LEAST and result.checked == LEAST and 0 <= result.after <= 1
    assert out.exists() == result.adapted
    texts = [one.text for one in result.reader.read_many(images[:8])]
    assert all(len(text) == 5 and set(text) <= set(told["charset"]) for text in texts)
    if result.adapted:
        assert Charset(result.reader.spec.charset) == Charset(told["charset"])
