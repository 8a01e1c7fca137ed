"""Say at once whether an exercise of a notebook is solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def check(
    number: int, answers: Sequence[Any], right: Callable[[Sequence[Any]], object], hint: str
) -> None:
    """Print whether the answers to an exercise are right.

    Args:
        number: The exercise's number.
        answers: What the reader's function returned, one entry a call; an untouched function
            returns ``...``.
        right: Looks at the answers and says whether they are right. It is asked only if none of
            them is ``...``.
        hint: What to think of if they are not.

    Example:
        >>> check(1, [...], lambda answers: answers == [4], "2 and 2")
        Exercise 1: not solved yet
        >>> check(1, [5], lambda answers: answers == [4], "2 and 2")
        Exercise 1: not right yet. 2 and 2
        >>> check(1, [4], lambda answers: answers == [4], "2 and 2")
        Exercise 1: solved
    """
    if any(answer is ... for answer in answers):
        print(f"Exercise {number}: not solved yet")
    elif right(answers):
        print(f"Exercise {number}: solved")
    else:
        print(f"Exercise {number}: not right yet. {hint}")
