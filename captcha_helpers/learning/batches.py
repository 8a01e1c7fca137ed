"""Batches for Keras' ``fit``: from arrays, or fresh from the generator without end.

Call ``fit(batches, shuffle=False)``: these classes see to the order themselves, and without
``shuffle=False`` Keras shuffles the batches of an epoch once more, by a seed of its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from captcha_helpers.core.extras import needs

try:
    import keras
except ModuleNotFoundError as err:
    raise ImportError(needs("Training needs Keras", "train")) from err

from captcha_helpers.core.charset import Charset
from captcha_helpers.data.augment import augment_batch
from captcha_helpers.data.images import prepare_batch
from captcha_helpers.drawing.painter import generate
from captcha_helpers.drawing.styles import Style, get_style


class _Epoch(keras.utils.PyDataset):
    """A loop over it ends with the epoch, which Keras 3.6 does not see to."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (self[index] for index in range(len(self)))


class ArrayBatches(_Epoch):
    """Batches of images that are in memory, in a new order every epoch.

    The order depends on the seed and on the number of epochs that have ended, on nothing else.
    The last batch of an epoch may be smaller.

    Args:
        images: ``(N, H, W, C)`` uint8, 0 to 255; C is 1 (grey) or 3 (RGB).
        labels: ``(N, L)`` int32, from :meth:`Charset.encode`.
        batch_size: Images a batch.
        shuffle: False keeps the order of the arrays, for validation.
        seed: Another seed shuffles otherwise.
        **kwargs: ``workers``, ``use_multiprocessing`` and ``max_queue_size`` of
            :class:`keras.utils.PyDataset`.

    Raises:
        ValueError: If there are no images or they are not as above, the arrays differ in length,
            labels are not encoded or ``batch_size`` is not positive.

    Example:
        >>> batches = ArrayBatches(np.zeros((5, 48, 144, 1), np.uint8), np.ones((5, 4), np.int32),
        ...                        batch_size=2)
        >>> [images.shape for images, labels in batches]
        [(2, 48, 144, 1), (2, 48, 144, 1), (1, 48, 144, 1)]
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int = 64,
        *,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.images, self.labels = _checked(images, labels)
        _check_positive(batch_size=batch_size)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._epoch = 0
        self._order = self._new_order()

    def __len__(self) -> int:
        """Batches an epoch."""
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch ``index`` of this epoch: images (B, H, W, C) uint8, labels (B, L) int32."""
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.images[rows], self.labels[rows]

    def on_epoch_end(self) -> None:
        """Shuffle anew; Keras calls this, before the first epoch too."""
        self._epoch += 1
        self._order = self._new_order()

    def _new_order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(len(self.images))
        return np.random.default_rng([self.seed, self._epoch]).permutation(len(self.images))


