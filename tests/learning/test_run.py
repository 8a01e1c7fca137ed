"""The loop keeps its plan: of steps, or of time however slow the machine is."""

from __future__ import annotations

import time
from functools import partial

import keras
import numpy as np
import pytest

from captcha_helpers import Charset, LabeledImages, ModelSpec
from captcha_helpers.learning import run
from captcha_helpers.learning.checkpoint import Progress
from captcha_helpers.learning.fitting import compile_model
from captcha_helpers.learning.plan import Plan, State, TrainingSettings, learning_rate
from captcha_helpers.learning.run import Material, Run

pytestmark = pytest.mark.slow

SPEC = ModelSpec("01", (4, 4), 16, 32)


def labelled(count: int) -> LabeledImages:
    labels = [f"{number % 16:04b}" for number in range(count)]
    images = np.random.default_rng(0).integers(0, 256, (count, 16, 32, 1), np.uint8)
    return LabeledImages(images, labels, [f"{i}.png" for i in range(count)])


def progress() -> Progress:
    image = keras.Input((16, 32, 1))
    x = keras.layers.Reshape((32, 16))(image)
    model = keras.Model(image, keras.layers.Dense(Charset("01").num_classes)(x))
    compile_model(model, head="ctc", steps=None)
    return Progress(model, model.get_weights(), None)


def start(plan: Plan, done: Progress, draw=None, **more) -> Run:
    return Run(plan, Material(SPEC, labelled(40), labelled(10), draw), done, show=False, **more)


def test_as_many_steps_and_checks_as_planned():
    done = progress()
    plan = Plan("nothing", 1.0, 0.0, 24, 0, 1e-3)
    assert start(plan, done).go(time.perf_counter())
    assert done.state.step == 24 and len(done.state.history) == 12
    assert done.model.optimizer.learning_rate.numpy() == np.float32(learning_rate(23 / 24, 1e-3))


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_what_costs_more_gets_fewer_steps_and_the_time_is_kept(pause: float):
    done = progress()
    done.model.train_on_batch(np.zeros((24, 16, 32, 1)), np.ones((24, 2)))  # builds the step
    step = done.model.train_on_batch

    def slow(*arguments, **more):
        time.sleep(pause)
        return step(*arguments, **more)

    done.model.train_on_batch = slow
    begun = time.perf_counter()
    start(Plan("nothing", 1.0, 6.0, None, 0, 1e-3), done).go(begun)
    assert 5.5 < time.perf_counter() - begun < 60
    assert done.state.step > 5 if not pause else 1 < done.state.step < 60
    assert done.model.optimizer.learning_rate.numpy() < 2e-4  # it has come down in time


def test_drawn_images_follow_one_another_and_are_of_the_models_kind(monkeypatch):
    asked = []

    def draw(count: int, **kind):
        asked.append((count, kind))
        return np.zeros((count, 16, 32, 1), np.uint8), ["0101"] * count

    done = progress()
    plan = Plan("x", 0.0, 0.0, 2, 5, 1e-3, seed=2, settings=TrainingSettings(batch_size=8))
    start(plan, done, draw).go(time.perf_counter())
    assert [(count, kind["start"]) for count, kind in asked[:2]] == [(5, 0), (5, 5)]
    kind = asked[0][1]
    assert (kind["charset"], kind["length"], kind["seed"]) == ("01", (4, 4), 2_000_002)


def test_the_state_is_written_now_and_then_and_when_somebody_stops_it(monkeypatch):
    saved = []
    done = progress()
    plan = Plan("x", 1.0, 0.0, 5, 0, 1e-3, settings=TrainingSettings(save_every=0.0))
    start(plan, done, save=lambda progress: saved.append(progress.state.step)).go(0.0)
    assert saved == [1, 2, 3, 4, 5]
    done = progress()

    def stop(self, images, labels):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Run, "_step", stop)
    rare = Plan("x", 1.0, 0.0, 5, 0, 1e-3)
    stopped = start(rare, done, save=lambda progress: saved.append(progress.state.step))
    assert not stopped.go(time.perf_counter()) and saved[5:] == [0]
    assert len(done.state.history) == 1  # there is something to say about the reader


def test_a_plan_of_time_does_not_count_what_the_first_step_took():
    plan = Plan("x", 1.0, 100.0, None, 0, 1e-3)
    assert plan.share(State(step=1, seconds=40.0, started=40.0)) == 0
    assert plan.share(State(step=9, seconds=70.0, started=40.0)) == 0.5


def test_weights_that_were_not_there_to_begin_with_are_not_gone_back_to():
    done = progress()
    went = partial(Run.go_back, start(Plan("x", 1.0, 0.0, 1, 0, 1e-3), done))
    assert went() == 1.0
