"""One HTML page about a reader: figures, which characters it confuses, and what it read wrongly.

The page is a single file that needs nothing else and fits on a phone. It names the model, the
folder (without its path) and the date.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from string import Template
from typing import Any

import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

import captcha_helpers
from captcha_helpers.core.files import ASSETS, write_bytes
from captcha_helpers.data.images import ImageError, load_image
from captcha_helpers.data.names import counted
from captcha_helpers.reading.evaluation import Evaluation

MOST_ERRORS = 200
MOST_CHARACTERS = 24  # in the matrix: those that were confused most often
PICTURE = (480, 240)  # pixels; larger ones are made smaller
PAGE = ASSETS / "report.html"


def write_report(
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    *,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write `report_html` to a file.

    Args:
        evaluation: What `captcha_helpers.evaluate` gave.
        path: The file; a file of that name is replaced.
        training: The record of the reader's training, ``reader.spec.training``, for its curves.
    """
    page = report_html(evaluation, training=training)
    write_bytes(path, page.encode(errors="replace"))  # file names need not be text


def report_html(
    evaluation: Evaluation,
    *,
    training: Mapping[str, Any] | None = None,
    when: datetime | None = None,
) -> str:
    """Make one page with the figures, a confusion matrix and the images that were read wrongly.

    Args:
        evaluation: What `captcha_helpers.evaluate` gave.
        training: The record of the reader's training, for its curves; without one there are none.
        when: The date on the page; by default now.

    Returns:
        The page.
    """
    errors, score = evaluation.errors(), evaluation.score
    low, high = score.exact_match_ci95
    folder = "" if evaluation.folder is None else evaluation.folder.resolve().name
    of_what = f"images in {folder}" if folder and training is None else "held-out images"
    shown = errors[:MOST_ERRORS]
    more = f"; the {MOST_ERRORS} most confident are shown" if len(errors) > MOST_ERRORS else ""
    values = {
        "title": _text(f"How well {evaluation.model or 'a reader'} reads {folder}".rstrip()),
        "when": _text(f"{when or datetime.now():%Y-%m-%d %H:%M}"),
        "version": _text(captcha_helpers.__version__),
        "headline": _text(f"{score.exact_match:.1%}"),
        "explained": _text(
            f"of {score.n} {of_what} were read without any error "
            f"(95 % interval: {low:.1%} to {high:.1%})"
        ),
        "warnings": "".join(f"<p class=warning>{_text(one)}</p>" for one in evaluation.warnings()),
        "figures": "".join(_rows(_figures(evaluation))),
        "training": "" if training is None else _training(training),
        "matrix": _matrix(evaluation),
        "count": _text(f"{len(errors)} of {score.n}{more}"),
        "errors": "\n".join(_error(evaluation, i) for i in shown),
    }
    return Template(PAGE.read_text(encoding="utf-8")).substitute(values)


def _text(text: str) -> str:
    return html.escape(text)


