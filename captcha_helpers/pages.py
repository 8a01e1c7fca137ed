"""Small pages inside a notebook that can be played with, even where no kernel runs.

Everything that a page needs is in its HTML, so it works in what is stored: on Colab, in JupyterLab
(once the notebook is trusted) and on a site. The pages themselves are in ``assets/pages``.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from captcha_helpers.core.charset import Charset

_DATA = "const DATA = null;"


class Page:
    """A page in a frame of its own, which a notebook shows as a cell's last value.

    Args:
        name: A file of ``assets/pages``, without ``.html``.
        data: What the page's script gets as ``DATA``; JSON.
        height: The frame's height in pixels.
    """

    def __init__(self, name: str, data: dict[str, Any], height: int) -> None:
        folder = resources.files("captcha_helpers") / "assets" / "pages"
        text = (folder / f"{name}.html").read_text(encoding="utf-8")
        script = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
        self.name, self.height = name, height
        self.html = text.replace(_DATA, f"const DATA = {script};", 1)

    def __repr__(self) -> str:
        return f"<page {self.name}>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" title="{self.name}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


def trellis(probability: ArrayLike, label: Sequence[int], characters: str) -> Page:
    """Let the reader fill CTC's trellis frame by frame, and change one probability of it.

    Args:
        probability: ``(T, V)`` probabilities; each frame adds up to 1. A handful of frames is best.
        label: Class indices, 1 or above.
        characters: A name for each class, V characters, the blank's first.

    Returns:
        The page.

    Raises:
        ValueError: If the probabilities do not fit the characters.

    Example:
        >>> trellis([[0.4, 0.6], [0.5, 0.5]], [1], "-a")
        <page trellis>
    """
    frames = np.asarray(probability, float)
    if frames.ndim != 2 or frames.shape[1] != len(characters):
        raise ValueError(
            f"probability must be (T, {len(characters)}) for these characters, "
            f"received {frames.shape}"
        )
    states = [0, *(state for index in label for state in (index, 0))]
    data = {
        "probability": frames.round(4).tolist(),
        "states": states,
        "characters": characters,
        "text": "".join(characters[index] for index in label),
    }
    return Page("trellis", data, 180 + 58 * len(states))


def film(
    image: NDArray[np.uint8],
    probabilities: ArrayLike,
    steps: Sequence[int],
    charset: Charset,
    label: str,
) -> Page:
    """Show what a CTC model said of one image, again and again while it learned.

    Args:
        image: ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)`` uint8.
        probabilities: ``(N, T, V)``, one ``(T, V)`` for each time that it was asked.
        steps: After how many steps it was asked, N numbers.
        charset: The model's characters.
        label: What is written.

    Returns:
        The page, with a slider over the training.

    Raises:
        ValueError: If there are not as many steps as probabilities, or not the charset's classes.

    Example:
        >>> asked = np.full((3, 8, 3), 1 / 3)
        >>> film(np.zeros((8, 24), "uint8"), asked, [0, 10, 20], Charset("ab"), "ab")
        <page film>
    """
    frames = np.asarray(probabilities)
    if frames.ndim != 3 or len(frames) != len(steps) or frames.shape[2] != charset.num_classes:
        raise ValueError(
            f"probabilities must be ({len(steps)}, T, {charset.num_classes}) for these steps and "
            f"this charset, received {frames.shape}"
        )
    rounded = np.round(255 * frames).astype(np.uint8)
    data = {
        "image": _as_address(image),
        "frames": base64.b64encode(rounded.tobytes()).decode(),
        "steps": [int(step) for step in steps],
        "T": frames.shape[1],
        "V": frames.shape[2],
        "characters": charset.characters,
        "label": label,
    }
    return Page("film", data, 380)


def quiz(
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    readings: Sequence[str],
    levels: Sequence[float],
    unit: str,
    *,
    seed: int = 0,
) -> Page:
    """Let a person read against the clock, and compare with what a model read.

    Nothing that is typed leaves the page.

    Args:
        images: B images, each ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)`` uint8.
        labels: What is written, B strings.
        readings: What the model read, B strings.
        levels: How hard each image is, B numbers; images of a level make one point of the curves,
            which show the levels in the order of their first images.
        unit: What the levels are, for the axis.
        seed: The images are shown in an order that is drawn from it.

    Returns:
        The page. It ends with both scores and curves, with 95 % intervals.

    Raises:
        ValueError: If there are not as many labels, readings and levels as images, or none.

    Example:
        >>> quiz([np.zeros((8, 24), "uint8")], ["ab"], ["a"], [1], "lines")
        <page quiz>
    """
    if not len(images) == len(labels) == len(readings) == len(levels) > 0:
        raise ValueError(
            f"received {len(images)} images, {len(labels)} labels, {len(readings)} readings and "
            f"{len(levels)} levels: as many of each are needed"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    data = {
        "images": [_as_address(images[i]) for i in order],
        "labels": [labels[i] for i in order],
        "readings": [readings[i] for i in order],
        "levels": [levels[i] for i in order],
        "values": list(dict.fromkeys(levels)),
        "unit": unit,
    }
    return Page("quiz", data, 560)


def _as_address(image: NDArray[np.uint8]) -> str:
    """Return an image as an address that contains it."""
    pixels = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"
