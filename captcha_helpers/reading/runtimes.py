"""The formats of model files: how each is opened, and where it keeps what it says of itself.

A file that can be read is a line in `MODEL_FILES`; a format that can be written, which may be
several files, is a line in the table of `exporting.formats`. Each runtime is imported when a file
needs it. To read with an ONNX file, onnxruntime is enough.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs
from captcha_helpers.reading.safety import (
    MAX_TEXT,
    ModelFileError,
    check_archive,
    check_keras_config,
    check_litert,
    check_onnx,
    onnx_metadata,
    read_limited,
    read_text_member,
)

if TYPE_CHECKING:
    import keras

MAX_SAID = 500  # characters of what a library says of a file that it cannot open
_CACHED = 8  # images at a time, whose layers fit into a processor's cache

Opened = TypeVar("Opened")
Run = Callable[[NDArray[np.uint8]], NDArray[np.floating]]

MEMBER = "captcha_helpers.json"  # the specification inside a file
SIDECAR = "metadata.json"  # and beside it


class Format(NamedTuple):
    """What there is to know to read with a kind of file.

    Args:
        extra: The extra in `pyproject.toml` that installs the runtime.
        spec: Finds the specification, JSON; None if there is none.
        open: Opens the file; either this is given or the next.
        load: Loads it as a Keras model, which may be converted and trained further.
    """

    extra: str
    spec: Callable[[Path], str | None]
    open: Callable[[Path], Run] | None = None
    load: Callable[[Path], keras.Model] | None = None


def format_of(path: str | os.PathLike[str]) -> Format:
    """Tell the format of a file by its ending; a folder is a SavedModel.

    Raises:
        ModelFileError: If no format has this ending.

    Example:
        >>> format_of("model.onnx").extra
        'predict'
    """
    path = Path(path)
    known = MODEL_FILES.get("folder" if path.is_dir() else path.suffix)
    if known is None:
        endings = ", ".join(suffix for suffix in MODEL_FILES if suffix != "folder")
        raise ModelFileError(f"{str(path)!r} is no model: its name must end in one of {endings}")
    return known


def open_model(path: str | os.PathLike[str]) -> Run:
    """Open a model file that captcha_helpers wrote.

    Args:
        path: A ``.keras``, ``.h5``, ``.npz``, ``.onnx`` or ``.tflite`` file, or a SavedModel
            folder.

    Returns:
        A function from ``(B, height, width, C)`` uint8 to logits ``(B, T, V)``. Several threads may
        call it at a time.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the runtime for this format is not installed.
        ModelFileError: If the file is damaged, or something else than its name says.
    """
    known = format_of(_existing(path))
    if known.open is None:
        return keras_run(load_keras(path))
    return _opened(path, known, known.open)


def load_keras(path: str | os.PathLike[str]) -> keras.Model:
    """Load a Keras model, without its optimizer.

    Args:
        path: A ``.keras``, ``.h5`` or ``.npz`` file.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If Keras is not installed.
        ModelFileError: If it is a file of another kind, or cannot be opened. If another version of
            Keras wrote it, both are named.
    """
    known = format_of(_existing(path))
    if known.load is None:
        raise ModelFileError(
            f"{os.fspath(path)!r} is no Keras model; use the file it was made from"
        )
    return _opened(path, known, known.load)


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model file {str(path)!r}; check the path")
    return path


def spec_of(path: str | os.PathLike[str]) -> str | None:
    """Find what a model file says of itself, inside or beside it.

    Args:
        path: As `open_model`.

    Returns:
        The specification, JSON; None if there is none.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, or something else than its name says.
    """
    path = _existing(path)
    known = format_of(path)
    try:
        return known.spec(path)
    except ModelFileError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and struct have each their own
        raise ModelFileError(
            f"{str(path)!r} is not a {path.suffix or 'model'} file, or it is damaged "
            f"({said_by(error)})"
        ) from None


def _opened(
    path: str | os.PathLike[str], known: Format, opener: Callable[[Path], Opened]
) -> Opened:
    """Call the opener, and say in one way what went wrong."""
    path = Path(path)
    try:
        return opener(path)
    except ModuleNotFoundError as error:
        raise ImportError(needs(f"Opening {path.name} needs {error.name}", known.extra)) from error
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r} is not opened: {error}") from None
    except Exception as error:  # each runtime has its own
        raise _cannot_open(path, error) from error


def _cannot_open(path: Path, error: Exception) -> ModelFileError:
    """Say that a file cannot be opened and, if it may be the cause, which Keras wrote it."""
    advice = "is it damaged, or something else?"
    wrote = _keras_version(path)
    if wrote:
        here = sys.modules["keras"].__version__
        advice = (
            f"Keras {wrote} wrote it and this is Keras {here}: install that version, or export the "
            "model to ONNX where it opens"
        )
    return ModelFileError(f"{str(path)!r} cannot be opened; {advice} ({said_by(error)})")


def said_by(error: Exception) -> str:
    """What an error of a library says, in one line that is not too long."""
    return " ".join(str(error).split())[:MAX_SAID] or type(error).__name__


def _keras_version(path: Path) -> str:
    """Which Keras wrote a ``.keras`` file; empty if that is unknown or the one of now."""
    try:
        wrote = str(json.loads(read_text_member(path, "metadata.json") or "")["keras_version"])
    except Exception:  # it is damaged, which is told already
        return ""
    here = sys.modules.get("keras")
    return "" if here is None or wrote == here.__version__ else wrote


def keras_run(model: keras.Model) -> Run:
    """Run a Keras model that is in memory.

    Args:
        model: The model.

    Returns:
        As `open_model`.
    """

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.asarray(model.predict_on_batch(images), np.float32)

    return _one_at_a_time(run)


def _one_at_a_time(run: Run) -> Run:
    """Make other threads wait, for runtimes that keep an input and an output of their own."""
    lock = threading.Lock()

    def wait_and_run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        with lock:
            return run(images)

    return wait_and_run


def _load_keras(path: Path) -> keras.Model:
    in_archive = path.suffix == ".keras"
    config = read_text_member(path, "config.json") if in_archive else _config_in_h5(path)
    if config is None:
        raise ModelFileError("it does not describe a model")
    check_keras_config(config)
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=True)


def _config_in_h5(path: Path) -> str | None:
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        return config.decode() if isinstance(config, bytes) else config


def _load_weights(path: Path) -> keras.Model:
    from captcha_helpers.reading.weights import load_weights

    return load_weights(path)


def _open_saved_model(path: Path) -> Run:
    import tensorflow as tf

    served = tf.saved_model.load(str(path))  # kept alive by `run`

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        logits: NDArray[np.floating] = served.serve(images.astype(np.float32)).numpy()
        return logits

    return run


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime does not look at it; Ray tells each worker so how many cores it has.
    options.intra_op_num_threads = _threads_allowed()
    # Threads that wait for work in a loop take the processor's time from those that have some.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    data = read_limited(path)
    check_onnx(data)
    session = onnxruntime.InferenceSession(
        data,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # which prints
    )

    def run(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        rgba = np.full((*images.shape[:3], 4), 255, np.uint8)
        rgba[..., :3] = images
        parts = [rgba[at : at + _CACHED] for at in range(0, len(rgba), _CACHED)]
        return np.concatenate([session.run(["logits"], {"image": part})[0] for part in parts])

    return run


def _threads_allowed() -> int:
    """What OMP_NUM_THREADS says; 0, which is as many as there are cores, if it says nothing."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isdecimal() else 0


def _open_litert(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    data = read_limited(path)
    check_litert(data)
    interpreter = Interpreter(model_content=data, num_threads=1)
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


def _spec_in_archive(path: Path) -> str | None:
    return read_text_member(path, MEMBER)


def _spec_in_weights(path: Path) -> str | None:
    check_archive(path)
    with np.load(path, allow_pickle=False) as file:
        return str(file[MEMBER]) if MEMBER in file.files else None


def _spec_in_onnx(path: Path) -> str | None:
    return onnx_metadata(read_limited(path), MEMBER)


def _spec_beside(path: Path) -> str | None:
    sidecar = path.parent / SIDECAR
    return read_limited(sidecar, MAX_TEXT).decode() if sidecar.exists() else None


MODEL_FILES = {
    ".keras": Format("train", _spec_in_archive, load=_load_keras),
    ".h5": Format("train", _spec_beside, load=_load_keras),
    ".onnx": Format("predict", _spec_in_onnx, open=_open_onnx),
    ".tflite": Format("export", _spec_beside, open=_open_litert),
    ".npz": Format("train", _spec_in_weights, load=_load_weights),
    "folder": Format("train", _spec_beside, open=_open_saved_model),
}
