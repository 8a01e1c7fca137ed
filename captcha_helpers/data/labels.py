"""Which images of a folder there are, and where their labels stand. No image is opened.

The order: `labels.csv`; another file that lists the images, which may be those of sub-folders; a
text file beside each image; the file names; the names of sub-folders. What was taken and was not
`labels.csv` or the beginning of the names, and what was left out, is said in a note each.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from captcha_helpers.data.label_files import SUFFIXES, Listing, read_listing
from captcha_helpers.data.names import (
    IMAGE_SUFFIXES,
    PARTS,
    NoLabelsError,
    counted,
    kind_of,
    labels_from_names,
)

LABELS_FILE = "labels.csv"
BESIDE = (".gt.txt", ".txt", ".lab", ".label")  # endings of text files beside each image
LONGEST_LABEL = 64  # characters; what is longer, or has several lines, is another kind of text
LARGEST_LISTING = 50_000_000  # bytes
NAMED = 3  # files that a note lists
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"})
_OTHER_PICTURES = frozenset(
    {".heic", ".ico", ".j2k", ".jp2", ".jxl", ".pdf", ".pgm", ".ppm", ".psd", ".svg"} | {".tga"}
).difference(IMAGE_SUFFIXES)
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
_ADVICE = (
    "Put what an image says at the beginning of its name (7xk2.png, 7xk2_01.png), or list the "
    f"images in a {LABELS_FILE} with the columns file,label"
)

Pairs = list[tuple[Path, str]]


class FoundLabels(NamedTuple):
    """The images of a folder with their labels, and sentences on what was taken and left out."""

    pairs: Pairs
    notes: list[str]


def find_labels(folder: str | os.PathLike[str]) -> FoundLabels:
    """List the images of a folder and their labels, and say how they were found.

    Args:
        folder: Where to look.

    Returns:
        What :func:`captcha_helpers.data.folders.read_labels` returns, and notes.

    Raises:
        FileNotFoundError: As ``read_labels``.
        NotADirectoryError: As ``read_labels``.
        ValueError: As ``read_labels``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in (" 0089.png", "0053.png", "0053 (1).png", "0412.heic"):
        ...         (Path(folder) / name).touch()
        ...     found = find_labels(folder)
        >>> [label for path, label in found.pairs]
        ['0089', '0053', '0053']
        >>> for note in found.notes:
        ...     print(note)
        1 name has a copy's mark, which is not part of the label: '0053 (1)'.
        Removed blanks around 1 label: ' 0089'.
        Left out, because such images are not read: 1 file (.heic: 1).
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}; check the path")
    if not folder.is_dir():
        what = "an archive; unpack it and" if folder.suffix.lower() in _ARCHIVES else "a file;"
        which = "the folder" if what.endswith("and") else "the folder that it is in"
        raise NotADirectoryError(f"{str(folder)!r} is {what} pass {which}")
    listing = _labels_file(folder)
    if listing is not None:
        found = _from_listing(folder, listing, read_listing(listing), image_files(folder))
    else:
        images = image_files(folder)
        found = _from_images(folder, images) if images else _from_sub_folders(folder)
    if not found.pairs:
        raise ValueError(_no_images(folder))
    return _tidied(found, [] if listing is not None else list(_left_out(folder)))


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """List the images of a folder by their names; sub-folders are not looked into.

    Args:
        folder: The folder.

    Returns:
        The files whose names end like an image's, in alphabetical order.

    Raises:
        NotADirectoryError: If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {os.fspath(folder)!r}; check the path")
    return [path for path in _files(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def _files(folder: Path) -> list[Path]:
    """All but hidden files, by name."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file() and entry.name[0] != "."]
    return [folder / name for name in sorted(names)]


def _labels_file(folder: Path) -> Path | None:
    """The file labels.csv, in any case."""
    named = [name for name in os.listdir(folder) if name.lower() == LABELS_FILE]
    if not named:
        return None
    listing = folder / max(named, key=LABELS_FILE.__eq__)
    if listing.is_dir():
        raise ValueError(
            f"{listing} is a folder, but should be the CSV file that lists the labels; "
            "give it another name"
        )
    return listing


