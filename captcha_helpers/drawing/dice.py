"""Small random decisions, made quickly.

``Generator.choice`` and ``Generator.integers`` take ten times as long as one ``Generator.random``,
and an image is made of a few hundred decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
T = TypeVar("T")


def chance(rng: Rng, share: float) -> bool:
    """Say yes in this share of all cases.

    Example:
        >>> chance(np.random.default_rng(0), 1.0)
        True
    """
    return bool(rng.random() < share)


def between(rng: Rng, low: float, high: float) -> float:
    """A number from `low` to below `high`, uniformly.

    Example:
        >>> between(np.random.default_rng(0), 2.0, 2.0)
        2.0
    """
    return low + (high - low) * rng.random()


def whole(rng: Rng, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included.

    Example:
        >>> whole(np.random.default_rng(0), 3, 3)
        3
    """
    return low + int((high - low + 1) * rng.random())


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of the options, each as likely as the others.

    Example:
        >>> pick(np.random.default_rng(0), "a")
        'a'
    """
    return options[int(len(options) * rng.random())]
