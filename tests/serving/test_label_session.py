"""Labelling: nothing answered is lost, nobody's label is overwritten, the measure is fair."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captcha_helpers import Recognizer
from captcha_helpers.core import files
from captcha_helpers.reading import suggestions
from captcha_helpers.reading.decoder import Character, Reading
from captcha_helpers.reading.mask import Mask
from captcha_helpers.serving import label_session, training
from captcha_helpers.serving.label_session import (
    ChangedMeanwhileError,
    LabelError,
    LabelSession,
    NewCharacterError,
)
from captcha_helpers.serving.training import Trainer, TrainingError
from tests.patience import until
from tests.servers import SPEC, picture, read_greys

TRUTH = {f"{number:03}.png": f"{37 * number % 10000:04}" for number in range(60)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, text in TRUTH.items():
        (folder / name).write_bytes(picture(text))
    return folder


@pytest.fixture
def open_session(folder: Path) -> Iterator[Callable[..., LabelSession]]:
    opened = []

    def open_one(reader: Recognizer | None = None, **options: object) -> LabelSession:
        options = {"trainings": False} | options
        opened.append(LabelSession(folder, model=reader or Recognizer(read_greys, SPEC), **options))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


def wrong_where(unsure: set[str]) -> Recognizer:
    """Reads what `read_greys` reads, but 9 for a first character of these, and is unsure then."""

    def run(images: np.ndarray) -> np.ndarray:
        logits = read_greys(images)
        for row in logits:
            if str(row[0].argmax() - 1) in unsure:
                row[0] = np.eye(11)[10] * 3  # a confidence of two thirds
        return logits

    return Recognizer(run, SPEC)


def all_read(session: LabelSession) -> LabelSession:
    until(lambda: session.progress().surveyed == len(TRUTH))
    return session


def test_every_image_is_asked_for_once_and_its_label_is_in_the_file(open_session, folder: Path):
    session, asked = open_session(), []
    while (item := session.next()) is not None:
        asked.append(item.name)
        assert item.guess is not None and item.guess.text == TRUTH[item.name] and not item.label
        session.label(item.name, item.guess.text, sure=True)
        assert f"{item.name},{TRUTH[item.name]}\n" in (folder / "labels.csv").read_text("utf-8")
    assert sorted(asked) == sorted(TRUTH)
    progress = session.progress()
    assert progress.labelled == progress.images == 60
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(TRUTH)


def test_two_pages_get_different_images_and_do_not_overwrite_each_other(open_session):
    session = open_session()
    items = [session.next() for _ in range(60)]
    assert len({item.name for item in items}) == 60
    session.label("000.png", "0001")
    with pytest.raises(ChangedMeanwhileError, match="'0001' on another page"):
        session.label("000.png", "0002")
    assert session.item("000.png").label == "0001"
    session.label("000.png", "0002", before="0001")
    session.label("000.png", "0002")  # the same once more is no conflict
    assert session.item("000.png").label == "0002"


def test_a_second_start_goes_on_where_the_first_was_killed(open_session):
    first = open_session()
    for _ in range(20):
        item = first.next()
        first.label(item.name, "0000")
    first.set_aside(first.next().name)
    second = open_session()
    before, after = first.progress(), second.progress()
    assert (after.labelled, after.unreadable, after.tested) == (20, 1, before.tested)
    left = [second.next().name for _ in range(39)]
    assert len({*left, *first.book.labels}) == 59 and second.next().name == left[0]


def test_two_programs_with_a_page_each_keep_what_the_other_notes(open_session, folder: Path):
    one, other = open_session(), open_session()
    one.set_aside("000.png")
    other.set_aside("001.png")
    item = one.next()
    one.label(item.name, TRUTH[item.name])
    notes = json.loads((folder / ".labels.csv.session").read_text("utf-8"))
    assert notes["unreadable"] == ["000.png", "001.png"] and len(notes["tests"]) == 1
    third = open_session().progress()
    assert (third.labelled, third.unreadable) == (1, 2)


def test_a_label_that_another_program_is_just_writing_is_not_overwritten(open_session):
    session, other = open_session(), open_session()
    refused: list[Exception] = []

    def label() -> None:
        try:
            session.label("000.png", "2222")
        except ChangedMeanwhileError as error:
            refused.append(error)

    with other.book.held():
        thread = threading.Thread(target=label)
        thread.start()
        thread.join(0.2)  # it has looked, if it does not wait
        other.book.write({"000.png": "1111"})
    thread.join()
    assert len(refused) == 1 and session.book.labels == {"000.png": "1111"}


def test_the_measure_is_on_images_drawn_at_random_and_not_on_the_doubtful(
    open_session, monkeypatch: pytest.MonkeyPatch
):
    """The doubtful are all guessed wrong: a measure on all that was asked would be far too low."""
    monkeypatch.setattr(suggestions, "READS_MOST", 0.8)  # so that this reader's doubts count
    unsure = {"1"}  # 1000 to 1999
    session = all_read(open_session(wrong_where(unsure), seed=1))
    asked = []
    for _ in range(16):
        item = session.next()
        asked.append(item.guess.text == TRUTH[item.name])
        session.label(item.name, TRUTH[item.name], sure=True)
    progress = session.progress()
    share = np.mean([text[0] not in unsure for text in TRUTH.values()])
    assert progress.tested == 4 and sum(asked) <= 4  # twelve doubtful ones, all wrong
    assert progress.low < share < progress.high


def test_a_reader_that_reads_few_gets_images_in_random_order_and_all_are_tests(open_session):
    session = all_read(open_session(wrong_where(set("0123456789")), seed=1))
    expected = session._random[:16]
    asked = []
    for _ in range(16):
        item = session.next()
        asked.append(item.name)
        session.label(item.name, TRUTH[item.name], sure=True)
    assert asked == expected and session.progress().tested == 16


def test_what_is_measured_of_one_reader_does_not_count_for_the_next(open_session):
    session = all_read(open_session())
    for _ in range(8):
        item = session.next()
        session.label(item.name, TRUTH[item.name], sure=True)
    assert session.progress().tested == 2
    session._take(label_session._Guesser(Recognizer(read_greys, SPEC), 8, "another"))
    assert session.progress().tested == 0 and session.progress().high == 1


def test_skipped_images_come_again_at_the_end(open_session):
    session = open_session()
    skipped = session.next().name
    session.skip(skipped)
    others = []
    while (item := session.next()) is not None:
        others.append(item.name)
        session.label(item.name, TRUTH[item.name], sure=True)
    assert others[-1] == skipped and len(others) == 60


def test_an_image_that_was_skipped_and_labelled_after_all_does_not_come_again(open_session):
    session = open_session()
    skipped = [session.next().name for _ in range(2)]
    for name in skipped:
        session.skip(name)
    session.label(skipped[0], TRUTH[skipped[0]])  # after Back
    session.set_aside(skipped[1])
    others = []
    while (item := session.next()) is not None:
        others.append(item.name)
        session.label(item.name, TRUTH[item.name], sure=True)
    assert len(others) == 58 and not {*skipped} & {*others}


def test_nothing_is_called_done_while_an_image_was_shown_and_not_answered(open_session):
    """The page was loaded again, or closed on another machine's screen."""
    session = open_session()
    for name in sorted(TRUTH)[:57]:
        session.label(name, TRUTH[name])
    shown = [session.next().name for _ in range(3)]
    assert [session.next().name for _ in range(4)] == [*shown, shown[0]]
    session.label(shown[1], "1111")
    assert [session.next().name for _ in range(2)] == [shown[2], shown[0]]
    session.label(shown[2], "1111")
    session.set_aside(shown[0])
    assert session.next() is None


