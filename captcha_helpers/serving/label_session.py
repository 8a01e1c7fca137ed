"""What happens while somebody labels a folder: guesses, their order, trainings, a fair measure.

Nothing of HTTP is here: `labelling` shows it as a page. An image that comes at random is a test of
the reader that guessed it: the guess was made before the label was typed, by a reader that had not
learned it. All others that were trained here read it too, and so show what labels bring. From those
that were typed since the last training began, none has learned: the newest takes over if it makes
no more mistakes there than the one that guesses. With few labels it may be worse than the one
before; if it took over by luck, it gives way once another makes clearly fewer mistakes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from captcha_helpers.core.files import check_writable, write_bytes
from captcha_helpers.core.metrics import cer, wilson_interval
from captcha_helpers.data.images import ImageError
from captcha_helpers.data.label_book import LabelBook
from captcha_helpers.data.labels import LABELS_FILE, LONGEST_LABEL, image_files
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.mask import Mask, one_case
from captcha_helpers.reading.recognizer import Recognizer, load
from captcha_helpers.reading.shipped import model_path
from captcha_helpers.reading.suggestions import MOST_READ, is_random, most_doubtful
from captcha_helpers.serving.forecast import FEWEST_TESTED, Measured, forecast
from captcha_helpers.serving.training import Trainer, as_options

FIRST_TRAINING = 20  # labels; the next ones come at 50, 100, 200, 400 ...
MINUTES = 1.0  # of a training
FEWEST_TESTS = 5  # images drawn at random on which a new reader is compared
CONFIDENT = 0.9  # a reading that may be accepted without being looked at
ENOUGH = 0.95  # of the images; a reader that surely reads so many may read the others
KNOWN_AFTER = 20  # labels, from which on a character that none of them has is asked about
_AHEAD = 8  # doubtful images that are chosen together, so that they differ
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
_FORGOTTEN = 600  # seconds after which an image that a page took and did not answer is free again


class LabelError(ValueError):
    """A label that is not taken, and why."""


class NewCharacterError(LabelError):
    """A label with a character that no other has: typed again, it is taken."""


class ChangedMeanwhileError(LabelError):
    """The image has another label by now, given on another page."""


class Tested(NamedTuple):
    """What a reader made of an image that was drawn at random and that it had not learned from.

    Attributes:
        reader: Which one: a checksum of the model and of what was told of the strings.
        labels: How many it had learned from.
        guess: What it read.
        typed: What the person typed.
    """

    reader: str
    labels: int
    guess: str
    typed: str


@dataclass
class Notes:
    """What a session keeps beside the labels, so that another one goes on from there.

    Attributes:
        unreadable: Images that nobody can read.
        tests: One for each image drawn at random and each reader that had not learned from it.
        saved: Checksums of the readers that were written to `LabelSession.out`: those may be
            replaced.
    """

    unreadable: list[str] = field(default_factory=list)
    tests: list[Tested] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """An image to be labelled.

    Attributes:
        name: Of its file.
        guess: What the reader reads; None if it cannot open the image.
        label: The label that it has already; empty if none.
        problem: Why it cannot be opened.
    """

    name: str
    guess: Reading | None
    label: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the labelling is.

    Attributes:
        images: In the folder.
        labelled: With a label.
        unreadable: That were set aside as unreadable.
        learned_from: Labels that the current reader has learned from; 0 for the first reader.
        training_on: Labels that the training under way learns from; 0 if there is none.
        ready: Labels that the newest reader has learned from, if it is not known to be as good as
            the one that guesses; else 0.
        training_failed: What the last training said, if it failed.
        tested: Images drawn at random that the current reader guessed.
        right: How many of those it guessed as they were typed.
        low: Lower end of the 95 % interval of their share, 0–1.
        high: Upper end.
        enough: Whether the share is surely `ENOUGH`.
        more: How many more labels the next reader would need; 0 if nothing can be said of it.
        would_read: What share that reader would read, 0–1.
        surveyed: Images that have no label and were not set aside, which the current reader has
            read or could not open.
        confident: Of these, those read with a confidence of `CONFIDENT` or more.
        expected_errors: How many of the confident readings are wrong, by the reader's own account.
    """

    images: int
    labelled: int
    unreadable: int
    learned_from: int
    training_on: int
    ready: int
    training_failed: str
    tested: int
    right: int
    low: float
    high: float
    enough: bool
    more: int
    would_read: float
    surveyed: int
    confident: int
    expected_errors: float


