"""`train`, on a small folder of drawn images: the promises that do not need a long training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from captcha_helpers import (
    Charset,
    evaluate,
    generate,
    load,
    read_labels,
    recipe,
    train,
    write_samples,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("images")
    write_samples(target, 120, styles=["stars"])
    return target / "stars"


def weights(path: Path) -> list[np.ndarray]:
    return keras.models.load_model(path, compile=False).get_weights()


def test_the_rate_rises_falls_and_ends_at_zero():
    rates = [recipe.learning_rate(share / 100) for share in range(101)]
    peak = int(np.argmax(rates))
    assert rates[peak] == recipe.PEAK_RATE and peak == 10
    assert (np.diff(rates[:peak]) > 0).all() and (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_reads_strings_it_was_not_trained_on(folder: Path, tmp_path: Path):
    """Eight passes over a hundred labels; from scratch nothing is read after as many."""
    write_samples(tmp_path, 100, seed=1, styles=["stars"])
    known = {label for _, label in read_labels(folder)}
    reader = train(folder, epochs=8, progress=False)
    result = evaluate(reader, tmp_path / "stars")
    assert len(known & set(result.data.labels)) <= 2
    assert result.score.exact_match > 0.7


def test_stops_on_time(folder: Path):
    begun = time.perf_counter()
    reader = train(folder, minutes=0.3, progress=False)
    assert 16 < time.perf_counter() - begun < 30
    history = reader.spec.training["history"]
    assert len(history) >= 3 and history[-1]["seconds"] <= 30


def test_same_seed_same_weights_and_no_string_on_both_sides(folder: Path, tmp_path: Path):
    for name in ("a.keras", "b.keras"):
        reader = train(folder, epochs=2, out=tmp_path / name, progress=False)
    facts = reader.spec.training
    assert (tmp_path / "a.keras").stat().st_size < 1_500_000  # no optimizer in it
    assert facts["images"] + facts["validation_images"] == 120
    for one, other in zip(
        weights(tmp_path / "a.keras"), weights(tmp_path / "b.keras"), strict=True
    ):
        assert np.allclose(one, other, atol=1e-5)


def test_killed_and_resumed_ends_where_it_would_have(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipe, "SAVE_EVERY", 0.0)
    out, whole = tmp_path / "killed.keras", tmp_path / "whole.keras"
    code = (
        "from captcha_helpers import recipe; recipe.SAVE_EVERY = 0.0\n"
        f"recipe.train({str(folder)!r}, epochs=3, out={str(out)!r}, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    partial = tmp_path / "killed.resume.keras"
    while not partial.exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert partial.exists() and not out.exists()
    with pytest.raises(ValueError, match="seed was 0 and is 1"):
        train(folder, epochs=3, out=out, seed=1, resume=True, progress=False)
    resumed = train(folder, epochs=3, out=out, resume=True, progress=False)
    straight = train(folder, epochs=3, out=whole, progress=False)
    assert resumed.spec.training["steps"] == straight.spec.training["steps"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.keras", "whole.keras"]
    # Threads add floats up in another order in another process, hence not exactly.
    for one, other in zip(weights(out), weights(whole), strict=True):
        assert np.allclose(one, other, rtol=0.05, atol=5e-3)


def test_interrupt_keeps_the_best_model(folder: Path, tmp_path: Path, monkeypatch):
    steps = []

    def stop(self, images, labels, step=recipe._Run._step):
        steps.append(len(labels))
        if len(steps) == 6:
            raise KeyboardInterrupt
        step(self, images, labels)

    monkeypatch.setattr(recipe._Run, "_step", stop)
    reader = train(folder, epochs=20, out=tmp_path / "m.keras", progress=False)
    assert reader.spec.training["complete"] is False
    assert load(tmp_path / "m.keras").spec == reader.spec
    assert (tmp_path / "m.resume.keras").exists()


def test_a_later_check_loses_only_to_one_that_is_better_beyond_chance(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    results = iter([0.9, 1.0, 0.95, *[0.3] * 20])
    monkeypatch.setattr(recipe.metrics, "exact_match", lambda labels, texts: next(results))
    monkeypatch.setattr(recipe._Run, "_go_back", lambda run: 1.0)
    training = train(folder, epochs=12, progress=False).spec.training
    assert training["validation_exact_match"] == 0.95
    assert [check["exact_match"] for check in training["history"]][:4] == [0.9, 1.0, 0.95, 0.3]


@pytest.mark.parametrize(("there", "share"), [(0.9, 0.75), (0.45, 0.75), (0.3, 1.0)])
def test_the_weights_go_a_quarter_of_the_way_back_unless_they_read_worse_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: float, share: float
):
    """Of 18 validation images one more or less is chance, four less are not."""
    ends = []

    def go_back(run, original=recipe._Run._go_back):
        run.state.best = (0.5, -0.1)
        monkeypatch.setattr(run, "_read_validation", lambda: (there, 0.1))
        ends.extend([run.first, run.kept])
        return original(run)

    monkeypatch.setattr(recipe._Run, "_go_back", go_back)
    facts = train(folder, epochs=1, out=tmp_path / "m.keras", progress=False).spec.training
    assert facts["validation_images"] == 18 and facts["from_start"] == share
    assert facts["validation_exact_match"] == (there if share < 1 else 0.5)
    written = keras.models.load_model(tmp_path / "m.keras", compile=False).get_weights()
    for first, last, weight in zip(*ends, written, strict=True):
        assert np.allclose(weight, (1 - share) * first + share * last, atol=1e-6)


def test_what_is_left_out_against_learning_by_heart_stays_out_of_the_model(
    folder: Path, tmp_path: Path
):
    train(folder, epochs=1, out=tmp_path / "m.keras", progress=False)
    model = keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert not [layer.name for layer in model.layers if "drop" in layer.name]


def first_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, np.ndarray]:
    """What `train` decided, and the labels (B, L) of the first batch."""
    batches = []

    def note(self, images, labels, step=recipe._Run._step):
        batches.append(labels)
        step(self, images, labels)

    monkeypatch.setattr(recipe._Run, "_step", note)
    return train(folder, epochs=1, progress=False).spec.training, batches[0]


def test_a_familiar_look_is_rehearsed_with_its_own_characters_and_lengths(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    facts, labels = first_batch(folder, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (22, recipe.REHEARSAL_RATE)
    assert len(labels) == recipe.BATCH_SIZE and ((labels > 0) & (labels <= 10)).all()
    known = {tuple(row) for row in Charset("0123456789").encode(
        [label for _, label in read_labels(folder)], length=6).tolist()}  # fmt: skip
    assert sum(tuple(row) in known for row in labels.tolist()) == recipe.BATCH_SIZE - 22


def test_images_of_any_look_are_drawn_only_if_the_start_reads_nearly_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipe, "_best_start", lambda *_: ("pretrained", 0.1))
    facts, labels = first_batch(folder, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (0, recipe.PEAK_RATE)
    known = {label for _, label in read_labels(folder)}
    assert set(Charset.from_labels(known).decode(labels)) <= known


def test_with_many_labels_fewer_images_are_drawn_and_the_rate_is_higher(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipe, "ENOUGH", 51)  # of the folder's 120 images 102 are trained on
    facts, labels = first_batch(folder, monkeypatch)
    assert facts["drawn_of_a_batch"] == 11 and len(labels) == recipe.BATCH_SIZE
    assert facts["peak_rate"] == (recipe.REHEARSAL_RATE + recipe.PEAK_RATE) / 2


def test_begins_with_the_start_that_reads_the_folder_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_samples(tmp_path, 80, seed=3, styles=["mixed"])
    styles = []

    def note(count, near=None, draw=recipe.draw_images, **kind):
        styles.append(near)
        return draw(count, near=near, **kind)

    monkeypatch.setattr(recipe, "draw_images", note)
    facts = train(tmp_path / "mixed", epochs=1, progress=False).spec.training
    assert facts["start"] == "mixed" and facts["drawn_of_a_batch"] == 22
    assert {style.name for style in styles} == {"mixed"}


def test_a_strange_look_is_learned_from_the_folder_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for path, label in read_labels(folder)[:40]:
        image = np.asarray(Image.open(path).convert("RGB"))
        Image.fromarray(np.ascontiguousarray(image[::-1])).save(tmp_path / f"{label}.png")
    facts, labels = first_batch(tmp_path, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (0, recipe.PEAK_RATE)
    known = {label for _, label in read_labels(tmp_path)}
    assert set(Charset.from_labels(known).decode(labels)) <= known


def test_characters_that_no_font_has_are_learned_from_the_folder_alone(tmp_path: Path):
    images, labels = generate("stars", 40, seed=2)
    for image, label in zip(images, labels, strict=True):
        text = label.translate(str.maketrans("0123456789", "零一二三四五六七八九"))
        Image.fromarray(image).save(tmp_path / f"{text}.png")
    reader = train(tmp_path, epochs=1, progress=False)
    assert reader.spec.training["drawn_of_a_batch"] == 0


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path):
    (tmp_path / "m.keras").write_text("mine")
    with pytest.raises(FileExistsError, match="another name"):
        train(folder, out=tmp_path / "m.keras", progress=False)
    assert (tmp_path / "m.keras").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minutes": 0}, "minutes > 0"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"out": "model.h5"}, "end in .keras"),
        ({"resume": True}, "say which"),
    ],
)
def test_arguments_that_make_no_sense(folder: Path, options: dict, said: str):
    with pytest.raises(ValueError, match=said):
        train(folder, progress=False, **options)


def test_nothing_to_resume(folder: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(folder, out=tmp_path / "m.keras", resume=True, progress=False)


def test_too_few_labels(tmp_path: Path):
    write_samples(tmp_path, 5, styles=["stars"])
    with pytest.raises(ValueError, match="only 5 different labels"):
        train(tmp_path / "stars", progress=False)
