"""Look at a folder of labelled images before training on it, and say in plain words what is odd."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from captcha_helpers.data.examples import NO_LABEL, Example, decoded, examples_of

ENOUGH_IMAGES = 200
RARE = 3
NAMED = 5  # files or characters that a message lists
COUNTED = 10  # so few numbers in a row may be chance
DENSE = 1.1  # numbers in a row may have gaps: so much longer the row may be


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
    skipped: list[tuple[str, str]] = []
    inspection = Inspection()
    for _ in inspection.watch(decoded(examples_of(folder), skipped, progress=progress)):
        pass
    return inspection.result(skipped)


class Inspection:
    """Look at decoded images on their way to somewhere else, and tell in the end what is odd.

    Example:
        >>> inspection = Inspection()
        >>> pictures = [(Example("a.png", "7x", b""), np.zeros((20, 60, 3), np.uint8))]
        >>> list(inspection.watch(pictures)) == pictures, inspection.result([]).lengths
        (True, {2: 1})
    """

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._same: dict[bytes, list[tuple[str, str]]] = defaultdict(list)

    def watch(
        self, pictures: Iterable[tuple[Example, np.ndarray]]
    ) -> Iterator[tuple[Example, np.ndarray]]:
        """Pass examples and their pixels on, as they are."""
        for example, pixels in pictures:
            self._labels.append(example.label)
            self._sizes[pixels.shape[1], pixels.shape[0]] += 1
            self._same[_fingerprint(pixels)].append((example.name, example.label))
            yield example, pixels

    def result(self, skipped: Sequence[tuple[str, str]]) -> FolderCheck:
        """What was found, given the names and reasons of what could not be decoded."""
        lengths = Counter(map(len, self._labels))
        characters = Counter("".join(self._labels))
        problems = [
            *_on_files(skipped),
            *_on_amount(len(self._labels)),
            *_on_doubles(self._same.values()),
            *_on_labels(lengths, characters),
            *counters(self._labels),
            *_on_sizes(self._sizes),
        ]
        sizes = dict(self._sizes)
        return FolderCheck(len(self._labels), dict(lengths), dict(characters), sizes, problems)


def counters(labels: Sequence[str]) -> Iterator[str]:
    """Say so if labels are numbers in a row, as files are counted: ``0001.png``, ``0002.png``.

    Example:
        >>> list(counters([f"{number:04}" for number in range(50)]))[0][:40]
        'The labels are the numbers 0000 to 0049 '
    """
    if not all(label.isascii() and label.isdecimal() for label in labels):
        return
    numbers, width = set(map(int, labels)), max(map(len, labels), default=0)
    if not COUNTED <= len(numbers) == len(labels) < 10**width:
        return
    if max(numbers) - min(numbers) < DENSE * len(numbers):
        first, last = min(labels, key=int), max(labels, key=int)
        yield (
            f"The labels are the numbers {first} to {last} in a row. If they count the files and "
            "are not what the images say, put what they say into the file names."
        )


def _fingerprint(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _some(things: Iterable[str]) -> str:
    things = list(things)
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(things[:NAMED]) + more


def _on_files(skipped: Sequence[tuple[str, str]]) -> Iterator[str]:
    unreadable = [f"{name} ({reason})" for name, reason in skipped if reason != NO_LABEL]
    empty = [name for name, reason in skipped if reason == NO_LABEL]
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
