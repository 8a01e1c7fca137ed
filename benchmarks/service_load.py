"""The HTTP service under load: requests a second, waiting times, memory, wrong answers.

    python benchmarks/service_load.py --requests 50000 --json benchmarks/service_load.json

Starts the service itself, on a free port of this machine and for this machine alone. Images are
drawn, and what the same reader says of each, on its own, is the right answer. Then 1, 8 and 64
clients ask, each as soon as it has its last answer. Memory is the service's after the first 1,000
requests and after all. The clients take part of the CPU too.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

import captcha_helpers as ch

CLIENTS = {1: 0.1, 8: 0.3, 64: 0.6}  # clients: their share of all requests
FIRST = 1000
SERVE = "import sys; from captcha_helpers.serving.app import serve; serve(sys.argv[1], port=0)"


def requests_and_answers(model: str, images: int) -> list[tuple[bytes, str]]:
    """Draw images; give requests that send them, and what the reader says of them."""
    reader, pairs = ch.load(model), []
    for pixels in ch.generate("stars", images, seed=0)[0]:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        head = (
            "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            f"Content-Length: {file.tell()}\r\n\r\n"
        )
        pairs.append((head.encode() + file.getvalue(), reader.read(file.getvalue()).text))
    return pairs


async def client(
    port: int, pairs: list[tuple[bytes, str]], tickets: list[int], seconds: list[float]
) -> int:
    """Ask over one connection while there are tickets; give the number of wrong answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wrong = 0
    while tickets:
        request, text = pairs[tickets.pop() % len(pairs)]
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        seconds.append(time.perf_counter() - begun)
        wrong += b" 200 " not in head[:13] or json.loads(body)["text"] != text
    writer.close()
    return wrong


async def measure(
    port: int, pairs: list[tuple[bytes, str]], clients: int, requests: int
) -> dict[str, float]:
    """Let some clients send some requests."""
    tickets, seconds = list(range(requests)), []
    begun = time.perf_counter()
    wrong = await asyncio.gather(*(client(port, pairs, tickets, seconds) for _ in range(clients)))
    took = time.perf_counter() - begun
    middle, late = 1000 * np.quantile(seconds, (0.5, 0.99))
    return {
        "clients": clients,
        "requests": requests,
        "requests_per_second": requests / took,
        "p50_ms": middle,
        "p99_ms": late,
        "wrong_answers": sum(wrong),
    }


def memory(port: int) -> float:
    """Resident memory of the service, in bytes, as it says itself (on Linux)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        found = re.search(r"^process_resident_memory_bytes (\S+)$", answer.read().decode(), re.M)
    return float(found[1]) if found else float("nan")


def load_test(port: int, pairs: list[tuple[bytes, str]], requests: int) -> dict[str, object]:
    """Measure, and print what comes out."""
    asyncio.run(measure(port, pairs, max(CLIENTS), FIRST))  # batches of every size
    report: dict[str, object] = {"cores": os.cpu_count(), "bytes_after_1000": memory(port)}
    rows = []
    for clients, share in CLIENTS.items():
        row = asyncio.run(measure(port, pairs, clients, max(clients, int(share * requests))))
        rows.append(row)
        print(
            f"{clients:3} clients  {row['requests']:6} requests  "
            f"{row['requests_per_second']:7.1f}/s   p50 {row['p50_ms']:7.1f} ms   "
            f"p99 {row['p99_ms']:7.1f} ms   {row['wrong_answers']} wrong",
            flush=True,
        )
    report |= {"bytes_after_all": memory(port), "load": rows}
    print(
        f"memory after {FIRST:,} requests {report['bytes_after_1000'] / 1e6:.1f} MB, "
        f"after {FIRST + requests:,} {report['bytes_after_all'] / 1e6:.1f} MB"
    )
    return report


def main() -> int:
    """Start the service, measure, stop it; 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="gradient", help="default: gradient")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pairs = requests_and_answers(options.model, options.images)
    service = subprocess.Popen(
        [sys.executable, "-c", SERVE, options.model], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", service.stdout.readline())[1])
        report = load_test(port, pairs, options.requests)
    finally:
        service.terminate()
        service.wait()
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(row["wrong_answers"] for row in report["load"]))


if __name__ == "__main__":
    sys.exit(main())
