"""Whatever is killed, the shards have the same bytes, and each image has its one row.

All that can share a cluster does: two workers, on this machine's loopback interface.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import captcha_helpers
from captcha_helpers import draw_shards, generate, image_files, read_files
from captcha_helpers.scaling import reading_rows
from tests import deadly
from tests.patience import PATIENCE, end_of, until
from tests.small_blocks import SMALL_BLOCK

if not all(map(find_spec, ("ray", "fsspec", "pyarrow", "psutil"))):  # importing Ray takes seconds
    pytest.skip("the extra scale is not installed", allow_module_level=True)
pytestmark = pytest.mark.slow

ROOT = Path(captcha_helpers.__file__).parents[1]
COUNT, SHARD = 300, 20
STARTS = 10  # of a cluster; on a busy machine it takes longer than Ray waits, which is 15 s
NOT_STARTED = "no cluster could be used at"


@contextmanager
def not_for_ever() -> Iterator[None]:
    """Interrupt a block that waits for Ray in this process and would do so for ever."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def interrupt(*_: object) -> None:
        raise TimeoutError(f"it did not end in {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No test waits for ever."""
    with not_for_ever():
        yield


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Ray's processes need: this package, and to start soon, or Ray gives up.

    jsonschema, which Ray imports in each of them, builds a grammar if Jupyter's packages are there.
    """
    quick = tmp_path_factory.mktemp("quick")
    (quick / "rfc3987_syntax.py").write_text("raise ImportError('nobody here needs it')")
    path = [str(quick), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return kept | {
        "PYTHONPATH": os.pathsep.join(path),
        "RAY_AUTH_MODE": "disabled",  # or no other process may use the cluster of this one
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on the loopback interface
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str]) -> Iterator[str]:
    """The address of a cluster to which this process is connected."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        import ray

        with not_for_ever():
            for left in reversed(range(STARTS)):
                try:
                    context = ray.init(
                        "local",
                        num_cpus=2,
                        include_dashboard=False,
                        object_store_memory=100_000_000,
                        log_to_driver=False,
                        logging_level="ERROR",
                    )
                    break
                except Exception:
                    ray.shutdown()
                    if not left:
                        raise
        yield context.address_info["gcs_address"]
        with not_for_ever():
            ray.shutdown()


def start(
    environment: dict[str, str], *arguments: object, run: Sequence[str] = ("-m", "captcha_helpers")
) -> subprocess.Popen[str]:
    command = [sys.executable, *run, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def workers() -> list[Any]:
    """The processes that do the work, of whatever job."""
    names = ("ray::_draw_shard", "ray::_read_chunk", "ray::read_chunk")
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "".join(process.cmdline()[:1]).startswith(names):
                found.append(process)
    return found


@contextmanager
def killing(times: int, seed: int) -> Iterator[list[int]]:
    """Kill the first worker that is seen, and more at random moments; gives their ids."""
    chance, over, killed = random.Random(seed), threading.Event(), []

    def kill() -> None:
        while len(killed) < times and not over.wait(chance.random() / 2 if killed else 0.005):
            for process in workers()[:1]:
                with suppress(Exception):  # it has ended by itself
                    process.kill()
                    killed.append(process.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def bytes_of(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def rows_of(table: Any) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(table).to_pylist()
    return rows


@pytest.fixture(scope="module")
def shards(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is drawn if nothing is killed."""
    place = tmp_path_factory.mktemp("shards") / "calm"
    with not_for_ever():
        about = draw_shards("stars", place, COUNT, ray=cluster, shard_size=SHARD, progress=False)
    assert about["drawn"] == COUNT
    return place


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some that can be read, and some that cannot."""
    folder = tmp_path_factory.mktemp("pictures")
    captcha_helpers.write_dataset("stars", folder, 90, progress=False)
    for number, path in enumerate(image_files(folder)):
        if number % 9 == 0:
            path.write_bytes(path.read_bytes()[: 10 * number])
    return folder


@pytest.fixture(scope="module")
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_rows, "CHUNK", SMALL_BLOCK)
        patch.setattr(reading_rows, "BLOCK", SMALL_BLOCK)
        yield


@pytest.fixture(scope="module")
def table(
    cluster: str, pictures: Path, small_chunks: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What is read if nothing is killed."""
    out = tmp_path_factory.mktemp("table") / "calm.parquet"
    with not_for_ever():
        counts = read_files("stars", f"{pictures}/*.png", out, ray=cluster, progress=False)
    assert counts == {"images": 90, "errors": 10, "read": 90}
    return out


def test_image_i_in_the_shards_is_image_i_of_generate(shards: Path):
    images, labels = generate("stars", COUNT)
    found: dict[str, bytes] = {}
    index = json.loads((shards / "index.json").read_text())
    for shard in index["shards"]:
        with tarfile.open(shards / shard["file"]) as archive:
            members = archive.getmembers()
            assert [(one.mtime, one.uid) for one in members] == [(0, 0)] * 2 * shard["count"]
            found |= {one.name: archive.extractfile(one).read() for one in members}
    assert index["complete"] and len(found) == 2 * COUNT
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        assert found[f"{number:09d}.txt"].decode() == label
        picture = Image.open(io.BytesIO(found[f"{number:09d}.png"])).convert("RGB")
        assert np.array_equal(np.asarray(picture), image)


def test_workers_killed_while_they_draw_change_no_byte_and_spoil_no_json(
    cluster: str, environment: dict[str, str], shards: Path, tmp_path: Path
):
    place = tmp_path / "killed"
    options = ["--count", COUNT, "--shard-size", SHARD, "--out", place, "--ray", cluster]
    with killing(4, seed=1) as killed:
        process = start(environment, "generate", "stars", *options, "--json")
        out, err = end_of(process)  # Ray says that it repeats a task, but not on stdout
    assert killed and process.returncode == 0, err
    assert json.loads(out)["drawn"] == COUNT and bytes_of(place) == bytes_of(shards)


def test_a_second_start_draws_what_the_killed_first_one_left(
    cluster: str, environment: dict[str, str], shards: Path, tmp_path: Path
):
    place = tmp_path / "driver"
    options = ["--count", COUNT, "--shard-size", SHARD, "--out", place, "--ray", cluster]
    first = start(environment, "generate", "stars", *options)
    until(lambda: first.poll() is not None or len(list(place.glob("*.tar"))) > 2)
    first.kill()
    end_of(first)
    until(lambda: not workers())  # of the job whose driver is gone
    kept = [path for path in place.glob("*.tar") if path.with_suffix(".json").exists()]
    before = {path: path.stat().st_mtime_ns for path in kept}
    second = start(environment, "generate", "stars", *options, "--json")
    out, err = end_of(second)
    assert second.returncode == 0, err
    assert json.loads(out)["drawn"] == COUNT - SHARD * len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert bytes_of(place) == bytes_of(shards)


def test_half_a_shard_is_drawn_again_and_another_data_set_refused(
    cluster: str, shards: Path, tmp_path: Path
):
    place = tmp_path / "half"
    shutil.copytree(shards, place)
    (place / "000003.tar").write_bytes((shards / "000003.tar").read_bytes()[:1000])
    (place / "000005.json").unlink()
    about = draw_shards("stars", place, COUNT, ray=cluster, shard_size=SHARD, progress=False)
    assert about["drawn"] == 2 * SHARD and bytes_of(place) == bytes_of(shards)
    with pytest.raises(FileExistsError, match="seed 0, now 1"):
        draw_shards("stars", place, COUNT, seed=1, ray=cluster, shard_size=SHARD)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="is not empty"):
        draw_shards("stars", tmp_path, COUNT, ray=cluster)
    assert bytes_of(place) == bytes_of(shards)


def test_every_image_has_its_row_in_the_order_of_the_names(table: Path, pictures: Path):
    rows, reader = rows_of(table), captcha_helpers.load("stars")
    assert [row["file"] for row in rows] == [str(path) for path in image_files(pictures)]
    for row in rows:
        try:
            expected = reader.read(row["file"])
        except captcha_helpers.ImageError as error:
            assert (row["text"], row["confidence"]) == (None, None)
            assert row["error"] == " ".join(error.reason.split())
        else:
            assert (row["text"], row["error"]) == (expected.text, None)
            assert row["confidence"] == pytest.approx(expected.confidence, abs=1e-4)


def test_a_worker_killed_while_it_reads_changes_no_row(
    cluster: str, table: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading_rows, "_read_chunk", deadly.read_chunk_once_killed)
    out = tmp_path / "killed.parquet"
    read_files("stars", pictures, out, ray=cluster, progress=False)
    killed = list(pictures.glob("*.tried"))
    for path in killed:
        path.unlink()
    assert len(killed) == 6 and out.read_bytes() == table.read_bytes()


def test_workers_killed_at_random_moments_while_they_read_change_no_row(
    cluster: str, table: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading_rows, "_read_chunk", deadly.read_chunk_slowly)
    out = tmp_path / "killed.parquet"
    with killing(4, seed=2) as killed:
        counts = read_files("stars", pictures, out, ray=cluster, progress=False)
    assert len(killed) == 4 and counts == {"images": 90, "errors": 10, "read": 90}
    assert out.read_bytes() == table.read_bytes()


def test_a_picture_that_crashes_its_decoder_is_a_row_with_an_error(
    cluster: str, table: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, good = tmp_path / "pictures", image_files(pictures)[1]
    shutil.copytree(pictures, folder)
    for name in ("000_deadly.png", "5_deadly.png"):
        shutil.copy(good, folder / name)
    monkeypatch.setattr(reading_rows, "_read_chunk", deadly.read_chunk)
    out = tmp_path / "read.parquet"
    counts = read_files("stars", folder, out, ray=cluster, progress=False)
    rows = {Path(row["file"]).name: row for row in rows_of(out)}
    assert counts == {"images": 92, "errors": 12, "read": 92} and len(rows) == 92
    for name in ("000_deadly.png", "5_deadly.png"):
        assert "was killed" in rows.pop(name)["error"]
    calm = {Path(row["file"]).name: row for row in rows_of(table)}
    assert {name: row["text"] for name, row in rows.items()} == {
        name: row["text"] for name, row in calm.items()
    }


def test_a_second_start_reads_what_the_killed_first_one_left(
    cluster: str, environment: dict[str, str], table: Path, pictures: Path, tmp_path: Path
):
    out, parts = tmp_path / "driver.parquet", tmp_path / ".driver.parquet.parts"
    arguments = ["predict", "stars", f"{pictures}/*.png", "--ray", cluster, "--out", out]
    first = start(environment, *arguments, run=("-m", "tests.small_blocks"))
    until(lambda: first.poll() is not None or list(parts.glob("*.parquet")))
    first.kill()
    end_of(first)
    assert not out.exists() and not rest_of(tmp_path, parts)
    kept = len(list(parts.glob("[!.]*.parquet")))
    until(lambda: not workers())  # of the job whose driver is gone
    second = start(environment, *arguments, "--json", run=("-m", "tests.small_blocks"))
    said, err = end_of(second)
    assert second.returncode == 1, err  # some could not be read
    assert json.loads(said) == {
        "file": str(out), "images": 90, "errors": 10, "read": 90 - SMALL_BLOCK * kept
    }  # fmt: skip
    assert kept and rows_of(out) == rows_of(table) and not rest_of(tmp_path, out)


def rest_of(folder: Path, known: Path) -> list[Path]:
    """What is in a folder beside what is known to be."""
    return [path for path in folder.iterdir() if path != known]


def test_a_model_file_travels_to_the_workers(
    cluster: str, onnx_file: Path, pictures: Path, tmp_path: Path
):
    out = tmp_path / "read.parquet"
    read_files(onnx_file, pictures, out, ray=cluster, limit=12, length=(6, 6), progress=False)
    reader = captcha_helpers.load(onnx_file, length=(6, 6))
    rows = [row for row in rows_of(out) if row["error"] is None]
    assert len(rows) == 10
    assert [row["text"] for row in rows] == [reader.read(row["file"]).text for row in rows]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such disks")
def test_a_full_disk_is_told_and_the_next_start_goes_on(cluster: str, shards: Path, tmp_path: Path):
    from tests.integration.test_full_disks import small_disk

    with small_disk(tmp_path) as disk:
        place = disk.seen / "shards"
        settings: dict[str, Any] = {"ray": cluster, "shard_size": SHARD, "progress": False}
        with pytest.raises(OSError, match="cannot be written: No space left on device"):
            draw_shards("stars", place, COUNT, **settings)  # of which a third has room
        done = [path for path in place.glob("*.json") if path.name != "index.json"]
        assert done and not list(place.glob(".*"))
        for path in done:
            assert (
                path.with_suffix(".tar").read_bytes()
                == (shards / path.with_suffix(".tar").name).read_bytes()
            )
        with pytest.raises(OSError, match="No space left on device"):
            draw_shards("stars", place, COUNT, **settings)  # the same, as nothing changed
        disk.grow("50m")
        about = draw_shards("stars", place, COUNT, **settings)
        assert about["drawn"] <= COUNT - SHARD * len(done) and bytes_of(place) == bytes_of(shards)
        disk.fill()
        with pytest.raises(OSError, match="cannot be written: No space left on device"):
            read_files("stars", ROOT / "captcha_images" / "stars", disk.seen / "a.parquet")


def test_an_address_where_no_cluster_is_costs_one_line(environment: dict[str, str], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    place = tmp_path / "none"
    draw = ["generate", "stars", "--count", 10, "--out", place]
    for where in (address, f"ray://{address}"):
        process = start(environment, *draw, "--ray", where)
        out, err = end_of(process)
        assert (process.returncode, out, err.count("\n")) == (1, "", 1), err
        assert f"no cluster answers at {where!r}" in err and not place.exists()
    process = start(environment, *draw, "--ray", "nowhere")
    assert "'nowhere' is no address of a cluster" in end_of(process)[1]


def run_on_cluster(
    environment: dict[str, str], address: str, *arguments: object, code: int = 0
) -> str:
    """Run a command on a cluster, which ends with this code; give what it says."""
    for _ in range(STARTS):
        process = start(environment, *arguments, "--ray", address)
        out, err = end_of(process)
        if not err.startswith(f"Error: {NOT_STARTED} {address!r}"):
            break
    assert (process.returncode, err) == (code, "")
    return out


def test_a_cluster_of_its_own_is_started_for_the_command(
    environment: dict[str, str], tmp_path: Path
):
    place = tmp_path / "local"
    out = run_on_cluster(environment, "local", "generate", "stars", "--count", 5, "--out", place)
    assert out == f"{place}: 5 images of 104 x 32 pixels in 1 tar file\n"


@contextmanager
def client_server(environment: dict[str, str]) -> Iterator[str]:
    """The address for clients of a cluster of two workers, started as one starts its first node."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--head", "--block", "--port", 0, "--ray-client-server-port", port, "--num-cpus", 2]
    options += ["--node-ip-address", "127.0.0.1", "--include-dashboard", "false"]
    options += ["--object-store-memory", 100_000_000]

    def answers() -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return node.poll() is not None

    for _ in range(STARTS):
        node = start(environment, "start", *options, run=("-m", "ray.scripts.scripts"))
        until(answers)
        if node.poll() is None:
            break
    try:
        yield f"ray://127.0.0.1:{port}"
    finally:
        node.terminate()
        end_of(node)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody tried Ray on Windows")
def test_a_machine_that_is_no_part_of_the_cluster_has_the_jobs_done_there(
    environment: dict[str, str], shards: Path, table: Path, pictures: Path, tmp_path: Path
):
    place, out = tmp_path / "shards", tmp_path / "read.parquet"
    draw = ["generate", "stars", "--count", 3 * SHARD, "--shard-size", SHARD, "--out", place]
    read = ["predict", "stars", pictures, "--out", out]
    with client_server(environment) as address:
        run_on_cluster(environment, address, *draw)
        run_on_cluster(environment, address, *read, code=1)  # some pictures cannot be read
    drawn = sorted(place.glob("*.tar"))
    assert len(drawn) == 3
    assert [one.read_bytes() for one in drawn] == [
        (shards / one.name).read_bytes() for one in drawn
    ]
    assert rows_of(out) == rows_of(table)


@contextmanager
def s3() -> Iterator[tuple[Any, dict[str, str]]]:
    """A store on this machine that is spoken to as Amazon's, and how a process finds it."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    store = s3fs.S3FileSystem(key="a", secret="b", endpoint_url=address)
    names = {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    yield store, {f"AWS_{name}": value for name, value in names.items()}
    server.stop()


@contextmanager
def gs() -> Iterator[tuple[Any, dict[str, str]]]:
    """The same for Google's."""
    gcsfs = pytest.importorskip("gcsfs.core")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server, address = emulator.create_server("127.0.0.1", port, True), f"http://127.0.0.1:{port}"
    server.start()
    store = gcsfs.GCSFileSystem(token="anon", project="a", endpoint_url=address)
    found_by = {"STORAGE_EMULATOR_HOST": address, "FSSPEC_GS_TOKEN": "anon"}
    no_grpc = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}  # which the emulator does not speak
    yield store, found_by | no_grpc
    server.stop()


@pytest.fixture(params=[s3, gs], ids=lambda kind: kind.__name__)
def bucket(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """The address of a bucket, the store that it is in, and the environment that finds it."""
    with request.param() as (store, found_by):
        store.mkdir("bucket")
        yield f"{request.param.__name__}://bucket", store, environment | found_by


def test_jobs_draw_into_a_bucket_and_read_from_it(
    bucket: tuple[str, Any, dict[str, str]], shards: Path, pictures: Path, tmp_path: Path
):
    place, store, environment = bucket
    draw = ["generate", "stars", "--count", 50, "--shard-size", SHARD, "--out", f"{place}/stars"]
    assert "50 images" in run_on_cluster(environment, "local", *draw)
    drawn = {path.name: store.cat_file(f"bucket/stars/{path.name}") for path in shards.iterdir()
             if path.name in ("000000.tar", "000001.tar")}  # fmt: skip
    assert drawn == {name: (shards / name).read_bytes() for name in drawn} and len(drawn) == 2
    store.rm_file("bucket/stars/000001.tar")
    run_on_cluster(environment, "local", *draw)
    assert store.cat_file("bucket/stars/000001.tar") == drawn["000001.tar"]

    store.put(str(pictures), "bucket/in", recursive=True)
    read = ["predict", "stars", f"{place}/in/*.png", "--out", f"{place}/readings.parquet"]
    run_on_cluster(environment, "local", *read, code=1)  # some images cannot be read
    read_files("stars", pictures, tmp_path / "disk.parquet", progress=False)
    with store.open("bucket/readings.parquet") as file:
        found = rows_of(file)
    expected = rows_of(tmp_path / "disk.parquet")
    names = [row.pop("file") for row in found]
    assert names == [f"{place}/in/{path.name}" for path in image_files(pictures)]
    assert [row["text"] for row in found] == [row["text"] for row in expected]
    assert len(found) == 90 and sum(row["error"] is not None for row in found) == 10


def test_sigterm_ends_a_job_as_it_ends_any_other(
    cluster: str, environment: dict[str, str], tmp_path: Path
):
    place = tmp_path / "stopped"
    options = ["--count", 3000, "--shard-size", SHARD, "--out", place, "--ray", cluster]
    process = start(environment, "generate", "stars", *options)
    until(lambda: process.poll() is not None or list(place.glob("*.tar")))
    process.send_signal(signal.SIGTERM)
    _, err = end_of(process)
    assert process.returncode == 143, err
    assert err == "Error: stopped by SIGTERM; the same command continues\n"
