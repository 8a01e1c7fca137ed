"""The pre-training in several processes, with Keras on JAX: it is one training, and ends as one."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import patience
import pytest
from pretrain_program import small_model

from captcha_helpers.reading.weights import load_weights
from tools import pretrain
from tools.pretrain_together import free_address

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="there is no JAX"),
]

TESTS = Path(__file__).parent.parent
COMMON = ["--workers", "0", "--chunk", "16", "--pool", "32", "--batch-size", "8"]
COMMON += ["--test-images", "4", "--seed", "3"]
# Every step is reported.
QUICKLY = ["--peak-rate", "0.03", "--strength", "0", "--steps", "100", "--report-every", "0"]
LEARNER = """
import sys
import keras, numpy as np
from pretrain_program import save, small_model, stripes
from tools.pretrain_learn import Vote, make_learner

keras.utils.set_random_seed(0)
model = small_model(normalise=False)
learner = make_learner(model, pool=16, length=12, seed=0, strength=0)
images, labels = stripes(0, 0, 16, (1, 9))
images = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
learner.put(0, images, labels)
share = np.arange(0, 16, learner.parts, dtype=np.int32)  # every row of each part of the pool
for number in range(3):
    loss, _ = learner.step(np.tile(share, learner.parts), Vote(0.01, 0, 1), number)
save(sys.argv[1], model, learner.average())
print(learner.parts, loss)
"""


def begin(out: Path, *arguments: str, devices: int = 1) -> subprocess.Popen[str]:
    out.mkdir(exist_ok=True)
    return python(
        str(TESTS / "pretrain_program.py"), *COMMON, *arguments, "--out", str(out), devices=devices
    )


def python(*arguments: str, devices: int = 1) -> subprocess.Popen[str]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begin_two(out: Path, *arguments: str, second: tuple[str, ...] = ()) -> list[subprocess.Popen]:
    """Start two processes as one does on two machines."""
    where = ("--processes", "2", "--coordinator", free_address())
    both = [("--process", "0"), ("--process", "1", *second)]
    return [begin(out, *where, *which, *arguments) for which in both]


def until_they_learn(processes: list[subprocess.Popen], out: Path) -> None:
    def something_is_written() -> bool:
        if any(process.poll() is not None for process in processes):
            raise AssertionError([patience.end_of(process) for process in processes])
        return (out / pretrain.HISTORY).exists()

    patience.until(something_is_written)


def at_a_random_moment(seed: int) -> None:
    """Wait while up to six more states are reported, somewhere in between."""
    seconds = random.Random(seed).uniform(0, 3)
    print(f"{seconds:.3f} s after the first report")
    time.sleep(seconds)


def ended_well(process: subprocess.Popen) -> str:
    said, errors = patience.end_of(process)
    assert process.returncode == 0, errors
    return said


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_two_processes_learn_one_and_the_same(tmp_path):
    ended_well(begin(tmp_path, *QUICKLY, "--processes", "2", "--workers", "1"))
    first, second = (arrays(tmp_path / f"process_{number}.npz") for number in (0, 1))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    history = json.loads((tmp_path / pretrain.HISTORY).read_text())
    assert history[-1]["steps"] == 100 and history[-1]["seen"] == 8 * 100
    assert history[-1]["drawn"] >= 8 * 100 / 2, "both count"
    assert history[-1]["loss"] < 0.1 * history[0]["loss"]
    # What JAX wrote has the same names, shapes and bits in this process's Keras.
    model = small_model()
    model.set_weights([first[one.path] for one in model.weights])
    for one, value in zip(model.weights, model.get_weights(), strict=True):
        assert np.array_equal(value, first[one.path])


def test_the_reader_that_two_devices_write_is_read_bit_for_bit(tmp_path):
    ended_well(begin(tmp_path, "--real", "--steps", "2", "--strength", "0", devices=2))
    written = arrays(tmp_path / pretrain.WEIGHTS)
    model = load_weights(tmp_path / pretrain.WEIGHTS)
    for one, value in zip(model.weights, model.get_weights(), strict=True):
        assert np.array_equal(value, written[one.path].astype(np.float32)), one.path


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    odd = begin(tmp_path, *QUICKLY, devices=3)
    assert "multiples of the 3 devices" in patience.end_of(odd)[1]


def test_two_devices_learn_from_a_batch_what_one_learns_from_it(tmp_path):
    files = [tmp_path / "1.npz", tmp_path / "2.npz"]
    for number, file in enumerate(files, start=1):
        said = ended_well(python("-c", LEARNER, str(file), devices=number))
        assert said.split()[0] == str(number)
    one, two = map(arrays, files)
    assert all(np.allclose(one[name], two[name], rtol=0, atol=1e-4) for name in one)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals like these")
def test_whoever_is_interrupted_ends_all_with_what_was_learned(tmp_path):
    both = begin_two(tmp_path, "--minutes", "600", "--report-every", "0.5")
    until_they_learn(both, tmp_path)
    both[1].send_signal(signal.SIGINT)
    for process in both:
        ended_well(process)
    first, second = (arrays(tmp_path / f"process_{number}.npz") for number in (0, 1))
    written = arrays(tmp_path / pretrain.WEIGHTS)
    for name in first:
        assert np.array_equal(first[name], second[name])
        assert np.array_equal(first[name], written[name])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals like these")
@pytest.mark.parametrize(("which", "how"), [(0, "SIGKILL"), (1, "SIGSTOP")])
def test_a_process_that_dies_or_stands_still_ends_the_others(tmp_path, which: int, how: str):
    """What they had learned is there, and a new start goes on from it."""
    both = begin_two(tmp_path, "--minutes", "600", "--report-every", "0.5")
    until_they_learn(both, tmp_path)
    at_a_random_moment(seed=which)
    both[which].send_signal(getattr(signal, how))
    try:
        _, errors = patience.end_of(both[1 - which])
    finally:
        both[which].kill()
    assert both[1 - which].returncode != 0
    assert (
        f"process {1 - which} of 2 ends, probably since another one has ended"
        in errors.splitlines()[-1]
    )
    kept, again = tmp_path / pretrain.WEIGHTS, tmp_path / "again"
    where = ("--processes", "2", "--steps", "3", "--peak-rate", "0", "--init", str(kept))
    ended_well(begin(again, *where))  # with a rate of 0, it ends with what it begins with
    before, after = arrays(kept), arrays(again / pretrain.WEIGHTS)
    kernels = [name for name in before if before[name].ndim > 1]
    assert kernels
    for name in kernels:
        assert np.allclose(before[name], after[name], rtol=1e-5, atol=1e-7), name


def test_processes_with_different_options_refuse_to_begin(tmp_path):
    for process in begin_two(tmp_path, "--steps", "5", second=("--peak-rate", "1e-3")):
        errors = patience.end_of(process)[1]
        assert process.returncode == 1
        assert "different options" in errors or "another one has ended" in errors
