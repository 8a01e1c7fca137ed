"""Write a trained model in every common format, and prove that each file reads what Keras reads.

A converted model that is almost right is worse than none: it answers, and nobody looks again. So
`export` opens each file that it wrote in the runtime it is for, lets it read 128 drawn images, and
compares the logits and the strings with those of Keras. A file that differs is not left behind.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

import captcha_helpers
from captcha_helpers.core.charset import ALPHANUMERIC
from captcha_helpers.core.files import refuse_existing, replacing_folder
from captcha_helpers.data.folders import read_labels
from captcha_helpers.data.images import load_image
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.decoder import Decoder
from captcha_helpers.reading.mask import Mask, MaskWarning, fit
from captcha_helpers.reading.model_file import SIDECAR, ModelSpec, read_spec
from captcha_helpers.reading.recognizer import (
    Recognizer,
    from_keras,
    load,
    save_model,
    uncompiled,
)
from captcha_helpers.reading.runtimes import format_of, keras_run, load_keras, open_model
from captcha_helpers.reading.shipped import model_path, shipped_starts

if TYPE_CHECKING:
    import keras

DEFAULT_FORMATS = ("keras", "h5", "savedmodel", "onnx", "litert", "web")  # those written by default
FROM_ONNX = ("onnx", "web")  # those that take no Keras model
CHECKED_IMAGES = 128
CALIBRATION_IMAGES = 128  # show the int8 conversion which values occur
SAMPLES = 24  # images to try on the web page
RAW_SIZES = ((40, 30), (50, 200), (48, 160), (100, 120), (80, 280))  # height, width


class ParityError(ValueError):
    """A converted file does not read what Keras reads."""


class Demand(NamedTuple):
    """What a file must keep of the Keras model.

    Attributes:
        difference: Largest difference of a logit, as a share of the largest logit, or of 10 if
            none is that large.
        same_text: Least share of the images that are read as the same string. A file of which not
            all is demanded is left out if it falls short; another one is an error.
    """

    difference: float
    same_text: float

    def allowed(self, logits: NDArray[np.floating]) -> float:
        """The largest difference from these logits."""
        return self.difference * max(10.0, float(np.abs(logits).max()))


# The same sums in another order. A pale image is divided by its small contrast, which onnxruntime
# sums up less exactly than Keras; that error is then in all logits, in proportion to their size.
EXACT = Demand(difference=2e-3, same_text=1.0)
SHRUNK = Demand(difference=np.inf, same_text=0.9)  # weights of 8 bits
INT8 = Demand(difference=np.inf, same_text=0.7)  # whatever the layers hand on has 8 bits, too
LITERT = {
    "float32": EXACT,
    "float16": Demand(difference=2e-2, same_text=0.97),
    "dynamic_int8": SHRUNK,
    "int8": INT8,
}


@dataclass(frozen=True)
class Parity:
    """How a file compares with the Keras model.

    Attributes:
        file: Its name in the folder; ``web`` only if the page is left out.
        bytes: Its size.
        n: Images compared.
        max_logit_difference: Largest difference of a logit.
        same_text: Share of the images that are read as the same string, 0–1. An image counts as the
            same, too, if Keras itself wavers there: if the allowed difference could turn the
            likeliest class of a frame into another.
        left_out: Why the file is not in the folder; empty if it is.
    """

    file: str
    bytes: int
    n: int
    max_logit_difference: float
    same_text: float
    left_out: str = ""


def export(
    model: Recognizer | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    samples: str | os.PathLike[str] | None = None,
    cdn: bool = False,
    overwrite: bool = False,
) -> list[Parity]:
    """Write a model in other formats, with what one must know to read with them.

    - ``keras``: ``model.keras``, the model as it is;
    - ``h5``: ``model.h5``, for older programs;
    - ``savedmodel``: the folder ``saved_model``, for TensorFlow Serving and its kin;
    - ``onnx``: ``model.onnx``, which takes raw pixels (:mod:`exporting.onnx_graph`);
    - ``onnx-int8``: ``model.int8.onnx``, the same computing in 8 bits (:mod:`exporting.onnx_int8`),
      a third of the size and quicker; not written by default, and left out if too little of what
      Keras reads is kept;
    - ``litert``: ``.tflite`` files for phones and small devices: float32, float16, int8 weights
      (``dynamic_int8``) and int8 all through. The smaller three are left out if too little of what
      Keras reads is kept;
    - ``web``: the folder ``web``, a page that reads images in the browser with the ONNX file; left
      out for a model whose `captcha_helpers.Processing` does more than crop.

    ``metadata.json`` beside them holds the specification and what was measured. The folder appears
    when everything in it is written and checked.

    Args:
        model: A ``.keras`` file that captcha_helpers wrote, what `captcha_helpers.train` gave, or
            the name of a model that ships with the package. Some of those are ONNX files, as any
            ONNX file may be: then only ``onnx`` and ``web`` come about, the others are left out.
        folder: Where to write.
        formats: Which of them.
        charset: As for `captcha_helpers.load`: what is known of the strings is kept in the files,
            and whoever loads them reads with it.
        length: As for `captcha_helpers.load`.
        ignore_case: As for `captcha_helpers.load`.
        samples: For the web page: a folder of images to try. By default some are drawn.
        cdn: Let the page load its runtime (14 MB) from a public address (a CDN) when it is opened.
            By default it is fetched now, with npm or from there, and lies in the folder: the page
            needs no other site then. If it cannot be fetched, the page is left out.
        overwrite: Replace the folder if it holds an earlier export.

    Returns:
        For each file, how it compares with the model, and for each that is not there why.

    Raises:
        FileExistsError: If the folder exists, or shall be replaced and holds no export.
        FileNotFoundError: If there is no such model.
        ParityError: If a file does not read what Keras reads.
        ValueError: If a format is unknown, the model is neither a Keras model nor an ONNX file, or
            nothing of what is wanted can be made of it.
    """
    folder, wanted = Path(folder), _check_formats(formats)
    refuse_existing(folder, overwrite=overwrite)
    if folder.exists() and not (folder / SIDECAR).exists():
        raise FileExistsError(
            f"{os.fspath(folder)!r} holds no export (no {SIDECAR}), so it is not replaced; choose "
            "another folder"
        )
    source = _open_source(model)
    mask = source.reader.spec.mask.but(charset=charset, length=length, ignore_case=ignore_case)
    source = source.with_mask(mask)
    reader, spec = source.reader, source.reader.spec
    for warning in reader.decoder.warnings:
        warnings.warn(warning, MaskWarning, stacklevel=2)
    missing = {name: why for name in formats if (why := _why_not(name, source))}
    wanted = [name for name in wanted if not _why_not(name, source)]
    runtime, why_not = _runtime("web" in formats and "web" not in missing and not cdn)
    missing |= {"web": why_not} if why_not else {}
    if set(missing) == set(formats):
        reasons = "; ".join(f"no {name} of this model: {why}" for name, why in missing.items())
        raise ValueError(f"nothing can be exported; {reasons}")
    with _quiet(), replacing_folder(folder) as partial, _scratch_beside(partial):
        _write_metadata(partial, spec, [])  # some formats have it nowhere else
        images = drawn_images(spec, CHECKED_IMAGES, seed=1)
        seen = _Seen(images, source.reader.run(images))
        checks = [check for name in wanted for check in _write(source, partial, name, seen)]
        checks += [Parity(name, 0, 0, 0.0, 0.0, left_out=why) for name, why in missing.items()]
        if "web" in formats and "web" not in missing:
            _write_web(partial, spec, samples, runtime)
        _write_metadata(partial, spec, checks)
    return checks


def compare(path: str | os.PathLike[str], model: keras.Model, demand: Demand) -> Parity:
    """Let a converted file and the Keras model that it came from read the same drawn images.

    Args:
        path: The file, as `open_model` takes it.
        model: The Keras model.
        demand: What the file must keep of it.

    Returns:
        How the two compare; ``left_out`` says what is wrong, if the file falls short.
    """
    images = drawn_images(read_spec(path), CHECKED_IMAGES, seed=1)
    return _compare(Path(path), _Seen(images, keras_run(model)(images)), demand)


class _Seen(NamedTuple):
    """Images ``(B, height, width, C)``, and the logits ``(B, T, V)`` that a model gave for them."""

    images: NDArray[np.uint8]
    logits: NDArray[np.floating]


def _texts(spec: ModelSpec, logits: NDArray[np.floating]) -> list[str]:
    return [reading.text for reading in Decoder(spec).read(logits)]


def _compare(path: Path, seen: _Seen, demand: Demand) -> Parity:
    spec, (images, expected) = read_spec(path), seen
    received = open_model(path)(images)
    difference, allowed = float(np.abs(received - expected).max()), demand.allowed(expected)
    texts = [_texts(spec, logits) for logits in (expected, received)]
    same = np.array([a == b for a, b in zip(*texts, strict=True)])
    if np.isfinite(demand.difference):
        second, first = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)  # (B, T) each
        same |= (first - second).min(axis=-1) < 2 * allowed
    reasons = []
    if not difference <= allowed:
        reasons.append(f"its logits differ by up to {difference:.4g}, not {allowed:.4g}")
    if same.mean() < demand.same_text:
        reasons.append(f"it reads {same.mean():.1%} as Keras does, not {demand.same_text:.0%}")
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    return Parity(
        path.name, size, len(images), difference, float(same.mean()), " and ".join(reasons)
    )


def drawn_images(spec: ModelSpec, count: int, *, seed: int) -> NDArray[np.uint8]:
    """Draw images with a model's characters, as the model sees them, in looks as it may know.

    A reader in colour knows the looks by name, as the general one does; one in grey, those that are
    made up at random.

    Args:
        spec: What the model expects.
        count: How many.
        seed: Another seed draws others.

    Returns:
        ``(count, height, width, channels)`` uint8.

    Example:
        >>> drawn_images(ModelSpec("0123456789", (4, 4), 48, 160), 2, seed=0).shape
        (2, 48, 160, 1)
    """
    from captcha_helpers.drawing.looks import draw_looks
    from captcha_helpers.drawing.random_looks import draw_images, drawable, fonts_for

    characters, length = _characters(spec), spec.mask.length or spec.length
    kind = {"length": length, "seed": seed, **spec.preparation}
    fonts = fonts_for(characters)
    if spec.channels == 3 and fonts:
        return draw_looks(count, charset=characters, fonts=fonts, **kind)[0]
    draw = draw_looks if spec.channels == 3 else draw_images
    return draw(count, charset=drawable(characters) or ALPHANUMERIC, **kind)[0]


def _characters(spec: ModelSpec) -> str:
    """What may be read with this specification."""
    return fit(spec.mask, spec.charset).charset.characters


class _Source(NamedTuple):
    """What is exported: a reader with a Keras model, or one with the bytes of its ONNX file."""

    reader: Recognizer
    onnx_file: bytes | None = None

    def with_mask(self, mask: Mask) -> _Source:
        """The same, but it reads only what a mask lets through."""
        reader = self.reader
        if mask == reader.spec.mask:
            return self
        spec = replace(reader.spec, mask=mask)
        onnx_file = self.onnx_file
        if onnx_file is not None:
            from captcha_helpers.exporting.onnx_graph import with_spec

            onnx_file = with_spec(onnx_file, spec)
        return _Source(Recognizer(reader.run, spec, reader.keras_model), onnx_file)


def _why_not(name: str, source: _Source) -> str:
    """Say why a format cannot be made of a model; empty if it can."""
    if source.onnx_file is not None and name not in FROM_ONNX:
        return "it takes a Keras model, and this is an ONNX file"
    processing = source.reader.spec.processing
    if name == "web" and replace(processing, auto_crop=False) != Processing():
        return f"the page can crop images and do nothing else to them, but it needs {processing}"
    if name == "web" and processing.auto_crop and source.onnx_file is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(source.onnx_file)
        if "box" not in [output.name for output in session.get_outputs()]:
            return "this ONNX file does not crop; export the .keras file that it came from again"
    return ""


@contextmanager
def _scratch_beside(folder: Path) -> Iterator[None]:
    """Let the converters put their temporary files beside a folder, to be removed with it.

    Some of them leave theirs behind when they are interrupted, or want more room than TMPDIR has.
    """
    scratch, before = folder.with_name("scratch"), tempfile.tempdir
    scratch.mkdir()
    tempfile.tempdir = os.fspath(scratch)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _check_formats(formats: Sequence[str]) -> list[str]:
    """The formats to be written by a writer: the web page needs the ONNX file."""
    known = [*_WRITERS, "web"]
    unknown = ", ".join(sorted(set(formats) - set(known)))
    if unknown or not formats:
        raise ValueError(f"unknown formats {unknown or '(none)'}; choose from {', '.join(known)}")
    needed = {*formats, "onnx"} if "web" in formats else {*formats}
    return [name for name in _WRITERS if name in needed]


def _open_source(model: Recognizer | str | os.PathLike[str]) -> _Source:
    """Open what shall be exported; a Keras model is copied, without what training needs."""
    if isinstance(model, Recognizer):
        if model.keras_model is None:
            raise ValueError(
                "this reader is not from Keras; export the .keras file that it came from"
            )
        return _Source(from_keras(uncompiled(model.keras_model), model.spec))
    path = shipped_starts().get(os.fspath(model)) or model_path(model)
    spec, known = read_spec(path), format_of(path)
    if known.load is not None:
        return _Source(from_keras(uncompiled(load_keras(path)), spec))
    if path.suffix != ".onnx":
        raise ValueError(f"export starts from a .keras or an ONNX file, received {str(path)!r}")
    return _Source(load(path), path.read_bytes())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush what the converters report of themselves and of formats that are old, as is known."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(source: _Source, folder: Path, name: str, seen: _Seen) -> Iterator[Parity]:
    """Write the files of a format; leave those that read what the model itself reads."""
    if source.onnx_file is None:
        written = _WRITERS[name](source.reader.keras_model, source.reader.spec, folder)
    else:
        written = _copy_onnx(source.onnx_file, folder)
    for path, demand in written:
        parity = _compare(path, seen, demand)
        if parity.left_out and demand.same_text == 1.0:
            raise ParityError(
                f"{path.name} does not read what Keras reads: {parity.left_out}. Nothing was "
                f"exported; leave {name!r} out of the formats to have the others"
            )
        if parity.left_out:
            path.unlink()
        yield parity


Written = Iterator[tuple[Path, Demand]]


def _write_keras(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    save_model(model, spec, folder / "model.keras")
    yield folder / "model.keras", EXACT


def _write_h5(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    model.save(folder / "model.h5")
    yield folder / "model.h5", EXACT


def _write_saved_model(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    model.export(folder / "saved_model", verbose=False)
    yield folder / "saved_model", EXACT


def _write_onnx(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    import onnxruntime

    from captcha_helpers.exporting.onnx_graph import build_onnx, part_in_graph

    path = folder / "model.onnx"
    path.write_bytes(build_onnx(model, spec))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in RAW_SIZES:
        image = np.full((height, width, 4), 255, np.uint8)
        image[4:-9, 7:-3] = rng.integers(0, 256, (height - 13, width - 10, 4))
        here = replace(spec, processing=part_in_graph(spec.processing))  # others do the rest
        expected = model.predict_on_batch(here.prepare(image)[None])
        received = session.run(["logits"], {"image": image[None]})[0]
        if not np.allclose(received, expected, atol=EXACT.allowed(expected)):
            raise ParityError(
                f"{path.name} prepares an image of {width}x{height} pixels in another way than "
                "captcha_helpers.prepare; is this version of onnxruntime at fault? Try another"
            )
    yield path, EXACT


def _write_onnx_int8(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    from captcha_helpers.exporting.onnx_graph import build_onnx
    from captcha_helpers.exporting.onnx_int8 import to_int8

    path = folder / "model.int8.onnx"
    seen = drawn_images(spec, CALIBRATION_IMAGES, seed=2)
    path.write_bytes(to_int8(build_onnx(model, spec), seen))
    yield path, INT8


def _copy_onnx(onnx_file: bytes, folder: Path) -> Written:
    (folder / "model.onnx").write_bytes(onnx_file)
    yield folder / "model.onnx", EXACT


def _write_litert(model: keras.Model, spec: ModelSpec, folder: Path) -> Written:
    from captcha_helpers.exporting.litert import convert

    seen = drawn_images(spec, CALIBRATION_IMAGES, seed=2)
    for kind, demand in LITERT.items():
        path = folder / f"model.{kind}.tflite"
        path.write_bytes(convert(model, kind, seen))
        yield path, demand


_WRITERS: dict[str, Callable[[keras.Model, ModelSpec, Path], Written]] = {
    "keras": _write_keras,
    "h5": _write_h5,
    "savedmodel": _write_saved_model,
    "onnx": _write_onnx,
    "onnx-int8": _write_onnx_int8,
    "litert": _write_litert,
}


def _runtime(wanted: bool) -> tuple[dict[str, bytes] | None, str]:
    """The page's runtime if it is wanted, or why it cannot be fetched."""
    from captcha_helpers.exporting.page import fetch_runtime

    try:
        return (fetch_runtime() if wanted else None), ""
    except OSError as error:
        return None, str(error)


