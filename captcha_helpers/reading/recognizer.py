"""Read images with a model that was saved: `load` it, `read` with it."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.files import replacing
from captcha_helpers.data.images import ImageSource
from captcha_helpers.data.labels import image_files
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.decoder import Decoder, Reading, refuse_infinite
from captcha_helpers.reading.mask import MaskWarning
from captcha_helpers.reading.model_file import MEMBER, ModelSpec, read_spec
from captcha_helpers.reading.runtimes import Run, keras_run, open_model, said_by
from captcha_helpers.reading.safety import ModelFileError
from captcha_helpers.reading.shipped import model_path

if TYPE_CHECKING:
    import keras

DEFAULT_MODEL = "general"  # what reads if nothing else is named


class Recognizer:
    """A model that reads images, whatever file it came from.

    Args:
        run: From ``(B, height, width, C)`` uint8 to logits ``(B, T, V)``.
        spec: What the model expects and what its logits mean.
        keras_model: The Keras model behind `run`, if there is one in memory.
        name: What people call it, for messages and reports.

    Raises:
        ValueError: If the mask of the specification leaves no character.

    Example:
        >>> spec = ModelSpec("ab", length=(1, 3), height=16, width=32)
        >>> def says_ab(images):
        ...     return np.repeat(9.0 * np.eye(3)[[1, 0, 2]][None], len(images), axis=0)
        >>> Recognizer(says_ab, spec).read(np.eye(20, 60, dtype=np.uint8)).text
        'ab'
    """

    def __init__(
        self, run: Run, spec: ModelSpec, keras_model: keras.Model | None = None, name: str = ""
    ) -> None:
        self.run = run
        self.spec = spec
        self.keras_model = keras_model
        self.name = name
        self.charset = Charset(spec.charset)
        self.decoder = Decoder(spec)

    def read(self, image: ImageSource, *, strict: bool = True) -> Reading:
        """Read one image: anything that `captcha_helpers.load_image` takes.

        Args:
            image: A path, bytes, an open file, base64 text, a Pillow image or an array.
            strict: Whether damaged files are refused that can be decoded in part, and images of one
                colour, in which there is nothing to read.

        Raises:
            ImageError: If the image cannot be used.
            ModelFileError: If the model's output is not finite.
        """
        return next(self.read_many([image], strict=strict))

    def read_many(
        self,
        images: str | os.PathLike[str] | Iterable[ImageSource] | NDArray[np.uint8],
        *,
        batch_size: int = 64,
        strict: bool = True,
    ) -> Iterator[Reading]:
        """Read images one after the other, `batch_size` at a time.

        Args:
            images: Anything that `read` takes, any number of them; or a folder, whose images
                `captcha_helpers.image_files` lists in the same order; or the path of one image.
            batch_size: Images that go through the model together.
            strict: As `read`.

        Yields:
            A `Reading` for each image, in order.

        Raises:
            ImageError: If an image cannot be used.
            ModelFileError: If the model's output is not finite.
            NotADirectoryError: If a path is given that leads nowhere.
        """
        if isinstance(images, (str, os.PathLike)):
            images = [images] if Path(images).is_file() else image_files(images)
        batch: list[NDArray[np.uint8]] = []
        for image in images:
            batch.append(self.spec.prepare(image, strict=strict))
            if len(batch) == batch_size:
                yield from self.read_prepared(np.stack(batch))
                batch = []
        if batch:
            yield from self.read_prepared(np.stack(batch))

    def read_prepared(self, images: NDArray[np.uint8]) -> list[Reading]:
        """Read images that were prepared as the model's are, ``(B, height, width, C)`` uint8.

        `ModelSpec.prepare` does it for one image.
        """
        return self.decoder.read(self.run(images))


def uncompiled(model: keras.Model) -> keras.Model:
    """Copy a Keras model without its optimizer, which takes twice as much room as the weights.

    Args:
        model: A functional model.

    Returns:
        A model with the same weights that calculates in float32, even if the model was trained in
        mixed precision, which few formats can hold.
    """
    import keras

    config = re.sub('"mixed_b?float16"', '"float32"', model.to_json())
    copy = keras.models.model_from_json(config)
    copy.set_weights(model.get_weights())
    return copy


def save_model(
    model: keras.Model,
    spec: ModelSpec,
    path: str | os.PathLike[str],
    members: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model and its specification into one ``.keras`` file.

    ``keras.models.load_model`` reads the file as any other. The file appears when it is complete; a
    file of that name is replaced.

    Args:
        model: A Keras model.
        spec: What the model expects and what its logits mean.
        path: The file, ending in ``.keras``.
        members: More members for the archive, by name.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the name ends otherwise, or the specification is that of another model.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"the name of a Keras model ends in .keras, received {str(path)!r}")
    expected = (None, spec.height, spec.width, spec.channels), Charset(spec.charset).num_classes
    if (model.input_shape, model.output_shape[-1]) != expected:
        raise ValueError(
            f"the model takes {model.input_shape} and gives {model.output_shape[-1]} classes, but "
            f"the specification says {expected[0]} and {expected[1]}"
        )
    with replacing(path) as partial:  # beside the file: a full TMPDIR must not cost a training
        model.save(partial)
        with zipfile.ZipFile(partial, "a", zipfile.ZIP_DEFLATED) as archive:
            contents: dict[str, str | bytes] = {MEMBER: spec.to_json(), **(members or {})}
            for name, data in contents.items():
                archive.writestr(name, data)


def load(
    path: str | os.PathLike[str],
    *,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    processing: Processing | None = None,
) -> Recognizer:
    """Load a model that `captcha_helpers.train`, `save_model` or `captcha_helpers.export` wrote.

    Args:
        path: A ``.keras``, ``.h5``, ``.npz``, ``.onnx`` or ``.tflite`` file, or a SavedModel
            folder. An ONNX file needs onnxruntime and no TensorFlow. Or the name of a model that
            ships with the package: "general" reads letters and digits in many looks, and other
            characters if the charset names them.
        charset: The only characters that occur in the images, if that is known: the best string of
            these is read, and its confidence is the probability among such strings. By default
            those of the file: all of the model, unless it was exported with a mask.
        length: Fewest and most characters of a string, if that is known.
        ignore_case: Whether a letter and its other case count as one; see `captcha_helpers.Mask`.
        processing: What is done to images instead of what was done in training. By default the
            same; anything else is an experiment.

    Returns:
        A `Recognizer`. Several threads may use it at a time. A warning names the characters of
        `charset` that the model does not have; another says that it has learned only shorter
        strings than `length` asks for.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the runtime for this format is not installed.
        ModelFileError: If it is something else, damaged, has no specification or one that does not
            fit the model, or might do harm; see ``docs/reliability.md``.
        ValueError: If the model has no character of `charset`.
        LengthError: If the model has too few frames for `length`.
    """
    name, path = Path(path).name, model_path(path)
    spec = read_spec(path)
    mask = spec.mask.but(charset=charset, length=length, ignore_case=ignore_case)
    spec = replace(spec, mask=mask, processing=processing or spec.processing)
    run = open_model(path)
    _try(run, spec, path)
    reader = Recognizer(run, spec, name=name)
    if mask.length is not None:  # an impossible one is told now
        reader.read_prepared(np.zeros((1, spec.height, spec.width, spec.channels), np.uint8))
    for warning in reader.decoder.warnings:
        warnings.warn(warning, MaskWarning, stacklevel=2)
    return reader


def _try(run: Run, spec: ModelSpec, path: Path) -> None:
    """Let the model read an empty image, and see whether the specification is that of the model."""
    blank = np.full((1, spec.height, spec.width, spec.channels), 255, np.uint8)
    try:
        logits = run(blank)
    except Exception as error:  # each runtime has its own
        raise ModelFileError(
            f"{str(path)!r} does not read images of {spec.width}x{spec.height} pixels and "
            f"{spec.channels} channels, as its specification says ({said_by(error)})"
        ) from None
    classes, most = Charset(spec.charset).num_classes, spec.length[1]
    steps = logits.shape[1] if logits.ndim == 3 else 0
    if logits.shape != (1, steps, classes):
        raise ModelFileError(
            f"{str(path)!r} gives logits of the shape {logits.shape}, but its specification has "
            f"{classes} classes: {classes - 1} characters and the blank"
        )
    if spec.head == "per_position" and steps != most:
        raise ModelFileError(
            f"{str(path)!r} gives {steps} positions, but its specification has {most}"
        )
    # Even of one character repeated: CTC needs a blank between two.
    if spec.head == "ctc" and most > 1 and steps <= most:
        raise ModelFileError(
            f"{str(path)!r} gives {steps} frames, too few for the {most} characters that its "
            "specification says; has it one head per position?"
        )
    refuse_infinite(logits)


def from_keras(model: keras.Model, spec: ModelSpec, name: str = "") -> Recognizer:
    """Read with a Keras model that is in memory.

    Args:
        model: The model.
        spec: What it expects and what its logits mean.
        name: What people call it.

    Returns:
        A `Recognizer`, which keeps the model as ``keras_model``.
    """
    return Recognizer(keras_run(model), spec, model, name)
