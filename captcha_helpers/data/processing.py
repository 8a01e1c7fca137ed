"""Change an image so that it is easier to read, before it gets the model's size.

All of it is off unless a model's specification asks for it, so that reading does what training did:
of the readers that ship, the general one crops, and so does what is trained from it. numpy is
enough, but for CLAHE, which needs OpenCV.

Every function takes and gives ``(H, W)`` uint8, 0 (black) to 255 (white), or ``(H, W, 3)``, RGB.
What there is to decide about an RGB image (whether it is dark, which pixel is the darkest) its grey
decides for all three channels; but where its ink is, any of them may tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs

Pixels = NDArray[np.uint8]  # (H, W) or (H, W, 3)

LEAST_CONTRAST = 16  # levels of 256; what differs less from the background is no ink
INK_SHARE = 0.125  # of the largest difference from the background, from which on a pixel is ink
MARGIN = 0.1  # of the ink's height, left around it
LEAST_MARGIN = 2  # pixels
LEAST_SIDE = 4  # pixels; smaller images are refused
RED, GREEN, BLUE = 19595, 38470, 7471  # ITU-R 601 weights in 1/65536, as Pillow has them
CLIP_LIMIT = 2.0
TILES = (4, 2)  # columns, rows; in OpenCV's own 8x8 a tile is smaller than a character


@dataclass(frozen=True)
class Processing:
    """What is done to an image, grey or RGB, before it gets the model's size.

    The order is fixed: inversion, thicker strokes, cropping, contrast. Whether an image is dark is
    best told while its edges are there, and CLAHE best spent on the part that stays.

    Attributes:
        invert: ``"auto"`` turns images with light characters on a dark background into their
            negatives (`is_dark`), ``"always"`` all images, ``"no"`` none.
        strong: Make strokes a pixel thicker (`thicken`).
        auto_crop: Cut away the empty edges (`auto_crop`), unless the image has the model's size.
        clahe: Raise the contrast of each part on its own (`clahe`); takes OpenCV.
        frame: Which frame of an animation is read: ``"first"``, ``"last"``, ``"most_ink"`` (where
            most pixels differ from the background) or ``"blended"`` (the mean of all).

    Raises:
        ValueError: If a value is none of these.

    Example:
        >>> image = np.zeros((60, 200), np.uint8)
        >>> image[20:40, 50:150] = 255
        >>> done = Processing(invert="auto", auto_crop=True).apply(image)
        >>> done.shape, int(done[0, 0])
        ((24, 104), 255)
    """

    invert: Literal["no", "auto", "always"] = "no"
    strong: bool = False
    auto_crop: bool = False
    clahe: bool = False
    frame: Literal["first", "last", "most_ink", "blended"] = "first"

    def __post_init__(self) -> None:
        if self.invert not in ("no", "auto", "always"):
            raise ValueError(f"invert must be 'no', 'auto' or 'always', received {self.invert!r}")
        for name in ("strong", "auto_crop", "clahe"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, received {getattr(self, name)!r}")
        if self.frame not in _FRAMES:
            raise ValueError(f"frame must be one of {', '.join(_FRAMES)}, received {self.frame!r}")

    def apply(self, image: Pixels) -> Pixels:
        """Do all that is asked for.

        Args:
            image: ``(H, W)`` or ``(H, W, 3)`` uint8, at least 4x4.

        Returns:
            ``(h, w)`` or ``(h, w, 3)`` uint8, at least 4x4; smaller if the image was cropped.

        Raises:
            ImportError: If CLAHE is asked for and OpenCV is not installed.
        """
        for _, change in self._changes():
            image = change(image)
        return image

    def steps(self, image: Pixels) -> dict[str, Pixels]:
        """Do all that is asked for, and keep the image after each step.

        Args:
            image: As `apply` takes it.

        Returns:
            The name of each option that is not off, in order, and the image after it.

        Example:
            >>> image = np.full((20, 60), 255, np.uint8)
            >>> list(Processing(strong=True, invert="auto").steps(image))
            ['invert', 'strong']
        """
        done = {}
        for name, change in self._changes():
            image = done[name] = change(image)
        return done

    def describe(self) -> list[str]:
        """Say what is done, for whoever has to do it in another program.

        Returns:
            A sentence for each step, in order.

        Example:
            >>> Processing(invert="always").describe()
            ['take 255 less the value']
        """
        chosen = [] if self.frame == "first" else [f"of an animation {_FRAMES[self.frame]}"]
        return chosen + [_IN_WORDS[change] for _, change in self._changes()]

    def _changes(self) -> list[tuple[str, Callable[[Pixels], Pixels]]]:
        """Name and function of each step, in order."""
        invert_some = _invert_if_dark if self.invert == "auto" else invert
        every = {
            "invert": (self.invert != "no", invert_some),
            "strong": (self.strong, thicken),
            "auto_crop": (self.auto_crop, auto_crop),
            "clahe": (self.clahe, clahe),
        }
        return [(name, change) for name, (wanted, change) in every.items() if wanted]


def is_dark(image: Pixels) -> bool:
    """Tell whether an image shows light characters on a dark background.

    The background is what most of the outermost pixels are like (their median); the characters make
    the mean of all pixels lighter or darker than it. Where the two are the same, as in an image of
    one grey, the first pixel decides. So of an image and its negative always exactly one is dark.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        Whether the background is darker than what is on it.

    Example:
        >>> image = np.full((6, 20), 90, np.uint8)
        >>> image[2:4, 5:15] = 30
        >>> is_dark(image), is_dark(invert(image))
        (False, True)
    """
    grey = _grey(image)
    excess = 2 * int(grey.sum(dtype=np.int64)) - round(2 * float(_background(grey))) * grey.size
    return excess > 0 or (excess == 0 and bool(grey[0, 0] < 128))


def ink(image: Pixels) -> int:
    """Count the pixels that differ from the background.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        How many pixels differ from the median of the outermost ones by `LEAST_CONTRAST` or more.

    Example:
        >>> image = np.full((6, 20), 90, np.uint8)
        >>> image[2:4, 5:15] = 30
        >>> ink(image)
        20
    """
    grey = _grey(image)
    return int((np.abs(grey - _background(grey)) >= LEAST_CONTRAST).sum())


def invert(image: Pixels) -> Pixels:
    """Turn an image into its negative.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        Of the same shape, uint8: 255 less the value.

    Example:
        >>> invert(np.array([[0, 255, 100]], np.uint8))
        array([[255,   0, 155]], dtype=uint8)
    """
    return 255 - image


def thicken(image: Pixels) -> Pixels:
    """Make strokes one pixel thicker, to the right and downwards.

    Each pixel becomes the darkest of itself and its neighbours to the left, above and between; or
    the lightest, if the strokes are light on a dark background (`is_dark`).

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        Of the same shape, uint8.

    Example:
        >>> image = np.full((5, 7), 255, np.uint8)
        >>> image[2, 3] = 0
        >>> int((thicken(image) == 0).sum())
        4
    """
    grey = _near(_grey(image))
    strongest = grey.argmax(axis=0) if is_dark(image) else grey.argmin(axis=0)  # (H, W), 0 to 3
    strongest = strongest.reshape(1, *strongest.shape, *[1] * (image.ndim - 2))
    thicker: Pixels = np.take_along_axis(_near(image), strongest, axis=0)[0]
    return thicker


def _near(image: Pixels) -> Pixels:
    """Each pixel, and its neighbours to the left, above and between, along a new first axis."""
    edged = np.pad(image, ((1, 0), (1, 0), (0, 0))[: image.ndim], mode="edge")
    return np.stack([edged[1:, 1:], edged[1:, :-1], edged[:-1, 1:], edged[:-1, :-1]])


def auto_crop(image: Pixels) -> Pixels:
    """Cut away the empty edges around the ink.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        ``(h, w)`` or ``(h, w, 3)`` uint8, the part of the image that `ink_box` says.

    Example:
        >>> image = np.full((60, 200), 255, np.uint8)
        >>> image[20:40, 50:150] = 0
        >>> auto_crop(image).shape
        (24, 104)
    """
    return image[ink_box(image)].copy()


def ink_box(image: Pixels) -> tuple[slice, slice]:
    """Find the part of an image that has ink.

    Ink is what differs from the background (the median of the outermost pixels) by at least an
    eighth of the largest difference, and by 16 levels: low enough for a pale letter next to a black
    one. In an RGB image it may be in any channel, each of which has a background of its own, so
    that red on a green of the same lightness is ink. A margin of a tenth of the ink's height stays,
    at least 2 pixels, if the image has it. Lines and specks are ink too: where they reach the edges
    nothing is cut away.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        Its rows and its columns, at least 4 of each if the image has them; all of the image if
        there is no ink.

    Example:
        >>> image = np.full((60, 200), 255, np.uint8)
        >>> image[20:40, 50:150] = 0
        >>> ink_box(image)
        (slice(18, 42, None), slice(48, 152, None))
    """
    differs = np.abs(image - _background(image))
    if image.ndim == 3:
        differs = differs.max(axis=2)
    most = differs.max()
    if most < LEAST_CONTRAST:
        return slice(0, image.shape[0]), slice(0, image.shape[1])
    strong = differs >= max(LEAST_CONTRAST, INK_SHARE * most)
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    margin = max(LEAST_MARGIN, round(MARGIN * (int(rows[-1]) - int(rows[0]) + 1)))
    return _span(rows, margin, image.shape[0]), _span(columns, margin, image.shape[1])


def clahe(image: Pixels) -> Pixels:
    """Raise the contrast of each part of an image on its own (CLAHE).

    Contrast Limited Adaptive Histogram Equalization, as OpenCV has it; of an RGB image it changes
    the luminance alone (Y of YCrCb).

    Source: Zuiderveld, *Contrast Limited Adaptive Histogram Equalization*, 1994.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` uint8.

    Returns:
        Of the same shape, uint8.

    Raises:
        ImportError: If OpenCV is not installed.

    Example:
        >>> faint = np.random.default_rng(0).integers(100, 140, (48, 160), np.uint8)
        >>> bool(np.ptp(clahe(faint)) > 2 * np.ptp(faint))
        True
    """
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise ImportError(needs("CLAHE needs OpenCV", "train")) from error
    equalise = cv2.createCLAHE(CLIP_LIMIT, TILES).apply
    if image.ndim == 2:
        return np.asarray(equalise(image), np.uint8)
    luminance = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luminance[:, :, 0] = equalise(np.ascontiguousarray(luminance[:, :, 0]))
    return np.asarray(cv2.cvtColor(luminance, cv2.COLOR_YCrCb2RGB), np.uint8)


def _invert_if_dark(image: Pixels) -> Pixels:
    return invert(image) if is_dark(image) else image


def _grey(image: Pixels) -> Pixels:
    """An image as it is if grey, or the grey of an RGB image, as Pillow makes it."""
    if image.ndim == 2:
        return image
    sums = np.full(image.shape[:-1], 32768, np.uint32)
    for channel, weight in enumerate((RED, GREEN, BLUE)):
        sums += image[..., channel].astype(np.uint32) * weight  # NumPy 1 would stay in 16 bits
    return (sums >> 16).astype(np.uint8)


def _background(image: Pixels) -> NDArray[np.float64]:
    """The median of the outermost pixels, of each channel: whole numbers or halves."""
    edges = (image[0], image[-1], image[1:-1, 0], image[1:-1, -1])
    return np.asarray(np.median(np.concatenate(edges), axis=0), np.float64)


def _span(places: NDArray[np.integer], margin: int, size: int) -> slice:
    """From the first to the last of these places (in order) with a margin, at least 4 pixels."""
    first, last = int(places[0]) - margin, int(places[-1]) + 1 + margin
    first = max(0, min(first, size - LEAST_SIDE))
    return slice(first, min(size, max(last, first + LEAST_SIDE)))


_FRAMES = {
    "first": "take the first frame",
    "last": "take the last frame",
    "most_ink": "take the frame in which most pixels differ from the background",
    "blended": "take the mean of all frames",
}
_DARK = (
    "the mean of all pixels is above the median of the outermost ones, or the same and the first "
    "pixel below 128"
)
_IN_WORDS: dict[Callable[[Pixels], Pixels], str] = {
    invert: "take 255 less the value",
    _invert_if_dark: f"take 255 less the value if {_DARK}",
    thicken: (
        "let each pixel be the darkest of itself and its neighbours to the left, above and "
        f"between, or the lightest if {_DARK}"
    ),
    auto_crop: (
        "cut out the box of all pixels that differ, in any channel, from the median of the "
        f"outermost pixels by at least {LEAST_CONTRAST} and {INK_SHARE} of the largest difference, "
        f"with a margin of {MARGIN} of its height and at least {LEAST_MARGIN} pixels where the "
        "image has them; leave the image as it is if there are none, or if it has the size already "
        "that it will be resized to"
    ),
    clahe: f"CLAHE as in OpenCV: createCLAHE({CLIP_LIMIT}, {TILES})",
}
