"""Connectionist temporal classification (CTC): from a model's frames to characters.

A CTC model says, for each of T frames from left to right, how likely each class is. Class 0 is the
*blank* ("no new character here"); characters start at 1. A string is read by merging repeated
classes and then dropping the blanks, so ``5 5 - 5 3 3`` (``-`` is the blank) reads ``553``.

Source: Graves et al., *Connectionist Temporal Classification*, ICML 2006. The loss is
``keras.losses.CTC``, which follows the same convention and wants logits, not probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captcha_helpers.core.charset import BLANK_INDEX


def _as_frames(logits: ArrayLike) -> NDArray[np.floating]:
    frames = np.asarray(logits)
    if frames.ndim != 3 or 0 in frames.shape[1:]:
        raise ValueError(
            f"logits must have the shape (B, T, V) with T and V above 0, received {frames.shape}; "
            "for one image use logits[None]"
        )
    return frames


def required_time_steps(label: Sequence[object]) -> int:
    """Count the frames that CTC needs at least to write a label.

    One frame a character, and one blank between two equal neighbours.

    Args:
        label: A string, or its class indices.

    Returns:
        The least number of frames T.

    Example:
        >>> required_time_steps("5335"), required_time_steps("5353")
        (5, 4)
    """
    return len(label) + sum(a == b for a, b in zip(label, label[1:], strict=False))


def best_paths(logits: ArrayLike, *, length: tuple[int, int] | None = None) -> NDArray[np.int32]:
    """Find the most likely class of each frame; on request, among paths that spell some length.

    If all labels of a kind of CAPTCHA have five characters, a path that spells four is wrong for
    sure. Such a path is replaced by the most likely one of an allowed length (Viterbi's algorithm,
    with the number of characters so far as part of the state).

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        length: Fewest and most characters that a path may spell; any number by default.

    Returns:
        ``(B, T)`` int32 class indices, one for each frame.

    Raises:
        ValueError: If ``logits`` does not have three axes, or T frames are too few for the length.

    Example:
        >>> frames = np.log([[[0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]]])
        >>> best_paths(frames), best_paths(frames, length=(3, 3))
        (array([[1, 0, 1]], dtype=int32), array([[1, 2, 1]], dtype=int32))
    """
    frames = _as_frames(logits)
    paths = frames.argmax(axis=-1).astype(np.int32)
    if length is None:
        return paths
    if length[0] > frames.shape[1]:
        raise ValueError(f"{frames.shape[1]} frames cannot spell {length[0]} characters")
    counts = _starts(paths).sum(axis=1)
    for row in np.flatnonzero((counts < length[0]) | (counts > length[1])):
        paths[row] = _best_path_of_length(frames[row], *length)
    return paths


def _starts(paths: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark the frames at which a path writes a character, ``(B, T)``."""
    previous = np.pad(paths, ((0, 0), (1, 0)), constant_values=BLANK_INDEX)[:, :-1]
    return (paths != BLANK_INDEX) & (paths != previous)


def _best_path_of_length(frames: NDArray[np.floating], fewest: int, most: int) -> NDArray[np.int32]:
    """Viterbi over (characters so far, class of this frame) for one image ``(T, V)``."""
    steps, classes = frames.shape
    # score[k, c]: best path so far that has written k characters and stands on class c
    score = np.full((most + 1, classes), -np.inf)
    score[0, BLANK_INDEX] = 0.0  # a blank before the first frame changes nothing
    came_from = np.zeros((steps, most + 1, classes), np.int32)  # class of the frame before
    column = np.arange(classes)
    for step, gain in enumerate(frames.astype("float64")):
        first = score.argmax(axis=1)  # (K + 1,) best class to come from
        without = score.copy()
        without[np.arange(most + 1), first] = -np.inf
        second = without.argmax(axis=1)  # and the best other one
        # To write class c, k goes up by one and the frame before must stand on another class.
        origin = np.where(first[:-1, None] == column, second[:-1, None], first[:-1, None])
        moved = np.take_along_axis(score[:-1], origin, axis=1)
        here = np.broadcast_to(column, score.shape).copy()
        best = score.copy()
        better = moved > best[1:]
        best[1:][better], here[1:][better] = moved[better], origin[better]
        best[:, BLANK_INDEX], here[:, BLANK_INDEX] = score.max(axis=1), first
        score, came_from[step] = best + gain, here
    return _walk_back(score, came_from, fewest)


