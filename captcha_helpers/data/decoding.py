"""Whatever holds an image (a path, bytes, a file, text, a Pillow image, an array) to RGB pixels.

The only place that opens images and flattens transparency. Sizes are checked before pixels are
decoded, so that one image takes at most 200 MB and a second, and a file that is damaged where its
format can tell is an error.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageChops, ImageFile

from captcha_helpers.data.containers import (
    Container,
    ContainerError,
    kind_of,
    look_through,
    orientation_of,
)
from captcha_helpers.data.processing import LEAST_SIDE, ink

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray"
)
Frame = Literal["first", "last", "most_ink", "blended"]

MAX_PIXELS = 4_000_000
MAX_SIDE = 10_000
MAX_ASPECT = 100
MAX_FRAMES = 200
MAX_FRAME_PIXELS = 4 * MAX_PIXELS  # of all frames together
BYTES_A_PIXEL = 8  # of the largest format without compression: 16 bits of four channels
MORE_BYTES = 1_000_000  # for what else is in a file
IMAGE_FORMATS = "PNG, JPEG, GIF, BMP, WebP, TIFF or AVIF"
MID_GREY, NEAR_GREY = 128, 40  # what a JPEG decoder fills in, and what its neighbours make of it
LONGEST_NAME = 200

# How the formats begin when they are written in base64. BMP has too few bytes to be told so.
_BASE64 = re.compile(r"\s*(iVBORw0KGgo|/9j/|R0lGOD|UklGR|SUkqA|TU0AK|AAAA)[A-Za-z0-9+/=\s]{60,}\Z")
_DATA_URI = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_ONE_TIFF = threading.Lock()  # because filters of warnings are for all threads
_READERS = {  # Pillow's names
    "PNG": "Png",
    "JPEG": "Jpeg",
    "GIF": "Gif",
    "BMP": "Bmp",
    "WEBP": "WebP",
    "TIFF": "Tiff",
    "AVIF": "Avif",
}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """An image that cannot be used.

    Args:
        name: The file, or what stands for it ("the array").
        reason: What is wrong and what to do about it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{_shortened(self.name)}: {self.reason}"


class NotAnImageError(ImageError):
    """What is in the file is no image of a kind that can be read."""


class TooManyPixelsError(ImageError):
    """An image that was not decoded because it has too many pixels."""


class BlankImageError(ImageError):
    """An image of one colour, in which there is nothing to read."""


def open_rgb(
    source: ImageSource,
    *,
    max_pixels: int | None = None,
    frame: Frame = "first",
    strict: bool = True,
    allow_blank: bool = True,
) -> Image.Image:
    """Open an image as RGB; `captcha_helpers.load_image` says what can be opened.

    Args:
        source: What holds the image.
        max_pixels: More are refused; None is `MAX_PIXELS`, where the caller cannot move the limit.
        frame: Which one of an animation.
        strict: Whether a file that is damaged, but not so that Pillow minds, is an error.
        allow_blank: Whether an image of one colour is none.

    Returns:
        A Pillow image of mode RGB.

    Raises:
        ImageError: If the image cannot be used.
        TypeError: If the source is of another type.
        ValueError: If there is no such frame.
    """
    if frame not in ("first", "last", "most_ink", "blended"):
        raise ValueError(
            f"frame must be 'first', 'last', 'most_ink' or 'blended', received {frame!r}"
        )
    name = _name_of(source)
    try:
        image = _open(source, name, max_pixels, frame, strict)
    except MemoryError:
        raise ImageError(name, "there is not enough memory for it; shrink or crop it") from None
    if not allow_blank and image.getcolors(1) is not None:
        raise BlankImageError(
            name,
            "it is blank: all of it is one colour, so there is nothing to read. Is it a "
            "placeholder, white on a transparent background, or an animation with an empty first "
            "frame (train and predict read another by --frame most_ink, Python by "
            "Processing(frame='most_ink'))?",
        )
    return image