@dataclass(frozen=True)
class _Guesser:
    """A reader, how many labels it has learned from, which one it is, and its file.

    The content of the file, that is, of a reader that was trained here.
    """

    reader: Recognizer
    labels: int
    key: str
    file: bytes = b""


class LabelSession:
    """One folder that is being labelled. Several threads may use it at a time.

    Args:
        folder: The images.
        labels: The file of labels; by default ``labels.csv`` in the folder.
        model: What guesses first: a reader, or what `captcha_helpers.load` opens. Trainings begin
            with it if it is a ``.keras`` file.
        out: Where `save` writes the reader. A file of that name is replaced if a session of these
            labels wrote it.
        mask: What is known of the strings.
        trainings: Whether the reader is trained while labels come.
        minutes: Time of each training.
        only: Names of images to go through in this order, whether they have a label or not,
            perhaps each with what it is read as. Those in sub-folders are named by their way
            there: ``"sub/1.png"``. By default all images that have no label, in the
            order of `captcha_helpers.suggest`.
        seed: Another seed makes another random order.

    Raises:
        NotADirectoryError: If there is no such folder.
        FileExistsError: If `out` exists and is of somebody else's making.
        OSError: If the labels cannot be written.
        ValueError: If there is no image, the file of labels is something else, or `out` does not
            end in ``.keras``.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        labels: str | os.PathLike[str] | None = None,
        model: Recognizer | str | os.PathLike[str] = "general",
        out: str | os.PathLike[str] | None = None,
        mask: Mask | None = None,
        trainings: bool = True,
        minutes: float = MINUTES,
        only: Sequence[str] | Mapping[str, Reading] | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder).absolute()
        self.names = [path.name for path in image_files(folder)]
        if not self.names and not only:
            raise ValueError(f"no images in {os.fspath(folder)!r}; name the folder they are in")
        self.book = _open_book(self.folder, labels)
        self.out = Path(out) if out is not None else None
        if self.out is not None:
            if self.out.suffix != ".keras":
                raise ValueError(f"{os.fspath(self.out)!r} must end in .keras")
            check_writable(self.out)
        self.trainings = trainings
        self._known, self._lock = frozenset([*self.names, *(only or ())]), threading.RLock()
        self._mask = mask or Mask()
        self._notes_file = self.book.path.with_name(f".{self.book.path.name}.session")
        self._notes = _read_notes(self._notes_file)
        if self.out is not None:
            _refuse_others(self.out, self._notes)
        order = np.random.default_rng(seed).permutation(len(self.names)).tolist()
        self._random = [self.names[place] for place in order]
        self._only = None if only is None else list(only)
        self._turn = 0
        self._away: dict[str, float] = {}  # images that a page has, and since when
        self._skipped: dict[str, None] = {}
        self._fair: dict[str, tuple[_Guesser, str]] = {}  # drawn at random: who guessed, and what
        self._doubtful: list[str] = []
        self._training: threading.Thread | None = None
        self._training_on, self._tried, self._failed, self._closed = 0, 0, "", False
        self._recent: list[tuple[str, str]] = []  # drawn at random since the last training; typed
        self._texts: dict[tuple[str, str], str] = {}  # what readers, by their keys, read there
        file = None if isinstance(model, Recognizer) else model_path(model)
        init = file if file is not None and file.suffix == ".keras" else None
        self._trainer = Trainer(self.folder, init, self._mask, minutes)
        if not isinstance(model, Recognizer):
            model = load(model, **as_options(self._mask))
        first = _Guesser(model, 0, self._key(model, *_contents(file)))
        self._readers = [first]  # and all that were trained here
        self._take(first)
        if isinstance(only, Mapping):
            self._guesses.update(only)

    def close(self) -> None:
        """End the training under way, and leave nothing but the labels and what was saved."""
        with self._lock:
            self._closed, training = True, self._training
        self._trainer.close()
        if training is not None:
            training.join()

    @property
    def reader(self) -> Recognizer:
        """What guesses now."""
        return self._guesser.reader

    def path(self, name: str) -> Path:
        """The file of an image.

        Raises:
            KeyError: If there is no such image.
        """
        if name not in self._known:
            raise KeyError(name)
        return self.folder / name

    def item(self, name: str) -> Item:
        """One image, with what it is read as.

        Raises:
            KeyError: If there is no such image.
        """
        path = self.path(name)
        with self._lock:
            reader, guess = self._guesser.reader, self._guesses.get(name)
        label, problem = self.book.labels.get(name, ""), ""
        if guess is None:
            try:
                guess = reader.read(path, strict=False)
            except ImageError as error:
                problem = error.reason
        return Item(name, guess, label, problem)

    def next(self) -> Item | None:
        """The image that comes now: any, or one that the reader doubts if it reads most of them.

        Then those that were skipped, and at last those that were shown and not answered, on a page
        that was loaded again or closed, say.

        Returns:
            The image; None if all have a label or were set aside.
        """
        with self._lock:
            fair = False
            if self._only is not None:
                name = self._only.pop(0) if self._only else next(iter(self._away), None)
            else:
                free = self._free()
                fair = bool(free) and is_random(self._turn, self._guesses.values())
                name = self._choose(free, fair) or self._left_over()
                self._turn += 1
            if name is None:
                return None
            for places in (self._skipped, self._away):
                places.pop(name, None)
            self._away[name] = time.monotonic()
            guesser = self._guesser
        item = self.item(name)
        if fair and item.guess is not None:
            with self._lock:
                self._fair[name] = guesser, item.guess.text
        return item

    def label(self, name: str, text: str, *, before: str = "", sure: bool = False) -> None:
        """Take a label; it is in the file when this returns.

        Args:
            name: Of the image.
            text: What it says.
            before: The label that the page showed: another one is not overwritten.
            sure: Take also a character that no label had so far.

        Raises:
            ChangedMeanwhileError: If the image has got another label since the page showed it.
            KeyError: If there is no such image.
            LabelError: If the label is empty, or too long.
            NewCharacterError: If it has a character that no label had, and `sure` is false.
            OSError: If the file cannot be written; then nothing has changed. That the notes beside
                it cannot be written is a warning.
        """
        text = text.strip()
        self.path(name)
        if not text or len(text) > LONGEST_LABEL:
            raise LabelError(
                "type what the image says, or set it aside"
                if not text
                else f"{len(text)} characters are too many; a label has at most {LONGEST_LABEL}"
            )
        with self._lock:
            with self.book.held():
                labels = self.book.labels
                if labels.get(name, "") not in (before, text):
                    raise ChangedMeanwhileError(
                        f"this image was labelled {labels[name]!r} on another page meanwhile"
                    )
                used = set("".join(labels.values()))
                new = "".join(sorted(set(text) - used))
                if new and len(labels) >= KNOWN_AFTER and not sure:
                    raise NewCharacterError(f"no label so far has {new!r}; is it right?")
                self.book.write({name: text})
            self._away.pop(name, None)
            self._note_label(name, text)
            self._train_if_due(len(labels | {name: text}))

    def skip(self, name: str) -> None:
        """Ask about this image again when there is no other."""
        self.path(name)
        with self._lock:
            self._skipped[name] = None
            self._away.pop(name, None)

    def set_aside(self, name: str) -> None:
        """Note that nobody can read this image; it gets no label and loses one that it has."""
        self.path(name)
        with self._lock, self._noting() as notes:
            if self.book.labels.get(name):
                self.book.write({name: ""})
            if name not in notes.unreadable:
                notes.unreadable.append(name)
            self._away.pop(name, None)

    def survey(self) -> None:
        """Read all that has no label with the current reader, in the background."""
        with self._lock:
            self._read(self._free(away=True))

    def accept_confident(self) -> int:
        """Take the readings of high confidence as labels, all of them at once.

        Returns:
            How many there were.
        """
        with self._lock, self.book.held():
            found = self._confident()
            if found:
                self.book.write({name: reading.text for name, reading in found.items()})
            return len(found)

    def save(self) -> Path:
        """Write the reader that was trained here to `out`.

        Raises:
            FileExistsError: If there is a file of that name by now which no session of these labels
                wrote.
            LabelError: If none was trained yet, or no place was named.
            OSError: If it cannot be written.
        """
        if self.out is None:
            raise LabelError("no file was named for the reader; start again with --out FILE.keras")
        data = self._guesser.file
        if not data:
            raise LabelError(
                f"no reader that was trained here guesses as well as the first one yet; trainings "
                f"begin with {FIRST_TRAINING} labels"
            )
        with self._lock, self.book.held():
            with self._noting() as notes:  # first: killed in between, it is known as our own
                _refuse_others(self.out, notes)
                checksum = hashlib.sha256(data).hexdigest()
                if checksum not in notes.saved:
                    notes.saved.append(checksum)
            write_bytes(self.out, data)
        return self.out

    def progress(self) -> Progress:
        """How far it is, and how well the current reader guesses."""
        with self._lock:
            labels = self.book.labels
            aside = self._known.intersection(self._notes.unreadable) - labels.keys()
            measured, learned_from = self._measured(), self._guesser.labels
            newest = self._readers[-1]
            own = measured.get(self._guesser.key, Measured(learned_from, 0, 0))
            low, high = wilson_interval(own.right, own.tested) if own.tested else (0.0, 1.0)
            confident, labelled = self._confident(), len(labels.keys() & self._known)
            more, would_read = self._forecast(measured.values(), own, labelled)
            return Progress(
                images=len(self._known),
                labelled=labelled,
                unreadable=len(aside),
                learned_from=learned_from,
                training_on=self._training_on,
                ready=0 if newest is self._guesser else newest.labels,
                training_failed=self._failed,
                tested=own.tested,
                right=own.right,
                low=low,
                high=high,
                enough=low >= ENOUGH,
                more=more,
                would_read=would_read,
                surveyed=len((self._guesses.keys() | self._unopened) - labels.keys() - aside),
                confident=len(confident),
                expected_errors=sum(1 - one.confidence for one in confident.values()),
            )

    def _measured(self) -> dict[str, Measured]:
        """How well each reader reads what is drawn at random."""
        found: dict[str, Measured] = {}
        for reader, labels, guess, typed in self._notes.tests:
            _, tested, right = found.get(reader, (0, 0, 0))
            found[reader] = Measured(labels, tested + 1, right + self._same(guess, typed))
        return found

    def _forecast(
        self, readers: Iterable[Measured], own: Measured, labelled: int
    ) -> tuple[int, float]:
        """How many more labels the next reader needs, and what it would read; zeros if unknown.

        Nothing is said of more labels than there are images, nor while the present reader was
        hardly measured, nor if the next one would be hardly better.
        """
        goal, images = next_training(labelled), len(self.names) - len(self._notes.unreadable)
        if own.labels == 0 or own.tested < FEWEST_TESTED or goal > images:
            return 0, 0.0
        share = forecast(readers, goal)
        if share is None or round(share, 2) <= round(own.right / own.tested, 2):
            return 0, 0.0
        return goal - labelled, share

    def _free(self, *, away: bool = False) -> list[str]:
        """Images without a label, in random order."""
        labels, since = self.book.labels, time.monotonic() - _FORGOTTEN
        taken = {*labels, *self._notes.unreadable}
        if not away:
            taken |= {*self._skipped, *(name for name, at in self._away.items() if at > since)}
        return [name for name in self._random if name not in taken]

    def _left_over(self) -> str | None:
        """One that was skipped; else the one that was shown longest ago and not answered."""
        taken = {*self.book.labels, *self._notes.unreadable}
        return next((name for name in (*self._skipped, *self._away) if name not in taken), None)

    def _choose(self, free: Sequence[str], fair: bool) -> str | None:
        """The next one by chance, or a doubtful one."""
        if not free or fair:
            return free[0] if free else None
        there = set(free)
        self._doubtful = [name for name in self._doubtful if name in there]
        if not self._doubtful:
            read = {name: self._guesses[name] for name in free if name in self._guesses}
            rows = most_doubtful(list(read.values()), _AHEAD)
            self._doubtful = [list(read)[row] for row in rows]
        return self._doubtful.pop(0) if self._doubtful else free[0]

    def _take(self, guesser: _Guesser) -> None:
        """Guess with another reader from now on."""
        with self._lock:
            self._guesser = guesser
            self._guesses: dict[str, Reading] = {}
            self._unopened: set[str] = set()
            self._to_read: dict[str, None] = {}
            self._doubtful = []
            self._read(self._free(away=True)[:MOST_READ])

    def _read(self, names: Sequence[str]) -> None:
        """Let these be read in the background, each once, by one thread for each reader."""
        idle, seen = not self._to_read, self._guesses.keys() | self._unopened
        self._to_read.update(dict.fromkeys(name for name in names if name not in seen))
        if idle and self._to_read:
            arguments = self._to_read, self._guesser
            threading.Thread(target=self._guess, args=arguments, daemon=True).start()

    def _guess(self, to_read: dict[str, None], guesser: _Guesser) -> None:
        while not self._closed:
            with self._lock:
                name = next(iter(to_read))
            try:
                reading = guesser.reader.read(self.folder / name, strict=False)
            except ImageError:  # the page says it when it comes to this image
                reading = None
            with self._lock:
                if self._guesser is not guesser:
                    return
                if reading is None:
                    self._unopened.add(name)
                else:
                    self._guesses[name] = reading
                del to_read[name]
                if not to_read:
                    return

    def _confident(self) -> dict[str, Reading]:
        taken = {*self.book.labels, *self._notes.unreadable}
        return {
            name: reading
            for name, reading in self._guesses.items()
            if reading.confidence >= CONFIDENT and reading.text and name not in taken
        }

    def _same(self, guess: str, typed: str) -> bool:
        if self._mask.ignore_case:
            return [one_case(char) for char in guess] == [one_case(char) for char in typed]
        return guess == typed

    def _note_label(self, name: str, typed: str) -> None:
        """Note that an image can be read and, if it is a test, what readers made of it."""
        tests = []
        if name in self._fair:
            guesser, guess = self._fair.pop(name)
            self._recent.append((name, typed))
            self._texts[guesser.key, name] = guess
            tests = [self._test(one, name, typed) for one in self._readers]
        if tests or name in self._notes.unreadable:
            self._note(tests, readable=name)
        if tests:
            self._compare()

    def _note(self, tests: Sequence[Tested], readable: str = "") -> None:
        """Add to the notes. If that fails, a label is a label, and a reader is a reader."""
        try:
            with self._noting() as notes:
                notes.tests += tests
                notes.unreadable = [name for name in notes.unreadable if name != readable]
        except (OSError, ValueError) as error:
            warnings.warn(f"{error}; labels are kept, but not how well readers do", stacklevel=2)

    def _test(self, one: _Guesser, name: str, typed: str) -> Tested:
        """What a reader makes of an image that it has not learned from either."""
        return Tested(one.key, one.labels, self._text(one, name), typed)

    def _key(self, reader: Recognizer, *contents: bytes) -> str:
        """Which reader it is, over all starts: of a model in memory, its specification says it."""
        told = hashlib.sha256(f"{reader.spec.to_json()} {self._mask}".encode())
        for data in contents:
            told.update(data)
        return told.hexdigest()[:16]

    def _compare(self) -> None:
        """Let a reader guess that makes clearly fewer mistakes, or the newest if it makes no more.

        Clearly is by more than the standard error of the difference of two counts.
        """
        if len(self._readers) == 1 or len(self._recent) < FEWEST_TESTS:
            return
        mistakes = {one.key: self._mistakes(one) for one in self._readers}
        present, newest = mistakes[self._guesser.key], self._readers[-1]
        best = min(self._readers, key=lambda one: mistakes[one.key])
        fewer = present - mistakes[best.key]
        if fewer > math.sqrt(present + mistakes[best.key]):
            self._take(best)
        elif newest is not self._guesser and mistakes[newest.key] <= present:
            self._take(newest)

    def _text(self, one: _Guesser, name: str) -> str:
        """What a reader reads, once."""
        place = one.key, name
        if place not in self._texts:
            try:
                self._texts[place] = one.reader.read(self.folder / name, strict=False).text
            except ImageError:  # it was there a moment ago
                self._texts[place] = ""
        return self._texts[place]

    def _mistakes(self, one: _Guesser) -> float:
        """How many characters a reader gets wrong on the random images since the last training."""
        typed = [text for _, text in self._recent]
        texts = [self._text(one, name) for name, _ in self._recent]
        if self._mask.ignore_case:
            typed, texts = (
                ["".join(map(one_case, text)) for text in both] for both in (typed, texts)
            )
        return cer(typed, texts) * sum(map(len, typed))

    @contextmanager
    def _noting(self) -> Iterator[Notes]:
        """The notes, with those of other programs, to be changed; then they are in the file."""
        with self.book.held():
            self._notes = _read_notes(self._notes_file)
            yield self._notes
            write_bytes(self._notes_file, json.dumps(asdict(self._notes)).encode())

    def _train_if_due(self, labels: int) -> None:
        if self._closed or not self.trainings or self._training_on:
            return
        if labels < next_training(self._tried):
            return
        self._training_on = self._tried = labels
        self._recent, self._texts = [], {}
        self._training = threading.Thread(target=self._train, args=(self.book.labels,), daemon=True)
        self._training.start()

    def _train(self, labels: dict[str, str]) -> None:
        """Train a reader, and compare it with the one that guesses now."""
        failed, trained = "", None
        try:
            reader, data = self._trainer.train(labels)
            trained = _Guesser(reader, len(labels), self._key(reader, data), data)
        except Exception as error:  # of whatever kind: the next training may do better
            failed = str(error) or repr(error)
        with self._lock:
            self._training_on, self._failed = 0, failed
            if trained is not None:
                self._readers.append(trained)
                self._note([self._test(trained, name, typed) for name, typed in self._recent])
                self._compare()
            self._train_if_due(len(self.book.labels))


def next_training(labels: int) -> int:
    """Say with how many labels the next training begins.

    Args:
        labels: That the last one learned from.

    Example:
        >>> [next_training(labels) for labels in (0, 20, 55, 100, 399, 400)]
        [20, 50, 100, 200, 400, 800]
    """
    due = [FIRST_TRAINING, 50, 100]
    while due[-1] <= labels:
        due.append(2 * due[-1])
    return next(count for count in due if count > labels)


def _contents(model: Path | None) -> list[bytes]:
    """What is in a model's file, or in those of its folder."""
    files = [] if model is None else [model] if model.is_file() else sorted(model.rglob("*"))
    return [file.read_bytes() for file in files if file.is_file()]


