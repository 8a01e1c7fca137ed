"""How many images a second one processor core draws, for each style.

    make benchmark

runs `python benchmarks/generator_speed.py --json benchmarks/generator_speed.json`. It fails if the
best round of a style misses its target.

Counted is all that `generate` does for an image: its random generator, its label and its pixels.
"To a batch" counts all that `GeneratedBatches` does for one: drawing it, preparing it to 48 x 144
grey pixels and encoding its label, so this is what a model that trains can be fed with.
The time is processor time of this process with OpenCV on one thread; the first images of a style,
which fill the cache of characters, are drawn before the clock starts. A style is timed in rounds.
The best round counts, as the manual of Python's `timeit` advises: what is slower was disturbed by
other programs on the same machine. The median is printed beside it and says how much.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from captcha_helpers.core.charset import Charset
from captcha_helpers.drawing.painter import generate
from captcha_helpers.drawing.styles import STYLES
from captcha_helpers.learning.batches import GeneratedBatches

TARGETS = {"slanted": 2000}  # images a second; every other style: 1000


def measure(name: str, rounds: int, batch: int) -> dict[str, float]:
    """Images per second of processor time.

    Args:
        name: Name of a preset style.
        rounds: How many times to draw a batch.
        batch: Images a round.

    Returns:
        `median` and `best` of the rounds, the `target` of the best, and `to_a_batch`, the median
        from the generator to encoded batches; all in images a second.
    """
    style = STYLES[name]
    batches = GeneratedBatches(
        style,
        Charset(style.charset),
        height=48,
        width=144,
        label_length=max(style.length),
        batch_size=batch,
        steps=rounds,
        seed=3,
    )
    generate(style, 300, seed=1)
    drawn = _time(lambda i: generate(style, batch, seed=2, start=i * batch), rounds)
    batched = _time(batches.__getitem__, rounds)
    return {
        "median": round(batch / statistics.median(drawn)),
        "best": round(batch / min(drawn)),
        "target": TARGETS.get(name, 1000),
        "to_a_batch": round(batch / statistics.median(batched)),
    }


def _time(work: Callable[[int], Any], rounds: int) -> list[float]:
    """Processor seconds that each round takes."""
    seconds = []
    for number in range(rounds):
        begin = time.process_time()
        work(number)
        seconds.append(time.process_time() - begin)
    return seconds


def main() -> None:
    """Measure every style, print a table, perhaps write a JSON file; exit 1 on a missed target."""
    parser = argparse.ArgumentParser(description="Images a second and core, for each style.")
    parser.add_argument("--rounds", type=int, default=25, help="rounds a style (default: 25)")
    parser.add_argument("--batch", type=int, default=64, help="images a round (default: 64)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    speeds = {name: measure(name, options.rounds, options.batch) for name in STYLES}
    print(f"{'style':10}{'median':>10}{'best':>8}{'target':>8}{'to a batch':>12}")
    for name, s in speeds.items():
        print(f"{name:10}{s['median']:>10}{s['best']:>8}{s['target']:>8}{s['to_a_batch']:>12}")
    if options.json:
        report = {
            "images_per_second_per_core": speeds,
            "rounds": options.rounds,
            "batch": options.batch,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "machine": platform.machine(),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    slow = [name for name, speed in speeds.items() if speed["best"] < speed["target"]]
    if slow:
        sys.exit(f"slower than the target: {', '.join(slow)}")


if __name__ == "__main__":
    main()
