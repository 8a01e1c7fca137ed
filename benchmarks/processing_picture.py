"""Draw what each option of `captcha_helpers.Processing` is for, with its measured effect.

    python benchmarks/processing_picture.py

Takes the figures from ``benchmarks/processing_effect.json`` (benchmarks/processing_effect.py writes
it) and writes ``docs/images/processing.png``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from processing_effect import DEGRADED, OPTIONS

import captcha_helpers as ch

SHOWN = {
    "invert auto": ("classic", "negative"),
    "auto_crop": ("mixed", "padded"),
    "strong": ("stars", "thin"),
    "clahe": ("classic", "pale"),
}


def main() -> None:
    """Write the picture."""
    here = Path(__file__).parent
    rows = json.loads((here / "processing_effect.json").read_text(encoding="utf-8"))
    found = {(row["set"], row["images"], row["option"]): row for row in rows}
    plt.rcParams.update({"font.size": 13})
    figure, panels = plt.subplots(
        2, len(SHOWN), figsize=(3.4 * len(SHOWN), 3.4), layout="constrained"
    )
    for column, (option, (style, degrade)) in zip(panels.T, SHOWN.items(), strict=True):
        grey = DEGRADED[degrade](ch.to_grey(ch.generate(style, 1, seed=9)[0][0]))
        pictures = {"none": grey, option: OPTIONS[option].apply(grey)}
        for axes, (name, picture) in zip(column, pictures.items(), strict=True):
            row = found[style, degrade, name]
            what = f"{style}, {degrade}" if name == "none" else name.replace("_", " ")
            axes.imshow(ch.prepare(picture, 48, 160)[..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"{what}: {row['exact_match']:.0%}")
            axes.set(xticks=[], yticks=[])
    figure.suptitle(f"Exact match of the untrained start, before and after (n = {row['n']} each)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    ch.files.write_bytes(here.parent / "docs" / "images" / "processing.png", picture.getvalue())


if __name__ == "__main__":
    main()