def test_an_image_that_can_be_read_after_all_is_no_longer_set_aside(open_session):
    session = open_session()
    session.set_aside("000.png")
    session.label("000.png", "0000")
    assert (session.progress().labelled, session.progress().unreadable) == (1, 0)
    assert open_session().progress().unreadable == 0
    session.book.write({"000.png": ""})
    assert session.progress().unreadable == 0


def test_what_was_measured_of_another_model_or_mask_is_not_claimed(open_session, folder: Path):
    def tested(**options: object) -> int:
        session = LabelSession(folder, trainings=False, **options)
        session.close()
        return session.progress().tested

    session = LabelSession(folder, model="stars", trainings=False)
    for _ in range(4):
        item = session.next()
        session.label(item.name, TRUTH[item.name], sure=True)
    measured = session.progress().tested
    session.close()
    assert measured >= 1 and tested(model="stars") == measured
    assert tested(model="slanted") == 0
    assert tested(model="stars", mask=Mask("0123456789")) == 0
    assert tested(model="stars", mask=Mask(ignore_case=True)) == 0
    assert open_session().progress().tested == 0  # of a reader in memory


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "type what the image says"), ("   ", "type what"), ("7" * 65, "65 characters are too")],
)
def test_no_label_and_far_too_much_of_one_are_refused(open_session, text: str, message: str):
    session = open_session()
    with pytest.raises(LabelError, match=message):
        session.label("000.png", text)
    assert not session.book.path.exists()
    session.label("000.png", "7" * 40)


