"""A training under way: batches, steps, checks, to the end of the plan or until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset
from captcha_helpers.core.models import keras
from captcha_helpers.data.folders import LabeledImages
from captcha_helpers.learning.batches import augmented_batch
from captcha_helpers.learning.checkpoint import Arrays, Progress
from captcha_helpers.learning.fitting import predict_labels
from captcha_helpers.learning.plan import Plan, learning_rate
from captcha_helpers.learning.starts import Draw
from captcha_helpers.reading.model_file import ModelSpec

REHEARSAL_SEED = 2_000_000  # the pre-training has drawn with another


@dataclass(frozen=True)
class Material:
    """What a training works with.

    Attributes:
        spec: What the model takes and what its logits mean.
        training: The images to learn from.
        validation: The images that are set aside.
        draw: Draws more, if the plan has some.
    """

    spec: ModelSpec
    training: LabeledImages
    validation: LabeledImages
    draw: Draw | None


class Run:
    """Train a model by a plan.

    Args:
        plan: How far it shall come.
        material: What it works with.
        progress: How far it is; changed as it goes.
        save: Writes the state, now and then and if somebody stops it; None writes nothing.
        show: Whether to show a progress bar; by default in a terminal.
    """

    def __init__(
        self,
        plan: Plan,
        material: Material,
        progress: Progress,
        save: Callable[[Progress], None] | None = None,
        *,
        show: bool | None = None,
    ) -> None:
        self.plan, self.material, self.progress = plan, material, progress
        self.save = save
        self.charset = Charset(material.spec.charset)
        self.encoded = self._encode(material.training.labels)
        self.loss: float | None = None
        self.saved_at = progress.state.seconds
        self.bar = tqdm(
            total=100,
            initial=int(100 * plan.share(progress.state)),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}",
            desc="training",
            disable=None if show is None else not show,
        )

    def go(self, begun: float) -> bool:
        """Train to the end of the plan, or until Ctrl-C.

        Args:
            begun: When the time began to run, by `time.perf_counter`.

        Returns:
            Whether the plan was fulfilled.
        """
        state, complete = self.progress.state, False
        self.begun = begun - state.seconds
        try:
            for images, labels in self._batches():
                self._step(images, labels)
                due = (len(state.history) + 1) / self.plan.settings.checks
                if self.plan.share(state) >= due:
                    self._check()
                self._save_now_and_then()
            complete = True
        except KeyboardInterrupt:
            how = "" if self.save is None else "; --resume (resume=True) continues"
            tqdm.write(f"interrupted: keeping the best reader so far{how}", file=sys.stderr)
        if not state.history:
            self._check()
        if self.save is not None and not complete:
            self.save(self.progress)
        return complete

    def go_back(self) -> float:
        """Bring the kept weights nearer to the first ones unless that is worse; how far they are.

        The bar ends with what the kept weights read, which is what the training gives.

        Worse is worse by more than one standard error (Breiman et al., *Classification and
        Regression Trees*, 1984): a smaller difference may be chance.
        """
        share = self._nearer()
        exact, _ = self.progress.state.best
        self.bar.set_postfix_str(f"kept: {exact:.1%} of the held-out images right")
        self.bar.close()
        return share

    def _nearer(self) -> float:
        progress, share = self.progress, self.plan.settings.from_start
        if progress.first is None:
            return 1.0
        nearer = _between(progress.first, progress.kept, share)
        progress.model.set_weights(nearer)
        exact, cer = self._read_validation()
        n = len(self.material.validation)
        lowest, _ = metrics.wilson_interval(round(progress.state.best[0] * n), n, z=1.0)
        if exact < lowest:
            return 1.0
        progress.state.best, progress.kept = (exact, -cer), nearer
        return share

    def _encode(self, labels: list[str]) -> np.ndarray:
        return self.charset.encode(labels, length=self.material.spec.length[1])

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Make the next batch in the background while the model learns from this one."""
        state = self.progress.state
        with ThreadPoolExecutor(max_workers=1) as background:
            ahead = background.submit(self._batch, state.step)
            while self.plan.share(state) < 1:
                batch = ahead.result()
                ahead = background.submit(self._batch, state.step + 1)
                yield batch

    def _batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch `number`, which depends on nothing else: B images and labels ``(B, L)``."""
        plan, material = self.plan, self.material
        images, labels = augmented_batch(
            material.training.images, self.encoded, number, batch_size=plan.own, seed=plan.seed
        )
        if not plan.drawn or material.draw is None:
            return images, labels
        more, texts = material.draw(
            plan.drawn,
            charset=material.spec.charset,
            length=material.spec.length,
            processing=material.spec.processing,
            seed=REHEARSAL_SEED + plan.seed,
            start=number * plan.drawn,
        )
        return np.concatenate([images, more]), np.concatenate([labels, self._encode(texts)])

    def _step(self, images: np.ndarray, labels: np.ndarray) -> None:
        plan, model, state = self.plan, self.progress.model, self.progress.state
        share = plan.share(state)
        random_layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
        for i, layer in enumerate(random_layers):  # what they leave out depends on the step only
            layer.seed_generator.state.assign([plan.seed + i, state.step])
        rate = learning_rate(share, plan.peak, plan.settings.warmup)
        model.optimizer.learning_rate.assign(rate)
        logs = model.train_on_batch(images, labels, return_dict=True)
        self.loss = round(float(logs["loss"]), 4)
        state.step += 1
        state.seconds = time.perf_counter() - self.begun
        if state.step == 1:
            state.started = state.seconds
        self.bar.update(min(100, int(100 * share)) - self.bar.n)

    def _check(self) -> None:
        """Read the validation part; keep the weights if it was not read better beyond chance.

        Later weights have learned more. Half a dozen images more or less of a small validation
        part say nothing, and the best of many checks would be the luckiest.
        """
        progress, state = self.progress, self.progress.state
        exact, cer = self._read_validation()
        state.seconds = time.perf_counter() - self.begun
        state.history.append(
            {
                "seconds": round(state.seconds, 1),
                "epoch": round(state.step * self.plan.own / len(self.material.training), 2),
                "loss": self.loss,
                "exact_match": exact,
                "cer": cer,
            }
        )
        self.bar.set_postfix_str(f"{exact:.1%} of the held-out images right, loss {self.loss}")
        highest = max(check["exact_match"] for check in state.history)
        n = len(self.material.validation)
        lowest, _ = metrics.wilson_interval(round(highest * n), n)
        if exact >= lowest:
            state.best, progress.kept = (exact, -cer), progress.model.get_weights()

    def _read_validation(self) -> tuple[float, float]:
        return read_images(self.progress.model, self.material.spec, self.material.validation)

    def _save_now_and_then(self) -> None:
        if self.save is None:
            return
        if self.progress.state.seconds - self.saved_at >= self.plan.settings.save_every:
            self.save(self.progress)
            self.saved_at = self.progress.state.seconds


def read_images(model: keras.Model, spec: ModelSpec, data: LabeledImages) -> tuple[float, float]:
    """Exact match and character error rate of images, both 0–1."""
    charset = Charset(spec.charset)
    texts = predict_labels(model, data.images, charset, head=spec.head, length=spec.length)
    return metrics.exact_match(data.labels, texts), metrics.cer(data.labels, texts)


def _between(first: Arrays, last: Arrays, share: float) -> Arrays:
    return [one + share * (other - one) for one, other in zip(first, last, strict=True)]