def _write_web(
    folder: Path,
    spec: ModelSpec,
    samples: str | os.PathLike[str] | None,
    runtime: dict[str, bytes] | None,
) -> None:
    from captcha_helpers.exporting.page import write_page

    pictures = list(_drawn_samples(spec) if samples is None else _own_samples(samples))
    page = folder / "web"
    page.mkdir()
    write_page(page, (folder / "model.onnx").read_bytes(), spec, pictures, runtime=runtime)


def _drawn_samples(spec: ModelSpec) -> Iterator[tuple[str, bytes]]:
    """Draw labelled images of every look, in colour."""
    from captcha_helpers.drawing.painter import draw, sample_label
    from captcha_helpers.drawing.random_looks import drawable, fonts_for, random_style

    charset = _characters(spec)
    plain, fonts = drawable(charset), fonts_for(charset)
    fewest, most = spec.mask.length or spec.length
    for i in range(SAMPLES):
        rng = np.random.default_rng([3, i])
        length = int(rng.integers(fewest, most + 1))
        style = random_style(rng, length=length, charset=plain or ALPHANUMERIC, rough=False)
        if plain != charset and fonts:
            style = replace(style, charset=charset, fonts=(str(rng.choice(fonts)),))
        label = sample_label(style, rng)
        yield label, _png(Image.fromarray(draw(style, label, rng)))


def _own_samples(folder: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """Take labelled images from all over a folder."""
    pairs = read_labels(folder)
    for path, label in pairs[:: max(1, len(pairs) // SAMPLES)][:SAMPLES]:
        yield label, _png(Image.fromarray(load_image(path)))


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _write_metadata(folder: Path, spec: ModelSpec, checks: list[Parity]) -> None:
    """Write what one must know to read with the files, and how they were made and checked."""
    # By the modules: what the package of TensorFlow is called depends on the machine.
    tools = {"captcha-helpers": captcha_helpers, "numpy": np, "pillow": PIL}
    tools |= {name: sys.modules[name] for name in ("keras", "tensorflow") if name in sys.modules}
    text = spec.to_json(
        exported_with={name: module.__version__ for name, module in sorted(tools.items())},
        files=[asdict(check) for check in checks],
    )
    (folder / SIDECAR).write_text(text, encoding="utf-8")
