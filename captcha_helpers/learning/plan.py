"""The numbers of a training: what steers all, what was decided for one, and how far it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingSettings:
    """The numbers of the recipe. They were measured; nobody has to touch them.

    Attributes:
        batch_size: Images a batch.
        most_drawn: Of these, at most so many are drawn, if the weights to begin with know the look.
        enough: Labelled images; where there are more, fewer are drawn and the rate is higher.
        rehearsal_rate: The highest learning rate if `most_drawn` images are drawn.
        peak_rate: The highest learning rate if none are.
        warmup: Share of the training in which the rate rises, 0–1.
        dropout: Share of the features left out against learning by heart, 0–1; only where the
            training begins with weights, because one that begins with none is too slow with it.
        from_start: How far from the first weights the reader ends, where 1 is the end of the
            training.
        checks: How often the validation part is read.
        validation: Share of the strings that is set aside, 0–1.
        most_validation: Images set aside at most; reading more of them would only cost time.
        least_labels: With fewer different labels there is nothing to learn.
        looked_at: Images, at most, by which the weights to begin with are chosen.
        few_errors: If the general weights read all but this share of the characters, 0–1, the
            training begins with them.
        more_errors: It does so too unless others make less than one error where the general ones
            make so many: these have learned from more.
        labels_alone: Share of the time for a first training with the labelled images alone if there
            are unlabelled ones as well, 0–1.
        readings_right: Share of the first reader's readings of these, taken for labels, that should
            be right, 0–1.
        most_unlabelled: Unlabelled images that are read at most.
        time_share: Share of the minutes spent on training; the rest is for the last check and for
            writing the model.
        save_every: Seconds between two states written to go on from.

    Example:
        >>> TrainingSettings().batch_size
        32
    """

    batch_size: int = 32
    most_drawn: int = 22
    enough: int = 400
    rehearsal_rate: float = 7e-4
    peak_rate: float = 2e-3
    warmup: float = 0.1
    dropout: float = 0.3
    from_start: float = 0.75
    checks: int = 12
    validation: float = 0.15
    most_validation: int = 400
    least_labels: int = 10
    looked_at: int = 300
    few_errors: float = 0.02
    more_errors: float = 1.5
    labels_alone: float = 0.4
    readings_right: float = 0.85
    most_unlabelled: int = 1000
    time_share: float = 0.97
    save_every: float = 20.0


def learning_rate(
    share: float,
    peak: float = TrainingSettings.peak_rate,
    warmup: float = TrainingSettings.warmup,
) -> float:
    """The rate at some point of a training: a straight rise, then a cosine down to zero.

    Args:
        share: What part of the training is done, 0–1.
        peak: The highest rate.
        warmup: In which part it rises, 0–1.

    Returns:
        The learning rate.

    Example:
        >>> [round(learning_rate(share, peak=1.0), 2) for share in (0, 0.05, 0.1, 0.55, 1)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if share < warmup:
        return peak * share / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (share - warmup) / (1 - warmup))))


@dataclass
class State:
    """How far a training has come.

    Attributes:
        step: Batches learned from.
        seconds: Time used.
        started: Seconds until the first step was done, which compiles the model.
        best: Exact match, and minus CER, of the kept weights on the validation part.
        history: A row for each time that the validation part was read.
    """

    step: int = 0
    seconds: float = 0.0
    started: float = 0.0
    best: tuple[float, float] = (-1.0, 0.0)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How far a training shall come, and how.

    Attributes:
        start: Name of what it begins with.
        error: Character error rate of these weights on the labelled images; 1 if there are none.
        seconds: How long it may take, unless there are `steps`.
        steps: How many batches.
        drawn: Images of a batch that are drawn.
        peak: The highest learning rate.
        fixed_statistics: Whether batch normalisation keeps the means and variances of the weights
            to begin with, its scales and shifts too, instead of those of each batch.
        unseen: Characters that the reader shall know although no label has them.
        left_out: More of them, which the training leaves out; see `learning.unseen`.
        seed: Where its random numbers come from.
        settings: Every other number.

    Example:
        >>> plan = Plan("mixed", 0.1, seconds=60.0, steps=200, drawn=22, peak=7e-4)
        >>> plan.own, plan.share(State(step=50))
        (10, 0.25)
    """

    start: str
    error: float
    seconds: float
    steps: int | None
    drawn: int
    peak: float
    fixed_statistics: bool = False
    unseen: str = ""
    left_out: str = ""
    seed: int = 0
    settings: TrainingSettings = TrainingSettings()

    def share(self, state: State) -> float:
        """What part of the training is done, 0–1 and above."""
        if self.steps is not None:
            return state.step / self.steps
        return (state.seconds - state.started) / max(1e-9, self.seconds - state.started)

    @property
    def own(self) -> int:
        """Images of a batch that are not drawn."""
        return self.settings.batch_size - self.drawn
