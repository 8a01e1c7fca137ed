"""Read images on a cluster, into one Parquet file: a row for each image, in the order of the names.

The work is Ray's tasks, not Ray Data: an actor of Ray Data that dies is started again with the same
batch for as long as it takes, so one image that kills its decoder would hold up the job for ever,
and rows come in the order in which batches end. A worker keeps the reader from one task to the
next, as an actor would.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

import captcha_helpers
from captcha_helpers.core.files import check_writable, refuse_existing
from captcha_helpers.data.decoding import ImageError
from captcha_helpers.data.labels import image_files
from captcha_helpers.data.names import IMAGE_SUFFIXES
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.recognizer import Recognizer, load
from captcha_helpers.reading.runtimes import SIDECAR
from captcha_helpers.reading.shipped import model_path, shipped_models
from captcha_helpers.scaling.cluster import LOCAL, check_installed, connected, in_order, result_of
from captcha_helpers.scaling.places import on_disk
from captcha_helpers.scaling.table_parts import Parts, Row

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CHUNK = 256  # images that a worker reads at a time
_BATCH = 64  # and that go through the model together, as in `predict`, so that bits are the same
_RETRIES = 2  # of a chunk or an image whose process was killed
BLOCK = 64 * CHUNK  # images whose rows are kept when the rest is stopped


class _Packed(NamedTuple):
    """A reader as it travels to the workers."""

    key: str
    name: str  # of the model that ships, or of the file among `contents`
    contents: dict[str, bytes]  # of the model's files by their names
    options: dict[str, Any]  # of `load`


def read_files(
    model: str | os.PathLike[str],
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    ray: str = LOCAL,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    processing: Processing | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Read images on a cluster, into a Parquet file of `file`, `text`, `confidence` and `error`.

    Each image has one row, and the rows are in the order of the files' names. An image that cannot
    be read has an error instead of a text, also one that kills the process which reads it. The rows
    are the same, however many workers read and whichever of them are killed meanwhile. If the call
    itself is stopped, the same call goes on: the rows of each `BLOCK` images are kept in a hidden
    folder beside `out` until the table is complete, and belong to these files (of this size and
    date, if they are on a disk) and to this model.

    Args:
        model: A model file, or the name of a model that ships. The workers are sent what they need.
        files: Files, folders and patterns, as ``"images/*.png"``, on a disk that all workers see,
            or in a place that fsspec knows, as ``"gs://bucket/*.png"``. A folder, and a pattern
            that leaves the ending open, as ``"images/*"``, stand for what ends like an image.
        out: The Parquet file, on a disk of this machine or in such a place. It appears when it is
            complete.
        ray: The cluster: ``"local"``, ``"host:port"`` or ``"ray://host:port"``.
        charset: As `load`, as are the next three.
        length: Fewest and most characters of a string.
        ignore_case: Whether a letter and its other case count as one.
        processing: What is done to images instead of what was done in training.
        limit: Read at most this many images.
        overwrite: Whether a file of that name is replaced.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Returns:
        The number of `images`, of `errors` among them, and how many this call has `read`.

    Raises:
        ConnectionError: If there is no cluster, or it broke down.
        FileExistsError: If `out` exists.
        FileNotFoundError: If a file or folder that is named does not exist.
        ImportError: If the extra is not installed, or what fsspec needs for the place.
        OSError: If `out` cannot be written.
        ValueError: If there are no images, or `limit` is below 1. And all that `load` raises.
    """
    check_installed()
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it must be 1 or more, or None for all images.")
    out = os.fspath(out)
    _check_out(out, overwrite)
    options: dict[str, Any] = {
        "charset": charset,
        "length": length,
        "ignore_case": ignore_case,
        "processing": processing,
    }
    load(model, **options)  # what is wrong with it is told here
    names = _names(files)[:limit]
    packed, parts = _packed(model, options), Parts(out)
    blocks, there = _blocks(names, packed), parts.names()
    missing = {key: block for key, block in blocks.items() if key not in there}
    left = sum(map(len, missing.values()))
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
    with (
        connected(ray) as engine,
        tqdm(
            total=len(names), initial=len(names) - left, unit="image", delay=1, disable=hidden
        ) as bar,
        closing(_read(engine, packed, missing.values())) as chunks,
    ):
        for key, block in missing.items():
            rows: list[Row] = []
            while len(rows) < len(block):
                read = next(chunks)
                rows += read
                bar.update(len(read))
            parts.keep(key, rows)
    return {"images": len(names), "errors": parts.join(blocks), "read": left}


