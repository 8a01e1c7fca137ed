"""How much labour labelling takes: python benchmarks/labelling.py --json FILE [FOLDER ...].

A person is played who types what is true into `LabelSession`, the page of ``captcha-helpers label``
without its page. Each image costs a look and its keystrokes: one if the guess is right, else the
whole label and Enter. A third of the folder's strings is held out; the reader is measured on them
before the first label and after some. Once in the order that the page proposes, once in
random order, and once with three doubtful images of four from the first one on, however little the
reader reads; or, if asked for, from where its mean confidence is three quarters, instead of nine
tenths. Without a folder, 600 images each of the styles `mixed` and `gradient` are drawn, and of the
set "wild" that stands for a stranger's (`drawing.strangers`).

The times are those of the keystroke-level model (Card, Moran and Newell, 1980): 0.28 seconds a
keystroke, and 1.35 seconds to look at an image and to decide.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from captcha_helpers import evaluate, read_labels, split_by_label
from captcha_helpers.core.files import write_bytes
from captcha_helpers.drawing.samples import write_samples
from captcha_helpers.drawing.strangers import draw_wild
from captcha_helpers.reading.mask import Mask
from captcha_helpers.serving import label_session
from captcha_helpers.serving.label_session import LabelSession

KEY, LOOK = 0.28, 1.35  # seconds
HELD_OUT = 1 / 3
RANDOM = {  # whether an image is drawn at random, by how many came before
    "proposed": label_session.is_random,
    "random": lambda *_: True,
    "doubtful": lambda turn, *_: turn % 4 == 0,
    "three_quarters": lambda turn, readings: (
        turn % 4 == 0 or sum(one.confidence for one in readings) < 0.75 * max(1, len(readings))
    ),
}
MEASURED_AT = (20, 50, 80, 120)
MOST = 120  # labels


def measure(
    folder: Path, order: str, *, ignore_case: bool = False, minutes: float = 1.0
) -> Iterator[dict[str, Any]]:
    """Label the images of a folder and measure the readers that come about."""
    pairs = read_labels(folder)
    if ignore_case:  # whoever knows that it does not matter types small letters
        pairs = [(path, label.lower()) for path, label in pairs]
    teach, test = (
        [pairs[row] for row in rows]
        for rows in split_by_label([label for _, label in pairs], (1 - HELD_OUT, HELD_OUT))
    )
    labels = [label for _, label in teach]
    lengths = [len(label) for label in labels]
    mask = Mask("".join(sorted(set("".join(labels)))), (min(lengths), max(lengths)), ignore_case)
    with tempfile.TemporaryDirectory() as place:
        truth = linked(teach, Path(place) / "teach")
        linked(test, Path(place) / "test", named=True)
        label_session.is_random = RANDOM[order]
        session = LabelSession(
            Path(place) / "teach",
            mask=mask,
            minutes=minutes,
        )
        try:
            done = {"labels": 0, "corrected": 0, "keys": 0, "keys_without_guesses": 0}
            yield figures(session, Path(place) / "test", folder.name, order, done)
            while done["labels"] < MOST and (item := session.next()) is not None:
                text = truth[item.name]
                right = item.guess is not None and item.guess.text == text
                session.label(item.name, text, sure=True)
                done["labels"] += 1
                done["corrected"] += not right
                done["keys"] += 1 if right else len(text) + 1
                done["keys_without_guesses"] += len(text) + 1
                if session.progress().training_on == done["labels"]:
                    while session.progress().training_on:
                        time.sleep(0.5)
                if done["labels"] in MEASURED_AT:
                    yield figures(session, Path(place) / "test", folder.name, order, done)
        finally:
            session.close()


def linked(pairs: list[tuple[Path, str]], folder: Path, *, named: bool = False) -> dict[str, str]:
    """Put images into a folder under names that say nothing, or that are their labels."""
    folder.mkdir()
    truth = {}
    for number, (path, label) in enumerate(pairs):
        name = f"{label}_{number:05}" if named else f"{number:05}"
        os.symlink(path.absolute(), folder / f"{name}{path.suffix}")
        truth[f"{name}{path.suffix}"] = label
    return truth


def figures(
    session: LabelSession, test: Path, name: str, order: str, done: dict[str, int]
) -> dict[str, Any]:
    """What it has cost so far, and how well the reader reads."""
    score = evaluate(session.reader, test, progress=False).score
    seconds = done["labels"] * LOOK + done["keys"] * KEY
    row = {"set": name, "order": order, **done, "minutes": round(seconds / 60, 2)}
    row |= {"exact_match": score.exact_match, "ci95": score.exact_match_ci95, "n": score.n}
    print(row, flush=True)
    return row


def drawn_folders(place: Path, count: int = 600) -> list[Path]:
    """Draw the folders to label if none is given."""
    write_samples(place, count, seed=7, styles=["mixed", "gradient"])
    (place / "wild").mkdir()
    for number, (image, label) in enumerate(zip(*draw_wild(count, seed=7), strict=True)):
        Image.fromarray(image).save(place / "wild" / f"{label}_{number:04d}.png")
    return [place / name for name in ("mixed", "gradient", "wild")]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--ignore-case", action="store_true", help="for all of the folders")
    parser.add_argument("--minutes", type=float, default=1.0, help="time of each training")
    parser.add_argument("--orders", nargs="+", choices=RANDOM, default=[*RANDOM][:3])
    parser.add_argument("--json", type=Path, help="file for the figures, to which lines are added")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = options.folders
        if not folders:
            folders = drawn_folders(Path(place))
        rows = [
            row
            for folder in folders
            for order in options.orders
            for row in measure(
                folder, order, ignore_case=options.ignore_case, minutes=options.minutes
            )
        ]
    if options.json:
        before = options.json.read_bytes() if options.json.exists() else b""
        write_bytes(options.json, before + "".join(json.dumps(row) + "\n" for row in rows).encode())


if __name__ == "__main__":
    main()
