"""How many images a second one processor core draws, for each style.

    python benchmarks/generator_speed.py --json results/generator_speed.json

Counted is all that `generate` does for an image: its random generator, its label and its pixels.
The time is processor time of this process with OpenCV on one thread; the first images of a style,
which fill the cache of characters, are drawn before the clock starts. A style is timed in rounds,
and the median round is what counts, because other programs slow single rounds down.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from captcha_helpers.generator import generate
from captcha_helpers.styles import STYLES

TARGETS = {"slanted": 2000}  # images a second; every other style: 1000


def measure(name: str, rounds: int, batch: int) -> dict[str, float]:
    """Images per second of processor time: the median and the best of several rounds.

    Args:
        name: Name of a preset style.
        rounds: How many times to draw a batch.
        batch: Images a round.

    Returns:
        `median` and `best`, in images a second, and the `target`.
    """
    generate(name, 300, seed=1)
    speeds = []
    for number in range(rounds):
        begin = time.process_time()
        generate(name, batch, seed=2, start=number * batch)
        speeds.append(batch / (time.process_time() - begin))
    return {
        "median": round(statistics.median(speeds)),
        "best": round(max(speeds)),
        "target": TARGETS.get(name, 1000),
    }


def main() -> None:
    """Measure every style, print a table and perhaps write a JSON file."""
    parser = argparse.ArgumentParser(description="Images a second and core, for each style.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds a style (default: 15)")
    parser.add_argument("--batch", type=int, default=64, help="images a round (default: 64)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    speeds = {name: measure(name, options.rounds, options.batch) for name in STYLES}
    print(f"{'style':10}{'images/s':>10}{'best':>8}{'target':>8}")
    for name, speed in speeds.items():
        print(f"{name:10}{speed['median']:>10}{speed['best']:>8}{speed['target']:>8}")
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


if __name__ == "__main__":
    main()
