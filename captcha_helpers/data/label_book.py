"""A file of labels that grows while somebody types: `LabelBook`.

Each change is on the disk before the next one is asked for, and the file is whole at any moment.
Images are never renamed, moved or changed.
"""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from captcha_helpers.core.files import check_writable, locked, write_bytes
from captcha_helpers.data.label_files import (
    Table,
    decoded,
    find_table,
    is_exported,
    read_listing,
)
from captcha_helpers.data.labels import Places

NEW = Table([(1, ["file", "label"])], (0, 1), True, ",")


class Taken(NamedTuple):
    """What became of the labels of another list.

    Attributes:
        new: Were written.
        kept: Are of images that have another label, which was kept.
        missing: Are of images that are not in the folder.
    """

    new: int
    kept: int
    missing: int


class LabelBook:
    r"""The labels of a CSV file, by the names of the images.

    A file that is there is kept and extended in its own form: its columns, separators, encoding and
    line ends. What another program writes into it meanwhile is kept too. Of two that write through
    a `LabelBook` at the same time, one waits for the other.

    Args:
        path: The file, which ends in .csv, .tsv or .txt; it is made with the first label.
        folder: Where the images are, if the file may name them otherwise: without their ending,
            say, or as if it stood elsewhere. Such lines are kept and count for these images.

    Raises:
        OSError: If it cannot be written.
        ValueError: If it is there and lists no images.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     book = LabelBook(Path(folder) / "labels.csv")
        ...     book.write({"1.png": "7xk2"})
        ...     (Path(folder) / "labels.csv").read_text("utf-8")
        'file,label\n1.png,7xk2\n'
    """

    def __init__(
        self, path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in (".csv", ".tsv", ".txt"):
            raise ValueError(f"{str(path)!r} must end in .csv, .tsv or .txt; choose another name")
        check_writable(self.path)
        self._lock, self._alone = threading.RLock(), False
        self._places = None if folder is None else Places(Path(folder))
        self._meant: dict[str, str] = {}  # names in the file that are not those of images
        self._read()

    @property
    def labels(self) -> dict[str, str]:
        """The label of each image that has one, as the file says it now."""
        with self._lock:
            self._read_again_if_changed()
            return dict(self._labels)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all others from writing, in this program and in another one, while one decides.

        Raises:
            OSError: If the folder of the file cannot be written.
        """
        with self._lock:
            if self._alone:
                yield
                return
            with locked(self.path):
                self._alone = True
                try:
                    yield
                finally:
                    self._alone = False

    def write(self, labels: Mapping[str, str]) -> None:
        """Write labels, all of them at once, in new lines or in place of those that are there.

        Args:
            labels: By the names of the images; an empty one takes a label back.

        Raises:
            OSError: If the file cannot be written; then it is as before.
        """
        with self.held():
            self._read_again_if_changed()
            rows, lines = [list(cells) for cells in self._rows], dict(self._lines_of)
            file, label = self._table.places
            for name, text in labels.items():
                if name not in lines:
                    lines[name] = [len(rows)]
                    rows.append([""] * self._columns)
                for cells in (rows[line] for line in lines[name]):
                    cells.extend([""] * (self._columns - len(cells)))
                    cells[file], cells[label] = cells[file] or name, text
            taken_back = {line for name, text in labels.items() if not text for line in lines[name]}
            if self._columns == 2:  # else the line says more than a label
                rows = [cells for line, cells in enumerate(rows) if line not in taken_back]
            write_bytes(self.path, self._as_bytes(rows))
            self._read()

    def _read(self) -> None:
        self._stamp = self._stamp_now()
        self._codec, self._line_end, table = "utf-8", "\n", NEW
        if self._stamp is not None:
            text, self._codec = decoded(self.path)
            self._line_end = "\r\n" if "\r\n" in text else "\n"
            if is_exported(text, self.path):
                raise ValueError(
                    f"{str(self.path)!r} is an export of Label Studio, which is left as it is; "
                    "name another file with --labels, and this one with --labels-from"
                )
            found = find_table(text, self.path) if text.strip() else NEW
            if found is None:
                raise ValueError(
                    f"{str(self.path)!r} lists no images with their labels (columns file,label); "
                    "name another file with --labels"
                )
            table = found
        self._table = table
        self._rows = [cells for _, cells in table.rows]
        self._columns = max(2, len(self._rows[0]))
        self._labels: dict[str, str] = {}
        self._lines_of: dict[str, list[int]] = {}
        file, label = table.places
        for line, cells in enumerate(self._rows):
            if (line or not table.header) and len(cells) > file:
                name = self._name(cells[file])
                self._lines_of.setdefault(name, []).append(line)
                if len(cells) > label and cells[label]:
                    self._labels[name] = cells[label]

    def _name(self, written: str) -> str:
        """The name of the image that a line means."""
        if self._places is None:
            return written
        if written not in self._meant:
            there = self._places.find(written)
            self._meant[written] = written
            if there.is_file() and there.is_relative_to(self._places.folder):
                below = there.relative_to(self._places.folder)
                self._meant[written] = written if ".." in below.parts else below.as_posix()
        return self._meant[written]

    def _read_again_if_changed(self) -> None:
        if self._stamp_now() != self._stamp:
            self._read()

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _as_bytes(self, rows: list[list[str]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self._table.delimiter, lineterminator=self._line_end)
        writer.writerows(rows)
        return text.getvalue().encode(self._codec)


def take_labels(book: LabelBook, folder: Path, listing: str | os.PathLike[str]) -> Taken:
    """Write the labels of another list into a book, where an image has none yet.

    Args:
        book: The labels so far.
        folder: The images.
        listing: A file of labels as `read_listing` reads it, an export of Label Studio, say. Its
            names may have folders of another machine in front.

    Returns:
        How many labels were written, and how many were not.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If `listing` lists no images with their labels.
    """
    places, found = Places(folder), dict[str, str]()
    missing = 0
    for written, text in read_listing(listing).rows:
        path = places.find(written)
        if path.parent == folder and path.is_file():
            found[path.name] = text
        else:
            missing += 1
    with book.held():
        labels = book.labels
        new = {name: text for name, text in found.items() if name not in labels}
        if new:
            book.write(new)
    kept = sum(labels.get(name, text) != text for name, text in found.items())
    return Taken(len(new), kept, missing)
