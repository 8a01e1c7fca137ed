"""The weights that learning on one's own images starts from.

They have learned from drawn images only: "pretrained" from every look
(`drawing.random_looks`), "mixed" from many more of the style that is hardest to read.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from captcha_helpers.core.charset import BLANK_INDEX, Charset
from captcha_helpers.core.models import cnn_ctc, keras
from captcha_helpers.reading.model_file import ModelSpec, read_spec
from captcha_helpers.reading.runtimes import load_keras
from captcha_helpers.reading.shipped import shipped_starts

STARTS = tuple(shipped_starts())


def start_file(name: str) -> Path:
    """Where the weights of that name are.

    Raises:
        ValueError: If there are none.

    Example:
        >>> start_file("pretrained").name
        'pretrained.npz'
    """
    if name not in STARTS:
        raise ValueError(f"there is no start {name!r}; choose one of {', '.join(STARTS)}")
    return shipped_starts()[name]


@cache
def _start(name: str) -> tuple[keras.Model, ModelSpec]:
    path = start_file(name)
    return load_keras(path), read_spec(path)


def pretrained_start(
    charset: Charset, *, length: int, start: str = "pretrained", dropout: float = 0.0
) -> keras.Model:
    """Build a `cnn_ctc` for a charset that can read a little already.

    All layers but the last are the pre-trained ones. The last has a row of weights for each class;
    the rows of the charset's characters are taken over. A character that was not in the
    pre-training starts with small random weights, as it would from scratch.

    Args:
        charset: The characters to read.
        length: Characters of the longest label.
        start: Which weights, one of `STARTS`.
        dropout: As for :func:`captcha_helpers.core.models.cnn_ctc`.

    Returns:
        A model from ``(B, 48, 160, 1)`` in 0–255 to CTC logits ``(B, 40, V)``.

    Raises:
        ValueError: If the image is too narrow for labels of that length, or no start has that name.

    Example:
        >>> pretrained_start(Charset("0123456789"), length=6).output_shape
        (None, 40, 11)
    """
    source, spec = _start(start)
    size = {"height": spec.height, "width": spec.width}
    model = cnn_ctc(charset, length=length, **size, dropout=dropout)
    for layer in source.layers[:-1]:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    kernel, bias = model.layers[-1].get_weights()
    known_kernel, known_bias = source.layers[-1].get_weights()
    row_of = {char: row for row, char in enumerate(spec.charset, start=1)}
    row_of_class = {BLANK_INDEX: BLANK_INDEX} | {
        i: row_of[char] for i, char in enumerate(charset.characters, start=1) if char in row_of
    }
    for i, row in row_of_class.items():
        kernel[:, i], bias[i] = known_kernel[:, row], known_bias[row]
    model.layers[-1].set_weights([kernel, bias])
    return model