def _names(files: Any) -> list[str]:
    """What is to be read, in its order: each file once, however often and however it is named."""
    places = [files] if isinstance(files, (str, os.PathLike)) else files
    names = sorted({name for place in places for name in _expanded(os.fspath(place))})
    if not names:
        raise ValueError("there is nothing to read; name files, folders or patterns")
    return names


def _expanded(place: str) -> list[str]:
    """The images that a file, a folder or a pattern means."""
    if "://" not in place:
        found = _on_this_disk(os.path.abspath(place))
    else:
        import fsspec

        files, path = fsspec.url_to_fs(place)
        found = _on_this_disk(os.path.abspath(path)) if on_disk(files) else _stored(files, path)
    if found is None:
        raise FileNotFoundError(f"there is no file or folder {place!r}; check the path")
    if not found:
        raise ValueError(
            f"no images in {place!r}; check the path, and name files that do not end like images "
            "one by one, or by their ending"
        )
    return found


def _on_this_disk(path: str) -> list[str] | None:
    if os.path.isdir(path):
        return [os.fspath(one) for one in image_files(path)]
    if os.path.exists(path):
        return [path]
    if not _is_pattern(path):
        return None
    return [
        one for one in glob(path, recursive=True) if _means(path, one) and not os.path.isdir(one)
    ]


def _stored(files: AbstractFileSystem, path: str) -> list[str] | None:
    if files.isdir(path):
        found = [one for one in files.ls(path, detail=True) if _like_an_image(one["name"])]
    elif files.exists(path):
        return [files.unstrip_protocol(path)]
    elif _is_pattern(path):
        matches = files.glob(path, detail=True).values()
        found = [one for one in matches if _means(path, one["name"])]
    else:
        return None
    return [files.unstrip_protocol(one["name"]) for one in found if one["type"] != "directory"]


def _is_pattern(path: str) -> bool:
    return any(char in path for char in "*?[")


def _means(pattern: str, match: str) -> bool:
    """Whether a pattern means this match: one with an open ending means what a folder would."""
    wanted, name = Path(pattern), Path(match).name
    if name.startswith(".") and not wanted.name.startswith("."):  # as a shell has it
        return False
    open_ending = not wanted.suffix or _is_pattern(wanted.suffix)
    return _like_an_image(match) if open_ending else True


def _like_an_image(path: str) -> bool:
    """Whether a file has a name that has it read where a folder is."""
    name = Path(path)
    return not name.name.startswith(".") and name.suffix.lower() in IMAGE_SUFFIXES


def _check_out(out: str, overwrite: bool) -> None:
    if "://" not in out:
        check_writable(out)
        refuse_existing(out, overwrite=overwrite)
        return
    import fsspec

    files, path = fsspec.url_to_fs(out)
    if not overwrite and files.exists(path):
        raise FileExistsError(f"{out!r} exists; choose another name")


def _packed(model: str | os.PathLike[str], options: dict[str, Any]) -> _Packed:
    """Take a model along, unless each worker has it; a folder or a file, and what is beside it."""
    path = model_path(model)
    inside = sorted(one for one in path.rglob("*") if one.is_file())
    if path.is_file():
        inside = [path]
    beside = path.with_name(SIDECAR)
    if beside.exists():
        inside.append(beside)
    contents = {os.fspath(one.relative_to(path.parent)): one.read_bytes() for one in inside}
    key = hashlib.sha256(repr((captcha_helpers.__version__, CHUNK, path.name, options)).encode())
    for file, data in contents.items():
        key.update(repr((file, len(data))).encode() + data)
    if os.fspath(model) in shipped_models():
        return _Packed(key.hexdigest(), os.fspath(model), {}, options)
    return _Packed(key.hexdigest(), path.name, contents, options)


