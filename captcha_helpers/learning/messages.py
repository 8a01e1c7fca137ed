"""What a training says to whoever waits for it: before, after, and if it went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from captcha_helpers.core.charset import Charset, shortened
from captcha_helpers.data.checks import ENOUGH_IMAGES, MOST, TWO_ROWS, doubts, has_two_rows
from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.learning.checkpoint import Job
from captcha_helpers.reading.model_file import ModelSpec

MOSTLY_WRONG = 0.5  # of the characters, from which on hardly any string is right
HARDLY_ANY = 0.05  # of the strings
FEW_PASSES = 10
FEW_FRAMES = 3  # a character
LOOKED_AT = 100  # images, to find rows in


def plan_text(job: Job, training: int, validation: int, seconds_used: float) -> str:
    """Say what is going to happen.

    Args:
        job: What was decided.
        training: Images to learn from.
        validation: Images that are set aside.
        seconds_used: Of the time, by now.

    Returns:
        Three to five lines.
    """
    plan, spec = job.plan, job.spec
    fewest, most = spec.length
    length = f"{most}" if fewest == most else f"{fewest} to {most}"
    apart = {
        "label": "no string is in both",
        "image": "there are few strings, each in several images, so they are split by image and "
        "the strings are in both",
    }[job.split.by]
    missing = plan.unseen + plan.left_out
    unseen = f"no label has {shortened(missing)}: read as the weights to begin with know them"
    if job.order["charset"] is None and not job.split.earlier:
        unseen += " (--charset says which characters occur)"
    then = f"then again, with readings of {job.order['unlabelled']} unlabelled images"
    rehearsal = f"; {plan.drawn} of {plan.settings.batch_size} images a batch are drawn"
    return "\n".join(
        [
            f"learning to read {length} characters of {shortened(spec.charset)} from {training} "
            f"images; {validation} are set aside to measure with ({apart})",
            *([unseen] if missing else []),
            *([then] if job.order["unlabelled"] and job.readings is None else []),
            f"beginning with {plan.start}{_knows(plan.error)}{rehearsal if plan.drawn else ''}",
            f"until {_end(job, seconds_used)}; Ctrl-C ends it earlier and keeps what was learned",
        ]
    )


def readings_text(learned: int, images: int, exact: float) -> str:
    """Say what is learned from after the first training, if there are unlabelled images.

    Example:
        >>> readings_text(60, 80, 0.9).split("; ")[0]
        'it reads 90.0% of the held-out images'
    """
    return (
        f"it reads {exact:.1%} of the held-out images; now again with {learned} of {images} "
        "unlabelled images, for whose labels it takes what it reads with confidence"
    )


def _knows(error: float) -> str:
    return f", which reads {1 - error:.1%} of the characters already" if error < 1 else ""


def _end(job: Job, seconds_used: float) -> str:
    if job.plan.steps is not None:
        return f"batch {job.plan.steps}"
    left = timedelta(minutes=job.order["minutes"]) - timedelta(seconds=seconds_used)
    return f"{datetime.now() + left:%H:%M:%S}"


def result_text(facts: dict[str, Any]) -> str:
    """Say how well a reader reads, from the record of its training.

    Example:
        >>> result_text({"validation_exact_match": 0.9, "validation_images": 30,
        ...              "validation_exact_match_ci95": [0.744, 0.965]})
        'reads 90.0% (± 15.6) of 30 held-out images'
    """
    exact = facts["validation_exact_match"]
    low, high = facts["validation_exact_match_ci95"]
    around = max(exact - low, high - exact)
    return (
        f"reads {exact:.1%} (± {100 * around:.1f}) of {facts['validation_images']} held-out images"
    )


def reasons(data: LabeledImages, spec: ModelSpec, facts: dict[str, Any]) -> list[str]:
    """Guess why next to nothing is read; an empty list if more is.

    Args:
        data: All labelled images.
        spec: What the model takes.
        facts: The record of the training.

    Returns:
        Sentences, the likeliest reason first.
    """
    exact, cer = facts["validation_exact_match"], facts["validation_cer"]
    if cer < MOSTLY_WRONG and exact >= HARDLY_ANY:
        return []
    return list(_reasons(data, spec, facts["history"][-1]["epoch"]))


def trouble_text(facts: dict[str, Any]) -> str:
    """Say loudly that a reader reads next to nothing, and why that may be.

    Example:
        >>> facts = {"validation_exact_match": 0.0, "validation_cer": 0.9, "warnings": ["Why."]}
        >>> print(trouble_text(facts))
        WARNING: this reader reads next to nothing: 0.0% of the images, 90% of the characters wrong.
        - Why.
    """
    cer = min(1.0, facts["validation_cer"])
    first = (
        f"WARNING: this reader reads next to nothing: {facts['validation_exact_match']:.1%} of the "
        f"images, {cer:.0%} of the characters wrong."
    )
    return "\n".join([first, *(f"- {reason}" for reason in facts["warnings"])])


def _reasons(data: LabeledImages, spec: ModelSpec, passes: float) -> Iterator[str]:
    charset, longest = Charset(spec.charset), spec.length[1]
    yield from doubts(data.labels)
    some = data.images[:: math.ceil(len(data) / LOOKED_AT)]
    if sum(map(has_two_rows, some)) > MOST * len(some):
        yield TWO_ROWS
    if passes < FEW_PASSES:
        yield (
            f"Each image was seen {passes:.0f} times; give it more time, until it is some "
            f"{10 * FEW_PASSES} times."
        )
    if spec.head == "ctc" and spec.width // 4 < FEW_FRAMES * longest:
        yield (
            f"Labels of {longest} characters are long for images of {spec.width} pixels, the width "
            "that the model takes: a network of your own may take more (build=)."
        )
    needed = max(ENOUGH_IMAGES, 5 * len(charset))
    if len(data) < needed:
        yield f"{len(data)} labelled images are few for {len(charset)} characters; label {needed}."
    yield (
        "The labels may be wrong: of which these are a few, do the images say that? "
        f"{_a_few(data)}."
    )
    yield (
        "The text may be too small once the image has the model's size: something at the edges, a "
        "frame or a line, keeps the empty space from being cut away."
        if spec.processing.auto_crop
        else "The text may be too small once the image has the model's size: crop it "
        "(Processing(auto_crop=True), --auto-crop)."
    )


def _a_few(data: LabeledImages) -> str:
    step = math.ceil(len(data) / 3)
    pairs: Sequence[tuple[str, str]] = list(zip(data.names, data.labels, strict=True))[::step]
    return ", ".join(f"{name} {label!r}" for name, label in pairs)
