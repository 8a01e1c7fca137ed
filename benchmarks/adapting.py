"""What getting used to a folder without labels brings, on images that nothing was learned from.

    python benchmarks/strangers.py --count 1400 --out build/strangers1400
    python benchmarks/adapting.py build/strangers1400/* --images 800 --minutes 2 --json FILE

Some images of each folder are shown to `captcha_helpers.adapt` without their labels, and told are
the characters and lengths that occur; case does not count. Other images of the folder are read by
the reader that it began with and by the new one, and here the labels are looked at. So one sees
what it brings, and whether the check without labels decided as the labels would have.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import captcha_helpers as ch


def right(reader: ch.Recognizer, pairs: list[tuple[Path, str]]) -> dict[str, Any]:
    """Read images; how many are read without an error, ignoring case."""
    texts = [one.text.lower() for one in reader.read_many(path for path, _ in pairs)]
    score = ch.score([label.lower() for _, label in pairs], texts).as_dict()
    return {key: score[key] for key in ("n", "exact_match", "exact_match_ci95")}


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Let a reader get used to a folder, and measure it before and after."""
    pairs = ch.read_labels(folder)
    random.Random(options.seed).shuffle(pairs)
    pairs = pairs[: options.images + options.tested]
    tested = pairs[: min(options.tested, len(pairs) // 3)]
    labels = [label.lower() for _, label in pairs]
    known: dict[str, Any] = {
        "charset": "".join(sorted(set("".join(labels)))),
        "length": (min(map(len, labels)), max(map(len, labels))),
        "ignore_case": True,
    }
    shown = [path for path, _ in pairs[len(tested) :]]
    begun = time.perf_counter()
    result = ch.adapt(
        shown, options.model, minutes=options.minutes, seed=options.seed, progress=False, **known
    )
    about = {"set": folder.name, "model": options.model, "minutes": options.minutes}
    row = about | {"images": len(shown), "learned": result.learned, "adapted": result.adapted}
    row["seconds"] = round(time.perf_counter() - begun)
    row["before"] = right(ch.load(options.model, **known), tested)
    row["new"] = None if result.new is None else right(result.new, tested)
    steady = {"before": result.before, "after": result.after, "gain": result.gain}
    return row | {"steady": steady, "reason": result.reason}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="general", help="name or file of the reader")
    parser.add_argument("--images", type=int, default=400, help="shown to it, of each folder")
    parser.add_argument("--tested", type=int, default=300, help="other images, at most a third")
    parser.add_argument("--minutes", type=float, default=3.0, help="time for each folder")
    parser.add_argument("--seed", type=int, default=0, help="another seed shows other images")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = []
    for folder in options.folders:
        row = measure(folder, options)
        rows.append(row)
        before, new = row["before"], row["new"] or row["before"]
        print(
            f"{row['set']:22} {before['exact_match']:6.1%} -> {new['exact_match']:6.1%} "
            f"of {before['n']}, {'taken' if row['adapted'] else 'not taken'}: {row['reason']}",
            flush=True,
        )
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
