"""What tests of `tools.pretrain` start several times: it, with images and a model that are quick.

Each process leaves what it has learned in ``process_0.npz`` and so on. With ``--real`` as the first
argument only the fonts are others: those of the package.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np

from captcha_helpers.core.files import replacing
from captcha_helpers.drawing.looks import FONTS, Font
from tools import pretrain, pretrain_draw
from tools.pretrain_draw import CHARSET, LONGEST


def stripes(seed: int, start: int, count: int, length: tuple[int, int]):
    """Stand in for `draw`: quick, and image n depends on its number alone."""
    rng = np.random.default_rng(seed)
    looks = rng.integers(0, 256, (4, 48, 192, 3), dtype=np.uint8)
    kinds = np.arange(start, start + count) % 4
    labels = np.zeros((count, LONGEST), np.int32)
    labels[:, 0], labels[:, 1] = kinds + 1, length[1]
    return looks[kinds], labels


def small_model(precision: str = "float32", *, normalise: bool = True) -> Any:
    """A reader of whole images as quick to build as one can be."""
    import keras

    layers = keras.layers
    image = keras.Input((48, 192, 3))
    x = layers.AveragePooling2D((16, 16))(layers.Rescaling(1 / 255)(image))
    x = layers.Reshape((12, 9))(layers.Permute((2, 1, 3))(x))
    if normalise:
        x = layers.BatchNormalization(momentum=0.5, name="normalise")(x)
    x = layers.Dense(32, activation="relu", name="dense")(x)
    return keras.Model(image, layers.Dense(CHARSET.num_classes, name="logits")(x))


def save(path: str | os.PathLike[str], model: Any, values: list[np.ndarray]) -> None:
    """Write weights with their names."""
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, **{one.path: v for one, v in zip(model.weights, values, strict=True)})


def saved(path: str | os.PathLike[str]) -> Any:
    """The model whose weights were written."""
    model = small_model()
    with np.load(path) as file:
        model.set_weights([file[one.path] for one in model.weights])
    return model


def learn(learner: Any, drawings: Any, options: argparse.Namespace, *args: Any) -> None:
    """Learn, and write what was learned."""
    print("learning", flush=True)
    before(learner, drawings, options, *args)
    path = options.out / f"process_{options.process}.npz"
    save(path, small_model(), learner.average())


before = pretrain.learn

if __name__ == "__main__":
    pretrain_draw.fonts_with_role = lambda role: tuple(map(Font, FONTS))
    arguments = sys.argv[1:]
    if "--real" in arguments:
        arguments.remove("--real")
        pretrain.main(arguments, command=[__file__, "--real"])
    else:
        pretrain.build_model, pretrain.learn = small_model, learn
        pretrain.Drawings.__init__.__kwdefaults__["function"] = stripes
        pretrain.weights_of = lambda path, characters: saved(path).get_weights()
        pretrain.save_weights = lambda model, spec, path: save(path, model, model.get_weights())
        pretrain.main(arguments, command=[__file__])
