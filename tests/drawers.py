"""What processes of a test draw with; apart, so that they import no more than drawing needs."""

from __future__ import annotations

import numpy as np

from captcha_helpers.drawing.looks import draw_looks
from tools.pretrain_draw import CHARSET, HEIGHT, LONGEST, WIDTH


def in_any_look(
    seed: int, start: int, count: int, length: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw as `tools.pretrain_draw.draw` does, but in the fonts that are installed."""
    images, labels = draw_looks(
        count, height=HEIGHT, width=WIDTH, length=length, seed=seed, start=start
    )
    return images, CHARSET.encode(labels, length=LONGEST)
