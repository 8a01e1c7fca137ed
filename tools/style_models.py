"""Make the readers of the drawn styles that ship with the package: ``make models``.

Each begins with the pre-trained weights and learns from images near one style only
(`captcha_helpers.draw_images` with ``near``), none of them drawn twice and none of them real. It is
then written as an ONNX file, which reads without TensorFlow. The weights of `mixed` are kept for
Keras too (``.npz``): `captcha_helpers.train` begins with them if they know a folder better than the
pre-trained start. The cards of all of them are ``docs/models.md``.

Killed or interrupted, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import captcha_helpers  # noqa: F401  (sets TensorFlow's environment before Keras is imported)

import keras  # isort: skip
import numpy as np

from captcha_helpers import export, generate, load, prepare_batch, pretrained_start
from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset
from captcha_helpers.core.files import WEIGHTS, write_bytes
from captcha_helpers.drawing.random_looks import draw_images
from captcha_helpers.drawing.styles import get_style
from captcha_helpers.learning.fitting import compile_model
from captcha_helpers.learning.starts import HEIGHT, STARTS, WIDTH
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import from_keras, uncompiled
from captcha_helpers.reading.weights import save_weights
from tools import weights_index

IMAGES = {
    "mixed": 192_000,
    "gradient": 32_000,
    "slanted": 32_000,
    "stars": 24_000,
    "classic": 48_000,
}
VARIED: dict[str, dict[str, Any]] = {
    "stars": {"rise": 10.0, "margin": -5.0},  # the edge cuts digits, as it may in real ones
}
PEAK_RATE = 1.5e-3
BATCH_SIZE = 64
EPOCHS = 20  # only says how often progress is shown and saved
SEED = 3_000_000  # the pre-training and the rehearsal have drawn with others
TEST_IMAGES = 1500
TEST_SEED = 1_000_000
CARDS = Path("docs/models.md")
INTRODUCTION = """# The readers that ship with the package

`captcha_helpers.load("stars")` and `captcha-helpers predict stars IMAGE` read with them, without
TensorFlow. None ever saw a real image. `general` is for every look, and `chinese` for characters of
Chinese in every look; the others have learned from images drawn near one style and are for images
of that look: `mixed` began with `pretrained`, the four others with an earlier round of it.
`make models` makes these anew and writes this page. For another look, train your own:
`captcha_helpers.train`.

`pretrained` is an older and smaller reader of letters and digits, in grey. A training begins with
`general`, unless `pretrained` or the weights of `mixed` read the labelled images far better, or
with `chinese`, if labels have characters that only that one knows.

"""
GENERAL_CARD, CHINESE_CARD = Path("tools/general_card.md"), Path("tools/chinese_card.md")
CARD = """
## {name}

| | |
|---|---|
| reads | {length} characters out of `{charset}` |
| file | {size:.2f} MB, {height} x {width} grey pixels |
| learned from | {training[images]:,} images {training[data]}, seed {seed} |
| made by | `{training[command]}` |
| reads of {n:,} drawn images whose strings it never saw | {test} |
| mistakes there, most frequent first | {mistakes} |
| weak | {weakness} |
"""
WEAKNESSES = {
    "slanted": "letters that touch under the stroke; any other font; other than six letters",
    "stars": "digits only, always six; digits that lie over one another",
    "gradient": "its 19 characters only, always five; strokes along a letter's own stroke",
    "mixed": "capitals and small letters of one shape (C, O, S, V, W, X, Z), `1`, `I` and `l`; "
    "crowded letters under several strokes",
    "classic": "digits only, always four; other sizes of the image than its own proportions",
}


class NearStyle(keras.utils.PyDataset):
    """Batches of drawn images near a style, whose strings are in no test image."""

    def __init__(self, style: str, steps: int, exclude: list[str], first_epoch: int = 0) -> None:
        """Plan `steps` batches an epoch."""
        super().__init__(workers=1, max_queue_size=20)
        self.style = replace(get_style(style), **VARIED.get(style, {}))
        self.charset = Charset(self.style.charset)
        self.steps, self.exclude, self.epoch = steps, frozenset(exclude), first_epoch - 1

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one batch: images (B, 48, 160, 1) uint8, labels (B, L) int32."""
        images, labels = draw_images(
            BATCH_SIZE,
            height=HEIGHT,
            width=WIDTH,
            charset=self.charset.characters,
            length=self.style.length,
            near=self.style,
            exclude=self.exclude,
            seed=SEED,
            start=(max(0, self.epoch) * self.steps + index) * BATCH_SIZE,
        )
        return images, self.charset.encode(labels, length=self.style.length[1])

    def on_epoch_end(self) -> None:
        """Go on to new images; Keras calls this before the first epoch too."""
        self.epoch += 1


