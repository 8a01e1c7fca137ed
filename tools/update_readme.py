"""Put ``results/*.json`` and the benchmarks into the tables of the READMEs and of their pages.

``make readme`` writes each between two comments, ``<!-- results:start -->`` and
``<!-- results:end -->`` for example: ``best`` and ``comparison`` into a README; ``results``,
``zero_labels``, ``few_labels``, ``readers`` and ``more_labels``, from which those are taken, into
the page of results; ``scale`` and ``more_cores`` into the page on work on more than one machine;
``held_out``, ``worst_looks`` and ``standing`` into that on pre-training, which is in English only.
``python -m tools.update_readme --check`` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from captcha_helpers.results import format_table, load_results
from tools.languages import ENGLISH, READMES
from tools.markers import fill
from tools.pretraining_tables import of_the_general_reader

ZERO_LABELS = Path("benchmarks", "zero_labels.json")
FEW_LABELS = Path("benchmarks", "few_labels.json")
READERS = Path("benchmarks", "readers.json")
MORE_LABELS = Path("benchmarks", "more_labels.json")
SCALE = Path("benchmarks", "scale.json")

SHORT = ("notebook", "style", "exact_match", "exact_match_ci95", "n")
COMPARED = ("reader", "labels", "seconds", "exact_match", "exact_match_ci95", "n")
REAL, ALWAYS = "captcha_v2", ("ours", "ddddocr")

LARGE_JOBS = {"draw": 100_000_000, "read": 50_000_000}  # images
SCALE_COLUMNS = ("job", "command", "hourly", "note", "cpu", "load")
CORES_COLUMNS = ("cores", "draw_minutes", "read_minutes")

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


class OnCluster(NamedTuple):
    """Images an hour in the best round of `SCALE`, by the number of workers; 0 is without Ray."""

    hourly: dict[int, float]
    cpu: dict[int, float]  # seconds for 1,000 images
    load: dict[int, float]

    @property
    def efficiency(self) -> float:
        """What each of two workers does, as a share of what one does alone."""
        return self.hourly[2] / (2 * self.hourly[1])


def on_a_cluster(root: Path) -> dict[str, OnCluster]:
    """The figures of `SCALE`, of each job."""
    report = json.loads((root / SCALE).read_text(encoding="utf-8"))
    jobs = {job: OnCluster({}, {}, {}) for job in LARGE_JOBS}
    timed = [row for row in report["rows"] if row["job"] in jobs]
    for row in sorted(timed, key=lambda row: row["images"] / row["seconds"]):
        jobs[row["job"]].hourly[row["workers"]] = 3600 * row["images"] / row["seconds"]
        jobs[row["job"]].cpu[row["workers"]] = 1000 * row["cpu"] / row["images"]
        jobs[row["job"]].load[row["workers"]] = row["load"]
    return jobs


def scale_table(jobs: Mapping[str, OnCluster], words: Mapping[str, str]) -> list[dict[str, str]]:
    """What was measured, in the words of a language: a row for each job and number of workers."""
    table = []
    for job, found in jobs.items():
        more = found.hourly[0] / found.hourly[1] - 1
        said = {
            words["plain"]: "",
            words["one"]: words["more"].format(100 * more),
            words["two"]: words["efficiency"].format(found.efficiency),
        }
        for workers, (command, note) in enumerate(said.items()):
            table.append(
                {
                    "job": words[job],
                    "command": command,
                    "hourly": f"{found.hourly[workers] / 1e6:.2f}",
                    "note": note,
                    "cpu": f"{found.cpu[workers]:.2f}",
                    "load": f"{found.load[workers]:.1f}",
                }
            )
    return table


def more_cores(jobs: Mapping[str, OnCluster]) -> list[dict[str, str]]:
    """What is calculated from it: minutes for `LARGE_JOBS`, a row for each number of cores."""
    rows = []
    for cores in (10, 100, 1000):
        row = {"cores": f"{cores:,}"}
        for job, images in LARGE_JOBS.items():
            hourly = jobs[job].hourly[1] * cores * min(1, jobs[job].efficiency)
            row[f"{job}_minutes"] = f"{float(f'{60 * images / hourly:.2g}'):g}"  # two digits
        rows.append(row)
    return rows


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
    jobs = on_a_cluster(root)
    amounts = {name for row in little for name in row} - {"set"}
    columns = {name: name for name in dict.fromkeys(key for row in unlabelled for key in row)}
    moments = {name for row in more for name in row} - {"reader", "labels"}
    stale = {}
    for name, language in READMES.items():
        short = {key: language.results[key] for key in SHORT} | {"n": "n"}
        columns["set"] = language.benchmarks["set"]
        many = {key: language.benchmarks[key] for key in ("reader", "labels")}
        many |= {name: name for name in sorted(moments, key=lambda name: int(name.split()[0]))}
        by_amount = {"set": language.benchmarks["set"]}
        by_amount |= {name: f"{int(name):,}" for name in sorted(amounts, key=int)}
        few = {key: text for key, text in language.benchmarks.items() if key in COMPARED}
        tables: dict[str, Tables] = {
            name: {"best": (best_of_each(rows), short), "comparison": (compared(trained), few)},
            f"{language.pages}/results.md": {
                "results": (rows, language.results),
                "zero_labels": (unlabelled, columns),
                "few_labels": (little, by_amount),
                "readers": (trained, language.benchmarks),
                "more_labels": (more, many),
            },
            f"{language.pages}/scale.md": _on_more_machines(jobs, language.scale),
        }
        if language is ENGLISH:
            tables["docs/pretraining.md"] = of_the_general_reader(root)
        for file, contents in tables.items():
            new = text = (root / file).read_text(encoding="utf-8")
            for marker, (shown, headings) in contents.items():
                table = format_table(shown, markdown=True, headings=headings)
                new = fill(new, marker, table.replace(" %", language.percent), file)
            if new != text:
                stale[root / file] = new
    return stale


def _on_more_machines(jobs: Mapping[str, OnCluster], words: Mapping[str, str]) -> Tables:
    return {
        "scale": (scale_table(jobs, words), {name: words[name] for name in SCALE_COLUMNS}),
        "more_cores": (more_cores(jobs), {name: words[name] for name in CORES_COLUMNS}),
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
