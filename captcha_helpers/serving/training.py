"""A reader that learns while somebody labels: `Trainer`.

A training is the verbs `train` and `export` in a process of their own, at low priority: this one
goes on at once, and needs no TensorFlow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from captcha_helpers.core.files import WORK_PREFIX
from captcha_helpers.data.label_book import LabelBook
from captcha_helpers.data.labels import LABELS_FILE
from captcha_helpers.reading.mask import Mask, fit
from captcha_helpers.reading.recognizer import Recognizer, load

_LOW = 0x4000 if os.name == "nt" else 0  # BELOW_NORMAL_PRIORITY_CLASS
_NICE = 10  # the same elsewhere


class TrainingError(RuntimeError):
    """A training that failed or was stopped, and why."""


class Trainer:
    """Trains readers of the images in a folder.

    Args:
        folder: The images.
        init: The ``.keras`` file with which each training begins, if there is one.
        mask: What was told of the strings.
        minutes: Time of each training.
    """

    def __init__(self, folder: Path, init: Path | None, mask: Mask, minutes: float) -> None:
        self.folder, self.init, self.mask, self.minutes = folder, init, mask, minutes
        self._lock, self._closed = threading.Lock(), False
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the training under way, and begin no other."""
        with self._lock:
            self._closed = True
        if self._process is not None:
            self._process.terminate()

    def train(self, labels: Mapping[str, str]) -> tuple[Recognizer, bytes]:
        """Train a reader.

        Args:
            labels: By the names of the images.

        Returns:
            The reader, and its ``.keras`` file.

        Raises:
            OSError: If there is no place to work in.
            TrainingError: If the training fails, or is stopped by `close`.
        """
        with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, ignore_cleanup_errors=True) as folder:
            place = Path(folder)
            listing = LabelBook(place / LABELS_FILE)
            listing.write({os.fspath(self.folder / name): text for name, text in labels.items()})
            out, exported = place / "reader.keras", place / "exported"
            train = ["train", place, "--out", out, "--minutes", self.minutes, "--json"]
            train += _told(self.mask, labels.values())
            if self.init is not None:  # what it knows already need not be learned again
                train += ["--init", self.init]
            self._run(place, train)
            self._run(place, ["export", out, "--out", exported, "--to", "onnx"])
            mask = _fitting(self.mask, labels.values())
            return load(exported / "model.onnx", **as_options(mask)), out.read_bytes()

    def _run(self, place: Path, arguments: Sequence[object]) -> None:
        """Run a verb in a process of its own.

        If this process is killed, the other one ends too, and `place` goes with it.
        """
        child = [sys.executable, "-m", "captcha_helpers.cli.child"]
        with self._lock:
            if self._closed:
                raise TrainingError("it was stopped")
            self._process = subprocess.Popen(
                [*child, *map(str, (place, *arguments))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                creationflags=_LOW,
            )
        with self._process as process:
            if os.name != "nt":
                nice = os.getpriority(os.PRIO_PROCESS, process.pid)
                os.setpriority(os.PRIO_PROCESS, process.pid, max(nice, _NICE))
            assert process.stderr is not None
            lines = process.stderr.read().decode(errors="replace").splitlines()
        if process.returncode:
            errors = [line for line in lines if line.startswith("Error")]
            raise TrainingError(errors[-1] if errors else "it was stopped")


def as_options(mask: Mask) -> dict[str, Any]:
    """What `load` is told of the strings.

    Example:
        >>> as_options(Mask("0123", (4, 4)))
        {'charset': '0123', 'length': (4, 4), 'ignore_case': None}
    """
    return {
        "charset": mask.charset,
        "length": mask.length,
        "ignore_case": mask.ignore_case or None,
    }


def _told(mask: Mask, labels: Collection[str]) -> list[str]:
    """What `train` is told of the strings, less what the labels have shown to be wrong."""
    arguments, lengths = list[str](), [len(text) for text in labels]
    if mask.charset is not None:
        as_read = fit(mask, mask.charset).charset.characters  # each letter in one case, perhaps
        arguments.append("--charset=" + "".join(dict.fromkeys([*as_read, *"".join(labels)])))
    if mask.length is not None:
        low, high = mask.length
        arguments.append(f"--length={min(low, *lengths)}-{max(high, *lengths)}")
    return arguments


def _fitting(mask: Mask, labels: Iterable[str]) -> Mask:
    """What was told of the strings, less what the labels have shown to be wrong."""
    lengths = [len(text) for text in labels]
    told = mask.length
    if told is not None and not told[0] <= min(lengths) <= max(lengths) <= told[1]:
        return replace(mask, length=None, charset=None)
    return replace(mask, charset=None)  # a reader of this set knows its characters
