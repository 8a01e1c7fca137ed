"""What a reader keeps if a training goes on from it: python benchmarks/going_on.py --json FILE.

A reader learns from 200 drawn images of the style `mixed` with digits. Then five trainings go on
from it (`init`), each with other images: more of the same, letters in the same look, digits in
another look, and each of these two once without the first images and once in one folder with them.
All are measured on 300 images like the first ones, and on 300 like the others, with strings that
are in no training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import captcha_helpers as ch
from captcha_helpers.core.files import write_bytes

LABELS, TESTED = 200, 300
FIRST = replace(ch.get_style("mixed"), name="digits", charset=ch.DIGITS)
LETTERS = replace(FIRST, name="letters", charset=ch.LOWER)
OTHER_LOOK = replace(ch.get_style("slanted"), name="another look", charset=ch.DIGITS)


def drawn(place: Path, style: ch.Style, count: int, *, seed: int) -> tuple[list[Path], list[str]]:
    """Draw images of a style; gives their files and what they say."""
    folder = place / f"{style.name} {seed}"
    ch.write_dataset(style, folder, count, seed=seed, progress=False)
    pairs = ch.read_labels(folder)
    return [path for path, _ in pairs], [label for _, label in pairs]


def without(
    images: tuple[list[Path], list[str]], tested: tuple[list[Path], list[str]]
) -> tuple[list[Path], list[str]]:
    """Leave out strings that are in the test."""
    kept = [pair for pair in zip(*images, strict=True) if pair[1] not in set(tested[1])]
    return [path for path, _ in kept], [label for _, label in kept]


def measure(minutes: float) -> list[dict[str, Any]]:
    """Train them all."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        styles = {"first": FIRST, "letters": LETTERS, "another look": OTHER_LOOK}
        tests = {key: drawn(place, style, TESTED, seed=1) for key, style in styles.items()}
        learned = {
            key: without(drawn(place, style, LABELS, seed=2), tests[key])
            for key, style in styles.items()
        }
        more = without(drawn(place, FIRST, LABELS, seed=3), tests["first"])
        first = place / "first.keras"

        def train(what: str, *sets: tuple[list[Path], list[str]], **options: Any) -> None:
            paths, labels = (
                [one for part in parts for one in part] for parts in zip(*sets, strict=True)
            )
            reader = ch.train(paths, labels, minutes=minutes, progress=False, **options)
            new = next((key for key in styles if key != "first" and key in what), "first")
            for tested in dict.fromkeys(("first", new)):
                images, truth = tests[tested]
                read = [reading.text for reading in reader.read_many(images)]
                score = ch.score(truth, read)
                row = {"learns": what, "images": len(labels), "tested_on": tested}
                rows.append(row | score.as_dict())
                print(rows[-1], flush=True)

        train("first images", learned["first"], out=first)
        train("more of the same", learned["first"], more, init=first)
        for key in ("letters", "another look"):
            train(f"{key} alone", learned[key], init=first)
            train(f"{key} and the first images", learned["first"], learned[key], init=first)
    return rows


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="time of each training")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # that a reader will forget, which is measured
    rows = measure(options.minutes)
    if options.json:
        write_bytes(options.json, "".join(json.dumps(row) + "\n" for row in rows).encode())


if __name__ == "__main__":
    main()