def _name_of(source: ImageSource) -> str:
    if isinstance(source, (str, os.PathLike)):
        is_text = isinstance(source, str) and _is_text(source)
        return "the image text" if is_text else str(os.fspath(source))
    if isinstance(source, np.ndarray):
        return f"the array of shape {source.shape}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the image bytes"
    named = getattr(source, "filename" if isinstance(source, Image.Image) else "name", "")
    return str(named) if isinstance(named, str) and named else "the image"


def _open(
    source: ImageSource, name: str, max_pixels: int | None, frame: Frame, strict: bool
) -> Image.Image:
    if isinstance(source, np.ndarray):
        return _from_array(source, name, max_pixels)
    if isinstance(source, Image.Image):
        upright = orientation_of(_bytes_of(source.info.get("exif")))
        return _from_pillow(source, name, max_pixels, Container(b"", upright), "first")
    limit = BYTES_A_PIXEL * (MAX_PIXELS if max_pixels is None else max_pixels) + MORE_BYTES
    if isinstance(source, (str, os.PathLike)):
        is_text = isinstance(source, str) and _is_text(source)
        data = _from_text(str(source), name) if is_text else _from_file(source, name, limit)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source[: limit + 1])
    elif callable(getattr(source, "read", None)):
        data = _from_stream(source, name, limit)
    else:
        raise TypeError(
            "an image must be a path, bytes, an open file, a Pillow image or a numpy array, "
            f"got {type(source).__name__}"
        )
    if len(data) > limit:
        raise _too_many_bytes(name, limit)
    kind = kind_of(data)
    if kind != "TIFF":
        return _decode(data, kind, name, max_pixels, frame, strict)
    with _ONE_TIFF, warnings.catch_warnings():  # Pillow's reader warns of this and that
        warnings.simplefilter("ignore")
        return _decode(data, kind, name, max_pixels, frame, strict)


def _is_text(source: str) -> bool:
    """Whether this is an image as text and no path; paths are looked at first, being short."""
    return len(source) > 20 and bool(_DATA_URI.match(source) or _BASE64.match(source))


def _from_text(text: str, name: str) -> bytes:
    """Bytes of a data URI, or of base64 as it is."""
    head = _DATA_URI.match(text)
    if head and not head[0].lower().endswith(";base64,"):
        raise ImageError(name, "it is a data URI, but not in base64; decode it and pass the bytes")
    try:
        return base64.b64decode("".join(text[head.end() if head else 0 :].split()), validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(
            name, f"its {len(text):,} characters are no base64; was it cut short?"
        ) from None


def _from_file(path: str | os.PathLike[str], name: str, limit: int) -> bytes:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):  # it may have no end, or wait for who writes
                raise ImageError(
                    name,
                    "it is a pipe or a device and no regular file; pass the bytes that it gives",
                )
            if found.st_size > limit:
                raise _too_many_bytes(name, limit)
            return file.read()
    except FileNotFoundError:
        raise ImageError(name, "there is no such file; check the path") from None
    except OSError as err:
        raise ImageError(name, f"the file cannot be opened ({err.strerror})") from None
    except ValueError as err:
        if isinstance(err, ImageError):
            raise
        raise ImageError(name, f"this is no path ({err})") from None  # it has a NUL in it


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a pipe even if nobody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _from_stream(file: BinaryIO, name: str, limit: int) -> bytes:
    """All of an open file, from its beginning if it can go there; it is left where it was."""
    try:
        place = file.tell() if file.seekable() else None
        if place is not None:
            file.seek(0)
        data = file.read(limit + 1)
        if place is not None:
            file.seek(place)
    except (OSError, ValueError, AttributeError) as err:
        raise ImageError(name, f"the file cannot be read ({err})") from None
    if not isinstance(data, bytes):
        raise ImageError(name, "the file gives text; open it in the mode 'rb'")
    return data


