"""Draw the picture at the top of the READMEs: the five styles, from the generator.

``python -m tools.readme_picture`` writes ``docs/images/styles.png``.
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from captcha_helpers.drawing.painter import generate
from captcha_helpers.drawing.samples import SAMPLE_STYLES

EACH = 4


def draw_picture() -> Figure:
    """Draw a row for each style, with the name on the left and the labels above the images.

    Returns:
        The figure.

    Example:
        >>> len(draw_picture().axes) == EACH * len(SAMPLE_STYLES)
        True
    """
    rows = len(SAMPLE_STYLES)
    figure, grid = plt.subplots(rows, EACH, figsize=(10, 1.3 * rows), layout="constrained")
    for row, style in zip(grid, SAMPLE_STYLES, strict=True):
        for axes, image, label in zip(row, *generate(style, EACH, seed=7), strict=True):
            axes.imshow(image)
            axes.set_title(label, family="monospace", fontsize=12)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(style, fontsize=13, rotation=0, ha="right", va="center")
    return figure


def main() -> None:
    """Write the picture, whole or not at all."""
    path = Path("docs/images/styles.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("styles.part.png")
    draw_picture().savefig(draft, dpi=90, metadata={"Software": None})
    os.replace(draft, path)


if __name__ == "__main__":
    main()
