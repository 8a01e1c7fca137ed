"""One call from labelled images to a reader: `train`.

The parts are those of the notebooks; this module puts them together so that no knob has to be
touched: look at the images (`data.examples`), choose what to begin with (`starts`), set a
validation part aside (`split`), decide how to go about it (`plan`), show slightly changed images
for as long as there is time while the learning rate rises and falls once (`run`), and keep the last
weights that read the validation part as well as any, but for chance. What it takes to go on after a
kill is in `checkpoint`.

Images without labels can help as well: what a first training reads with confidence is taken for
their labels in a second one (`trainings`), which begins anew with the same weights.

A few labels do not have all characters that occur. Those that were told, or that may be missing by
chance, are read as the weights to begin with know them, and are drawn like the others.

Labels are often typed in small letters where the images show capitals, or both. So where all labels
have one case, what the weights know of the other case, and of both, is tried as well, and taken if
it reads far more.

One thing depends on the images. If the weights to begin with read them already, more or less, up to
two thirds of what is shown are drawn, as in the making of these weights, and the rate is low (a
*rehearsal*: Robins, *Catastrophic Forgetting, Rehearsal and Pseudorehearsal*, 1995): there is more
to forget than to learn, unless there are many labels or the look is hardly known. If the look is
strange to all of them, only the labelled images are shown, at a higher rate. Where these are few,
and the look strange or hardly known but the characters known, batch normalisation keeps the
statistics and the weights that it has: with few labels, less should change.

In the end the weights go a quarter of the way back to those that they began with, unless the
validation part is then read worse, but for chance: what a few images have taught goes too far
(Wortsman et al., *Robust Fine-Tuning of Zero-Shot Models*, 2022).
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from captcha_helpers import __version__
from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset, is_chinese
from captcha_helpers.core.ctc import greedy_decode
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.core.models import keras, residual_ctc
from captcha_helpers.core.output import say
from captcha_helpers.data.checks import Inspection
from captcha_helpers.data.examples import (
    Example,
    Examples,
    Images,
    Input,
    decoded,
    examples_of,
    prepare_examples,
)
from captcha_helpers.data.folders import LabeledImages, report_skipped
from captcha_helpers.data.images import ImageSource
from captcha_helpers.data.processing import Processing
from captcha_helpers.learning.checkpoint import (
    Job,
    load_checkpoint,
    resume_path,
)
from captcha_helpers.learning.messages import (
    plan_text,
    reasons,
    trouble_text,
)
from captcha_helpers.learning.plan import (
    TrainingSettings,
    learning_rate,
)
from captcha_helpers.learning.pseudo_labels import (
    unlabelled_images,
)
from captcha_helpers.learning.run import read_images
from captcha_helpers.learning.split import SPLIT_MEMBER, Split, set_aside
from captcha_helpers.learning.starts import (
    CHINESE,
    SEEN,
    STARTS,
    Builder,
    Start,
    check_model,
    from_builder,
    from_file,
    only_chinese_knows,
    shipped,
)
from captcha_helpers.learning.trainings import (
    Learned,
    Parts,
    first_state,
    learn,
    plan_for,
    reader_of,
)
from captcha_helpers.learning.unseen import left_out, unseen_by_chance
from captcha_helpers.reading.evaluation import measure
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.model_file import Head, ModelSpec
from captcha_helpers.reading.recognizer import Recognizer, from_keras, save_model
from captcha_helpers.reading.report import write_report
from captcha_helpers.reading.shipped import shipped_starts

__all__ = ["TrainingSettings", "learning_rate", "train"]

EARLIER = (  # what a reader's record keeps of the trainings before
    *("command", "date", "images", "validation_images"),
    *("validation_exact_match", "validation_exact_match_ci95"),
)
LONG = 20  # characters; images have to be wider than usual for labels that are longer


def train(
    images: Images,
    labels: Iterable[str] | None = None,
    *,
    minutes: float = 5.0,
    epochs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    unlabelled: str | os.PathLike[str] | Iterable[ImageSource] | None = None,
    pretrained: bool = True,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    report: str | os.PathLike[str] | None = None,
    init: str | os.PathLike[str] | None = None,
    build: Builder | None = None,
    head: Head = "ctc",
    processing: Processing | None = None,
    on_error: str = "skip",
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    settings: TrainingSettings | None = None,
    progress: bool | None = None,
) -> Recognizer:
    """Learn to read labelled images.

    Args:
        images: A folder of images with the labels in their names or in a ``labels.csv``, see
            :func:`captcha_helpers.data.folders.read_labels`; or images, as arrays, Pillow images,
            paths or bytes; or images and labels as a pair, or as `LabeledImages`.
        labels: What they say, unless they have their labels.
        minutes: How long it may take, from the call to the result. The learning rate is planned
            for this time.
        epochs: Passes over the training images, instead of a time; then the same seed gives the
            same model on the same machine. With `unlabelled` images, each of the two trainings has
            so many.
        out: Where to write the model, a ``.keras`` file. By default it is not written.
        unlabelled: More images of the same kind without labels: a folder, in which those that have
            a label in `images` are left out, or images. After a first training, its readings of
            these (1,000 of them at most) of which it is confident are taken for labels in a second
            one. Worth it where labels are few.
        pretrained: Start from the weights that ship with the package; else from scratch.
        charset: The characters that occur, if that is known. With few labels, some of them are in
            none; the reader reads those too, as well as the weights it begins with did.
        length: Fewest and most characters of a string, likewise.
        report: Where to write an HTML page with the curves of the training and with what the reader
            then does with the held-out images. By default it is not written.
        init: Go on from this reader, a ``.keras`` file: with more labels, with new characters,
            with other lengths. It goes on reading what looks like these images, or is among them;
            another look alone would make it forget the former one, which a warning says.
        build: Train this network: ``build(charset, length=4)`` gives a Keras model with one image
            input and logits at the end, as those of `captcha_helpers.core.models` do. It begins
            with nothing, or with the weights of `init`.
        head: What the logits of `build` mean: ``"ctc"`` or ``"per_position"``.
        processing: What is done to every image, in training and then by the reader; by default
            as the weights to begin with have learned: "general" crops, a reader given as `init`
            keeps its own processing, others see the images as they are. What is given here replaces
            all of that.
        on_error: ``"skip"`` leaves out images that cannot be used, and says so; ``"raise"`` stops.
        seed: Another seed makes another split and other batches. Keras' global seed is set to it.
        overwrite: Replace the files ``out`` and ``report``.
        resume: Go on with a training to ``out`` that was cut off; it keeps the time it has used.
        settings: Every other number; the defaults were measured.
        progress: Show what is found in the folder, the plan and a progress bar; by default the bar
            appears in a terminal only.

    Returns:
        The reader, with the last weights that read the validation part as well as any, but for
        chance: within the 95 % interval of the best; then a quarter of the way back to the first
        weights, unless it reads worse there by more than one standard error. ``spec.training`` of
        it says how it was made, ``spec.training["history"]`` how it came about, and
        ``spec.training["earlier"]`` which trainings went before that of `init`. Ctrl-C ends the
        training early and gives the reader so far.

    Raises:
        FileExistsError: If ``out`` or ``report`` exists and neither ``overwrite`` nor ``resume`` is
            set.
        FileNotFoundError: If there is no such folder, or nothing to resume.
        ImportError: If the processing takes OpenCV, which is not installed.
        NotADirectoryError: If ``unlabelled`` is no folder.
        OSError: If ``out`` cannot be written.
        TypeError: If one of the images is something else.
        ValueError: If there are too few usable images, an argument makes no sense, or what is to
            be resumed had other images or settings.
    """
    begun = time.perf_counter()
    _check_arguments(minutes, epochs, out, resume, pretrained)
    _check_places(out, report, replaced=overwrite or resume)
    told = Mask(charset, length)
    settings, everything = settings or TrainingSettings(), examples_of(images, labels)
    others = unlabelled_images(unlabelled, everything.examples, settings.most_unlabelled, seed)
    found, refused = _as_told(everything, told)
    starts = _candidates(found.examples, told, pretrained, init, build, head)
    if processing is not None:  # then it is the same for all
        starts = [replace(start, processing=processing) for start in starts]
    order = {
        "minutes": None if epochs else minutes,
        "epochs": epochs,
        "seed": seed,
        "begins with": " or ".join(start.name for start in starts),
        "processing": [str(start.processing) for start in starts],
        "charset": charset,
        "length": length,
        "unlabelled": len(others),
        "settings": asdict(settings),
    }
    data = _look(found, refused, starts, on_error, progress)
    if resume and out is not None:
        job, done = load_checkpoint(resume_path(out), order)
        _check_same_images(job.split, next(iter(data.values())))
        start = next(start for start in starts if start.name == job.plan.start)
    else:
        _say("trying which weights to begin with ..." if len(starts) > 1 else "", progress)
        job, start = _decide(order, starts, data, settings, init, told)
        done = first_state(start, job.spec, job.plan)
        _warn_of_forgetting(start, job)
    training, validation = job.split.parts(data[start.takes])
    used = time.perf_counter() - begun + done.seconds
    _say(plan_text(job, len(training), len(validation), used), progress)
    parts = Parts(training, validation, others)
    learned = learn(job, start, parts, done, begun=begun, out=out, progress=progress)
    model, spec = reader_of(job, start, learned.done, training.labels)
    if job.plan.left_out:  # they have not been read so far
        exact, cer = read_images(model, spec, validation)
        learned.done.state.best = exact, -cer
    facts = {
        "command": _command(
            images,
            order,
            unlabelled=None if unlabelled is None else _folder_name(unlabelled, "more_images"),
            pretrained=pretrained,
            charset=None if charset is None else repr(charset),
            length=length,
            init=None if init is None else Path(init).name,
            build=getattr(build, "__name__", None),
            processing=processing,
        ),
        "on_error": on_error,
        "earlier": []
        if init is None or start.weights is None
        else earlier_trainings(start.weights.spec),
        **_record(learned, parts),
    }
    facts["warnings"] = reasons(data[start.takes], spec, facts)
    if facts["warnings"]:
        print(trouble_text(facts), file=sys.stderr, flush=True)
    spec = replace(spec, training=facts)
    if out is not None:
        split = replace(job.split.with_learned(learned.read), pictures={})
        save_model(model, spec, out, {SPLIT_MEMBER: split.to_json().encode()})
        if learned.complete:
            resume_path(out).unlink(missing_ok=True)
    reader = from_keras(model, spec, "" if out is None else Path(out).name)
    if report is not None:
        _write_page(reader, images, validation, report, out)
    return reader


def _write_page(
    reader: Recognizer,
    images: Images,
    validation: LabeledImages,
    report: str | os.PathLike[str],
    out: str | os.PathLike[str] | None,
) -> None:
    """Measure the reader and write the page; an error says that the model is there already."""
    folder = Path(images) if isinstance(images, (str, os.PathLike)) else None
    result = replace(measure(reader, validation), folder=folder)
    try:
        write_report(result, report, training=reader.spec.training)
    except OSError as error:
        if out is None:
            raise
        raise type(error)(f"{error}; the model is in {os.fspath(out)!r}") from error


def _say(text: str, progress: bool | None) -> None:
    if text and progress is not False:
        say(text)


def _check_arguments(
    minutes: float,
    epochs: int | None,
    out: str | os.PathLike[str] | None,
    resume: bool,
    pretrained: bool,
) -> None:
    if not isinstance(pretrained, bool):
        raise ValueError(
            f"pretrained is True or False, received {pretrained!r}; to begin with a reader of your "
            "own, say init='MODEL.keras'"
        )
    if not minutes > 0 or (epochs is not None and epochs < 1):
        raise ValueError(f"need minutes > 0 or epochs >= 1, received {minutes} and {epochs}")
    if resume and out is None:
        raise ValueError("to resume a training, say which: out='MODEL.keras'")
    if out is not None and Path(out).suffix != ".keras":
        raise ValueError(f"the name of the model must end in .keras, received {str(out)!r}")


def _check_places(
    out: str | os.PathLike[str] | None, report: str | os.PathLike[str] | None, *, replaced: bool
) -> None:
    """See before the work whether the files can be written."""
    if report is not None:
        check_writable(report)
        refuse_existing(report, overwrite=replaced)
    if out is None:
        return
    for path in (Path(out), resume_path(out)):
        check_writable(path)
    cut_off = resume_path(out).exists()
    more = ", or continue the interrupted training with resume=True (--resume)"
    refuse_existing(out, overwrite=replaced, more=more if cut_off else "")


def _as_told(found: Examples, told: Mask) -> tuple[Examples, list[tuple[str, str]]]:
    """The examples whose labels fit what was told of the strings, and why the others do not."""
    kept, refused = list[Example](), list[tuple[str, str]]()
    charset = None if told.charset is None else Charset("".join(dict.fromkeys(told.charset)))
    low, high = told.length or (0, sys.maxsize)
    for example in found.examples:
        label, problem = example.label, None
        if label and charset is not None:
            problem = charset.problem(label)
        if label and not low <= len(label) <= high:
            problem = f"is {len(label)} characters long, not {low} to {high}"
        if problem is None:
            kept.append(example)
        else:
            refused.append((example.name, f"its label {label!r} {problem}"))
    if refused and not kept:
        name, why = refused[0]
        raise ValueError(f"no label fits the charset and the length that were given; {name}: {why}")
    return Examples(kept, found.notes), refused


def _candidates(
    examples: list[Example],
    told: Mask,
    pretrained: bool,
    init: str | os.PathLike[str] | None,
    build: Builder | None,
    head: Head,
) -> list[Start]:
    """What the training may begin with."""
    length = max(_longest(examples), told.length[1] if told.length else 0)
    text = "".join(example.label for example in examples) + (told.charset or "")
    if init is not None:
        return [from_file(init, build, length)]
    if pretrained and build is None:
        if only_chinese_knows(text):
            return [shipped(CHINESE, length)]
        known = [shipped(name, length) for name in STARTS]
        if text.islower() or text.isupper():  # which may be how people type, not what they see
            known += [shipped(STARTS[0], length, seen=seen) for seen in SEEN[1:]]
        return known
    return [from_builder(build, Charset.from_labels([text]), length, head)]


def _longest(examples: list[Example]) -> int:
    """Characters of the longest label, unless it is a mistake that would make all images wide."""
    lengths = sorted(len(example.label) for example in examples)
    usual, longest = lengths[math.ceil(0.98 * len(lengths)) - 1], lengths[-1]
    if usual < LONG < longest:
        odd = [example for example in examples if len(example.label) > LONG]
        named = ", ".join(
            f"{example.name} ({len(example.label)} characters)" for example in odd[:3]
        )
        raise ValueError(
            f"{named}{' and more' if len(odd) > 3 else ''}: labels so long among labels of at most "
            f"{usual} are hardly what the images say; rename or remove these files"
        )
    return longest


def _look(
    found: Examples,
    refused: Sequence[tuple[str, str]],
    starts: Sequence[Start],
    on_error: str,
    progress: bool | None,
) -> dict[Input, LabeledImages]:
    """Decode and prepare all images, say what is odd, and leave out what cannot be used."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    skipped = list(refused)
    inspection = Inspection()
    frame = starts[0].processing.frame  # the same for all: those that ship read the first one
    chosen = decoded(found.examples, skipped, frame=frame, progress=progress)
    pictures = inspection.watch(chosen)
    data = prepare_examples(pictures, dict.fromkeys(start.takes for start in starts))
    if progress is not False:
        say(str(inspection.result(skipped, found.notes)))
    elif found.notes:
        warnings.warn(" ".join(found.notes), stacklevel=3)
    if skipped:
        stop = on_error == "raise" or not data
        count = len(found.examples) + len(refused)
        report_skipped(skipped, count, "images", stop=stop, stacklevel=4)
    if not data:
        raise ValueError("there are no images to learn from")
    return data