def _decode(
    data: bytes, kind: str, name: str, max_pixels: int | None, frame: Frame, strict: bool
) -> Image.Image:
    """Open by the header, check, and only then decode."""
    if not kind:
        raise _not_an_image(data, name)
    if kind == "AVIF" and not _reads_avif():
        raise NotAnImageError(
            name, "this Pillow reads no AVIF; install Pillow 11.3 or later, or save it as PNG"
        )
    try:
        found = look_through(data, kind)
    except ContainerError as err:
        raise _unreadable(name, err) from None
    if found.damage and strict:
        raise _damaged(name, found.damage)
    image = _opened(found.data, kind, name)
    rgb = _from_pillow(image, name, max_pixels, found, frame)
    if strict and found.suspect and _is_cut(image, found):
        raise _damaged(name, "it ends early, although its end was put back")
    return rgb


def _is_cut(image: Image.Image, found: Container) -> bool:
    """Whether a JPEG's data end before its pixels do.

    Where nothing is left a decoder fills in mid-grey, and says so to nobody. But if there is more
    behind the data, it takes that: so an image is cut if bytes there change it.
    """
    last = image.getpixel((image.width - 1, image.height - 1))
    values = last if isinstance(last, tuple) else (last,)
    if found.scans == 1 and not all(abs((v or 0) - MID_GREY) <= NEAR_GREY for v in values):
        return False
    try:
        noisy = _reader("JPEG")(io.BytesIO(found.suspect))
        return ImageChops.difference(image, noisy).getbbox() is not None
    except OSError:  # it tried to read them
        return True


def _opened(data: bytes, kind: str, name: str) -> ImageFile.ImageFile:
    """Read the header; without `Image.open`, which warns where we refuse."""
    try:
        return _reader(kind)(io.BytesIO(data))
    except Exception as err:  # Pillow's readers raise anything when they meet a damaged header
        raise _unreadable(name, err) from None


