"""What `captcha_helpers.train` makes of few labels, with nothing set, on images of other people.

    python benchmarks/strangers.py --count 1400 --out build/strangers1400
    python benchmarks/few_labels.py build/strangers1400/* --json build/few_labels.json

Each folder is split by label string: some images to learn from, others to test. The minutes are
those of `train`; how many CPU-seconds it took is measured, because two cores that are busy with
nothing else use about twice the time. ``benchmarks/few_labels.json`` has the rows of such
calls, one for each number of labels, with two folders of real images besides, and of two folders
with ``--typed-small``. ``benchmarks/known_characters.json`` has those of 20 labels with each
``--charset``: what it is worth to know the characters that no label has.
``benchmarks/unlabelled.json`` has trainings of two minutes with and without ``--unlabelled 800``.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import captcha_helpers as ch

MINUTES = {20: 0.5, 50: 0.5, 200: 1.0, 1000: 2.5}  # by the number of labels
Pairs = list[tuple[Path, str]]


def parted(folder: Path, labels: int, tested: int, seed: int) -> tuple[Pairs, Pairs]:
    """Images to learn from, and images to test of which no string is among those."""
    pairs = ch.read_labels(folder)
    share = min(tested / len(pairs), 1 / 3)
    parts = ch.split_by_label([label for _, label in pairs], (1 - share, share), seed=seed)
    training, test = ([pairs[row] for row in part] for part in parts)
    return training[:labels], test[:tested]


def typed_small(pairs: Pairs) -> Pairs:
    """The labels as people type them who do not care about capitals."""
    return [(path, label.lower()) for path, label in pairs]


def measure(
    folder: Path, labels: int, known: str, seed: int, options: argparse.Namespace
) -> dict[str, Any] | None:
    """Train once and read the test images; None if the folder has too few images."""
    training, test = parted(folder, labels + options.unlabelled, options.tested, seed)
    if len(training) < labels + options.unlabelled:
        return None
    more = [path for path, _ in training[labels:]]
    training = training[:labels]
    minutes = options.minutes or MINUTES[labels]
    if options.typed_small:
        training, test = typed_small(training), typed_small(test)
    paths, strings = zip(*training, strict=True)
    shown = {"of-labels": strings, "of-set": strings + tuple(label for _, label in test)}
    charset = "".join(sorted(set("".join(shown.get(known, ()))))) or None
    begun, cpu = time.perf_counter(), time.process_time()
    reader = ch.train(
        paths,
        strings,
        unlabelled=more or None,
        minutes=minutes,
        charset=charset,
        seed=seed,
        progress=False,
    )
    facts = reader.spec.training
    name = folder.name + " (typed small)" * options.typed_small
    row = {"set": name, "labels": labels, "minutes": minutes, "seed": seed, "charset": known}
    row |= {"unlabelled": len(more), "readings_learned": facts["readings_learned"]}
    row |= {
        name: facts[name] for name in ("unseen", "start", "start_cer", "drawn_of_a_batch", "steps")
    }
    row["seconds"] = round(time.perf_counter() - begun)
    row["cpu_seconds"] = round(time.process_time() - cpu)
    texts = [one.text for one in reader.read_many(path for path, _ in test)]
    truth = [label for _, label in test]
    score = ch.score(truth, texts).as_dict()
    lower = ch.score([label.lower() for label in truth], [text.lower() for text in texts])
    names = ("n", "exact_match", "exact_match_ci95", "cer")
    return row | {name: score[name] for name in names} | {"ignoring_case": lower.exact_match}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--minutes", type=float, help="by default half a minute for 50 labels, ...")
    parser.add_argument("--tested", type=int, default=400, help="at most, and at most a third")
    parser.add_argument(
        "--typed-small", action="store_true", help="labels in small letters, whatever is shown"
    )
    parser.add_argument(
        "--charset",
        nargs="+",
        choices=["guessed", "of-labels", "of-set"],
        default=["guessed"],
        help="what is told of the characters: nothing, those of the labels, or all that occur",
    )
    parser.add_argument(
        "--unlabelled", type=int, default=0, help="so many more images without their labels"
    )
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[0], help="another seed takes other images"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    unknown = set(options.labels) - set(MINUTES)
    if unknown and not options.minutes:
        parser.error(f"say how long {min(unknown)} labels are learned from: --minutes")
    rows = []
    trainings = product(options.labels, options.folders, options.charset, options.seed)
    for labels, folder, known, seed in trainings:
        row = measure(folder, labels, known, seed, options)
        if row is None:
            print(f"{folder.name}: fewer than {labels} images to learn from")
            continue
        rows.append(row)
        print(
            f"{row['set']:22} {labels:5} labels {row['cpu_seconds']:4} CPU-s "
            f"{row['exact_match']:6.1%} ({row['ignoring_case']:.1%} ignoring case) of "
            f"{row['n']}, from {row['start']} ({row['start_cer']:.0%} wrong), "
            f"{row['steps']} steps, {row['drawn_of_a_batch']} drawn, charset {known}, "
            f"{row['readings_learned']} readings",
            flush=True,
        )
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
