"""The resume file holds all that a training has, and refuses to be something else."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from captcha_helpers import Charset, LabeledImages, ModelSpec, save_model
from captcha_helpers.learning.checkpoint import (
    Job,
    Progress,
    load_checkpoint,
    resume_path,
    save_checkpoint,
)
from captcha_helpers.learning.fitting import compile_model
from captcha_helpers.learning.plan import Plan, State, TrainingSettings
from captcha_helpers.learning.split import set_aside

ORDER = {"minutes": 5.0, "seed": 3, "processing": "Processing()"}
SPEC = ModelSpec("01", (4, 4), 16, 32)


def network() -> keras.Model:
    image = keras.Input((16, 32, 1))
    x = keras.layers.Reshape((32, 16))(image)
    model = keras.Model(image, keras.layers.Dense(Charset("01").num_classes)(x))
    compile_model(model, head="ctc", steps=None)
    model.train_on_batch(np.ones((2, 16, 32, 1)), np.ones((2, 4)))
    return model


def job() -> Job:
    labels = [f"{number:04b}" for number in range(16)]
    data = LabeledImages(np.zeros((16, 16, 32, 1), np.uint8), labels, [f"{x}.png" for x in labels])
    settings = TrainingSettings(batch_size=8)
    plan = Plan("nothing", 1.0, 60.0, None, 3, 1e-3, seed=3, settings=settings)
    return Job(ORDER, plan, SPEC, set_aside(data, seed=3))


@pytest.mark.slow
@pytest.mark.parametrize("begun_with_weights", [True, False])
def test_everything_comes_back(tmp_path: Path, begun_with_weights: bool):
    path, model, before = tmp_path / "m.resume.keras", network(), job()
    state = State(7, 12.5, 1.5, (0.25, -0.5), [{"epoch": 1.0, "loss": None, "cer": 0.5}])
    first = [np.zeros_like(array) for array in model.get_weights()]
    kept = [array + 1 for array in model.get_weights()]
    first = first if begun_with_weights else None
    save_checkpoint(path, before, Progress(model, kept, first, state))
    after, progress = load_checkpoint(path, ORDER)
    assert after == before and progress.state == state
    assert (progress.first is not None) == begun_with_weights
    for one, other in zip(progress.kept, kept, strict=True):
        np.testing.assert_array_equal(one, other)
    optimizers = progress.model.optimizer, model.optimizer
    for one, other in zip(*(optimizer.variables for optimizer in optimizers), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_other_settings_are_named(tmp_path: Path):
    path, model = resume_path(tmp_path / "m.keras"), network()
    save_checkpoint(path, job(), Progress(model, model.get_weights(), None))
    other = ORDER | {"seed": 4, "processing": "Processing(invert='always')"}
    with pytest.raises(ValueError, match=r"seed was 3 and is 4, processing was .*invert='always'"):
        load_checkpoint(path, other)


@pytest.mark.slow
def test_no_file_and_a_file_of_another_version(tmp_path: Path):
    path = tmp_path / "m.resume.keras"
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        load_checkpoint(path, ORDER)
    save_model(network(), SPEC, path)
    with pytest.raises(ValueError, match="another version; start anew"):
        load_checkpoint(path, ORDER)