def _decide(
    order: dict[str, Any],
    starts: list[Start],
    data: dict[Input, LabeledImages],
    settings: TrainingSettings,
    init: str | os.PathLike[str] | None,
    told: Mask,
) -> tuple[Job, Start]:
    """Set images aside, choose what to begin with, and plan the training."""
    some = next(iter(data.values()))
    learned, known = _learned_by(init), _chinese_known_to(starts[0])
    split = set_aside(some, seed=order["seed"], settings=settings, learned=learned, known=known)
    parts = {takes: split.parts(images)[0] for takes, images in data.items()}
    kept = starts[0].weights.spec if init is not None and starts[0].weights else None
    if kept is not None and init in shipped_starts():
        kept = None  # these read everything, which nobody asks for
    seen, more = set("".join(some.labels)), [kept.charset if kept else "", told.charset or ""]
    charset = Charset.from_labels(some.labels + more)
    lengths = [*map(len, some.labels), *(kept.length if kept else ()), *(told.length or ())]
    start, error = _choose(starts, parts, charset, max(lengths), settings)
    if told.charset is None and kept is None and start.draw is not None:
        charset = Charset.from_labels([charset.characters, unseen_by_chance(some.labels)])
    of_training, may_occur = parts[start.takes].labels, charset.characters
    later = left_out(
        of_training, _chinese_known_to(start), may_occur if kept or told.charset else None
    )
    charset = Charset("".join(char for char in charset.characters if char not in later))
    seconds = settings.time_share * 60 * (order["minutes"] or 0.0)
    seconds *= settings.labels_alone if order["unlabelled"] else 1
    plan = plan_for(order, start, error, len(parts[start.takes]), seconds, settings)
    unseen = "".join(char for char in charset.characters if char not in seen)
    unseen = "" if start.weights is None else unseen  # nothing is known of them
    spec = ModelSpec(
        charset.characters,
        (min(lengths), max(lengths)),
        start.shape.height,
        start.shape.width,
        start.head,
        processing=start.processing,
        channels=start.shape.channels,
    )
    return Job(order, replace(plan, unseen=unseen, left_out=later), spec, split), start


