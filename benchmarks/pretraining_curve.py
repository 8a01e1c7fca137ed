"""Plot what each round of the pre-training brought: ``python benchmarks/pretraining_curve.py``.

Takes ``benchmarks/pretraining/round_*.json``, the histories that `tools.pretrain` wrote, and writes
``docs/images/pretraining.png``. All rounds are measured on 512 drawn images in looks and fonts that
none of them saw. From the second round on letters are roughened, and from the third on all images
are cropped. What the previous weights read of a round's test images is in ``before_round_2.json``
and ``before_round_3.json``: reports of runs of `tools.pretrain` that went on from them for a step.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from captcha_helpers.core.files import write_bytes

HISTORIES = sorted(Path("benchmarks/pretraining").glob("round_*.json"))
PICTURE = Path("docs/images/pretraining.png")


def main() -> None:
    """Run the command."""
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    before = 0
    for number, path in enumerate(HISTORIES, start=1):
        lines = json.loads(path.read_text("utf-8"))
        first = path.with_name(f"before_{path.name}")
        if first.exists():
            lines = json.loads(first.read_text("utf-8")) + lines
        drawn = [(before + line["drawn"]) / 1e6 for line in lines]
        axes.plot(drawn, [100 * line["exact_match"] for line in lines], label=f"round {number}")
        before += lines[-1]["drawn"]
    axes.set_xlabel("different images drawn, in millions")
    axes.set_ylabel("exact match, %")
    axes.set_title("The general reader on looks and fonts that it never saw (n = 512)")
    axes.grid(alpha=0.3)
    axes.legend(title="each on its own test images")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_bytes(PICTURE, buffer.getvalue())


if __name__ == "__main__":
    main()
