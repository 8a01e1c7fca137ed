"""The pre-training program: what it draws, how it changes images, and that a round can follow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from drawers import in_any_look
from patience import end_of
from pretrain_program import small_model, stripes

from captcha_helpers.drawing.looks import FONTS, Font, draw_looks
from captcha_helpers.learning import fitting
from captcha_helpers.reading.model_file import read_spec
from tools import pretrain, pretrain_draw
from tools.augment_ops import augment
from tools.pretrain import general_spec
from tools.pretrain_draw import (
    ALIKE,
    ALIKE_EVERY,
    CHARSET,
    HARD,
    HEIGHT,
    LONGEST,
    SHORT,
    WIDTH,
    Drawings,
    draw,
    draw_test,
)
from tools.pretrain_learn import Vote, make_learner

TESTS = Path(__file__).parent.parent
KIND: dict[str, Any] = {
    "height": HEIGHT,
    "width": WIDTH,
    "charset": CHARSET.characters,
    "length": (3, 6),
    "fonts": FONTS,
}


@pytest.fixture(autouse=True)
def installed_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts of `make fonts` are not there when tests run; those of the package are."""
    fonts = tuple(map(Font, FONTS))
    monkeypatch.setattr(pretrain_draw, "fonts_with_role", lambda role: fonts)


def changed(images: np.ndarray, seed: int, **kwargs) -> np.ndarray:
    generator = keras.random.SeedGenerator(seed)
    return keras.ops.convert_to_numpy(augment(images, generator, **kwargs))


def test_augmentation_keeps_shape_and_range_and_follows_its_seed():
    images, _ = draw(0, 0, 4, (3, 5))
    first = changed(images, 1)
    assert first.shape == images.shape and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 255
    assert np.array_equal(first, changed(images, 1))
    assert not np.allclose(first, changed(images, 2))
    assert np.abs(first - images).mean(axis=(1, 2, 3)).min() > 1, "each image is changed"


def test_augmentation_without_strength_changes_nothing_and_with_little_little():
    images, _ = draw(0, 0, 4, (3, 5))
    assert np.array_equal(changed(images, 1, strength=0), images)
    with pytest.raises(ValueError, match="strength must be 0 or more"):
        changed(images, 1, strength=-1)


def test_augmentation_moves_pixels_the_way_round_they_were():
    """A dark left half stays the darker one or, inverted, the lighter; it is never mirrored."""
    images = np.full((64, 48, 192, 3), 230, np.uint8)
    images[:, :, :96] = 20
    images[:, :24, :96] = 120
    after = changed(images, 0).mean(axis=3)
    upper, lower = after[:, 4:20, 10:80], after[:, 28:44, 10:80]
    right = after[:, :, 112:182].mean(axis=(1, 2))
    between = (upper.mean(axis=(1, 2)) - lower.mean(axis=(1, 2))) * (right - lower.mean((1, 2)))
    assert (between > 0).all()


def test_some_images_have_only_characters_that_are_taken_for_one_another():
    _, indices = draw(3, 0, 40, (3, 6))
    labels = CHARSET.decode(indices)
    assert all(set(label) <= set(ALIKE) for label in labels[::ALIKE_EVERY])
    assert set("".join(labels)) > set(ALIKE)
    (tested,) = CHARSET.decode(draw_test(3, 1)[1])
    assert not set(tested) <= set(ALIKE), "test images have every character, number 0 too"


def test_images_are_drawn_as_the_reader_will_see_them():
    """Numbers 3 to 5 are in any look, number 6 in one that is hard to read."""
    images, _ = draw(3, 3, 4, (3, 6))
    kind = KIND | {"processing": general_spec({}).processing, "seed": 3}
    expected = [draw_looks(3, start=3, **kind)[0], draw_looks(1, start=6, look=HARD[1], **kind)[0]]
    assert np.array_equal(images, np.concatenate(expected))
    whole, _ = draw_looks(3, start=3, **KIND, seed=3)
    assert not np.array_equal(images[:3], whole)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "chunk"), [(0, 6), (1, 4), (2, 2)])
