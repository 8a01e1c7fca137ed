"""Characters that occur although no label has them.

Of digits and letters a few may be missing by chance. The reader learns those too: the weights to
begin with know them, and drawn images have them.

Of Chinese, thousands may be missing, which nothing shows that is learned from. A training would
only unlearn them. So their rows of the last layer are left out of it, and put back at its end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from captcha_helpers.core.charset import DIGITS, LOWER, UPPER, Charset, is_chinese
from captcha_helpers.core.models import keras
from captcha_helpers.learning.starts import Start
from captcha_helpers.reading.model_file import ModelSpec

SURELY_SEEN = 4.0  # times that a character that occurs should have come up
OFTEN_NEW = 0.02  # probability that the next character of Chinese is one that did not come up


def unseen_by_chance(labels: Iterable[str]) -> str:
    """Digits, capitals or small letters that may occur although no label has them.

    If all characters of a kind are equally frequent, one that should have come up x times does not
    come up at all with a probability of exp(-x). Below one in 50 (`SURELY_SEEN`) it probably does
    not occur; nor do the others of a kind of which fewer than half came up.

    Args:
        labels: What the labelled images say.

    Returns:
        The characters; of a kind of which no label has any, none.

    Example:
        >>> unseen_by_chance(["3141", "5926", "27"]), unseen_by_chance(["11", "00"])
        ('08', '')
    """
    counts, unseen = Counter("".join(labels)), ""
    for kind in (DIGITS, UPPER, LOWER):
        rest = [char for char in kind if char not in counts]
        expected = sum(counts[char] for char in kind) / len(kind)
        if 2 * len(rest) <= len(kind) and expected < SURELY_SEEN:
            unseen += "".join(rest)
    return unseen


def left_out(labels: Sequence[str], known: str, may_occur: str | None = None) -> str:
    """The characters of Chinese that a training leaves out, since none of its labels has them.

    Args:
        labels: Those that are learned from.
        known: The characters of Chinese that the weights to begin with know.
        may_occur: The characters that are known to occur. None if nobody knows: then all of
            `known`, if the labels show that new ones come up often.

    Returns:
        The characters, in the order of `known`; none if the labels have none of Chinese.

    Example:
        >>> left_out(["天地", "天人"], "天地人日月"), left_out(["天地", "天地"], "天地人日月")
        ('日月', '')
        >>> left_out(["天地", "天地"], "天地人日月", may_occur="天地日")
        '日'
    """
    counts = _chinese(labels)
    if not counts or (may_occur is None and _new(counts) <= OFTEN_NEW):
        return ""
    return "".join(
        char for char in known if char not in counts and (may_occur is None or char in may_occur)
    )


def put_back(
    model: keras.Model, spec: ModelSpec, start: Start, characters: str, labels: Sequence[str]
) -> tuple[keras.Model, ModelSpec]:
    """Give a reader the rows of characters that its training left out, as they were before.

    They get a lower bias than they had, as it is less probable that they come up.

    Args:
        model: What has been trained. The last layer has a row for each character.
        spec: What it reads.
        start: What the training began with, which knows the characters.
        characters: What `left_out` gave.
        labels: What was learned from.

    Returns:
        The network with all rows, and what it reads.
    """
    charset = Charset(spec.charset + characters)
    whole = start.build(charset, spec.length[1], 0.0)
    *body, trained, trained_bias = model.get_weights()
    kernel, bias = whole.get_weights()[-2:]
    known = len(trained_bias)
    kernel[:, :known], bias[:known] = trained, trained_bias
    bias[known:] += _rarer(labels, len(characters))
    whole.set_weights([*body, kernel, bias])
    return whole, replace(spec, charset=charset.characters)


def _chinese(labels: Iterable[str]) -> Counter[str]:
    return Counter(char for char in "".join(labels) if is_chinese(char))


def _new(counts: Counter[str]) -> float:
    """The probability that the next character is a new one: about the share that came up once.

    Source: Good, *The Population Frequencies of Species and the Estimation of Population
    Parameters*, 1953.
    """
    return sum(count == 1 for count in counts.values()) / counts.total()


def _rarer(labels: Sequence[str], characters: int) -> float:
    """How much less probable each of these is than one that came up; a difference of logarithms."""
    counts = _chinese(labels)
    new = min(max(_new(counts), 0.5 / counts.total()), 0.5)
    return math.log(new / characters) - math.log((1 - new) / len(counts))
