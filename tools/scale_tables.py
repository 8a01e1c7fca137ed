"""The tables on more than one machine: what was measured, and what is calculated from it.

Drawing and reading are measured by ``benchmarks/scale.py``, training in two processes by
``benchmarks/parallel_training.py``. How many images a second a pre-training sees is in the
histories of two rounds of `general`: one on a GPU, one on two CPU cores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

SCALE = Path("benchmarks", "scale.json")
TOGETHER = Path("benchmarks", "parallel_training.json")
ON_GPU = Path("benchmarks", "pretraining", "round_1.json")  # one H100
ON_CPU = Path("benchmarks", "pretraining", "round_4.json")

LARGE_JOBS = {"draw": 100_000_000, "read": 50_000_000}  # images
SEEN = 100_000_000  # images of a pre-training, each as often as it is shown
CORES_OF_ROUND = 2  # that `ON_CPU` had
EFFICIENCY_OF_GPUS = 0.9  # assumed: several were never tried
SCALE_COLUMNS = ("job", "command", "hourly", "note", "cpu", "load")
BASE_COLUMNS = ("job", "each_second", "of_several")
CORES_COLUMNS = ("cores", "draw_minutes", "read_minutes", "train_hours")
GPUS_COLUMNS = ("gpus", "train_minutes")
TOGETHER_HEADINGS = {
    "reader": "Reader",
    "processes": "Processes",
    "cores": "Cores in all",
    "exact_match": "Exact match",
    "exact_match_ci95": "95 % interval",
    "steps": "Steps a second",
    "cpu": "CPU-seconds a step",
}


class OnCluster(NamedTuple):
    """Images an hour in the best round of `SCALE`, by the number of workers; 0 is without Ray."""

    hourly: dict[int, float]
    cpu: dict[int, float]  # seconds for 1,000 images
    load: dict[int, float]

    @property
    def efficiency(self) -> float:
        """What each of two workers does, as a share of what one does alone."""
        return self.hourly[2] / (2 * self.hourly[1])


class Training(NamedTuple):
    """Images that a pre-training sees a second, and what each of two processes is worth."""

    of_a_core: float
    of_a_gpu: float
    efficiency: float


def on_a_cluster(root: Path) -> dict[str, OnCluster]:
    """The figures of `SCALE`, of each job."""
    jobs = {job: OnCluster({}, {}, {}) for job in LARGE_JOBS}
    timed = [row for row in _read(root / SCALE)["rows"] if row["job"] in jobs]
    for row in sorted(timed, key=lambda row: row["images"] / row["seconds"]):
        jobs[row["job"]].hourly[row["workers"]] = 3600 * row["images"] / row["seconds"]
        jobs[row["job"]].cpu[row["workers"]] = 1000 * row["cpu"] / row["images"]
        jobs[row["job"]].load[row["workers"]] = row["load"]
    return jobs


def of_a_training(root: Path) -> Training:
    """The figures of `ON_GPU` and `ON_CPU`, with the efficiency of two processes."""
    gpu, cpu = (
        median(line["per_second"] for line in _read(root / file)) for file in (ON_GPU, ON_CPU)
    )
    return Training(cpu / CORES_OF_ROUND, gpu, _efficiency(_read(root / TOGETHER)))


def _efficiency(report: Mapping[str, Any]) -> float:
    """What each of two processes on a core each does, as a share of what one does alone."""
    on_one = [row for row in report["fast"] if row["cores_of_each"] == 1]
    alone, both = ([row for row in on_one if row["processes"] == count] for count in (1, 2))
    one, two = (max(row["steps_a_second"] for row in rows) for rows in (alone, both))
    return float(two / (2 * one))


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


def calculated_from(
    jobs: Mapping[str, OnCluster], training: Training, words: Mapping[str, str]
) -> list[dict[str, str]]:
    """What `more_cores` and `more_gpus` take from the measurements, in the words of a language."""
    figures = {
        words[job]: (found.hourly[1] / 3600, f"{min(1, found.efficiency):.2f}")
        for job, found in jobs.items()
    }
    figures[words["train_cores"]] = training.of_a_core, f"{min(1, training.efficiency):.2f}"
    figures[words["train_gpus"]] = training.of_a_gpu, words["assumed"].format(EFFICIENCY_OF_GPUS)
    return [
        {"job": job, "each_second": f"{float(f'{rate:.3g}'):,.0f}", "of_several": efficiency}
        for job, (rate, efficiency) in figures.items()
    ]


def more_cores(jobs: Mapping[str, OnCluster], training: Training) -> list[dict[str, str]]:
    """What is calculated for CPUs: the time of `LARGE_JOBS` and of `SEEN`, by number of cores."""
    rows = []
    for cores in (10, 100, 1000):
        row = {"cores": f"{cores:,}"}
        for job, images in LARGE_JOBS.items():
            hourly = jobs[job].hourly[1] * cores * min(1, jobs[job].efficiency)
            row[f"{job}_minutes"] = _two_digits(60 * images / hourly)
        seen = training.of_a_core * cores * min(1, training.efficiency)
        row["train_hours"] = _two_digits(SEEN / seen / 3600)
        rows.append(row)
    return rows


def more_gpus(training: Training) -> list[dict[str, str]]:
    """What is calculated for GPUs: the time of `SEEN`, by the number of them."""
    rows = []
    for gpus in (1, 2, 4, 8):
        seen = training.of_a_gpu * gpus * (1 if gpus == 1 else EFFICIENCY_OF_GPUS)
        rows.append({"gpus": str(gpus), "train_minutes": _two_digits(SEEN / seen / 60)})
    return rows


def together_table(root: Path) -> list[dict[str, Any]]:
    """The figures of `TOGETHER`: every training that was compared, and the best of each timing."""
    report = _read(root / TOGETHER)
    learned = [
        _together_row("small", 2, row)  # cores, which the processes share
        | {"exact_match": row["exact_match"], "exact_match_ci95": row["ci95"]}
        for row in report["learned"]
    ]
    best: dict[tuple[int, int], Mapping[str, Any]] = {}
    for row in sorted(report["fast"], key=lambda row: row["steps_a_second"]):
        best[row["processes"], row["cores_of_each"]] = row
    timed = [
        _together_row("general", processes * cores, best[processes, cores])
        for processes, cores in sorted(best, key=lambda one: (one[0] * one[1], one))
    ]
    return [*learned, *timed]


def _together_row(reader: str, cores: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reader": reader,
        "processes": str(row["processes"]),
        "cores": str(cores),
        "steps": f"{row['steps_a_second']:.2f}",
        "cpu": f"{row['core_seconds_a_step']:.2f}",
    }


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
