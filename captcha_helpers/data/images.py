"""From a file, bytes, a Pillow image or an array to the pixels that a model sees, grey or RGB.

The only place that flattens transparency, makes grey and resizes. Needs numpy and Pillow alone.
What may be done between the last two is in `captcha_helpers.data.processing`.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from captcha_helpers.core.files import refuse_existing, write_bytes
from captcha_helpers.data.processing import LEAST_SIDE, Processing

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | np.ndarray

MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")


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
        return f"{self.name}: {self.reason}"


class NotAnImageError(ImageError):
    """What is in the file is no image of a kind that can be read."""


class TooManyPixelsError(ImageError):
    """An image that was not decoded because it has too many pixels."""


def load_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image as RGB, whatever it is stored as.

    Transparent parts become white, EXIF orientation is applied, 16-bit values are scaled to 8 bits
    and of an animation the first frame is taken.

    Args:
        source: One of

            - a path to a PNG, JPEG, GIF, BMP or WebP file,
            - the bytes of such a file,
            - a Pillow image,
            - an array of shape ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` (RGB) or ``(H, W, 4)``
              (RGBA), uint8 (0 to 255) or uint16 (0 to 65535).
        max_pixels: Files with more pixels are refused by their header, before decoding. Pillow's
            own limit (twice ``PIL.Image.MAX_IMAGE_PIXELS``) holds beside it.

    Returns:
        ``(H, W, 3)`` uint8, 0 to 255. A new array, never a view of ``source``.

    Raises:
        ImageError: If the image is missing, empty, damaged, not an image, too large, smaller than
            4x4 pixels, or an array of another shape or dtype.
        TypeError: If ``source`` is none of the above.

    Example:
        >>> load_image(np.array([[0, 65535]] * 4, np.uint16).repeat(2, axis=1)).shape
        (4, 4, 3)
        >>> load_image("nowhere.png")
        Traceback (most recent call last):
            ...
        captcha_helpers.data.images.ImageError: nowhere.png: there is no such file; check the path
    """
    return np.array(_open_rgb(source, max_pixels))


def to_grey(image: ImageSource) -> np.ndarray:
    """Make an image grey by the ITU-R 601 weights (0.299 R + 0.587 G + 0.114 B).

    Args:
        image: Anything that :func:`load_image` accepts.

    Returns:
        ``(H, W)`` uint8, 0 (black) to 255 (white).

    Raises:
        ImageError: As :func:`load_image`.

    Example:
        >>> int(to_grey(np.full((4, 4, 3), (255, 0, 0), np.uint8))[0, 0])
        76
    """
    return np.array(_open(image, channels=1))


def prepare(
    image: ImageSource,
    height: int,
    width: int,
    processing: Processing | None = None,
    channels: int = 1,
) -> np.ndarray:
    """Turn an image into what a model sees: grey or RGB, and of the model's size.

    The image is stretched to the size by Pillow's BILINEAR filter, which is antialiased when it
    shrinks: first its rows to the width, then its columns to the height, with values rounded in
    between, each channel on its own. A program that reads images without this function must do
    just that. `ModelSpec.prepare` does it for a model.

    Args:
        image: Anything that :func:`load_image` accepts.
        height: Rows of the result.
        width: Columns of the result.
        processing: What is done to the image before; by default nothing.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(height, width, channels)`` uint8, 0 to 255. The division by 255 is the model's own first
        step.

    Raises:
        ImageError: As :func:`load_image`.
        ImportError: If the processing takes OpenCV, which is not installed.
        ValueError: If ``channels`` is neither 1 nor 3.

    Example:
        >>> prepare(np.zeros((50, 200, 3), np.uint8), height=48, width=144).shape
        (48, 144, 1)
    """
    seen = _open(image, channels)
    if processing is not None:
        seen = Image.fromarray(processing.apply(np.array(seen)))
    # One axis at a time: which one Pillow begins with depends on its version (13 changed it).
    seen = seen.resize((width, seen.height), Image.Resampling.BILINEAR)
    seen = seen.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(seen).reshape(height, width, channels)


