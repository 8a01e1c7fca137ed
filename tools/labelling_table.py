"""The table of docs/labelling.md: what it costs to label, and what that brings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LABELLING = Path("benchmarks", "labelling.json")
ENOUGH = 0.95, 0.99  # of the other images

COLUMNS = ("set", "order", "corrected", "keys", "minutes", "before", "after", "95", "99")


def labelling_table(root: Path, words: Mapping[str, str]) -> list[dict[str, str]]:
    """The figures of `LABELLING`: a row for each set and order of the images, with all labels.

    Args:
        root: The clone's root.
        words: The headings, the orders by their names, and how a text says how much it took.

    Returns:
        The rows, with the columns `COLUMNS`.
    """
    measured: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for line in (root / LABELLING).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        measured.setdefault((row["set"], row["order"]), {})[row["labels"]] = row
    table = []
    for (name, order), rows in measured.items():
        first, last = rows[0], rows[max(rows)]
        low, high = last["ci95"]
        table.append(
            {
                "set": f"{name} (n = {last['n']:,})",
                "order": words[order],
                "corrected": words["of"].format(last["corrected"], last["labels"]),
                "keys": words["instead"].format(last["keys"], last["keys_without_guesses"]),
                "minutes": f"{last['minutes']:.1f}",
                "before": f"{100 * first['exact_match']:.1f} %",
                "after": f"{100 * last['exact_match']:.1f} % ({100 * low:.1f}–{100 * high:.1f})",
                **{f"{100 * enough:.0f}": _until(enough, rows, words) for enough in ENOUGH},
            }
        )
    return table


def _until(enough: float, rows: Mapping[int, Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """How many labels and keystrokes it took until so much was read, of those measured."""
    reached: Sequence[Mapping[str, Any]] = [
        rows[labels] for labels in sorted(rows) if rows[labels]["exact_match"] >= enough
    ]
    if not reached:
        return "–"
    return words["took"].format(reached[0]["labels"], reached[0]["keys"], reached[0]["minutes"])
