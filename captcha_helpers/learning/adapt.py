"""Get used to one kind of image without a label: learn from one's own confident readings.

A reader that reads every kind of image a little reads one kind better once it has seen it. Nobody
has typed a label, so what it reads with confidence is taken for the label (pseudo-labelling), and
whether that helped has to be seen without labels, too: a reader that has understood an image reads
it the same way if the image is moved and bent a little. Of images that nothing was learned from,
the new reader must read more the same way than the old one, and it must still say what the old one
was confident of.

Half of what is learned from is drawn, with right labels, as in the pre-training (a *rehearsal*): on
its own readings alone it became worse as often as better. Tried and not kept, since nothing was
gained: a second round, whose labels the new reader reads; labels that several changed copies agree
on; and the statistics of the batch normalisation alone, taken anew from the images.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.core.output import say
from captcha_helpers.data.augment import augment_batch
from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.data.images import ImageSource
from captcha_helpers.learning.plan import Plan, TrainingSettings
from captcha_helpers.learning.pseudo_labels import (
    confident,
    listed,
    parts,
    prepare_unlabelled,
    pseudo_labels,
    with_case,
)
from captcha_helpers.learning.recipe import earlier_trainings
from captcha_helpers.learning.run import Material, Run
from captcha_helpers.learning.starts import Start, from_file
from captcha_helpers.learning.trainings import first_state
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import Recognizer, from_keras, load, save_model

CHECKED = 0.25  # share of the images that nothing is learned from
MOST_CHECKED = 200
COPIES = 4  # of each image that is checked, changed a little
EXPECTED_RIGHT = 0.95  # mean confidence of what is learned from
LEAST = 32  # confident readings that are worth a training
REPEATED = 0.9  # least share of the old reader's confident readings that the new one repeats
DRAWN = 16  # images of a batch that are drawn, if the weights have learned from drawn images
CLEAR = 1.0  # standard errors by which a gain must be above zero


@dataclass(frozen=True)
class Adaptation:
    """What became of a reader that looked at images without labels.

    Attributes:
        reader: The better one of the new reader and the old, as far as can be told.
        adapted: Whether that is the new one.
        reason: Why, in a sentence or two.
        images: How many images there were.
        learned: How many confident readings there were to learn from.
        checked: How many images were kept for the check; 0 if there was nothing to check.
        before: Share of slightly changed copies of these that the old reader reads as it reads the
            image itself, 0–1.
        after: The same of the new reader.
        gain: ``after - before``, with its standard error.
        new: The new reader, if there is one, taken or not.
    """

    reader: Recognizer
    adapted: bool
    reason: str
    images: int = 0
    learned: int = 0
    checked: int = 0
    before: float | None = None
    after: float | None = None
    gain: tuple[float, float] | None = None
    new: Recognizer | None = None


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
        model: The reader to begin with: the name of pre-trained weights, such as ``"general"``, or
            the ``.keras`` file of a reader.
        charset: The only characters that occur, if that is known. It helps much.
        length: Fewest and most characters of a string, if that is known. So does this.
        ignore_case: Whether a letter and its other case count as one.
        minutes: How long the training may take.
        out: Where to write the new reader, a ``.keras`` file; it is written only if it is better.
        overwrite: Replace the file `out`.
        seed: Another seed makes another split and other batches.
        progress: Show what is done and a progress bar; by default the bar appears in a terminal
            only.

    Returns:
        What became of it, with the better reader. Ctrl-C ends the training early, and what it has
        learned is judged.

    Raises:
        FileExistsError: If `out` exists and `overwrite` is not set.
        FileNotFoundError: If there is no such model.
        NotADirectoryError: If there is no such folder.
        ValueError: If there are too few images, the model is none that can be trained, or an
            argument makes no sense.
    """
    _check_arguments(minutes, out, overwrite=overwrite)
    start = from_file(model)
    old = load(model, charset=charset, length=length, ignore_case=ignore_case)
    prepared, names, odd = prepare_unlabelled(listed(images), old.spec)
    if len(prepared) < 4 * LEAST:
        raise ValueError(
            f"there are {len(prepared)} images that can be read; to get used to a kind of image "
            f"takes {4 * LEAST} or more"
        )
    order = np.random.default_rng(seed).permutation(len(prepared))
    checked, learned = np.split(order, [min(MOST_CHECKED, round(CHECKED * len(order)))])
    data = pseudo_labels(old, prepared[learned], [names[row] for row in learned], EXPECTED_RIGHT)
    if len(data) < LEAST:
        result = Adaptation(old, False, _too_few(len(data), len(learned)))
    else:
        if progress is not False:
            say(
                f"learning from the readings of {len(data)} of {len(learned)} images, of which it "
                f"is confident; {len(checked)} are kept for the check"
            )
        new = _train(start, old.spec, data, minutes, seed, progress)
        result = _compare(old, new, prepared[checked], seed)
    reason = ". ".join([result.reason, *odd])
    result = replace(result, reason=reason, images=len(prepared), learned=len(data))
    if result.adapted:
        reader = result.reader
        reader.spec = replace(reader.spec, training=_record(result, old.spec, model, minutes, seed))
        if out is not None:
            save_model(reader.keras_model, reader.spec, out)
    return result


