"""What each option of `captcha_helpers.Processing` does to how well images are read.

    python benchmarks/processing_effect.py gradient mixed FOLDER --json effect.json

Names of styles stand for images that are drawn, so that anyone can repeat it. The reader is the
shipped start without any training; the characters and the lengths of the labels are known to it, as
they are to `train`. Each set is read as it is and degraded in the ways that an option is there for:
its negative, with empty paper around it, pale, and with strokes a pixel thinner.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import captcha_helpers as ch
from captcha_helpers.reading.recognizer import Recognizer, from_keras

OPTIONS = {
    "none": ch.Processing(),
    "invert auto": ch.Processing(invert="auto"),
    "invert always": ch.Processing(invert="always"),
    "strong": ch.Processing(strong=True),
    "auto_crop": ch.Processing(auto_crop=True),
    "clahe": ch.Processing(clahe=True),
    "all": ch.Processing(invert="auto", strong=True, auto_crop=True, clahe=True),
}


def padded(grey: np.ndarray) -> np.ndarray:
    """Put half of the height of empty ground on every side."""
    ground = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    return np.pad(grey, len(grey) // 2, constant_values=ground)


def pale(grey: np.ndarray) -> np.ndarray:
    """Leave a seventh of the contrast, around a light grey."""
    return (150 + grey.astype(int) // 7).astype(np.uint8)


def thin(grey: np.ndarray) -> np.ndarray:
    """Take a pixel from the right and lower sides of the strokes."""
    weakest = np.minimum if ch.is_dark(grey) else np.maximum
    edged = np.pad(grey, ((0, 1), (0, 1)), mode="edge")
    rows = weakest(edged[1:], edged[:-1])
    return weakest(rows[:, 1:], rows[:, :-1])


DEGRADED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda grey: grey,
    "negative": ch.invert,
    "padded": padded,
    "pale": pale,
    "thin": thin,
}


def labelled(name: str, count: int) -> tuple[list[np.ndarray], list[str]]:
    """Grey images of a style or of a folder, from all over it, and their labels."""
    if name in ch.STYLES:
        images, labels = ch.generate(name, count, seed=9)
        return [ch.to_grey(image) for image in images], labels
    pairs = ch.read_labels(name)
    pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int)]
    return [ch.to_grey(path) for path, _ in pairs], [label for _, label in pairs]


def untrained(labels: list[str]) -> Recognizer:
    """Give the pre-trained weights the characters and lengths of these labels."""
    charset, lengths = ch.Charset.from_labels(labels), [len(label) for label in labels]
    spec = ch.ModelSpec(charset.characters, (min(lengths), max(lengths)), 48, 160)
    return from_keras(ch.pretrained_start(charset, length=max(lengths), start="pretrained"), spec)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="STYLE_OR_FOLDER")
    parser.add_argument("--count", type=int, default=500, help="images of each set (default: 500)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = []
    for name in options.sets:
        images, labels = labelled(name, options.count)
        start = untrained(labels)
        for how, degrade in DEGRADED.items():
            degraded = [degrade(grey) for grey in images]
            for option, processing in OPTIONS.items():
                reader = Recognizer(start.run, replace(start.spec, processing=processing))
                score = ch.score(labels, [one.text for one in reader.read_many(degraded)])
                row = {"set": Path(name).name, "images": how, "option": option, "n": score.n}
                rows.append(row | {"exact_match": score.exact_match})
            shares = {row["option"]: row["exact_match"] for row in rows[-len(OPTIONS) :]}
            told = "  ".join(f"{option} {share:.1%}" for option, share in shares.items())
            print(f"{Path(name).name:10} {how:9} n={len(labels)}  {told}", flush=True)
    if options.json:
        lines = ",\n".join(map(json.dumps, rows))
        options.json.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
