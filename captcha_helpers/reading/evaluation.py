"""Measure a reader on a folder of labelled images: how well, where it errs, what it cannot read."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from captcha_helpers.core import metrics
from captcha_helpers.data.folders import LabeledImages, load_folder
from captcha_helpers.data.names import counted
from captcha_helpers.reading.decoder import LOW_CONFIDENCE, Decoder, Reading, doubt
from captcha_helpers.reading.recognizer import Recognizer

MOST_CONFUSIONS = 10


class Unreachable(NamedTuple):
    """Labels that a reader cannot give, whatever the image looks like.

    Attributes:
        by_characters: Images whose labels hold characters that the reader does not have.
        characters: These characters.
        by_length: Images whose labels are shorter or longer than all that the reader gives.
        length: Fewest and most characters that it gives.
        images: Images with the one or the other.
    """

    by_characters: int
    characters: str
    by_length: int
    length: tuple[int, int]
    images: int


@dataclass(frozen=True)
class Evaluation:
    """How well a reader reads a folder.

    Attributes:
        score: Exact match with its interval, case-insensitive exact match, CER.
        seconds: Time that the reading took, without loading the images.
        per_position: ``(L,)`` share of right characters, by position.
        confusions: ``{(true, read): how often}`` of all wrong characters.
        data: The images and their labels, in the case that the reader writes if it ignores case.
        readings: What was read in each.
        unreachable: The labels that the reader cannot give.
        min_confidence: A reading of a lower confidence counts as doubtful, 0–1.
        model: The reader's name, if it has one.
        folder: Where the images are; None if they were in memory.
    """

    score: metrics.Score
    seconds: float
    per_position: np.ndarray
    confusions: Counter[tuple[str, str]]
    data: LabeledImages
    readings: list[Reading]
    unreachable: Unreachable
    min_confidence: float = LOW_CONFIDENCE
    model: str = ""
    folder: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON: all that the text has.

        Returns:
            The keys ``n, exact_match, exact_match_ci95, exact_match_ignore_case, cer, seconds,
            model, folder, per_position, confusions, min_confidence, confident,
            confident_exact_match, unreachable, warnings``. Of the readings that are at least as
            confident as `min_confidence`, ``confident`` is the number and
            ``confident_exact_match`` the share that is right (null if there are none). The folder
            is its name alone.
        """
        confident, right = self.confident
        return self.score.as_dict() | {
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "folder": "" if self.folder is None else self.folder.resolve().name,
            "per_position": self.per_position.tolist(),
            "confusions": [
                {"written": written, "read": read, "count": count}
                for (written, read), count in self.confusions.most_common()
            ],
            "min_confidence": self.min_confidence,
            "confident": confident,
            "confident_exact_match": right / confident if confident else None,
            "unreachable": self.unreachable._asdict(),
            "warnings": self.warnings(),
        }

    @property
    def confident(self) -> tuple[int, int]:
        """How many readings are at least as confident as `min_confidence`; how many are right."""
        pairs = zip(self.readings, self.data.labels, strict=True)
        right = [one.text == label for one, label in pairs if one.confidence >= self.min_confidence]
        return len(right), sum(right)

    def errors(self) -> list[int]:
        """Rows that were read wrongly, the most confident errors first."""
        wrong = [i for i, label in enumerate(self.data.labels) if self.readings[i].text != label]
        return sorted(wrong, key=lambda i: -self.readings[i].confidence)

    def warnings(self) -> list[str]:
        """What to know before one believes the figures: labels out of reach, strange images."""
        out, n = self.unreachable, self.score.n
        fewest, most = out.length
        span = f"{most}" if fewest == most else f"{fewest} to {most}"
        said = []
        if out.by_characters:
            named = ", ".join(map(repr, out.characters))
            said.append(
                f"{out.by_characters} of {n} labels hold characters that this model does not read: "
                f"{named}"
            )
        if out.by_length:
            said.append(
                f"{out.by_length} of {n} labels are shorter or longer than what this model reads, "
                f"{span} characters"
            )
        if said:
            said.append(
                f"{out.images} of {n} images cannot be read rightly like this: choose a model that "
                "knows these characters and lengths, or train one on such images; general knows "
                "more characters than it reads unless a charset names them"
            )
        doubtful = doubt([reading.confidence for reading in self.readings])
        if doubtful:
            said.append(f"{doubtful}; try another model, or train one on such images")
        return said

    def __str__(self) -> str:
        s = self.score
        low, high = s.exact_match_ci95
        confident, right = self.confident
        of_these = f", {right / confident:.2%} of them right" if confident else ""
        sure = f"{counted(confident, 'image')}{of_these}"
        places = "  ".join(f"{share:.1%}" for share in self.per_position)
        common = self.confusions.most_common(MOST_CONFUSIONS)
        pairs = [(a or "nothing", b or "nothing", n) for (a, b), n in common]
        mixed = ", ".join(f"{written} as {read} ({n})" for written, read, n in pairs) or "none"
        return "\n".join(
            [
                f"images                     {s.n}",
                f"exact match                {s.exact_match:.2%} (95 %: {low:.2%} to {high:.2%})",
                f"exact match, ignoring case {s.exact_match_ignore_case:.2%}",
                f"character error rate       {s.cer:.2%}",
                f"right, by position         {places}",
                f"most frequent confusions   {mixed}",
                f"confidence of {self.min_confidence:.0%} or more {sure}",
                f"reading took               {self.seconds:.2f} s",
                *(f"WARNING: {warning}" for warning in self.warnings()),
            ]
        )


