"""Damaged and malicious files, as many as there is time for: a result or one clear error, and soon.

The mutants come one after the other as their seed has it; a slow machine sees fewer of them.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import captcha_helpers
from captcha_helpers import (
    STYLES,
    ImageError,
    ModelFileError,
    draw,
    load,
    load_image,
    prepare,
    read_spec,
)
from tests.tiny_models import SPEC, onnx_bytes

pytestmark = pytest.mark.slow

SOAK = float(os.environ.get("CAPTCHA_HELPERS_SOAK", "10"))  # seconds for all pictures; for models
FEWEST = 20  # mutants of each file, however slow the machine
SECONDS = 1.0
MEGABYTES = 200


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


PICTURE = Image.fromarray(draw(STYLES["stars"], "482519", np.random.default_rng(0)))
PICTURES = {
    "png": encoded(PICTURE, "PNG"),
    "palette png": encoded(PICTURE.convert("P"), "PNG", transparency=3),
    "jpeg": encoded(PICTURE.convert("RGB"), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    "progressive jpeg": encoded(PICTURE.convert("RGB"), "JPEG", progressive=True),
    "gif": encoded(PICTURE.convert("P"), "GIF"),
    "animation": encoded(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(9)] * 3),
    "webp": encoded(PICTURE, "WEBP"),
    "webp without loss": encoded(PICTURE, "WEBP", lossless=True),
    "bmp": encoded(PICTURE.convert("RGB"), "BMP"),
    "tiff": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
}


def mutant(data: bytes, rng: random.Random) -> bytes:
    """The same file after one or two of the things that happen to files."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2))):
        place, other = sorted(rng.randrange(len(changed)) for _ in range(2))
        kind = rng.choice(("flip", "byte", "header", "number", "cut", "end", "hole", "double"))
        if kind == "flip":
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == "byte":
            changed[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == "header":
            changed[rng.randrange(min(64, len(changed)))] = rng.randrange(256)
        elif kind == "number":
            size = rng.choice((2, 4))
            changed[place : place + size] = rng.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * size
        elif kind == "cut":
            del changed[place + 1 :]
        elif kind == "end":
            changed[place:] = data[-2:]
        elif kind == "hole":
            del changed[place : min(other, place + 64)]
        else:
            changed[place:place] = changed[place : min(other, place + 64)]
        if len(changed) < 2:
            return bytes(changed)
    return bytes(changed)


def mutants(data: bytes, seed: str, seconds: float) -> Iterator[tuple[bytes, random.Random]]:
    """Mutants of a file until the time is over, and the dice they were made with."""
    rng, stop, made = random.Random(seed), time.monotonic() + seconds, 0
    while made < FEWEST or time.monotonic() < stop:
        made += 1
        yield mutant(data, rng), rng


def look(data: bytes, **options: object) -> np.ndarray | None:
    """What `load_image` gives, or None for its error; nothing else may happen."""
    gc.disable()  # what other tests have left may take a second to collect
    start = time.thread_time()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            return load_image(data, **options)
        except ImageError as error:
            assert 10 < len(str(error)) < 500
            return None
        finally:
            taken = time.thread_time() - start
            gc.enable()
            assert not told
            assert taken < SECONDS


TRIED: Counter[str] = Counter()


@pytest.mark.parametrize("name", PICTURES)
def test_mutants_of_a_picture(name: str, figures: dict[str, str]):
    tried = told = 0
    assert look(PICTURES[name]) is not None
    for data, rng in mutants(PICTURES[name], f"19 {name}", SOAK / len(PICTURES)):
        tried += 1
        image = look(data)
        told += image is None
        if image is not None:
            assert image.dtype == np.uint8 and image.shape[2:] == (3,)
            np.testing.assert_array_equal(
                prepare(data, 16, 32, channels=3), prepare(image, 16, 32, channels=3)
            )
        look(data, strict=False, frame=rng.choice(("last", "most_ink", "blended")))
    assert told > tried // 10
    count("mutants of pictures, and how many were refused", figures, tried, told)


def count(what: str, figures: dict[str, str], tried: int, refused: int) -> None:
    TRIED[what] += tried
    TRIED[f"{what}, refused"] += refused
    figures[what] = f"{TRIED[what]:,} ({TRIED[f'{what}, refused']:,})"


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def png(width: int, height: int, bits: int, colour: int, *more: bytes) -> bytes:
    """An empty PNG, as large as it may be, with further chunks."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = zlib.compress(bytes(height * (1 + width * channels * bits // 8)), 1)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tags(count: int, room: int) -> bytes:
    """EXIF, or a TIFF, whose tags all claim the same bytes."""
    entries = [struct.pack(">HHII", 0x9000 + i, 7, room, 8) for i in range(count)]
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + b"".join(entries) + bytes(4 + room)


def many_scans() -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    data = encoded(Image.new("L", (2000, 2000), 200), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 300 + b"\xff\xd9"


def many_frames() -> bytes:
    frames = [Image.new("P", (640, 480), i % 256) for i in range(150)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


SMALL_JPEG = encoded(Image.new("L", (64, 64), 200), "JPEG")
SMALL_GIF = encoded(Image.new("P", (64, 64), 3), "GIF")
AT = SMALL_GIF.index(b"\x2c\0\0\0\0")  # where the image begins
TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))
COSTLY: dict[str, Callable[[], bytes]] = {
    "16 bits of four channels": lambda: png(2000, 2000, 16, 6),
    "16 bits of grey": lambda: png(2000, 2000, 16, 0),
    "grey and alpha": lambda: png(2000, 2000, 8, 4),
    "a line of ten million pixels": lambda: png(9_999_999, 4, 8, 0),
    "60,000 parts": lambda: png(64, 64, 8, 0, *[chunk(b"tEXt", b"a\0b")] * 60_000),
    "text of 50 MB": lambda: png(64, 64, 8, 0, TEXT),
    "EXIF that claims 2 GB": lambda: png(64, 64, 8, 0, chunk(b"eXIf", tags(20_000, 100_000))),
    "EXIF that claims 300 MB": lambda: (
        SMALL_JPEG[:2]
        + b"\xff\xe1"
        + struct.pack(">H", 8 + len(tags(2500, 30_000)))
        + b"Exif\0\0"
        + tags(2500, 30_000)
        + SMALL_JPEG[2:]
    ),
    "two million empty parts of a JPEG": lambda: (
        SMALL_JPEG[:2] + b"\xff\xfe\0\2" * 2_000_000 + SMALL_JPEG[2:]
    ),
    "eight million bytes before a marker": lambda: (
        SMALL_JPEG[:2] + b"\xff" * 8_000_000 + SMALL_JPEG[2:]
    ),
    "300 scans": many_scans,
    "a large progressive JPEG": lambda: encoded(
        Image.effect_noise((2000, 2000), 90).convert("RGB"), "JPEG", progressive=True, quality=95
    ),
    "a large JPEG of mid-grey": lambda: encoded(
        Image.new("CMYK", (2000, 2000), (128,) * 4), "JPEG", quality=95
    ),
    "comments of 30 MB": lambda: (
        SMALL_GIF[:AT] + b"\x21\xfe" + (b"\xff" + b"a" * 255) * 120_000 + b"\0" + SMALL_GIF[AT:]
    ),
    "ten million blocks of one byte": lambda: (
        SMALL_GIF[:AT] + b"\x21\xfe" + b"\1a" * 10_000_000 + b"\0" + SMALL_GIF[AT:]
    ),
    "many frames": many_frames,
    "a large animation": lambda: encoded(
        Image.new("RGBA", (1900, 1900)),
        "WEBP",
        save_all=True,
        append_images=[Image.new("RGBA", (1900, 1900), (i, 0, 0, 9)) for i in range(3)],
    ),
    "a TIFF that claims 2 GB": lambda: tags(190, 10_000_000),
    "a TIFF of one large tile": lambda: encoded(
        Image.new("L", (2000, 2000)), "TIFF", compression="tiff_lzw"
    ),
    "a large WebP": lambda: encoded(
        Image.effect_noise((2000, 2000), 90), "WEBP", lossless=True, method=0
    ),
}
MEASURE = """
import sys, time, json
import numpy as np
import captcha_helpers as ch
from PIL import Image
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

spec = ch.ModelSpec("ab", (1, 4), 48, 160, channels=3)
Image.init()
spec.prepare(np.eye(20, dtype=np.uint8))
base = peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    for frame in ("first", "most_ink"):
        for _ in range(3):  # a busy machine counts more seconds than the picture costs
            Path("/proc/self/clear_refs").write_text("5")
            start, said = time.process_time(), "read"
            try:
                ch.prepare(path, 48, 160, ch.Processing(frame=frame), channels=3)
            except ch.ImageError as error:
                said = error.reason
            seconds = time.process_time() - start
            if seconds < 0.8 * float(sys.argv[2]):
                break
        print(json.dumps([path.name, frame, seconds, peak() - base, said]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure")
def test_no_picture_costs_more_than_a_second_and_200_megabytes(tmp_path: Path):
    for name, make in COSTLY.items():
        (tmp_path / name).write_bytes(make())
    code = [sys.executable, "-c", MEASURE, str(tmp_path), str(SECONDS)]
    root = captcha_helpers.__file__
    told = subprocess.run(
        code, capture_output=True, text=True, check=True, cwd=Path(root).parents[1]
    )
    figures = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(figures) == 2 * len(COSTLY)
    for name, frame, seconds, megabytes, said in figures:
        print(f"{seconds:5.2f} s {megabytes:4.0f} MB  {name}, {frame}: {said}")
    assert [one for one in figures if one[2] > SECONDS or one[3] > MEGABYTES] == []


def opened(path: Path) -> bool:
    """Whether a model file can be loaded; only one error may say that it cannot."""
    try:
        load(path).read(np.eye(16, 32, dtype=np.uint8))
    except ModelFileError as error:
        assert 10 < len(str(error)) < 1200
        return False
    return True


def test_mutants_of_a_model(tmp_path: Path, figures: dict[str, str]):
    path, data = tmp_path / "a.onnx", onnx_bytes()
    path.write_bytes(data)
    assert opened(path)
    tried = fine = 0
    for changed, _ in mutants(data, "19", SOAK / 3):
        path.write_bytes(changed)
        tried += 1
        fine += opened(path)
    assert 0 < fine < 0.75 * tried
    count("mutants of models, and how many were refused", figures, tried, tried - fine)


@pytest.mark.parametrize("name", ["a.keras", "a.npz"])
def test_mutants_of_an_archive(name: str, tmp_path: Path, figures: dict[str, str]):
    path, tried, told = tmp_path / name, 0, 0
    if name == "a.npz":
        members = {"captcha_helpers.json": SPEC.to_json(), "builder": "cnn_ctc"}
        np.savez_compressed(path, **members)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("captcha_helpers.json", SPEC.to_json())
    data = path.read_bytes()
    assert read_spec(path) == SPEC
    for changed, _ in mutants(data, "19", SOAK / 3):
        path.write_bytes(changed)
        tried += 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                read_spec(path)
            except ModelFileError as error:
                told += 1
                assert 10 < len(str(error)) < 1200
    count("mutants of models, and how many were refused", figures, tried, told)
