"""How many wrong labels `find_label_errors` finds: python benchmarks/label_errors.py FOLDER ...

In each folder 2 % of the labels are made wrong, in three ways by turns: one character exchanged,
two neighbours swapped, the label of another image. 300 drawn images of the style `gradient` are
measured before the folders. The general reader judges the labels; with --train, readers that were
trained on the other images of the folder do.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from captcha_helpers import cross_check, find_label_errors, read_labels
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
    rng, pairs = random.Random(seed), read_labels(folder)
    labels = [label for _, label in pairs]
    chosen = rng.sample(range(len(pairs)), math.ceil(SHARE_WRONG * len(pairs)))
    false = {row: wrong(labels[row], n % 3, labels, rng) for n, row in enumerate(chosen)}
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_samples(place, 300, seed=5, styles=["gradient"])
        rows = [
            measure(folder, minutes=options.train, folds=options.folds)
            for folder in [Path(place) / "gradient", *options.folders]
        ]
    for row in rows:
        print(row)
    if options.json:
        write_bytes(options.json, "".join(json.dumps(row) + "\n" for row in rows).encode())


if __name__ == "__main__":
    main()
