"""File names to labels, and how to tell names that are none: counters, times and hashes.

Names only; nothing is opened here. Where the images of a folder stand is in `folders`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"}
    | {".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".avif"}
)
PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
FEWEST = 10  # names; what fewer have in common may be chance
MOST = 0.95  # of the names; a few strangers do not make labels of the others
DENSE = 1.1  # numbers in a row may have gaps: so much longer the row may be
SPARSE = 20.0  # likewise, behind a word that all names have: a camera has counted other files, too
LONG = 20  # characters of any kind, from which on nobody takes them for a label
LONG_HEX = 12  # hexadecimal digits; a few CAPTCHAs say up to eight

_COPY = re.compile(
    r"\s?\(\d{1,3}\)$|\s*[-–_ ]\s*(?:copy|kopie|copie|copia|cópia|kopia|копия|副本|コピー)"
    r"(?:\s*\(?\d{1,3}\)?)?$",
    re.IGNORECASE,
)
_COPY_OF = re.compile(r"^(?:copy of|kopie von|copie de|copia de)\s+", re.IGNORECASE)
_SECOND = re.compile(r"\s\d$")  # "0053 2.png", as the Finder duplicates 0053.png
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DAY = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d(?:\d{3})?)?"
_WHOLE = rf"{_UUID}|(?:19|20)\d\d-\d\d-\d\d|\d\d([-.:])\d\d\1\d\d|1\d{{9}}\.\d+"  # has separators
_TIME = re.compile(
    rf"1\d{{9}}|1\d{{12}}|1\d{{15}}|1\d{{9}}\.\d+|{_DAY}(?:{_CLOCK})?"
    r"|(?:19|20)\d\d-\d\d-\d\d|\d\d([-.:])\d\d\1\d\d"
)
_TOKEN = re.compile(rf"(?:(?<![0-9A-Za-z])(?:{_WHOLE})(?![0-9A-Za-z]))|[^\s_\-.()\[\]@#]+")
_WORD_AND_NUMBER = re.compile(r"(\D+)(\d+)")


class NamedLabels(NamedTuple):
    """The labels that file names give, in their order, and sentences on how they were found."""

    labels: list[str]
    notes: list[str]


class NoLabelsError(ValueError):
    """The names are not labels; the message says what they are, as the end of a sentence."""


def labels_from_names(stems: Sequence[str]) -> NamedLabels:
    """Find the label in each file name of a folder.

    It is what stands before the first underscore. Other places are taken if there can be no
    mistake: every name has the same number of parts, one of them might be a label, and the others
    cannot, being the same word in all names, a counter, a time or a hash. What browsers and file
    managers add to the name of a copy is no part of it.

    Args:
        stems: File names without their endings.

    Returns:
        A label for each name, which may be empty.

    Raises:
        NoLabelsError: If no part of the names can be labels.

    Example:
        >>> labels_from_names(["7xk2", "9mn4_1"]).labels
        ['7xk2', '9mn4']
        >>> names = [f"{word}-1667{n}99190000" for n, word in enumerate("abc bcd".split() * 5)]
        >>> labels_from_names(names).notes
        ["The label is the part 'abc' of names such as 'abc-1667099190000'; the rest is a time."]
    """
    stems, notes = _without_copy_marks(stems)
    labels = [stem.partition("_")[0] for stem in stems]
    if len(stems) < FEWEST:
        return NamedLabels(labels, notes)
    columns = _columns(stems)
    kinds = _kinds(columns)
    possible = [i for i, kind in enumerate(kinds) if kind is None]
    if 0 in possible and columns[0] == labels:
        return NamedLabels(labels, notes)
    if len(possible) == 1 and len(columns) > 1:
        place = possible[0]
        rest = " and ".join(dict.fromkeys(kind for kind in kinds if kind))
        said = f"The label is the part {columns[place][0]!r} of names such as {stems[0]!r}; "
        return NamedLabels(columns[place], [*notes, f"{said}the rest is {rest}."])
    what = " and ".join(dict.fromkeys(kind for kind in kinds if kind))
    if possible or not columns:
        what = kind_of(labels) or ""
    if what:
        raise NoLabelsError(what)
    return NamedLabels(labels, notes)


def kind_of(parts: Sequence[str]) -> str | None:
    """Say what names, or parts of names, are if they cannot be labels.

    Returns:
        "a counter" and the like; None if they may be labels, or are too few to tell.

    Example:
        >>> kind_of([f"IMG{n:04}" for n in range(1, 40)]), kind_of(["7xk2", "9mn4"] * 20)
        ('one word and a counter', None)
    """
    if len(parts) < FEWEST:
        return None
    if _most(_TIME.fullmatch, parts):
        return "a time"
    (common, count), *_ = Counter(parts).most_common(1)
    if count >= MOST * len(parts) and common:
        return "one word"
    if is_counter(parts):
        return "a counter"
    if _is_hash(parts):
        return "a hash"
    split = [match.groups() for match in map(_WORD_AND_NUMBER.fullmatch, parts) if match]
    if len(split) >= MOST * len(parts) and len({word for word, _ in split}) == 1:
        numbers = [number for _, number in split]
        return "one word and a counter" if _is_counted_on(numbers) else None
    return None


def is_counter(parts: Sequence[str], gaps: float = DENSE) -> bool:
    """Whether these are the numbers by which files are counted, and not what images say.

    They are all different, and in a row.

    Args:
        parts: The numbers, as they stand in the names.
        gaps: So much longer than their number the row may be. The first of many labels, by the
            alphabet, are in a row with wide gaps, too.

    Example:
        >>> is_counter([str(n) for n in range(1, 82)]), is_counter([f"{n:02}" for n in range(100)])
        (True, False)
    """
    digits = [part for part in parts if part.isascii() and part.isdecimal()]
    numbers, width = set(map(int, digits)), max(map(len, digits), default=0)
    if len(digits) < MOST * len(parts) or not FEWEST <= len(numbers) == len(digits) < 10**width:
        return False
    row = max(numbers) - min(numbers) + 1
    if min(map(len, digits)) == width and len(numbers) > 10**width / 2:  # nearly all that there are
        return row == len(numbers)
    return row < gaps * len(numbers)


def _is_counted_on(numbers: Sequence[str]) -> bool:
    """Whether numbers behind a word count files, among others: they begin with the same digits."""
    alike = len(set(map(len, numbers))) == 1 and len({number[0] for number in numbers}) <= 2
    return is_counter(numbers, SPARSE if alike else DENSE)


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "image"), counted(3, "image")
        ('1 image', '3 images')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _most(test: Callable[[str], object], parts: Sequence[str]) -> bool:
    return sum(bool(test(part)) for part in parts) >= MOST * len(parts)


def _is_hash(parts: Sequence[str]) -> bool:
    """UUIDs; hexadecimal digits, most of the sixteen; or many characters mixed at random."""
    if _most(re.compile(_UUID).fullmatch, parts):
        return True
    (length, count), *_ = Counter(map(len, parts)).most_common(1)
    if count < MOST * len(parts) or length < LONG_HEX:
        return False
    same = [part for part in parts if len(part) == length]
    used = set("".join(same))
    digits = any(char.isdigit() for char in used)
    hexadecimal = used <= set("0123456789abcdef") or used <= set("0123456789ABCDEF")
    if hexadecimal and digits and len(used) >= 14:
        return True
    mixed = _most(re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w\-]+", re.ASCII).fullmatch, same)
    return mixed and length >= LONG and len(used) > 16


def _columns(stems: Sequence[str]) -> list[list[str]]:
    """The parts of the names, first parts first; none if names have different numbers of parts."""
    rows = [[match[0] for match in _TOKEN.finditer(stem)] for stem in stems]
    if len(set(map(len, rows))) > 1:
        return []
    return [list(column) for column in zip(*rows, strict=True)]


def _kinds(columns: Sequence[Sequence[str]]) -> list[str | None]:
    kinds: list[str | None] = []
    for column in columns:
        kind = kind_of(column)
        after_a_day = kinds[-1:] == ["a time"] and _most(re.compile(_CLOCK).fullmatch, column)
        if kind is None and {part.lower() for part in column} <= PARTS:
            kind = "the name of a part"
        kinds.append("a time" if after_a_day else kind)
    if kinds.count(None) == 1 and set(kinds) == {None, "one word"}:
        place = kinds.index(None)
        kinds[place] = "a counter" if _is_counted_on(columns[place]) else None
    return kinds


def _without_copy_marks(stems: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of copies as those of what was copied, if the folder shows that they are copies."""
    bare = [_COPY_OF.sub("", _COPY.sub("", stem)) for stem in stems]
    originals = {stem for stem, name in zip(stems, bare, strict=True) if stem == name}
    lengths = {len(stem.partition("_")[0]) for stem in originals}
    characters = set().union(*originals)

    def original_of(stem: str, name: str) -> str:
        if stem == name:
            second = _SECOND.sub("", stem)
            return second if second in originals else stem
        alike = len(name.partition("_")[0]) in lengths and set(name) <= characters
        return name if name in originals or (alike and len(originals) > len(stems) / 2) else stem

    found = list(map(original_of, stems, bare))
    marked = [
        stem
        for stem, name in zip(stems, found, strict=True)
        if stem.partition("_")[0] != name.partition("_")[0]
    ]
    if not marked:
        return found, []
    said = "has a copy's mark, which is" if len(marked) == 1 else "have copies' marks, which are"
    return found, [f"{counted(len(marked), 'name')} {said} not part of the label: {marked[0]!r}."]