class Places:
    """Where the files are that a list names as if it stood elsewhere.

    Args:
        folder: Where the list is.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "1.png").touch()
        ...     [Places(Path(folder)).find(name).name for name in ("1", "data/1.png", "1.PNG")]
        ['1.png', '1.png', '1.png']
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """Images here and in sub-folders by name, with and without ending, in lower case."""
        found: dict[str, list[Path]] = {}
        folders = [self.folder, *_sub_folders(self.folder)]
        for path in (path for folder in folders for path in image_files(folder)):
            for name in {path.name.lower(), path.stem.lower()}:
                found.setdefault(name, []).append(path)
        return found

    def find(self, name: str) -> Path:
        """The file; where there is none of that name, the path where it should be."""
        there = self.folder / name
        if there.is_file():
            return there
        parts = [part for part in name.strip().replace("\\", "/").split("/") if part]
        for first in range(len(parts)):
            path = self.folder.joinpath(*parts[first:])
            if path.is_file():
                return path
        alike = self.by_name.get(parts[-1].lower(), []) if parts else []
        return alike[0] if len(alike) == 1 else there


def _from_listing(
    folder: Path, file: Path, listing: Listing, images: Iterable[Path]
) -> FoundLabels:
    """The labels that a file gives; of the images, those that it does not list are left out."""
    places, notes = Places(folder), []
    pairs = [(places.find(name), label) for name, label in listing.rows]
    if file.name != LABELS_FILE or listing.said:
        said = f" ({listing.said})" if listing.said else ""
        notes.append(f"The labels are those of {file.name}{said}.")
    names = [name for name, _ in listing.rows]
    moved = [
        (name, path)
        for name, (path, _) in zip(names, pairs, strict=True)
        if path != folder / name and path.is_file()
    ]
    if moved:
        name, path = moved[0]
        notes.append(f"{file.name} names {name!r}; that is {os.path.relpath(path, folder)!r} here.")
    twice = [path for path, count in Counter(path for path, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{file}: several lines are the same image, {str(twice[0])!r}")
    if listing.unlabelled:
        count = len(listing.unlabelled)
        notes.append(
            f"Left out, because {file.name} has no label for {'it' if count == 1 else 'them'} yet: "
            f"{counted(count, 'image')} ({_some(listing.unlabelled)})."
        )
    listed = {path for path, _ in pairs}.union(map(places.find, listing.unlabelled))
    unlisted = [path.name for path in images if path not in listed]
    if unlisted:
        notes.append(
            f"Left out, because {file.name} does not list them: "
            f"{counted(len(unlisted), 'image')} ({_some(unlisted)})."
        )
    return FoundLabels(pairs, notes)


def _from_images(folder: Path, images: list[Path]) -> FoundLabels:
    """The labels of the images that are in the folder itself."""
    listed, refused = _from_a_list(folder, images)
    if listed is not None:
        return listed
    beside = _from_beside(folder, images)
    if beside is not None:
        return beside
    try:
        labels, notes = labels_from_names([path.stem for path in images])
    except NoLabelsError as error:
        hint = _hint([*refused, *_lists_above(folder, images)])
        first, last = images[0].name, images[-1].name
        raise ValueError(
            f"the file names in {str(folder)!r} are not labels: they are {error} ({first} ... "
            f"{last}), which no reader can learn. {_ADVICE}{hint}"
        ) from None
    below = [sub for sub in _sub_folders(folder) if image_files(sub)]
    if below:
        count = sum(len(image_files(sub)) for sub in below)
        where = f"{counted(count, 'image')} in sub-folders ({_some(_names(below))})"
        notes.append(f"Left out: {where}.")
    notes += [f"A file of labels was not understood: {reason}." for reason in refused]
    return FoundLabels(list(zip(images, labels, strict=True)), notes)


def _from_a_list(folder: Path, images: Sequence[Path]) -> tuple[FoundLabels | None, list[str]]:
    """What the one file of the folder says that lists the images; why others were not taken."""
    listings, refused = _listings(folder, _texts(folder, images), images)
    if len(listings) > 1:
        raise ValueError(
            f"{_some([file.name for file, _ in listings])} in {str(folder)!r} all list images; "
            f"put the lines of those that you want into one {LABELS_FILE}"
        )
    found = _from_listing(folder, *listings[0], images) if listings else None
    return found, refused


def _texts(folder: Path, images: Iterable[Path]) -> list[Path]:
    """The files of a folder that may list images; not those that stand beside one of them."""
    stems = {path.stem for path in images}
    return [
        path
        for path in _files(folder)
        if path.suffix.lower() in SUFFIXES
        and path.name.partition(".")[0] not in stems
        and path.stem not in stems
        and path.stat().st_size <= LARGEST_LISTING
    ]


def _lists_above(folder: Path, images: Sequence[Path]) -> list[str]:
    """Which files one level up list these images, or seem to, as sentences without a stop."""
    above = Path(os.path.normpath(folder / ".."))
    try:
        listings, refused = _listings(folder, _texts(above, []), images)
    except OSError:  # what is above the folder need not be readable
        return []
    names = _some([file.name for file, _ in listings])
    said = f"they are listed one level up, in {names}: pass {str(above)!r}"
    return [said] if listings else refused


def _hint(reasons: Sequence[str]) -> str:
    return f" ({reasons[0]})" if reasons else ""


def _listings(
    folder: Path, files: Iterable[Path], images: Sequence[Path]
) -> tuple[list[tuple[Path, Listing]], list[str]]:
    """Which of these files list images of the folder, and why others that seem to do not."""
    places, listings, refused = Places(folder), [], []
    for file in files:
        try:
            listing = read_listing(file)
        except ValueError as error:
            text = file.read_bytes()
            if any(os.fsencode(path.name) in text for path in images[:NAMED]):
                refused.append(str(error))
            continue
        there = sum(places.find(name).is_file() for name, _ in listing.rows)
        if there and 2 * there >= len(listing.rows):
            listings.append((file, listing))
    return listings, refused


def _from_beside(folder: Path, images: list[Path]) -> FoundLabels | None:
    """The labels in text files beside the images, if most have one that holds a label."""
    names = set(os.listdir(folder))
    for ending in BESIDE:
        beside = [(path.stem + ending, path.name + ending) for path in images]
        files = [next((name for name in both if name in names), None) for both in beside]
        if 2 * files.count(None) >= len(images):
            continue
        texts = [_text_of(folder / name) if name else "" for name in files]
        if all(len(text) <= LONGEST_LABEL and len(text.splitlines()) <= 1 for text in texts):
            example = next(filter(None, files))
            note = f"The labels are those of the files beside the images, such as {example}."
            return FoundLabels(list(zip(images, texts, strict=True)), [note])
    return None


def _text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig", "replace").strip()


def _from_sub_folders(folder: Path) -> FoundLabels:
    """The labels of images a folder deeper: listed, in one folder, or in one for each label."""
    below = [sub for sub in _sub_folders(folder) if _holds_images(sub)]
    if not below:
        return FoundLabels([], [])
    images = [path for sub in below for path in image_files(sub)]
    names, parts = _names(below), [sub for sub in below if sub.name.lower() in PARTS]
    listed, refused = None, list[str]()
    if not any(map(_labels_file, below)):
        listed, refused = _from_a_list(folder, images)
    if listed is not None:
        if not parts or len(_folders_of(listed.pairs, folder)) == 1:
            return listed
        refused = [f"the list here is of several; put its lines into a {LABELS_FILE} in each"]
    hint = _hint(refused)
    if len(below) == 1:
        found = find_labels(below[0])
        return FoundLabels(
            found.pairs, [f"The images are those of the sub-folder {names[0]!r}.", *found.notes]
        )
    if parts:
        raise ValueError(
            f"{str(folder)!r} is a data set in parts; pass one: {str(_first_part(parts))!r} "
            f"(there are {_some(names)}){hint}"
        )
    pairs = [(path, path.parent.name) for path in images]
    if pairs and kind_of(names) is None and _are_classes(pairs):
        return FoundLabels(
            pairs, [f"The labels are the names of the {len(below)} sub-folders: {_some(names)}."]
        )
    raise ValueError(
        f"the images are in sub-folders of {str(folder)!r} ({_some(names)}); pass one of them, "
        f"such as {str(below[0])!r}, or list them here in a {LABELS_FILE}: "
        f"{below[0].name}/7xk2.png,7xk2{hint}"
    )


def _folders_of(pairs: Pairs, folder: Path) -> set[str]:
    """Which sub-folders the images are in."""
    there = [path for path, _ in pairs if path.is_file() and path.is_relative_to(folder)]
    return {path.relative_to(folder).parts[0] for path in there}


def _are_classes(pairs: Pairs) -> bool:
    """Whether the sub-folders name what is in them, because the files do not."""
    stems = [path.stem for path, _ in pairs]
    if all(stem.startswith(name) for stem, (_, name) in zip(stems, pairs, strict=True)):
        return True
    if 2 * len(set(stems)) <= len(stems):  # 1.png, 2.png in each of them
        return True
    try:
        return not labels_from_names(stems)
    except NoLabelsError:
        return True


def _first_part(parts: Sequence[Path]) -> Path:
    return max(parts, key=lambda part: part.name.lower().startswith("train"))


def _sub_folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    return [folder / name for name in sorted(names)]


def _holds_images(folder: Path) -> bool:
    return any(
        _labels_file(place) is not None or image_files(place)
        for place in [folder, *_sub_folders(folder)]
    )


def _left_out(folder: Path) -> Iterator[str]:
    """Sentences on images of the folder that are of no kind that is read."""
    files = _files(folder)
    endings = Counter(path.suffix.lower() for path in files)
    endings = Counter({ending: endings[ending] for ending in _OTHER_PICTURES & endings.keys()})
    if endings:
        said = ", ".join(f"{ending}: {count}" for ending, count in sorted(endings.items()))
        yield (
            "Left out, because such images are not read: "
            f"{counted(sum(endings.values()), 'file')} ({said})."
        )
    bare = [path.name for path in files if not path.suffix and _looks_like_an_image(path)]
    if bare:
        yield (
            "Left out, because their names do not end in .png or the like: "
            f"{counted(len(bare), 'image')} ({_some(bare)})."
        )


def _looks_like_an_image(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(_MAGIC)
    except OSError:
        return False


def _no_images(folder: Path) -> str:
    said = "".join(f". {note.rstrip('.')}" for note in _left_out(folder))
    return (
        f"no images in {str(folder)!r}; expected files such as LABEL.png or LABEL_anything.jpg "
        f"({', '.join(sorted(IMAGE_SUFFIXES))}), or a {LABELS_FILE} that lists some{said}"
    )


def _tidied(found: FoundLabels, more: Sequence[str]) -> FoundLabels:
    """Sorted, without blanks around the labels, and with one way to write an accent."""
    odd = [label for _, label in found.pairs if not _is_text(label)]
    texts = [(path, label if _is_text(label) else "") for path, label in found.pairs]
    stripped = [(path, label.strip("\ufeff\u200b").strip()) for path, label in texts]
    changed = [
        label for (_, label), (_, bare) in zip(texts, stripped, strict=True) if label != bare
    ]
    notes = [*found.notes]
    if changed:
        notes.append(
            f"Removed blanks around {counted(len(changed), 'label')}: {_some(changed, repr)}."
        )
    if odd:
        notes.append(
            f"{counted(len(odd), 'label')} cannot be decoded as text in this system's encoding "
            f"({_some(odd, ascii)}), so there is none; rename the files."
        )
    pairs = sorted((path, unicodedata.normalize("NFC", label)) for path, label in stripped)
    return FoundLabels(pairs, [*notes, *more])


def _is_text(label: str) -> bool:
    """Whether a label is text; the name of a file may hold bytes that the system cannot decode."""
    return not any("\ud800" <= char <= "\udfff" for char in label)


def _names(paths: Iterable[Path]) -> list[str]:
    return [path.name for path in paths]


def _some(names: Sequence[str], write: Callable[[str], str] = str) -> str:
    written = map(write, names[:NAMED])
    return ", ".join(written) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
