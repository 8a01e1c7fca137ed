"""What a cluster costs and brings: images an hour, by the plain commands and on Ray.

    python benchmarks/scale.py --json benchmarks/scale.json --plot docs/images/scale.png
    python benchmarks/scale.py --measured benchmarks/scale.json --plot docs/images/scale.png

All are the commands that people type, timed from outside, one after another: the plain one, then on
a cluster of one worker, then on one of two, in each round. The plain reading has one thread, as a
worker has. Seconds of a round are wall-clock; the best round counts, since what is slower was
disturbed by other programs. CPU-seconds of all processes of a command and its cluster, and the load
of the machine before it, are kept beside that. What the start of a cluster takes is measured apart.
`make readme` puts the best rounds into docs/scale.md, and what is calculated from them.

The picture has a third panel, training, which `benchmarks/parallel_training.py` measures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

TRAINING = Path("benchmarks", "parallel_training.json")
STYLE = "stars"
SHARD_SIZE = 2_500  # images, so that two workers end at about the same time
WORKERS = (1, 2)
ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # or other programs come before its workers, by 15
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",  # or no other process may use the cluster of this one
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on the loopback interface
    "RAY_USAGE_STATS_ENABLED": "0",
}


def seconds_of(*arguments: object) -> float:
    """Run a command of the package; give how long it took."""
    command = [sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    begun = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return time.perf_counter() - begun


def cpu_of_children() -> dict[int, float]:
    """CPU-seconds of each process that this one has started, by its number."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


@contextmanager
def cpu_counted() -> Iterator[dict[int, float]]:
    """Count the CPU-seconds of all processes meanwhile; whole when the block has ended.

    It looks again and again: nobody adds up what a worker of Ray has taken once that has ended.
    """
    first = cpu_of_children()
    last, taken, over = dict(first), {}, threading.Event()

    def watch() -> None:
        while not over.wait(0.3):
            last.update(cpu_of_children())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()
        taken.update({pid: seconds - first.get(pid, 0) for pid, seconds in last.items()})


def measured(job: str, workers: int, images: int, *arguments: object) -> dict[str, Any]:
    """Time a job; 0 workers stand for the plain command."""
    load = os.getloadavg()[0]
    with cpu_counted() as cpu:
        seconds = seconds_of(*arguments)
    row = {"job": job, "workers": workers, "images": images, "seconds": round(seconds, 2),
           "cpu": round(sum(cpu.values()), 2), "load": round(load, 2)}  # fmt: skip
    print(row, flush=True)
    return row


def one_round(folder: Path, draw: int, read: int) -> list[dict[str, Any]]:
    """Do both jobs by the plain commands and on each cluster."""
    import ray

    plain = folder / "plain"
    drawing = ("generate", STYLE, "--count", draw)
    reading = ("predict", STYLE, plain, "--limit", read)
    rows = [
        measured("draw", 0, draw, *drawing, "--out", plain),
        measured("read", 0, read, *reading, "--csv", folder / "plain.csv"),
    ]
    for workers in WORKERS:
        address, took = start_cluster(workers)
        rows.append({"job": "start", "workers": workers, "seconds": round(took, 2)})
        shards, table = folder / f"shards{workers}", folder / f"{workers}.parquet"
        on = ("--ray", address)
        size = ("--shard-size", SHARD_SIZE)
        rows.append(measured("draw", workers, draw, *drawing, *on, *size, "--out", shards))
        rows.append(measured("read", workers, read, *reading, *on, "--out", table))
        ray.shutdown()
    return rows


def start_cluster(workers: int) -> tuple[str, float]:
    """Start a cluster on this machine; give its address, and the seconds until it was there."""
    import ray

    for left in reversed(range(5)):  # a busy machine may not keep the 15 s that Ray gives itself
        begun = time.perf_counter()
        try:
            context = ray.init(
                "local", num_cpus=workers, include_dashboard=False, log_to_driver=False,
                logging_level="ERROR", object_store_memory=256 * 2**20,
            )  # fmt: skip
            break
        except Exception:
            ray.shutdown()
            if not left:
                raise
    return context.address_info["gcs_address"], time.perf_counter() - begun


def measure(count: int, read: int, rounds: int) -> dict[str, Any]:
    """Do all rounds; give the figures, and where they come from."""
    os.environ.update(ENVIRONMENT)  # which Ray reads when it is imported
    import ray

    rows = []
    for number in range(rounds):
        folder = Path(tempfile.mkdtemp())
        try:
            found = one_round(folder, count, min(read, count))
        finally:
            shutil.rmtree(folder)
        rows += [row | {"round": number} for row in found]
    return {
        "style": STYLE, "shard_size": SHARD_SIZE, "cores": os.cpu_count(),
        "python": platform.python_version(), "ray": ray.__version__, "rows": rows,
    }  # fmt: skip


def hourly(report: dict[str, Any], job: str) -> dict[str, float]:
    """Million images an hour in the best round, of the plain command and of each cluster."""
    names = {0: "plain"} | {n: f"Ray, {n} worker{'s' * (n > 1)}" for n in WORKERS}
    rows = [row for row in report["rows"] if row["job"] == job]
    return {
        name: max(3.6e-3 * row["images"] / row["seconds"] for row in rows
                  if row["workers"] == workers)
        for workers, name in names.items()
    }  # fmt: skip


def steps(training: dict[str, Any]) -> dict[str, float]:
    """Steps a second at best, of each number of processes and cores: timed, or else learned."""
    speeds: dict[str, float] = {}
    for row in training.get("fast") or training["learned"]:
        processes = row["processes"]
        cores = processes * row["cores_of_each"] if "cores_of_each" in row else 2  # of both
        name = f"{processes} process{'es' * (processes > 1)}, {cores} core{'s' * (cores > 1)}"
        speeds[name] = max(speeds.get(name, 0), row["steps_a_second"])
    return speeds


def plot(report: dict[str, Any], training: dict[str, Any], path: Path) -> None:
    """Draw how quick each job is as bars, in a panel of its own."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 13})
    figure, panels = plt.subplots(1, 3, figsize=(14, 3.2), layout="constrained")
    images = "million images an hour"
    jobs = {
        "Drawing": (hourly(report, "draw"), images),
        "Reading": (hourly(report, "read"), images),
        "Training": (steps(training), f"steps of {training['batch_size']} images a second"),
    }
    for axes, (title, (speeds, unit)) in zip(panels, jobs.items(), strict=True):
        bars = axes.barh(list(speeds), list(speeds.values()), color="tab:blue")
        axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.set(title=title, xlabel=unit)
        axes.margins(x=0.2)
        axes.invert_yaxis()
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, and write the figures and the plot."""
    parser = argparse.ArgumentParser(description="Images an hour by plain commands and on Ray.")
    parser.add_argument("--count", type=int, default=100_000, help="images to draw in a round")
    parser.add_argument("--read", type=int, help="images to read in a round (default: all)")
    parser.add_argument("--rounds", type=int, default=2, help="default: 2")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, help="draw them into this file")
    parser.add_argument("--measured", type=Path, help="take the figures from such a file")
    parser.add_argument("--training", type=Path, default=TRAINING, help="its figures, to be drawn")
    options = parser.parse_args()
    if options.measured:
        report = json.loads(options.measured.read_text(encoding="utf-8"))
    else:
        report = measure(options.count, options.read or options.count, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        training = json.loads(options.training.read_text(encoding="utf-8"))
        plot(report, training, options.plot)


if __name__ == "__main__":
    main()
