"""Which images to label next: any at first, later those of which a reader is least sure.

Active learning: to a reader that reads most images, a label teaches most where it is unsure
(Settles, *Active Learning Literature Survey*, 2009). One that reads few is unsure of everything:
its doubts cost typing and teach no more than chance, so images come in random order until it reads
most of them. Ten images with the same doubtful letter teach little more than one, so what was
chosen already counts less. And what is chosen by doubt is no fair sample: a share is drawn at
random even then, and only on that can one measure.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from captcha_helpers.core.files import check_writable, refuse_existing, write_bytes
from captcha_helpers.data.images import ImageError
from captcha_helpers.data.label_studio import make_task
from captcha_helpers.data.labels import image_files
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.recognizer import Recognizer, load

READS_MOST = 0.9  # mean confidence of a reader whose doubts are worth typing
RANDOM_EVERY = 4  # from then on, one of so many images is drawn at random
MOST_READ = 2000  # images that are looked at; more would cost more time than they teach


def suggest(
    folder: str | os.PathLike[str],
    reader: Recognizer | str | os.PathLike[str] = "general",
    n: int = 20,
    *,
    labelled: Sequence[str] = (),
    seed: int = 0,
) -> list[Path]:
    """Choose the images that are worth labelling next, in this order.

    While the reader does not read most images, by its own account, they come in random order. Then
    three of four are those of whose characters it is least sure. Every fourth is drawn at random
    still, so that what the reader says of those is a fair sample of what it says of all. Of more
    than 2,000 images, so many are looked at.

    Args:
        folder: The images.
        reader: A reader, or a model that `captcha_helpers.load` opens.
        n: How many.
        labelled: Names of files that have a label already.
        seed: Another seed draws others.

    Returns:
        At most `n` paths. Images that cannot be read are not among them.

    Raises:
        NotADirectoryError: If there is no such folder.
        ValueError: If `n` is not positive.

    Example:
        >>> from captcha_helpers.reading.model_file import ModelSpec
        >>> images = Path(__file__).parents[2] / "captcha_images" / "stars"
        >>> def says_ab(images):
        ...     return np.repeat(9.0 * np.eye(3)[[1, 0, 2]][None], len(images), axis=0)
        >>> reader = Recognizer(says_ab, ModelSpec("ab", (1, 3), height=16, width=32))
        >>> len(suggest(images, reader, 5))
        5
    """
    return [path for path, _ in _suggested(folder, reader, n, labelled, seed)]


def write_tasks(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    reader: Recognizer | str | os.PathLike[str] = "general",
    n: int = 200,
    *,
    labelled: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
) -> int:
    """Write tasks for Label Studio: what `suggest` chooses, with what the reader reads.

    Args:
        folder: The images. Label Studio must serve files from the folder around it.
        out: The file, JSON.
        reader: As for `suggest`.
        n: As for `suggest`.
        labelled: As for `suggest`.
        seed: As for `suggest`.
        overwrite: Replace `out` if it exists.

    Returns:
        How many tasks there are.

    Raises:
        FileExistsError: If `out` exists and `overwrite` is not set.
        NotADirectoryError: If there is no such folder.
        OSError: If `out` cannot be written.
        ValueError: If `n` is not positive.
    """
    refuse_existing(out, overwrite=overwrite)
    check_writable(out)
    name = Path(folder).resolve().name
    tasks = [
        make_task(name, path.name, reading.text, reading.confidence)
        for path, reading in _suggested(folder, reader, n, labelled, seed)
    ]
    write_bytes(out, json.dumps(tasks, indent=1, ensure_ascii=False).encode())
    return len(tasks)


def _suggested(
    folder: str | os.PathLike[str],
    reader: Recognizer | str | os.PathLike[str],
    n: int,
    labelled: Sequence[str],
    seed: int,
) -> list[tuple[Path, Reading]]:
    """What is worth labelling next, and what the reader reads there."""
    if n < 1:
        raise ValueError(f"n is {n}; ask for one image at least")
    if not isinstance(reader, Recognizer):
        reader = load(reader)
    rng, known = np.random.default_rng(seed), set(labelled)
    paths = [path for path in image_files(folder) if path.name not in known]
    some = [paths[place] for place in rng.permutation(len(paths))[:MOST_READ].tolist()]
    found = []
    for path in tqdm(some, desc="reading", unit="image", disable=None, delay=1.0):
        try:
            found.append((path, reader.read(path, strict=False)))
        except ImageError:
            continue
    readings = [reading for _, reading in found]
    chosen, at_random = list[int](), range(len(found))
    doubtful = most_doubtful(readings, n) if reads_most(readings) else at_random
    for turn in range(min(n, len(found))):
        places = at_random if turn % RANDOM_EVERY == 0 else doubtful
        chosen.append(next(place for place in places if place not in chosen))
    return [found[place] for place in chosen]


def is_random(turn: int, readings: Collection[Reading]) -> bool:
    """Whether the image whose turn it is, counted from 0, is drawn at random.

    Args:
        turn: Images that were asked for before.
        readings: Of images without a label.
    """
    return turn % RANDOM_EVERY == 0 or not reads_most(readings)


def reads_most(readings: Collection[Reading]) -> bool:
    """Whether a reader, by its own account, reads so many images that its doubts are a guide."""
    sure = sum(reading.confidence for reading in readings)
    return bool(readings) and sure >= READS_MOST * len(readings)


def most_doubtful(readings: Sequence[Reading], n: int) -> list[int]:
    """Choose readings with doubtful characters, and not the same characters again and again.

    Args:
        readings: What a reader read.
        n: How many to choose.

    Returns:
        At most `n` rows, the most doubtful one first.

    Example:
        >>> from captcha_helpers.reading.decoder import Character
        >>> def read(text, confidence):
        ...     one = tuple(Character(char, confidence) for char in text)
        ...     return Reading(text, confidence, one)
        >>> most_doubtful([read("aa", 0.9), read("bb", 0.4), read("bb", 0.5), read("cc", 0.6)], 3)
        [1, 3, 2]
    """
    left, chosen, seen = dict(enumerate(readings)), list[int](), Counter[str]()
    while left and len(chosen) < n:
        best = max(left, key=lambda row: _worth(left[row], seen))
        seen.update({one.char for one in left.pop(best).characters})
        chosen.append(best)
    return chosen


def _worth(reading: Reading, seen: Counter[str]) -> float:
    """How much there is to learn of it: its doubts, each by how new its character is."""
    whole = 1 - reading.confidence
    parts = [(1 - one.confidence) / (1 + seen[one.char]) for one in reading.characters]
    return whole / (1 + sum(seen[one.char] for one in reading.characters)) + sum(parts)