def _walk_back(
    score: NDArray[np.floating], came_from: NDArray[np.int32], fewest: int
) -> NDArray[np.int32]:
    count, best = np.unravel_index(score[fewest:].argmax(), score[fewest:].shape)
    count += fewest
    path = np.zeros(len(came_from), np.int32)
    for step in range(len(came_from) - 1, -1, -1):
        path[step] = best
        before = came_from[step, count, best]
        if best not in (BLANK_INDEX, before):
            count -= 1
        best = before
    return path


def greedy_decode(logits: ArrayLike, *, length: tuple[int, int] | None = None) -> NDArray[np.int32]:
    """Read the best class of each frame, merge repeats, drop blanks.

    Args:
        logits: ``(B, T, V)`` scores of any kind that grows with likelihood (logits,
            log-probabilities or probabilities); class 0 is the blank.
        length: Fewest and most characters of a string, if that is known; see `best_paths`, which
            needs logits.

    Returns:
        ``(B, T)`` int32 class indices, written from the left and padded with 0.
        ``Charset.decode`` turns them into strings.

    Raises:
        ValueError: If ``logits`` does not have three axes.

    Example:
        >>> frames = np.eye(3)[[1, 1, 0, 1, 2, 2]]  # 1 1 - 1 2 2
        >>> greedy_decode(frames[None])
        array([[1, 1, 2, 0, 0, 0]], dtype=int32)
    """
    best = best_paths(logits, length=length)  # (B, T)
    keep = _starts(best)
    decoded = np.zeros_like(best)
    rows, frames = np.nonzero(keep)
    decoded[rows, keep.cumsum(axis=1)[rows, frames] - 1] = best[rows, frames]
    return decoded


def beam_search_decode(logits: ArrayLike, *, beam_width: int = 50) -> NDArray[np.int32]:
    """Read the most likely strings with Keras' beam search, which adds up a string's many paths.

    Args:
        logits: ``(B, T, V)`` logits. Not probabilities: the search would read them wrongly.
        beam_width: How many strings are followed at a time.

    Returns:
        ``(B, T)`` int32 class indices, written from the left and padded with 0.

    Raises:
        ValueError: If ``logits`` does not have three axes, or look like probabilities.

    Example:
        >>> frames = 9.0 * np.eye(3)[[1, 1, 0, 1, 2, 2]]
        >>> beam_search_decode(frames[None])
        array([[1, 1, 2, 0, 0, 0]], dtype=int32)
    """
    import keras

    frames = _as_frames(logits).astype("float32")
    if (frames >= 0).all() and np.allclose(frames.sum(axis=-1), 1, atol=1e-3):
        raise ValueError("these are probabilities (each frame adds up to 1): pass the logits")
    batch, time_steps, _ = frames.shape
    paths, _ = keras.ops.ctc_decode(
        frames,
        np.full(batch, time_steps, "int32"),
        strategy="beam_search",
        beam_width=beam_width,
        top_paths=1,
        mask_index=BLANK_INDEX,
    )
    found = np.asarray(keras.ops.convert_to_numpy(paths))[0]  # (B, up to T); padded with 0 or -1
    decoded = np.zeros((batch, time_steps), "int32")
    decoded[:, : found.shape[1]] = np.maximum(found, 0)
    return decoded


@dataclass(frozen=True)
class FrameSpan:
    """Where one decoded character stands on the time axis.

    Attributes:
        index: Class index, 1 or above.
        start: First frame.
        stop: One past the last frame.
        confidence: Highest probability of the class within the span, 0–1.
    """

    index: int
    start: int
    stop: int
    confidence: float


