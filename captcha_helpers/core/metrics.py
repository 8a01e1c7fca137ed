"""How well strings were read: exact match, character error rate, and how sure we are of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein


def _check(labels: Sequence[str], predictions: Sequence[str]) -> None:
    for name, values in (("labels", labels), ("predictions", predictions)):
        if isinstance(values, str):
            raise TypeError(f"{name} must be a list of strings, received the one string {values!r}")
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} labels but {len(predictions)} predictions")
    if not labels:
        raise ValueError("nothing to measure: the list of labels is empty")


def exact_match(labels: Sequence[str], predictions: Sequence[str]) -> float:
    """Share of strings that were read without any error.

    Args:
        labels: What is written, B strings.
        predictions: What was read, B strings.

    Returns:
        A share, 0–1.

    Raises:
        ValueError: If the lists are empty or of different lengths.

    Example:
        >>> exact_match(["5335", "2084"], ["535", "2084"])
        0.5
    """
    _check(labels, predictions)
    return sum(a == b for a, b in zip(labels, predictions, strict=True)) / len(labels)


def cer(labels: Sequence[str], predictions: Sequence[str]) -> float:
    """Character error rate: edits needed to correct the readings, per character of the labels.

    Edits (insertions, deletions, substitutions) are summed over all strings before dividing, so a
    long string counts for more than a short one. It can exceed 1 if far too much was read.

    Args:
        labels: What is written, B strings, not all empty.
        predictions: What was read, B strings.

    Returns:
        A rate, 0 or above.

    Raises:
        ValueError: If the lists are empty, of different lengths, or hold no character.

    Example:
        >>> cer(["5335", "2084"], ["535", "2084"])  # one deletion in eight characters
        0.125
    """
    _check(labels, predictions)
    characters = sum(map(len, labels))
    if characters == 0:
        raise ValueError("the character error rate needs at least one character in the labels")
    edits = sum(Levenshtein.distance(a, b) for a, b in zip(labels, predictions, strict=True))
    return edits / characters


def wilson_interval(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Confidence interval of a share (by default 95 %), sound even at 0 % and 100 %.

    Source: E. B. Wilson, *Probable inference*, JASA 22 (1927).

    Args:
        successes: How many of n went well.
        n: How many were tried.
        z: Standard normal quantile; 1.959964 gives 95 %.

    Returns:
        The lower and the upper end, each in 0–1.

    Raises:
        ValueError: If ``n`` is not positive or ``successes`` is not in 0–n.

    Example:
        >>> [round(end, 3) for end in wilson_interval(98, 100)]
        [0.93, 0.994]
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n and n > 0, received {successes} of {n}")
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half) / scale  # exact ends, free of rounding
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def per_position_accuracy(labels: Sequence[str], predictions: Sequence[str]) -> NDArray[np.float64]:
    """Share of right characters at each position, counted from the left.

    A character that was left out shifts all that follow, so use it to find where a model errs and
    `cer` to say how much.

    Args:
        labels: What is written, B strings, the longest of L characters.
        predictions: What was read, B strings.

    Returns:
        ``(L,)`` shares, 0–1; position ``i`` counts only labels with more than ``i`` characters.

    Raises:
        ValueError: If the lists are empty or of different lengths.

    Example:
        >>> per_position_accuracy(["208", "2084"], ["200", "2084"])
        array([1. , 1. , 0.5, 1. ])
    """
    _check(labels, predictions)
    longest = max(map(len, labels))
    right, total = np.zeros(longest), np.zeros(longest)
    for label, prediction in zip(labels, predictions, strict=True):
        total[: len(label)] += 1
        for i, (a, b) in enumerate(zip(label, prediction, strict=False)):
            right[i] += a == b
    return right / total


def confusions(labels: Sequence[str], predictions: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count which character was taken for which, after lining each pair of strings up.

    Args:
        labels: What is written, B strings.
        predictions: What was read, B strings.

    Returns:
        ``{(written, read): count}`` of the errors only. ``""`` as written is a character read that
        is not there; ``""`` as read is one that was missed.

    Raises:
        ValueError: If the lists are empty or of different lengths.

    Example:
        >>> confusions(["5335", "2084"], ["535", "2O84"])
        Counter({('3', ''): 1, ('0', 'O'): 1})
    """
    _check(labels, predictions)
    counts: Counter[tuple[str, str]] = Counter()
    for label, prediction in zip(labels, predictions, strict=True):
        for edit in Levenshtein.editops(label, prediction):
            written = "" if edit.tag == "insert" else label[edit.src_pos]
            read = "" if edit.tag == "delete" else prediction[edit.dest_pos]
            counts[written, read] += 1
    return counts


@dataclass(frozen=True)
class Score:
    """What we report of a reader; `score` makes it.

    Attributes:
        n: Number of strings.
        exact_match: Share of strings read without error, 0–1.
        exact_match_ci95: 95 % Wilson interval of it.
        exact_match_ignore_case: The same where ``a`` and ``A`` count as equal.
        cer: Character error rate, 0 or above.
    """

    n: int
    exact_match: float
    exact_match_ci95: tuple[float, float]
    exact_match_ignore_case: float
    cer: float

    def __str__(self) -> str:
        low, high = self.exact_match_ci95
        return (
            f"exact match {self.exact_match:.2%} (95 % interval {low:.2%} to {high:.2%}), "
            f"CER {self.cer:.2%}, n = {self.n}"
        )

    def as_dict(self) -> dict[str, float | int | tuple[float, float]]:
        """Return the fields as plain numbers, for JSON."""
        return asdict(self)


def score(labels: Sequence[str], predictions: Sequence[str]) -> Score:
    """Measure a reader on a labelled set.

    Args:
        labels: What is written, B strings.
        predictions: What was read, B strings.

    Returns:
        The `Score`; print it for one line of text.

    Raises:
        ValueError: If the lists are empty, of different lengths, or hold no character.

    Example:
        >>> print(score(["5335", "2084"], ["535", "2084"]))
        exact match 50.00% (95 % interval 9.45% to 90.55%), CER 12.50%, n = 2
    """
    _check(labels, predictions)
    right = sum(a == b for a, b in zip(labels, predictions, strict=True))
    return Score(
        n=len(labels),
        exact_match=right / len(labels),
        exact_match_ci95=wilson_interval(right, len(labels)),
        exact_match_ignore_case=exact_match(
            [label.casefold() for label in labels], [text.casefold() for text in predictions]
        ),
        cer=cer(labels, predictions),
    )
