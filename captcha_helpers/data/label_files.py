"""Files that list images and their labels, as people have them: CSV, TSV, text and JSON.

What Label Studio exports is read by `label_studio`.

One file to its rows; which files there are, and where the images are, is for `folders`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from captcha_helpers.data.label_studio import exported_labels, is_export
from captcha_helpers.data.names import IMAGE_SUFFIXES

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl"})
FILE_COLUMNS = (
    *("file", "file_name", "filename", "image", "image_path", "path", "file_path", "filepath"),
    *("image_name", "img", "img_path", "img_name", "image_file", "images", "files", "picture"),
    *("src", "name", "image_id", "id"),
)
LABEL_COLUMNS = (
    *("label", "labels", "text", "texts", "captcha", "captcha_text", "solution", "code", "answer"),
    *("value", "transcription", "transcript", "ground_truth", "gt", "gt_text", "plate_text"),
    *("plate", "string", "word", "words", "target", "caption", "content", "class", "result", "y"),
)
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ENDING = "|".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
_NAME_FIRST = re.compile(rf"(.*?\.(?:{_ENDING}))[\s:=]+(.*\S)", re.IGNORECASE)
_NAME_LAST = re.compile(rf"(\S+)\s+(.*\.(?:{_ENDING}))", re.IGNORECASE)
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

Row = tuple[int, list[str]]  # the line on which it ends, and its cells


class Listing(NamedTuple):
    """What a file lists.

    Attributes:
        rows: The names of images with their labels.
        said: What is unusual about the file.
        unlabelled: Names of images that are listed, but have no label yet.
    """

    rows: list[tuple[str, str]]
    said: str
    unlabelled: Sequence[str] = ()


def read_listing(path: str | os.PathLike[str]) -> Listing:
    r"""Read a file that lists images and their labels.

    Tables are separated by commas, semicolons, tabs or vertical bars, in UTF-8 or UTF-16, with or
    without a header; text files may have a name and a label on each line; JSON is an object from
    names to labels, or a list of objects. Exports of Label Studio are understood, too.

    Args:
        path: The file, which ends in .csv, .tsv, .txt, .json or .jsonl.

    Returns:
        Its rows, with labels as they stand there. Images of a table whose label is empty while
        others have one are listed apart: somebody has not come to them yet.

    Raises:
        ValueError: If it lists nothing of the kind, if a row has no name or lacks the column of the
            labels, or if no label is filled in, with the line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "plates.csv"
        ...     _ = path.write_text("image_path;plate_text\n1.png;7xk2\n", "utf-8")
        ...     read_listing(path)
        Listing(rows=[('1.png', '7xk2')], said='semicolons, columns image_path and plate_text',
                unlabelled=[])
    """
    path = Path(path)
    text, codec = decoded(path)
    encoding = "UTF-16" if codec.startswith("utf-16") else ""
    is_json = path.suffix.lower() in (".json", ".jsonl")
    content = _json(text, path) if is_json else _records_of(text, path)
    if is_export(content):
        return _from_label_studio(content, path)
    if is_json:
        return _from_json(content, path, encoding)
    table = find_table(text, path)
    if table is not None:
        body = table.rows[1:] if table.header else table.rows
        header, heading = [cell.strip() for cell in table.rows[0][1]], "no header"
        if table.header:
            known = {"file", "label"} <= set(table.rows[0][1])
            heading = "" if known else _columns_said(header, table.places)
        separator = "" if table.delimiter == "," else _DELIMITERS[table.delimiter]
        return _checked(path, body, table.places, _joined(encoding, separator, heading))
    pairs = _line_by_line(text)
    if pairs is not None:
        return _checked(path, pairs, (0, 1), _joined(encoding, "a name and a label a line"))
    first = next(iter(text.splitlines()), "")
    raise ValueError(f"{path}, line 1: {_no_columns([first])}")


def is_exported(text: str, path: Path) -> bool:
    r"""Whether a table is an export of Label Studio, which says more than images and labels.

    Args:
        text: What stands in the file.
        path: The file, for messages.

    Example:
        >>> is_exported("file,label\na.png,7xk2\n", Path("labels.csv"))
        False
    """
    return is_export(_records_of(text, path))


class Table(NamedTuple):
    """A file of labels as it stands: lines of cells, and how they are written.

    Attributes:
        rows: Each line's number and its cells; the header first, if there is one.
        places: In which columns the names and the labels are.
        header: Whether the first line is one.
        delimiter: What stands between two cells.
    """

    rows: list[Row]
    places: tuple[int, int]
    header: bool
    delimiter: str


def find_table(text: str, path: Path) -> Table | None:
    r"""Take a text for a table of images and labels.

    Args:
        text: What stands in the file.
        path: The file, for messages.

    Returns:
        The table; None if it has no column of images, or none of labels.

    Raises:
        ValueError: If a cell is too large, or the like.

    Example:
        >>> find_table("a.png;7xk2\n", Path("plates.csv")).delimiter
        ';'
    """
    for delimiter in _DELIMITERS:
        rows = list(_table(text, delimiter, path))
        if not rows:
            break
        header = rows[0][1]
        places = _places(header, [cells for _, cells in rows[1:]])
        if places is not None:
            return Table(rows, places, True, delimiter)
        places = _places_without_header(header)
        if places is not None:
            return Table(rows, places, False, delimiter)
    return None


def decoded(path: Path) -> tuple[str, str]:
    """Read a text file that may be in UTF-8 or UTF-16.

    Args:
        path: The file.

    Returns:
        Its text, and the name of its encoding.

    Raises:
        ValueError: If it is in another one.
    """
    data = path.read_bytes()
    mark = next((mark for mark in _MARKS if data.startswith(mark)), None)
    codec = "utf-8" if mark is None else _MARKS[mark]
    if mark is None and data[:2].count(0) == 1:  # Latin letters in UTF-16 without a mark
        codec = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data.decode(codec), codec
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _table(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cells):
                yield (
                    reader.line_num,
                    [cell.strip() if delimiter == "|" else cell for cell in cells],
                )
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file ({error})") from None


def _json(text: str, path: Path) -> Any:
    try:
        if path.suffix.lower() == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error})") from None


def _records_of(text: str, path: Path) -> list[dict[str, str]]:
    """The lines of a table as Label Studio writes it: with commas or tabs, and a header."""
    first = text.partition("\n")[0]
    if "annotation_id" not in first:
        return []
    rows = [cells for _, cells in _table(text, "\t" if "\t" in first else ",", path)]
    return [dict(zip(rows[0], cells, strict=False)) for cells in rows[1:]]


def _from_label_studio(content: Any, path: Path) -> Listing:
    try:
        return Listing(exported_labels(content, LABEL_COLUMNS), "exported by Label Studio")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _from_json(content: Any, path: Path, encoding: str) -> Listing:
    """Take the keys and the values of JSON for a table."""
    if isinstance(content, dict) and len(content) == 1:
        (only,) = content.values()
        content = only if isinstance(only, list) else content
    records = list(_records(content))
    header = list(dict.fromkeys(key for record in records for key in record))
    rows = [[_as_text(record.get(key)) for key in header] for record in records]
    places = _places(header, rows)
    if places is None:
        raise ValueError(f"{path} {_no_columns(header)}")
    said = "" if header == ["file", "label"] else _columns_said(header, places)
    said = _joined(encoding, said)
    return _checked(path, enumerate(rows, start=1), places, said, complete=True)


def _records(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield {"file": name, **(value if isinstance(value, dict) else {"label": value})}
    elif isinstance(content, list):
        for entry in content:
            if isinstance(entry, dict):
                yield entry
            elif isinstance(entry, list) and len(entry) == 2:
                yield {"file": entry[0], "label": entry[1]}


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _places(header: Sequence[str], body: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """In which columns the names and the labels are."""
    keys = [re.sub(r"[\s\-]+", "_", cell.strip().lower()) for cell in header]
    if len(keys) < 2 or any(map(_is_image, header)):
        return None
    names = [i for i in range(len(keys)) if _are_images(cells[i : i + 1] for cells in body)]
    file = _first(
        [key if i in names or not names else "" for i, key in enumerate(keys)], FILE_COLUMNS
    )
    if file is None and names:
        file = names[0]
    label = _first([key if i != file else "" for i, key in enumerate(keys)], LABEL_COLUMNS)
    if file is not None and label is None and len(keys) == 2 and names:
        label = 1 - file
    return None if file is None or label is None else (file, label)


def _places_without_header(cells: Sequence[str]) -> tuple[int, int] | None:
    names = [i for i, cell in enumerate(cells) if _is_image(cell)]
    return (names[0], 1 - names[0]) if len(cells) == 2 and len(names) == 1 else None


def _first(keys: Sequence[str], known: Sequence[str]) -> int | None:
    return next((keys.index(key) for key in known if key in keys), None)


def _is_image(cell: str) -> bool:
    return os.path.splitext(cell.strip())[1].lower() in IMAGE_SUFFIXES


def _are_images(cells: Iterable[Sequence[str]]) -> bool:
    found = [_is_image(cell) for row in cells for cell in row]
    return sum(found) > len(found) / 2


def _line_by_line(text: str) -> list[Row] | None:
    """Names and labels with a space, a colon or an equals sign between; None if it is no list."""
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for pattern, order in ((_NAME_FIRST, (1, 2)), (_NAME_LAST, (2, 1))):
        matches = [(number, pattern.fullmatch(line)) for number, line in lines]
        if matches and all(match for _, match in matches):
            return [(number, [*match.group(*order)]) for number, match in matches if match]
    return None


def _checked(
    path: Path, rows: Iterable[Row], places: tuple[int, int], said: str, *, complete: bool = False
) -> Listing:
    """Every row as (name, label), or an error with its line number."""
    first_line: dict[str, int] = {}
    found, unlabelled = list[tuple[str, str]](), list[str]()
    for line, cells in rows:
        name, label = (cells[i].strip("\ufeff") if i < len(cells) else "" for i in places)
        if not name or len(cells) <= places[1] or (complete and not label):
            missing = "label" if name else "file"
            raise ValueError(f"{path}, line {line}: the {missing} is missing")
        if name in first_line:
            first = first_line[name]
            raise ValueError(f"{path}, line {line}: {name!r} is listed already in line {first}")
        first_line[name] = line
        if label:
            found.append((name, label))
        else:
            unlabelled.append(name)
    if unlabelled and not found:
        line = first_line[unlabelled[0]]
        raise ValueError(f"{path}, line {line}: the label is missing, and so are all others")
    return Listing(found, said, unlabelled)


def _no_columns(header: Sequence[str]) -> str:
    got = ",".join(header)
    got = repr(got if len(got) < 80 else got[:80] + "...")
    return f"expected a header with the columns file,label, got {got}; name the two columns so"


def _columns_said(header: Sequence[str], places: tuple[int, int]) -> str:
    file, label = (header[place].strip() for place in places)
    return f"columns {file} and {label}"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
