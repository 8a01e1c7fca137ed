"""The weights of a shipped network in a file that every Keras 3 opens: ``.npz``.

A ``.keras`` file describes the network in the words of the Keras that wrote it, and an older one
may not understand them. Here is only what the network has learned, most of it in 16 bits a number;
the builder in `core.models` makes the network anew.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.files import write_bytes
from captcha_helpers.reading.model_file import MEMBER, ModelSpec, read_spec

if TYPE_CHECKING:
    import keras

BUILDER = "builder"


def save_weights(model: keras.Model, spec: ModelSpec, path: str | os.PathLike[str]) -> None:
    """Write the weights of a model that one of the builders in `core.models` made.

    Args:
        model: The model. Its name is that of its builder.
        spec: What it expects and what its logits mean.
        path: The file, ending in ``.npz``. It is replaced if it exists.

    Raises:
        ValueError: If the name ends otherwise, or no builder has the model's name.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(
            f"the name of a file of weights ends in .npz, received {os.fspath(path)!r}"
        )
    _builder(model.name)
    # Those of few numbers, such as the variances of batch normalisation, keep their 32 bits.
    values = {
        one.path: array.astype(np.float16 if array.ndim > 1 else np.float32)
        for one, array in zip(model.weights, model.get_weights(), strict=True)
    }
    data = io.BytesIO()
    members: dict[str, Any] = {MEMBER: spec.to_json(), BUILDER: model.name, **values}
    np.savez_compressed(data, **members)
    write_bytes(path, data.getvalue())


def load_weights(path: str | os.PathLike[str]) -> keras.Model:
    """Build the model whose weights `save_weights` wrote.

    Args:
        path: The file.

    Returns:
        The model, in float32.

    Raises:
        KeyError: If the file lacks weights of the model.
        ValueError: If they are of another network, or of one that we cannot build.
    """
    spec = read_spec(path)
    size = {"height": spec.height, "width": spec.width}
    if spec.channels != 1:
        size["channels"] = spec.channels
    with np.load(path, allow_pickle=False) as file:
        build = _builder(str(file[BUILDER]))
        model = build(Charset(spec.charset), length=spec.length[1], **size)
        model.set_weights([file[one.path].astype(np.float32) for one in model.weights])
    return model


def _builder(name: str) -> Callable[..., keras.Model]:
    """The function in `core.models` that builds the networks of this name."""
    from captcha_helpers.core import models

    build = vars(models).get(name)
    if name.startswith("_") or not inspect.isfunction(build) or build.__module__ != models.__name__:
        raise ValueError(
            f"captcha_helpers.core.models has no builder {name!r}; use save_model instead"
        )
    return cast("Callable[..., keras.Model]", build)
