"""How the general reader reads looks and fonts that it has seen, and those that it has not.

    make fonts
    python -m benchmarks.held_out --json benchmarks/held_out.json

All images are new to it, drawn as those of the pre-training were. Four groups cross the looks that
it learned from or that were held out with the fonts that it learned from or that were held out; a
last measurement takes every look by its name, in fonts of the training. A third of the images in
seen looks cross several of them, as in the training. Strings have 1 to 12 characters; nothing is
told about them, and upper and lower case count as different. It takes two and a half CPU-minutes.
`make readme` puts the four groups and the looks that it reads least of into docs/pretraining.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

import captcha_helpers as ch
from captcha_helpers.drawing.looks import LOOKS, draw_looks
from tools.pretrain import TEST_SEED
from tools.pretrain_draw import CHARSET, HEIGHT, LENGTHS, PROCESSING, WIDTH, fonts_with_role

BLOCKS, BLOCK = 8, 8192  # images of one block share 64 fonts, so a group has images of several


def measure(reader: ch.Recognizer, count: int, fonts: str, **which: Any) -> dict[str, Any]:
    """Draw images and read them; the figures.

    Args:
        reader: What reads.
        count: How many images.
        fonts: "train" or "held_out".
        **which: The looks, as `draw_looks` takes them: `look` or `held_out`.
    """
    labels: list[str] = []
    texts: list[str] = []
    for block in range(BLOCKS):
        images, drawn = draw_looks(
            count // BLOCKS,
            height=HEIGHT,
            width=WIDTH,
            charset=CHARSET.characters,
            length=LENGTHS,
            fonts=fonts_with_role(fonts),
            processing=PROCESSING,
            seed=TEST_SEED,
            start=block * BLOCK,
            **which,
        )
        labels += drawn
        texts += CHARSET.decode(ch.greedy_decode(reader.run(images)))
    score = ch.score(labels, texts).as_dict()
    return {key: score[key] for key in ("n", "exact_match", "exact_match_ci95", "cer")}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=4000, help="images of each of the four groups")
    parser.add_argument("--per-look", type=int, default=200, help="images of each look")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    reader = ch.load("general")
    groups = []
    for unseen in (False, True):
        for fonts in ("train", "held_out"):
            figures = measure(reader, options.count, fonts, held_out=unseen)
            names = {"looks": "held_out" if unseen else "train", "fonts": fonts}
            groups.append(names | figures)
            print(groups[-1], flush=True)
    looks = [
        {"look": name, "held_out": look.held_out}
        | measure(reader, options.per_look, "train", look=name)
        for name, look in tqdm(LOOKS.items(), disable=None)
    ]
    looks.sort(key=lambda row: row["exact_match"])
    for row in looks:
        print(f"{row['look']:28} {row['exact_match']:6.1%}  n={row['n']}")
    if options.json:
        report = {"groups": groups, "looks": looks}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
