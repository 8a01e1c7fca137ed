"""Is a reader that says "90 % sure" wrong once in ten times? Measure it; one number corrects it.

A network that was trained until it rarely errs tends to be overconfident. *Temperature
scaling* divides all logits by one number T before they become probabilities: above 1 makes the
reader less confident, below 1 more confident, and the best class of each frame stays the best.

Source: Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captcha_helpers.core.ctc import length_probability, string_probability

COLDEST, HOTTEST = 0.1, 10.0
_ACCURACY = 1e-3  # of the temperature's logarithm
_GOLDEN = (5**0.5 - 1) / 2
_SMALLEST = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Bin:
    """Readings of about the same confidence.

    Attributes:
        count: How many there are.
        confidence: The mean of their confidences, 0–1.
        right: The share of them that is right, 0–1.
    """

    count: int
    confidence: float
    right: float


def fit_temperature(
    logits: ArrayLike,
    indices: ArrayLike,
    right: ArrayLike,
    *,
    length: tuple[int, int] | None = None,
) -> float:
    """Find the temperature at which a reader's confidences fit best to what it read right.

    The confidence of a reading is the probability of its string, summed over all CTC paths
    (:func:`core.ctc.string_probability`). It is a claim, "right" or "wrong", and T is
    what makes these claims likeliest (the least mean log loss). Use images that the reader has not
    learned from, a hundred or more, some of them read wrongly.

    Guo et al. take the loss of the right class. For strings that is the CTC loss of the labels; it
    asks where the probability of the wrong readings goes, and we only ask whether to believe.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        indices: ``(B, L)`` class indices of what was read, padded with 0; ``Charset.encode`` makes
            them from strings.
        right: ``(B,)`` bool: whether that is what is written.
        length: Fewest and most characters of a string, if that is known. The confidence is then the
            probability among the strings of such a length.

    Returns:
        The temperature, from `COLDEST` to `HOTTEST`. Divide logits by it:
        ``string_probability(logits / temperature, indices)``.

    Raises:
        ValueError: If nothing was read wrongly or nothing right (no temperature is best then), or
            the three do not fit together.

    Example:
        >>> logits = np.tile(np.log([[[0.01, 0.99]]]), (10, 1, 1))  # 99 % sure each time
        >>> right = [True] * 8 + [False] * 2  # and right in 80 %
        >>> temperature = fit_temperature(logits, np.ones((10, 1), int), right)
        >>> float(string_probability(logits / temperature, np.ones((10, 1), int))[0].round(2))
        0.8
    """
    logits, right = np.asarray(logits, "float64"), np.asarray(right, bool)
    if right.shape != logits.shape[:1]:
        raise ValueError(f"received {len(logits)} readings, but right has the shape {right.shape}")
    if right.all() or not right.any():
        raise ValueError(
            f"{right.sum()} of {len(right)} readings are right: to fit a temperature, use images "
            "of which some are read rightly and some wrongly"
        )

    def loss(exponent: float) -> float:
        cooled = logits / np.exp(exponent)
        claimed = string_probability(cooled, indices)
        if length is not None:
            claimed = claimed / length_probability(cooled, length)
        return _log_loss(claimed, right)

    return float(np.exp(_least(loss, np.log(COLDEST), np.log(HOTTEST))))


def reliability(confidences: ArrayLike, right: ArrayLike, bins: int = 10) -> list[Bin]:
    """Compare what a reader claims with what comes true, for readings that are about as sure.

    Args:
        confidences: ``(B,)`` numbers, 0–1.
        right: ``(B,)`` bool: whether that reading is right.
        bins: Into how many equal parts 0–1 is cut.

    Returns:
        The parts that are not empty, in order. A confidence on a border counts to the part above.

    Raises:
        ValueError: If there is no reading, the two are not as above, or `bins` is below 1.

    Example:
        >>> [(part.count, round(part.confidence, 2), part.right)
        ...  for part in reliability([0.9, 0.96, 0.2], [True, False, False], bins=2)]
        [(1, 0.2, 0.0), (2, 0.93, 0.5)]
    """
    confidences, right = np.asarray(confidences, float), np.asarray(right, bool)
    if confidences.ndim != 1 or confidences.shape != right.shape or not confidences.size:
        raise ValueError(
            f"received confidences {confidences.shape} and right {right.shape}; give one of each "
            "for every reading, and at least one"
        )
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError(
            f"confidences lie between 0 and 1, received {confidences.min()} to {confidences.max()}"
        )
    if bins < 1:
        raise ValueError(f"bins must be at least 1, received {bins}")
    part_of = np.minimum((confidences * bins).astype(int), bins - 1)
    return [
        Bin(int(here.sum()), float(confidences[here].mean()), float(right[here].mean()))
        for here in (part_of == part for part in np.unique(part_of))
    ]


def expected_calibration_error(confidences: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """How far claims and truth lie apart on average: 0 is a reader that knows what it knows.

    Args:
        confidences: ``(B,)`` numbers, 0–1.
        right: ``(B,)`` bool: whether that reading is right.
        bins: Into how many equal parts 0–1 is cut.

    Returns:
        The mean of |confidence − share right| over the parts, each weighted by its readings; 0–1.

    Raises:
        ValueError: As `reliability`.

    Example:
        >>> round(expected_calibration_error([0.9, 0.96, 0.2], [True, False, False], bins=2), 3)
        0.353
    """
    parts = reliability(confidences, right, bins)
    gaps = sum(part.count * abs(part.confidence - part.right) for part in parts)
    return gaps / sum(part.count for part in parts)


def _log_loss(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Mean of -log(what was claimed of the outcome), which only honest claims make least."""
    claimed = np.where(right, confidences, 1 - confidences)
    return float(-np.log(np.maximum(claimed, _SMALLEST)).mean())


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden-section search."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > _ACCURACY:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
