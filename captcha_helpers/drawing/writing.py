"""Write a labelled data set to disk; a run that was cut off is continued, nothing foreign is lost.

The folder says what it will hold before the first image is drawn: `meta.json` has the settings,
`labels.csv` every file and its label. What is missing then is drawn.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

import captcha_helpers
from captcha_helpers.core.files import OR_OVERWRITE, is_of_the_system, write_bytes
from captcha_helpers.data.folders import split_by_label
from captcha_helpers.data.labels import LABELS_FILE, find_labels
from captcha_helpers.drawing.painter import check_fonts, draw, sample_label
from captcha_helpers.drawing.styles import Style, get_style

META_FILE = "meta.json"
MADE_BY = "captcha_helpers.write_dataset"
MOST_IMAGES = 1_000_000  # that are drawn without a count being given
_CHUNK = 32  # images that a process draws at a time
_PARTIAL = re.compile(r"\.(.+)\.\d+\.part(.*)")  # what files.write_bytes leaves if killed


class _Job(NamedTuple):
    """One image to draw."""

    number: int
    label: str
    file: str  # relative to the data set's folder, with "/"


def write_dataset(
    style: Style | str,
    folder: str | os.PathLike[str],
    count: int | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    test_ratio: float = 0.0,
    workers: int = 1,
    overwrite: bool = False,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Draw images and write them with their labels, for a training or for other programs.

    Images are called LABEL_NUMBER.png (NUMBER.png if the charset has more than letters and digits)
    and listed in `labels.csv`. With a `test_ratio` they are in `folder/train` and `folder/test`,
    each with its own `labels.csv`, and no string is in both. `meta.json` says how they were made.

    Each file appears whole or not at all. If a run is cut off, the same call goes on, and ends with
    the same bytes as if nothing had happened. How many processes draw makes no difference either.

    Args:
        style: A style, or the name of a preset.
        folder: Where to write; made if it does not exist. It must be empty, or hold the beginning
            of the same data set.
        count: How many images; with `epochs`, how many at most.
        epochs: Draw every string that the style can have once an epoch, in random order, instead
            of random strings.
        seed: Which data set. Without `epochs`, image i is image i of `generate(style, seed=seed)`.
        test_ratio: Share of the strings whose images go to the test part, from 0 to below 1.
        workers: How many processes draw. With more than one, a script needs the line
            ``if __name__ == "__main__":`` around what it does, as always with processes.
        overwrite: Replace another data set that this function wrote. Only the files that its
            `labels.csv` lists are removed; a folder without such a data set is never touched.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Returns:
        What `meta.json` says: among others the `count` of images, and in `parts` how many images
        each folder has. And in `drawn`, how many this call has drawn: 0 if all were there.

    Raises:
        FileExistsError: The folder holds other files, or another data set.
        NotADirectoryError: The folder is a file.
        ValueError: An argument is not as above, there are too many strings to draw them all, or a
            font lacks a character.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     about = write_dataset("stars", folder, 3, seed=1)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['442800_000002.png', '651800_000001.png', '919348_000000.png', 'labels.csv', 'meta.json']
        >>> about["parts"], about["complete"]
        ({'.': 3}, True)
    """
    style = get_style(style) if isinstance(style, str) else style
    _check(count=count, epochs=epochs, seed=seed, test_ratio=test_ratio, workers=workers)
    folder = Path(folder)
    labels = _labels(style, count, epochs, seed)
    jobs = _jobs(style, labels, test_ratio, seed)
    check_fonts(style, sorted(set("".join(labels))))
    about = {
        "made_by": MADE_BY,
        "version": captcha_helpers.__version__,
        "complete": False,
        "style": style.name,
        "seed": seed,
        "count": len(labels),
        "epochs": epochs,
        "test_ratio": test_ratio,
        "charset": style.charset,
        "length": list(style.length),
        "width": style.width,
        "height": style.height,
        "parts": {part: len(of_part) for part, of_part in jobs.items()},
        "look": json.loads(json.dumps(asdict(style))),
    }
    _claim(folder, about, jobs, overwrite)
    done = {job.file for job in _written(folder, jobs)}
    missing = [job for of_part in jobs.values() for job in of_part if job.file not in done]
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
    with tqdm(total=len(labels), initial=len(done), unit="image", delay=1, disable=hidden) as bar:
        paint = partial(_paint, style, seed, folder, epochs is None)
        try:
            for drawn in _in_processes(paint, missing, workers):
                bar.update(drawn)
        except BaseException:  # a signal to all processes ends those that draw in mid-file
            _remove_partials(folder, jobs)
            raise
    about["complete"] = True
    _write_json(folder / META_FILE, about)
    return about | {"drawn": len(missing)}


