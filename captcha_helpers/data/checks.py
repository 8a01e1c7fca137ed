"""Look at a folder of labelled images before training on it, and say in plain words what is odd."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from captcha_helpers.core.charset import is_chinese, shortened
from captcha_helpers.data.examples import NO_LABEL, Example, decoded, examples_of
from captcha_helpers.data.images import ImageSource
from captcha_helpers.data.names import FEWEST, counted, kind_of

ENOUGH_IMAGES = 200
RARE = 3
NAMED = 5  # files or characters that a message lists
MOST = 0.8  # of the labels, or images, of which something is true that is true of all
EVEN = 8  # grey values that the pixels of a blank image may differ by: JPEG is not exact
TWO_ROWS = (
    "The text seems to stand in two rows. These readers read one row from left to right: cut each "
    "image into its rows, with a label each."
)
LONG_PREFIX = 3  # characters that all labels begin with, by no chance
SEPARATORS = " -.()[]"


@dataclass(frozen=True)
class FolderCheck:
    """What is in a folder of labelled images.

    Attributes:
        images: Number of images that can be read.
        lengths: Label length and how many labels have it.
        characters: Character and how often it occurs.
        sizes: (width, height) in pixels and how many images have it.
        problems: Sentences on what is odd, on labels that were found where one would not look
            first, and on what was left out; empty if there is nothing of the kind.
    """

    images: int
    lengths: dict[int, int]
    characters: dict[str, int]
    sizes: dict[tuple[int, int], int]
    problems: list[str]

    def __str__(self) -> str:
        lengths = ", ".join(map(str, sorted(self.lengths)))
        charset = shortened("".join(sorted(self.characters)))
        lines = [
            f"{self.images} images, labels of {lengths} characters, "
            f"{len(self.characters)} different ones: {charset}"
        ]
        if not self.images:
            lines = ["no image that has a label and can be read"]
        return "\n".join(lines + [f"- {said}" for said in self.problems])


def check_folder(folder: str | os.PathLike[str], *, progress: bool | None = None) -> FolderCheck:
    """Read every image and label of a folder and report what may hurt a training.

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
        ...     Image.linear_gradient("L").save(Path(folder) / "7x.png")
        ...     Image.linear_gradient("L").save(Path(folder) / "7y.png")
        ...     print(check_folder(folder))
        2 images, labels of 2 characters, 3 different ones: 7xy
        - Only 2 images; 50 is a minimum, 200 are enough for most kinds of CAPTCHA.
        - The same picture has different labels: 7x.png ('7x') and 7y.png ('7y').
        - Characters that occur fewer than 3 times can hardly be learned: '7', 'x', 'y'.
    """
    skipped: list[tuple[str, str]] = []
    inspection = Inspection()
    examples, notes = examples_of(folder)
    for _ in inspection.watch(decoded(examples, skipped, progress=progress)):
        pass
    return inspection.result(skipped, notes)


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
        self._blank: list[str] = []
        self._animated: list[str] = []
        self._two_rows = 0

    def watch(
        self, pictures: Iterable[tuple[Example, np.ndarray]]
    ) -> Iterator[tuple[Example, np.ndarray]]:
        """Pass examples and their pixels on, as they are."""
        for example, pixels in pictures:
            self._labels.append(example.label)
            self._sizes[pixels.shape[1], pixels.shape[0]] += 1
            if int(np.ptp(pixels, axis=(0, 1)).max()) <= EVEN:
                self._blank.append(example.name)
            else:  # of two blank images nobody knows whether they were the same
                self._same[fingerprint(pixels)].append((example.name, example.label))
                self._two_rows += has_two_rows(pixels)
            if _is_animated(example.image):
                self._animated.append(example.name)
            yield example, pixels

    def result(self, skipped: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> FolderCheck:
        """What was found, given the names and reasons of what could not be decoded, and notes."""
        lengths = Counter(map(len, self._labels))
        characters = Counter("".join(self._labels))
        problems = [
            *notes,
            *_on_files(skipped),
            *_on_amount(len(self._labels)),
            *_on_pictures(self._blank, self._animated, self._two_rows, len(self._labels)),
            *_on_doubles(self._same.values()),
            *_on_labels(lengths, characters),
            *doubts(self._labels),
            *_on_sizes(self._sizes),
        ]
        sizes = dict(self._sizes)
        return FolderCheck(len(self._labels), dict(lengths), dict(characters), sizes, problems)


def doubts(labels: Sequence[str]) -> Iterator[str]:
    """Say so if labels look like something else than what images say.

    They may count the files, be times or hashes, have a word or a sign in common that belongs to
    the files, or have lost the zeros in front.

    Example:
        >>> list(doubts([f"{number:04}" for number in range(50)]))[0][:40]
        'The labels are the numbers 0000 to 0049 '
        >>> list(doubts(["7xk2", "9mn4"] * 20))
        []
    """
    if len(labels) < FEWEST:
        return
    kind = kind_of(labels)
    if kind == "a counter":
        numbers = sorted((label for label in labels if label.isdecimal()), key=int)
        yield (
            f"The labels are the numbers {numbers[0]} to {numbers[-1]} in a row. If they count the "
            "files and are not what the images say, put what they say into the file names."
        )
    elif kind is not None and len(set(labels)) > 1:
        yield (
            f"Each label looks like {kind} ({_some(labels)}). If the images do not say that, put "
            "what they say into the file names."
        )
    yield from _in_common(labels)
    yield from _lost_zeros(labels)


def _in_common(labels: Sequence[str]) -> Iterator[str]:
    same = [len(set(chars)) == 1 for chars in zip(*labels, strict=False)]
    prefix = labels[0][: [*same, False].index(False)]
    if len(prefix) >= LONG_PREFIX and len(set(labels)) > 1:
        yield f"All labels begin with {prefix!r}. If the images do not say that, leave it out."
        return
    odd = Counter(char for label in labels for char in set(label) if char in SEPARATORS)
    common = [repr(char) for char, count in odd.items() if count > MOST * len(labels)]
    if common:
        yield (
            f"Nearly all labels have {_some(common)} in them. If only a part of the file name is "
            "what the image says, put that part first and an underscore behind it."
        )


def _lost_zeros(labels: Sequence[str]) -> Iterator[str]:
    longest = max(map(len, labels))
    shorter = [label for label in labels if len(label) < longest]
    digits = all(label.isascii() and label.isdecimal() for label in labels)
    if digits and 0 < len(shorter) < len(labels) / 4 and not any(s[0] == "0" for s in labels):
        yield (
            f"{counted(len(shorter), 'label')} shorter than {longest} digits ({_some(shorter)}), "
            "and none that begins with 0: a spreadsheet may have removed the zeros in front."
        )


def has_two_rows(pixels: np.ndarray) -> bool:
    """Whether there are two rows of ink with hardly any between, each as wide as half the image.

    Args:
        pixels: ``(H, W, 3)`` uint8.

    Example:
        >>> page = np.full((60, 100, 3), 255, np.uint8)
        >>> page[5:25, ::2] = 0
        >>> one = has_two_rows(page)
        >>> page[35:55, ::2] = 0
        >>> one, has_two_rows(page)
        (False, True)
    """
    down, across = (
        max(1, side // most) for side, most in zip(pixels.shape[:2], (200, 400), strict=True)
    )
    grey = pixels[::down, ::across].mean(axis=2)
    distance = np.abs(grey - np.median(grey))
    ink = distance > distance.max() / 2
    per_row = ink.sum(axis=1)
    full = np.concatenate([[False], per_row > per_row.max() / 5, [False]])
    edges = np.flatnonzero(np.diff(full.astype(np.int8)))
    bands = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= len(ink) / 5]
    letters = per_row.max() < 0.9 * ink.shape[1]  # a gradient has rows of ink alone
    return (
        bool(letters)
        and len(bands) == 2
        and all(_is_wide(ink[top:bottom]) for top, bottom in bands)
    )


def _is_wide(band: np.ndarray) -> bool:
    columns = np.flatnonzero(band.any(axis=0))
    return bool(columns[-1] - columns[0] >= band.shape[1] / 2)


def _is_animated(image: ImageSource) -> bool:
    """Whether a file has more frames than one; only files of kinds that may have are opened."""
    if not isinstance(image, (str, os.PathLike)):
        return False
    if os.path.splitext(image)[1].lower() not in (".gif", ".webp", ".apng"):
        return False
    try:
        with Image.open(image) as picture:
            return bool(getattr(picture, "is_animated", False))
    except (OSError, ValueError, SyntaxError):  # it has been decoded, so it is no longer there
        return False


def fingerprint(pixels: np.ndarray) -> bytes:
    """What two images have in common if all of their pixels are equal, and only then.

    Args:
        pixels: ``(H, W, 3)`` uint8.

    Example:
        >>> page = np.zeros((20, 60, 3), np.uint8)
        >>> fingerprint(page) == fingerprint(page.copy())
        True
    """
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _some(things: Iterable[str]) -> str:
    things = list(things)
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(things[:NAMED]) + more


def _on_files(skipped: Sequence[tuple[str, str]]) -> Iterator[str]:
    unreadable = [f"{name} ({reason})" for name, reason in skipped if reason != NO_LABEL]
    empty = [name for name, reason in skipped if reason == NO_LABEL]
    if unreadable:
        yield f"{counted(len(unreadable), 'image')} cannot be read: {_some(unreadable)}."
    if empty:
        yield f"{counted(len(empty), 'image')} without a label in the name: {_some(empty)}."


def _on_amount(images: int) -> Iterator[str]:
    if images < ENOUGH_IMAGES:
        yield (
            f"Only {counted(images, 'image')}; 50 is a minimum, {ENOUGH_IMAGES} are enough for "
            "most kinds of CAPTCHA."
        )


def _on_pictures(
    blank: Sequence[str], animated: Sequence[str], two_rows: int, images: int
) -> Iterator[str]:
    if blank:
        yield (
            f"{counted(len(blank), 'image')} of one colour only, with nothing to read: "
            f"{_some(blank)}. An animation may begin with an empty frame, and transparent parts "
            "become white, as the letters may be; save such images as they look."
        )
    if animated:
        yield (
            f"{counted(len(animated), 'image')} with several frames, of which one is read: "
            f"{_some(animated)}. If the first does not show the text, give "
            "train and predict --frame most_ink."
        )
    if two_rows > MOST * images:
        yield TWO_ROWS


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
        are = (
            "image is an exact copy of another"
            if copies == 1
            else "images are exact copies of others"
        )
        yield f"{copies} {are}; copies teach nothing new."


def _on_labels(lengths: Counter[int], characters: Counter[str]) -> Iterator[str]:
    total = sum(lengths.values())
    odd = {length: n for length, n in lengths.items() if n <= max(2, total // 100)}
    if len(lengths) > 1 and odd and len(odd) < len(lengths):
        few = ", ".join(
            f"{length} characters ({counted(n, 'label')})" for length, n in sorted(odd.items())
        )
        yield f"Hardly any label is as long as these: {few}. Typing mistakes?"
    # Those of Chinese, thousands of which are known, come up seldom in any folder.
    rare = sorted(c for c, n in characters.items() if n < RARE and not is_chinese(c))
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
        common = [f"{w}x{h} ({counted(n, 'image')})" for (w, h), n in sizes.most_common()]
        yield f"The images differ in size: {_some(common)}. All are stretched to one size."
