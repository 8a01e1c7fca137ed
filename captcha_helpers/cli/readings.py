"""How `predict` shows readings: a table for people, lines with tabs for pipes, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from captcha_helpers.core.files import write_bytes

if TYPE_CHECKING:
    from captcha_helpers.data.images import ImageError
    from captcha_helpers.reading.decoder import Reading

WIDEST = 60  # characters of a name in the table; longer ones push their line to the right
MARK = "?"  # stands behind a low confidence


def as_row(name: str, reading: Reading | ImageError, least: float | None) -> dict[str, Any]:
    """A reading as programs take it.

    Args:
        name: The file, or ``-``.
        reading: What was read in it, or why nothing was.
        least: Below this confidence no text is given; None gives all.

    Returns:
        The keys ``file, text, confidence, low_confidence, characters``, or ``file, error``.
    """
    from captcha_helpers.data.images import ImageError
    from captcha_helpers.reading.decoder import LOW_CONFIDENCE

    if isinstance(reading, ImageError):
        return {"file": name, "error": " ".join(f"{name}: {reading.reason}".split())}
    low = reading.confidence < (LOW_CONFIDENCE if least is None else least)
    withheld = low and least is not None
    return {
        "file": name,
        "text": "" if withheld else reading.text,
        "confidence": reading.confidence,
        "low_confidence": low,
        "characters": [] if withheld else [one._asdict() for one in reading.characters],
    }


def tell_line(row: dict[str, Any], undecided: Sequence[str]) -> None:
    """Print a row as programs take it: file, text, confidence, look-alikes, with tabs between."""
    columns = [click.format_filename(row["file"]), row["text"], f"{row['confidence']:.4f}"]
    click.echo("\t".join([*columns, " ".join(undecided)] if undecided else columns))


class Table:
    """Lines with columns, for a terminal.

    Args:
        names: All files that will come.
        longest: The most characters of a text.
    """

    def __init__(self, names: Sequence[str], longest: int) -> None:
        self.widths = min(WIDEST, max(5, *map(len, names))), max(4, min(longest, 20))
        self._tell("image", "text", "confidence", "")

    def tell(self, row: dict[str, Any], undecided: Sequence[str]) -> None:
        """Print a row; a low confidence is marked."""
        confidence = f"{row['confidence']:.1%} {MARK if row['low_confidence'] else ' '}"
        name = click.format_filename(row["file"])
        self._tell(name, row["text"] or "–", confidence, " ".join(undecided))

    def _tell(self, name: str, text: str, confidence: str, undecided: str) -> None:
        first, second = self.widths
        click.echo(f"{name:<{first}}  {text:<{second}}  {confidence:>10}  {undecided}".rstrip())


def summary(rows: Sequence[dict[str, Any]], model: str, seconds: float) -> str:
    """Sum up what was read, for people.

    Example:
        >>> row = {"file": "a.png", "text": "7", "confidence": 0.9, "low_confidence": False}
        >>> summary([row, {"file": "b.png", "error": "is empty"}], "stars", 0.5)
        '1 image read with stars in 0.5 s, median confidence 90.0%; 1 could not be read'
    """
    read = [row for row in rows if "error" not in row]
    said = f"{len(read)} image{'s' * (len(read) != 1)} read with {model} in {seconds:.1f} s"
    if read:
        said += f", median confidence {median(row['confidence'] for row in read):.1%}"
    low = sum(row["low_confidence"] for row in read)
    parts = [said]
    parts += [f"{low} of low confidence, marked {MARK}"] if low else []
    parts += [f"{len(rows) - len(read)} could not be read"] if len(read) < len(rows) else []
    return "; ".join(parts)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows, also those of images that could not be read."""
    text = io.StringIO()
    columns = ("file", "text", "confidence", "low_confidence", "error")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode(errors="surrogateescape"))
