"""How fast the models train and read: images a CPU-second, and milliseconds an answer.

    python benchmarks/model_speed.py --json benchmarks/model_speed.json

Training: batches of 32 images of 48 x 160 pixels (80 x 280 for the 286k CRNN, 50 x 200 for the
official Keras example, 48 x 192 in colour for the general reader, with float32 and with bfloat16
numbers), CPU-seconds of this process, the first steps not counted. Reading: the
pre-trained reader, from PNG bytes to text, one image and 64 at a time; wall-clock, because that is
what somebody waits for.

With the PyPI package ``captcha`` installed, its image generator is timed beside ours.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import captcha_helpers as ch  # sets TensorFlow's environment before Keras is imported

import keras  # isort: skip
from captcha_helpers.learning.fitting import computed_with  # isort: skip
from captcha_helpers.reading.recognizer import from_keras  # isort: skip
from readers import keras_example  # isort: skip

LENGTH, BATCH = 5, 32
Build = Callable[[ch.Charset, int, int], keras.Model]


def ours(builder: Callable[..., keras.Model]) -> Build:
    """Take one of the package's builders."""
    return lambda charset, height, width: builder(
        charset, length=LENGTH, height=height, width=width
    )


def in_bfloat16(build: Build) -> Build:
    """Take the same network, computed with fewer bits."""

    def computed(charset: ch.Charset, height: int, width: int) -> keras.Model:
        with computed_with("mixed_bfloat16"):
            return build(charset, height, width)

    return computed


MODELS = (
    ("cnn_ctc", ours(ch.cnn_ctc), 48, 160, "ctc"),
    ("crnn_ctc", ours(ch.crnn_ctc), 80, 280, "ctc"),
    ("multi_head", ours(ch.multi_head), 48, 160, "per_position"),
    ("fixed_length_cnn", ours(ch.fixed_length_cnn), 48, 160, "per_position"),
    ("residual_ctc", ours(ch.residual_ctc), 48, 192, "ctc"),
    ("residual_ctc, bfloat16", in_bfloat16(ours(ch.residual_ctc)), 48, 192, "ctc"),
    ("keras_example", lambda charset, *_: keras_example(charset, LENGTH), 50, 200, "ctc"),
)


def training_speed(build: Build, height: int, width: int, head: str, steps: int) -> float:
    """Train on random pixels and count images a CPU-second."""
    charset = ch.Charset(ch.ALPHANUMERIC)
    model = build(charset, height, width)
    ch.compile_model(model, head=head, steps=1000)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, *model.input_shape[1:]), dtype=np.uint8)
    labels = rng.integers(1, charset.num_classes, (BATCH, LENGTH)).astype(np.int32)
    for _ in range(3):
        model.train_on_batch(images, labels)
    begun = time.process_time()
    for _ in range(steps):
        model.train_on_batch(images, labels)
    return steps * BATCH / (time.process_time() - begun)


def reading_speed(count: int, rounds: int) -> dict[str, float]:
    """Read PNG bytes, `count` at a time: milliseconds a call and images a second."""
    charset = ch.Charset(ch.ALPHANUMERIC)
    spec = ch.ModelSpec(charset.characters, (LENGTH, LENGTH), 48, 160)
    reader = from_keras(ch.pretrained_start(charset, length=LENGTH, start="pretrained"), spec)
    images, _ = ch.generate("gradient", count, seed=1)
    files = []
    for image in images:
        data = io.BytesIO()
        Image.fromarray(image).save(data, "PNG")
        files.append(data.getvalue())
    seconds = []
    for _ in range(rounds + 3):
        begun = time.perf_counter()
        list(reader.read_many(files))
        seconds.append(time.perf_counter() - begun)
    seconds = sorted(seconds[3:])
    return {
        "p50_ms": 1000 * statistics.median(seconds),
        "p95_ms": 1000 * seconds[int(0.95 * len(seconds))],
        "images_per_second": count / statistics.median(seconds),
    }


def generator_speed(count: int) -> dict[str, float]:
    """Count images a CPU-second: our `classic` style and, if installed, the package captcha."""
    ch.generate("classic", 300, seed=0)
    begun = time.process_time()
    ch.generate("classic", count, seed=1)
    speeds = {"captcha_helpers": count / (time.process_time() - begun)}
    try:
        from captcha.image import ImageCaptcha
    except ImportError:
        return speeds
    other = ImageCaptcha(width=120, height=100)
    other.generate_image("0123456789")
    begun = time.process_time()
    for number in range(count):
        other.generate_image(f"{number % 10000:04d}")
    return speeds | {"captcha": count / (time.process_time() - begun)}


def processor() -> dict[str, str]:
    """Say what this machine computes with, as Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    flags = [flag for flag in facts.get("flags", "").split() if "bf16" in flag]
    return {"name": facts.get("model name", ""), "bfloat16": " ".join(flags)}


def main() -> None:
    """Measure, print, perhaps write a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = {
        "processor": processor(),
        "training_images_per_cpu_second": {
            name: training_speed(build, height, width, head, options.steps)
            for name, build, height, width, head in MODELS
        },
        "reading": {str(count): reading_speed(count, options.rounds) for count in (1, 64)},
        "drawn_images_per_cpu_second": generator_speed(1000),
    }
    text = json.dumps(report, indent=2, default=float)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
