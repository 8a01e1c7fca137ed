"""Cut an image into its characters, as readers did before whole lines could be learned.

The steps are `even_grey` (dark ink on a light background), `binarize` (what is ink),
`character_boxes` (where a character stands; what touches is split) and `crops` (one small picture
each). `segment` takes the first three at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs
from captcha_helpers.data.images import ImageSource, load_image

try:
    import cv2
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError(needs("Cutting images into characters needs OpenCV", "train")) from error

_SPECK = 6  # pixels; smaller pieces of ink are no character
_LOW = 0.35  # ink lower than this share of the tallest piece is no character
_REGULARITY = 30.0  # pixels of ink that a cut may cross to make a part of the average width
_RIM = 2  # pixels around a character in its crop


def even_grey(image: ImageSource) -> NDArray[np.uint8]:
    """Make an image grey so that ink is dark, the background light, and pale colours hardly there.

    A pixel gets its brightest channel. Pale colours have one bright channel at least, so that they
    fade into a light background; grey by the usual weights leaves them in the middle. Where the
    background, measured along the image's edge, is dark, the image is inverted first.

    Args:
        image: Anything that :func:`captcha_helpers.data.images.load_image` accepts.

    Returns:
        ``(H, W)`` uint8, 0 to 255.

    Raises:
        ImageError: As :func:`captcha_helpers.data.images.load_image`.

    Example:
        >>> pink = np.full((8, 8, 3), (255, 150, 180), np.uint8)
        >>> int(even_grey(pink)[0, 0])
        255
    """
    rgb = load_image(image)
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    if np.median(edge) < 128:
        rgb = 255 - rgb
    brightest: NDArray[np.uint8] = rgb.max(axis=2)
    return brightest


def binarize(grey: NDArray[np.uint8], *, line: int = 0) -> NDArray[np.bool_]:
    """Say which pixels are ink: those darker than Otsu's threshold.

    Source: Otsu, *A Threshold Selection Method from Gray-Level Histograms*, 1979.

    Args:
        grey: ``(H, W)`` uint8, dark ink on a light background, as `even_grey` makes it.
        line: Take away what is not thicker than so many pixels each way, such as thin lines across
            the text (a morphological opening); 0 leaves everything.

    Returns:
        ``(H, W)`` bool.

    Raises:
        ValueError: If ``grey`` is not ``(H, W)`` uint8, or ``line`` is negative.

    Example:
        >>> grey = np.full((8, 8), 250, np.uint8)
        >>> grey[2:6, 3] = 40
        >>> int(binarize(grey).sum()), int(binarize(grey, line=1).sum())
        (4, 0)
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise ValueError(
            f"binarize needs grey pixels (H, W) uint8, received {grey.shape} {grey.dtype}; "
            "even_grey makes them"
        )
    if line < 0:
        raise ValueError(f"line must be 0 pixels or more, received {line}")
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    if line:
        square = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (line + 1, line + 1))
        ink = cv2.morphologyEx(ink, cv2.MORPH_OPEN, square, borderValue=0)
    return ink > 0


def split_wide(ink: NDArray[np.bool_], parts: int) -> NDArray[np.intp]:
    """Cut touching characters apart, straight down, where together the cuts do the least harm.

    A cut costs the pixels of ink in its column. A part costs the more, the further its width is
    from the average, so that one letter is not cut into slices. Of all ways to cut, the cheapest
    is found by dynamic programming.

    Args:
        ink: ``(H, W)`` bool, the touching characters and nothing else.
        parts: How many characters they are.

    Returns:
        ``(parts + 1,)`` columns: part i goes from column i to before column i + 1.

    Raises:
        ValueError: If ``parts`` is below 1, or there are fewer columns than parts.

    Example:
        >>> ink = np.ones((8, 9), bool)
        >>> ink[:6, 4] = False  # two blocks, joined at the bottom
        >>> split_wide(ink, 2).tolist()
        [0, 4, 9]
    """
    width = ink.shape[1]
    if not 1 <= parts <= width:
        raise ValueError(f"cannot cut {width} columns of ink into {parts} characters")
    columns = np.arange(width + 1)
    widths = columns[None, :] - columns[:, None]  # of a part from row a to column b
    odd = _REGULARITY * (widths * parts / width - 1) ** 2
    costs = np.where(widths > 0, odd, np.inf) + np.append(ink.sum(axis=0), 0)
    best, origins = costs[0], []
    for _ in range(parts - 1):
        totals = best[:, None] + costs
        origins.append(totals.argmin(axis=0))
        best = totals.min(axis=0)
    cuts = [width]
    for origin in reversed(origins):
        cuts.append(origin[cuts[-1]])
    return np.array([0, *reversed(cuts)])


