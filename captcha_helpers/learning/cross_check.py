"""Which labels of a folder are probably wrong, by readers that were trained on the others.

No reader has to know such images already: the folder is dealt into parts, and the labels of each
are judged by a reader that has learned from the rest (cross-validation, as in Northcutt et al.,
*Confident Learning: Estimating Uncertainty in Dataset Labels*, 2021).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from captcha_helpers.core.output import say
from captcha_helpers.data.labels import find_labels
from captcha_helpers.learning.recipe import train
from captcha_helpers.reading.label_errors import (
    DoubtfulLabel,
    contradictions,
    doubtful_labels,
    most_doubtful_first,
)


def cross_check(
    folder: str | os.PathLike[str],
    *,
    folds: int = 2,
    minutes: float = 2.0,
    epochs: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> list[DoubtfulLabel]:
    """List the labels of a folder that readers doubt which have not learned from them.

    As `captcha_helpers.find_label_errors`, for images that no reader knows yet. Ctrl-C ends it.

    Args:
        folder: Labelled images, as `captcha_helpers.read_labels` finds them.
        folds: Into how many parts the images are dealt, which is the number of trainings. With
            more of them, each reader learns from more images.
        minutes: Time of each training.
        epochs: Passes over the images of each training, instead of a time.
        seed: Another seed deals them otherwise.
        progress: As for `captcha_helpers.train`.

    Returns:
        The images whose label is not what is read, and those of the same picture with different
        labels, the most doubtful first.

    Raises:
        KeyboardInterrupt: If somebody ends it; what half a training has learned proves nothing.
        NotADirectoryError: If there is no such folder.
        ValueError: If `folds` is below 2, or there are too few labels to train with.
    """
    if folds < 2:
        raise ValueError(f"folds is {folds}; it takes 2 at least, to judge and to learn from")
    pairs = [(path, label) for path, label in find_labels(folder).pairs if label]
    contradicted = contradictions(pairs)
    parts, found = deal([label for _, label in pairs], folds, seed), list[DoubtfulLabel]()
    for part in range(folds):
        judged = [pair for pair, its in zip(pairs, parts, strict=True) if its == part]
        others = [pair for pair, its in zip(pairs, parts, strict=True) if its != part]
        if progress is not False:
            say(
                f"training {part + 1} of {folds}: {len(others)} images to learn from, to judge "
                f"the labels of {len(judged)}"
            )
        paths, labels = [path for path, _ in others], [label for _, label in others]
        reader = train(paths, labels, minutes=minutes, epochs=epochs, seed=seed, progress=progress)
        if not reader.spec.training["complete"]:
            raise KeyboardInterrupt
        found += doubtful_labels(judged, reader, contradicted)
    return most_doubtful_first(found)


def deal(labels: Sequence[str], parts: int, seed: int = 0) -> list[int]:
    """Deal labels into parts of about the same size, so that each has its share of rare characters.

    A reader can't judge a character that it has never seen. So the label with the rarest one is
    dealt first, to the part that has fewest of it (iterative stratification: Sechidis et al., *On
    the Stratification of Multi-Label Data*, 2011, with the rarity of all labels instead of those
    that are left).

    Args:
        labels: What the images say.
        parts: How many parts.
        seed: Another seed deals them otherwise.

    Returns:
        The part of each label, from 0.

    Example:
        >>> parts = deal(["ab", "aa", "ba", "az", "za", "aa"], 2)
        >>> sorted(parts), parts[3] != parts[4]
        ([0, 0, 0, 1, 1, 1], True)
    """
    counts = Counter(char for label in labels for char in set(label))
    rarest = [min(sorted(label), key=counts.__getitem__) for label in labels]
    shuffled = np.random.default_rng(seed).permutation(len(labels)).tolist()
    sizes, holds, dealt = [0] * parts, [Counter[str]() for _ in range(parts)], [0] * len(labels)
    for row in sorted(shuffled, key=lambda row: counts[rarest[row]]):
        part = min(range(parts), key=lambda part: (holds[part][rarest[row]], sizes[part]))
        dealt[row] = part
        sizes[part] += 1
        holds[part].update(set(labels[row]))
    return dealt
