"""The tables of docs/pretraining.md, which is in English only, from benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HELD_OUT = Path("benchmarks", "held_out.json")
STANDING = Path("benchmarks", "pretraining", "standing.json")
MORE = Path("benchmarks", "pretraining", "more_characters.json")
CHINESE = Path("benchmarks", "pretraining", "chinese.json")

WORST = 12  # looks, of those that the general reader reads least of
SEEN = {"train": "seen", "held_out": "never seen"}
MEASURED = {"exact_match": "Exact match", "exact_match_ci95": "95 % interval", "n": "n"}
MEANS = {"strangers": "Six drawn folders", "real": "Four real sets"}


def of_the_general_reader(
    root: Path,
) -> dict[str, tuple[Sequence[Mapping[str, Any]], Mapping[str, str]]]:
    """The figures of `HELD_OUT`, `STANDING` and `MORE`: rows and headings, by the marker."""
    report = json.loads((root / HELD_OUT).read_text(encoding="utf-8"))
    groups = [row | {key: SEEN[row[key]] for key in ("looks", "fonts")} for row in report["groups"]]
    worst = [
        row | {"look": row["look"] + " *" * row["held_out"]} for row in report["looks"][:WORST]
    ]
    standing = [
        row | {key: f"{100 * row[key]:.1f} %" for key in MEANS}
        for row in json.loads((root / STANDING).read_text(encoding="utf-8"))["rows"]
    ]
    more = [
        row | {"group": name, "characters": len(row["characters"])}
        for name, row in json.loads((root / MORE).read_text(encoding="utf-8")).items()
    ]
    chinese = [
        row | {"seen": f"{row['seen']:,}"}
        for row in json.loads((root / CHINESE).read_text(encoding="utf-8"))[::-3][::-1]
    ]
    return {
        "chinese": (chinese, {"seen": "Images"} | MEASURED | {"cer": "CER"}),
        "more_characters": (more, {"group": "Group", "characters": "Characters"} | MEASURED),
        "held_out": (groups, {"looks": "Looks", "fonts": "Fonts"} | MEASURED),
        "worst_looks": (worst, {"look": "Look"} | MEASURED),
        "standing": (standing, {"weights": "Weights"} | MEANS | {"commit": "Commit"}),
    }
