"""Which texts CAPTCHAs ask for: digits, letters of one case, unambiguous ones, sums."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from captcha_helpers.core.charset import (
    ALPHANUMERIC,
    DIGITS,
    LOWER,
    UNAMBIGUOUS,
    UPPER,
    UPPER_DIGITS,
)
from captcha_helpers.drawing.dice import Rng, chance, pick, whole

KINDS: dict[str, tuple[float, str]] = {  # how often, and which characters
    "digits": (0.2, DIGITS),
    "upper": (0.13, UPPER),
    "lower": (0.1, LOWER),
    "letters": (0.08, UPPER + LOWER),
    "upper_digits": (0.15, UPPER_DIGITS),
    "lower_digits": (0.11, LOWER + DIGITS),
    "mixed": (0.13, ALPHANUMERIC),
    "hex": (0.02, "0123456789abcdef"),
    "unambiguous": (0.03, UNAMBIGUOUS),
    "unambiguous_upper": (0.05, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"),
}
SUM = "sum"  # a further kind, for charsets with + or -
_OF_SUMS = "+-=?"

_LENGTHS = {1: 2, 2: 3, 3: 6, 4: 27, 5: 26, 6: 22, 7: 6, 8: 4, 9: 2, 10: 2}


def draw_label(
    rng: Rng,
    charset: str,
    length: tuple[int, int],
    *,
    kinds: Sequence[str] = (),
    upper_only: bool = False,
    exclude: Collection[str] = (),
) -> str:
    """Make up the text of a CAPTCHA.

    Args:
        rng: Where every random number comes from.
        charset: The characters that it is made of.
        length: Fewest and most characters; 4 to 6 are the likeliest.
        kinds: Names of `KINDS`, or `SUM`, to choose from; by default any of `KINDS`, as often as
            it says. Those that the charset has no characters for are passed over. If the charset
            has characters that are in none of them, every other label is of all its characters.
        upper_only: Take no lower-case letters, as a font has none; unless the charset has nothing
            else.
        exclude: Labels that are not made up; a set is quick.

    Returns:
        The label.

    Raises:
        ValueError: Nearly every label is excluded.

    Example:
        >>> import numpy as np
        >>> draw_label(np.random.default_rng(0), "01", (4, 4))
        '0011'
    """
    allowed = charset
    if upper_only:
        allowed = "".join(char for char in charset if char not in LOWER) or charset
    for _ in range(1000):
        label = _sum(rng, charset, length) if SUM in kinds else None
        label = label or _text(rng, allowed, _length(rng, length), kinds)
        if label not in exclude:
            return label
    raise ValueError(
        f"1000 labels in a row were among the {len(exclude)} excluded ones: exclude fewer"
    )


def _length(rng: Rng, length: tuple[int, int]) -> int:
    """How many characters: from `length`, as often as CAPTCHAs have so many."""
    weights = [_LENGTHS.get(n, 1) for n in range(length[0], length[1] + 1)]
    left = rng.random() * sum(weights)
    for n, weight in enumerate(weights, length[0]):
        left -= weight
        if left < 0:
            return n
    return length[1]


def _text(rng: Rng, charset: str, length: int, kinds: Sequence[str]) -> str:
    options = _options(charset, tuple(kinds))
    characters = charset
    left = rng.random() * sum(weight for weight, _ in options)
    for weight, common in options:
        left -= weight
        if left < 0:
            characters = common
            break
    label = [characters[int(place * len(characters))] for place in rng.random(length).tolist()]
    if chance(rng, 0.12):  # "5533", "aaa": what a reader takes for one character too easily
        for i in range(1, length):
            if chance(rng, 0.5):
                label[i] = label[i - 1]
    return "".join(label)


@lru_cache(maxsize=256)
def _options(charset: str, kinds: tuple[str, ...]) -> list[tuple[float, str]]:
    """The kinds that this charset has characters for: how often, and which."""
    options = []
    for name, (weight, characters) in KINDS.items():
        common = "".join(char for char in charset if char in characters)
        if len(common) > 1 and (not kinds or name in kinds):
            options.append((weight, common))
    if _has_more(charset):  # then every other label is of all of them
        options.append((sum(weight for weight, _ in options) or 1.0, charset))
    return options


def _has_more(charset: str) -> bool:
    """Whether there are characters that are in none of `KINDS`, nor in sums among other texts."""
    more = set(charset).difference(ALPHANUMERIC)
    return not more <= set(_OF_SUMS) or (bool(more) and not set(UPPER) <= set(charset))


def _sum(rng: Rng, charset: str, length: tuple[int, int]) -> str | None:
    """Something such as "3+5=?"; None if the charset or the length do not allow for it."""
    digits = [char for char in DIGITS if char in charset]
    signs = [char for char in "+-" if char in charset]
    if not digits or not signs:
        return None
    ends = ["", *(end for end in ("=", "=?") if all(char in charset for char in end))]
    for _ in range(8):
        first = "".join(pick(rng, digits) for _ in range(whole(rng, 1, 2)))
        second = "".join(pick(rng, digits) for _ in range(whole(rng, 1, 2)))
        label = first + pick(rng, signs) + second + pick(rng, ends)
        if length[0] <= len(label) <= length[1]:
            return label
    return None