def test_a_new_character_is_asked_about_once(open_session):
    session = open_session()
    for name in sorted(TRUTH)[:20]:
        session.label(name, "0123")
    with pytest.raises(NewCharacterError, match="'é'"):
        session.label("030.png", "01é3")
    session.label("030.png", "01é3", sure=True)
    session.label("031.png", "01é3")


def test_an_image_that_cannot_be_opened_is_shown_as_that_and_stops_nothing(
    open_session, folder: Path
):
    (folder / "000.png").write_bytes(b"no picture")
    session = open_session()
    items = {}
    while (item := session.next()) is not None:
        items[item.name] = item
        session.label(item.name, TRUTH[item.name], sure=True)
    assert items["000.png"].guess is None and "image" in items["000.png"].problem
    assert len(items) == 60
    with pytest.raises(KeyError):
        session.item("../secret.png")
    with pytest.raises(KeyError):
        session.label("../secret.png", "a")


def test_confident_readings_become_labels_together_with_the_errors_to_expect(open_session):
    session = open_session(wrong_where({"1"}))
    session.survey()
    while session.progress().surveyed < 60:
        time.sleep(0.01)
    sure = {name: text for name, text in TRUTH.items() if text[0] != "1"}
    progress = session.progress()
    assert progress.confident == len(sure) and 0 < progress.expected_errors < 1
    assert session.accept_confident() == len(sure)
    assert session.book.labels == sure


def test_no_file_is_begun_if_no_reading_is_confident(open_session):
    session = all_read(open_session(wrong_where(set("0123456789"))))
    assert session.accept_confident() == 0 and not session.book.path.exists()


def test_images_that_cannot_be_opened_or_were_set_aside_do_not_hold_up_the_rest(
    open_session, folder: Path
):
    """The page offers to accept the confident readings once as many are surveyed as are left."""
    (folder / "000.png").write_bytes(b"no picture")
    session = open_session()
    session.survey()
    until(lambda: session.progress().surveyed == 60)
    session.set_aside("001.png")
    progress = session.progress()
    assert progress.surveyed == progress.images - progress.labelled - progress.unreadable == 59
    assert session.accept_confident() == 58
    session.set_aside("000.png")
    progress = session.progress()
    assert progress.surveyed == 0 and (progress.labelled, progress.unreadable) == (58, 2)