def _reader(kind: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """Pillow's class for a format; its modules are imported when they are needed."""
    module = importlib.import_module(f"PIL.{_READERS[kind]}ImagePlugin")
    reader: Callable[[BinaryIO], ImageFile.ImageFile]
    reader = getattr(module, f"{_READERS[kind]}ImageFile")
    return reader


def _reads_avif() -> bool:
    try:
        from PIL import AvifImagePlugin
    except ImportError:
        return False
    return bool(AvifImagePlugin.SUPPORTED)


def _from_pillow(
    image: Image.Image, name: str, max_pixels: int | None, found: Container, frame: Frame
) -> Image.Image:
    _check_size(name, image.width, image.height, max_pixels)
    orientation = found.orientation
    if found.data:  # the plug-in for AVIF writes down how the image is to be rotated
        orientation = max(orientation, orientation_of(_bytes_of(image.info.get("exif"))))
    try:
        rgb = _frame_of(image, name, frame)
        turn = _TRANSPOSE.get(orientation)
        return rgb if turn is None else rgb.transpose(turn)
    except (ImageError, MemoryError):
        raise
    except Exception as err:  # and when they meet damaged pixels
        raise _unreadable(name, err) from None


def _bytes_of(exif: object) -> bytes:
    return exif if isinstance(exif, bytes) else b""


def _frame_of(image: Image.Image, name: str, frame: Frame) -> Image.Image:
    """One image of an animation, as RGB; of a still image, the image."""
    if frame == "first" or not getattr(image, "is_animated", False):
        return _flatten(image, name)
    count = getattr(image, "n_frames", 1)
    if count > MAX_FRAMES or count * image.width * image.height > MAX_FRAME_PIXELS:
        raise TooManyPixelsError(
            name,
            f"it is an animation of {count} frames, too many to look at; read its first frame",
        )
    if frame == "last":
        image.seek(count - 1)
        return _flatten(image, name)
    total = np.zeros((image.height, image.width, 3), np.uint32)
    best, most = Image.new("RGB", image.size), -1
    for number in range(count):
        image.seek(number)
        rgb = _flatten(image, name)
        if frame == "blended":
            total += np.asarray(rgb)
        elif (here := ink(np.asarray(rgb.convert("L")))) > most:
            best, most = rgb, here
    if frame == "most_ink":
        return best
    return Image.fromarray(((total + count // 2) // count).astype(np.uint8))


def _from_array(array: np.ndarray, name: str, max_pixels: int | None) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(name, "an image needs shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    _check_size(name, array.shape[1], array.shape[0], max_pixels)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # in either byte order
        array = _to_8_bits(array)
    if array.dtype != np.uint8:
        raise ImageError(
            name,
            f"the dtype is {array.dtype}, but pixels must be uint8 (0 to 255) or uint16; "
            "for values from 0 to 1 use (255 * array).round().astype('uint8')",
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _flatten(Image.fromarray(array), name)


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """Any mode to RGB over white."""
    if image.mode == "F":
        raise ImageError(
            name,
            "its pixels are floats of unknown range (mode 'F'); "
            "scale them to 0 to 255 and convert the image to mode 'L'",
        )
    if image.mode.startswith("I"):  # 16-bit grey: "I;16" or, in older versions of Pillow, "I"
        values = np.array(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                name,
                f"its pixels have more than 16 bits (from {values.min()} to {values.max()}); "
                "scale them to 0 to 255 and convert the image to mode 'L'",
            )
        if "transparency" in image.info:
            values[values == image.info["transparency"]] = 65535
        return Image.fromarray(_to_8_bits(values)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """0..65535 to 0..255, rounded."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _check_size(name: str, width: int, height: int, max_pixels: int | None) -> None:
    if min(width, height) < LEAST_SIDE:
        raise ImageError(
            name,
            f"it is only {width}x{height} pixels, at least {LEAST_SIDE}x{LEAST_SIDE} are needed; "
            "is it a placeholder? Fetch it again or remove it",
        )
    if width * height > (MAX_PIXELS if max_pixels is None else max_pixels):
        raise _too_large(name, max_pixels)
    if max(width, height) > min(MAX_SIDE, MAX_ASPECT * min(width, height)):
        raise TooManyPixelsError(
            name,
            f"it is {width}x{height} pixels and was not decoded: a side may have {MAX_SIDE:,} "
            f"pixels and be {MAX_ASPECT} times the other, at most; crop it",
        )


def _not_an_image(data: bytes, name: str) -> ImageError:
    if not data:
        return ImageError(name, "there is nothing in it (0 bytes); fetch it again or remove it")
    if b"<svg" in data[:4096].lower():
        return NotAnImageError(name, "it is an SVG drawing, not pixels; save it as PNG")
    return NotAnImageError(
        name,
        f"this is not a {IMAGE_FORMATS} image, whatever its name says; "
        "is it a text or an error page? Fetch it again or remove it",
    )


def _too_large(name: str, max_pixels: int | None) -> TooManyPixelsError:
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    advice = "shrink or crop it" + ("" if max_pixels is None else ", or raise max_pixels")
    return TooManyPixelsError(
        name, f"it is larger than {limit:,} pixels and was not decoded; {advice}"
    )


def _too_many_bytes(name: str, limit: int) -> TooManyPixelsError:
    return TooManyPixelsError(
        name, f"it has more than {limit:,} bytes and was not decoded; shrink or crop it"
    )


def _damaged(name: str, damage: str) -> ImageError:
    return ImageError(
        name,
        f"the file is damaged or cut short ({damage}); fetch it again or remove it "
        "(strict=False reads what can be read of it)",
    )


def _unreadable(name: str, err: Exception | str) -> ImageError:
    return ImageError(
        name,
        f"its pixels cannot be read ({err}); a file that is damaged or cut short "
        "must be fetched again or removed",
    )


def _shortened(name: str) -> str:
    """A name that fits into a line."""
    return name if len(name) <= LONGEST_NAME else f"{name[:80]}… ({len(name):,} characters)"
