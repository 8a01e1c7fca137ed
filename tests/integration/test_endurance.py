"""A campaign of ends and faults, seeded and bounded in time; `make soak` runs it for long."""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from captcha_helpers import export, load, write_dataset
from tests.patience import end_of
from tests.servers import picture, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals"),
]

SECONDS = float(os.environ.get("CAPTCHA_HELPERS_SOAK", "8"))
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
CLIENTS = 16


def run_and_end(
    arguments: list[object], dice: random.Random, longest: float
) -> tuple[int, signal.Signals | None]:
    """Run a command and perhaps end it at a random moment; gives its exit code and with what."""
    command = [sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=dice.uniform(0.3, longest))
        return process.returncode, None
    end = dice.choice(ENDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, end)
    _, said = end_of(process)
    if end != signal.SIGKILL and "Traceback" not in said:  # not while Python itself begins
        assert said.count("\n") <= 1, said
    return process.returncode, end


def check_code(code: int, end: signal.Signals | None) -> None:
    """It ended by itself, or its exit code tells the signal, as a shell or as the system does."""
    assert code == 0 or (end is not None and code in (128 + end, -end)), (code, end)


def test_generate_ended_at_random_moments_gives_the_same_bytes(
    tmp_path: Path, figures: dict[str, str]
):
    dice, stop = random.Random(1), time.monotonic() + SECONDS
    ends: Counter[str] = Counter()
    sets = 0
    while time.monotonic() < stop:
        whole, folder, seed = tmp_path / f"whole{sets}", tmp_path / f"ended{sets}", sets
        write_dataset("slanted", whole, 150, seed=seed, progress=False)
        arguments = ["generate", "slanted", "--count", 150, "--seed", seed]
        arguments += ["--workers", dice.choice([1, 1, 2]), "--out", folder]
        for _ in range(20):
            code, end = run_and_end(arguments, dice, longest=2.5)
            check_code(code, end)
            if code == 0:
                break
            ends[end.name] += 1
        else:
            subprocess.run(
                [sys.executable, "-m", "captcha_helpers", *map(str, arguments)], check=True
            )
        assert contents(folder) == contents(whole)
        shutil.rmtree(whole)
        shutil.rmtree(folder)
        sets += 1
    assert sets
    figures["data sets that `generate` was kept from drawing, all the same bytes in the end"] = (
        f"{sets} sets, ended {sum(ends.values())} times ({told(ends)})"
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def test_export_ended_at_random_moments_leaves_an_export(tmp_path: Path, figures: dict[str, str]):
    out, image = tmp_path / "out", picture("1234", size=(104, 32))
    export("stars", out, formats=["onnx"])
    expected = load(out / "model.onnx").read(image).text
    dice, stop = random.Random(2), time.monotonic() + SECONDS
    ends: Counter[str] = Counter()
    runs = 0
    while time.monotonic() < stop or not runs:
        arguments = ["export", "stars", "--to", "onnx", "--overwrite", "--out", out]
        code, end = run_and_end(arguments, dice, longest=8)
        check_code(code, end)
        if code:
            ends[end.name] += 1
        left = [path for path in tmp_path.iterdir() if path != out]
        if end == signal.SIGKILL:  # which nothing can be done about
            for path in left:
                shutil.rmtree(path)
        else:
            assert not left, (end, left)
        assert json.loads((out / "metadata.json").read_text())["files"]
        assert load(out / "model.onnx").read(image).text == expected
        runs += 1
    figures["exports over an earlier one, of which one or the other is there in the end"] = (
        f"{runs} runs, ended {sum(ends.values())} times ({told(ends)})"
    )


def test_the_service_under_load_and_faults(figures: dict[str, str]):
    statuses: Counter[str] = Counter()
    with serving(queue_size=64) as (url, _), ThreadPoolExecutor(CLIENTS + 1) as pool:
        address, stop = url.removeprefix("http://"), time.monotonic() + SECONDS
        pool.submit(send_faults, address, random.Random(0), time.monotonic() + 1).result()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        health = pool.submit(ask_for_health, address, stop)
        clients = [
            pool.submit(send_faults, address, random.Random(n), stop) for n in range(CLIENTS)
        ]
        for client in clients:
            statuses += client.result()
        longest = health.result()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert not [status for status in statuses if status in ("500", "502", "504")], statuses
    assert statuses["200"] > 20
    assert longest < 10 and grown < 300  # a minute where one request holds up all
    figures[f"requests of {CLIENTS} clients, good, damaged and broken off, by their answers"] = (
        f"{sum(statuses.values()):,} ({told(statuses)}); /healthz within {longest:.2f} s, "
        f"{grown} MB more"
    )


def send_faults(address: str, dice: random.Random, stop: float) -> Counter[str]:
    """Send what comes to mind until the time is over; count the answers."""
    found: Counter[str] = Counter()
    while time.monotonic() < stop:
        text = f"{dice.randrange(10_000):04}"
        image = picture(text, dice.choice(["PNG", "JPEG", "GIF", "BMP", "WEBP"]))
        kind = dice.choice(["good"] * 4 + ["cut", "flipped", "method", "broken off", "noise"])
        if kind in ("broken off", "noise"):
            found[kind] += 1
            with suppress(OSError):
                break_off(address, image if kind == "broken off" else dice.randbytes(300))
            continue
        if kind == "cut":
            image = image[: dice.randrange(1, len(image))]
        elif kind == "flipped":
            place = dice.randrange(len(image))
            image = image[:place] + bytes([image[place] ^ 255]) + image[place + 1 :]
        connection = http.client.HTTPConnection(address, timeout=120)
        connection.request("GET" if kind == "method" else "POST", "/predict", image)
        answer = connection.getresponse()
        body = json.load(answer)
        connection.close()
        found[str(answer.status)] += 1
        assert answer.status == 200 or body["detail"]
        if kind == "good" and answer.status == 200:
            assert body["text"] == text
    return found


def break_off(address: str, data: bytes) -> None:
    host, port = address.split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n"
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(data if len(data) == 300 else head + data)


def ask_for_health(address: str, stop: float) -> float:
    """Ask whether it works until the time is over; gives the longest wait in seconds."""
    longest = 0.0
    while time.monotonic() < stop:
        begun = time.monotonic()
        connection = http.client.HTTPConnection(address, timeout=120)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.02)
    return longest
