"""From a model's logits to readings: the strings, how sure the model is, and what it mixes up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import BLANK_INDEX
from captcha_helpers.core.ctc import LengthError, read_strings, softmax, string_probability
from captcha_helpers.reading.mask import fit, longer_than_learned, missing_characters, one_case
from captcha_helpers.reading.model_file import ModelFileError, ModelSpec

LOOKALIKES = (
    "0Oo",
    "1Iil|",
    "2Zz",
    "5Ss",
    "6b",
    "8B",
    "9gq",
    "Cc",
    "Kk",
    "Pp",
    "Uu",
    "Vv",
    "Ww",
    "Xx",
)
COMPARABLE = 0.25  # of the probability of the character that was read
LOW_CONFIDENCE = 0.5  # below it a reading is likelier wrong than right, by the reader's own account
MANY = 0.25  # of the readings of a low confidence, from which on the images look strange


class Character(NamedTuple):
    """One character of a reading.

    Attributes:
        char: The character.
        confidence: Its highest probability among the frames that it comes from, 0–1.
        lookalikes: Characters that look like it (`LOOKALIKES`) and are about as likely there: at
            least `COMPARABLE` times its probability. The model could not tell them apart.
    """

    char: str
    confidence: float
    lookalikes: str = ""


@dataclass(frozen=True)
class Reading:
    """What a model read in an image.

    Attributes:
        text: The string.
        confidence: Probability that the model gives to this string, 0–1; among the strings that the
            mask allows, if there is one.
        characters: Its characters, each with a confidence.
    """

    text: str
    confidence: float
    characters: tuple[Character, ...]

    @property
    def undecided(self) -> tuple[str, ...]:
        """What the model could not tell apart, from left to right, as ``("0/O/o", "c/C")``.

        Example:
            >>> Reading("5c", 0.4, (Character("5", 0.9), Character("c", 0.5, "C"))).undecided
            ('c/C',)
        """
        return tuple(
            "/".join(one.char + one.lookalikes) for one in self.characters if one.lookalikes
        )


def refuse_infinite(logits: NDArray[np.floating]) -> None:
    """See to it that a model's output means something.

    Args:
        logits: Any shape.

    Raises:
        ModelFileError: If a number is infinite, or is none.

    Example:
        >>> refuse_infinite(np.array([0.0, np.nan]))
        Traceback (most recent call last):
            ...
        captcha_helpers.reading.safety.ModelFileError: the model's output is nan, and not ...
    """
    if not np.isfinite(logits).all():
        wrong = logits[~np.isfinite(logits)][0]
        raise ModelFileError(
            f"the model's output is {wrong}, and not a finite number: its training failed, or its "
            "file is damaged"
        )


class Decoder:
    """Reads a model's logits, with what the specification's mask tells of the strings.

    Args:
        spec: What the logits mean.

    Raises:
        ValueError: If the mask leaves no character.

    Example:
        >>> decoder = Decoder(ModelSpec("ab", length=(1, 3), height=16, width=32))
        >>> decoder.read(9.0 * np.eye(3)[[[1, 0, 2]]])[0].text
        'ab'
    """

    def __init__(self, spec: ModelSpec) -> None:
        alphabet = fit(spec.mask, spec.charset)
        self.charset = alphabet.charset
        self._classes = alphabet.classes
        self._written = {one_case(c): c for c in self.charset.characters if spec.mask.ignore_case}
        self._told = spec.mask.length
        self._positions = spec.head == "per_position"
        learned = (0, spec.length[1]) if self._positions else spec.length
        self.length = spec.mask.length or learned  # fewest and most characters of a reading
        group_of = {char: i for i, group in enumerate(LOOKALIKES, start=1) for char in group}
        doubts = (
            missing_characters(alphabet.missing) if alphabet.missing else None,
            longer_than_learned(self.length, spec.length),
        )
        self.warnings = [doubt for doubt in doubts if doubt]  # what of the mask it cannot do well
        groups = np.array([0, *(group_of.get(char, 0) for char in self.charset.characters)])
        alike = (groups[:, None] == groups) & (groups > 0)
        self._alike = alike & ~np.eye(len(groups), dtype=bool)

    def read(self, logits: NDArray[np.floating]) -> list[Reading]:
        """Read the strings of many images.

        Args:
            logits: ``(B, T, V)``, V being the model's classes.

        Returns:
            B readings.

        Raises:
            LengthError: If T frames are too few for the length.
            ModelFileError: If a logit is not finite.
        """
        refuse_infinite(logits)
        read = self._read_positions if self._positions else self._read_frames
        return read(self._allowed(logits))

    def probabilities(
        self, logits: NDArray[np.floating], texts: Sequence[str]
    ) -> NDArray[np.float64]:
        """Say how likely given strings are, by the model's account.

        Args:
            logits: ``(B, T, V)`` of a model with a CTC head.
            texts: B strings.

        Returns:
            ``(B,)`` probabilities, as the confidence of a `Reading` is one; 0 for strings that the
            reader cannot give.

        Raises:
            ValueError: If the model has a head per position.

        Example:
            >>> decoder = Decoder(ModelSpec("ab", length=(1, 3), height=16, width=32))
            >>> logits = np.log([[[0.2, 0.6, 0.2]], [[0.2, 0.6, 0.2]]])
            >>> decoder.probabilities(logits, ["b", "é"]).round(2)
            array([0.2, 0. ])
        """
        if self._positions:
            raise ValueError("this model has a head per position; use one that ends in CTC frames")
        texts = [self.as_written(text) for text in texts]
        known = set(self.charset.characters)
        found = np.zeros(len(texts))
        rows = [row for row, text in enumerate(texts) if text and known.issuperset(text)]
        if rows:
            indices = self.charset.encode([texts[row] for row in rows])
            allowed = self._allowed(logits[rows])
            found[rows] = string_probability(allowed, indices, length=self._told)
        return found

    def as_written(self, text: str) -> str:
        """Write a string as a reading of it would be: where case is ignored, in the case of those.

        Example:
            >>> from captcha_helpers.reading.mask import Mask
            >>> spec = ModelSpec("aAB", (1, 3), height=16, width=32, mask=Mask(ignore_case=True))
            >>> Decoder(spec).as_written("AB7")
            'ab7'
        """
        return "".join(self._written.get(one_case(char), char) for char in text)

    def _allowed(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Leave the classes that the mask allows, and add up those that count as one."""
        logits = logits[..., [index for group in self._classes for index in group]]
        sizes = [len(group) for group in self._classes]
        if max(sizes) == 1:
            return logits
        starts = [0, *accumulate(sizes[:-1])]
        scores = logits.astype("float64")
        merged: NDArray[np.floating] = np.logaddexp.reduceat(scores, starts, axis=-1)
        return merged

    def _read_frames(self, logits: NDArray[np.floating]) -> list[Reading]:
        found = read_strings(logits, length=self.length, given=self._told)
        spans = found.spans
        chances = found.probabilities[spans.row, spans.peak]
        return self._readings(found.confidences, spans.row, spans.class_index, chances)

    def _read_positions(self, logits: NDArray[np.floating]) -> list[Reading]:
        logits = logits.astype("float64")
        if self._told is not None:
            fewest, most = self._told
            if fewest > logits.shape[1]:
                raise LengthError(f"{logits.shape[1]} positions cannot hold {fewest} characters")
            logits[:, :fewest, BLANK_INDEX] = -np.inf
            logits[:, most:, BLANK_INDEX + 1 :] = -np.inf
        probabilities = softmax(logits)
        best = logits.argmax(axis=-1)
        row, position = np.nonzero(best != BLANK_INDEX)
        index, chances = best[row, position], probabilities[row, position]
        return self._readings(probabilities.max(axis=-1).prod(axis=-1), row, index, chances)

    def _readings(
        self,
        confidences: NDArray[np.float64],
        row: NDArray[np.intp],
        index: NDArray[np.integer],
        chances: NDArray[np.float64],
    ) -> list[Reading]:
        """Put the characters of all rows, and the chances ``(N, V)`` of each, into readings."""
        sure = chances[np.arange(len(index)), index]
        unsure = self._alike[index] & (chances >= COMPARABLE * sure[:, None])
        known = ["", *self.charset.characters]
        lookalikes = [""] * len(index)
        for place, other in np.argwhere(unsure).tolist():
            lookalikes[place] += known[other]
        chars = [known[i] for i in index.tolist()]
        characters = list(map(Character, chars, sure.tolist(), lookalikes))
        ends = np.bincount(row, minlength=len(confidences)).cumsum().tolist()
        return [
            Reading("".join(chars[start:end]), confidence, tuple(characters[start:end]))
            for start, end, confidence in zip([0, *ends], ends, confidences.tolist(), strict=False)
        ]


def doubt(confidences: Sequence[float]) -> str:
    """Say so if a reader is unsure of many of its readings.

    Args:
        confidences: Of all readings, each 0–1.

    Returns:
        A sentence; empty if less than `MANY` of them are below
        `LOW_CONFIDENCE`.

    Example:
        >>> doubt([0.99, 0.98, 0.97]), doubt([0.99, 0.2])[:56]
        ('', '1 of 2 readings (50%) have a confidence below 50%: these')
    """
    low = sum(confidence < LOW_CONFIDENCE for confidence in confidences)
    if not low or low < MANY * len(confidences):
        return ""
    return (
        f"{low} of {len(confidences)} readings ({low / len(confidences):.0%}) have a confidence "
        f"below {LOW_CONFIDENCE:.0%}: these images may not be of the kind that this model has "
        "learned"
    )
