"""What each notebook measured: JSON files in ``results/`` in, one table out.

``python -m captcha_helpers.results`` prints the table.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from captcha_helpers import __version__
from captcha_helpers.core.files import write_bytes

Row = Mapping[str, Any]

REQUIRED = ("model", "style", "n", "exact_match", "exact_match_ci95", "cer")

HEADINGS = {
    "notebook": "Notebook",
    "model": "Model",
    "style": "Style",
    "exact_match": "Exact match",
    "exact_match_ci95": "95 % interval",
    "cer": "CER",
    "n": "Test images",
    "train_images": "Training images",
    "parameters": "Parameters",
    "seconds": "Training, s",
}


def results_folder() -> Path:
    """Say where results are kept.

    Returns:
        The folder named by the environment variable ``CAPTCHA_HELPERS_RESULTS``; without it, the
        ``results`` folder of the clone if you are in its root or in its ``notebooks`` folder (or
        the one of another language); else ``results`` in the current folder.
    """
    if chosen := os.environ.get("CAPTCHA_HELPERS_RESULTS"):
        return Path(chosen)
    here = Path.cwd()
    root = here.parent if here.name.startswith("notebooks") else here
    is_clone = (root / "captcha_helpers").is_dir() and (root / "pyproject.toml").is_file()
    return (root if is_clone else here) / "results"


def save_result(
    notebook: str, rows: Row | Sequence[Row], folder: str | os.PathLike[str] | None = None
) -> Path:
    """Write what a notebook measured to ``<folder>/<notebook>.json``, replacing it at once.

    Args:
        notebook: The notebook's file name without ``.ipynb``, for example ``"03_crnn_ctc"``. Only
            names that start with two digits and an underscore are in the table.
        rows: One dictionary a model, or a single one, with at least ``model``, ``style``, ``n``,
            ``exact_match``, ``exact_match_ci95`` and ``cer``. NumPy numbers are fine. Of further
            keys, ``seconds``, ``parameters`` and ``train_images`` are shown in the table.
        folder: Where to; `results_folder` unless told. It is made if it does not exist.

    Returns:
        The file's path.

    Raises:
        ValueError: If a required key is missing, a share is not in 0–1, or the name has a folder
            or an ending.

    Example:
        >>> import tempfile
        >>> row = {"model": "cnn", "style": "classic", "n": 1000, "exact_match": 0.95,
        ...        "exact_match_ci95": (0.935, 0.962), "cer": 0.0125}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_result("02_cnn", row, folder).name
        '02_cnn.json'
    """
    if not notebook or notebook != Path(notebook).stem:
        raise ValueError(
            f"notebook must be a file name without folder and ending, such as '03_crnn_ctc', "
            f"received {notebook!r}"
        )
    rows = [rows] if isinstance(rows, Mapping) else list(rows)
    if not rows:
        raise ValueError("nothing to save: the list of rows is empty")
    for row in rows:
        _check(row)
    folder = results_folder() if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"notebook": notebook, "versions": _versions(), "rows": [dict(row) for row in rows]}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    path = folder / f"{notebook}.json"
    write_bytes(path, f"{text}\n".encode())
    return path


def load_results(folder: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Read all rows of a folder, each with its ``notebook``, in the order of the file names.

    Files whose name does not start with two digits and an underscore are not looked at.

    Args:
        folder: Where from; `results_folder` unless told.

    Returns:
        The rows; an empty list if there is no such folder or nothing in it.

    Raises:
        ValueError: If a file is not what `save_result` writes; the message names it.
    """
    folder = results_folder() if folder is None else Path(folder)
    rows = []
    for path in sorted(folder.glob("[0-9][0-9]_*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = [{"notebook": content["notebook"], **row} for row in content["rows"]]
            for row in found:
                _check(row)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path.name} is not a results file ({error}); delete it and run its notebook again"
            ) from error
        rows += found
    return rows


def format_table(
    rows: Iterable[Row], *, markdown: bool = False, headings: Mapping[str, str] = HEADINGS
) -> str:
    """Lay rows out as a table; a column that no row has is left out.

    Args:
        rows: As `load_results` returns them.
        markdown: Draw a Markdown table instead of plain text.
        headings: Keys to show, in this order, with the heading of each.

    Returns:
        The table, without a line break at its end.

    Example:
        >>> print(format_table([{"model": "cnn", "exact_match": 0.95, "n": 1000},
        ...                     {"model": "crnn", "exact_match": 0.985, "n": 1000}]))
        Model  Exact match  Test images
        -----  -----------  -----------
        cnn         95.0 %        1,000
        crnn        98.5 %        1,000
    """
    rows = list(rows)
    keys = [key for key in headings if any(key in row for row in rows)]
    if not keys:
        return "no results yet: run the notebooks first (make notebooks)"
    cells = [[_show(key, row.get(key)) for key in keys] for row in rows]
    numeric = [all(not isinstance(row.get(key), str) for row in rows) for key in keys]
    titles = [headings[key] for key in keys]
    widths = [max(map(_width, column)) for column in zip(titles, *cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = [
            " " * (width - _width(text)) + text if right else text + " " * (width - _width(text))
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    rule = [
        "-" * (width - 1) + (":" if right and markdown else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join(map(line, [titles, rule, *cells]))


def _check(row: Row) -> None:
    if missing := [key for key in REQUIRED if key not in row]:
        raise ValueError(f"a row of results lacks {', '.join(missing)}: {dict(row)}")
    shares = [row["exact_match"], *row["exact_match_ci95"]]
    if len(shares) != 3 or not all(0 <= share <= 1 for share in shares):
        raise ValueError(
            "exact_match must be a share (0–1) and exact_match_ci95 two of them, received "
            f"{row['exact_match']} and {row['exact_match_ci95']}"
        )


def _plain(value: Any) -> Any:
    """Turn a NumPy number or array into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"results can hold numbers, text and lists, not {type(value).__name__}")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "captcha_helpers": __version__}
    for name in ("tensorflow", "keras"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    return versions


def _show(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if key == "exact_match_ci95":
        return f"{100 * value[0]:.1f}–{100 * value[1]:.1f} %"
    if key in ("exact_match", "exact_match_ignore_case", "cer"):
        return f"{100 * value:.{2 if key == 'cer' else 1}f} %"
    return value if isinstance(value, str) else f"{value:,.0f}"


def _width(text: str) -> int:
    """Columns that a text takes in a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


if __name__ == "__main__":
    print(format_table(load_results()))
