"""What happens to an image on its way to the reader, and how much of that a reader bears.

Needs numpy and Pillow alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

from captcha_helpers.core.metrics import Score, score
from captcha_helpers.data.images import ImageSource, load_image
from captcha_helpers.reading.recognizer import Recognizer

Pixels = NDArray[np.uint8]
Rng = np.random.Generator


class Damage(NamedTuple):
    """One way to degrade an image.

    Attributes:
        unit: What the values are, for the axis of a plot.
        undamaged: The value that leaves every pixel as it is.
        values: The other values to try.
        apply: From an image ``(H, W, 3)`` uint8, a value and a random generator to the damaged
            image, ``(H', W', 3)`` uint8.
    """

    unit: str
    undamaged: float
    values: tuple[float, ...]
    apply: Callable[[Pixels, float, Rng], Pixels]


class DamageScore(NamedTuple):
    """How well images were read that were damaged in one way, by one value."""

    damage: str
    value: float
    score: Score


def _jpeg(image: Pixels, quality: float, _: Rng) -> Pixels:
    if quality >= 100:
        return image
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(quality))
    return np.array(Image.open(file))


def _blur(image: Pixels, sigma: float, _: Rng) -> Pixels:
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def _noise(image: Pixels, sigma: float, rng: Rng) -> Pixels:
    """Each channel of each pixel on its own; the same seed gives the same grain, only stronger."""
    grain = sigma * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image + grain), 0, 255).astype(np.uint8)


def _contrast(image: Pixels, factor: float, _: Rng) -> Pixels:
    changed: NDArray[np.float32] = 127.5 + factor * (image.astype(np.float32) - 127.5)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _rotate(image: Pixels, degrees: float, _: Rng) -> Pixels:
    """To the left. The image grows, so that nothing is cut off; its corners get the edge's grey."""
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    colour = tuple(np.median(edge, axis=0).astype(int).tolist())
    turned = Image.fromarray(image).rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=colour
    )
    return np.array(turned)


def _rescale(image: Pixels, factor: float, _: Rng) -> Pixels:
    size = [max(4, round(side * factor)) for side in image.shape[1::-1]]
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


DAMAGES: dict[str, Damage] = {
    "JPEG": Damage("quality (100: not compressed)", 100, (90, 60, 30, 20, 10), _jpeg),
    "blur": Damage("sigma of the Gaussian, pixels", 0, (0.5, 1, 1.5, 2, 3), _blur),
    "noise": Damage("standard deviation, grey levels", 0, (20, 40, 60, 80), _noise),
    "contrast": Damage("factor about middle grey", 1, (0.05, 0.1, 0.2, 0.5, 2), _contrast),
    "rotation": Damage("degrees", 0, (-10, -5, 5, 10), _rotate),
    "rescale": Damage("factor", 1, (0.5, 0.75, 1.5, 2), _rescale),
}


def robustness(
    reader: Recognizer,
    images: Sequence[ImageSource],
    labels: Sequence[str],
    *,
    damages: Mapping[str, Damage] = DAMAGES,
    seed: int = 0,
    progress: bool | None = None,
) -> list[DamageScore]:
    """Measure how well a reader reads images that were damaged, a little and a lot.

    Args:
        reader: Reads the images.
        images: B images, anything that `captcha_helpers.load_image` takes. Transparent parts become
            white before they are damaged.
        labels: What is written, B strings.
        damages: In which ways, and by how much.
        seed: Another seed gives other noise. Image i gets the same at every value.
        progress: Whether to show a progress bar. By default in a terminal.

    Returns:
        For each damage, a `DamageScore` for the undamaged images and for each of its values.

    Raises:
        ValueError: If there are no images, or not one label for each.
        ImageError: If an image cannot be used.

    Example:
        >>> from captcha_helpers import ModelSpec, Recognizer
        >>> def says_a(images):
        ...     return np.repeat(np.eye(2)[[1, 0]][None], len(images), axis=0)
        >>> reader = Recognizer(says_a, ModelSpec("a", length=(1, 2), height=16, width=32))
        >>> rows = robustness(reader, np.full((3, 20, 60, 3), 255, np.uint8), ["a", "a", "aa"],
        ...                   damages={"blur": DAMAGES["blur"]}, progress=False)
        >>> [(row.value, round(row.score.exact_match, 2)) for row in rows[:2]]
        [(0, 0.67), (0.5, 0.67)]
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
    originals = [load_image(image) for image in images]
    bar = tqdm(
        total=1 + sum(len(damage.values) for damage in damages.values()),
        unit="set of images",
        delay=1,
        disable=None if progress is None else not progress,  # None: tqdm looks for a terminal
    )

    def measure(images: Iterator[Pixels] | list[Pixels]) -> Score:
        texts = [reading.text for reading in reader.read_many(images, strict=False)]
        bar.update()
        return score([reader.decoder.as_written(label) for label in labels], texts)

    rows = []
    with bar:
        undamaged = measure(originals)
        for name, damage in damages.items():
            rows.append(DamageScore(name, damage.undamaged, undamaged))
            for value in damage.values:
                damaged = (
                    damage.apply(image, value, np.random.default_rng([seed, i]))
                    for i, image in enumerate(originals)
                )
                rows.append(DamageScore(name, value, measure(damaged)))
    return rows
