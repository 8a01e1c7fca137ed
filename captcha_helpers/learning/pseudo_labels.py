"""Readings taken for labels: what a reader is confident of, in images that nobody has labelled.

Source: Lee, *Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
Networks*, 2013.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.data.examples import Example
from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.data.images import ImageError, ImageSource, load_image
from captcha_helpers.data.labels import image_files
from captcha_helpers.data.names import counted
from captcha_helpers.learning.kinds import two_kinds
from captcha_helpers.learning.split import picture
from captcha_helpers.reading.decoder import Decoder
from captcha_helpers.reading.mask import Mask, fit
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import Recognizer

SEVERAL = 0.1  # share of the images that makes a shape a kind of its own
AT_ONCE = 64  # images that go through a model together


class Unlabelled(NamedTuple):
    """Images that can be read, prepared for a model.

    Attributes:
        images: ``(B, H, W, C)`` uint8.
        names: Of their files, or their numbers.
        odd: Sentences on what is odd about them.
    """

    images: NDArray[np.uint8]
    names: list[str]
    odd: list[str]


def listed(images: str | os.PathLike[str] | Iterable[ImageSource]) -> dict[str, ImageSource]:
    """Images by their names: the files of a folder, or images in memory, which have numbers."""
    if isinstance(images, (str, os.PathLike)):
        return {os.path.relpath(path, images): path for path in image_files(images)}
    pairs = ((str(one) if isinstance(one, (str, Path)) else "", one) for one in images)
    return {name or f"unlabelled image {row}": one for row, (name, one) in enumerate(pairs)}


def unlabelled_images(
    images: str | os.PathLike[str] | Iterable[ImageSource] | None,
    labelled: Iterable[Example],
    most: int,
    seed: int,
) -> dict[str, ImageSource]:
    """Some images by their names, without those that have a label elsewhere.

    Args:
        images: A folder, or images; None gives none.
        labelled: Images with labels.
        most: How many at most, drawn at random.
        seed: Another seed draws others.

    Raises:
        NotADirectoryError: If there is no such folder.
        ValueError: If there is no image without a label.
    """
    if images is None:
        return {}
    files = (one.image for one in labelled if isinstance(one.image, (str, Path)))
    known = set(map(os.path.realpath, files))
    named = {
        name: image
        for name, image in listed(images).items()
        if not isinstance(image, (str, Path)) or os.path.realpath(image) not in known
    }
    if not named:
        raise ValueError("none of the unlabelled images is without a label; leave `unlabelled` out")
    names = list(named)
    rows = np.random.default_rng(seed).permutation(len(names))[:most].tolist()
    return {names[row]: named[names[row]] for row in sorted(rows)}


def prepare_unlabelled(images: dict[str, ImageSource], spec: ModelSpec) -> Unlabelled:
    """Prepare all images that can be read for a model.

    Args:
        images: By their names.
        spec: What the model takes.
    """
    prepared, names, shapes = list[NDArray[np.uint8]](), list[str](), Counter[int]()
    for name, image in images.items():
        try:
            pixels = load_image(image, frame=spec.processing.frame)
            prepared.append(spec.prepare(pixels))
        except ImageError:
            continue
        names.append(name)
        shapes[round(4 * math.log2(pixels.shape[1] / pixels.shape[0]))] += 1
    nothing = np.empty((0, spec.height, spec.width, spec.channels), np.uint8)
    found = Unlabelled(np.stack(prepared) if prepared else nothing, names, [])
    found.odd.extend(_kinds(shapes, found))
    if len(prepared) < len(images):
        found.odd.append(f"{counted(len(images) - len(prepared), 'image')} cannot be read")
    return found


def _kinds(shapes: Counter[int], found: Unlabelled) -> Iterator[str]:
    """Say if the images seem to be of several kinds, by their shapes or by what they look like."""
    many = [count for count in shapes.values() if count >= SEVERAL * shapes.total()]
    if len(many) > 1:
        yield (
            f"The images have {len(many)} different shapes and may be of several kinds: a folder "
            "for each kind teaches more"
        )
    elif pair := two_kinds(found.images):
        first, second = (found.names[row] for row in pair)
        yield (
            f"The images seem to be of two kinds, such as {first} and {second}: a folder for each "
            "kind teaches more"
        )


def as_read(found: Unlabelled, readings: Mapping[str, str]) -> LabeledImages:
    """Those of the images that were read before, with what was read.

    Args:
        found: The images.
        readings: By `split.picture`, which says what an image shows.
    """
    prints = list(map(picture, found.images))
    rows = [row for row, print_ in enumerate(prints) if print_ in readings]
    labels = [readings[prints[row]] for row in rows]
    return LabeledImages(found.images[rows], labels, [found.names[row] for row in rows])


def pseudo_labels(
    reader: Recognizer, images: NDArray[np.uint8], names: Sequence[str], right: float
) -> LabeledImages:
    """Read images, and take the readings of which the reader is confident for their labels.

    Where case does not count, the label has the case that the model sees.

    Args:
        reader: What reads.
        images: ``(B, H, W, C)``, prepared for it.
        names: B names.
        right: Share of the labels that should be right, 0–1, if its confidence can be believed.
    """
    mask = Mask(with_case(reader.spec), reader.spec.mask.length)
    as_it_sees = Decoder(replace(reader.spec, mask=mask))
    texts, confidences = list[str](), list[float]()
    for part in parts(images):
        logits = reader.run(part)
        for one, seen in zip(reader.decoder.read(logits), as_it_sees.read(logits), strict=True):
            same = one.text == reader.decoder.as_written(seen.text)
            texts.append(seen.text)
            confidences.append(one.confidence * (same and bool(seen.text)))
    rows = [row for row in confident(confidences, right) if confidences[row] > 0]
    return LabeledImages(images[rows], [texts[row] for row in rows], [names[row] for row in rows])


def confident(confidences: Sequence[float], right: float) -> list[int]:
    """Choose as many readings as possible whose mean confidence is high enough.

    Args:
        confidences: Of each reading, 0–1.
        right: Least mean confidence of those chosen, 0–1.

    Returns:
        Their places, in order.

    Example:
        >>> confident([0.2, 0.99, 0.93], 0.95)
        [1, 2]
    """
    order = np.argsort(confidences)[::-1]
    means = np.cumsum(np.asarray(confidences, float)[order]) / np.arange(1, len(order) + 1)
    return sorted(order[: int((means >= right).sum())].tolist())


def with_case(spec: ModelSpec) -> str:
    """The characters that a mask leaves, with both cases of letters where case does not count."""
    alphabet = fit(spec.mask, spec.charset)
    indices = sorted(index for group in alphabet.classes[1:] for index in group)
    return "".join(spec.charset[index - 1] for index in indices)


def parts(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Images in parts that go through a model together; none if there are no images."""
    return np.array_split(images, math.ceil(len(images) / AT_ONCE)) if len(images) else []
