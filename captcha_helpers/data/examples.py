"""Labelled images, each decoded once: looked at, and prepared for every model that may need it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from captcha_helpers.data.folders import LabeledImages, read_labels
from captcha_helpers.data.images import ImageError, ImageSource, load_image, prepare
from captcha_helpers.data.processing import Processing

NO_LABEL = "its label '' is empty"  # a reason, as load_folder gives it


class InputShape(NamedTuple):
    """The images that a model takes: rows, columns, and channels (1 is grey, 3 RGB)."""

    height: int
    width: int
    channels: int = 1


class Example(NamedTuple):
    """A labelled image: its name, what it says, and the image, which may not be decoded yet."""

    name: str
    label: str
    image: ImageSource


def examples_of(
    images: str | os.PathLike[str] | Iterable[ImageSource], labels: Sequence[str] | None = None
) -> list[Example]:
    """List the images of a folder and their labels, or put images and labels together.

    Args:
        images: A folder, see :func:`captcha_helpers.data.folders.read_labels`; or any number of
            images, as arrays, Pillow images, paths or bytes.
        labels: A label for each image; not for a folder, which has its own.

    Returns:
        The examples, in order.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If images and labels differ in number, a file is given twice, or as
            ``read_labels``.

    Example:
        >>> examples_of([np.zeros((20, 60), np.uint8)], ["7xk2"])[0][:2]
        ('image 0', '7xk2')
    """
    if isinstance(images, (str, os.PathLike)):
        if labels is not None:
            raise ValueError("a folder has its labels; give labels with images in memory only")
        pairs = read_labels(images)
        return [Example(os.path.relpath(path, images), label, path) for path, label in pairs]
    images = list(images)
    if labels is None or len(labels) != len(images):
        raise ValueError(
            f"give a label for each image: received {len(images)} images and "
            f"{'no labels' if labels is None else f'{len(labels)} labels'}"
        )
    names = [
        str(image) if isinstance(image, (str, Path)) else f"image {i}"
        for i, image in enumerate(images)
    ]
    if len(set(names)) < len(names):
        raise ValueError("one of the images is given twice; give each file once")
    return list(map(Example, names, labels, images))


def decoded(
    examples: Iterable[Example],
    skipped: list[tuple[str, str]],
    *,
    progress: bool | None = None,
) -> Iterator[tuple[Example, np.ndarray]]:
    """Decode one image after the other.

    Args:
        examples: The examples.
        skipped: Name and reason are added for every example without a label, or whose image cannot
            be read.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Yields:
        Each other example and its pixels, ``(H, W, 3)`` uint8 RGB.
    """
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
    for example in tqdm(examples, unit="image", delay=1, disable=hidden):
        if not example.label:
            skipped.append((example.name, NO_LABEL))
            continue
        try:
            pixels = load_image(example.image)
        except ImageError as error:
            skipped.append((example.name, error.reason))
            continue
        yield example, pixels


def prepare_examples(
    pictures: Iterable[tuple[Example, np.ndarray]],
    shapes: Collection[InputShape],
    processing: Processing,
) -> dict[InputShape, LabeledImages]:
    """Prepare decoded images for several models at a time.

    Args:
        pictures: Examples and their pixels, as `decoded` gives them; gone through once.
        shapes: What the models take.
        processing: What is done to the images before.

    Returns:
        The images for each shape, in order; none at all if there are no pictures.
    """
    images: dict[InputShape, list[np.ndarray]] = {shape: [] for shape in shapes}
    examples = []
    for example, pixels in pictures:
        examples.append(example)
        for shape, prepared in images.items():
            prepared.append(prepare(pixels, **shape._asdict(), processing=processing))
    labels = [example.label for example in examples]
    names = [example.name for example in examples]
    return {
        shape: LabeledImages(np.stack(prepared), labels, names)
        for shape, prepared in images.items()
        if prepared
    }