def _blocks(names: Sequence[str], packed: _Packed) -> dict[str, Sequence[str]]:
    """What is kept together, each under a name that stands for its files and for the reader."""
    blocks = {}
    for start in range(0, len(names), BLOCK):
        block = names[start : start + BLOCK]
        key = hashlib.sha256(packed.key.encode())
        for name in block:
            key.update(repr((name, _version(name))).encode())
        blocks[key.hexdigest()] = block
    return blocks


def _version(name: str) -> tuple[int, ...]:
    """What changes if somebody writes a file again; of a store, nobody is asked."""
    if "://" not in name:
        with suppress(OSError):
            about = os.stat(name)
            return about.st_size, about.st_mtime_ns
    return ()


def _read(
    ray: Any, packed: _Packed, blocks: Iterable[Sequence[str]]
) -> Generator[list[Row], None, None]:
    """Read all blocks in chunks, in order."""
    task, reader = ray.remote(max_retries=_RETRIES)(_read_chunk), ray.put(packed)
    chunks = [
        block[start : start + CHUNK] for block in blocks for start in range(0, len(block), CHUNK)
    ]

    def start(chunk: Sequence[str], fatal: Mapping[str, str] | None = None) -> Any:
        return task.remote(reader, chunk, fatal or {})

    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.NodeDiedError,
    )
    with closing(in_order(ray, start, chunks)) as results:
        for chunk, reference in results:
            try:
                yield result_of(ray, reference)
            except lost:
                # It was killed again and again: by an image in it, or by chance. Each is read alone
                # to find out; then the others again together, as last bits hang on who is in a
                # batch.
                fatal = {}
                with closing(in_order(ray, start, [[name] for name in chunk])) as alone:
                    for (name,), one in alone:
                        try:
                            result_of(ray, one)
                        except lost:
                            times = _RETRIES + 1
                            fatal[name] = f"the process that read it was killed {times} times"
                yield result_of(ray, start(chunk, fatal))


def _read_chunk(packed: _Packed, names: Sequence[str], fatal: Mapping[str, str]) -> list[Row]:
    """Read images, on a worker; of those in `fatal` it is known why that cannot be done."""
    reader = _reader(packed)
    rows: list[Row] = []
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        prepared = [fatal.get(name) or _prepared(reader, name) for name in batch]
        good = [image for image in prepared if isinstance(image, np.ndarray)]
        readings = iter(reader.read_prepared(np.stack(good)) if good else [])
        for name, image in zip(batch, prepared, strict=True):
            if isinstance(image, np.ndarray):
                reading = next(readings)
                rows.append((name, reading.text, reading.confidence, None))
            else:
                rows.append((name, None, None, image))
    return rows


def _prepared(reader: Recognizer, name: str) -> Any:
    """What the model sees of an image, ``(height, width, C)``, or why there is nothing to see."""
    try:
        return reader.spec.prepare(_bytes_of(name) if "://" in name else Path(name))
    except ImageError as error:
        return " ".join(error.reason.split())
    except OSError as error:  # of a store
        return " ".join(str(error).split()) or type(error).__name__


def _bytes_of(name: str) -> bytes:
    import fsspec

    files, path = fsspec.url_to_fs(name)
    data: bytes = files.cat_file(path)
    return data


_readers: dict[str, Recognizer] = {}  # of this process: one


def _reader(packed: _Packed) -> Recognizer:
    """Load the reader if this process has not yet done so."""
    if packed.key not in _readers:
        _readers.clear()
        with tempfile.TemporaryDirectory() as folder:
            for name, data in packed.contents.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            where = Path(folder, packed.name) if packed.contents else packed.name
            _readers[packed.key] = load(where, **packed.options)
    return _readers[packed.key]