def _record(
    result: Adaptation, old: ModelSpec, model: str | os.PathLike[str], minutes: float, seed: int
) -> dict[str, Any]:
    """How the reader came about; for people."""
    name = Path(model).name
    return {
        "command": f"captcha_helpers.adapt(images, {name!r}, minutes={minutes}, seed={seed})",
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "images": result.learned,
        "labels": f"readings of {name}, which nobody has checked",
        "checked": result.reason,
        "earlier": earlier_trainings(old),
    }


def _check_arguments(
    minutes: float, out: str | os.PathLike[str] | None, *, overwrite: bool
) -> None:
    if not minutes > 0:
        raise ValueError(f"need minutes > 0, received {minutes}")
    if out is None:
        return
    if Path(out).suffix != ".keras":
        raise ValueError(f"the name of the model must end in .keras, received {str(out)!r}")
    check_writable(out)
    refuse_existing(out, overwrite=overwrite)


def _read(reader: Recognizer, images: NDArray[np.uint8]) -> list[Reading]:
    return [reading for part in parts(images) for reading in reader.read_prepared(part)]


def _train(
    start: Start,
    spec: ModelSpec,
    data: LabeledImages,
    minutes: float,
    seed: int,
    progress: bool | None,
) -> Recognizer:
    """Let a copy of the reader learn from what it read, and from drawn images (a rehearsal)."""
    begun = time.perf_counter()
    length = spec.mask.length or spec.length
    spec = replace(spec, charset=with_case(spec), length=length)
    settings = TrainingSettings()
    plan = Plan(
        start.name,
        error=0.0,
        seconds=settings.time_share * 60 * minutes,
        steps=None,
        drawn=DRAWN if start.draw is not None else 0,
        peak=settings.rehearsal_rate,
        seed=seed,
    )
    rows = np.random.default_rng(seed).permutation(len(data))
    measured, learned = np.split(rows, [round(settings.validation * len(data))])
    material = Material(spec, data.subset(learned), data.subset(measured), start.draw)
    done = first_state(start, spec, plan)
    run = Run(plan, material, done, show=progress)
    run.go(begun)
    run.go_back()
    model = start.build(Charset(spec.charset), spec.length[1], 0.0)
    model.set_weights(done.kept)  # without the optimizer and the dropout
    return from_keras(model, spec)


def _too_few(number: int, images: int) -> str:
    return (
        f"Nothing was changed: the reader is confident of {number} of {images} images only, and "
        f"{LEAST} are needed. Say which characters occur and how many, or label some images"
    )


def _compare(old: Recognizer, new: Recognizer, images: NDArray[np.uint8], seed: int) -> Adaptation:
    """See without labels which of two readers reads these images better."""
    rng = np.random.default_rng([seed, 3])
    copies = [augment_batch(images, rng) for _ in range(COPIES)]
    first, second = _read(old, images), _read(new, images)
    was, now = _steady(old, first, copies), _steady(new, second, copies)
    before, after = float(was.mean()), float(now.mean())
    gain = after - before, float((now - was).std(ddof=1) / math.sqrt(len(images)))
    sure = confident([one.confidence for one in first], EXPECTED_RIGHT)
    same = sum(first[row].text == second[row].text for row in sure)
    figures = (
        f"of {COPIES} slightly changed copies of each of {len(images)} images that nothing was "
        f"learned from, {after:.1%} are read as the image itself, {before:.1%} before "
        f"(a gain of {100 * gain[0]:+.1f} ± {100 * gain[1]:.1f} points)"
    )
    adapted = False
    if not sure or same < REPEATED * len(sure):
        reason = (
            f"Nothing was changed: of {len(sure)} readings of which the old reader is confident, "
            f"in images that nothing was learned from, the new one repeats {same} only"
        )
    elif gain[0] <= CLEAR * gain[1]:
        reason = f"Nothing was changed, since no clear gain can be seen: {figures}"
    else:
        adapted, reason = True, f"The new reader is taken: {figures}"
    reader = new if adapted else old
    return Adaptation(reader, adapted, reason, 0, 0, len(images), before, after, gain, new)


def _steady(
    reader: Recognizer, readings: list[Reading], copies: list[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Share of the copies of each image that is read as the image itself, ``(B,)``, 0–1."""
    texts = [one.text for one in readings]
    again = [[one.text for one in _read(reader, copy)] for copy in copies]
    same = np.array([[a == b for a, b in zip(texts, copy, strict=True)] for copy in again], float)
    steady: NDArray[np.float64] = same.mean(axis=0)
    return steady