def prepare_batch(
    images: np.ndarray | Sequence[ImageSource],
    height: int,
    width: int,
    processing: Processing | None = None,
    channels: int = 1,
) -> np.ndarray:
    """Turn several images into what a model sees; see :func:`prepare`.

    Args:
        images: An array ``(B, H, W, C)``, or a sequence of B images of any sizes and kinds.
        height: Rows of the result.
        width: Columns of the result.
        processing: What is done to the image before; by default nothing.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(B, height, width, channels)`` uint8, 0 to 255.

    Raises:
        ImageError: As :func:`load_image`.
        ImportError: If the processing takes OpenCV, which is not installed.
        ValueError: If an array has another number of dimensions, or as :func:`prepare`.

    Example:
        >>> prepare_batch(np.zeros((7, 80, 280, 4), np.uint8), height=48, width=144).shape
        (7, 48, 144, 1)
    """
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise ValueError(
            f"several images need an array of shape (B, H, W, C), got {images.shape}; "
            "use prepare for a single image"
        )
    prepared = np.empty((len(images), height, width, channels), np.uint8)
    for row, image in enumerate(images):
        prepared[row] = prepare(image, height, width, processing, channels)
    return prepared


def preparation_steps(
    image: ImageSource,
    height: int,
    width: int,
    processing: Processing | None = None,
    channels: int = 1,
) -> dict[str, np.ndarray]:
    """Show how an image becomes what a model sees; :func:`prepare` gives the last step alone.

    Args:
        image: Anything that :func:`load_image` accepts.
        height: Rows of the result.
        width: Columns of the result.
        processing: What is done to the image before; by default nothing.
        channels: 1 for grey, 3 for RGB.

    Returns:
        Name and picture of each step, in order: ``original`` ``(H, W, 3)``, for grey ``grey``
        ``(H, W)``, those of `Processing.steps`, and ``model`` ``(height, width)`` or
        ``(height, width, 3)``; all uint8.

    Raises:
        ImageError: As :func:`load_image`.
        ImportError: If the processing takes OpenCV, which is not installed.

    Example:
        >>> image = np.zeros((50, 200, 3), np.uint8)
        >>> steps = preparation_steps(image, 48, 160, Processing(strong=True))
        >>> {name: picture.shape for name, picture in steps.items()}
        {'original': (50, 200, 3), 'grey': (50, 200), 'strong': (50, 200), 'model': (48, 160)}
    """
    original = load_image(image)
    first = {"original": original} | ({"grey": to_grey(original)} if channels == 1 else {})
    between = {} if processing is None else processing.steps(list(first.values())[-1])
    model = prepare(original, height, width, processing, channels)
    return {**first, **between, "model": model[:, :, 0] if channels == 1 else model}