def character_boxes(ink: NDArray[np.bool_], count: int | None = None) -> NDArray[np.intp]:
    """Find where each character stands.

    Connected pieces of ink are the beginning. Those that stand above one another are one character
    (a dot and its i, the halves of a broken letter). Pieces much lower than the tallest are dirt.
    If there are still more than `count`, those with the most ink stay; if there are fewer, the
    widest are split.

    Args:
        ink: ``(H, W)`` bool, from `binarize`.
        count: How many characters there are; without it nothing is split.

    Returns:
        ``(count, 4)`` integers, from left to right: left, top, right and bottom; right and bottom
        are the first pixels beyond.

    Raises:
        ValueError: If there is no ink, or too little for `count` characters, or ``count`` is below
            1.

    Example:
        >>> ink = np.zeros((12, 30), bool)
        >>> ink[2:10, 3:9] = ink[2:10, 12:26] = True
        >>> character_boxes(ink).tolist()
        [[3, 2, 9, 10], [12, 2, 26, 10]]
        >>> character_boxes(ink, 3).tolist()
        [[3, 2, 9, 10], [12, 2, 19, 10], [19, 2, 26, 10]]
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1 character, received {count}")
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    pieces = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area >= _SPECK]
    if not pieces:
        raise ValueError(f"nothing to cut: no piece of ink has {_SPECK} pixels, the image is blank")
    boxes: NDArray[np.intp] = np.array(_stacked(sorted(pieces)))
    heights = boxes[:, 3] - boxes[:, 1]
    boxes = boxes[heights >= _LOW * heights.max()]
    if count is None:
        return boxes
    amounts = [ink[y0:y1, x0:x1].sum() for x0, y0, x1, y1 in boxes]
    boxes = boxes[np.sort(np.argsort(amounts, kind="stable")[-count:])]
    parts = _shares(boxes[:, 2] - boxes[:, 0], count)
    found = [box for piece, n in zip(boxes, parts, strict=True) for box in _parts(ink, piece, n)]
    return np.array(sorted(found))


def _stacked(pieces: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Join pieces, sorted by their left edge, that share most columns of the narrower one."""
    joined = pieces[:1]
    for piece in pieces[1:]:
        last = joined[-1]
        shared = min(last[2], piece[2]) - piece[0]
        if shared > min(last[2] - last[0], piece[2] - piece[0]) / 2:
            lows, highs = (
                zip(last[:2], piece[:2], strict=True),
                zip(last[2:], piece[2:], strict=True),
            )
            joined[-1] = (*map(min, lows), *map(max, highs))
        else:
            joined.append(piece)
    return joined


def _shares(widths: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Say how many of `count` characters each piece is: the widest gets one more, and again."""
    if widths.sum() < count:
        raise ValueError(f"only {widths.sum()} columns of ink for {count} characters")
    parts = np.ones(len(widths), int)
    while parts.sum() < count:
        parts[np.argmax(widths / parts)] += 1
    return parts


def _parts(ink: NDArray[np.bool_], box: NDArray[np.intp], count: int) -> list[tuple[int, ...]]:
    left, top, right, bottom = box.tolist()
    found: list[tuple[int, ...]] = []
    for x0, x1 in pairwise((left + split_wide(ink[top:bottom, left:right], count)).tolist()):
        rows = np.flatnonzero(ink[top:bottom, x0:x1].any(axis=1))
        y0, y1 = (top + rows[0], top + rows[-1] + 1) if len(rows) else (top, bottom)
        found.append((x0, int(y0), x1, int(y1)))
    return found


def segment(image: ImageSource, count: int | None = None, *, line: int = 0) -> NDArray[np.intp]:
    """Find where each character of an image stands: `even_grey`, `binarize`, `character_boxes`.

    Args:
        image: Anything that :func:`captcha_helpers.data.images.load_image` accepts.
        count: How many characters there are; without it, touching ones are one.
        line: As in `binarize`.

    Returns:
        ``(count, 4)`` integers, from left to right: left, top, right and bottom in pixels.

    Raises:
        ValueError: If the image is blank, or there is too little ink for `count` characters.

    Example:
        >>> from captcha_helpers.drawing.painter import generate
        >>> images, labels = generate("stars", 1, seed=61)
        >>> segment(images[0], 6).shape
        (6, 4)
    """
    return character_boxes(binarize(even_grey(image), line=line), count)


def crops(
    image: ImageSource, boxes: NDArray[np.intp] | Sequence[Sequence[int]], *, size: int = 32
) -> NDArray[np.uint8]:
    """Cut characters out, each centred and enlarged until it fills its picture but for a rim.

    Width and height are enlarged alike, so an l stays narrow. What stands beside the character is
    seen too, in grey: a network reads that better than bare ink.

    Args:
        image: The image that the boxes are of.
        boxes: ``(n, 4)`` left, top, right and bottom, from `segment`.
        size: Rows and columns of each crop.

    Returns:
        ``(n, size, size, 1)`` uint8, 0 to 255, as the models want them.

    Raises:
        ValueError: If a box is empty, or ``size`` is too small for the rim.

    Example:
        >>> crops(np.zeros((40, 90, 3), np.uint8), [(3, 5, 20, 35)]).shape
        (1, 32, 32, 1)
    """
    if size <= 2 * _RIM:
        raise ValueError(f"size must be more than {2 * _RIM} pixels, received {size}")
    grey = even_grey(image)
    cut = np.empty((len(boxes), size, size, 1), np.uint8)
    for crop, (left, top, right, bottom) in zip(cut, np.asarray(boxes).tolist(), strict=True):
        if left >= right or top >= bottom:
            raise ValueError(f"the box {(left, top, right, bottom)} is empty")
        scale = (size - 2 * _RIM) / max(right - left, bottom - top)
        # OpenCV counts from the middle of a pixel, boxes from the edge of one.
        x, y = (size - 1) / 2 - scale * np.array([left + right - 1, top + bottom - 1]) / 2
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        crop[..., 0] = cv2.warpAffine(grey, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return cut
