"""Convert a Keras model to LiteRT (``.tflite``), the format of phones and small devices."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

KINDS = ("float32", "float16", "dynamic_int8", "int8")
_WRAPPED = ("layer", "backward_layer")  # what Bidirectional keeps in its own configuration


def convert(model: keras.Model, kind: str, calibration: NDArray[np.uint8]) -> bytes:
    """Convert a model that takes one image at a time.

    LiteRT has no operators for pictures of any size, so the caller prepares the image
    (:func:`data.images.prepare`) and gives it as ``(1, height, width, C)``: float32 in
    0–255, or uint8 for the kind int8.

    Args:
        model: A Keras model from ``(B, height, width, C)`` to logits ``(B, T, V)``.
        kind: ``"float32"``; ``"float16"``, half as large; ``"dynamic_int8"``, a quarter as large
            (weights in 8 bits); or ``"int8"``, in which what the layers hand on has 8 bits too.
        calibration: ``(N, height, width, C)`` uint8. For int8: images that show which values occur.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: If the kind is unknown.
    """
    import keras
    import tensorflow as tf

    if kind not in KINDS:
        raise ValueError(f"unknown kind of LiteRT file {kind!r}; choose from {', '.join(KINDS)}")
    # A batch of 1: another, or any, needs operators that the runtime does not have.
    image = keras.Input(batch_shape=(1, *model.input_shape[1:]))
    single = keras.Model(image, _without_loops(model)(image))
    with tempfile.TemporaryDirectory() as folder:
        single.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        operators = tf.lite.OpsSet.TFLITE_BUILTINS
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if kind == "int8":
            operators = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            converter.representative_dataset = lambda: (
                [image[None].astype(np.float32)] for image in calibration
            )
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.int8
        converter.target_spec.supported_ops = [operators]  # any other is an error here, not later
        converted: bytes = converter.convert()
        return converted


def _without_loops(model: keras.Model) -> keras.Model:
    """Write out the steps of LSTMs and GRUs: LiteRT lacks operators for their loop."""
    import keras

    def unrolled(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        parts = [config, *(config.get(name, {}).get("config", {}) for name in _WRAPPED)]
        for part in parts:
            if "unroll" in part:
                part["unroll"] = True
        return type(layer).from_config(config)

    if not any(_has_loop(layer) for layer in model.layers):
        return model
    clone = keras.models.clone_model(model, clone_function=unrolled)
    clone.set_weights(model.get_weights())
    return clone


def _has_loop(layer: keras.Layer) -> bool:
    return hasattr(getattr(layer, "forward_layer", layer), "unroll")