def evaluate(
    recognizer: Recognizer,
    folder: str | os.PathLike[str],
    *,
    on_error: str = "raise",
    min_confidence: float = LOW_CONFIDENCE,
    progress: bool | None = None,
) -> Evaluation:
    """Read every image of a folder and compare with the labels.

    Args:
        recognizer: The reader, from `captcha_helpers.load` or `captcha_helpers.train`.
        folder: Images with the labels in their names or in a ``labels.csv``.
        on_error: ``"raise"`` or ``"skip"``: what to do about images that cannot be read.
        min_confidence: From which confidence on a reading counts as confident, 0–1.
        progress: Whether to show a progress bar. By default in a terminal.

    Returns:
        The `Evaluation`; print it, or take ``to_dict()``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If images cannot be used, as :func:`captcha_helpers.data.folders.load_folder`.
    """
    data = load_folder(
        folder,
        **recognizer.spec.preparation,
        on_error=on_error,
        progress=progress,
    )
    result = measure(recognizer, data, min_confidence=min_confidence)
    return replace(result, folder=Path(folder))


def measure(
    recognizer: Recognizer, data: LabeledImages, *, min_confidence: float = LOW_CONFIDENCE
) -> Evaluation:
    """Read images that are prepared already and compare with the labels.

    Args:
        recognizer: The reader.
        data: The images, prepared as the reader's are, and their labels.
        min_confidence: From which confidence on a reading counts as confident, 0–1.

    Returns:
        The `Evaluation`.
    """
    begun = time.perf_counter()
    # Where the reader ignores case, so does the comparison.
    data = replace(data, labels=[recognizer.decoder.as_written(label) for label in data.labels])
    readings: list[Reading] = []
    for start in range(0, len(data), 64):
        readings += recognizer.read_prepared(data.images[start : start + 64])
    seconds = time.perf_counter() - begun
    texts = [reading.text for reading in readings]
    return Evaluation(
        score=metrics.score(data.labels, texts),
        seconds=seconds,
        per_position=metrics.per_position_accuracy(data.labels, texts),
        confusions=metrics.confusions(data.labels, texts),
        data=data,
        readings=readings,
        unreachable=_unreachable(recognizer.decoder, data.labels),
        min_confidence=min_confidence,
        model=recognizer.name,
    )


def _unreachable(decoder: Decoder, labels: Sequence[str]) -> Unreachable:
    known, (fewest, most) = set(decoder.charset.characters), decoder.length
    strange = [set(label) - known for label in labels]
    length = [not fewest <= len(label) <= most for label in labels]
    return Unreachable(
        by_characters=sum(map(bool, strange)),
        characters="".join(sorted(set().union(*strange))),
        by_length=sum(length),
        length=(fewest, most),
        images=sum(bool(a) or b for a, b in zip(strange, length, strict=True)),
    )
