"""The jobs of a cluster done in this process: where data lies, and what goes on after a stop."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from captcha_helpers import draw_shards, image_files, read_files, write_dataset
from captcha_helpers.drawing.styles import get_style
from captcha_helpers.scaling import cluster, drawing_shards, reading_rows
from captcha_helpers.scaling.drawing_shards import shard_bytes
from captcha_helpers.scaling.places import on_disk

if not all(map(find_spec, ("ray", "fsspec", "pyarrow"))):
    pytest.skip("the extra scale is not installed", allow_module_level=True)


class Here:
    """As much of the module `ray` as the jobs use: each task is done at once, in this process."""

    class Lost(Exception):
        """What none of the tasks here raises."""

    exceptions = SimpleNamespace(
        **dict.fromkeys(("OutOfMemoryError", "NodeDiedError", "WorkerCrashedError"), Lost),
        RayTaskError=Lost,
    )

    def __init__(self) -> None:
        self.done = 0
        self.stop_after = 1_000_000  # tasks

    def remote(self, **_: Any) -> Callable[[Callable[..., Any]], Any]:
        return lambda function: SimpleNamespace(remote=lambda *given: self._do(function, *given))

    def _do(self, function: Callable[..., Any], *given: Any) -> Any:
        if self.done == self.stop_after:
            raise KeyboardInterrupt
        self.done += 1
        return function(*given)

    def put(self, value: Any) -> Any:
        return value

    get = put

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 1}

    def is_initialized(self) -> bool:
        return False


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """What does the work instead of a cluster."""
    engine = Here()

    @contextmanager
    def connected(_: str) -> Iterator[Here]:
        yield engine

    for module in (drawing_shards, reading_rows):
        monkeypatch.setattr(module, "connected", connected)
    monkeypatch.setattr(cluster, "_AHEAD", 1)
    monkeypatch.setattr(reading_rows, "CHUNK", 2)
    monkeypatch.setattr(reading_rows, "BLOCK", 4)
    return engine


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eleven images, of which the third is none."""
    folder = tmp_path / "pictures"
    write_dataset("stars", folder, 11, progress=False)
    image_files(folder)[2].write_bytes(b"nothing")
    return folder


@pytest.fixture
def store() -> Iterator[Any]:
    import fsspec

    files = fsspec.filesystem("memory")
    yield files
    if files.exists("/bucket"):
        files.rm("/bucket", recursive=True)


def rows_of(data: Any) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(data).to_pylist()
    return rows


def test_shards_go_to_a_store_and_only_missing_ones_go_there_again(here: Here, store: Any):
    place = "memory://bucket/stars"
    about = draw_shards("stars", place, 7, shard_size=3)
    assert [shard["count"] for shard in about["shards"]] == [3, 3, 1]
    for shard in about["shards"]:
        data = store.cat_file(f"/bucket/stars/{shard['file']}")
        assert data == shard_bytes(get_style("stars"), 0, shard["first"], shard["count"])
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
    store.rm("/bucket/stars/000001.tar")
    assert draw_shards("stars", place, 7, shard_size=3)["drawn"] == 3
    assert json.loads(store.cat_file("/bucket/stars/index.json"))["shards"] == about["shards"]
    with pytest.raises(FileExistsError, match="seed 0, now 1"):
        draw_shards("stars", place, 7, seed=1, shard_size=3)


def test_shards_at_a_file_url_are_those_in_the_folder(here: Here, tmp_path: Path):
    draw_shards("stars", tmp_path / "folder", 5, shard_size=3)
    draw_shards("stars", (tmp_path / "url").as_uri(), 5, shard_size=3)
    both = [
        {one.name: one.read_bytes() for one in (tmp_path / name).iterdir()}
        for name in ("folder", "url")
    ]
    assert both[0] == both[1] and len(both[0]) == 5