def test_however_often_all_are_asked_for_each_is_read_once(open_session):
    read: list[int] = []

    def run(images: np.ndarray) -> np.ndarray:
        time.sleep(0.002)
        read.append(len(images))
        return read_greys(images)

    session = open_session(Recognizer(run, SPEC))
    for _ in range(5):
        session.survey()
    all_read(session)
    session.survey()
    time.sleep(0.1)
    assert sum(read) == 60


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_the_page_takes_its_training_along(folder: Path, tmp_path: Path):
    """The verb `label`, which does not end by itself, stands for a training."""
    script = (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from captcha_helpers.reading.mask import Mask\n"
        "from captcha_helpers.serving.training import Trainer\n"
        "trainer = Trainer(Path(sys.argv[1]), None, Mask(), 1.0)\n"
        "verb = 'label', sys.argv[1], '--model', 'stars', '--no-browser'\n"
        "threading.Thread(target=trainer._run, args=(Path(sys.argv[2]), verb)).start()\n"
        "while trainer._process is None: time.sleep(0.01)\n"
        "print(trainer._process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    place = tmp_path / "captcha_labels_work"
    place.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(place)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        started = int(process.stdout.readline())
        process.kill()
    until(lambda: not place.exists())
    until(lambda: has_ended(started))


def has_ended(process: int) -> bool:
    """Whether a process has; also if nobody has asked yet how, which Linux shows."""
    with suppress(OSError):
        os.kill(process, 0)
        command = Path(f"/proc/{process}/cmdline")
        return command.exists() and not command.read_bytes()
    return True


def test_a_verb_works_while_the_program_that_started_it_goes_on(tmp_path: Path):
    """On Windows, NumPy would wait for whoever reads the pipe."""
    child = [sys.executable, "-m", "captcha_helpers.cli.child"]
    with subprocess.Popen(
        [*child, str(tmp_path / "captcha_labels_"), "styles"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and b"stars" in process.stdout.read()
        until(lambda: process.poll() is not None)
    assert process.returncode == 0


def test_only_the_folder_of_a_training_is_deleted(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    child = [sys.executable, "-m", "captcha_helpers.cli.child", str(tmp_path / "mine"), "styles"]
    done = subprocess.run(child, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "mine' would be deleted" in done.stderr
    assert (tmp_path / "mine").exists()


def test_places_that_cannot_be_written_are_told_before_the_first_label(
    folder: Path, tmp_path: Path
):
    reader = Recognizer(read_greys, SPEC)
    (tmp_path / "taken.keras").touch()
    with pytest.raises(FileExistsError):
        LabelSession(folder, model=reader, out=tmp_path / "taken.keras")
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        LabelSession(folder, model=reader, out=tmp_path / "reader.onnx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in"):
        LabelSession(tmp_path / "empty", model=reader)
    with pytest.raises(NotADirectoryError):
        LabelSession(tmp_path / "nowhere", model=reader)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_where_a_folder_cannot_be_written_another_file_is_proposed(
    open_session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    """A folder of somebody else's, and a disc that is mounted to be read only."""
    write = tempfile.TemporaryFile

    def refuse(*, dir: Path, **options: Any) -> Any:
        if dir != tmp_path:
            raise OSError(number, os.strerror(number))
        return write(dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=r"labels\.csv' cannot be .*; name another .*--labels OTHER"):
        open_session()
    session = open_session(labels=tmp_path / "other.csv")
    session.label("000.png", "0000")
    assert (tmp_path / "other.csv").read_text("utf-8") == "file,label\n000.png,0000\n"


def test_a_disk_without_locks_is_told_before_the_first_label(
    open_session, monkeypatch: pytest.MonkeyPatch
):
    def refuse(file: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files, "_lock", refuse)
    with pytest.raises(OSError, match=r"labels\.csv' .* knows no locks; name another .*--labels O"):
        open_session()


def test_a_label_counts_though_the_notes_cannot_be_written(open_session, folder: Path):
    session = open_session()
    item = session.next()
    (folder / ".labels.csv.session").mkdir()
    with pytest.warns(UserWarning, match="session.*labels are kept"):
        session.label(item.name, "0000")
    assert f"{item.name},0000\n" in (folder / "labels.csv").read_text("utf-8")
    assert session.progress().labelled == 1


def test_no_other_program_waits_while_readers_are_compared(
    open_session, play, monkeypatch: pytest.MonkeyPatch
):
    held, read = list[bool](), LabelSession._text

    def noted(self: LabelSession, *given: Any) -> str:
        held.append(self.book._alone)
        return read(self, *given)

    monkeypatch.setattr(LabelSession, "_text", noted)
    play(Recognizer(read_greys, SPEC), [""])
    session = open_session(wrong_where({"1", "2"}), trainings=True)
    label_until(session, 40)
    assert held and not any(held)


def test_a_damaged_note_of_an_earlier_session_is_named(open_session, folder: Path):
    (folder / ".labels.csv.session").write_text("[", "utf-8")
    with pytest.raises(ValueError, match=r"labels\.csv\.session' is damaged .*; delete it"):
        open_session()


@pytest.mark.slow
def test_a_hundred_thousand_images_are_no_reason_to_wait(tmp_path: Path):
    for number in range(100_000):
        first = tmp_path / f"{number - number % 50_000}.png"  # ext4 takes 65,000 links to a file
        if number % 50_000:
            os.link(first, tmp_path / f"{number}.png")
        else:
            first.write_bytes(picture("1234"))
    begun = time.process_time()
    session = LabelSession(tmp_path, model=Recognizer(read_greys, SPEC), trainings=False)
    try:
        assert session.next() is not None
        assert time.process_time() - begun < 5
    finally:
        session.close()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recognizer, list[str]], list[list[str]]]:
    """Play the trainings, which end with a message each; `test_label_page` runs a real one."""

    def start(reader: Recognizer, said: list[str]) -> list[list[str]]:
        ran: list[list[str]] = []

        def run(self: Trainer, place: Path, arguments: list[object]) -> None:
            if arguments[0] == "export":
                return
            Path(str(arguments[arguments.index("--out") + 1])).write_text(f"reader {len(ran)}")
            listed = Path(str(arguments[1]), "labels.csv").read_text("utf-8").splitlines()
            ran.append([str(arguments[0]), str(len(listed) - 1)])
            if said[len(ran) - 1]:
                raise TrainingError(said[len(ran) - 1])

        monkeypatch.setattr(Trainer, "_run", run)
        monkeypatch.setattr(training, "load", lambda path, **_: reader)
        return ran

    return start


def label_until(session: LabelSession, count: int) -> None:
    while session.progress().labelled < count:
        item = session.next()
        session.label(item.name, TRUTH[item.name], sure=True)
    while session.progress().training_on:
        time.sleep(0.01)


def test_a_reader_that_guesses_as_well_takes_over(open_session, play):
    ran = play(Recognizer(read_greys, SPEC), ["", "Error: no more"])
    session = open_session(wrong_where({"1", "2"}), trainings=True)
    label_until(session, 19)
    assert not ran
    label_until(session, 20)
    assert ran == [["train", "20"]] and session.progress().ready == 20
    assert session.progress().learned_from == 0  # nothing is known of it yet
    label_until(session, 40)
    progress = session.progress()
    assert (progress.learned_from, progress.ready) == (20, 0)
    assert progress.tested == progress.right >= 5  # the images on which the two were compared
    label_until(session, 52)
    assert ran[1:] == [["train", "50"]]  # one that failed is not begun with every label
    assert session.progress().training_failed == "Error: no more"
    assert session.progress().learned_from == 20


def test_whatever_ends_a_training_the_next_one_begins(
    open_session, play, monkeypatch: pytest.MonkeyPatch
):
    ran = play(Recognizer(read_greys, SPEC), ["", ""])
    session = open_session(trainings=True)
    with monkeypatch.context() as patched:
        patched.setattr(training, "load", lambda *_, **__: 1 / 0)
        label_until(session, 20)
    progress = session.progress()
    assert (progress.training_on, progress.training_failed) == (0, "division by zero")
    label_until(session, 50)
    assert ran == [["train", "20"], ["train", "50"]] and not session.progress().training_failed


def test_after_the_end_no_training_begins(open_session, play):
    ran = play(Recognizer(read_greys, SPEC), [""])
    session = open_session(trainings=True)
    session.close()
    label_until(session, 21)
    assert not ran


@pytest.mark.skipif(os.name != "posix", reason="Windows has classes instead")
@pytest.mark.parametrize(("mine", "its"), [(0, 10), (15, 15)])
def test_a_training_gives_way_and_never_asks_for_more_than_its_page_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: int, its: int
):
    """Only an administrator may make a program less nice."""
    place, asked = tmp_path / "captcha_labels_", list[int]()
    monkeypatch.setattr(os, "getpriority", lambda *_: mine)
    monkeypatch.setattr(os, "setpriority", lambda _, __, nice: asked.append(nice))
    Trainer(tmp_path, None, Mask(), 1.0)._run(place, ["styles"])
    assert asked == [its]


@pytest.mark.parametrize(("model", "begins"), [("mine.keras", True), ("mine.onnx", False)])
def test_trainings_begin_with_the_readers_own_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, begins: bool
):
    """A reader that begins anew can hardly do as well as one that knows such images already."""
    ran: list[list[str]] = []

    def stopped(_: Trainer, __: Path, command: list[object]) -> None:
        ran.append([*map(str, command)])
        raise TrainingError("stopped")

    monkeypatch.setattr(Trainer, "_run", stopped)
    monkeypatch.setattr(label_session, "load", lambda *_, **__: Recognizer(read_greys, SPEC))
    (tmp_path / model).write_bytes(b"weights")
    session = LabelSession(folder, model=tmp_path / model)
    label_until(session, 20)
    session.close()
    assert ran[0][0] == "train"
    assert ran[0][-2:] == ["--init", str(tmp_path / model)] if begins else "--init" not in ran[0]


def test_a_reader_that_guesses_worse_does_not(open_session, play, tmp_path: Path):
    play(wrong_where(set("0123456789")), ["", ""])
    session = open_session(trainings=True, out=tmp_path / "reader.keras")
    label_until(session, 48)
    assert session.progress().ready == 20 and session.progress().learned_from == 0
    assert session.reader.run is read_greys
    with pytest.raises(LabelError, match="guesses as well as the first one yet"):
        session.save()


def test_a_reader_that_took_over_by_luck_gives_way(
    open_session, play, monkeypatch: pytest.MonkeyPatch
):
    """It reads all of the images that come first, and none of those that begin with a 1."""
    play(wrong_where({"1"}), [""])
    monkeypatch.setattr(label_session, "is_random", lambda *_: True)
    session = open_session(trainings=True)
    session._random = sorted(TRUTH, key=lambda name: TRUTH[name][0] == "1")
    label_until(session, 30)
    assert (session.progress().learned_from, session.progress().ready) == (20, 0)
    label_until(session, 40)
    assert (session.progress().learned_from, session.progress().ready) == (0, 20)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (Mask(), []),
        (Mask("ab12", (3, 5)), ["--charset=ab123", "--length=3-5"]),
        (Mask("AB", ignore_case=True), ["--charset=AB123"]),
        (Mask("Aab", (2, 2), ignore_case=True), ["--charset=ab123", "--length=2-4"]),
    ],
)
def test_trainings_know_what_was_told_and_what_the_labels_have_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: Mask, told: list[str]
):
    ran: list[list[str]] = []
    monkeypatch.setattr(Trainer, "_run", lambda _, __, command: ran.append([*map(str, command)]))
    monkeypatch.setattr(training, "load", lambda *_, **__: None)
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"")
    Trainer(tmp_path, None, mask, 1.0).train({"1.png": "123", "2.png": "1231"})
    assert [word for word in ran[0] if word.startswith(("--charset", "--length"))] == told