def frame_alignment(
    logits: ArrayLike, *, length: tuple[int, int] | None = None
) -> list[list[FrameSpan]]:
    """Say for each character of the greedy reading which frames it came from.

    Frame ``t`` of T covers the columns ``t * width / T`` to ``(t + 1) * width / T`` of the image.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        length: As for `greedy_decode`.

    Returns:
        For each image, its characters from left to right.

    Example:
        >>> frames = 9.0 * np.eye(3)[[1, 1, 0, 2]]
        >>> [(span.index, span.start, span.stop) for span in frame_alignment(frames[None])[0]]
        [(1, 0, 2), (2, 3, 4)]
    """
    aligned = []
    # The same paths as in greedy_decode, of the logits: probabilities round near ties to ties.
    for best, row in zip(best_paths(logits, length=length), softmax(logits), strict=True):
        edges = np.flatnonzero(np.diff(best)) + 1
        bounds = np.concatenate([[0], edges, [len(best)]])
        aligned.append(
            [
                FrameSpan(int(best[a]), int(a), int(b), float(row[a:b, best[a]].max()))
                for a, b in zip(bounds[:-1], bounds[1:], strict=True)
                if best[a] != BLANK_INDEX
            ]
        )
    return aligned


def string_probability(logits: ArrayLike, indices: ArrayLike) -> NDArray[np.float64]:
    """Add up the probabilities of all paths that spell a string: how sure the model is of it.

    The forward pass of CTC. ``-log`` of the result is the loss that ``keras.losses.CTC`` gives.

    Source: Graves et al., 2006, section 4.1.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        indices: ``(B, L)`` class indices, written from the left and padded with 0.

    Returns:
        ``(B,)`` float64 in 0–1.

    Raises:
        ValueError: If ``logits`` does not have three axes or the batches differ.

    Example:
        >>> frames = np.log([[[0.6, 0.4], [0.6, 0.4]]])
        >>> string_probability(frames, [[1]]).round(2)  # "1-", "-1" and "11"
        array([0.64])
    """
    frames, indices = _as_frames(logits), np.asarray(indices)
    batch, labels = np.arange(len(frames))[:, None], indices.shape[-1]
    if indices.shape != (len(frames), labels) or indices.max(initial=0) >= frames.shape[2]:
        raise ValueError(
            f"indices {indices.shape} up to {indices.max(initial=0)} do not fit to logits "
            f"{frames.shape}; they must be (B, L) and below V"
        )
    classes = np.full((len(frames), 2 * labels + 1), BLANK_INDEX)  # blanks around each character
    classes[:, 1::2] = indices
    with np.errstate(divide="ignore"):
        steps = np.log(softmax(frames))[
            batch[:, :, None], np.arange(frames.shape[1])[:, None], classes[:, None]
        ]  # (B, T, 2 L + 1)
    skips = np.zeros_like(classes, bool)  # from one character straight to another one
    skips[:, 3::2] = indices[:, 1:] != indices[:, :-1]
    chance = np.full(classes.shape, -np.inf)
    chance[:, :2] = steps[:, 0, :2]
    for step in range(1, frames.shape[1]):
        before = np.pad(chance, ((0, 0), (2, 0)), constant_values=-np.inf)
        arrived = np.logaddexp(chance, before[:, 1:-1])
        chance = np.logaddexp(arrived, np.where(skips, before[:, :-2], -np.inf))
        chance += steps[:, step]
    last = 2 * (indices != BLANK_INDEX).sum(axis=1, keepdims=True)
    ends = np.logaddexp(chance[batch, last], np.where(last > 0, chance[batch, last - 1], -np.inf))
    return np.exp(ends[:, 0])


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Turn logits into probabilities over the last axis.

    Args:
        logits: ``(..., V)`` logits.

    Returns:
        ``(..., V)`` float64 in 0–1, each row adding up to 1.

    Example:
        >>> softmax([0.0, 0.0])
        array([0.5, 0.5])
    """
    scores = np.asarray(logits, dtype="float64")
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)
