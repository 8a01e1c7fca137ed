"""What more labels would bring, judged by the readers that were trained so far.

The error of a reader falls as a power of the number of its examples, which is a straight line on
logarithmic paper (Cortes et al., *Learning curves: asymptotic values and rate of convergence*,
NIPS 1993). The few readers of one labelling don't show where such a line ends, so their curve is
taken to go on down, and nobody looks far ahead along it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

FEWEST_TESTED = 20  # images that a reader must have been measured with
SLOPES = (0.1, 1.5)  # plausible exponents: theory has 1/2 to 1, and few tests measure badly
FARTHEST = 4  # times as many labels as the best reader learned from


class Measured(NamedTuple):
    """How well a reader of so many labels reads.

    Attributes:
        labels: That it has learned from.
        tested: Images that it was measured with.
        right: How many of them it read without error.
    """

    labels: int
    tested: int
    right: int


def forecast(readers: Iterable[Measured], labels: int) -> float | None:
    """Say what share a reader of so many labels would read, if that can be said honestly.

    Logarithms of the error rates are fitted to logarithms of the numbers of labels by least
    squares; a rate of more errors weighs more, since the variance of its logarithm is about one
    over their number. For a rate of 0 to have a logarithm, half an error is added (the mean under
    Jeffreys' prior).

    Args:
        readers: What is known. Those measured with fewer than `FEWEST_TESTED` images don't count.
        labels: How many labels there would be.

    Returns:
        A share, 0–1; None if fewer than two readers count, `labels` is far beyond theirs or not
        beyond them at all, or the errors don't fall as they should.

    Example:
        Half of the images wrong with 50 labels, a quarter with 200: an eighth with 800.

        >>> known = [Measured(50, tested=20, right=10), Measured(200, tested=41, right=31)]
        >>> round(forecast(known, 800), 3)
        0.875
        >>> forecast(known[:1], 800) is None
        True
    """
    known = [one for one in readers if one.labels and one.tested >= FEWEST_TESTED]
    counts = sorted({one.labels for one in known})
    if len(counts) < 2 or not counts[-1] < labels <= FARTHEST * counts[-1]:
        return None
    wrong = np.array([one.tested - one.right + 0.5 for one in known])
    rates = wrong / np.array([one.tested + 1 for one in known])
    places = np.log([one.labels for one in known])
    slope, height = np.polyfit(places, np.log(rates), 1, w=np.sqrt(wrong)).tolist()
    if not SLOPES[0] <= -slope <= SLOPES[1]:
        return None
    return float(1 - min(1.0, math.exp(height + slope * math.log(labels))))