def _chinese_known_to(start: Start) -> str:
    """The characters of Chinese that it knows; only of networks that can be put together again."""
    if start.weights is None or start.weights.model.name != residual_ctc.__name__:
        return ""
    return "".join(filter(is_chinese, start.weights.spec.charset))


def _choose(
    starts: list[Start],
    training: dict[Input, LabeledImages],
    charset: Charset,
    length: int,
    settings: TrainingSettings,
) -> tuple[Start, float]:
    """Find what to begin with, and its character error rate on the labelled images.

    The first one, which has learned most, unless another reads them far better already. Other
    weights have to do so beyond chance, by twice the standard error of the difference of two
    counts; the same ones need not, if they only take letters for others (`SEEN`).
    """

    def error(start: Start) -> float:
        return _error(start, training[start.takes], charset, length, settings.looked_at)

    first, *others = starts
    chosen, errors = first, error(first)
    if not others or errors <= settings.few_errors:
        return first, errors
    made = sorted(((start, error(start)) for start in others), key=lambda pair: pair[1])
    seen = training[first.takes].labels[: settings.looked_at]
    for same_weights, deviations in ((True, 0), (False, 2)):
        for start, least in made:
            chance = deviations * math.sqrt((errors + least) / sum(map(len, seen)))
            far = settings.more_errors * least < errors and errors - least > chance
            if far and (start.weights is first.weights) == same_weights:
                chosen, errors = start, least
    return chosen, errors


