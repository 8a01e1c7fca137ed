"""One training, or two: with the labels alone, and then with what is read of unlabelled images too.

The second begins anew with the same weights. What the first one gave is kept until it is clear that
the second reads no worse, through a kill as well.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset
from captcha_helpers.core.models import keras
from captcha_helpers.core.output import say
from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.data.images import ImageSource
from captcha_helpers.learning.checkpoint import (
    Alone,
    Job,
    Progress,
    resume_path,
    save_checkpoint,
)
from captcha_helpers.learning.fitting import (
    compile_model,
    computed_with,
    fix_statistics,
    quickest_precision,
)
from captcha_helpers.learning.messages import readings_text
from captcha_helpers.learning.plan import Plan, TrainingSettings
from captcha_helpers.learning.pseudo_labels import as_read, prepare_unlabelled, pseudo_labels
from captcha_helpers.learning.run import Material, Run
from captcha_helpers.learning.split import picture
from captcha_helpers.learning.starts import Start, check_model
from captcha_helpers.learning.unseen import put_back
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import from_keras


@dataclass(frozen=True)
class Learned:
    """What came of one training, or of two.

    Attributes:
        job: What was done.
        done: With the weights that are kept, and how they came about.
        read: Unlabelled images that were learned from.
        complete: Whether it came to its end.
        from_start: How far from the first weights the reader is; 1 is where the training ended.
        seconds: How long it took.
    """

    job: Job
    done: Progress
    read: LabeledImages
    complete: bool
    from_start: float
    seconds: float


@dataclass(frozen=True)
class Parts:
    """What is learned from, and what measures it.

    Attributes:
        training: Images with labels.
        validation: Images with labels that are set aside.
        unlabelled: Images by their names.
    """

    training: LabeledImages
    validation: LabeledImages
    unlabelled: dict[str, ImageSource]


def plan_for(
    order: dict[str, Any],
    start: Start,
    error: float,
    images: int,
    seconds: float,
    settings: TrainingSettings,
) -> Plan:
    """How to learn from so many images in so many seconds, or in the epochs that were asked for.

    Args:
        order: What was asked for.
        start: What it begins with.
        error: The character error rate of that, 0–1.
        images: How many.
        seconds: How long.
        settings: Every other number.
    """
    familiar = error < start.familiar
    known = float(familiar)  # how much of the look, from none to all
    if familiar and start.draw is not None:
        known = min(1.0, 2 * (1 - error / start.familiar))
    strange = known < 0.5 and start.draw is not None and error < 1  # but the characters are known
    rehearsal = known * min(1, settings.enough / images)  # from none to all there is
    drawn = round(rehearsal * settings.most_drawn) if start.draw is not None else 0
    epochs, own = order["epochs"], settings.batch_size - drawn
    return Plan(
        start=start.name,
        error=error,
        seconds=seconds,
        steps=None if epochs is None else math.ceil(epochs * images / own),
        drawn=drawn,
        peak=rehearsal * settings.rehearsal_rate + (1 - rehearsal) * settings.peak_rate,
        fixed_statistics=strange and images <= settings.enough,
        seed=order["seed"],
        settings=settings,
    )


def first_state(start: Start, spec: ModelSpec, plan: Plan) -> Progress:
    """Build the network to train, as it is before the first step."""
    charset, length = Charset(spec.charset), spec.length[1]
    keras.utils.set_random_seed(plan.seed)
    with computed_with(quickest_precision()) if start.fewer_bits else nullcontext():
        model = start.build(charset, length, plan.settings.dropout)
    check_model(model, charset, length, start.head)
    if plan.fixed_statistics:
        fix_statistics(model)
    compile_model(model, head=start.head, steps=None)  # nobody knows yet how many there will be
    model.optimizer.build(model.trainable_variables)  # else a state of step 0 is not whole
    weights = model.get_weights()
    return Progress(model, weights, None if start.weights is None else weights)


def network(start: Start, spec: ModelSpec, done: Progress) -> keras.Model:
    """The network with the weights that are kept, without the optimizer and the dropout."""
    model = start.build(Charset(spec.charset), spec.length[1], 0.0)
    model.set_weights(done.kept)
    return model


def reader_of(
    job: Job, start: Start, done: Progress, labels: Sequence[str]
) -> tuple[keras.Model, ModelSpec]:
    """The network with the weights that are kept, and what it reads.

    Args:
        job: What was decided.
        start: What it began with.
        done: How far it is.
        labels: What was learned from; says how rare the characters are that were left out.
    """
    model, later = network(start, job.spec, done), job.plan.left_out
    return put_back(model, job.spec, start, later, labels) if later else (model, job.spec)


def learn(
    job: Job,
    start: Start,
    parts: Parts,
    done: Progress,
    *,
    begun: float,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Learned:
    """Learn from what is labelled, and then again with what is read of the other images.

    Args:
        job: What was decided. If it has readings, the first training is over.
        start: What it begins with.
        parts: The images.
        done: How far it is; changed as it goes.
        begun: When the time began to run, by `time.perf_counter`.
        out: Where the reader will be; the state to go on from is beside it. None writes none.
        progress: As for `captcha_helpers.train`.
    """
    since, nothing = begun - done.seconds, parts.training.subset([])
    if job.readings is None:
        complete, from_start = _train(job, start, parts, nothing, done, begun, out, progress)
        first = Learned(job, done, nothing, complete, from_start, time.perf_counter() - since)
        if not complete or not parts.unlabelled:
            return first
        begun = time.perf_counter()
        try:
            job, done, read = _begin_again(first, start, parts, begun - since, progress)
        except KeyboardInterrupt:
            print("interrupted: keeping what the labels alone gave", file=sys.stderr, flush=True)
            return replace(first, complete=False)
    else:
        read = as_read(prepare_unlabelled(parts.unlabelled, job.spec), job.readings)
    complete, from_start = _train(job, start, parts, read, done, begun, out, progress)
    second = Learned(job, done, read, complete, from_start, time.perf_counter() - since)
    if done.alone is None or _is_better(second, done.alone, len(parts.validation)):
        return second
    return replace(
        second,
        job=replace(job, readings=None),
        done=Progress(done.model, done.alone.kept, None, done.alone.state),
        read=nothing,
        from_start=done.alone.from_start,
    )


def _train(
    job: Job,
    start: Start,
    parts: Parts,
    read: LabeledImages,
    done: Progress,
    begun: float,
    out: str | os.PathLike[str] | None,
    progress: bool | None,
) -> tuple[bool, float]:
    """One training: whether it came to its end, and how far from the first weights it left off."""
    training = LabeledImages(
        np.concatenate([parts.training.images, read.images]),
        parts.training.labels + read.labels,
        parts.training.names + read.names,
    )
    save = None if out is None else partial(save_checkpoint, resume_path(out), job)
    material = Material(job.spec, training, parts.validation, start.draw)
    run = Run(job.plan, material, done, save, show=progress)
    complete = run.go(begun)
    if complete and save is not None and parts.unlabelled and job.readings is None:
        save(done)  # who is cut off while it reads goes on from here
    return complete, run.go_back()


def _begin_again(
    first: Learned, start: Start, parts: Parts, used: float, progress: bool | None
) -> tuple[Job, Progress, LabeledImages]:
    """Read the unlabelled images, and plan a training with the time that is left."""
    job, settings = first.job, first.job.plan.settings
    found = prepare_unlabelled(parts.unlabelled, job.spec)
    reader = from_keras(*reader_of(job, start, first.done, parts.training.labels))
    read = pseudo_labels(reader, found.images, found.names, settings.readings_right)
    strings = set(parts.validation.labels) if job.split.by == "label" else set()
    pictures = set(map(picture, parts.validation.images))  # nor is what measures it, elsewhere
    later = set(job.plan.left_out)  # no row of theirs is trained
    rows = [
        row
        for row, (label, image) in enumerate(zip(read.labels, read.images, strict=True))
        if label not in strings and picture(image) not in pictures and not later & set(label)
    ]
    read = read.subset(rows)
    said = [readings_text(len(read), len(found.images), first.done.state.best[0]), *found.odd]
    if progress is not False:
        say(". ".join(said))
    seconds = max(1.0, settings.time_share * 60 * (job.order["minutes"] or 0.0) - used)
    images = len(parts.training) + len(read)
    plan = plan_for(job.order, start, job.plan.error, images, seconds, settings)
    readings = dict(zip(map(picture, read.images), read.labels, strict=True))
    plan = replace(plan, unseen=job.plan.unseen, left_out=job.plan.left_out)
    job = replace(job, plan=plan, readings=readings)
    done = first_state(start, job.spec, job.plan)
    done.alone = Alone(first.done.kept, first.done.state, first.from_start)
    return job, done, read


def _is_better(second: Learned, alone: Alone, n: int) -> bool:
    """Whether the second training counts: n images are read no worse, but for chance.

    One that was cut off has to read them better.
    """
    before, after = alone.state.best, second.done.state.best
    if not second.complete:
        return after > before
    lowest, _ = metrics.wilson_interval(round(before[0] * n), n)
    return after[0] >= lowest
