"""What a training step costs on each backend of Keras, on a CPU: the same model, batch and loss.

    python -m benchmarks.backends --json benchmarks/backends.json

The general reader, a `residual_ctc` in float32, takes steps of ``train_on_batch`` with CTC and
AdamW on 64 images, in one process for each backend, one after the other. It is compiled as in the
pre-training: by XLA on JAX, to a graph on TensorFlow, and not at all on PyTorch. CPU-seconds are of
all threads; on a machine that does other things as well they say more than the seconds that pass.
The first steps, in which a backend compiles, are not counted. PyTorch must be installed for it,
which nothing else here needs: ``pip install torch==2.13.0+cpu``, for example.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
BATCH, NOT_COUNTED = 64, 3  # images; steps


def steps_here(count: int) -> dict[str, Any]:
    """Take steps on the backend that this process has; gives what one costs."""
    import keras

    from tools.pretrain import build_model
    from tools.pretrain_draw import CHARSET, HEIGHT, LONGEST, WIDTH

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), np.uint8)
    labels = np.zeros((BATCH, LONGEST), np.int32)
    labels[:, :6] = rng.integers(1, CHARSET.num_classes, (BATCH, 6))
    model, jit = build_model("float32"), keras.backend.backend() == "jax"
    model.compile(keras.optimizers.AdamW(1e-3), keras.losses.CTC(), jit_compile=jit)
    losses, cpu, seconds = [], [], []
    for _ in range(NOT_COUNTED + count):
        worked, begun = time.process_time(), time.perf_counter()
        losses.append(float(model.train_on_batch(images, labels)))
        cpu.append(time.process_time() - worked)
        seconds.append(time.perf_counter() - begun)
    return {
        "backend": keras.backend.backend(),
        "version": version(keras.backend.backend()),
        "cpu_seconds_a_step": round(statistics.median(cpu[NOT_COUNTED:]), 3),
        "seconds_a_step": round(statistics.median(seconds[NOT_COUNTED:]), 3),
        "losses": [round(losses[0], 3), round(losses[-1], 3)],
    }


def steps_of(backend: str, count: int) -> dict[str, Any]:
    """Take them in a process that has this backend."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.backends", "--here", "--steps", str(count)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found, flush=True)
    return found


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--steps", type=int, default=30, help="that are counted")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(steps_here(options.steps)))
        return
    rows = [
        {"round": number, **steps_of(backend, options.steps)}
        for number in range(options.rounds)
        for backend in BACKENDS
    ]
    report = {
        "batch_size": BATCH,
        "steps": options.steps,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": version("keras"),
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
