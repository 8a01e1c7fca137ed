"""Look at a folder of labelled images before training on it, and say in plain words what is odd."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from captcha_helpers.data.folders import read_labels
from captcha_helpers.data.images import ImageError, load_image

ENOUGH_IMAGES = 200
RARE = 3
NAMED = 5  # files or characters that a message lists


@dataclass(frozen=True)
class FolderCheck:
    """What is in a folder of labelled images.

    Attributes:
        images: Number of images that can be read.
        lengths: Label length and how many labels have it.
        characters: Character and how often it occurs.
        sizes: (width, height) in pixels and how many images have it.
        problems: Sentences on what is odd; empty if nothing is.
    """

    images: int
    lengths: dict[int, int]
    characters: dict[str, int]
    sizes: dict[tuple[int, int], int]
    problems: list[str]

    def __str__(self) -> str:
        lengths = ", ".join(map(str, sorted(self.lengths)))
        charset = "".join(sorted(self.characters))
        lines = [
            f"{self.images} images, labels of {lengths} characters, "
            f"{len(self.characters)} different ones: {charset}"
        ]
        return "\n".join(lines + [f"- {problem}" for problem in self.problems])


def check_folder(folder: str | os.PathLike[str], *, progress: bool | None = None) -> FolderCheck:
    """Read every image and label of a folder and report what may spoil a training.

    Args:
        folder: Images with the labels in their names or in a ``labels.csv``; see
            :func:`captcha_helpers.data.folders.read_labels`. Nothing in it is changed.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Returns:
        The report; print it.

    Raises:
        FileNotFoundError: As :func:`captcha_helpers.data.folders.read_labels`.
        NotADirectoryError: As :func:`captcha_helpers.data.folders.read_labels`.
        ValueError: As :func:`captcha_helpers.data.folders.read_labels`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (60, 20)).save(Path(folder) / "7x.png")
        ...     Image.new("RGB", (60, 20)).save(Path(folder) / "7y.png")
        ...     print(check_folder(folder))
        2 images, labels of 2 characters, 3 different ones: 7xy
        - Only 2 images; 50 are little, 200 are enough for most kinds of CAPTCHA.
        - The same picture has different labels: 7x.png ('7x') and 7y.png ('7y').
        - Characters that occur fewer than 3 times can hardly be learned: '7', 'x', 'y'.
    """
    pairs = read_labels(folder)
    sizes: Counter[tuple[int, int]] = Counter()
    same: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    unreadable, empty, labels = [], [], []
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
    for path, label in tqdm(pairs, unit="image", delay=1, disable=hidden):
        name = os.path.relpath(path, folder)
        if not label:
            empty.append(name)
            continue
        try:
            pixels = load_image(path)
        except ImageError as error:
            unreadable.append(f"{name} ({error.reason})")
            continue
        sizes[pixels.shape[1], pixels.shape[0]] += 1
        same[_fingerprint(pixels)].append((name, label))
        labels.append(label)
    lengths = Counter(map(len, labels))
    characters = Counter("".join(labels))
    problems = [
        *_on_files(unreadable, empty),
        *_on_amount(len(labels)),
        *_on_doubles(same.values()),
        *_on_labels(lengths, characters),
        *_on_sizes(sizes),
    ]
    return FolderCheck(len(labels), dict(lengths), dict(characters), dict(sizes), problems)


def _fingerprint(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _some(things: Iterable[str]) -> str:
    things = list(things)
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(things[:NAMED]) + more


def _on_files(unreadable: list[str], empty: list[str]) -> Iterator[str]:
    if unreadable:
        yield f"{len(unreadable)} images cannot be read: {_some(unreadable)}."
    if empty:
        yield f"{len(empty)} images have no label in their names: {_some(empty)}."


def _on_amount(images: int) -> Iterator[str]:
    if images < ENOUGH_IMAGES:
        yield (
            f"Only {images} images; 50 are little, {ENOUGH_IMAGES} are enough for most kinds of "
            "CAPTCHA."
        )


def _on_doubles(same: Iterable[list[tuple[str, str]]]) -> Iterator[str]:
    copies = 0
    for files in same:
        if len({label for _, label in files}) > 1:
            (one, label) = files[0]
            (other, another) = next(file for file in files if file[1] != label)
            names = f"{one} ({label!r}) and {other} ({another!r})"
            yield f"The same picture has different labels: {names}."
        else:
            copies += len(files) - 1
    if copies:
        yield f"{copies} images are exact copies of others; they teach nothing new."


def _on_labels(lengths: Counter[int], characters: Counter[str]) -> Iterator[str]:
    total = sum(lengths.values())
    odd = {length: n for length, n in lengths.items() if n <= max(2, total // 100)}
    if len(lengths) > 1 and odd and len(odd) < len(lengths):
        few = ", ".join(f"{length} characters ({n} labels)" for length, n in sorted(odd.items()))
        yield f"Hardly any label is as long as these: {few}. Typing mistakes?"
    rare = sorted(c for c, n in characters.items() if n < RARE)
    if rare:
        yield (
            f"Characters that occur fewer than {RARE} times can hardly be learned: "
            f"{_some(map(repr, rare))}."
        )
    letters = {c for c in characters if c.isalpha()}
    both = sorted(c for c in letters if c.islower() and c.upper() in letters)
    if both and len(both) < len({c.lower() for c in letters}) / 4:
        yield (
            f"Some letters come in both cases: {_some(f'{c} and {c.upper()}' for c in both)}. "
            "If case does not count, write all labels in one."
        )


def _on_sizes(sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    if len(sizes) > 1:
        common = [f"{w}x{h} ({n} images)" for (w, h), n in sizes.most_common()]
        yield f"The images differ in size: {_some(common)}. All are stretched to one size."
