"""The same model in every runtime: cold start, milliseconds an image, images a second, file size.

    python benchmarks/runtimes.py general
    python benchmarks/runtimes.py my_reader.keras --json runtimes.json

Exports a reader: one that ships with its weights, or your own. Each runtime then has a process of
its own, on one core: the time from the start of Python to the first answer, then from prepared
pixels to logits, one image and 64 at a time. Wall-clock, because that is what somebody waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import captcha_helpers as ch

FILES = {
    "Keras predict": "model.keras",
    "tf.function": "saved_model",
    "ONNX Runtime": "model.onnx",
    "ONNX Runtime int8": "model.int8.onnx",
    "LiteRT float32": "model.float32.tflite",
    "LiteRT dynamic int8": "model.dynamic_int8.tflite",
    "LiteRT int8": "model.int8.tflite",
}


def measure(path: Path, begun: float, rounds: int) -> dict[str, float]:
    """Open a file in this process, which began at `begun`, and time it."""
    spec, run = ch.read_spec(path), ch.open_model(path)
    if path.suffix == ".keras":
        import keras

        model = keras.models.load_model(path, compile=False)

        def run(images: np.ndarray) -> np.ndarray:
            return model.predict(images, verbose=0)

    size = (64, spec.height, spec.width, spec.channels)
    images = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    run(images[:1])
    cold = time.time() - begun
    return {"cold_start_s": cold} | _times(run, images[:1], rounds) | _times(run, images, rounds)


def _times(run: object, images: np.ndarray, rounds: int) -> dict[str, float]:
    seconds = []
    for _ in range(rounds + 3):
        begun = time.perf_counter()
        run(images)
        seconds.append(time.perf_counter() - begun)
    middle, late = np.quantile(seconds[3:], (0.5, 0.95))
    if len(images) == 1:
        return {"p50_ms": 1000 * middle, "p95_ms": 1000 * late}
    return {"images_per_second": len(images) / middle}


def main() -> None:
    """Measure, print, perhaps write a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="general", help="a name or a .keras file")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("FILE", "BEGUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        path, begun = options.one
        print(json.dumps(measure(Path(path), float(begun), options.rounds), default=float))
        return
    report = {}
    with tempfile.TemporaryDirectory() as work:
        checks = ch.export(
            options.model,
            Path(work, "out"),
            formats=["keras", "savedmodel", "onnx", "onnx-int8", "litert"],
        )
        sizes = {check.file: check.bytes for check in checks if not check.left_out}
        for name, file in FILES.items():
            if file not in sizes:
                continue
            command = [sys.executable, __file__, "--rounds", str(options.rounds), "--one"]
            said = subprocess.run(
                [*command, str(Path(work, "out", file)), str(time.time())],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                preexec_fn=lambda: os.sched_setaffinity(0, {0}),
            )
            report[name] = json.loads(said.stdout) | {"bytes": sizes[file]}
            row = report[name]
            print(
                f"{name:20} cold {row['cold_start_s']:5.2f} s   p50 {row['p50_ms']:6.2f} ms   "
                f"p95 {row['p95_ms']:6.2f} ms   64 at a time {row['images_per_second']:5.0f}/s   "
                f"{row['bytes'] / 1e6:.2f} MB",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