def test_the_reader_is_saved_as_often_as_one_likes(open_session, play, tmp_path: Path):
    play(Recognizer(read_greys, SPEC), [""])
    out = tmp_path / "reader.keras"
    session = open_session(wrong_where({"1", "2"}), trainings=True, out=out)
    label_until(session, 40)
    assert session.save() == session.save() == out
    assert out.read_text() == "reader 0" and len(session._notes.saved) == 1
    open_session(out=out)  # the same command once more
    out.write_text("a reader of somebody else's")
    with pytest.raises(FileExistsError, match="choose another name"):
        session.save()
    with pytest.raises(FileExistsError, match="choose another name"):
        open_session(out=out)
    assert out.read_text() == "a reader of somebody else's"


def test_what_more_labels_would_bring_is_said_of_readers_that_were_measured(open_session, play):
    """Each reader trained here reads what is drawn at random later, not only the last."""
    play(wrong_where({"1", "2"}), ["", "", ""])
    session = open_session(wrong_where(set("0123456789")), trainings=True)
    session._random = sorted(TRUTH)
    label_until(session, 54)
    counts = [test.labels for test in session._notes.tests]
    assert counts.count(20) >= 9 and counts.count(50) >= 1  # every fourth, or more: 20 to 52, 52
    assert session.progress().learned_from == 20
    assert (session.progress().more, session.progress().would_read) == (0, 0.0)
    tests = session._notes.tests
    tests.clear()
    own, tested = session._guesser.key, label_session.Tested
    tests += [tested("old", 5, "no", "yes")] * 10 + [tested("old", 5, "yes", "yes")] * 10
    tests += [tested(own, 20, "no", "yes")] * 10 + [tested(own, 20, "yes", "yes")] * 31
    # 10.5 of 21 wrong, and 10.5 of 42
    assert session.progress().more == 0  # 100 labels are too far away from 20, and 60 images
    for name in sorted(TRUTH)[36:]:
        session.book.write({name: ""})
    progress = session.progress()
    assert progress.labelled == 36 and progress.more == 50 - 36
    assert progress.would_read == pytest.approx(1 - 0.25 / 2.5**0.5)
    for name in sorted(TRUTH)[:11]:
        session.set_aside(name)
    assert session.progress().more == 0  # only 49 images are left


