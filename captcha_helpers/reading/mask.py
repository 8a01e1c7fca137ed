"""What is known of the strings before they are read: characters, length, whether case matters.

Somebody who knows that a CAPTCHA has four to six digits should say so: a reader that may answer
anything takes a 0 for an O. A mask goes into the decoding, so that only strings that it allows
compete, and what is read is the likeliest of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from captcha_helpers.core.charset import (
    ALPHANUMERIC,
    BLANK_INDEX,
    DIGITS,
    LOWER,
    UPPER,
    Charset,
    is_chinese,
    shortened,
)

WORDS = {
    "digits": DIGITS,
    "lower": LOWER,
    "upper": UPPER,
    "letters": LOWER + UPPER,
    "alphanumeric": ALPHANUMERIC,
}


class MaskWarning(UserWarning):
    """A mask has characters that the model does not have, or lengths that it has not learned."""


@dataclass(frozen=True)
class Mask:
    """Which strings may be read.

    Attributes:
        charset: The characters that occur; all that the model has by default. If `ignore_case`,
            a letter stands for both cases.
        length: Fewest and most characters; by default what the model has learned.
        ignore_case: Whether a letter and its other case count as one. It is read in lower case,
            or in upper case if all letters of the charset are capitals.

    Raises:
        ValueError: If the charset is empty, or the length is not two numbers from 1 up.

    Example:
        >>> Mask("0123456789", (4, 6))
        Mask(charset='0123456789', length=(4, 6), ignore_case=False)
    """

    charset: str | None = None
    length: tuple[int, int] | None = None
    ignore_case: bool = False

    def __post_init__(self) -> None:
        if self.charset == "":
            raise ValueError("the charset is empty; leave it out to allow all characters")
        if self.length is None:
            return
        if not (isinstance(self.length, tuple) and len(self.length) == 2):
            raise ValueError(
                "length is two numbers, the fewest and the most characters, as (4, 6), or (4, 4) "
                f"for exactly four; received {self.length!r}"
            )
        if not 1 <= self.length[0] <= self.length[1]:
            raise ValueError(
                f"length {self.length} must be from 1 up, the smaller number first; as (4, 6)"
            )

    def but(
        self,
        *,
        charset: str | None = None,
        length: tuple[int, int] | None = None,
        ignore_case: bool | None = None,
    ) -> Mask:
        """Replace what is given, and keep the rest.

        Example:
            >>> Mask("0123456789", (4, 6)).but(length=(5, 5))
            Mask(charset='0123456789', length=(5, 5), ignore_case=False)
        """
        return Mask(
            self.charset if charset is None else charset,
            self.length if length is None else length,
            self.ignore_case if ignore_case is None else ignore_case,
        )


@dataclass(frozen=True)
class Alphabet:
    """The characters of a model that a mask leaves.

    Attributes:
        charset: What readings are written in; class 0 stays the blank.
        classes: For each class, blank first, the model's classes that count as it.
        missing: Characters of the mask that the model does not have.
    """

    charset: Charset
    classes: tuple[tuple[int, ...], ...]
    missing: str


def fit(mask: Mask, characters: str) -> Alphabet:
    """Find what a mask leaves of a model's characters.

    Args:
        mask: What is known of the strings.
        characters: The model's charset; character i is class i + 1.

    Returns:
        The alphabet, in the model's order.

    Raises:
        ValueError: If nothing is left.

    Example:
        >>> fit(Mask("ab7", ignore_case=True), "aAbcC")
        Alphabet(charset=Charset(characters='ab'), classes=((0,), (1, 2), (3,)), missing='7')
    """
    told = characters if mask.charset is None else mask.charset
    keys = {char: one_case(char) if mask.ignore_case else char for char in told}
    wanted = set(keys.values())
    groups: dict[str, list[int]] = {}
    for index, char in enumerate(characters, start=BLANK_INDEX + 1):
        key = one_case(char) if mask.ignore_case else char
        if key in wanted:
            groups.setdefault(key, []).append(index)
    if not groups:
        raise ValueError(
            f"the model has none of the characters {mask.charset!r}; it reads "
            f"{shortened(characters)!r}{_who_reads(told)}"
        )
    return Alphabet(
        Charset("".join(map(_capital, groups) if mask.ignore_case and _shouts(told) else groups)),
        ((BLANK_INDEX,), *map(tuple, groups.values())),
        "".join(char for char, key in keys.items() if key not in groups),
    )


def missing_characters(missing: str) -> str:
    """Say which characters of a mask a model does not have.

    Args:
        missing: The characters.

    Returns:
        A line of text.

    Example:
        >>> missing_characters("é7")
        "the model does not have 'é', '7' and reads the other characters of the charset only"
        >>> missing_characters("字").rpartition("; ")[2]
        "the model 'chinese' has the common characters of Chinese"
    """
    named = ", ".join(map(repr, missing))
    others = "reads the other characters of the charset only"
    return f"the model does not have {named} and {others}{_who_reads(missing)}"


def _who_reads(missing: str) -> str:
    """Which model that ships reads characters that another one lacks, if any does."""
    said = "; the model 'chinese' has the common characters of Chinese"
    return said if any(map(is_chinese, missing)) else ""


def longer_than_learned(told: tuple[int, int], learned: tuple[int, int]) -> str | None:
    """Say that all strings of a mask are longer than those that a model has learned, if they are.

    Args:
        told: Fewest and most characters of the mask.
        learned: Fewest and most characters of what the model was trained on.

    Returns:
        A line of text, or None.

    Example:
        >>> longer_than_learned((20, 20), (1, 12))
        'the model has learned strings of 1 to 12 characters; longer ones are likely to be misread'
        >>> longer_than_learned((12, 20), (1, 12)) is None
        True
    """
    fewest, most = learned
    if told[0] <= most:
        return None
    span = f"{most}" if fewest == most else f"{fewest} to {most}"
    return (
        f"the model has learned strings of {span} characters; longer ones are likely to be misread"
    )


def one_case(char: str) -> str:
    """One character for both cases: the small one, if that is a single character.

    A sigma at the end of a word counts as any other.

    Example:
        >>> one_case("A"), one_case("a"), one_case("7"), one_case("ς")
        ('a', 'a', '7', 'σ')
    """
    small = char.lower().replace("ς", "σ")
    return small if len(small) == 1 else char


def _capital(char: str) -> str:
    """The capital of a small letter, if it is one character and leads back."""
    return char.upper() if char.upper().lower() == char else char


def _shouts(characters: str) -> bool:
    """Whether all letters are capitals."""
    return characters != characters.lower() and characters == characters.upper()


def parse_charset(text: str) -> str:
    """Read a charset as people type it: the characters, or words for many of them.

    Args:
        text: Characters; or some of the words digits, lower, upper, letters and alphanumeric, with
            ``+`` or ``,`` between them (or a space, which a ``+`` in a web address means). What
            stands beside a word and is none is taken for characters.

    Returns:
        The characters, each once.

    Raises:
        ValueError: If there are none.

    Example:
        >>> parse_charset("digits"), parse_charset("digits+abcdef"), parse_charset("2+2=4")
        ('0123456789', '0123456789abcdef', '2+=4')
    """
    parts = re.split("[+, ]", text)
    if any(part in WORDS for part in parts):
        text = "".join(WORDS.get(part, part) for part in parts)
    if not text:
        raise ValueError(f"the charset is empty; give characters, or words: {', '.join(WORDS)}")
    return "".join(dict.fromkeys(unicodedata.normalize("NFC", text)))


def parse_length(text: str) -> tuple[int, int]:
    """Read a length as people type it.

    Args:
        text: One number, or the fewest and the most characters with a dash between them.

    Returns:
        The fewest and the most characters.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> parse_length("4"), parse_length("4-6")
        ((4, 4), (4, 6))
    """
    found = re.fullmatch("([0-9]{1,6})(?:-([0-9]{1,6}))?", text)
    if not found:
        raise ValueError(f"{text!r} is not a length; use 4 or 4-6")
    fewest, most = int(found[1]), int(found[2] or found[1])
    if not 1 <= fewest <= most:
        raise ValueError(f"{text!r} must be from 1 up, the smaller number first")
    return fewest, most