def epochs_done(backup: Path) -> int:
    """Count the epochs that an interrupted run has left in its backup."""
    state = backup / "training_metadata.json"
    return json.loads(state.read_text())["epoch"] if state.exists() else 0


def make(name: str, images: int, folder: Path) -> None:
    """Train the reader of a style and write it into `folder`."""
    style = get_style(name)
    charset = Charset(style.charset)
    drawn, labels = generate(style, TEST_IMAGES, seed=TEST_SEED)
    backup = Path("build/style_models", name)
    keras.utils.set_random_seed(0)
    model = pretrained_start(charset, length=style.length[1], start="pretrained")
    steps = images // BATCH_SIZE // EPOCHS
    compile_model(model, head="ctc", steps=steps * EPOCHS, peak_rate=PEAK_RATE)
    model.fit(
        NearStyle(name, steps, labels, epochs_done(backup)),
        epochs=EPOCHS,
        shuffle=False,
        callbacks=[keras.callbacks.BackupAndRestore(backup)],
        verbose=2,
    )
    training = {
        "command": f"python -m tools.style_models {name} --images {images}",
        "images": steps * EPOCHS * BATCH_SIZE,
        "data": f"drawn near the style {name!r}, begun with the pre-trained start",
    }
    spec = ModelSpec(charset.characters, style.length, HEIGHT, WIDTH, training=training)
    reader = from_keras(model, spec)
    readings = reader.read_prepared(prepare_batch(drawn, HEIGHT, WIDTH))
    result = metrics.score(labels, [reading.text for reading in readings])
    training["test"] = f"{TEST_IMAGES:,} drawn images whose strings it never saw: {result}"
    write(name, uncompiled(model), spec, folder)
    print(f"{name}: {result}")


def write(name: str, model: keras.Model, spec: ModelSpec, folder: Path) -> None:
    """Write NAME.onnx, and NAME.npz if trainings begin with it."""
    with tempfile.TemporaryDirectory() as scratch:
        export(from_keras(model, spec), Path(scratch, "out"), formats=["onnx"])
        write_bytes(folder / f"{name}.onnx", Path(scratch, "out", "model.onnx").read_bytes())
    if name in STARTS:
        save_weights(model, spec, folder / f"{name}.npz")


def card(name: str, path: Path) -> str:
    """Describe a shipped reader in Markdown, measured on its test images."""
    reader, style = load(path), get_style(name)
    images, labels = generate(style, TEST_IMAGES, seed=TEST_SEED)
    texts = [reading.text for reading in reader.read_many(images)]
    mistakes = metrics.confusions(labels, texts).most_common(5)
    fewest, most = reader.spec.length
    length = f"{most}" if fewest == most else f"{fewest} to {most}"
    return CARD.format(
        name=name,
        charset=reader.spec.charset,
        length=length,
        height=reader.spec.height,
        width=reader.spec.width,
        seed=SEED,
        training=reader.spec.training,
        size=path.stat().st_size / 1e6,
        test=metrics.score(labels, texts),
        n=TEST_IMAGES,
        mistakes=", ".join(f"{_char(a)} as {_char(b)} ({n})" for (a, b), n in mistakes) or "none",
        weakness=WEAKNESSES[name],
    )


def _char(char: str) -> str:
    return f"`{char}`" if char else "nothing"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("styles", nargs="*", default=list(IMAGES), help="by default all")
    parser.add_argument("--images", type=int, help="how many drawn images to learn from")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    for name in options.styles:
        make(name, options.images or IMAGES[name], options.out)
    if options.out == WEIGHTS:
        weights_index.main()
        cards = [card(name, WEIGHTS / f"{name}.onnx") for name in IMAGES]
        other = [path.read_text("utf-8") for path in (GENERAL_CARD, CHINESE_CARD)]
        write_bytes(CARDS, "".join([INTRODUCTION, *other, *cards]).encode())


if __name__ == "__main__":
    main()
