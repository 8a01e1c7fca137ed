"""The file that a training which was cut off goes on from: all that it has, and nothing else.

Beside ``my_reader.keras`` it is ``my_reader.resume.keras``: the network as it is, with its
optimizer, and as members of the archive the best weights, the first ones, how far it is, what was
asked for, what was decided, and which images were set aside.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.models import keras
from captcha_helpers.learning.plan import Plan, State, TrainingSettings
from captcha_helpers.learning.split import SPLIT_MEMBER, Split
from captcha_helpers.reading.model_file import ModelSpec, read_spec
from captcha_helpers.reading.recognizer import save_model

STATE_MEMBER = "captcha_helpers_resume.json"
KEPT_MEMBER = "captcha_helpers_best.npz"
ALONE_MEMBER = "captcha_helpers_alone.npz"
FIRST_MEMBER = "captcha_helpers_first.npz"

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Alone:
    """What a first training gave, with the labelled images alone.

    Attributes:
        kept: The weights.
        state: How they came about.
        from_start: How far from the first weights they are.
    """

    kept: Arrays
    state: State
    from_start: float


@dataclass
class Progress:
    """What a training changes as it goes.

    Attributes:
        model: The network as it is, with its optimizer.
        kept: The weights that the reader will have, as far as is known.
        first: The weights that it began with; None if it began with nothing.
        state: How far it is.
        alone: What the training before this one gave, if there was one.
    """

    model: keras.Model
    kept: Arrays
    first: Arrays | None
    state: State = field(default_factory=State)
    alone: Alone | None = None

    @property
    def seconds(self) -> float:
        """Time used, by the training before this one as well."""
        return self.state.seconds + (self.alone.state.seconds if self.alone else 0.0)


@dataclass(frozen=True)
class Job:
    """What a training does not change.

    Attributes:
        order: What was asked for; who goes on has to ask for the same.
        plan: What was decided upon.
        spec: What the model takes and what its logits mean.
        split: Which images are learned from and which are set aside.
        readings: What unlabelled images are taken to say, by fingerprints of what they show; None
            while the labelled ones are learned alone.
    """

    order: dict[str, Any]
    plan: Plan
    spec: ModelSpec
    split: Split
    readings: dict[str, str] | None = None


def resume_path(out: str | os.PathLike[str]) -> Path:
    """Where the state of a training to this file is.

    Example:
        >>> resume_path("my_reader.keras").name
        'my_reader.resume.keras'
    """
    return Path(out).with_suffix(".resume.keras")


def save_checkpoint(path: Path, job: Job, progress: Progress) -> None:
    """Write all that is needed to go on, in one step."""
    about: dict[str, Any] = {
        "order": job.order,
        "plan": asdict(job.plan),
        "state": asdict(progress.state),
        "readings": job.readings,
        "alone": None,
    }
    members = {SPLIT_MEMBER: job.split.to_json().encode(), KEPT_MEMBER: _packed(progress.kept)}
    if progress.first is not None:
        members[FIRST_MEMBER] = _packed(progress.first)
    if progress.alone is not None:
        about["alone"] = [asdict(progress.alone.state), progress.alone.from_start]
        members[ALONE_MEMBER] = _packed(progress.alone.kept)
    members[STATE_MEMBER] = json.dumps(about).encode()
    save_model(progress.model, job.spec, path, members)


def load_checkpoint(path: Path, order: dict[str, Any]) -> tuple[Job, Progress]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.
        order: What is asked for now.

    Returns:
        What the training does not change, and how far it had come.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If something else was asked for then, or the file is another one.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is nothing to resume: no file {str(path)!r}")
    spec = read_spec(path)
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(STATE_MEMBER))
            split = Split.from_json(archive.read(SPLIT_MEMBER).decode())
            kept = _unpacked(archive.read(KEPT_MEMBER))
            begun = FIRST_MEMBER in archive.namelist()
            first = _unpacked(archive.read(FIRST_MEMBER)) if begun else None
            alone = None
            if about["alone"] is not None:
                state, from_start = about["alone"]
                alone = Alone(_unpacked(archive.read(ALONE_MEMBER)), _state(state), from_start)
        before, plan, state = about["order"], about["plan"], about["state"]
        readings = about["readings"]
        plan = Plan(**plan | {"settings": TrainingSettings(**plan["settings"])})
        state = _state(state)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{str(path)!r} was written by another version; start anew without resume"
        ) from None
    now = json.loads(json.dumps(order))  # as it comes back from a file
    if before != now:
        raise ValueError(
            "the training to be resumed had other settings: "
            f"{_differences(before, now)}. Use the same, or start anew without resume"
        )
    progress = Progress(keras.models.load_model(path), kept, first, state, alone)
    return Job(order, plan, spec, split, readings), progress


def _state(about: dict[str, Any]) -> State:
    return State(**about | {"best": tuple(about["best"])})


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} was {before.get(key)} and is {now.get(key)}"
        for key in now
        if before.get(key) != now.get(key)
    )


def _packed(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, *arrays)
    return file.getvalue()


def _unpacked(data: bytes) -> Arrays:
    file = np.load(io.BytesIO(data))
    return [file[name] for name in file.files]
