"""Folders of CAPTCHA images to checked, labelled arrays, and splits that do not leak labels.

Folders are only ever read. TensorFlow is not needed here.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from captcha_helpers.core.charset import Charset
from captcha_helpers.data.images import ImageError, prepare
from captcha_helpers.data.labels import FoundLabels, find_labels
from captcha_helpers.data.processing import Processing

LISTED_PROBLEMS = 10


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images as a model sees them, and what they say.

    Args:
        images: ``(B, H, W, C)`` uint8, 0 to 255; C is 1 (grey) or 3 (RGB).
        labels: B labels.
        names: B file names, relative to the folder.
        skipped: File name and reason of every file that could not be used.

    Example:
        >>> images = np.zeros((2, 48, 144, 1), np.uint8)
        >>> data = LabeledImages(images, labels=["ab", "c"], names=["ab.png", "c.png"])
        >>> data.subset([1]).labels
        ['c']
    """

    images: np.ndarray
    labels: list[str]
    names: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def subset(self, indices: np.ndarray | Sequence[int]) -> LabeledImages:
        """The images at ``indices``, in that order; ``skipped`` stays with the whole.

        Args:
            indices: Integers from 0 to B - 1, or a boolean mask of length B.

        Returns:
            A new set with copies of these images.
        """
        kind = None if len(indices) else np.intp  # an empty list would be one of floats
        rows = np.arange(len(self))[np.asarray(indices, kind)]
        return LabeledImages(
            images=self.images[rows],
            labels=[self.labels[row] for row in rows],
            names=[self.names[row] for row in rows],
        )


def read_labels(folder: str | os.PathLike[str]) -> list[tuple[Path, str]]:
    """List the images of a folder and their labels, without opening the images.

    With a ``labels.csv`` in the folder (or another CSV, TSV, text or JSON file that lists its
    images) the images are those that it lists. Without one, the label is the file name up to its
    first underscore or its ending: ``7xk2.png``, ``7xk2_anything.png``. Where the names cannot be
    labels, other places are taken if there can be no mistake: another part of the names, a text
    file beside each image, the names of sub-folders. What was taken, and what was left out, is said
    in a warning; ``docs/folders.md`` has a table. Hidden files are ignored. Labels have no
    blanks at their ends, and are normalised to Unicode NFC, so that an ``é`` is one character even
    if macOS wrote the file name.

    Args:
        folder: Where to look.

    Returns:
        ``(path, label)`` pairs, sorted by path. A label may be empty and a listed file missing:
        :func:`load_folder` reports both.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If there are no images, if their names are not labels and nothing else is, or if
            ``labels.csv`` is malformed (with the line number) or a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "7xk2_copy.PNG").touch()
        ...     [label for path, label in read_labels(folder)]
        ['7xk2']
    """
    return _told(find_labels(folder))