def _error(
    start: Start, data: LabeledImages, charset: Charset, length: int, looked_at: int
) -> float:
    """The character error rate of a start's own weights, 1 if it cannot know all characters."""
    if start.weights is None:
        return 1.0
    if start.draw is not None and not set(charset.characters) <= set(start.weights.spec.charset):
        return 1.0
    some = data.subset(range(min(len(data), looked_at)))
    lengths = [len(label) for label in some.labels]
    model = start.build(charset, length, 0.0)
    check_model(model, charset, length, start.head)
    parts = np.array_split(some.images, math.ceil(len(some) / 32))
    # Calling a model is quicker than its `predict`, which compiles it first, if done only once.
    logits = np.concatenate([keras.ops.convert_to_numpy(model(part)) for part in parts])
    if start.head == "ctc":
        indices = greedy_decode(logits, length=(min(lengths), max(lengths)))
    else:
        indices = logits.argmax(axis=-1)
    return metrics.cer(some.labels, charset.decode(indices))


def _learned_by(init: str | os.PathLike[str] | None) -> frozenset[str]:
    """What the reader to begin with has learned from; of some nobody knows."""
    if init is None or not zipfile.is_zipfile(init):
        return frozenset()
    with zipfile.ZipFile(init) as archive:
        if SPLIT_MEMBER not in archive.namelist():
            return frozenset()
        return Split.from_json(archive.read(SPLIT_MEMBER).decode()).learned


