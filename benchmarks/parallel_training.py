"""What a second process changes in a pre-training.

    python -m benchmarks.parallel_training --json benchmarks/parallel_training.json

Two things are measured, with Keras on JAX (which must be installed) on a CPU:

- **What is learned.** A small reader learns four digits in the look `clean` by the program of
  `tools.pretrain`, once in one process and once in two, each with half of the batch: the same
  number of steps, images seen and images drawn. Exact match on images of another seed, with 95 %
  Wilson intervals. Its seeds are repeated to show what chance does.
- **How fast.** Steps a second of the general reader with the same batch: one process on one core,
  two processes on a core each, and one process on both cores, in turns; the best round counts.
  Nothing is drawn and nothing augmented meanwhile. Processor time is given as well, of all
  processes together: other programs on the machine change it less.

Interrupted, it goes on where it was. Whether what two processes wrote loads in TensorFlow bit for
bit is not measured but tested, by `tests/repository/test_pretrain_together.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from captcha_helpers.core.files import write_bytes
from captcha_helpers.core.metrics import exact_match, wilson_interval
from captcha_helpers.drawing.looks import draw_looks
from tools.pretrain import build_model, learn
from tools.pretrain_draw import CHARSET, HEIGHT, LONGEST, WIDTH, Drawings, Images, Labels
from tools.pretrain_together import add_options, free_address, together

LOOK, TEST_SEED = "clean", 1_000_000
COMMAND = "-m", "benchmarks.parallel_training"


def digits(seed: int, start: int, count: int, length: tuple[int, int]) -> tuple[Images, Labels]:
    """Draw four digits an image in one look, as `tools.pretrain_draw.draw` draws anything."""
    size = {"height": HEIGHT, "width": WIDTH, "charset": "0123456789", "length": (4, 4)}
    images, labels = draw_looks(count, look=LOOK, seed=seed, start=start, **size)
    return images, CHARSET.encode(labels, length=LONGEST)


def small_reader() -> Any:
    """A reader that learns four digits in minutes on a CPU."""
    import keras

    def normal(x: Any) -> Any:
        return layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))

    layers = keras.layers
    image = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for filters, strides in ((24, 4), (48, (2, 1)), (64, (2, 1))):
        size = 5 if strides == 4 else 3
        x = normal(layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x))
    x = layers.Reshape((WIDTH // 4, 3 * 64))(layers.Permute((2, 1, 3))(x))
    x = normal(layers.Dense(96, use_bias=False)(x))
    x = normal(layers.Conv1D(96, 5, padding="same", use_bias=False)(x))
    return keras.Model(image, layers.Dense(CHARSET.num_classes)(x))


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Be one of the processes of a training; process 0 returns what was measured."""
    import keras

    from captcha_helpers.core.ctc import greedy_decode
    from tools.pretrain_learn import make_learner

    keras.utils.set_random_seed(options.seed)
    model = small_reader() if options.part == "learn" else build_model("float32")
    learner = make_learner(model, pool=options.pool, length=LONGEST, seed=options.seed, strength=0)
    said: list[tuple[float, float, int, int, float]] = []

    def report(steps: int, seen: int, drawn: int, losses: Sequence[float]) -> None:
        now = time.monotonic(), time.process_time()
        said.append((*now, steps, drawn, float(np.mean(losses))))

    start = options.process * options.chunk
    drawings = Drawings(
        options.seed,
        workers=0,
        chunk=options.chunk,
        start=start,
        every=options.processes,
        function=digits,
    )
    learn(learner, drawings, options, report)
    (began, work, first, _, _), (ended, worked, steps, drawn, loss) = said[0], said[-1]
    found: dict[str, Any] = {
        "steps_a_second": round((steps - first) / (ended - began), 3),
        "core_seconds_a_step": round(options.processes * (worked - work) / (steps - first), 3),
    }
    if options.part == "learn" and options.process == 0:
        images, labels = digits(TEST_SEED, 0, options.test_images, (4, 4))
        texts = CHARSET.decode(greedy_decode(learner.logits(learner.average(), images)))
        exact = exact_match(CHARSET.decode(labels), texts)
        interval = wilson_interval(round(exact * len(texts)), len(texts))
        found |= {"drawn": drawn, "loss": round(loss, 4), "exact_match": round(exact, 4)}
        found["ci95"] = [round(end, 4) for end in interval]
    return found


def run(part: str, processes: int, cores: Sequence[Sequence[int]], *more: str) -> dict[str, Any]:
    """Start the processes of a training, each on its cores, and wait for what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        line = [sys.executable, *COMMAND, "--part", part, "--json", str(out), *more]
        line += ["--processes", str(processes), "--coordinator", free_address()]
        environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
        started = []
        before = os.sched_getaffinity(0)
        for number in range(processes):
            os.sched_setaffinity(0, cores[number])  # who is started has the same
            started.append(subprocess.Popen([*line, "--process", str(number)], env=environment))
        os.sched_setaffinity(0, before)
        if any(process.wait() for process in started):
            raise SystemExit("a training failed")
        found: dict[str, Any] = json.loads(out.read_text())
    print(part, processes, "processes", found, flush=True)
    return found


def measure(options: argparse.Namespace, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let everything be trained that is compared; gives what is known so far, `found` included."""
    every = sorted(os.sched_getaffinity(0))[:2]
    learned, fast = found.get("learned", []), found.get("fast", [])
    seeds_and_processes = [(seed, count) for seed in range(options.seeds) for count in (1, 2)]
    for seed, processes in seeds_and_processes[len(learned) :]:
        steps = ("--steps", str(options.steps), "--seed", str(seed))
        measured = run("learn", processes, [every] * 2, *steps)
        learned.append({"processes": processes, "seed": seed, **measured})
        yield {"learned": learned, "fast": fast}
    kinds = ((1, [every[:1]]), (2, [every[:1], every[1:]]), (1, [every]))
    for processes, cores in (options.rounds * kinds)[len(fast) :]:
        measured = run("speed", processes, cores, "--steps", str(options.speed_steps))
        fast.append({"processes": processes, "cores_of_each": len(cores[0]), **measured})
        yield {"learned": learned, "fast": fast}


def main() -> None:
    """Run the command, or one process of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--json", type=Path, help="write the results to this file")
    add("--steps", type=int, default=800, help="of each training that is compared")
    add("--seeds", type=int, default=2, help="trainings with one process, and with two")
    add("--rounds", type=int, default=2, help="of what is timed")
    add("--speed-steps", type=int, default=15, help="of each timing")
    add("--test-images", type=int, default=3000)
    add("--batch-size", type=int, default=32, help="of all processes together")
    add("--part", choices=("learn", "speed"), help=argparse.SUPPRESS)
    add("--seed", type=int, default=0, help=argparse.SUPPRESS)
    add_options(parser)
    options = parser.parse_args()
    if options.part is None:
        about = {
            "command": f"python {' '.join(COMMAND)} {' '.join(sys.argv[1:])}",
            "batch_size": options.batch_size,
            "python": platform.python_version(),
        }
        known = options.json and options.json.exists()
        for found in measure(options, json.loads(options.json.read_text()) if known else {}):
            write(about | found, options)
        return
    vars(options).update(chunk=256, pool=8192, peak_rate=4e-3, deadline=0.0, report_every=1.0)
    vars(options).update(views=4.0 if options.part == "learn" else 1e9)
    with together(options, COMMAND):
        found = train(options)
        write(found, options)


def write(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Replace the file by what is known."""
    if options.json and options.process == 0:
        write_bytes(options.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
