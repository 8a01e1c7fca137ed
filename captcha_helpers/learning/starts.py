"""What a training begins with: a network, and weights that it may have learned already.

A `Start` is all that `captcha_helpers.train` has to know about it. Four ship with the package and
have learned from drawn images only: "general", in colour, from every look (`drawing.looks`);
"pretrained", smaller and in grey, from looks made up at random (`drawing.random_looks`); "mixed",
as small, from many more of one style; and "chinese", which went on from "general" with thousands of
characters that the others do not know. `from_file` makes one of a reader that somebody
has already, `from_builder` one of a network that knows nothing yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import BLANK_INDEX, Charset
from captcha_helpers.core.models import (
    cnn_ctc,
    crnn_ctc,
    fixed_length_cnn,
    keras,
    multi_head,
    residual_ctc,
)
from captcha_helpers.data.examples import Input, InputShape
from captcha_helpers.data.processing import Processing
from captcha_helpers.drawing.looks import draw_looks
from captcha_helpers.drawing.random_looks import FONTS, draw_images, fonts_for
from captcha_helpers.drawing.styles import STYLES, Style
from captcha_helpers.reading.model_file import Head, ModelSpec, read_spec
from captcha_helpers.reading.runtimes import load_keras
from captcha_helpers.reading.shipped import model_path, shipped_starts

CHINESE = "chinese"
STARTS = tuple(name for name in shipped_starts() if name != CHINESE)  # for all that they know
HEIGHT, WIDTH = 48, 160  # of the images that they read
PIXELS_A_CHARACTER = 12  # three frames, of images that are made wider because the labels are long
# A start knows a look if its character error rate is below this; then drawn images help. Those of
# "general" are in all the looks it knows, those near one style help even if it is read badly, and
# those of "pretrained", in any look, only take time unless nearly all is read.
FAMILIAR = {"general": 0.25, "pretrained": 0.05, "mixed": 0.15, CHINESE: 0.25}
OWN_FAMILIAR = 0.15  # for readers of one's own, which were made for a look too
Seen = Literal["as labelled", "in their other case", "in both cases"]
SEEN: tuple[Seen, ...] = get_args(Seen)
_BUILDERS: dict[str, Callable[..., keras.Model]] = {  # by the names of their models
    build.__name__: build
    for build in (cnn_ctc, crnn_ctc, fixed_length_cnn, multi_head, residual_ctc)
}
_WITH_DROPOUT = ("cnn_ctc", "residual_ctc")
_IN_COLOUR = ("residual_ctc",)
_FLOAT32_AT_BOTH_ENDS = ("residual_ctc",)  # whatever the rest is computed with


class Builder(Protocol):
    """A function that builds a network, as those of `captcha_helpers.core.models`."""

    def __call__(self, charset: Charset, *, length: int) -> keras.Model:
        """From ``(B, H, W, C)`` in 0–255 to logits ``(B, T, V)``, V is ``charset.num_classes``."""


class Draw(Protocol):
    """A function that draws images as a start has learned from, to be shown again."""

    def __call__(
        self,
        count: int,
        *,
        charset: str,
        length: tuple[int, int],
        processing: Processing,
        seed: int,
        start: int,
    ) -> tuple[NDArray[np.uint8], list[str]]:
        """Images number `start` and following, ``(B, H, W, C)``, and B labels."""


class Weights(NamedTuple):
    """A network that has learned, and what it says."""

    model: keras.Model
    spec: ModelSpec


@dataclass(frozen=True)
class Start:
    """What a training begins with.

    Attributes:
        name: How it is called when the training says what it does.
        build: Makes the network for a charset, a longest label and a share of dropout; weights
            that are known already are in it.
        shape: Height, width and channels of the images that it takes.
        head: ``"ctc"`` for logits over frames, ``"per_position"`` for logits over positions.
        weights: What it has learned; None if nothing yet.
        familiar: A look is known if less than this share of the characters is read wrongly.
        draw: Draws images as it has learned from; None if there is nothing to draw.
        fewer_bits: Whether the network may be computed with bfloat16 numbers in the training.
        processing: What is done to images before they get that shape.
    """

    name: str
    build: Callable[[Charset, int, float], keras.Model]
    shape: InputShape
    head: Head = "ctc"
    weights: Weights | None = None
    familiar: float = 0.0
    draw: Draw | None = None
    fewer_bits: bool = False
    processing: Processing = Processing()

    @property
    def takes(self) -> Input:
        """Which of the images that are prepared for several starts are for this one."""
        return self.shape, self.processing


def start_file(name: str) -> Path:
    """Where the weights of that name are.

    Raises:
        ValueError: If there are none.

    Example:
        >>> start_file("pretrained").name
        'pretrained.npz'
    """
    files = shipped_starts()
    if name not in files:
        raise ValueError(f"there is no start {name!r}; choose one of {', '.join(files)}")
    return files[name]


def shipped(name: str, length: int = 1, *, seen: Seen = SEEN[0]) -> Start:
    """What a training begins with that takes the weights shipped under a name, one of `STARTS`.

    Args:
        name: Its name.
        length: Characters of the longest label. Where the images of these weights are too narrow
            for so many, they are made wider.
        seen: In which case the images show the letters of the labels, one of `SEEN`: as labelled,
            in the other case, or some in this and some in that. People who type what they read
            often leave out the shift key.

    Raises:
        ValueError: If no start has that name.

    Example:
        >>> shipped("mixed").shape, shipped("mixed", length=25).shape.width
        (InputShape(height=48, width=160, channels=1), 300)
    """
    weights = _read(start_file(name))
    shape = _wide_enough(weights, length)
    draw: Draw | None
    draw = _draw_looks(shape) if shape.channels == 3 else _draw_near(STYLES.get(name), shape)
    if name == CHINESE:
        draw = None  # no font that comes with the package has its characters
    familiar = FAMILIAR[name]
    if seen != SEEN[0]:
        name, draw = f"{name} (letters {seen})", draw and _shown_as(draw, seen)
    return _with_weights(name, weights, shape, familiar, draw, seen=seen)


def only_chinese_knows(text: str) -> bool:
    """Whether a text has characters that "chinese" knows and the other shipped weights do not.

    Example:
        >>> only_chinese_knows("3+5=?"), only_chinese_knows("汉字")
        (False, True)
    """
    if text.isascii():
        return False
    more, known = (set(read_spec(start_file(name)).charset) for name in (CHINESE, STARTS[0]))
    return not set(text).isdisjoint(more - known)


def from_file(path: str | os.PathLike[str], build: Builder | None = None, length: int = 1) -> Start:
    """Begin with a reader that somebody has already.

    Args:
        path: The ``.keras`` file that `captcha_helpers.train` or `save_model` wrote, or the name of
            a start.
        build: What built the model, if it cannot be made anew for other characters and lengths
            without: those of `captcha_helpers.core.models` can, and most that end in a Dense layer.
        length: Characters of the longest label; a network for CTC of `captcha_helpers.core.models`
            takes wider images if it has to.

    Returns:
        The start.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no Keras model that can be trained, or one without a specification.
    """
    if os.fspath(path) in shipped_starts():
        return shipped(os.fspath(path), length)
    path = model_path(path)
    if path.suffix != ".keras" and path.exists():
        raise ValueError(
            f"{str(path)!r} can be read with, but not trained; begin with the .keras file that "
            "it was exported from"
        )
    read_spec(path)  # its errors are the clearer ones
    weights = _load(path)
    own = build is not None or weights.model.name not in _BUILDERS or weights.spec.head != "ctc"
    shape = _input_shape(weights.model) if own else _wide_enough(weights, length)
    return _with_weights(str(path), weights, shape, OWN_FAMILIAR, None, build)


def from_builder(build: Builder | None, charset: Charset, length: int, head: Head = "ctc") -> Start:
    """Begin with a network that has learned nothing.

    Args:
        build: Called as ``build(charset, length=4)``; gives a model with one image input and logits
            at the end. By default `captcha_helpers.cnn_ctc` in the size of the shipped weights, or
            wider if the labels need it.
        charset: Characters to build it for, once, to see which images it takes.
        length: Characters of the longest label, likewise.
        head: What its logits mean.

    Returns:
        The start.

    Raises:
        ValueError: If the model is not of that kind.

    Example:
        >>> from captcha_helpers.core.models import multi_head
        >>> from_builder(multi_head, Charset("01"), 4, "per_position").shape
        InputShape(height=48, width=144, channels=1)
    """
    if build is None:
        wide = WIDTH if 4 * (2 * length - 1) <= WIDTH else length * PIXELS_A_CHARACTER
        small = {"height": HEIGHT, "width": wide}
        return Start("nothing", lambda c, n, _: cnn_ctc(c, length=n, **small), InputShape(**small))
    shape = _input_shape(build(charset, length=length))
    name = f"a new {getattr(build, '__name__', 'network')}"
    return Start(name, lambda c, n, _: build(c, length=n), shape, head)


def check_model(model: keras.Model, charset: Charset, length: int, head: Head) -> None:
    """See whether a network can learn such labels.

    Raises:
        ValueError: If its output does not fit.

    Example:
        >>> check_model(cnn_ctc(Charset("01"), length=4), Charset("01"), 4, "ctc")
    """
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 3 or shape[-1] != charset.num_classes:
        raise ValueError(
            f"the model gives {shape}, but must end in logits (None, T, {charset.num_classes}): "
            f"the blank and {len(charset)} characters"
        )
    needed = 2 * length - 1 if head == "ctc" else length
    if shape[1] is None or shape[1] < needed or (head == "per_position" and shape[1] != needed):
        raise ValueError(
            f"the model gives {shape[1]} steps, but labels of {length} characters need {needed}"
            f"{' or more' if head == 'ctc' else ''} (head={head!r})"
        )


def pretrained_start(
    charset: Charset, *, length: int, start: str = "general", dropout: float = 0.0
) -> keras.Model:
    """Build a network for a charset that can read a little already.

    All layers but the last are the pre-trained ones. The last has a row of weights for each class;
    the rows of the charset's characters are taken over. A character that was not in the
    pre-training starts with small random weights, as it would from scratch.

    Args:
        charset: The characters to read.
        length: Characters of the longest label.
        start: Which weights. "general" and "chinese" are a `residual_ctc` each that takes colour
            images of 48 x 192 pixels that were cropped (``Processing(auto_crop=True)``);
            "pretrained" and "mixed" are a `cnn_ctc` each, for grey ones of 48 x 160.
        dropout: As for the builders in :mod:`captcha_helpers.core.models`.

    Returns:
        A model from ``(B, H, W, C)`` in 0–255 to CTC logits ``(B, W // 4, V)``.

    Raises:
        ValueError: If the image is too narrow for labels of that length, or no start has that name.

    Example:
        >>> pretrained_start(Charset("0123456789"), length=6, start="pretrained").output_shape
        (None, 40, 11)
    """
    return shipped(start).build(charset, length, dropout)


@cache
def _read(path: Path) -> Weights:
    return _load(path)


def _load(path: Path) -> Weights:
    return Weights(load_keras(path), read_spec(path))


def _with_weights(
    name: str,
    weights: Weights,
    shape: InputShape,
    familiar: float,
    draw: Draw | None,
    build: Builder | None = None,
    seen: Seen = SEEN[0],
) -> Start:
    def made_anew(charset: Charset, length: int, dropout: float) -> keras.Model:
        model = _same_network(weights, charset, length, shape, dropout, build)
        _take_over(weights, model, charset, seen)
        return model

    fewer_bits = build is None and weights.model.name in _FLOAT32_AT_BOTH_ENDS
    return Start(
        name,
        made_anew,
        shape,
        weights.spec.head,
        weights,
        familiar,
        draw,
        fewer_bits=fewer_bits,
        processing=weights.spec.processing,
    )


def _wide_enough(weights: Weights, length: int) -> InputShape:
    """The images that a network takes, made wider if they give too few frames for labels so long.

    Its layers go along the image from left to right, so the same weights read one of any width.
    """
    shape, frames = _input_shape(weights.model), weights.model.output_shape[1]
    enough = frames is None or frames >= 2 * length - 1
    return shape if enough else shape._replace(width=length * PIXELS_A_CHARACTER)


def _draw_looks(shape: InputShape) -> Draw:
    """Draw in every look by name, as the general reader was taught."""

    def draw(count: int, *, charset: str, **kind: Any) -> tuple[NDArray[np.uint8], list[str]]:
        fonts = fonts_for(charset) or FONTS
        return draw_looks(count, charset=charset, fonts=fonts, **shape._asdict(), **kind)

    return draw


def _shown_as(draw: Draw, seen: Seen) -> Draw:
    """Draw letters in another case than the labels have, or in both."""

    def draw_shown(count: int, *, charset: str, **kind: Any) -> tuple[NDArray[np.uint8], list[str]]:
        shown = "".join(dict.fromkeys("".join(_shown(char, seen) for char in charset)))
        images, labels = draw(count, charset=shown, **kind)
        label_of = {look: char for char in charset for look in _shown(char, seen)}
        return images, ["".join(map(label_of.__getitem__, label)) for label in labels]

    return draw_shown


def _shown(char: str, seen: Seen) -> str:
    """What the images show where a label has this character."""
    own, other, both = SEEN
    swapped = char.swapcase()
    if swapped.swapcase() != char:  # "ß" and "ς" have no capital of their own
        swapped = char
    looks = {own: char, other: swapped, both: char + swapped}
    return "".join(dict.fromkeys(looks[seen]))


def _draw_near(style: Style | None, shape: InputShape) -> Draw:
    """Draw as the shipped weights were taught: near a style, or in any look."""

    def draw(count: int, **kind: Any) -> tuple[NDArray[np.uint8], list[str]]:
        return draw_images(count, near=style, **shape._asdict(), **kind)

    return draw


def _input_shape(model: keras.Model) -> InputShape:
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"the model takes {shape}, but must take one image (None, height, width, channels)"
        )
    if shape[3] not in (1, 3):
        raise ValueError(f"the model takes images of {shape[3]} channels; 1 is grey and 3 is RGB")
    return InputShape(*shape[1:])


def _same_network(
    weights: Weights,
    charset: Charset,
    length: int,
    shape: InputShape,
    dropout: float,
    build: Builder | None,
) -> keras.Model:
    """The network once more with random weights, for other characters and lengths."""
    if build is not None:
        return build(charset, length=length)
    source, spec = weights
    if source.name in _BUILDERS:
        size: dict[str, Any] = {"height": shape.height, "width": shape.width}
        size |= {"dropout": dropout} if source.name in _WITH_DROPOUT else {}
        size |= {"channels": shape.channels} if source.name in _IN_COLOUR else {}
        return _BUILDERS[source.name](charset, length=length, **size)
    classes = _class_layers(source, Charset(spec.charset).num_classes)
    config = source.get_config()
    for layer in config["layers"]:
        if layer["config"]["name"] in classes:
            layer["config"]["units"] = charset.num_classes
    try:
        model = type(source).from_config(config)
        check_model(model, charset, length, spec.head)
    except ValueError as error:
        raise ValueError(
            f"the network {source.name!r} cannot be made anew for {len(charset)} characters and "
            f"labels of {length}; say what built it: build=my_builder ({error})"
        ) from None
    return model


def _class_layers(model: keras.Model, classes: int) -> list[str]:
    """Names of the layers at the end that have a unit for each class: one, or one a position."""
    found: list[keras.layers.Dense] = []
    for layer in reversed(model.layers):
        if not layer.weights:
            continue
        if not isinstance(layer, keras.layers.Dense) or layer.units != classes:
            break
        if found and layer.kernel.shape != found[0].kernel.shape:
            break
        found.append(layer)
    return [layer.name for layer in found]


def _take_over(weights: Weights, model: keras.Model, charset: Charset, seen: Seen) -> None:
    """Copy the weights of all layers; of those that name characters, the rows that are known.

    A letter that is seen in both cases gets the mean of its two rows.
    """
    row_of = {char: row for row, char in enumerate(weights.spec.charset, start=1)}
    rows = {BLANK_INDEX: [BLANK_INDEX]} | {
        i: sources
        for i, char in enumerate(charset.characters, start=1)
        if (sources := [row_of[look] for look in _shown(char, seen) if look in row_of])
    }
    known = {layer.name: layer.get_weights() for layer in weights.model.layers if layer.weights}
    naming = _class_layers(model, charset.num_classes)
    for layer in model.layers:
        old, new = known.pop(layer.name, None), layer.get_weights()
        if old is None:
            continue  # a place that the longest label did not have
        naming_it = layer.name in naming
        if [_size(array, naming_it) for array in old] != [_size(array, naming_it) for array in new]:
            raise ValueError(
                f"the layer {layer.name!r} of the new network is another one than in "
                "the reader to begin with; build it as that one was built (build=...)"
            )
        if naming_it:
            for was, will_be in zip(old, new, strict=True):
                for row, known_rows in rows.items():
                    will_be[..., row] = was[..., known_rows].mean(axis=-1)
        layer.set_weights(new if naming_it else old)
    if known:
        raise ValueError(
            f"the new network has no layer {next(iter(known))!r}, which the reader to begin with "
            "has; build it as that one was built (build=...)"
        )


def _size(array: NDArray[np.floating], by_class: bool) -> tuple[int, ...]:
    return array.shape[:-1] if by_class else array.shape
