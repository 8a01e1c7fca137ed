"""One call from a folder of labelled images to a reader: `train`.

The parts are those of the notebooks; this module puts them together so that no knob has to be
touched: look at the folder, set a validation part aside, start from the pre-trained weights, show
slightly changed images for as long as there is time while the learning rate rises and falls once,
and keep the last weights that read the validation part as well as any, but for chance.

One thing depends on the folder. If a start reads it already (the general one nearly all of it, the
one of a style more or less), up to two thirds of what is shown are drawn, as in the making of that
start, and the rate is low (a *rehearsal*: Robins, *Catastrophic Forgetting, Rehearsal and
Pseudorehearsal*, 1995): there is more to forget than to learn, unless there are many labels. If the
look is strange to both, only the folder's own images are shown, at a higher rate.

In the end the weights go a quarter of the way back to the start, unless the validation part is then
read worse, but for chance: what a few images have taught goes too far (Wortsman et al., *Robust
Fine-Tuning of Zero-Shot Models*, 2022).
"""

from __future__ import annotations

import io
import json
import math
import os
import platform
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from captcha_helpers import __version__
from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset
from captcha_helpers.core.ctc import greedy_decode
from captcha_helpers.core.models import cnn_ctc, keras
from captcha_helpers.data.checks import check_folder
from captcha_helpers.data.folders import LabeledImages, load_folder, split_by_label
from captcha_helpers.data.processing import Processing
from captcha_helpers.drawing.random_looks import draw_images, drawable
from captcha_helpers.drawing.styles import STYLES, Style
from captcha_helpers.learning.batches import augmented_batch
from captcha_helpers.learning.fitting import compile_model, predict_labels
from captcha_helpers.learning.starts import STARTS, pretrained_start
from captcha_helpers.reading.model_file import ModelSpec, read_spec
from captcha_helpers.reading.recognizer import Recognizer, from_keras, save_model

HEIGHT, WIDTH = 48, 160  # of the pre-trained start
BATCH_SIZE = 32
# A start knows a look if its character error rate is below this. What is drawn near one style helps
# with an image of that style even if it is read badly; what is drawn in any look only takes time.
FAMILIAR = {"pretrained": 0.05, "mixed": 0.15}
MOST_LOOKED_AT = 300  # images, to find that out
REHEARSED = 22  # images of a batch that are drawn if it does, at most
ENOUGH = 400  # labelled images; if there are more, fewer are drawn and the rate is higher
REHEARSAL_RATE = 7e-4  # the highest rate if so many are drawn
REHEARSAL_SEED = 2_000_000  # the pre-training has drawn with another
PEAK_RATE = 2e-3
# Against learning by heart; a model that begins with nothing learns too slowly with it.
DROPOUT = 0.3
FROM_START = 0.75  # how far from the start the reader is, where 1 is the end of the training
WARMUP = 0.1  # share of the training in which the rate rises
CHECKS = 12  # times that the validation part is read
LEAST_LABELS = 10
VALIDATION = 0.15  # share of the strings set aside
MOST_VALIDATION = 400  # images; reading more of them would only cost time
TRAINING_SHARE = 0.97  # of the time; the rest is for the last check and for writing the model
SAVE_EVERY = 20.0  # seconds
RESUME_MEMBER = "captcha_helpers_resume.json"
RESUME_WEIGHTS = "captcha_helpers_best.npz"


@dataclass
class _State:
    """How far a training has come."""

    step: int = 0
    seconds: float = 0.0
    started: float = 0.0  # seconds until the first step was done, which compiles the model
    best: tuple[float, float] = (-1.0, 0.0)  # exact match and minus CER of the kept weights
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class _Plan:
    """How far it shall come: for so many seconds, or for so many steps."""

    seconds: float
    drawn: int  # images of a batch
    near: Style | None  # the look of the drawn images; None is any
    peak: float  # highest learning rate
    steps: int | None = None

    def share(self, state: _State) -> float:
        """What part of the training is done, 0–1 and above."""
        if self.steps is not None:
            return state.step / self.steps
        return (state.seconds - state.started) / max(1e-9, self.seconds - state.started)