def image_bytes(image: np.ndarray, suffix: str = ".png", *, smallest: bool = False) -> bytes:
    """The bytes of an image file; grey images are stored with one channel.

    Args:
        image: ``(H, W, 3)`` or ``(H, W, 4)`` uint8.
        suffix: ``".png"`` or ``".jpg"``.
        smallest: Search for the smallest PNG file, which takes several times as long.

    Returns:
        What to write into the file.
    """
    picture = Image.fromarray(image)
    data = io.BytesIO()
    if suffix == ".jpg":
        picture.save(data, "JPEG", quality=90)
        return data.getvalue()
    if image.shape[2] == 3 and (image == image[..., :1]).all():
        picture = picture.convert("L")
    picture.save(data, "PNG", optimize=smallest)
    return data.getvalue()


def _check(
    *, count: int | None, epochs: int | None, seed: int, test_ratio: float, workers: int
) -> None:
    if count is None and epochs is None:
        raise ValueError("Give count, the number of images, or epochs to draw every string.")
    for name, value, least in (
        ("count", count, 1),
        ("epochs", epochs, 1),
        ("workers", workers, 1),
        ("seed", seed, 0),
    ):
        if value is not None and value < least:
            raise ValueError(f"{name} is {value}; it must be {least} or more.")
    if not 0 <= test_ratio < 1:
        raise ValueError(f"test_ratio is {test_ratio}; it must be from 0 to below 1, as 0.2.")


def _labels(style: Style, count: int | None, epochs: int | None, seed: int) -> list[str]:
    """What is written in each image, by its number."""
    if epochs is None:
        rngs = (np.random.default_rng([seed, number]) for number in range(count or 0))
        return [sample_label(style, rng) for rng in rngs]
    low, high = style.length
    sizes = [len(style.charset) ** length for length in range(low, high + 1)]
    strings = sum(sizes)
    total = strings * epochs
    if (count is None and total > MOST_IMAGES) or strings > 2**62:
        raise ValueError(
            f"{strings:,} strings can be made of {len(style.charset)} characters, too many for "
            f"epochs={epochs}: take fewer characters or a shorter length, or "
            + ("leave epochs out" if strings > 2**62 else "set count as the maximum")
        )
    total = total if count is None else min(total, count)
    ranks: list[int] = []
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch, strings])
        ranks += rng.choice(strings, min(strings, total - len(ranks)), replace=False).tolist()
    return [_string(style, rank) for rank in ranks]


def _string(style: Style, rank: int) -> str:
    """The string of that number, if all that the style can have are counted, short ones first."""
    base, length = len(style.charset), style.length[0]
    while rank >= base**length:
        rank -= base**length
        length += 1
    chars = []
    for _ in range(length):
        rank, digit = divmod(rank, base)
        chars.append(style.charset[digit])
    return "".join(reversed(chars))


def _jobs(
    style: Style, labels: Sequence[str], test_ratio: float, seed: int
) -> dict[str, list[_Job]]:
    """The images of each part, by the name of its folder."""
    named = style.charset.isalnum()
    names = [f"{label}_" * named + f"{i:06d}.png" for i, label in enumerate(labels)]
    if not test_ratio:
        return {".": [_Job(i, label, names[i]) for i, label in enumerate(labels)]}
    split = split_by_label(labels, (1 - test_ratio, test_ratio), seed)
    return {
        part: [_Job(i, labels[i], f"{part}/{names[i]}") for i in sorted(numbers.tolist())]
        for part, numbers in zip(("train", "test"), split, strict=True)
    }


def _claim(
    folder: Path, about: dict[str, Any], jobs: dict[str, list[_Job]], overwrite: bool
) -> None:
    """Make sure that the folder is ours to write to, and say in it what it will hold."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; name a folder")
    old = _read_meta(folder)
    if old is None:
        kept = [
            path.name
            for path in _entries(folder)
            if not _PARTIAL.fullmatch(path.name) and not is_of_the_system(path.name)
        ]
        if kept:
            raise FileExistsError(
                f"{str(folder)!r} is not empty and holds no data set of ours ({kept[0]} is in it), "
                "so nothing is written there; choose another folder"
            )
    elif overwrite:
        _clear(folder, old)
    else:
        _check_same(folder, old, about)
    if (old is None or overwrite) and (foreign := _written(folder, jobs)):
        raise FileExistsError(
            f"{folder / foreign[0].file} is there and would be replaced, but no {LABELS_FILE} says "
            "that it was drawn here; remove it or choose another folder"
        )
    if old is None or overwrite:
        _write_json(folder / META_FILE, about)
    _remove_partial(folder, [META_FILE])
    for part, of_part in jobs.items():
        _write_listing(folder / part / LABELS_FILE, of_part)
    _remove_partials(folder, jobs)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _read_meta(folder: Path) -> dict[str, Any] | None:
    """What the folder's meta.json says, if this module wrote it."""
    try:
        about = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return about if isinstance(about, dict) and about.get("made_by") == MADE_BY else None