@pytest.mark.parametrize("record", ["[]", "null", '"a"', "{}", '{"file": []}', '{"file": "000'])
def test_a_shard_whose_record_says_nothing_of_it_is_drawn_again(
    here: Here, tmp_path: Path, record: str
):
    draw_shards("stars", tmp_path, 5, shard_size=3)
    before = (tmp_path / "000001.json").read_bytes()
    (tmp_path / "000001.json").write_text(record)
    assert draw_shards("stars", tmp_path, 5, shard_size=3)["drawn"] == 2
    assert (tmp_path / "000001.json").read_bytes() == before


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_what_a_file_manager_leaves_in_a_folder_does_not_make_it_somebody_elses(
    here: Here, tmp_path: Path, name: str
):
    (tmp_path / name).touch()
    assert draw_shards("stars", tmp_path, 2)["drawn"] == 2
    assert (tmp_path / name).exists()


@pytest.mark.slow
def test_a_store_of_images_is_read_into_a_table_in_it(here: Here, store: Any, pictures: Path):
    there = pictures.with_name("disk.parquet")
    assert read_files("stars", pictures, there) == {"images": 11, "errors": 1, "read": 11}
    store.put(str(pictures), "/bucket/in", recursive=True)
    for images in ("memory://bucket/in/*.png", "memory://bucket/in"):
        out = "memory://bucket/out/a.parquet"
        assert read_files("stars", images, out, overwrite=True)["errors"] == 1
        with store.open("/bucket/out/a.parquet") as file:
            found = rows_of(file)
        assert [row.pop("file") for row in found] == [
            f"memory:///bucket/in/{path.name}" for path in image_files(pictures)
        ]
        expected = rows_of(there)
        assert found == [{key: row[key] for key in found[0]} for row in expected]
        assert [one["name"] for one in store.ls("/bucket/out")] == ["/bucket/out/a.parquet"]
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        read_files("stars", images, out)


def test_images_and_tables_at_file_urls_are_those_in_the_folder(
    here: Here, pictures: Path, tmp_path: Path
):
    read_files("stars", pictures, tmp_path / "a.parquet")
    read_files("stars", f"{pictures.as_uri()}/*.png", (tmp_path / "b.parquet").as_uri())
    first, second = rows_of(tmp_path / "a.parquet"), rows_of(tmp_path / "b.parquet")
    assert len(first) == 11 and first == second


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_an_open_pattern_stands_for_the_images_that_a_folder_stands_for(
    here: Here, store: Any, pictures: Path, tmp_path: Path, scheme: str
):
    folder, out = str(pictures), tmp_path / "a.parquet"
    (pictures / ".hidden.png").touch()
    (pictures / "folder.png").mkdir()
    (pictures / "folder.png" / "b.txt").touch()
    if scheme == "memory://":
        store.put(folder, "/bucket/in", recursive=True)
        folder = "/bucket/in"
    for pattern in ("", "/*", "/*.*", "/*.p*", "/*.png"):
        read_files("stars", f"{scheme}{folder}{pattern}", out, overwrite=True)
        found = [Path(row["file"]).name for row in rows_of(out)]
        assert found == [path.name for path in image_files(pictures)], pattern
    read_files("stars", f"{scheme}{folder}/l*.csv", out, overwrite=True)
    (row,) = rows_of(out)
    assert row["file"].endswith("/labels.csv") and row["error"], "what is named is read"
    with pytest.raises(ValueError, match="no images in .*name files that do not end like images"):
        read_files("stars", f"{scheme}{folder}/l*", out, overwrite=True)


def test_a_file_is_read_once_however_often_it_is_named(here: Here, pictures: Path, tmp_path: Path):
    first = image_files(pictures)[0]
    named = [pictures, pictures.as_uri(), f"{pictures}/*", f"{pictures.as_uri()}/*.png", first]
    for number, files in enumerate((named, named[::-1])):
        counts = read_files("stars", files, tmp_path / f"{number}.parquet")
        assert counts == {"images": 11, "errors": 1, "read": 11}
        found = [row["file"] for row in rows_of(tmp_path / f"{number}.parquet")]
        assert found == [str(path) for path in image_files(pictures)]


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
@pytest.mark.parametrize("name", ["none.png", "none"])
def test_what_is_named_and_does_not_exist_is_told_before_anything_is_read(
    here: Here, pictures: Path, tmp_path: Path, scheme: str, name: str
):
    missing, out = f"{scheme}{tmp_path}/{name}", tmp_path / "a.parquet"
    with pytest.raises(FileNotFoundError, match="there is no file or folder '.*check the path"):
        read_files("stars", [pictures, missing], out)
    assert here.done == 0 and not out.exists()


