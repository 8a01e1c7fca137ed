"""Make the pre-trained start that ships with the package: ``make pretrained``.

Draws images of every look (`drawing.random_looks`), none of them twice and none of them
real, and trains a `cnn_ctc` for the 62 letters and digits on them, in two rounds. In the first the
strings grow from one or two characters to eight: with short strings there is little to align, so
CTC leaves its plateau at once. In the second the looks are rougher, and the learning rate rises and
falls once more (Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*,
2017).

Killed or interrupted, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import captcha_helpers  # noqa: F401  (sets TensorFlow's environment before Keras is imported)

import keras  # isort: skip
import numpy as np

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import ALPHANUMERIC, Charset
from captcha_helpers.core.models import cnn_ctc
from captcha_helpers.drawing.random_looks import draw_images
from captcha_helpers.learning.fitting import ExactMatch, compile_model
from captcha_helpers.learning.recipe import HEIGHT, WIDTH
from captcha_helpers.learning.starts import start_file
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import save_model, uncompiled

CHARSET = Charset(ALPHANUMERIC)
SIZE = {"height": HEIGHT, "width": WIDTH}
BATCH_SIZE = 64
EPOCHS = 40  # of a round; only says how often progress is measured and saved
LONGEST = 8
TEST_SEED = 1_000_000


class Round(NamedTuple):
    """A rise and fall of the learning rate."""

    first: int  # number of its first image
    steps: int  # batches an epoch
    rough: bool
    peak_rate: float
    growth: tuple[tuple[float, tuple[int, int]], ...]  # until this share: strings this long


ROUNDS = (
    Round(0, 187, False, 3e-3, ((0.05, (1, 2)), (0.1, (1, 4)), (1.0, (3, LONGEST)))),
    Round(480_000, 250, True, 2e-3, ((1.0, (3, LONGEST)),)),
)


class GrowingStrings(keras.utils.PyDataset):
    """Batches of every look, whose strings grow as the training goes on."""

    def __init__(self, seed: int, plan: Round, first_epoch: int = 0) -> None:
        """Plan the batches of a round."""
        super().__init__(workers=1, max_queue_size=20)
        self.seed, self.plan, self.epoch = seed, plan, first_epoch - 1

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.plan.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one batch: images (B, 48, 160, 1) uint8, labels (B, 8) int32."""
        number = max(0, self.epoch) * self.plan.steps + index
        share = number / (EPOCHS * self.plan.steps)
        images, labels = draw_images(
            BATCH_SIZE,
            **SIZE,
            length=next(lengths for until, lengths in self.plan.growth if share < until),
            rough=self.plan.rough,
            seed=self.seed,
            start=self.plan.first + number * BATCH_SIZE,
        )
        return images, CHARSET.encode(labels, length=LONGEST)

    def on_epoch_end(self) -> None:
        """Go on to new images; Keras calls this before the first epoch too."""
        self.epoch += 1


def epochs_done(backup: Path) -> int:
    """Count the epochs that an interrupted run has left in its backup."""
    state = backup / "training_metadata.json"
    return json.loads(state.read_text())["epoch"] if state.exists() else 0


def learn(number: int, model: keras.Model, seed: int, folder: Path) -> None:
    """Go through a round, or go on with one that was cut off; its weights stay in `folder`."""
    done, plan = folder / f"round_{number}.weights.h5", ROUNDS[number - 1]
    if done.exists():
        model.load_weights(done)
        return
    backup = folder / f"round_{number}"
    compile_model(model, head="ctc", steps=plan.steps * EPOCHS, peak_rate=plan.peak_rate)
    model.fit(
        GrowingStrings(seed, plan, epochs_done(backup)),
        epochs=EPOCHS,
        shuffle=False,
        callbacks=[
            keras.callbacks.BackupAndRestore(backup),
            ExactMatch(*test_images(200), CHARSET, head="ctc"),
        ],
        verbose=2,
    )
    unfinished = done.with_name("unfinished.weights.h5")
    model.save_weights(unfinished)
    unfinished.replace(done)


def test_images(count: int, rough: bool = True) -> tuple[np.ndarray, list[str]]:
    """Draw images of looks that were not in the training."""
    return draw_images(count, **SIZE, length=(3, LONGEST), rough=rough, seed=TEST_SEED)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=start_file("pretrained"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backup", type=Path, default=Path("build/pretrain"))
    options = parser.parse_args()
    backup = options.backup / f"seed_{options.seed}"
    backup.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    model = cnn_ctc(CHARSET, length=LONGEST, **SIZE)
    for number in range(1, len(ROUNDS) + 1):
        learn(number, model, options.seed, backup)
    results = []
    for name, rough in (("", False), ("rougher ", True)):
        images, labels = test_images(1000, rough)
        texts = captcha_helpers.predict_labels(model, images, CHARSET, head="ctc")
        results.append(f"1,000 {name}images of looks of their own: {metrics.score(labels, texts)}")
    training = {
        "command": f"python -m tools.pretrain --seed {options.seed}",
        "images": sum(plan.steps * EPOCHS * BATCH_SIZE for plan in ROUNDS),
        "test": f"strings of 3 to {LONGEST}; " + "; ".join(results),
    }
    spec = ModelSpec(CHARSET.characters, (1, LONGEST), HEIGHT, WIDTH, training=training)
    save_model(uncompiled(model), spec, options.out)
    for done in backup.glob("round_*.weights.h5"):  # the next call begins anew
        done.unlink()
    print(f"{options.out}: {training['test']}")


if __name__ == "__main__":
    main()
