"""Labelled images, each decoded once: looked at, and prepared for every model that may need it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
from tqdm import tqdm

from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.data.images import Frame, ImageError, ImageSource, load_image, prepare
from captcha_helpers.data.labels import find_labels
from captcha_helpers.data.processing import Processing

NO_LABEL = "its label '' is empty"  # a reason, as load_folder gives it


class InputShape(NamedTuple):
    """The images that a model takes: rows, columns, and channels (1 is grey, 3 RGB)."""

    height: int
    width: int
    channels: int = 1


Input: TypeAlias = tuple[InputShape, Processing]  # what a model takes, and what is done before

Images: TypeAlias = (
    str
    | os.PathLike[str]
    | Iterable[ImageSource]
    | tuple[Iterable[ImageSource], Iterable[str]]
    | LabeledImages
)


class Example(NamedTuple):
    """A labelled image: its name, what it says, and the image, which may not be decoded yet."""

    name: str
    label: str
    image: ImageSource


class Examples(NamedTuple):
    """Labelled images, and sentences on how their labels were found."""

    examples: list[Example]
    notes: list[str]


def examples_of(images: Images, labels: Iterable[str] | None = None) -> Examples:
    """List the images of a folder and their labels, or put images and labels together.

    Args:
        images: A folder, see :func:`captcha_helpers.data.folders.read_labels`; any number of
            images, as arrays, Pillow images, paths or bytes; such images and their labels as a
            pair, as `captcha_helpers.generate` gives them; or `LabeledImages`.
        labels: A label for each image, unless they have some already.

    Returns:
        The examples in order, and sentences on where the labels of a folder were found.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        TypeError: If a label is not a string.
        ValueError: If images and labels differ in number, a file is given twice, or as
            ``read_labels``.

    Example:
        >>> examples_of([np.zeros((20, 60), np.uint8)], [" 7xk2"]).examples[0][:2]
        ('image 0', '7xk2')
    """
    if labels is not None and isinstance(images, (str, os.PathLike, LabeledImages)):
        raise ValueError(
            "a folder has its labels, and so have LabeledImages; give labels with images in "
            "memory only"
        )
    if isinstance(images, (str, os.PathLike)):
        pairs, notes = find_labels(images)
        examples = [Example(os.path.relpath(path, images), label, path) for path, label in pairs]
        return Examples(examples, notes)
    if isinstance(images, LabeledImages):
        return Examples(list(map(Example, images.names, images.labels, images.images)), [])
    together: Any = images
    if labels is None and isinstance(images, tuple) and len(images) == 2 and _are_labels(images[1]):
        together, labels = images[0], images[1]
    sources, texts = list(together), None if labels is None else _texts(labels)
    if texts is None or len(texts) != len(sources):
        raise ValueError(
            f"give a label for each image: received {len(sources)} images and "
            f"{'no labels' if texts is None else f'{len(texts)} labels'}"
        )
    names = [
        str(image) if isinstance(image, (str, Path)) else f"image {i}"
        for i, image in enumerate(sources)
    ]
    if len(set(names)) < len(names):
        raise ValueError("one of the images is given twice; give each file once")
    return Examples(list(map(Example, names, texts, sources)), [])


def _are_labels(things: object) -> TypeGuard[Iterable[str]]:
    if isinstance(things, (str, bytes, os.PathLike)) or not isinstance(things, Iterable):
        return False
    return all(isinstance(thing, str) for thing in things)


def _texts(labels: Iterable[str]) -> list[str]:
    if isinstance(labels, str):
        raise TypeError(f"expected several labels, got the string {labels!r}; use [{labels!r}]")
    labels = list(labels)
    for row, label in enumerate(labels):
        if not isinstance(label, str):
            raise TypeError(f"label {label!r} (number {row}) is not a string; use {str(label)!r}")
    return [str(label).strip() for label in labels]


def decoded(
    examples: Iterable[Example],
    skipped: list[tuple[str, str]],
    *,
    frame: Frame = "first",
    progress: bool | None = None,
) -> Iterator[tuple[Example, np.ndarray]]:
    """Decode one image after the other.

    Args:
        examples: The examples.
        skipped: Name and reason are added for every example without a label, or whose image cannot
            be read: a blank one is among them.
        frame: Which frame of an animation; see :func:`captcha_helpers.data.images.load_image`.
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
            pixels = load_image(example.image, frame=frame, allow_blank=False)
        except ImageError as error:
            skipped.append((example.name, error.reason))
            continue
        yield example, pixels


def prepare_examples(
    pictures: Iterable[tuple[Example, np.ndarray]], inputs: Collection[Input]
) -> dict[Input, LabeledImages]:
    """Prepare decoded images for several models at a time.

    Args:
        pictures: Examples and their pixels, as `decoded` gives them; gone through once.
        inputs: What the models take, and what is done to the images before.

    Returns:
        The images for each of them, in order; none at all if there are no pictures.
    """
    images: dict[Input, list[np.ndarray]] = {one: [] for one in inputs}
    examples = []
    for example, pixels in pictures:
        examples.append(example)
        for (shape, processing), prepared in images.items():
            prepared.append(prepare(pixels, **shape._asdict(), processing=processing))
    labels = [example.label for example in examples]
    names = [example.name for example in examples]
    return {
        one: LabeledImages(np.stack(prepared), labels, names)
        for one, prepared in images.items()
        if prepared
    }
