"""Pre-train the general reader on drawn images of every look: ``python -m tools.pretrain``.

Processes draw new images without end; a `residual_ctc` learns from a pool of the newest, each shown
a few times and never twice with the same pixels (`tools.augment_ops`). The plan is one of time: the
learning rate rises over the first twentieth of ``--minutes`` and falls to zero by the end, however
fast the machine (Smith and Topin, *Super-Convergence*, 2018). With Keras on JAX everything but the
drawing happens on the GPU; with TensorFlow the same program runs on a CPU, only slower.

``--processes 2`` trains with as many processes on this machine, each with the images that it draws
itself; on several machines give each the same command, with ``--coordinator HOST:PORT`` and
``--process 0``, ``1`` and so on (`docs/pretraining.md`). Each uses all of its GPUs.

Interrupted or ended early, it leaves what it has learned so far; ``--init`` goes on from there in a
new round, whose rate rises and falls once more (Loshchilov and Hutter, *SGDR: Stochastic Gradient
Descent with Warm Restarts*, 2017).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from captcha_helpers.core.charset import ALPHANUMERIC, BLANK_INDEX
from captcha_helpers.core.files import write_bytes
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.model_file import ModelSpec, read_spec
from captcha_helpers.reading.weights import load_weights, save_weights
from tools.pretrain_draw import (
    CHANNELS,
    CHARSET,
    HEIGHT,
    LENGTHS,
    LONGEST,
    PROCESSING,
    WIDTH,
    Drawings,
    draw_test,
)
from tools.pretrain_together import add_options, together

# Keras is imported where it is first used: each process that draws imports this module again.
if TYPE_CHECKING:
    import keras

    from tools.pretrain_learn import Arrays, Learner

TEST_SEED = 1_000_000
WARMUP = 0.05  # share of the time in which the rate rises
WEIGHTS, FIGURES, HISTORY = "general.npz", "general.json", "history.json"


@dataclass
class Progress:
    """A line of the history.

    Attributes:
        seconds: Since the program began.
        steps: Batches trained on.
        seen: Images in them.
        drawn: Different images among those.
        per_second: Images seen a second, lately.
        loss: Mean lately.
        exact_match: On the test images, 0–1.
        cer: Character error rate on them.
    """

    seconds: float
    steps: int
    seen: int
    drawn: int
    per_second: float
    loss: float
    exact_match: float
    cer: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s  {self.steps:6} steps  {self.seen:9,} seen of {self.drawn:9,}  "
            f"{self.per_second:7,.0f}/s  loss {self.loss:7.3f}  exact match "
            f"{self.exact_match:6.1%}  CER {self.cer:6.1%}"
        )


def rate_at(share: float, peak_rate: float) -> float:
    """Say how high the learning rate is when this share of the time is over.

    Example:
        >>> [round(rate_at(share, 1.0), 3) for share in (0.0, 0.025, 0.05, 0.525, 1.0)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if share < WARMUP:
        return peak_rate * share / WARMUP
    fallen = min(1.0, (share - WARMUP) / (1 - WARMUP))
    return peak_rate * (1 + math.cos(math.pi * fallen)) / 2


def share_over(options: argparse.Namespace, begin: float, steps: int) -> float:
    """Say how much of the plan is over: from 0 to 1, or more; the first step is always made."""
    if options.steps or not steps:
        return float(steps / (options.steps or 1))
    return float((time.monotonic() - begin) / max(1e-9, options.deadline - begin))


def build_model(precision: str) -> keras.Model:
    """Build the general reader, to be computed with ``"float32"`` or ``"mixed_bfloat16"``."""
    from captcha_helpers.core.models import residual_ctc
    from captcha_helpers.learning.fitting import computed_with

    with computed_with(precision):
        return residual_ctc(CHARSET, length=LONGEST, height=HEIGHT, width=WIDTH, channels=CHANNELS)


def general_spec(figures: dict[str, Any]) -> ModelSpec:
    """Say what the general reader expects; unless told more, it reads letters and digits.

    Args:
        figures: How it was trained and how well it reads.
    """
    return ModelSpec(
        CHARSET.characters,
        (1, LONGEST),
        HEIGHT,
        WIDTH,
        training=figures,
        channels=CHANNELS,
        mask=Mask(charset=ALPHANUMERIC),
        processing=PROCESSING,
    )


def learn(
    learner: Learner,
    drawings: Drawings,
    options: argparse.Namespace,
    report: Any,
    stopped: Any = lambda: False,
) -> None:
    """Train until the time is up.

    Args:
        learner: What trains.
        drawings: Where images come from.
        options: Those of the command.
        report: Called with (steps, seen, drawn, losses) about once a minute and at the end.
        stopped: Says when to end early.
    """
    from tools.pretrain_learn import Vote

    rng = np.random.default_rng([options.seed, options.process])
    alone, batch_size = options.processes == 1, options.batch_size // options.processes
    drawn = seen = steps = 0  # by this process; the reports are on all of them
    agreed = Vote(0, 0, 0)
    losses: list[float] = []
    begin = reported = time.monotonic()

    def report_now() -> None:
        chunks = round(agreed.chunks * options.processes)
        report(steps, steps * options.batch_size, chunks * options.chunk, losses)

    while not (agreed.ending or (alone and stopped())):
        # A new chunk when the images so far were shown often enough; never wait for one but at the
        # beginning, when the pool must hold a few batches.
        few = drawn < min(4 * batch_size, options.pool)
        if few or seen >= options.views * drawn:
            chunk = drawings.take(wait=few)
            if chunk is not None:
                learner.put(drawn % options.pool, *chunk)
                drawn += len(chunk[0])
                continue
        share = share_over(options, begin, steps)
        if share >= 1 and (alone or options.steps):
            break
        rows = rng.integers(0, min(drawn, options.pool), batch_size, dtype=np.int32)
        rate, ending = rate_at(share, options.peak_rate), share >= 1 or stopped()
        loss, agreed = learner.step(rows, Vote(rate, ending, drawn // options.chunk), steps)
        losses.append(loss)
        steps, seen = steps + 1, seen + batch_size
        if steps == 1:  # the step is compiled: the plan of the time begins after it
            begin = reported = time.monotonic()
        if time.monotonic() - reported > options.report_every:
            report_now()
            reported, losses = time.monotonic(), []
    if losses:
        report_now()


def ignore(steps: int, seen: int, drawn: int, losses: Sequence[float]) -> None:
    """Report nothing: what the processes do whose number is not 0."""


class Reporter:
    """Measure, print and save what was learned so far."""

    def __init__(self, model: keras.Model, learner: Learner, options: argparse.Namespace) -> None:
        self.model, self.learner, self.options = model, learner, options
        self.plain = build_model("float32")  # what is written
        self.images, labels = draw_test(TEST_SEED, options.test_images)
        self.labels = CHARSET.decode(labels)
        self.history: list[Progress] = []
        self.last = time.monotonic(), 0

    def __call__(self, steps: int, seen: int, drawn: int, losses: Sequence[float]) -> None:
        """Write a line and the files."""
        now = time.monotonic()
        then, seen_then = self.last
        self.last = now, seen
        weights = self.learner.average()
        exact, errors = self._measure(weights)
        progress = Progress(
            seconds=round(now - self.options.begin, 1),
            steps=steps,
            seen=seen,
            drawn=drawn,
            per_second=round((seen - seen_then) / max(1e-9, now - then), 1),
            loss=float(np.mean(losses)),
            exact_match=exact,
            cer=errors,
        )
        self.history.append(progress)
        print(progress, flush=True)
        out = self.options.out
        figures = self._figures(progress)
        self.plain.set_weights(weights)
        save_weights(self.plain, general_spec(figures), out / WEIGHTS)
        lines = [asdict(line) for line in self.history]
        write_bytes(out / HISTORY, json.dumps(lines, indent=1).encode())
        write_bytes(out / FIGURES, json.dumps(figures, indent=2).encode())

    def _measure(self, weights: Arrays) -> tuple[float, float]:
        from captcha_helpers.core.ctc import greedy_decode
        from captcha_helpers.core.metrics import cer, exact_match

        logits = self.learner.logits(weights, self.images)
        texts = CHARSET.decode(greedy_decode(logits))
        return exact_match(self.labels, texts), cer(self.labels, texts)

    def _figures(self, progress: Progress) -> dict[str, Any]:
        import keras

        options = {name: str(value) for name, value in vars(self.options).items()}
        return {
            "command": f"python -m tools.pretrain {' '.join(sys.argv[1:])}",
            "charset": CHARSET.characters,
            "test": {"seed": TEST_SEED, "images": len(self.images), "length": LENGTHS},
            "options": options,
            "python": platform.python_version(),
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            **asdict(progress),
        }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("build/pretrain"), help="folder for weights and figures")
    add("--init", type=Path, help=f"a {WEIGHTS} to go on from")
    add("--minutes", type=float, default=60.0, help="from the start of the program to its end")
    add("--steps", type=int, help="so many batches, however long it takes, instead of --minutes")
    add("--seed", type=int, default=0, help="another one draws other images, in a next round say")
    add("--workers", type=int, default=1, help="processes that draw")
    add("--batch-size", type=int, help="default: 64, or 1,024 on a GPU")
    add("--peak-rate", type=float, default=2e-3, help="highest learning rate")
    add(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        help="default: float32, or mixed_bfloat16 on a GPU that has it",
    )
    add("--pool", type=int, default=32_768, help="newest images kept; 27,648 bytes each")
    add("--views", type=float, default=2.0, help="how often an image is shown at least")
    add("--strength", type=float, default=1.0, help="of the augmentation")
    add(
        "--fixed-statistics",
        action="store_true",
        help="leave batch normalisation as --init has it: steadier with small batches",
    )
    add("--chunk", type=int, default=1024, help="images that a process draws at a time")
    add("--short", type=int, help="so many short labels at first (default: 50,000, or 0 with init)")
    add("--test-images", type=int, default=1000)
    add("--report-every", type=float, default=60.0, help="seconds")
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.pool % options.chunk:
        parser.error(f"--pool must be a multiple of --chunk, {options.chunk}")
    if options.fixed_statistics and not options.init:
        parser.error("--fixed-statistics needs --init, the weights whose statistics are kept")
    if options.short is None:
        options.short = 0 if options.init else 50_000
    return options


def weights_of(path: Path, characters: str) -> list[np.ndarray]:
    """The weights in a file, with the rows of these characters only at the end.

    Args:
        path: What this program or `tools.more_characters` has written.
        characters: All of them must be known.

    Returns:
        As ``get_weights`` gives them.

    Raises:
        ValueError: If the file does not know a character.
    """
    known = read_spec(path).charset
    if unknown := [char for char in characters if char not in known]:
        raise ValueError(f"{path} does not know {len(unknown)} of the characters: {unknown[:5]}")
    rows = [BLANK_INDEX, *(1 + known.index(char) for char in characters)]
    *others, kernel, bias = load_weights(path).get_weights()
    return [*others, kernel[:, rows], bias[rows]]


def suit_the_device(options: argparse.Namespace) -> None:
    """Set the batch and the numbers that were left open: larger ones and shorter ones on a GPU.

    Not before the processes have joined, which JAX must do before it looks for devices.
    """
    from captcha_helpers.learning.fitting import gpu_generation, quickest_precision

    on_gpu = gpu_generation() > 0
    options.batch_size = options.batch_size or (1024 if on_gpu else 64)
    options.precision = options.precision or (quickest_precision() if on_gpu else "float32")


def main(
    arguments: Sequence[str] | None = None, command: Sequence[str] = ("-m", "tools.pretrain")
) -> None:
    """Run the command.

    Args:
        arguments: Those of the command line, unless others are given.
        command: What starts it: arguments of Python.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _options(arguments)
    options.begin = time.monotonic()
    options.deadline = options.begin + 60 * options.minutes
    with together(options, [*command, *arguments]):
        _train(options)


def _train(options: argparse.Namespace) -> None:
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    with Drawings(
        options.seed,
        workers=options.workers,
        short=options.short,
        chunk=options.chunk,
        start=options.process * options.chunk,
        every=options.processes,
    ) as drawings:
        import keras

        from captcha_helpers.learning.fitting import fix_statistics
        from tools.pretrain_learn import make_learner

        keras.utils.set_random_seed(options.seed)
        suit_the_device(options)
        model = build_model(options.precision)
        if options.init:
            model.set_weights(weights_of(options.init, CHARSET.characters))
        if options.fixed_statistics:
            fix_statistics(model)
        learner = make_learner(
            model,
            pool=options.pool,
            length=LONGEST,
            seed=options.seed,
            strength=options.strength,
        )
        devices = options.processes * learner.parts
        if options.batch_size % devices or options.chunk % devices:
            raise SystemExit(f"--batch-size and --chunk must be multiples of the {devices} devices")
        report = Reporter(model, learner, options) if options.process == 0 else ignore
        learn(learner, drawings, options, report, lambda: bool(stop))


if __name__ == "__main__":
    main()
