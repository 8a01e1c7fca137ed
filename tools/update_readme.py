"""Put ``results/*.json`` and two benchmarks into the tables of the READMEs.

``make readme`` writes them between ``<!-- results:start -->`` and ``<!-- results:end -->``, and
between the same of ``zero_labels`` and ``readers``;
``python -m tools.update_readme --check`` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from captcha_helpers.results import format_table, load_results
from tools.languages import READMES
from tools.markers import fill

ZERO_LABELS = Path("benchmarks", "zero_labels.json")
READERS = Path("benchmarks", "readers.json")

Figure = Callable[[list[dict[str, Any]]], str]
FIGURES: dict[str, Figure] = {  # of a reader, from its rows
    "mean": lambda rows: f"{mean(row['exact_match'] for row in rows):.1%}",
    "MB": lambda rows: f"{rows[0]['bytes'] / 1e6:.1f}",
    "CPU ms": lambda rows: f"{median(row['cpu_ms'] for row in rows):.0f}",
}


def without_labels(root: Path) -> list[dict[str, str]]:
    """The figures of `ZERO_LABELS`: a row for each set, a column for each reader.

    Below the sets stand their mean, the size of the network in megabytes, and CPU milliseconds an
    image (median of the sets).
    """
    rows = json.loads((root / ZERO_LABELS).read_text(encoding="utf-8"))
    table: dict[str, dict[str, str]] = {}
    by_reader: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        line = table.setdefault(row["set"], {"set": f"{row['set']} (n = {row['n']})"})
        line[row["reader"]] = f"{row['exact_match']:.1%}"
        by_reader.setdefault(row["reader"], []).append(row)
    for name, figure in FIGURES.items():
        shown = {reader: figure(measured) for reader, measured in by_reader.items()}
        table[name] = {"set": name} | shown
    return list(table.values())


def fully_trained(root: Path) -> list[dict[str, object]]:
    """The rows of `READERS` of the longest training of each reader, with its CPU-seconds."""
    rows = json.loads((root / READERS).read_text(encoding="utf-8"))
    last = {(row["set"], row["reader"]): row | {"seconds": row["cpu"]} for row in rows}
    return list(last.values())


def outdated(root: Path) -> dict[Path, str]:
    """Compare the READMEs of a clone with its results.

    Args:
        root: The clone's root.

    Returns:
        The files whose table is not what the results say, each with the text it should have.

    Raises:
        ValueError: If a README has no markers, or a results file is broken.
    """
    rows = load_results(root / "results")
    unlabelled, trained = without_labels(root), fully_trained(root)
    columns = {name: name for name in dict.fromkeys(key for row in unlabelled for key in row)}
    stale = {}
    for name, language in READMES.items():
        path = root / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            new = fill(
                text, "results", format_table(rows, markdown=True, headings=language.results), name
            )
            columns["set"] = language.benchmarks["set"]
            table = format_table(unlabelled, markdown=True, headings=columns)
            new = fill(new, "zero_labels", table, name)
            table = format_table(trained, markdown=True, headings=language.benchmarks)
            new = fill(new, "readers", table, name)
            if new != text:
                stale[path] = new
    return stale


def main() -> None:
    """Run from the clone's root; ``--check`` writes nothing and exits 1 if a table is stale."""
    try:
        stale = outdated(Path.cwd())
    except ValueError as error:
        sys.exit(str(error))
    names = ", ".join(path.name for path in stale)
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"out of date: {names}; run make readme")
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    print("changed:", names or "nothing, the tables are up to date")


if __name__ == "__main__":
    main()