def _rows(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in pairs:
        yield f"<tr><th>{_text(name)}<td>{_text(value)}"


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    score, (confident, right) = evaluation.score, evaluation.confident
    yield "exact match, ignoring case", f"{score.exact_match_ignore_case:.1%}"
    yield "character error rate", f"{score.cer:.2%}"
    places = "  ".join(f"{share:.1%}" for share in evaluation.per_position)
    yield "right, by position", places
    of_these = f", {right / confident:.1%} of them right" if confident else ""
    sure = f"{counted(confident, 'image')}{of_these}"
    yield f"confidence of {evaluation.min_confidence:.0%} or more", sure
    yield "time to read them", f"{evaluation.seconds:.1f} s"


def _error(evaluation: Evaluation, row: int) -> str:
    """The picture, and label and reading one below the other, with what differs marked."""
    reading, label = evaluation.readings[row], evaluation.data.labels[row]
    written, read = marked(label, reading.text)
    return (
        f'<li><img src="{_data_url(_picture(evaluation, row))}" alt="{_text(label)}">'
        f"<dl><dt>label<dd><code>{written}</code><dt>read<dd><code>{read}</code>"
        f"<dt>confidence<dd>{reading.confidence:.1%}</dl>"
        f"<small>{_text(evaluation.data.names[row])}</small></li>"
    )


def marked(label: str, text: str) -> tuple[str, str]:
    """Mark in HTML what is wrong in a reading, and what that is in the label.

    Args:
        label: What is written.
        text: What was read.

    Returns:
        Both, with the characters that differ in ``<mark>``; a gap stands where one is missing.

    Example:
        >>> marked("5335", "53")
        ('53<mark>35</mark>', '53<mark>··</mark>')
    """
    written, read = "", ""
    for part in Levenshtein.opcodes(label, text):
        one = label[part.src_start : part.src_end]
        other = text[part.dest_start : part.dest_end]
        if part.tag == "equal":
            written, read = written + _text(one), read + _text(other)
        else:
            width = max(len(one), len(other))
            written += f"<mark>{_text(one.ljust(width, '·'))}</mark>"
            read += f"<mark>{_text(other.ljust(width, '·'))}</mark>"
    return written, read


def _picture(evaluation: Evaluation, row: int) -> Image.Image:
    """The image as it is in the folder; if there is none, as the model sees it."""
    pixels = evaluation.data.images[row]
    if evaluation.folder is not None:
        with suppress(ImageError):  # it may have gone since it was read
            pixels = load_image(evaluation.folder / evaluation.data.names[row])
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail(PICTURE)
    return picture


def _data_url(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _matrix(evaluation: Evaluation) -> str:
    """A table of written against read, for the characters that were confused most often."""
    confusions = evaluation.confusions
    if not confusions:
        return "<p>No character was confused with another."
    often = confusions.most_common()
    chosen = list(dict.fromkeys(char for pair, _ in often for char in pair))[:MOST_CHARACTERS]
    rows = sorted(chosen, key=lambda char: (not char, char))  # nothing stands last
    head = "".join(f"<th scope=col>{_named(char)}" for char in rows)
    labels = np.array(list("".join(evaluation.data.labels)))
    lines = []
    for written in rows:
        wrong = sum(count for (one, _), count in often if one == written)
        right = int((labels == written).sum()) - wrong
        cells = []
        for read in rows:
            if written == read:
                cells.append(f"<td class=right>{right if written else ''}")
            else:
                count = confusions[written, read]
                shade = f' style="--share:{count / often[0][1]:.2f}"' if count else ""
                cells.append(f"<td{shade}>{count or ''}")
        lines.append(f"<tr><th scope=row>{_named(written)}{''.join(cells)}")
    table = "\n".join([f"<tr><td>{head}", *lines])
    return f"<div class=wide><table class=matrix>{table}</table></div>"


def _named(char: str) -> str:
    return _text(char) if char.strip() else "nothing" if not char else _text(repr(char))


def _training(facts: Mapping[str, Any]) -> str:
    """How the reader came about: what it began with, and two curves."""
    history = facts["history"]
    seconds = [check["seconds"] for check in history]
    exact = [check["exact_match"] for check in history]
    loss = [check["loss"] for check in history if check["loss"] is not None]
    said = [
        ("learned from", f"{facts['images']} images in {facts['seconds']:.0f} s"),
        ("began with", facts["start"]),
        ("held-out images", f"{facts['validation_images']}, split by {facts['split_by']}"),
    ]
    curves = [_curve("held-out images read without error", seconds, exact, "{:.0%}")]
    if loss:
        curves.append(_curve("loss", seconds[-len(loss) :], loss, "{:.3g}"))
    told = [f"<p class=warning>{_text(one)}</p>" for one in facts.get("warnings", [])]
    table = f"<table>{''.join(_rows(said))}</table>"
    note = "The curves show what was measured on the way. At the top is what the kept weights read."
    return (
        f"<h2>The training</h2>{''.join(told)}{table}"
        f"<div class=curves>{''.join(curves)}</div><p class=meta>{note}"
    )


def _curve(title: str, x: Sequence[float], y: Sequence[float], form: str) -> str:
    """A line chart as SVG, with the last value in its title; y begins at 0."""
    left, top, width, height = 44, 10, 260, 110
    first, last, most = x[0], max(x[-1], x[0] + 1e-9), max([*y, 1e-9])
    points = [
        (left + width * (one - first) / (last - first), top + height * (1 - value / most))
        for one, value in zip(x, y, strict=True)
    ]
    line = " ".join(f"{one:.1f},{value:.1f}" for one, value in points)
    dots = "".join(f'<circle cx="{one:.1f}" cy="{value:.1f}" r="3"/>' for one, value in points)
    bottom = top + height
    return (
        f"<figure><figcaption>{_text(title)}: {form.format(y[-1])}</figcaption>"
        f'<svg viewBox="0 0 320 145" role="img" aria-label="{_text(title)}">'
        f'<path d="M{left} {top}V{bottom}H{left + width}"/><polyline points="{line}"/>{dots}'
        f'<text x="{left - 4}" y="{top + 8}" text-anchor="end">{form.format(most)}</text>'
        f'<text x="{left - 4}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{left}" y="{bottom + 16}">{first:.0f} s</text>'
        f'<text x="{left + width}" y="{bottom + 16}" text-anchor="end">{last:.0f} s</text>'
        "</svg></figure>"
    )
