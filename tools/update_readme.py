"""Put ``results/*.json`` and the benchmarks into the tables of the READMEs and of their pages.

``make readme`` writes each between two comments, ``<!-- results:start -->`` and
``<!-- results:end -->`` for example: ``best`` and ``comparison`` into a README; ``results``,
``zero_labels``, ``zero_labels_chinese``, ``few_labels``, ``readers`` and ``more_labels``, from
which those are taken, into the page of results; ``labelling`` into that on labelling; ``scale``,
``calculated_from``, ``more_cores`` and ``more_gpus`` into the page on more than one machine;
``together``, ``held_out``, ``worst_looks``, ``standing``, ``more_characters`` and ``chinese`` into
that on pre-training, which is in English only.
``python -m tools.update_readme --check`` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from captcha_helpers.results import format_table, load_results
from tools.labelling_table import COLUMNS, labelling_table
from tools.languages import ENGLISH, READMES
from tools.markers import fill
from tools.pretraining_tables import of_the_general_reader
from tools.scale_tables import (
    BASE_COLUMNS,
    CORES_COLUMNS,
    GPUS_COLUMNS,
    SCALE_COLUMNS,
    TOGETHER_HEADINGS,
    calculated_from,
    more_cores,
    more_gpus,
    of_a_training,
    on_a_cluster,
    scale_table,
    together_table,
)

ZERO_LABELS = Path("benchmarks", "zero_labels.json")
OF_CHINESE = Path("benchmarks", "zero_labels_chinese.json")
FEW_LABELS = Path("benchmarks", "few_labels.json")
READERS = Path("benchmarks", "readers.json")
MORE_LABELS = Path("benchmarks", "more_labels.json")

SHORT = ("notebook", "style", "exact_match", "exact_match_ci95", "n")
OF_A_READER = ("reader", "exact_match", "exact_match_ci95")
COMPARED = ("reader", "labels", "seconds", "exact_match", "exact_match_ci95", "n")
REAL, ALWAYS = "captcha_v2", ("ours", "ddddocr")

Row = Mapping[str, Any]
Tables = dict[str, tuple[Sequence[Row], Mapping[str, str]]]  # rows and headings, by the marker
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


def of_chinese(root: Path) -> list[dict[str, Any]]:
    """The figures of `OF_CHINESE`, of readers that know Chinese, the best one first."""
    rows = json.loads((root / OF_CHINESE).read_text(encoding="utf-8"))
    shown = [row | {name: FIGURES[name]([row]) for name in ("MB", "CPU ms")} for row in rows]
    return sorted(shown, key=lambda row: -row["exact_match"])


def from_few_labels(root: Path) -> list[dict[str, str]]:
    """The figures of `FEW_LABELS`: a row for each set, a column for each number of labels.

    Beside the share of strings read right stands the share that is so where case does not count.
    """
    table: dict[str, dict[str, str]] = {}
    for row in json.loads((root / FEW_LABELS).read_text(encoding="utf-8")):
        line = table.setdefault(row["set"], {"set": f"{row['set']} (n = {row['n']})"})
        shares = f"{100 * row['exact_match']:.1f} % / {100 * row['ignoring_case']:.1f} %"
        line[str(row["labels"])] = shares
    return list(table.values())


def fully_trained(root: Path) -> list[dict[str, Any]]:
    """The rows of `READERS` of the longest training of each reader, with its CPU-seconds."""
    rows = json.loads((root / READERS).read_text(encoding="utf-8"))
    last = {(row["set"], row["reader"]): row | {"seconds": row["cpu"]} for row in rows}
    return list(last.values())


def with_more_labels(root: Path) -> list[dict[str, str]]:
    """The figures of `MORE_LABELS`, and beside them those of the same readers in `READERS`.

    A row for each reader and number of labels, a column for the CPU-seconds at a measurement.
    """
    few, many = (
        json.loads((root / file).read_text(encoding="utf-8")) for file in (READERS, MORE_LABELS)
    )
    known = {(row["set"], row["reader"]) for row in many}
    table: dict[tuple[str, int], dict[str, str]] = {}
    for row in [*(row for row in few if (row["set"], row["reader"]) in known), *many]:
        place = row["reader"], row["labels"]
        line = table.setdefault(place, {"reader": row["reader"], "labels": row["labels"]})
        share = f"{100 * row['exact_match']:.1f} %"
        line[f"{round(row['cpu'], -1):.0f} s"] = share
    return [table[place] for place in sorted(table)]


def best_of_each(rows: Sequence[Row]) -> list[Row]:
    """The row with the highest exact match of each notebook."""
    best: dict[str, Row] = {}
    for row in rows:
        before = best.get(row["notebook"])
        if before is None or row["exact_match"] > before["exact_match"]:
            best[row["notebook"]] = row
    return list(best.values())


def compared(trained: Sequence[Row]) -> list[Row]:
    """Of the real images: our reader, the one that needs no labels, and the next two."""
    rows = [row for row in trained if row["set"] == REAL]
    others = [row for row in rows if row["reader"] not in (*ALWAYS, "ours_from_scratch")]
    next_two = sorted(others, key=lambda row: -row["exact_match"])[:2]
    return [row for row in rows if row["reader"] in ALWAYS] + next_two


def outdated(root: Path) -> dict[Path, str]:
    """Compare the READMEs and their pages with the results of a clone.

    Args:
        root: The clone's root.

    Returns:
        The files whose tables are not what the results say, each with the text it should have.

    Raises:
        ValueError: If a file has no markers, or a results file is broken.
    """
    rows = load_results(root / "results")
    unlabelled, trained = without_labels(root), fully_trained(root)
    more, little = with_more_labels(root), from_few_labels(root)
    amounts = {name for row in little for name in row} - {"set"}
    columns = {name: name for name in dict.fromkeys(key for row in unlabelled for key in row)}
    moments = {name for row in more for name in row} - {"reader", "labels"}
    stale = {}
    for name, language in READMES.items():
        short = {key: language.results[key] for key in SHORT} | {"n": "n"}
        columns["set"] = language.benchmarks["set"]
        many = {key: language.benchmarks[key] for key in ("reader", "labels")}
        many |= {name: name for name in sorted(moments, key=lambda name: int(name.split()[0]))}
        by_reader = {key: language.benchmarks[key] for key in OF_A_READER} | {"n": "n"}
        by_reader |= {"MB": "MB", "CPU ms": "CPU ms"}
        by_amount = {"set": language.benchmarks["set"]}
        by_amount |= {name: f"{int(name):,}" for name in sorted(amounts, key=int)}
        few = {key: text for key, text in language.benchmarks.items() if key in COMPARED}
        tables: dict[str, Tables] = {
            name: {"best": (best_of_each(rows), short), "comparison": (compared(trained), few)},
            f"{language.pages}/results.md": {
                "results": (rows, language.results),
                "zero_labels": (unlabelled, columns),
                "zero_labels_chinese": (of_chinese(root), by_reader),
                "few_labels": (little, by_amount),
                "readers": (trained, language.benchmarks),
                "more_labels": (more, many),
            },
            f"{language.pages}/labelling.md": {
                "labelling": (
                    labelling_table(root, language.labelling),
                    {name: language.labelling[name] for name in COLUMNS},
                ),
            },
            f"{language.pages}/scale.md": _on_more_machines(root, language.scale),
        }
        if language is ENGLISH:
            together = {"together": (together_table(root), TOGETHER_HEADINGS)}
            tables["docs/pretraining.md"] = together | of_the_general_reader(root)
        for file, contents in tables.items():
            new = text = (root / file).read_text(encoding="utf-8")
            for marker, (shown, headings) in contents.items():
                table = format_table(shown, markdown=True, headings=headings)
                new = fill(new, marker, table.replace(" %", language.percent), file)
            if new != text:
                stale[root / file] = new
    return stale


def _on_more_machines(root: Path, words: Mapping[str, str]) -> Tables:
    jobs, training = on_a_cluster(root), of_a_training(root)
    contents = {
        "scale": (scale_table(jobs, words), SCALE_COLUMNS),
        "calculated_from": (calculated_from(jobs, training, words), BASE_COLUMNS),
        "more_cores": (more_cores(jobs, training), CORES_COLUMNS),
        "more_gpus": (more_gpus(training), GPUS_COLUMNS),
    }
    return {
        marker: (rows, {name: words[name] for name in columns})
        for marker, (rows, columns) in contents.items()
    }


def main() -> None:
    """Run from the clone's root; ``--check`` writes nothing and exits 1 if a table is stale."""
    try:
        stale = outdated(Path.cwd())
    except ValueError as error:
        sys.exit(str(error))
    names = ", ".join(path.relative_to(Path.cwd()).as_posix() for path in stale)
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"out of date: {names}; run make readme")
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    print("changed:", names or "nothing, the tables are up to date")


if __name__ == "__main__":
    main()
