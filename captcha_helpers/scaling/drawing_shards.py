"""Draw a data set into shards, on a cluster: WebDataset archives, of which none is drawn twice.

A place holds `000000.tar`, `000001.tar` and so on, each with a `.json` beside it that says how long
and of which checksum it is, and is written after it. `index.json` says first what the place will
hold, and lists all shards when they are there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

import captcha_helpers
from captcha_helpers.core.files import is_of_the_system
from captcha_helpers.drawing.painter import check_fonts, draw, sample_label
from captcha_helpers.drawing.styles import Style, get_style
from captcha_helpers.drawing.writing import changed_settings, image_bytes
from captcha_helpers.scaling.cluster import LOCAL, check_installed, connected, in_order, result_of
from captcha_helpers.scaling.places import listed, on_disk, put

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

INDEX_FILE = "index.json"
MADE_BY = "captcha_helpers.draw_shards"
SHARD_SIZE = 10_000
_RETRIES = 10  # of a shard whose process was killed
_PARTIAL = re.compile(r"\.(\d{6,}|index)\.\d+\.part\.(tar|json)")  # what `put` leaves if so


class _Shard(NamedTuple):
    """Images `first` to `first + images - 1` of the data set."""

    name: str
    first: int
    images: int


def draw_shards(
    style: Style | str,
    out: str | os.PathLike[str],
    count: int,
    *,
    seed: int = 0,
    ray: str = LOCAL,
    shard_size: int = SHARD_SIZE,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Draw images on a cluster, into tar archives as WebDataset and its relatives read them.

    Image i is image i of `generate(style, seed=seed)`, and the shards have the same bytes, however
    many workers draw and whichever of them are killed meanwhile (with the same versions of Pillow
    and of this package everywhere). A second call draws only the shards that are missing.

    Args:
        style: A style, or the name of a preset.
        out: A folder, or a place that fsspec knows, as ``s3://bucket/folder`` (with the package
            that it needs for that: s3fs, gcsfs, adlfs). All workers must reach it. It must be
            empty, or hold the beginning of the same data set.
        count: How many images.
        seed: Which data set.
        ray: The cluster: ``"local"``, ``"host:port"`` or ``"ray://host:port"``.
        shard_size: How many images a shard has. A worker holds one shard in memory.
        progress: Whether to show a progress bar. By default in a terminal, after the first second.

    Returns:
        What `index.json` says: among others the `count` of images, and in `shards` the `file`, the
        `first` image, `count`, `bytes` and `sha256` of each. And in `drawn`, how many images this
        call has drawn.

    Raises:
        ConnectionError: If there is no cluster, or it broke down.
        FileExistsError: If the place holds other files, or another data set.
        ImportError: If the extra is not installed, or what fsspec needs for the place.
        OSError: If the place cannot be written to. The same call goes on when it can.
        ValueError: If a number is too small, or a font lacks a character.
    """
    check_installed()
    import fsspec

    style = get_style(style) if isinstance(style, str) else style
    for name, value, least in (
        ("count", count, 1),
        ("seed", seed, 0),
        ("shard_size", shard_size, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be {least} or more.")
    check_fonts(style, style.charset)
    files, root = fsspec.url_to_fs(os.fspath(out))
    shards = [
        _Shard(f"{number:06d}", first, min(shard_size, count - first))
        for number, first in enumerate(range(0, count, shard_size))
    ]
    about = {
        "made_by": MADE_BY,
        "version": captcha_helpers.__version__,
        "complete": False,
        "style": style.name,
        "seed": seed,
        "count": count,
        "shard_size": shard_size,
        "charset": style.charset,
        "length": list(style.length),
        "width": style.width,
        "height": style.height,
        "look": json.loads(json.dumps(asdict(style))),
    }
    with connected(ray) as engine:  # an address where none is leaves no trace
        _claim(files, root, about)
        records = _written(files, root, shards)
        missing = [shard for shard in shards if shard.name not in records]
        task = engine.remote(max_retries=_RETRIES)(_draw_shard)
        place = files.unstrip_protocol(root)

        def start(shard: _Shard) -> Any:
            return task.remote(style, seed, shard, place)

        there = sum(shard.images for shard in shards if shard.name in records)
        hidden = None if progress is None else not progress  # None: tqdm looks for a terminal
        with (
            tqdm(total=count, initial=there, unit="image", delay=1, disable=hidden) as bar,
            closing(in_order(engine, start, missing)) as drawn,
        ):
            for shard, reference in drawn:
                records[shard.name] = result_of(engine, reference)
                bar.update(shard.images)
    _remove_partials(files, root)
    about |= {"complete": True, "shards": [records[shard.name] for shard in shards]}
    put(files, f"{root}/{INDEX_FILE}", _as_json(about))
    return about | {"drawn": count - there}


def _draw_shard(style: Style, seed: int, shard: _Shard, place: str) -> dict[str, Any]:
    """Draw and write a shard, on a worker; gives what the index says of it."""
    import fsspec

    data = shard_bytes(style, seed, shard.first, shard.images)
    record = {
        "file": f"{shard.name}.tar",
        "first": shard.first,
        "count": shard.images,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    files, root = fsspec.url_to_fs(place)
    put(files, f"{root}/{shard.name}.tar", data)
    put(files, f"{root}/{shard.name}.json", _as_json(record))
    return record


def shard_bytes(style: Style, seed: int, first: int, count: int) -> bytes:
    """Draw a shard: a tar archive of `NUMBER.png` and `NUMBER.txt`, its label, for each image.

    Nothing in it depends on who draws it or when.

    Args:
        style: The look.
        seed: Which data set.
        first: Number of the first image.
        count: How many images.

    Returns:
        The bytes of the archive.

    Example:
        >>> data = shard_bytes(get_style("stars"), 1, first=2, count=1)
        >>> tarfile.open(fileobj=io.BytesIO(data)).getnames()
        ['000000002.png', '000000002.txt']
    """
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(first, first + count):
            rng = np.random.default_rng([seed, number])
            label = sample_label(style, rng)
            image = image_bytes(draw(style, label, rng))
            for suffix, content in (("png", image), ("txt", label.encode())):
                member = tarfile.TarInfo(f"{number:09d}.{suffix}")  # of 1970, and of nobody
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def _claim(files: AbstractFileSystem, root: str, about: dict[str, Any]) -> None:
    """Make sure that the place is ours to write to, and say in it what it will hold."""
    there = listed(files, root)
    if INDEX_FILE in there:
        try:
            old = json.loads(files.cat_file(f"{root}/{INDEX_FILE}"))
        except ValueError:
            old = None
        if not isinstance(old, dict) or old.get("made_by") != MADE_BY:
            raise FileExistsError(f"{root!r} has an {INDEX_FILE} of somebody else; choose another")
        changed = changed_settings(old, about)
        if changed:
            raise FileExistsError(
                f"{root!r} holds shards with other settings ({changed}); choose another place"
            )
    else:
        foreign = [
            name for name in there if not _PARTIAL.fullmatch(name) and not is_of_the_system(name)
        ]
        if foreign:
            raise FileExistsError(
                f"{root!r} is not empty and holds no shards of ours ({foreign[0]} is in it), so "
                "nothing is written there; choose another place"
            )
        put(files, f"{root}/{INDEX_FILE}", _as_json(about))
    _remove_partials(files, root)


def _written(
    files: AbstractFileSystem, root: str, shards: Iterable[_Shard]
) -> dict[str, dict[str, Any]]:
    """What is said of the shards that are there and as long as they should be, by their names."""
    sizes = listed(files, root)
    names = [
        shard.name for shard in shards if {f"{shard.name}.tar", f"{shard.name}.json"} <= {*sizes}
    ]
    if not names:
        return {}
    said = files.cat([f"{root}/{name}.json" for name in names])
    records = {}
    for path, data in said.items():
        name = Path(path).stem
        try:
            record = json.loads(data)
        except ValueError:  # half a file, from a place that takes such
            continue
        expected = {"file": f"{name}.tar", "bytes": sizes[f"{name}.tar"]}
        if isinstance(record, dict) and expected.items() <= record.items():
            records[name] = record
    return records


def _remove_partials(files: AbstractFileSystem, root: str) -> None:
    """Remove what is left on a disk of files that were being written when a worker was killed."""
    if not on_disk(files):
        return
    for path in Path(root).iterdir():
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _as_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