@pytest.mark.parametrize(
    ("files", "limit", "said"),
    [
        (".", 0, "limit is 0; it must be 1 or more"),
        (".", -1, "limit is -1; it must be 1 or more"),
        ([], None, "there is nothing to read; name files"),
    ],
)
def test_nothing_to_read_is_refused(
    here: Here, tmp_path: Path, files: Any, limit: int | None, said: str
):
    with pytest.raises(ValueError, match=said):
        read_files("stars", files, tmp_path / "a.parquet", limit=limit)
    assert not list(tmp_path.iterdir())


def test_a_reading_that_was_stopped_goes_on_and_gives_the_same_table(
    here: Here, pictures: Path, tmp_path: Path
):
    calm, out = tmp_path / "calm.parquet", tmp_path / "out" / "a.parquet"
    read_files("stars", pictures, calm)
    here.stop_after = here.done + 5  # of six tasks, two for each block
    with pytest.raises(KeyboardInterrupt):
        read_files("stars", pictures, out)
    (parts,) = out.parent.iterdir()
    assert parts.name == ".a.parquet.parts" and len(list(parts.iterdir())) == 2
    here.stop_after = 1_000_000
    assert read_files("stars", pictures, out) == {"images": 11, "errors": 1, "read": 3}
    assert out.read_bytes() == calm.read_bytes() and list(out.parent.iterdir()) == [out]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such disks")
@pytest.mark.parametrize(("blocks", "left"), [(2, 3), (3, 0)])
def test_a_disk_that_fills_up_while_images_are_read_costs_nothing(
    here: Here, pictures: Path, tmp_path: Path, blocks: int, left: int
):
    """Of three parts there is room for two, or for all of them but not for the table."""
    from tests.integration.test_full_disks import BLOCK, small_disk

    read_files("stars", pictures, tmp_path / "calm.parquet")
    with small_disk(tmp_path) as disk:
        out = disk.seen / "a.parquet"
        disk.fill(room=blocks * BLOCK)
        with pytest.raises(OSError, match="the same command goes on as soon as there is") as told:
            read_files("stars", pictures, out)
        said = str(told.value)
        assert said.startswith(f"'{out}' cannot be written, since the disk of '{disk.seen}' takes")
        assert "(No space left on device)" in said and "\n" not in said
        assert not out.exists() and not list(disk.seen.rglob("*.part.*"))
        (disk.seen / "fill").unlink()
        assert read_files("stars", pictures, out) == {"images": 11, "errors": 1, "read": left}
        assert out.read_bytes() == (tmp_path / "calm.parquet").read_bytes()
        assert list(disk.seen.iterdir()) == [out]


@pytest.mark.parametrize(
    ("change", "read"), [("nothing", 3), ("an image", 7), ("the model", 11), ("an option", 11)]
)
def test_what_is_kept_belongs_to_the_images_and_to_the_reader(
    here: Here, pictures: Path, tmp_path: Path, onnx_file: Path, change: str, read: int
):
    model, options = tmp_path / "a.onnx", {"length": (4, 6)}
    shutil.copy(onnx_file, model)
    here.stop_after = 5
    with pytest.raises(KeyboardInterrupt):
        read_files(model, pictures, tmp_path / "a.parquet", **options)
    here.stop_after = 1_000_000
    if change == "an image":
        path = image_files(pictures)[2]
        path.write_bytes(image_files(pictures)[0].read_bytes())
    elif change == "the model":
        model.write_bytes(onnx_file.read_bytes() + b"\x0a\x00")  # another producer: none
    elif change == "an option":
        options = {"length": (4, 5)}
    counts = read_files(model, pictures, tmp_path / "a.parquet", **options)
    assert counts["read"] == read and counts["errors"] == (change != "an image")


def test_a_store_that_is_cached_in_files_is_not_this_disk():
    import fsspec

    assert not on_disk(fsspec.filesystem("filecache", target_protocol="memory"))
    assert on_disk(fsspec.filesystem("file"))


def test_a_name_with_a_closing_bracket_is_a_name(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        read_files("stars", tmp_path / "a].png", tmp_path / "a.parquet")