def _check_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = changed_settings(old, new)
    if changed:
        raise FileExistsError(
            f"{str(folder)!r} holds a data set with other settings ({changed}); choose another "
            f"folder, {OR_OVERWRITE}"
        )


def changed_settings(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Say in which settings two data sets differ, by what their files say of them.

    Example:
        >>> changed_settings({"seed": 1, "complete": True}, {"seed": 2, "complete": False})
        'seed 1, now 2'
    """
    differing = [key for key in new if key != "complete" and old.get(key) != new[key]]
    return ", ".join(
        "the look" if key == "look" else f"{key} {old.get(key)!r}, now {new[key]!r}"
        for key in differing
        if key != "look" or len(differing) == 1
    )


def _clear(folder: Path, about: dict[str, Any]) -> None:
    """Remove the images that our labels.csv lists, and it; whatever else is there stays."""
    _write_json(folder / META_FILE, about | {"complete": False})
    for part in (".", "train", "test"):
        listing = folder / part / LABELS_FILE
        if not listing.is_file():
            continue
        ours = [
            path
            for path, label in find_labels(listing.parent).pairs
            if path.parent == listing.parent
            and re.fullmatch(rf"({re.escape(label)}_)?\d{{6,}}\.png", path.name)
        ]
        _remove_partial(listing.parent, [path.name for path in ours])
        for path in ours:
            path.unlink(missing_ok=True)
        listing.unlink()
        if part != "." and not _entries(listing.parent):
            listing.parent.rmdir()


def _write_listing(path: Path, jobs: Sequence[_Job]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "label"])
    rows.writerows((Path(job.file).name, job.label) for job in jobs)
    data = text.getvalue().encode()
    if not path.exists():
        write_bytes(path, data)
    elif path.read_bytes() != data:
        raise FileExistsError(
            f"{path} was changed since it was written, so the data set cannot be completed; "
            f"choose another folder, {OR_OVERWRITE}"
        )


def _remove_partials(folder: Path, jobs: dict[str, list[_Job]]) -> None:
    for part, of_part in jobs.items():
        _remove_partial(folder / part, [LABELS_FILE, *(Path(job.file).name for job in of_part)])


def _remove_partial(folder: Path, names: Iterable[str]) -> None:
    """Remove what is left of files of these names that were being written when a run was killed."""
    names = frozenset(names)
    for path in _entries(folder):
        match = _PARTIAL.fullmatch(path.name)
        if match and match[1] + match[2] in names:
            with suppress(OSError):  # of a disk that takes nothing any more, which is told already
                path.unlink()


def _written(folder: Path, jobs: dict[str, list[_Job]]) -> list[_Job]:
    """The images that are there already."""
    written = []
    for part, of_part in jobs.items():
        there = {path.name for path in _entries(folder / part)}
        written += [job for job in of_part if job.file.rpartition("/")[2] in there]
    return written


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _paint(style: Style, seed: int, folder: Path, sampled: bool, jobs: Sequence[_Job]) -> int:
    """Draw and write some images; returns how many."""
    for job in jobs:
        rng = np.random.default_rng([seed, job.number])
        if sampled:
            sample_label(style, rng)  # as `generate` does, so that the image is the same
        write_bytes(folder / job.file, image_bytes(draw(style, job.label, rng)))
    return len(jobs)


def _in_processes(paint: partial[int], jobs: Sequence[_Job], workers: int) -> Iterator[int]:
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        yield from map(paint, chunks)
        return
    try:
        with _ctrl_c_held_back():
            processes = ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent)
        with processes as pool:
            try:
                with _ctrl_c_held_back():
                    # Not `map`: it cancels what is left itself, and if a signal has ended the
                    # processes, too, Python 3.11 prints an InvalidStateError of its own.
                    drawn = [pool.submit(paint, chunk) for chunk in chunks]
                for future in drawn:
                    yield future.result()
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise OSError(
            "a drawing process was killed, maybe for want of memory; the same call goes on"
        ) from None


_FROM_TERMINALS = [  # to all processes at once; Windows lacks the second
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let Ctrl-C and a lost terminal wait until the end of the block.

    Processes that begin in there never get them.
    """
    if threading.current_thread() is not threading.main_thread():  # gets no signals anyway
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in _FROM_TERMINALS
    }
    if os.name == "posix":  # what is blocked stays so in the processes
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _FROM_TERMINALS)
    try:
        yield
    finally:
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _end_with_parent() -> None:
    """In a drawing process: leave what terminals send to the parent, and end when it ends."""
    for number in _FROM_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