def augmented_batch(
    images: np.ndarray,
    labels: np.ndarray,
    number: int,
    *,
    batch_size: int = 32,
    strength: float = 1.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Batch `number` of an endless row of batches from few images, never twice with equal pixels.

    The images come in one random order after the other, each changed a little. A batch depends on
    the arguments only, so a training that was cut off can go on with the one that was next.

    Args:
        images: ``(N, H, W, C)`` uint8, 0 to 255; C is 1 (grey) or 3 (RGB).
        labels: ``(N, L)`` int32, from :meth:`Charset.encode`.
        number: Which batch, from 0.
        batch_size: B, images a batch; N may be smaller.
        strength: How much the images are changed; see
            :func:`captcha_helpers.data.augment.augment_batch`.
        seed: Another seed gives other batches.

    Returns:
        Images ``(B, H, W, C)`` uint8 and labels ``(B, L)`` int32.

    Example:
        >>> few = np.zeros((5, 48, 144, 1), np.uint8), np.ones((5, 4), np.int32)
        >>> augmented_batch(*few, number=3, batch_size=8)[0].shape
        (8, 48, 144, 1)
    """
    rounds, places = np.divmod(number * batch_size + np.arange(batch_size), len(images))
    orders = {
        each: np.random.default_rng([seed, 0, each]).permutation(len(images))
        for each in range(rounds[0], rounds[-1] + 1)
    }
    rows = [orders[each][place] for each, place in zip(rounds, places, strict=True)]
    rng = np.random.default_rng([seed, 1, number])
    return augment_batch(images[rows], rng, strength=strength), labels[rows]


class GeneratedBatches(_Epoch):
    """Batches of freshly drawn images: no image is shown twice, however many epochs there are.

    Batch ``i`` of epoch ``e`` holds the images ``(e * steps + i) * batch_size`` and following of
    the endless stream that style and seed define, so the same seed gives the same images on any
    number of workers. Keras draws the next batches in the background while the model trains.

    For validation draw a set once (:func:`drawing.painter.generate`, with another seed)
    and use :class:`ArrayBatches`.

    Args:
        style: What the images look like: a style, or the name of a preset.
        charset: The characters of the model, all of the style's among them.
        height: Rows of the prepared images.
        width: Columns of the prepared images.
        label_length: L, the width of the encoded labels; at least the style's longest label.
        batch_size: Images a batch.
        steps: Batches an epoch.
        seed: Another seed gives other images.
        exclude: Labels that are never drawn: those of the validation and test images.
        channels: 1 for grey images, 3 for RGB.
        **kwargs: ``workers``, ``use_multiprocessing`` and ``max_queue_size`` of
            :class:`keras.utils.PyDataset`.

    Raises:
        ValueError: If ``label_length``, ``batch_size`` or ``steps`` is not positive, the style has
            an unknown name, characters that the charset lacks, or labels longer than
            ``label_length``.

    Example:
        >>> from captcha_helpers.core.charset import UPPER
        >>> batches = GeneratedBatches("slanted", Charset(UPPER), height=48, width=144,
        ...                            label_length=6, batch_size=3, steps=10)
        >>> images, labels = batches[0]
        >>> images.shape, labels.shape, len(batches)
        ((3, 48, 144, 1), (3, 6), 10)
    """

    def __init__(
        self,
        style: Style | str,
        charset: Charset,
        *,
        height: int,
        width: int,
        label_length: int,
        batch_size: int = 64,
        steps: int = 100,
        seed: int = 0,
        exclude: Collection[str] = (),
        channels: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_positive(label_length=label_length, batch_size=batch_size, steps=steps)
        self.style = get_style(style) if isinstance(style, str) else style
        _check_fit(self.style, charset, label_length)
        self.charset = charset
        self.height = height
        self.width = width
        self.label_length = label_length
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.exclude = frozenset(exclude)
        self.channels = channels
        self._epoch = 0

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch ``index`` of this epoch: images (B, H, W, C) uint8, labels (B, L) int32."""
        start = (self._epoch * self.steps + index) * self.batch_size
        images, labels = generate(
            self.style, self.batch_size, seed=self.seed, start=start, exclude=self.exclude
        )
        encoded = self.charset.encode(labels, length=self.label_length)
        prepared = prepare_batch(
            images, height=self.height, width=self.width, channels=self.channels
        )
        return prepared, encoded

    def on_epoch_end(self) -> None:
        """Go on to images not seen yet; Keras calls this, before the first epoch too."""
        self._epoch += 1


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        raise ValueError(
            f"images must be (N, H, W, 1 or 3) uint8, got {images.shape} {images.dtype}: "
            "prepare_batch makes them; the model divides by 255 itself"
        )
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError("labels must be integers of shape (N, L); use Charset.encode")
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(f"got {len(images)} images and {len(labels)} labels")
    return images, labels


def _check_fit(style: Style, charset: Charset, label_length: int) -> None:
    problem = charset.problem(style.charset)
    if problem:
        raise ValueError(f"the style {style.name!r} {problem}; give the model all of the style's")
    if style.length[1] > label_length:
        raise ValueError(
            f"the labels of the style {style.name!r} are up to {style.length[1]} characters long, "
            f"but label_length is {label_length}"
        )


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
