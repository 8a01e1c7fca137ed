"""Characters to integers and back.

One encoding serves every model of this project: 0 is CTC's blank, the padding behind short
labels, and what a per-position head says where there is no character. Characters start at 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLANK_INDEX = 0

DIGITS = "0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER_DIGITS = DIGITS + UPPER
ALPHANUMERIC = DIGITS + UPPER + LOWER
UNAMBIGUOUS = "2345678bcdefgmnpwxy"


@dataclass(frozen=True)
class Charset:
    """The characters that a model can read, in the order of its output classes.

    Characters are Unicode code points: an ``é`` written as ``e`` plus a combining accent counts
    as two.

    Args:
        characters: Every character once; ``characters[i]`` becomes class ``i + 1``.

    Raises:
        TypeError: If ``characters`` is not a string.
        ValueError: If it is empty or contains a character twice.

    Example:
        >>> charset = Charset("abc")
        >>> charset.encode(["cab", "b"])
        array([[3, 1, 2],
               [2, 0, 0]], dtype=int32)
        >>> charset.decode([[3, 1, 2], [2, 0, 0]])
        ['cab', 'b']
    """

    characters: str

    def __post_init__(self) -> None:
        if not isinstance(self.characters, str):
            raise TypeError(
                "characters must be one string such as 'abc', "
                f"got {type(self.characters).__name__}; join a list with ''.join(...)"
            )
        if not self.characters:
            raise ValueError("a charset needs at least one character, got an empty string")
        twice = [c for c, count in Counter(self.characters).items() if count > 1]
        if twice:
            raise ValueError(f"characters appear more than once in the charset: {_quoted(twice)}")

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> Charset:
        """The characters that occur in ``labels``, sorted by code point.

        Raises:
            TypeError: If ``labels`` is a single string.
            ValueError: If there is no character in them.

        Example:
            >>> Charset.from_labels(["b7", "a7"]).characters
            '7ab'
        """
        characters = set().union(*_several(labels))
        if not characters:
            raise ValueError("cannot build a charset: the labels contain no characters")
        return cls("".join(sorted(characters)))

    @property
    def num_classes(self) -> int:
        """Output classes of a model: the characters and the blank."""
        return len(self) + 1

    def __len__(self) -> int:
        """Number of characters, without the blank."""
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        """Whether ``character`` is one of the characters."""
        return character in self._index

    @cached_property
    def _index(self) -> dict[str, int]:
        return {c: i for i, c in enumerate(self.characters, start=BLANK_INDEX + 1)}

    @cached_property
    def _lookup(self) -> np.ndarray:
        return np.array(["", *self.characters], dtype=object)

    def problem(self, label: str, length: int | None = None) -> str | None:
        """What keeps a label from being encoded, as the end of a sentence about it.

        Args:
            label: Any string.
            length: The most characters that fit; any number by default.

        Returns:
            None if there is no problem.

        Example:
            >>> Charset("abc").problem("cat")
            "has characters not in the charset: 't'"
        """
        if not label:
            return "is empty"
        strange = [c for c in dict.fromkeys(label) if c not in self._index]
        if strange:
            return f"has characters not in the charset: {_quoted(strange)}"
        if length is not None and len(label) > length:
            return f"is {len(label)} characters long, but only {length} fit"
        return None

    def encode(
        self,
        labels: Iterable[str],
        *,
        length: int | None = None,
        names: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Turn labels into rows of class indices, padded with 0.

        Args:
            labels: B labels of one or more characters; they may differ in length.
            length: L, the width of the result. By default that of the longest label.
            names: B file names, used in error messages only.

        Returns:
            ``(B, L)`` int32, values 0 (padding) to ``len(self)``.

        Raises:
            TypeError: If ``labels`` is a single string, or a label is not a string.
            ValueError: If a label is empty, longer than ``length`` or has a character that the
                charset lacks. The message names the label, its row and its file.

        Example:
            >>> Charset("ab").encode(["ab", "b"], length=3)
            array([[1, 2, 0],
                   [2, 0, 0]], dtype=int32)
        """
        labels = _several(labels)
        if names is not None and len(names) != len(labels):
            raise ValueError(f"got {len(names)} names for {len(labels)} labels")
        if length is None:
            length = max(map(len, labels), default=0)
        encoded = np.full((len(labels), length), BLANK_INDEX, dtype=np.int32)
        for row, label in enumerate(labels):
            problem = self.problem(label, length)
            if problem:
                where = f"row {row}" if names is None else f"row {row}, {names[row]}"
                raise ValueError(f"label {label!r} ({where}) {problem}")
            encoded[row, : len(label)] = [self._index[c] for c in label]
        return encoded

    def decode(self, indices: np.ndarray | Sequence[Sequence[int]]) -> list[str]:
        """Turn rows of class indices into strings; zeros are dropped wherever they stand.

        Args:
            indices: ``(B, L)`` integers from 0 to ``len(self)``.

        Returns:
            B strings.

        Raises:
            TypeError: If the indices are not integers (model outputs need an argmax first).
            ValueError: If they are not two-dimensional or out of range.

        Example:
            >>> Charset("ab").decode([[1, 0, 2], [0, 0, 0]])
            ['ab', '']
        """
        indices = np.asarray(indices)
        if indices.ndim != 2:
            raise ValueError(
                f"decode needs indices of shape (B, L), got {indices.shape}; "
                "wrap a single row in a list, take the argmax of logits first"
            )
        if indices.size == 0:
            return [""] * len(indices)
        if not np.issubdtype(indices.dtype, np.integer):
            raise TypeError(f"decode needs integers, got {indices.dtype}; take the argmax first")
        if indices.min() < 0 or indices.max() >= self.num_classes:
            bad = indices[(indices < 0) | (indices >= self.num_classes)][0]
            raise ValueError(
                f"index {bad} is not a class of this charset, whose {self.num_classes} classes "
                f"are 0 (blank) to {len(self)}; was the model trained with another charset?"
            )
        return ["".join(row) for row in self._lookup[indices]]


def is_chinese(char: str) -> bool:
    """Whether a character is one of Chinese.

    Example:
        >>> is_chinese("字"), is_chinese("a")
        (True, False)
    """
    return "\u4e00" <= char <= "\u9fff"


def shortened(characters: str, most: int = 100) -> str:
    """Characters as a message shows them: of thousands only the first ones.

    Args:
        characters: Any number of them.
        most: How many are shown.

    Returns:
        All of them, or the first ones and how many more there are.

    Example:
        >>> shortened("0123456789"), shortened("0123456789", most=3)
        ('0123456789', '012 and 7 more')
    """
    if len(characters) <= most:
        return characters
    return f"{characters[:most]} and {len(characters) - most:,} more"


def _several(labels: Iterable[str]) -> list[str]:
    """The labels as a list; catches the easy mistake of passing one."""
    if isinstance(labels, str):
        raise TypeError(f"expected several labels, got the string {labels!r}; use [{labels!r}]")
    labels = list(labels)
    for row, label in enumerate(labels):
        if not isinstance(label, str):
            raise TypeError(f"label {label!r} (row {row}) is not a string; use str({label!r})")
    return labels


def _quoted(characters: Iterable[str]) -> str:
    return ", ".join(map(repr, characters))