def test_an_image_depends_on_its_number_alone(workers: int, chunk: int):
    with Drawings(7, workers=workers, chunk=chunk, function=in_any_look) as drawings:
        chunks = [drawings.take() for _ in range(12 // chunk)]
    images, labels = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    expected_images, expected_labels = in_any_look(7, 0, 12, (1, LONGEST))
    assert np.array_equal(images, expected_images) and np.array_equal(labels, expected_labels)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_draw_the_same_images_together_and_none_twice(processes: int):
    shares = [
        Drawings(
            7, workers=0, chunk=2, short=6, start=2 * number, every=processes, function=stripes
        )
        for number in range(processes)
    ]
    chunks = [shares[number % processes].take() for number in range(6)]
    images, labels = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    short, long = stripes(7, 0, 6, SHORT), stripes(7, 6, 6, (1, LONGEST))
    assert np.array_equal(images, np.concatenate([short[0], long[0]]))
    assert np.array_equal(labels, np.concatenate([short[1], long[1]]))


def test_several_processes_need_jax():
    if keras.backend.backend() == "jax":
        pytest.skip("this is Keras on JAX")
    with pytest.raises(SystemExit, match="KERAS_BACKEND=jax"):
        pretrain.main(["--processes", "2"])


def test_labels_are_short_at_first():
    with Drawings(0, workers=0, chunk=8, short=16) as drawings:
        lengths = [(drawings.take()[1] > 0).sum(axis=1) for _ in range(4)]
    assert max(map(max, lengths[:2])) <= SHORT[1] < max(map(max, lengths[2:]))


HANGING = """
import time
from pretrain_program import stripes
from tools.pretrain_draw import Drawings

if __name__ == "__main__":
    with Drawings(0, workers=1, chunk=2, function=stripes) as drawings:
        drawings.take()
        print(drawings._folder, flush=True)
        time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system has no such memory")
def test_what_a_killed_training_left_in_memory_is_freed_by_the_next(tmp_path: Path):
    program = tmp_path / "hanging.py"
    program.write_text(HANGING)
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            [sys.executable, program],
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        killed, alive = (Path(process.stdout.readline().strip()) for process in processes)
        processes[0].kill()
        end_of(processes[0])
        assert killed.is_dir() and killed.parent == Path("/dev/shm"), "nobody could tidy up"
        with Drawings(0, workers=1, chunk=2, function=stripes) as drawings:
            drawings.take()
            assert not killed.exists() and alive.is_dir() and drawings._folder.is_dir()
    finally:
        processes[1].terminate()
        end_of(processes[1])
    pretrain_draw.remove_left_behind()
    assert not alive.exists()


def test_a_worker_that_fails_says_why():
    with (
        Drawings(0, workers=1, chunk=2, function=len) as drawings,
        pytest.raises(TypeError, match="exactly one argument"),
    ):
        drawings.take()


def test_the_rate_rises_and_falls_to_nothing():
    rates = [pretrain.rate_at(share, 2.0) for share in np.linspace(0, 1.2, 200)]
    assert max(rates) == pytest.approx(2.0, rel=0.01) and rates[0] == rates[-1] == 0
    assert np.argmax(rates) < 0.1 * len(rates)


@pytest.mark.slow
def test_a_learner_learns_and_its_average_reads():
    keras.utils.set_random_seed(0)
    learner = make_learner(small_model(), pool=16, length=LONGEST, seed=0, strength=0)
    images, labels = stripes(0, 0, 16, (1, 9))
    images[:] = (np.arange(16) % 4 * 60)[:, None, None, None]
    for half in (0, 8):
        learner.put(half, images[half : half + 8], labels[half : half + 8])
    rows = np.arange(16, dtype=np.int32)
    vote = Vote(rate=3e-2, ending=0, chunks=2)
    losses = [learner.step(rows, vote, number)[0] for number in range(80)]
    assert np.mean(losses[-5:]) < 0.2 * losses[0]
    logits = learner.logits(learner.average(), images)
    assert logits.shape == (16, 12, CHARSET.num_classes)
    assert not np.allclose(logits[0], logits[1], atol=0.1)


@pytest.mark.slow
def test_a_round_ends_with_files_and_the_next_begins_with_its_weights(tmp_path):
    common = ["--workers", "0", "--chunk", "16", "--pool", "32", "--batch-size", "4"]
    common += ["--test-images", "4", "--seed", "3", "--report-every", "1"]
    pretrain.main([*common, "--minutes", "0.08", "--out", str(tmp_path / "1")])
    figures = json.loads((tmp_path / "1" / pretrain.FIGURES).read_text())
    assert figures["steps"] > 0 and figures["seen"] == 4 * figures["steps"]
    assert json.loads((tmp_path / "1" / pretrain.HISTORY).read_text())[-1]["cer"] == figures["cer"]
    first = tmp_path / "1" / pretrain.WEIGHTS
    assert read_spec(first).training["steps"] == figures["steps"]
    # The next round begins with these weights: with a rate of 0 it ends with them as well.
    frozen = [*common, "--minutes", "0.05", "--peak-rate", "0", "--init", str(first)]
    pretrain.main([*frozen, "--out", str(tmp_path / "2")])
    with np.load(first) as before, np.load(tmp_path / "2" / pretrain.WEIGHTS) as after:
        assert before.files == after.files and len(before.files) > 4
        kernels = [name for name in before.files if before[name].ndim > 1]
        assert all(np.array_equal(before[name], after[name]) for name in kernels)
    # Fixed statistics stay as they are while the rest learns.
    fixed = [*common, "--minutes", "0.05", "--init", str(first), "--fixed-statistics"]
    pretrain.main([*fixed, "--out", str(tmp_path / "3")])
    with np.load(first) as before, np.load(tmp_path / "3" / pretrain.WEIGHTS) as after:
        same = {name: np.array_equal(before[name], after[name]) for name in before.files}
    statistics = [name for name in same if "normalise" in name]
    assert statistics and all(same[name] for name in statistics)
    assert not all(same.values())


def test_statistics_can_be_kept_of_earlier_weights_only(capsys):
    with pytest.raises(SystemExit):
        pretrain.main(["--fixed-statistics"])
    assert "--fixed-statistics needs --init" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("generation", "given", "expected"),
    [
        (0, [], (64, "float32")),
        (7, [], (1024, "float32")),
        (9, [], (1024, "mixed_bfloat16")),
        (9, ["--batch-size", "32", "--precision", "float32"], (32, "float32")),
    ],
)
def test_a_gpu_gets_large_batches_and_short_numbers_unless_told_otherwise(
    generation: int, given: list[str], expected: tuple, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fitting, "gpu_generation", lambda: generation)
    options = pretrain._options(given)
    pretrain.suit_the_device(options)
    assert (options.batch_size, options.precision) == expected
