"""Run a model file, whatever format it has: images in, logits out.

Each runtime is imported when a file needs it. To read with an ONNX file, onnxruntime is enough.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

_CACHED = 8  # images at a time, whose layers fit into a processor's cache

Run = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def open_model(path: str | os.PathLike[str]) -> Run:
    """Open a model file that captcha_helpers wrote.

    Args:
        path: A ``.keras``, ``.h5``, ``.onnx`` or ``.tflite`` file, or a SavedModel folder.

    Returns:
        A function from ``(B, height, width, C)`` uint8 to logits ``(B, T, V)``. Several threads may
        call it at a time.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the runtime for this format is not installed.
        ValueError: If the file is damaged, or something else than its name says.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model file {str(path)!r}; check the path")
    opener = _OPENERS.get("folder" if path.is_dir() else path.suffix)
    if opener is None:
        known = ", ".join(suffix for suffix in _OPENERS if suffix != "folder")
        raise ValueError(f"{str(path)!r} is no model: its name must end in one of {known}")
    try:
        return opener(path)
    except ModuleNotFoundError as error:
        extra = {".onnx": "predict", ".tflite": "export"}.get(path.suffix, "train")
        raise ImportError(
            f"to open {path.name} you need {error.name}, which is not installed: "
            f'pip install "captcha-helpers[{extra}]"'
        ) from error
    except Exception as error:  # each runtime has its own
        raise ValueError(
            f"{str(path)!r} cannot be opened; is it damaged, or something else? ({error})"
        ) from error


def keras_run(model: keras.Model) -> Run:
    """Run a Keras model that is in memory.

    Args:
        model: The model.

    Returns:
        As `open_model`.
    """

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.asarray(model.predict_on_batch(images))

    return _one_at_a_time(run)


def _one_at_a_time(run: Run) -> Run:
    """Make other threads wait, for runtimes that keep an input and an output of their own."""
    lock = threading.Lock()

    def wait_and_run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        with lock:
            return run(images)

    return wait_and_run


def _open_keras(path: Path) -> Run:
    import keras

    return keras_run(keras.models.load_model(path, compile=False))


def _open_saved_model(path: Path) -> Run:
    import tensorflow as tf

    served = tf.saved_model.load(str(path))  # kept alive by `run`

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        return served.serve(images.astype(np.float32)).numpy()

    return run


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Threads that wait for work in a loop take the processor's time from those that have some.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        rgba = np.full((*images.shape[:3], 4), 255, np.uint8)
        rgba[..., :3] = images
        parts = [rgba[at : at + _CACHED] for at in range(0, len(rgba), _CACHED)]
        return np.concatenate([session.run(["logits"], {"image": part})[0] for part in parts])

    return run


def _open_litert(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = exit_["quantization"]  # scale 0 if the logits are floats

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        rows = []
        for image in images.astype(entry["dtype"]):  # the file takes one image at a time
            interpreter.set_tensor(entry["index"], image[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(exit_["index"])[0].astype(np.float32))
        logits = np.stack(rows)
        return (logits - zero) * scale if scale else logits

    return _one_at_a_time(run)


_OPENERS: dict[str, Callable[[Path], Run]] = {
    ".keras": _open_keras,
    ".h5": _open_keras,
    ".onnx": _open_onnx,
    ".tflite": _open_litert,
    "folder": _open_saved_model,
}