def _warn_of_forgetting(start: Start, job: Job) -> None:
    """Say before the work that a reader will forget, if it shall learn strange images alone."""
    earlier, here = job.split.earlier, job.split.training
    strange = job.plan.error >= start.familiar
    if earlier and strange and not any(name + label in earlier for name, label in here.items()):
        warnings.warn(
            f"{start.name} reads {1 - job.plan.error:.0%} of the characters of these images, and "
            "none of the images that it has learned from is among them: it will forget those. To "
            "keep both, put them into one folder",
            stacklevel=3,
        )


def earlier_trainings(spec: ModelSpec) -> list[Mapping[str, Any]]:
    """List the trainings that a reader comes from, the first one first, in a few words each."""
    facts = spec.training
    before = facts.get("earlier")
    last = {name: facts[name] for name in EARLIER if name in facts}
    return [*(before if isinstance(before, list) else []), *([last] if last else [])]


def _check_same_images(split: Split, data: LabeledImages) -> None:
    changes = split.changes(data)
    if changes:
        raise ValueError(
            f"since the training was cut off, the images have changed: {changes}. To go on would "
            "measure with strings that it has learned from; start anew without resume"
        )


def _record(learned: Learned, parts: Parts) -> dict[str, Any]:
    """How the reader was made and how well it reads; for people."""
    job, state, n = learned.job, learned.done.state, len(parts.validation)
    plan, (exact, cer) = job.plan, state.best
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "complete": learned.complete,
        "from_start": learned.from_start,
        "images": len(parts.training),
        "validation_images": n,
        "unlabelled_images": len(parts.unlabelled),
        "readings_learned": len(learned.read),
        "split_by": job.split.by,
        "minutes": job.order["minutes"],
        "epochs": job.order["epochs"],
        "start": plan.start,
        "start_cer": round(plan.error, 4),
        "drawn_of_a_batch": plan.drawn,
        "peak_rate": plan.peak,
        "fixed_statistics": plan.fixed_statistics,
        "unseen": plan.unseen,
        "left_out": len(plan.left_out),
        "seed": plan.seed,
        "settings": asdict(plan.settings),
        "steps": state.step,
        "seconds": round(learned.seconds, 1),
        "validation_exact_match": exact,
        "validation_exact_match_ci95": list(metrics.wilson_interval(round(exact * n), n)),
        "validation_cer": -cer,
        "history": state.history,
        "versions": {
            "captcha_helpers": __version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def _folder_name(images: object, in_memory: str) -> str:
    """The name of a folder, without its path, as one writes it in Python."""
    if isinstance(images, (str, os.PathLike)):
        return repr(Path(images).resolve().name)
    return in_memory


def _command(images: object, order: dict[str, Any], **more: object) -> str:
    """The call that trained the reader, without paths."""
    what = _folder_name(images, "images, labels")
    limit = "minutes" if order["epochs"] is None else "epochs"
    said = [what, f"{limit}={order[limit]}"]
    said += [f"{name}={value}" for name, value in more.items() if value is not None]
    said += [f"seed={order['seed']}"]
    return f"captcha_helpers.train({', '.join(said)})"