@pytest.mark.parametrize(("right", "enough"), [(72, False), (73, True)])
def test_a_reader_that_surely_reads_nearly_all_is_enough(
    open_session, folder: Path, right: int, enough: bool
):
    """Wilson's interval of n out of n begins at n / (n + 3.84): at 0.95 for 73."""
    key = open_session()._guesser.key
    notes = {"unreadable": [], "tests": [[key, 0, "7", "7"]] * right + [[0, "7", "8"]]}
    (folder / ".labels.csv.session").write_text(json.dumps(notes), "utf-8")
    assert open_session().progress().enough == enough


def test_the_notes_hold_no_path_and_no_picture(open_session, folder: Path):
    session = all_read(open_session())
    for _ in range(4):
        item = session.next()
        session.label(item.name, TRUTH[item.name], sure=True)
    notes = json.loads((folder / ".labels.csv.session").read_text("utf-8"))
    assert notes["unreadable"] == [] and len(notes["tests"]) == 1


def test_only_some_images_are_gone_through_with_their_labels(open_session):
    open_session().book.write({"003.png": "0007"})
    session = open_session(only=["003.png", "001.png"])
    items = [session.next(), session.next()]
    assert [(item.name, item.label) for item in items] == [("003.png", "0007"), ("001.png", "")]
    assert session.next().name == "003.png"  # the page was loaded again
    session.skip("001.png")
    session.label("003.png", "0111", before="0007")
    assert session.book.labels == {"003.png": "0111"} and session.next() is None


def test_what_others_have_read_is_shown_as_the_guess(open_session):
    """So `check --fix` shows the reading for which it doubts the label."""
    open_session().book.write({"003.png": "0007"})
    read = Reading("4711", 0.9, tuple(Character(char, 0.9) for char in "4711"))
    item = open_session(only={"003.png": read}).next()
    assert (item.name, item.label, item.guess) == ("003.png", "0007", read)