def _open_book(folder: Path, labels: str | os.PathLike[str] | None) -> LabelBook:
    path = Path(labels) if labels is not None else folder / LABELS_FILE
    try:
        book = LabelBook(path, folder)
        with book.held():
            return book
    except OSError as error:
        no_locks = "its disk knows no locks; " * (error.errno in _NO_LOCKS)
        if not no_locks and not isinstance(error, PermissionError) and error.errno != errno.EROFS:
            raise
        raise type(error)(f"{error}; {no_locks}name another file with --labels OTHER.csv") from None


def _read_notes(path: Path) -> Notes:
    try:
        found = json.loads(path.read_bytes())
        tests = [
            Tested(str(test[0]), int(test[1]), str(test[2]), str(test[3]))
            for test in found["tests"]
            if len(test) == 4  # 3: of a version that did not note which reader it was
        ]
        saved = [str(checksum) for checksum in found.get("saved", [])]
        return Notes([str(name) for name in found["unreadable"]], tests, saved)
    except FileNotFoundError:
        return Notes()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged ({error}); delete it to begin anew") from None


def _refuse_others(out: Path, notes: Notes) -> None:
    """Keep a file that no session of these labels wrote."""
    if out.exists() and hashlib.sha256(out.read_bytes()).hexdigest() not in notes.saved:
        raise FileExistsError(
            f"{str(out)!r} exists, and it is no reader that was saved while these images were "
            "labelled; choose another name"
        )
