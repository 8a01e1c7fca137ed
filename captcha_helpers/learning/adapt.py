"""Get used to one kind of image without a label: learn from one's own confident readings.

A reader that reads every kind of image a little reads one kind better once it has seen it. Nobody
has typed a label, so what it reads with confidence is taken for the label (pseudo-labelling), and
whether that helped has to be seen without labels, too: a reader that has understood an image reads
it the same way if the image is moved and bent a little. Of images that nothing was learned from,
the new reader must read more the same way than the old one, and it must still say what the old one
was confident of.

Source: Lee, *Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
Networks*, 2013.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.files import refuse_existing
from captcha_helpers.data.augment import augment_batch
from captcha_helpers.data.folders import image_files
from captcha_helpers.data.images import ImageError, ImageSource
from captcha_helpers.learning.recipe import train
from captcha_helpers.learning.starts import STARTS, pretrained_start
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import Recognizer, from_keras, load, save_model
from captcha_helpers.reading.shipped import model_path

CHECKED = 0.25  # share of the images that nothing is learned from
MOST_CHECKED = 200
CHANGES = 4  # times that each of them is changed a little
EXPECTED_RIGHT = 0.95  # mean confidence of what is learned from
LEAST = 32  # confident readings that are worth a training
REPEATED = 0.9  # least share of the old reader's confident readings that the new one repeats


@dataclass(frozen=True)
class Adaptation:
    """What became of a reader that looked at images without labels.

    Attributes:
        reader: The reader that is the better one as far as can be told: the new one or the old.
        adapted: Whether that is the new one.
        reason: Why, in a sentence.
        images: How many images there were.
        taught: How many confident readings were learned from.
        checked: How many images were kept for the check.
        before: Share of slightly changed copies of these that the old reader reads as it reads the
            image itself, 0–1.
        after: The same of the new reader.
        gain: ``after - before``, with its standard error.
    """

    reader: Recognizer
    adapted: bool
    reason: str
    images: int
    taught: int = 0
    checked: int = 0
    before: float = math.nan
    after: float = math.nan
    gain: tuple[float, float] = (math.nan, math.nan)


def adapt(
    images: str | os.PathLike[str] | Iterable[ImageSource],
    model: str | os.PathLike[str] = "general",
    *,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    minutes: float = 3.0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: bool | None = None,
) -> Adaptation:
    """Let a reader get used to images of one kind, of which no label is known.

    Args:
        images: A folder, or images as paths, bytes, Pillow images or arrays: some hundred of one
            kind. Their names mean nothing.
        model: The reader to begin with: a start that ships, such as ``"general"``, or the
            ``.keras`` file of a reader.
        charset: The only characters that occur, if that is known. It helps much.
        length: Fewest and most characters of a string, if that is known. So does this.
        ignore_case: Whether a letter and its other case count as one.
        minutes: How long the training may take.
        out: Where to write the new reader, a ``.keras`` file; it is written only if it is better.
        overwrite: Replace the file `out`.
        seed: Another seed makes another split and other batches.
        progress: As for `captcha_helpers.train`.

    Returns:
        What became of it, with the better reader.

    Raises:
        FileExistsError: If `out` exists and `overwrite` is not set.
        ValueError: If there are too few images, or the model is none that can be trained.
    """
    if out is not None:
        refuse_existing(Path(out), overwrite=overwrite)
    old = load(model, charset=charset, length=length, ignore_case=ignore_case)
    pictures, prepared, odd = _prepare(images, old.spec)
    if len(pictures) < 4 * LEAST:
        raise ValueError(
            f"there are {len(pictures)} images that can be read; to get used to a kind of image "
            f"takes {4 * LEAST} or more"
        )
    order = np.random.default_rng(seed).permutation(len(pictures))
    checked = order[: min(MOST_CHECKED, round(CHECKED * len(order)))]
    learned = np.sort(order[len(checked) :])
    readings = old.read_prepared(prepared)
    chosen = [row for row in confident([readings[row].confidence for row in learned])]
    rows = [int(learned[row]) for row in chosen]
    if len(rows) < LEAST:
        reason = (
            f"Nothing was changed: the reader is confident of {len(rows)} of {len(learned)} "
            f"images only, and {LEAST} are needed. Say which characters occur and how many, or "
            "label some images"
        )
        return Adaptation(old, False, reason + odd, len(pictures))
    with tempfile.TemporaryDirectory() as folder:
        new = train(
            [pictures[row] for row in rows],
            [readings[row].text for row in rows],
            init=_trainable(model, old.spec, Path(folder)),
            minutes=minutes,
            seed=seed,
            progress=progress,
        )
    network = new.keras_model
    new = from_keras(network, replace(new.spec, mask=old.spec.mask))
    result = _compare(old, new, prepared[checked], [readings[row] for row in checked], seed)
    result = replace(result, reason=result.reason + odd, images=len(pictures), taught=len(rows))
    if out is not None and result.adapted:
        save_model(network, new.spec, out)
    return result


def confident(confidences: Sequence[float], right: float = EXPECTED_RIGHT) -> list[int]:
    """Choose as many readings as possible whose mean confidence is high enough.

    Args:
        confidences: Of each reading, 0–1.
        right: Least mean confidence of those chosen, 0–1.

    Returns:
        Their places, in order.

    Example:
        >>> confident([0.2, 0.99, 0.93])
        [1, 2]
    """
    order = np.argsort(confidences)[::-1]
    means = np.cumsum(np.asarray(confidences, float)[order]) / np.arange(1, len(order) + 1)
    return sorted(order[: int((means >= right).sum())].tolist())


def _prepare(
    images: str | os.PathLike[str] | Iterable[ImageSource], spec: ModelSpec
) -> tuple[list[ImageSource], NDArray[np.uint8], str]:
    """Prepare all images that can be read, and say what is odd about them."""
    listed = image_files(images) if isinstance(images, (str, os.PathLike)) else list(images)
    pictures: list[ImageSource] = []
    prepared = []
    for image in listed:
        try:
            prepared.append(spec.prepare(image))
        except ImageError:
            continue
        pictures.append(image)
    odd = _kinds(pictures) if isinstance(images, (str, os.PathLike)) else ""
    if len(pictures) < len(listed):
        odd += f". {len(listed) - len(pictures)} images cannot be read"
    return pictures, np.stack(prepared) if prepared else np.empty((0, 1, 1, 1), np.uint8), odd


def _kinds(files: Sequence[ImageSource]) -> str:
    """Say if the images of a folder are of clearly different shapes, and so of several kinds."""
    from PIL import Image

    shapes: Counter[float] = Counter()
    for file in files:
        with Image.open(file) as image:  # type: ignore[arg-type]
            shapes[round(4 * math.log2(image.width / image.height)) / 4] += 1
    many = [count for _, count in shapes.most_common() if count >= 0.1 * len(files)]
    if len(many) < 2:
        return ""
    return (
        f". The images have {len(many)} different shapes and may be of several kinds: a folder for "
        "each kind teaches more"
    )


def _trainable(model: str | os.PathLike[str], spec: ModelSpec, folder: Path) -> Path:
    """Give the ``.keras`` file of a reader; of a start, one for these characters and lengths."""
    if os.fspath(model) not in STARTS:
        return model_path(model)
    characters = spec.mask.charset or spec.charset
    known = "".join(char for char in characters if char in spec.charset)
    length = spec.mask.length or spec.length
    network = pretrained_start(Charset(known), length=length[1], start=os.fspath(model))
    narrowed = replace(spec, charset=known, length=length, mask=Mask())
    save_model(network, narrowed, folder / "start.keras")
    return folder / "start.keras"


def _compare(
    old: Recognizer, new: Recognizer, images: NDArray[np.uint8], readings: list[Reading], seed: int
) -> Adaptation:
    """See without labels which of two readers reads these images better."""
    rng = np.random.default_rng(seed)
    changed = [augment_batch(images, rng) for _ in range(CHANGES)]
    steady = {}
    for name, reader in (("old", old), ("new", new)):
        texts = [one.text for one in reader.read_prepared(images)]
        again = [[one.text for one in reader.read_prepared(copies)] for copies in changed]
        same = [[a == b for a, b in zip(texts, copy, strict=True)] for copy in again]
        steady[name] = np.mean(same, axis=0)  # (B,), 0-1
        if name == "new":
            sure = confident([one.confidence for one in readings])
            repeated = sum(texts[row] == readings[row].text for row in sure) / max(1, len(sure))
    difference = steady["new"] - steady["old"]
    gain = float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))
    before, after = float(steady["old"].mean()), float(steady["new"].mean())
    figures = (
        f"of {CHANGES} slightly changed copies of each of {len(images)} images that nothing was "
        f"learned from, {after:.1%} are read as the image itself, {before:.1%} before "
        f"(a gain of {100 * gain[0]:+.1f} ± {100 * gain[1]:.1f} points)"
    )
    adapted = bool(gain[0] > gain[1] and repeated >= REPEATED)
    if adapted:
        reason = f"The new reader is taken: {figures}"
    elif repeated < REPEATED:
        reason = (
            f"Nothing was changed: the new reader repeats only {repeated:.1%} of what the old one "
            "was confident of"
        )
    else:
        reason = f"Nothing was changed, since no clear gain can be seen: {figures}"
    reader = new if adapted else old
    return Adaptation(reader, adapted, reason, 0, 0, len(images), before, after, gain)
