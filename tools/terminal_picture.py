"""Record the moving picture of the READMEs: draw images, train on them, measure, read.

``make picture`` really runs the commands of `COMMANDS` in an empty folder, keeps what they print
and when, and writes ``docs/images/terminal.svg``. Waiting is shortened in the picture; what a
command really took is written below it. `npm` brings svg-term-cli, which draws the terminal.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from captcha_helpers.core.files import replacing

COMMANDS = (
    "captcha-helpers generate gradient --count 700 --test-ratio 0.7 --out images",
    "captcha-helpers train images/train --minutes 2 --out reader.keras",
    "captcha-helpers evaluate reader.keras images/test",
    "captcha-helpers predict reader.keras images/test --limit 5",
)
OUT = Path(__file__).parents[1] / "docs" / "images" / "terminal.svg"
RENDERER = "svg-term-cli@2.1.1"
COLUMNS, LINES = 126, 24
TYPING, PAUSE, END = 0.03, 1.5, 6.0  # seconds of the picture: a character, after a command, at last
LONGEST = 6.0  # of a command, in the picture
FRAME = 0.15
CLEAR = "\x1b[2J\x1b[H"

Event = tuple[float, str]  # seconds since the command began, and what it printed


def run(command: str, folder: Path) -> tuple[list[Event], float]:
    """Run a command in a terminal of its own.

    Args:
        command: What is typed.
        folder: Where.

    Returns:
        What it printed, and how long it took.

    Raises:
        RuntimeError: If it fails; the message has what it printed.
    """
    name, *arguments = shlex.split(command)
    python = [sys.executable, "-m", name.replace("-", "_"), *arguments]
    ours, its = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    begin = time.monotonic()
    process = subprocess.Popen(
        python, cwd=folder, stdin=its, stdout=its, stderr=its, env=os.environ | size | paths
    )
    os.close(its)
    events: list[Event] = []
    with open(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(65536)
            except OSError:  # how a terminal says on Linux that nobody writes to it any more
                break
            if not data:
                break
            events.append((time.monotonic() - begin, data.decode("utf-8", "replace")))
    if process.wait():
        raise RuntimeError(f"$ {command}\n{''.join(text for _, text in events)}")
    return events, time.monotonic() - begin


def shown(command: str, events: list[Event], seconds: float) -> list[Event]:
    r"""Type a command and let its output follow, in less time than it took.

    Args:
        command: What was typed.
        events: What it printed, as `run` gives it.
        seconds: What it took.

    Returns:
        The events of the picture, beginning at 0; the last one ends the pause after the command.

    Example:
        >>> *typed, printed, took, _ = shown("ls", [(30.0, "a.png")], 60.0)
        >>> printed, took[1]
        ((3.11, 'a.png'), '\x1b[2m# 60 s, shown in 6 s\x1b[0m\r\n')
    """
    pace = min(1.0, LONGEST / seconds)
    picture = [(0.0, "\x1b[1;32m$\x1b[0m ")]
    for number, character in enumerate(command, start=1):
        picture.append((round(number * TYPING, 2), character))
    begin = picture[-1][0] + 0.05
    picture.append((begin, "\r\n"))
    last, held = begin, ""
    for moment, text in events:  # several in one frame of the picture are one
        held += text
        if moment * pace + begin - last >= FRAME or (moment, text) == events[-1]:
            last = round(moment * pace + begin, 2)
            picture.append((last, held))
            held = ""
    cut = f", shown in {LONGEST:.0f} s" if pace < 1 else ""
    end = round(seconds * pace + begin, 2)
    picture.append((end, f"\x1b[2m# {seconds:.0f} s{cut}\x1b[0m\r\n"))
    return [*picture, (end + PAUSE, "")]


def main() -> None:
    """Run from the clone's root; needs npm."""
    npx = shutil.which("npx")
    if npx is None:
        sys.exit("the picture is drawn by a package of npm, which is not installed")
    recording = [json.dumps({"version": 2, "width": COLUMNS, "height": LINES})]
    now, row = 0.0, 0
    with tempfile.TemporaryDirectory() as work:
        for command in COMMANDS:
            print("$", command, flush=True)
            events, seconds = run(command, Path(work))
            print("".join(text for _, text in events))
            picture = shown(command, events, seconds)
            height = sum(text.count("\n") for _, text in picture)
            if row + height > LINES:
                recording.append(json.dumps([round(now, 2), "o", CLEAR]))
                row = 0
            for moment, text in picture:
                recording.append(json.dumps([round(now + moment, 2), "o", text]))
            now, row = now + moment, row + height
        recording.append(json.dumps([now + END, "o", ""]))
        cast = Path(work, "recording.cast")
        cast.write_text("\n".join(recording) + "\n", encoding="utf-8")
        with replacing(OUT) as partial:
            options = ["--in", str(cast), "--out", str(partial), "--window", "--no-cursor"]
            subprocess.run([npx, "--yes", RENDERER, *options], check=True)
    print(OUT.name, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
