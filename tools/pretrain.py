"""Make the pre-trained start that ships with the package: ``make pretrained``.

Draws images of every look (`captcha_helpers.pretraining`), none of them twice and none of them
real, and trains a `cnn_ctc` for the 62 letters and digits on them. The strings grow from one or two
characters to eight: with short strings there is little to align, so CTC leaves its plateau at once.

Killed or interrupted, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import captcha_helpers  # noqa: F401  (sets TensorFlow's environment before Keras is imported)

import keras  # isort: skip
import numpy as np

from captcha_helpers import metrics
from captcha_helpers.charset import ALPHANUMERIC, Charset
from captcha_helpers.models import cnn_ctc
from captcha_helpers.pretrained import start_file
from captcha_helpers.pretraining import draw_images
from captcha_helpers.recipe import HEIGHT, WIDTH
from captcha_helpers.recognizer import save_model
from captcha_helpers.spec import ModelSpec
from captcha_helpers.training import ExactMatch, compile_model

CHARSET = Charset(ALPHANUMERIC)
SIZE = {"height": HEIGHT, "width": WIDTH}
BATCH_SIZE = 64
EPOCHS = 40  # only says how often progress is measured and saved
LONGEST = 8
GROWTH = ((0.05, (1, 2)), (0.1, (1, 4)), (1.0, (3, LONGEST)))  # until this share: these lengths
TEST_SEED = 1_000_000


class GrowingStrings(keras.utils.PyDataset):
    """Batches of every look, whose strings grow as the training goes on."""

    def __init__(self, seed: int, steps: int, first_epoch: int = 0) -> None:
        """Plan `steps` batches an epoch for EPOCHS epochs."""
        super().__init__(workers=1, max_queue_size=20)
        self.seed, self.steps, self.epoch = seed, steps, first_epoch - 1

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one batch: images (B, 48, 160, 1) uint8, labels (B, 8) int32."""
        number = max(0, self.epoch) * self.steps + index
        share = number / (EPOCHS * self.steps)
        length = next(lengths for until, lengths in GROWTH if share < until)
        images, labels = draw_images(
            BATCH_SIZE, **SIZE, length=length, seed=self.seed, start=number * BATCH_SIZE
        )
        return images, CHARSET.encode(labels, length=LONGEST)

    def on_epoch_end(self) -> None:
        """Go on to new images; Keras calls this before the first epoch too."""
        self.epoch += 1


def epochs_done(backup: Path) -> int:
    """Count the epochs that an interrupted run has left in its backup."""
    state = backup / "training_metadata.json"
    return json.loads(state.read_text())["epoch"] if state.exists() else 0


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=start_file("pretrained"))
    parser.add_argument("--images", type=int, default=480_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backup", type=Path, default=Path("build/pretrain"))
    options = parser.parse_args()
    steps = options.images // BATCH_SIZE // EPOCHS
    keras.utils.set_random_seed(options.seed)
    model = cnn_ctc(CHARSET, length=LONGEST, **SIZE)
    compile_model(model, head="ctc", steps=steps * EPOCHS)
    images, labels = draw_images(1000, **SIZE, length=(3, LONGEST), seed=TEST_SEED)
    backup = keras.callbacks.BackupAndRestore(options.backup)
    watch = ExactMatch(images, labels, CHARSET, head="ctc")
    batches = GrowingStrings(options.seed, steps, epochs_done(options.backup))
    model.fit(batches, epochs=EPOCHS, shuffle=False, callbacks=[backup, watch], verbose=2)
    texts = captcha_helpers.predict_labels(model, images, CHARSET, head="ctc")
    result = metrics.score(labels, texts)
    training = {
        "command": f"python -m tools.pretrain --images {options.images} --seed {options.seed}",
        "images": steps * EPOCHS * BATCH_SIZE,
        "test": f"1,000 images of looks of their own, strings of 3 to {LONGEST}: {result}",
    }
    spec = ModelSpec(CHARSET.characters, (1, LONGEST), HEIGHT, WIDTH, training=training)
    save_model(model, spec, options.out)
    print(f"{options.out}: {result}")


if __name__ == "__main__":
    main()