def save_debug(
    image: ImageSource,
    folder: str | os.PathLike[str],
    height: int,
    width: int,
    processing: Processing | None = None,
    channels: int = 1,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write each step of :func:`preparation_steps` to a PNG file, to look at.

    Args:
        image: Anything that :func:`load_image` accepts.
        folder: Where to write ``0_original.png``, ``1_grey.png`` and so on, the last being what
            the model sees. It is made if it is missing.
        height: Rows of what the model sees.
        width: Columns of what the model sees.
        processing: What is done to the image before; by default nothing.
        channels: 1 for grey, 3 for RGB.
        overwrite: Replace files that exist.

    Returns:
        The files, in order.

    Raises:
        FileExistsError: If one of the files exists and `overwrite` is not set; then none is
            written.
        ImageError: As :func:`load_image`.
        ImportError: If the processing takes OpenCV, which is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = save_debug(np.zeros((50, 200, 3), np.uint8), folder, 48, 160)
        >>> [file.name for file in files]
        ['0_original.png', '1_grey.png', '2_model.png']
    """
    steps = preparation_steps(image, height, width, processing, channels)
    files = {Path(folder, f"{n}_{name}.png"): steps[name] for n, name in enumerate(steps)}
    for path in files:
        refuse_existing(path, overwrite=overwrite)
    for path, picture in files.items():
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        write_bytes(path, data.getvalue())
    return list(files)


def _open(image: ImageSource, channels: int) -> Image.Image:
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), received {channels!r}")
    rgb = _open_rgb(image)
    return rgb.convert("L") if channels == 1 else rgb


def _open_rgb(source: ImageSource, max_pixels: int | None = None) -> Image.Image:
    """Open as RGB; ``max_pixels`` is None where the caller cannot move the limit."""
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source, getattr(source, "filename", "") or "the image", max_pixels)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "the image bytes", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _from_file(source, max_pixels)
    raise TypeError(
        "an image must be a path, bytes, a Pillow image or a numpy array, "
        f"got {type(source).__name__}"
    )


def _from_array(array: np.ndarray) -> Image.Image:
    name = f"the array of shape {array.shape}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(name, "an image needs shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    _check_sides(name, width=array.shape[1], height=array.shape[0])
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


def _from_file(path: str | os.PathLike[str], max_pixels: int | None) -> Image.Image:
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            return _decode(file, name, max_pixels)
    except FileNotFoundError:
        raise ImageError(name, "there is no such file; check the path") from None
    except OSError as err:
        raise ImageError(name, f"the file cannot be opened ({err.strerror})") from None


def _decode(file: BinaryIO, name: str, max_pixels: int | None) -> Image.Image:
    """Open by the header, check, and only then decode."""
    if not file.read(1):
        raise ImageError(name, "there is nothing in it (0 bytes); fetch it again or remove it")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise NotAnImageError(
            name,
            "this is not a PNG, JPEG, GIF, BMP or WebP image, whatever its name says; "
            "is it a text or an error page? Fetch it again or remove it",
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(name, max_pixels, by_pillow=True) from None
    except Exception as err:  # Pillow's readers raise anything when they meet a damaged header
        raise _unreadable(name, err) from None
    return _from_pillow(image, name, max_pixels)


def _from_pillow(image: Image.Image, name: str, max_pixels: int | None) -> Image.Image:
    _check_sides(name, image.width, image.height)
    if image.width * image.height > (MAX_PIXELS if max_pixels is None else max_pixels):
        raise _too_large(name, max_pixels)
    try:
        return _flatten(ImageOps.exif_transpose(image), name)
    except ImageError:
        raise
    except Exception as err:  # and when they meet damaged pixels
        raise _unreadable(name, err) from None


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


def _check_sides(name: str, width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE:
        raise ImageError(
            name,
            f"it is only {width}x{height} pixels, at least {LEAST_SIDE}x{LEAST_SIDE} are needed; "
            "is it a placeholder? Fetch it again or remove it",
        )


def _too_large(name: str, max_pixels: int | None, *, by_pillow: bool = False) -> TooManyPixelsError:
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    whose, raised = "", "max_pixels"
    if by_pillow and Image.MAX_IMAGE_PIXELS is not None:
        limit = min(limit, 2 * Image.MAX_IMAGE_PIXELS)
        whose, raised = " (Pillow refused it, see PIL.Image.MAX_IMAGE_PIXELS)", "both limits"
    advice = "shrink or crop it" + ("" if max_pixels is None else f", or raise {raised}")
    return TooManyPixelsError(
        name, f"it is larger than {limit:,} pixels and was not decoded{whose}; {advice}"
    )


def _unreadable(name: str, err: Exception) -> ImageError:
    return ImageError(
        name,
        f"its pixels cannot be read ({err}); a file that is damaged or cut short "
        "must be fetched again or removed",
    )
