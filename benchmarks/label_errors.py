"""How many wrong labels `find_label_errors` finds: python benchmarks/label_errors.py FOLDER ...

In each folder 2 % of the labels are made wrong, in three ways by turns: one character exchanged,
two neighbours swapped, the label of another image. 300 drawn images of the style `gradient` are
measured before the folders. The general reader judges the labels; with --train, readers that were
trained on the other images of the folder do. With --gain, it is measured what correcting the top of
the list brings: a third of the strings is held out, with the labels that are true, and read after
a training with the wrong labels and one with those that are left.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from captcha_helpers import (
    cross_check,
    find_label_errors,
    read_labels,
    score,
    split_by_label,
    train,
)
from captcha_helpers.core.files import write_bytes
from captcha_helpers.data.label_book import LabelBook
from captcha_helpers.drawing.samples import write_samples

SHARE_WRONG, SHARE_LOOKED_AT = 0.02, 0.03


def wrong(label: str, kind: int, labels: Sequence[str], rng: random.Random) -> str:
    """Another label than the true one."""
    swaps = [i for i in range(len(label) - 1) if label[i] != label[i + 1]]
    if kind == 0:
        place = rng.randrange(len(label))
        others = sorted(set("".join(labels)) - {label[place]})
        return label[:place] + rng.choice(others) + label[place + 1 :]
    if kind == 1 and swaps:
        place = rng.choice(swaps)
        return label[:place] + label[place + 1] + label[place] + label[place + 2 :]
    return rng.choice([other for other in labels if other != label])


def make_wrong(labels: Sequence[str], seed: int) -> dict[int, str]:
    """Other labels for some rows."""
    rng = random.Random(seed)
    chosen = rng.sample(range(len(labels)), math.ceil(SHARE_WRONG * len(labels)))
    return {row: wrong(labels[row], n % 3, labels, rng) for n, row in enumerate(chosen)}


def measure_gain(folder: Path, minutes: float, seed: int = 0) -> dict[str, object]:
    """Train with wrong labels, and with those that are left when the list was gone through.

    Args:
        folder: Labelled images.
        minutes: Time of each training.
        seed: Another seed makes others wrong.
    """
    pairs = read_labels(folder)
    rows, held_out = split_by_label([label for _, label in pairs], (2 / 3, 1 / 3))
    paths, true = [pairs[row][0] for row in rows], [pairs[row][1] for row in rows]
    false = make_wrong(true, seed)
    labels = [false.get(row, label) for row, label in enumerate(true)]
    with tempfile.TemporaryDirectory() as place:
        book = LabelBook(Path(place) / "labels.csv")
        book.write({str(path.absolute()): text for path, text in zip(paths, labels, strict=True)})
        found = find_label_errors(place)[: math.ceil(SHARE_LOOKED_AT * len(paths))]
    listed = {one.path for one in found}
    corrected = [
        true[row] if path.absolute() in listed else labels[row] for row, path in enumerate(paths)
    ]
    result: dict[str, object] = {"set": folder.name, "images": len(paths), "wrong": len(false)}
    result |= {"left": sum(a != b for a, b in zip(true, corrected, strict=True))}
    truth = [pairs[row][1] for row in held_out]
    for name, taught in (("with_wrong", labels), ("corrected", corrected)):
        reader = train(paths, taught, minutes=minutes, progress=False)
        read = [one.text for one in reader.read_many([pairs[row][0] for row in held_out])]
        result[name] = score(truth, read).as_dict()
    return result


def measure(
    folder: Path, seed: int = 0, *, minutes: float | None = None, folds: int = 2
) -> dict[str, object]:
    """Make labels wrong, and count those that stand at the top of the list.

    Args:
        folder: Labelled images.
        seed: Another seed makes others wrong.
        minutes: Time of each training; without, the general reader is asked.
        folds: How many trainings.
    """
    pairs = read_labels(folder)
    labels = [label for _, label in pairs]
    false = make_wrong(labels, seed)
    with tempfile.TemporaryDirectory() as place:
        book = LabelBook(Path(place) / "labels.csv")
        book.write(
            {str(path.absolute()): false.get(row, label) for row, (path, label) in enumerate(pairs)}
        )
        if minutes is None:
            found = find_label_errors(place)
        else:
            found = cross_check(place, folds=folds, minutes=minutes)
    first = found[: math.ceil(SHARE_LOOKED_AT * len(pairs))]
    changed = {pairs[row][0].absolute() for row in false}
    return {
        "set": folder.name,
        "judge": "general" if minutes is None else f"{folds} trainings, {minutes:g} minutes each",
        "n": len(pairs),
        "wrong": len(false),
        "looked_at": len(first),
        "found": sum(one.path in changed for one in first),
        "listed": len(found),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--train", type=float, metavar="MINUTES", help="judge by readers trained for so long each"
    )
    parser.add_argument("--folds", type=int, default=2, help="how many trainings (default: 2)")
    parser.add_argument(
        "--gain", type=float, metavar="MINUTES", help="measure trainings of this time instead"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_samples(place, 300, seed=5, styles=["gradient"])
        rows = [
            measure_gain(folder, options.gain)
            if options.gain
            else measure(folder, minutes=options.train, folds=options.folds)
            for folder in [Path(place) / "gradient", *options.folders]
        ]
    for row in rows:
        print(row)
    if options.json:
        write_bytes(options.json, "".join(json.dumps(row) + "\n" for row in rows).encode())


if __name__ == "__main__":
    main()
