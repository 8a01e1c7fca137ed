"""Load what a model needs to run: TensorFlow, without what it writes meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import captcha_helpers


@contextmanager
def silence() -> Iterator[None]:
    """Throw away what TensorFlow's C++ code writes to stderr while it is being imported."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_keras() -> None:
    """Import Keras in silence, and start TensorFlow."""
    with silence():
        import keras

        keras.ops.zeros(1)  # starts TensorFlow, which has more to say then


def import_runtime(model: str) -> None:
    """Import Keras if the model needs it, once it is known that there is such a model."""
    from captcha_helpers.reading.runtimes import format_of
    from captcha_helpers.reading.shipped import model_path

    path = model_path(model)
    captcha_helpers.read_spec(path)
    if format_of(path).extra == "train":
        import_keras()