def load_folder(
    folder: str | os.PathLike[str],
    *,
    height: int,
    width: int,
    charset: Charset | None = None,
    length: int | tuple[int, int] | None = None,
    processing: Processing | None = None,
    channels: int = 1,
    on_error: str = "raise",
    progress: bool | None = None,
) -> LabeledImages:
    """Read a folder of labelled images (see :func:`read_labels`) into one array.

    Args:
        folder: Where the images are. Nothing in it is changed.
        height: Rows of the prepared images.
        width: Columns of the prepared images.
        charset: The characters that labels may have. By default any.
        length: Characters that every label must have, or the fewest and the most. By default any
            number.
        processing: What is done to the images before they get this size; by default nothing.
        channels: 1 for grey images, 3 for RGB.
        on_error: What to do about unreadable images and labels that are empty, have strange
            characters or another length: ``"raise"`` reads on and then raises one error that lists
            them, ``"skip"`` leaves them out, records them in ``skipped`` and warns once.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Returns:
        Images, labels and file names, sorted by file name.

    Raises:
        FileNotFoundError: As :func:`read_labels`.
        ImportError: If the processing takes OpenCV, which is not installed.
        NotADirectoryError: As :func:`read_labels`.
        ValueError: If files cannot be used and ``on_error`` is ``"raise"``, if none can, if
            ``on_error`` or ``length`` is not as above, or as :func:`read_labels`.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (200, 50)).save(Path(folder) / "7xk2.png")
        ...     data = load_folder(folder, height=48, width=144)
        >>> data.images.shape, data.labels, data.names
        ((1, 48, 144, 1), ['7xk2'], ['7xk2.png'])
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    limits = _limits(length)
    pairs = _told(find_labels(folder))
    images, labels, names, skipped = [], [], [], []
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
    for path, label in tqdm(pairs, unit="image", delay=1, disable=hidden):
        name = os.path.relpath(path, folder)
        problem = _label_problem(label, charset, limits)
        if problem:
            skipped.append((name, f"its label {label!r} {problem}"))
            continue
        try:
            images.append(prepare(path, height, width, processing, channels))
        except ImageError as err:
            skipped.append((name, err.reason))
            continue
        labels.append(label)
        names.append(name)
    if skipped:
        where = f"images in {os.fspath(folder)!r}"
        report_skipped(skipped, len(pairs), where, stop=on_error == "raise" or not images)
    return LabeledImages(np.stack(images), labels, names, skipped)


def split_by_label(
    labels: Iterable[str], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Split a data set at random so that no label string is in two parts.

    A model that has seen "7xk2" in training could recite it in the test; here it never gets the
    chance. The split of the labels depends on the set of distinct labels and the seed, not on their
    order.

    Args:
        labels: B labels, repeats allowed.
        fractions: Share of the distinct labels that goes to each part, summing to 1.
        seed: Another seed gives another split.

    Returns:
        For each fraction a shuffled array of indices into ``labels``, int64. Together they hold
        every index from 0 to B - 1 once.

    Raises:
        TypeError: If ``labels`` is a single string.
        ValueError: If the fractions are negative or do not sum to 1, or if there are so few
            distinct labels that a part would be empty.

    Example:
        >>> train, test = split_by_label(["a", "b", "a", "c"], fractions=(0.7, 0.3))
        >>> sorted(np.concatenate([train, test]).tolist())
        [0, 1, 2, 3]
    """
    if isinstance(labels, str):
        raise TypeError(f"expected several labels, got the string {labels!r}; use [{labels!r}]")
    shares = np.asarray(fractions, dtype=float)
    if shares.ndim != 1 or not (shares >= 0).all() or not np.isclose(shares.sum(), 1):
        raise ValueError(f"fractions must be numbers >= 0 that sum to 1, got {fractions!r}")
    distinct, which = np.unique(list(labels), return_inverse=True)
    cuts = np.rint(np.cumsum(shares) * len(distinct)).astype(int)
    if (np.diff(cuts, prepend=0)[shares > 0] == 0).any():
        raise ValueError(
            f"{len(distinct)} distinct labels are too few to split by {fractions!r}: "
            "a part would be empty; use more labels or fewer parts"
        )
    rank = np.random.default_rng(seed).permutation(len(distinct))[which]
    order = np.argsort(rank, kind="stable")
    return tuple(np.split(order, np.searchsorted(rank[order], cuts[:-1])))


def _told(found: FoundLabels) -> list[tuple[Path, str]]:
    """The images and their labels; whatever was noted becomes one warning."""
    if found.notes:
        warnings.warn(" ".join(found.notes), stacklevel=3)
    return found.pairs


def _limits(length: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Fewest and most characters of a label."""
    if length is None:
        return None
    low, high = (length, length) if isinstance(length, (int, np.integer)) else length
    if not 1 <= low <= high:
        raise ValueError(
            "length must be a number of characters from 1, or the fewest and the most as (4, 6), "
            f"got {length!r}"
        )
    return low, high


def _label_problem(
    label: str, charset: Charset | None, limits: tuple[int, int] | None
) -> str | None:
    """What is wrong with a label, as the end of a sentence about it."""
    problem = None if label else "is empty"
    if charset is not None:
        problem = charset.problem(label)
    if problem or limits is None or limits[0] <= len(label) <= limits[1]:
        return problem
    low, high = limits
    expected = f"{low}" if low == high else f"{low} to {high}"
    return f"is {len(label)} characters long, expected {expected}"


def report_skipped(
    skipped: list[tuple[str, str]], total: int, where: str, *, stop: bool, stacklevel: int = 3
) -> None:
    """One error, or one warning, about all images that cannot be used.

    Args:
        skipped: Name and reason of each.
        total: How many images there are.
        where: What they are: "images in 'my_images'".
        stop: Whether it is an error.
        stacklevel: As for `warnings.warn`: whose line the warning names.

    Raises:
        ValueError: If `stop`.
    """
    summary = f"{len(skipped)} of {total} {where} cannot be used"
    lines = [f"  {name}: {reason}" for name, reason in skipped[:LISTED_PROBLEMS]]
    if len(skipped) > LISTED_PROBLEMS:
        lines.append(f"  ... and {len(skipped) - LISTED_PROBLEMS} more")
    if stop:
        advice = "repair or remove them, or go on without them by on_error='skip':"
        raise ValueError("\n".join([f"{summary}; {advice}", *lines]))
    warnings.warn(
        f"{summary} and were skipped, the first is {skipped[0][0]}; .skipped lists the reasons",
        stacklevel=stacklevel,
    )
