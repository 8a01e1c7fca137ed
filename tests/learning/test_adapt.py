"""Getting used to images without labels: nothing is changed unless it can be seen to help."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import captcha_helpers
from captcha_helpers import Mask, ModelSpec, Recognizer, generate, load
from captcha_helpers.cli.main import main
from captcha_helpers.learning import adapt as module
from captcha_helpers.learning.adapt import LEAST, adapt
from captcha_helpers.learning.pseudo_labels import (
    confident,
    listed,
    prepare_unlabelled,
    pseudo_labels,
    with_case,
)

SPEC = ModelSpec("ab", length=(1, 1), height=16, width=32)


def says(images: np.ndarray, what: Callable[[np.ndarray], int], classes: int = 3) -> np.ndarray:
    """Sure logits (B, 3, V) of one character: `what` gives its class from an image (H, W)."""
    logits = np.zeros((len(images), 3, classes), np.float32)
    logits[:, :, 0] = 9
    for row, image in enumerate(images):
        logits[row, 1, what(image[..., 0])] = 18
    return logits


def reader(what: Callable[[np.ndarray], int]) -> Recognizer:
    """A reader of one character, a or b: `what` gives its class, 1 or 2."""
    return Recognizer(lambda images: says(images, what), SPEC)


def dark(image: np.ndarray) -> int:
    return 1 if image.mean() < 128 else 2


NAMES = [str(number) for number in range(40)]


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
    still = set(map(bytes, images[..., 0]))
    shaky = reader(lambda one: dark(one) if bytes(one) in still else 1 + int(rng.integers(2)))
    result = module._compare(shaky, reader(dark), images, seed=1)
    assert result.adapted and result.after == 1.0 > result.before
    assert "are read as the image itself" in result.reason


def test_a_reader_that_says_always_the_same_is_steady_and_not_taken(images: np.ndarray):
    old, collapsed = reader(dark), reader(lambda image: 1)
    result = module._compare(old, collapsed, images, seed=1)
    assert not result.adapted and result.reader is old and result.after == 1.0
    assert "of 40 readings" in result.reason and "repeats 20 only" in result.reason


def test_the_same_reader_brings_nothing(images: np.ndarray):
    result = module._compare(reader(dark), reader(dark), images, seed=1)
    assert not result.adapted and "no clear gain" in result.reason


def test_what_is_read_with_confidence_is_learned(images: np.ndarray):
    data = pseudo_labels(reader(dark), images, NAMES, 0.95)
    assert data.labels == ["a"] * 20 + ["b"] * 20 and (data.images == images).all()
    unsure = Recognizer(lambda batch: says(batch, dark) / 18, SPEC)
    assert len(pseudo_labels(unsure, images, NAMES, 0.95)) == 0


def test_where_case_does_not_count_it_learns_the_case_that_it_sees(images: np.ndarray):
    spec = replace(SPEC, charset="aAbB1", mask=Mask("AB", ignore_case=True))
    shouting = Recognizer(lambda batch: says(batch, lambda image: 2 * dark(image), 6), spec)
    data = pseudo_labels(shouting, images, NAMES, 0.95)
    assert set(data.labels) == {"A", "B"} and with_case(spec) == "aAbB"


def test_too_few_images_are_refused_before_anything_is_learned(images: np.ndarray):
    with pytest.raises(ValueError, match=f"takes {4 * LEAST} or more"):
        adapt(list(images), "pretrained")


def test_what_cannot_be_done_is_refused_before_anything_is_learned(tmp_path: Path):
    with pytest.raises(ValueError, match="can be read with, but not trained"):
        adapt(tmp_path, "stars")
    with pytest.raises(ValueError, match=r"must end in .keras"):
        adapt(tmp_path, out=tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="minutes > 0"):
        adapt(tmp_path, minutes=0)
    (tmp_path / "m.keras").touch()
    with pytest.raises(FileExistsError, match="overwrite"):
        adapt(tmp_path, out=tmp_path / "m.keras")


def test_without_confidence_nothing_is_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(module, "_train", lambda *_: pytest.fail("nothing to learn from"))
    noise = np.random.default_rng(0).integers(0, 256, (4 * LEAST, 48, 160), np.uint8)
    result = adapt([*noise, tmp_path / "none.png"], "pretrained", out=tmp_path / "m.keras")
    assert not result.adapted and "label some images. 1 image cannot be read" in result.reason
    assert result.images == 4 * LEAST and result.learned < LEAST and result.gain is None
    assert not (tmp_path / "m.keras").exists()


def test_images_of_several_kinds_are_told():
    pictures = [Image.new("L", (160, 48) if number % 2 else (60, 60)) for number in range(20)]
    for number, picture in enumerate(pictures):
        picture.putpixel((number, 3), 255)
    odd = prepare_unlabelled(listed(pictures), SPEC).odd
    assert "2 different shapes" in odd[0]
    assert prepare_unlabelled(listed(pictures[::2]), SPEC).odd == []


def test_two_kinds_of_one_shape_are_told_by_what_they_look_like():
    spec = replace(SPEC, height=48, width=192, channels=3)
    stars, gradient, mixed = (
        generate(style, 120, seed=1)[0] for style in ("stars", "gradient", "mixed")
    )
    resized = [Image.fromarray(one).resize((104, 32)) for one in gradient]
    both = {f"{row}.png": one for row, one in enumerate([*stars, *resized])}
    (said,) = prepare_unlabelled(both, spec).odd
    first, second = re.findall(r"(\d+)\.png", said)
    assert "two kinds" in said and int(first) < 120 <= int(second)
    for one_kind in (stars, mixed):  # of which some are light on dark
        assert prepare_unlabelled(listed(one_kind), spec).odd == []


@pytest.mark.parametrize("adapted", [True, False])
def test_the_verb_says_what_it_believes(
    adapted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = {}

    def judge(folder: Path, model: str, **options: object) -> module.Adaptation:
        asked.update(options)
        return module.Adaptation(
            reader(dark), adapted, "Because of this", 200, 99, 50, 0.5, 0.75, (0.25, 0.03)
        )

    monkeypatch.setattr(captcha_helpers, "adapt", judge)
    monkeypatch.setattr("captcha_helpers.cli.learn.import_keras", lambda: None)
    command = ["adapt", "general", str(tmp_path), "--out", str(tmp_path / "m.keras")]
    told = ["--charset", "digits", "--length", "4-6", "--ignore-case", "--minutes", "2"]
    done = CliRunner().invoke(main, [*command, *told])
    assert done.exit_code == 0 and "Because of this.\n" in done.output, done.output
    assert ("is written" in done.output) == adapted
    assert asked["charset"] == "0123456789" and asked["length"] == (4, 6)
    assert asked["ignore_case"] and asked["minutes"] == 2 and asked["progress"] is None
    facts = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)
    assert facts["adapted"] == adapted and facts["gain"] == [0.25, 0.03]
    assert facts["reason"] == "Because of this" and "reader" not in facts
    (tmp_path / "m.keras").touch()
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1 and "exists" in refused.output and "--overwrite" in refused.output


@pytest.mark.slow
@pytest.mark.parametrize("taken", [True, False])
def test_it_learns_from_its_own_readings_and_keeps_what_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
):
    compare = module._compare

    def decide(old: Recognizer, new: Recognizer, *rest: object) -> module.Adaptation:
        """Compare the readers, but take the new one whenever the test wants it."""
        return replace(compare(old, new, *rest), adapted=taken, reader=new if taken else old)

    monkeypatch.setattr(module, "_compare", decide)
    images, _ = generate("gradient", 4 * LEAST, seed=5)
    told = {"charset": "2345678bcdefgmnpwxy", "length": (5, 5)}
    out = tmp_path / "used_to_it.keras"
    result = adapt(images, "pretrained", minutes=0.15, out=out, progress=False, **told)
    assert result.learned >= LEAST and result.checked == LEAST and 0 <= result.after <= 1
    assert out.exists() == result.adapted == taken
    texts = [one.text for one in result.reader.read_many(images[:8])]
    assert all(len(text) == 5 and set(text) <= set(told["charset"]) for text in texts)
    if taken:
        again = load(out)
        assert [one.text for one in again.read_many(images[:8])] == texts
        assert "nobody has checked" in again.spec.training["labels"]