def learning_rate(share: float, peak: float = PEAK_RATE) -> float:
    """The rate at some point of a training: a straight rise, then a cosine down to zero.

    Args:
        share: What part of the training is done, 0–1.
        peak: The highest rate.

    Returns:
        The learning rate.

    Example:
        >>> [round(learning_rate(share, peak=1.0), 2) for share in (0, 0.05, 0.1, 0.55, 1)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if share < WARMUP:
        return peak * share / WARMUP
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (share - WARMUP) / (1 - WARMUP))))


def train(
    folder: str | os.PathLike[str],
    *,
    minutes: float = 5.0,
    epochs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    processing: Processing | None = None,
    on_error: str = "skip",
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
) -> Recognizer:
    """Learn to read a folder of labelled images.

    Args:
        folder: Images with the labels in their names or in a ``labels.csv``; see
            :func:`captcha_helpers.data.folders.read_labels`.
        minutes: How long it may take, from the call to the result. The learning rate is planned
            for this time.
        epochs: Passes over the training images, instead of a time; then the same seed gives the
            same model on the same machine.
        out: Where to write the model, a ``.keras`` file. By default it is not written.
        pretrained: Start from the weights that ship with the package; else from scratch.
        processing: What is done to every image, in training and then by the reader; by default
            nothing.
        on_error: ``"skip"`` leaves out images that cannot be used, and says so; ``"raise"`` stops.
        seed: Another seed makes another split and other batches. Keras' global seed is set to it.
        overwrite: Replace the file ``out``.
        resume: Go on with a training to ``out`` that was cut off; it keeps the time it has used.
        progress: Show what is found in the folder and a progress bar; by default the bar appears
            in a terminal only.

    Returns:
        The reader, with the last weights that read the validation part as well as any, but for
        chance: within the 95 % interval of the best; then a quarter of the way back to the start,
        unless it reads worse there by more than one standard error. ``spec.training`` of it says
        how it was made, and ``spec.training["history"]`` how it came about. Ctrl-C ends the
        training early and gives the reader so far.

    Raises:
        FileExistsError: If ``out`` exists and neither ``overwrite`` nor ``resume`` is set.
        FileNotFoundError: If there is no such folder, or nothing to resume.
        ImportError: If the processing takes OpenCV, which is not installed.
        ValueError: If the folder holds too few usable images, or an argument makes no sense.
    """
    begun = time.perf_counter()
    _check_arguments(minutes, epochs, out, overwrite, resume)
    if progress is not False:
        print(check_folder(folder))
    processing = processing or Processing()
    data = load_folder(
        folder,
        height=HEIGHT,
        width=WIDTH,
        processing=processing,
        on_error=on_error,
        progress=progress,
    )
    training, validation = _split(data, seed)
    charset = Charset.from_labels(data.labels)
    lengths = [len(label) for label in data.labels]
    start, error = _best_start(charset, training) if pretrained else (None, 1.0)
    rehearsal = 0.0  # from none to as much as there may be
    if start is not None and error < FAMILIAR[start]:
        rehearsal = min(1, ENOUGH / len(training))
    drawn = round(rehearsal * REHEARSED)
    peak = rehearsal * REHEARSAL_RATE + (1 - rehearsal) * PEAK_RATE
    limit = f"minutes={minutes}" if epochs is None else f"epochs={epochs}"
    also = f", processing={processing}" if processing != Processing() else ""
    settings = {
        "command": f"captcha_helpers.train({Path(folder).resolve().name!r}, {limit}, "
        f"pretrained={pretrained}, seed={seed}{also})",
        "images": len(training),
        "validation_images": len(validation),
        "minutes": None if epochs else minutes,
        "epochs": epochs,
        "start": start,
        "drawn_of_a_batch": drawn,
        "peak_rate": peak,
        "seed": seed,
        "on_error": on_error,
    }
    spec = ModelSpec(
        charset.characters,
        (min(lengths), max(lengths)),
        HEIGHT,
        WIDTH,
        training=settings,
        processing=processing,
    )
    model, state, kept = _new_model(charset, max(lengths), start, seed), _State(), None
    first = None if start is None else model.get_weights()
    if resume:
        model, state, kept = _load_resume(_resume_path(out), spec)
    steps = None if epochs is None else math.ceil(epochs * len(training) / (BATCH_SIZE - drawn))
    plan = _Plan(TRAINING_SHARE * 60 * minutes, drawn, STYLES.get(str(start)), peak, steps)
    run = _Run(model, spec, training, validation, plan, state, first, kept, out, progress)
    return run.go(begun)


class _Run:
    """A training under way: the model, the data and how far it is."""

    def __init__(
        self,
        model: keras.Model,
        spec: ModelSpec,
        training: LabeledImages,
        validation: LabeledImages,
        plan: _Plan,
        state: _State,
        first: list[np.ndarray] | None,
        kept: list[np.ndarray] | None,
        out: str | os.PathLike[str] | None,
        progress: bool | None,
    ) -> None:
        self.model, self.spec, self.plan, self.state, self.out = model, spec, plan, state, out
        self.charset = Charset(spec.charset)
        self.training, self.validation = training, validation
        self.encoded = self.charset.encode(training.labels, length=spec.length[1])
        self.first, self.kept = first, kept or model.get_weights()
        self.loss: float | None = None
        self.saved_at = 0.0
        self.bar = tqdm(
            total=100,
            initial=int(100 * plan.share(state)),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}",
            desc="training",
            disable=None if progress is None else not progress,
        )

    def go(self, begun: float) -> Recognizer:
        """Train to the end of the plan, or until Ctrl-C."""
        self.begun = begun - self.state.seconds
        complete = False
        try:
            for images, labels in self._batches():
                self._step(images, labels)
                checks = len(self.state.history)
                if self.plan.share(self.state) >= (checks + 1) / CHECKS:
                    self._check()
            complete = True
        except KeyboardInterrupt:
            tqdm.write("interrupted: keeping the best reader so far")
        self.bar.close()
        return self._finish(complete)

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Make the next batch in the background while the model learns from this one."""
        with ThreadPoolExecutor(max_workers=1) as background:
            ahead = background.submit(self._batch, self.state.step)
            while self.plan.share(self.state) < 1:
                batch = ahead.result()
                ahead = background.submit(self._batch, self.state.step + 1)
                yield batch

    def _batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch `number`, which depends on nothing else: B images and labels ``(B, L)``."""
        seed, drawn = self.spec.training["seed"], self.plan.drawn
        images, labels = augmented_batch(
            self.training.images, self.encoded, number, batch_size=BATCH_SIZE - drawn, seed=seed
        )
        if not drawn:
            return images, labels
        more, texts = draw_images(
            drawn,
            height=HEIGHT,
            width=WIDTH,
            charset=self.spec.charset,
            length=self.spec.length,
            near=self.plan.near,
            processing=self.spec.processing,
            seed=REHEARSAL_SEED + seed,
            start=number * drawn,
        )
        encoded = self.charset.encode(texts, length=self.spec.length[1])
        return np.concatenate([images, more]), np.concatenate([labels, encoded])

    def _step(self, images: np.ndarray, labels: np.ndarray) -> None:
        share = self.plan.share(self.state)
        if self.spec.training["start"]:  # what is left out depends on the step only
            state = self.model.get_layer("dropout").seed_generator.state
            state.assign([self.spec.training["seed"], self.state.step])
        self.model.optimizer.learning_rate.assign(learning_rate(share, self.plan.peak))
        logs = self.model.train_on_batch(images, labels, return_dict=True)
        self.loss = round(float(logs["loss"]), 4)
        self.state.step += 1
        self.state.seconds = time.perf_counter() - self.begun
        if self.state.step == 1:
            self.state.started = self.state.seconds
        self.bar.update(min(100, int(100 * share)) - self.bar.n)

    def _check(self) -> None:
        """Read the validation part; keep the weights if it was not read better beyond chance.

        Later weights have learned more. Half a dozen images more or less of a small validation
        part say nothing, and the best of many checks would be the luckiest.
        """
        exact, cer = self._read_validation()
        self.state.seconds = time.perf_counter() - self.begun
        own = BATCH_SIZE - self.plan.drawn
        self.state.history.append(
            {
                "seconds": round(self.state.seconds, 1),
                "epoch": round(self.state.step * own / len(self.training), 2),
                "loss": self.loss,
                "exact_match": exact,
                "cer": cer,
            }
        )
        self.bar.set_postfix_str(f"exact match {exact:.1%}, loss {self.loss}")
        highest = max(check["exact_match"] for check in self.state.history)
        n = len(self.validation)
        lowest, _ = metrics.wilson_interval(round(highest * n), n)
        if exact >= lowest:
            self.state.best, self.kept = (exact, -cer), self.model.get_weights()
        if self.out is not None and self.state.seconds - self.saved_at > SAVE_EVERY:
            self._save_resume()
            self.saved_at = self.state.seconds

    def _read_validation(self) -> tuple[float, float]:
        """Exact match and character error rate of the validation part."""
        texts = predict_labels(
            self.model, self.validation.images, self.charset, head="ctc", length=self.spec.length
        )
        labels = self.validation.labels
        return metrics.exact_match(labels, texts), metrics.cer(labels, texts)

    def _go_back(self) -> float:
        """Bring the kept weights nearer to the start unless that is worse; how far they are off.

        Worse is worse by more than one standard error (Breiman et al., *Classification and
        Regression Trees*, 1984): a smaller difference may be chance.
        """
        if self.first is None:
            return 1.0
        pairs = zip(self.first, self.kept, strict=True)
        nearer = [first + FROM_START * (kept - first) for first, kept in pairs]
        self.model.set_weights(nearer)
        exact, cer = self._read_validation()
        n = len(self.validation)
        lowest, _ = metrics.wilson_interval(round(self.state.best[0] * n), n, z=1.0)
        if exact < lowest:
            return 1.0
        self.state.best, self.kept = (exact, -cer), nearer
        return FROM_START

    def _finish(self, complete: bool) -> Recognizer:
        if not self.state.history:
            self._check()
        if self.out is not None and not complete:
            self._save_resume()
        from_start = self._go_back()
        exact, cer = self.state.best
        n = len(self.validation)
        facts = {
            "complete": complete,
            "from_start": from_start,
            "steps": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "validation_exact_match": exact,
            "validation_exact_match_ci95": list(metrics.wilson_interval(round(exact * n), n)),
            "validation_cer": -cer,
            "history": self.state.history,
            "versions": _versions(),
        }
        spec = replace(self.spec, training=self.spec.training | facts)
        best = cnn_ctc(self.charset, length=spec.length[1], height=HEIGHT, width=WIDTH)
        best.set_weights(self.kept)  # without the optimizer and the dropout
        if self.out is not None:
            save_model(best, spec, self.out)
            if complete:
                _resume_path(self.out).unlink(missing_ok=True)
        return from_keras(best, spec)

    def _save_resume(self) -> None:
        """Write all that is needed to go on: the model as it is, the best weights, the state."""
        kept = io.BytesIO()
        np.savez(kept, *self.kept)
        members = {
            RESUME_MEMBER: json.dumps(asdict(self.state)).encode(),
            RESUME_WEIGHTS: kept.getvalue(),
        }
        save_model(self.model, self.spec, _resume_path(self.out), members)


def _load_resume(path: Path, spec: ModelSpec) -> tuple[keras.Model, _State, list[np.ndarray]]:
    """The model, the state and the best weights that `_save_resume` wrote."""
    if not path.exists():
        raise FileNotFoundError(f"there is nothing to resume: no file {str(path)!r}")
    before = read_spec(path)
    if before != spec:
        raise ValueError(
            "the training to be resumed had other images or settings: "
            f"{_differences(before, spec)}. Use the same, or start anew without resume"
        )
    with zipfile.ZipFile(path) as archive:
        values = json.loads(archive.read(RESUME_MEMBER))
        kept = np.load(io.BytesIO(archive.read(RESUME_WEIGHTS)))
    state = _State(**values | {"best": tuple(values["best"])})
    return keras.models.load_model(path), state, [kept[name] for name in kept.files]


def _differences(before: ModelSpec, now: ModelSpec) -> str:
    old, new = (vars(spec) | spec.training for spec in (before, now))
    return ", ".join(
        f"{key} was {old.get(key)} and is {new.get(key)}"
        for key in new
        if key != "training" and old.get(key) != new.get(key)
    )


def _resume_path(out: str | os.PathLike[str]) -> Path:
    return Path(out).with_suffix(".resume.keras")


def _check_arguments(
    minutes: float,
    epochs: int | None,
    out: str | os.PathLike[str] | None,
    overwrite: bool,
    resume: bool,
) -> None:
    if not minutes > 0 or (epochs is not None and epochs < 1):
        raise ValueError(f"need minutes > 0 or epochs >= 1, received {minutes} and {epochs}")
    if out is None:
        if resume:
            raise ValueError("to resume a training, say which: out='MODEL.keras'")
        return
    if Path(out).suffix != ".keras":
        raise ValueError(f"the name of the model must end in .keras, received {str(out)!r}")
    if Path(out).exists() and not (overwrite or resume):
        raise FileExistsError(f"{str(out)!r} exists; choose another name or ask to overwrite it")


def _split(data: LabeledImages, seed: int) -> tuple[LabeledImages, LabeledImages]:
    """Set a part of the strings aside; no string is in both parts."""
    distinct = len(set(data.labels))
    if distinct < LEAST_LABELS:
        raise ValueError(
            f"there are only {distinct} different labels in the folder; label at least "
            f"{LEAST_LABELS} (50 to 200 make a good reader)"
        )
    share = min(VALIDATION, MOST_VALIDATION / len(data))
    training, validation = split_by_label(data.labels, (1 - share, share), seed)
    return data.subset(training), data.subset(validation)


def _new_model(charset: Charset, length: int, start: str | None, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    if start is None:
        model = cnn_ctc(charset, length=length, height=HEIGHT, width=WIDTH)
    else:
        model = pretrained_start(charset, length=length, start=start, dropout=DROPOUT)
    compile_model(model, head="ctc", steps=None)  # nobody knows yet how many there will be
    return model


def _best_start(charset: Charset, data: LabeledImages) -> tuple[str, float]:
    """Find the start that reads the labelled images best, and its character error rate.

    All that was drawn were ASCII letters and digits; of other characters no start knows anything.
    """
    if drawable(charset.characters) != charset.characters:
        return STARTS[0], 1.0
    some = data.subset(range(min(len(data), MOST_LOOKED_AT)))
    lengths = [len(label) for label in some.labels]
    known = (min(lengths), max(lengths))
    errors = {}
    for name in STARTS:
        model = pretrained_start(charset, length=max(lengths), start=name)
        parts = np.array_split(some.images, math.ceil(len(some) / BATCH_SIZE))
        # Calling a model is quicker than its `predict`, which compiles it first, if done only once.
        logits = np.concatenate([keras.ops.convert_to_numpy(model(part)) for part in parts])
        texts = charset.decode(greedy_decode(logits, length=known))
        errors[name] = metrics.cer(some.labels, texts)
    best = min(errors, key=errors.__getitem__)
    return best, errors[best]


def _versions() -> dict[str, str]:
    return {
        "captcha_helpers": __version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }
