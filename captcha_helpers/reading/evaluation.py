"""Measure a reader on a folder of labelled images, and show where it errs."""

from __future__ import annotations

import base64
import html
import io
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from captcha_helpers.core import metrics
from captcha_helpers.core.files import write_bytes
from captcha_helpers.data.folders import LabeledImages, load_folder
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.recognizer import Recognizer

MOST_CONFUSIONS = 10
MOST_ERRORS = 200  # shown in a report


@dataclass(frozen=True)
class Evaluation:
    """How well a reader reads a folder.

    Attributes:
        score: Exact match with its interval, case-insensitive exact match, CER.
        seconds: Time that the reading took, without loading the images.
        per_position: ``(L,)`` share of right characters, by position.
        confusions: (true, read) characters and how often, most frequent first.
        data: The images and their labels, in the case that the reader writes if it ignores case.
        readings: What was read in each.
    """

    score: metrics.Score
    seconds: float
    per_position: np.ndarray
    confusions: list[tuple[tuple[str, str], int]]
    data: LabeledImages
    readings: list[Reading]

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON.

        Returns:
            The keys ``n, exact_match, exact_match_ci95, exact_match_ignore_case, cer, seconds``.
        """
        return self.score.as_dict() | {"seconds": round(self.seconds, 3)}

    def errors(self) -> list[int]:
        """Rows that were read wrongly, the most confident errors first."""
        wrong = [i for i, label in enumerate(self.data.labels) if self.readings[i].text != label]
        return sorted(wrong, key=lambda i: -self.readings[i].confidence)

    def __str__(self) -> str:
        s = self.score
        low, high = s.exact_match_ci95
        places = "  ".join(f"{share:.1%}" for share in self.per_position)
        pairs = [(a or "nothing", b or "nothing", n) for (a, b), n in self.confusions]
        mixed = ", ".join(f"{written} as {read} ({n})" for written, read, n in pairs) or "none"
        return "\n".join(
            [
                f"images                     {s.n}",
                f"exact match                {s.exact_match:.2%} (95 %: {low:.2%} to {high:.2%})",
                f"exact match, ignoring case {s.exact_match_ignore_case:.2%}",
                f"character error rate       {s.cer:.2%}",
                f"right, by position         {places}",
                f"most frequent confusions   {mixed}",
                f"reading took               {self.seconds:.2f} s",
            ]
        )

    def report_html(self) -> str:
        """One page with the figures and the pictures that were read wrongly."""
        rows = []
        for i in self.errors()[:MOST_ERRORS]:
            reading = self.readings[i]
            rows.append(
                f'<tr><td><img src="{_data_url(self.data.images[i])}" alt=""></td>'
                f"<td>{html.escape(self.data.names[i])}</td>"
                f"<td><code>{html.escape(self.data.labels[i])}</code></td>"
                f"<td><code>{html.escape(reading.text)}</code></td>"
                f"<td>{reading.confidence:.1%}</td></tr>"
            )
        figures, errors = html.escape(str(self)), "\n".join(rows)
        return _PAGE.format(figures=figures, count=len(self.errors()), errors=errors)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>How well the CAPTCHAs were read</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }}
td, th {{ padding: .3rem .8rem; text-align: left; }}
</style>
<h1>How well the CAPTCHAs were read</h1>
<pre>{figures}</pre>
<h2>Read wrongly: {count}</h2>
<table><thead><tr><th>image<th>file<th>label<th>read<th>confidence</thead>
<tbody>
{errors}
</tbody></table>
</html>
"""


def _data_url(image: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def evaluate(
    recognizer: Recognizer,
    folder: str | os.PathLike[str],
    *,
    on_error: str = "raise",
    progress: bool | None = None,
) -> Evaluation:
    """Read every image of a folder and compare with the labels.

    Args:
        recognizer: The reader, from `captcha_helpers.load` or `captcha_helpers.train`.
        folder: Images with the labels in their names or in a ``labels.csv``.
        on_error: ``"raise"`` or ``"skip"``: what to do about images that cannot be read.
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
    begun = time.perf_counter()
    # Where the reader ignores case, so does the comparison.
    data = replace(data, labels=[recognizer.decoder.as_written(label) for label in data.labels])
    readings = []
    for start in range(0, len(data), 64):
        readings += recognizer.read_prepared(data.images[start : start + 64])
    seconds = time.perf_counter() - begun
    texts = [reading.text for reading in readings]
    return Evaluation(
        score=metrics.score(data.labels, texts),
        seconds=seconds,
        per_position=metrics.per_position_accuracy(data.labels, texts),
        confusions=metrics.confusions(data.labels, texts).most_common(MOST_CONFUSIONS),
        data=data,
        readings=readings,
    )


def write_report(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write `Evaluation.report_html` to a file."""
    write_bytes(path, evaluation.report_html().encode())
