"""Which labels of a folder are probably wrong: a reader doubts them, or a copy has another label.

Confident learning (Northcutt et al., *Confident Learning: Estimating Uncertainty in Dataset
Labels*, 2021) asks a model that has not learned the label in question. So should one here: the
general reader, or one that was trained on other images.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import OSA

from captcha_helpers.data.checks import fingerprint
from captcha_helpers.data.images import ImageError, load_image
from captcha_helpers.data.labels import find_labels
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.model_file import read_spec
from captcha_helpers.reading.recognizer import DEFAULT_MODEL, Recognizer, load
from captcha_helpers.reading.shipped import model_path

_BATCH = 64


class DoubtfulLabel(NamedTuple):
    """A label that is not what a reader reads, or not that of the same picture in another file.

    Attributes:
        path: The image.
        label: What the folder says.
        reading: What the reader says.
        probability: How likely the label is beside the reading, 0–1: 0.001 if the reading is a
            thousand times as likely.
        reason: How the two differ, or which file has the same picture and another label.
    """

    path: Path
    label: str
    reading: Reading
    probability: float
    reason: str


def find_label_errors(
    folder: str | os.PathLike[str], reader: Recognizer | str | os.PathLike[str] = DEFAULT_MODEL
) -> list[DoubtfulLabel]:
    """List the labels of a folder that a reader doubts, the most doubtful first.

    Not each of them is wrong: where the reader is, the label may be right. Look at the first ones.

    Args:
        folder: Labelled images, as `captcha_helpers.read_labels` finds them.
        reader: A reader that has not learned from these labels, or a model that
            `captcha_helpers.load` opens. Of the general reader only the characters and lengths of
            the labels are allowed.

    Returns:
        The images whose label is not what the reader reads, and those of the same picture with
        different labels.

    Raises:
        NotADirectoryError: If there is no such folder.
        ValueError: If there are no labels, or the model has a head per position.

    Example:
        >>> images = Path(__file__).parents[2] / "captcha_images" / "stars"
        >>> find_label_errors(images, "stars")
        []
    """
    pairs = find_labels(folder).pairs
    if reader == DEFAULT_MODEL:
        labels = [label for _, label in pairs if label]
        lengths = [len(label) for label in labels]
        known = set("".join(labels)).intersection(read_spec(model_path(DEFAULT_MODEL)).charset)
        charset = "".join(sorted(known)) or None
        reader = load(DEFAULT_MODEL, charset=charset, length=(min(lengths), max(lengths)))
    elif not isinstance(reader, Recognizer):
        reader = load(reader)
    contradicted = contradictions(pairs, reader.decoder.as_written)
    return most_doubtful_first(doubtful_labels(pairs, reader, contradicted))


def contradictions(
    pairs: Sequence[tuple[Path, str]], written: Callable[[str], str] = str
) -> dict[Path, str]:
    """Find pictures that are there several times, with different labels: one at least is wrong.

    Args:
        pairs: Images and their labels.
        written: What makes labels alike that are no contradiction, `Decoder.as_written` of a reader
            that ignores case, say.

    Returns:
        For each of these images which other one has another label, in words. Images of one colour
        and those that cannot be read are left out.
    """
    same: dict[bytes, list[tuple[Path, str, str]]] = defaultdict(list)
    for path, label in pairs:
        try:
            pixels = load_image(path, strict=False, allow_blank=False)
        except ImageError:
            continue  # `check_folder` names it
        same[fingerprint(pixels)].append((path, label, written(label)))
    found = {}
    for files in same.values():
        for path, _, alike in files:
            other = next((one for one in files if one[2] != alike), None)
            if other is not None:
                found[path] = f"the same picture as {other[0].name}, labelled {other[1]!r}"
    return found


def doubtful_labels(
    pairs: Sequence[tuple[Path, str]], reader: Recognizer, contradicted: Mapping[Path, str]
) -> list[DoubtfulLabel]:
    """List the labels that a reader doubts, in their order.

    Args:
        pairs: Images and their labels.
        reader: One that has not learned from them.
        contradicted: What `contradictions` found: doubtful, whatever the reader reads.

    Returns:
        The images whose label is not what it reads, and the contradicted ones. Those that cannot be
        read are left out.
    """
    found = []
    for first in range(0, len(pairs), _BATCH):
        found += _doubtful(pairs[first : first + _BATCH], reader, contradicted)
    return found


def most_doubtful_first(found: Sequence[DoubtfulLabel]) -> list[DoubtfulLabel]:
    """Sort them by how unlikely the label is; of equally unlikely ones by how sure the reading."""
    return sorted(found, key=lambda one: (one.probability, -one.reading.confidence))


def _doubtful(
    pairs: Sequence[tuple[Path, str]], reader: Recognizer, contradicted: Mapping[Path, str]
) -> list[DoubtfulLabel]:
    images, usable = [], []
    for path, label in pairs:
        try:
            images.append(reader.spec.prepare(path, strict=False))
        except ImageError:
            continue  # `check_folder` names it
        usable.append((path, label))
    if not images:
        return []
    logits = reader.run(np.stack(images))
    readings = reader.decoder.read(logits)
    chances = reader.decoder.probabilities(logits, [label for _, label in usable])
    return [
        DoubtfulLabel(
            path,
            label,
            reading,
            float(chance / max(reading.confidence, 1e-300)),
            contradicted.get(path) or difference(label, reading.text),
        )
        for (path, label), reading, chance in zip(usable, readings, chances, strict=True)
        if path in contradicted or reading.text != reader.decoder.as_written(label)
    ]


def difference(label: str, text: str) -> str:
    """Say in a few words how a label differs from a reading.

    Example:
        >>> difference("7xk2", "7xkZ"), difference("7xk2", "7kx2"), difference("7xk2", "7XK2")
        ('2 is read as Z', 'x and k are exchanged', 'upper and lower case')
    """
    if label.casefold() == text.casefold():
        return "upper and lower case"
    if len(label) == len(text):
        places = [i for i in range(len(label)) if label[i] != text[i]]
        first = places[0]
        if len(places) == 1:
            return f"{label[first]} is read as {text[first]}"
        if len(places) == 2 and sorted(label) == sorted(text):
            return f"{label[first]} and {label[places[1]]} are exchanged"
    steps = OSA.distance(label, text)
    if len(label) != len(text) and steps == abs(len(label) - len(text)):
        return f"{steps} {'more' if len(text) < len(label) else 'fewer'} than is read"
    return f"{steps} of {max(len(label), len(text))} characters differ"
