"""From a file, bytes, a Pillow image or an array to the pixels that a model sees, grey or RGB.

The only place that makes grey and resizes. Needs numpy and Pillow alone. How images are opened is
in `captcha_helpers.data.decoding`, what may be done between the two in
`captcha_helpers.data.processing`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from captcha_helpers.core.files import refuse_existing, write_bytes
from captcha_helpers.data.decoding import (
    MAX_PIXELS,
    BlankImageError,
    Frame,
    ImageError,
    ImageSource,
    NotAnImageError,
    TooManyPixelsError,
    open_rgb,
)
from captcha_helpers.data.processing import Processing

__all__ = [
    "MAX_PIXELS",
    "BlankImageError",
    "Frame",
    "ImageError",
    "ImageSource",
    "NotAnImageError",
    "TooManyPixelsError",
    "load_image",
    "preparation_steps",
    "prepare",
    "prepare_batch",
    "save_debug",
    "to_grey",
]


def load_image(
    source: ImageSource,
    *,
    max_pixels: int = MAX_PIXELS,
    frame: Frame = "first",
    strict: bool = True,
    allow_blank: bool = True,
) -> np.ndarray:
    """Read an image as RGB, whatever it is stored as.

    Transparent parts become white, EXIF orientation is applied (as browsers do; that of XMP is not)
    and 16-bit values are scaled to 8 bits.

    Args:
        source: One of

            - a path to a PNG, JPEG, GIF, BMP, WebP, TIFF or AVIF file (a pipe or a device is none),
            - the bytes of such a file, or an open one (``open(path, "rb")``, ``BytesIO``),
            - such a file as text: a data URI, or base64,
            - a Pillow image, as Pillow has decoded it,
            - an array of shape ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` (RGB) or ``(H, W, 4)``
              (RGBA), uint8 (0 to 255) or uint16 (0 to 65535).
        max_pixels: Images with more pixels are refused, files by their header, before decoding. So
            are files of more than 8 bytes for each of these pixels and a megabyte, sides above
            10,000 pixels, and sides 100 times the other.
        frame: Which frame of an animation: ``"first"``, ``"last"``, ``"most_ink"`` (where most
            pixels differ from the background) or ``"blended"`` (the mean of all).
        strict: Whether a file is refused whose damage its format can tell, but of which something
            can be decoded: a PNG with a wrong checksum, a JPEG that ends early. False takes what
            the decoder makes of it.
        allow_blank: Whether an image of one colour is one.

    Returns:
        ``(H, W, 3)`` uint8, 0 to 255. A new array, never a view of ``source``.

    Raises:
        ImageError: If the image is missing, empty, damaged, not an image, too large, smaller than
            4x4 pixels, blank although that is not allowed, or an array of another shape or dtype.
        TypeError: If ``source`` is none of the above.

    Example:
        >>> load_image(np.array([[0, 65535]] * 4, np.uint16).repeat(2, axis=1)).shape
        (4, 4, 3)
        >>> load_image("nowhere.png")
        Traceback (most recent call last):
            ...
        captcha_helpers.data.decoding.ImageError: nowhere.png: there is no such file; check the path
    """
    return np.array(
        open_rgb(source, max_pixels=max_pixels, frame=frame, strict=strict, allow_blank=allow_blank)
    )


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
    *,
    strict: bool = True,
    allow_blank: bool = True,
) -> np.ndarray:
    """Turn an image into what a model sees: grey or RGB, and of the model's size.

    The image is stretched to the size by Pillow's BILINEAR filter, which is antialiased when it
    shrinks: first its rows to the width, then its columns to the height, with values rounded in
    between, each channel on its own. A program that reads images without this function must do
    just that. `ModelSpec.prepare` does it for a model. An image that has this size already is not
    cropped, whatever the processing says: it may have been prepared before.

    Args:
        image: Anything that :func:`load_image` accepts.
        height: Rows of the result.
        width: Columns of the result.
        processing: What is done to the image before; by default nothing.
        channels: 1 for grey, 3 for RGB.
        strict: As :func:`load_image`.
        allow_blank: As :func:`load_image`.

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
    frame = "first" if processing is None else processing.frame
    seen = _open(image, channels, frame, strict, allow_blank)
    if processing is not None:
        pixels = np.array(seen)
        seen = Image.fromarray(_for_size(processing, pixels, height, width).apply(pixels))
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
    original = load_image(image, frame="first" if processing is None else processing.frame)
    first = {"original": original} | ({"grey": to_grey(original)} if channels == 1 else {})
    begun = list(first.values())[-1]
    between = {} if processing is None else _for_size(processing, begun, height, width).steps(begun)
    model = prepare(original, height, width, processing, channels)
    return {**first, **between, "model": model[:, :, 0] if channels == 1 else model}


def _for_size(processing: Processing, image: np.ndarray, height: int, width: int) -> Processing:
    """What is done to an image that gets this size: one that has it is not cropped."""
    fits = image.shape[:2] == (height, width)
    return replace(processing, auto_crop=False) if fits else processing


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
    """Save each step of :func:`preparation_steps` as a PNG file, to look at.

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


def _open(
    image: ImageSource,
    channels: int,
    frame: Frame = "first",
    strict: bool = True,
    allow_blank: bool = True,
) -> Image.Image:
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), received {channels!r}")
    rgb = open_rgb(image, frame=frame, strict=strict, allow_blank=allow_blank)
    return rgb.convert("L") if channels == 1 else rgb
