"""Put ``results/*.json`` and two benchmarks into the tables of the READMEs.

``make readme`` writes them between ``<!-- results:start -->`` and ``<!-- results:end -->``, and
between the same of ``zero_labels`` and ``readers``;
``python -m tools.update_readme --check`` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from captcha_helpers.results import format_table, load_results
from tools.languages import READMES
from tools.markers import fill

ZERO_LABELS = Path("benchmarks", "zero_labels.json")
READERS = Path("benchmarks", "readers.json")


def without_labels(root: Path) -> list[dict[str, object]]:
    """The rows of `ZERO_LABELS` without the seconds, which are wall time there."""
    rows = json.loads((root / ZERO_LABELS).read_text(encoding="utf-8"))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


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
    benchmarks = {"zero_labels": without_labels(root), "readers": fully_trained(root)}
    stale = {}
    for name, language in READMES.items():
        path = root / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            new = fill(
                text, "results", format_table(rows, markdown=True, headings=language.results), name
            )
            for marker, measured in benchmarks.items():
                table = format_table(measured, markdown=True, headings=language.benchmarks)
                new = fill(new, marker, table, name)
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
