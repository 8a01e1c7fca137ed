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
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captcha_helpers.core.charset import BLANK_INDEX

_LOWEST = -1e300  # of a logarithm that takes part in a difference
_SMALLEST = 1e-300  # of a divisor
_RARE_STRING = 1e-250  # below it, probabilities that are added up may have been rounded to 0
_RARE_LENGTH = 1e-3  # below it, so may differences between them


class LengthError(ValueError):
    """A model has too few frames, or positions, for strings of that length."""


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
    return len(label) + sum(a == b for a, b in pairwise(label))


def best_paths(logits: ArrayLike, *, length: tuple[int, int] | None = None) -> NDArray[np.int32]:
    """Find the most likely class of each frame; on request, among paths that spell some length.

    If all labels of a kind of CAPTCHA have five characters, a path that spells four is wrong for
    sure. Such a path is replaced by the most likely one of an allowed length (Viterbi's algorithm,
    with the number of characters so far as part of the state). To allow some characters only, leave
    out the columns of the others: ``logits[..., [0, *allowed]]``.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        length: Fewest and most characters that a path may spell; any number by default.

    Returns:
        ``(B, T)`` int32 class indices, one for each frame.

    Raises:
        ValueError: If ``logits`` does not have three axes.
        LengthError: If T frames are too few for the length.

    Example:
        >>> frames = np.log([[[0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]]])
        >>> best_paths(frames), best_paths(frames, length=(3, 3))
        (array([[1, 0, 1]], dtype=int32), array([[1, 2, 1]], dtype=int32))
    """
    frames = _as_frames(logits)
    paths: NDArray[np.int32] = frames.argmax(axis=-1).astype(np.int32)
    if length is None:
        return paths
    fewest, most = _check_length(frames, length)
    counts = _starts(paths).sum(axis=1)
    wrong = (counts < fewest) | (counts > most)
    if wrong.any():
        paths[wrong] = _best_paths_of_length(frames[wrong], fewest, most)
    return paths


def _check_length(frames: NDArray[np.floating], length: tuple[int, int]) -> tuple[int, int]:
    _, time_steps, classes = frames.shape
    needed = required_time_steps("a" * length[0] if classes == 2 else range(length[0]))
    if needed > time_steps:
        alike = " that are all the same" * (classes == 2)
        raise LengthError(f"{time_steps} frames cannot spell {length[0]} characters{alike}")
    return length[0], min(length[1], time_steps)


def _starts(paths: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark the frames at which a path writes a character, ``(B, T)``."""
    starts: NDArray[np.bool_] = paths != BLANK_INDEX
    starts[:, 1:] &= paths[:, 1:] != paths[:, :-1]
    return starts


class _Step(NamedTuple):
    """How the best paths came to one frame, for each number of characters k so far."""

    first: NDArray[np.intp]  # (B, K + 1) best class of the frame before
    second: NDArray[np.intp]  # (B, K + 1) and the best other one
    moved: NDArray[np.bool_]  # (B, K + 1, V) whether this class wrote the last of them


def _best_paths_of_length(
    frames: NDArray[np.floating], fewest: int, most: int
) -> NDArray[np.int32]:
    """Viterbi over (characters so far, class of this frame), all images ``(B, T, V)`` at a time."""
    # score[b, k, c]: best path so far that has written k characters and stands on class c
    score = np.full((len(frames), most + 1, frames.shape[2]), -np.inf)
    score[:, 0, BLANK_INDEX] = 0.0  # a blank before the first frame changes nothing
    steps = []
    for gain in frames.astype("float64").swapaxes(0, 1):
        first, best = _highest(score)
        others = score.copy()
        np.put_along_axis(others, first[..., None], -np.inf, axis=2)
        second, next_best = _highest(others)
        # To write class c, k goes up by one and the frame before must stand on another class.
        arrived = np.repeat(best[:, :-1, None], frames.shape[2], axis=2)
        np.put_along_axis(arrived, first[:, :-1, None], next_best[:, :-1, None], axis=2)
        moved = np.zeros(score.shape, bool)
        moved[:, 1:] = arrived > score[:, 1:]
        steps.append(_Step(first, second, moved))
        np.maximum(score[:, 1:], arrived, out=score[:, 1:])
        score[:, :, BLANK_INDEX] = best
        score += gain[:, None]
    return _walk_back(score, steps, fewest)


def _highest(score: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """The best class, and its score, along the last axis."""
    best = score.argmax(axis=-1)
    return best, np.take_along_axis(score, best[..., None], axis=-1)[..., 0]


def _walk_back(
    score: NDArray[np.floating], steps: Sequence[_Step], fewest: int
) -> NDArray[np.int32]:
    rows = np.arange(len(score))
    count, index = divmod(score[:, fewest:].reshape(len(rows), -1).argmax(axis=1), score.shape[2])
    count += fewest
    path = np.zeros((len(rows), len(steps)), np.int32)
    for step in range(len(steps) - 1, -1, -1):
        path[:, step] = index
        first, second, moved = steps[step]
        blank = index == BLANK_INDEX
        wrote = moved[rows, count, index] & ~blank
        count -= wrote
        origin = first[rows, count]
        origin = np.where(wrote & (origin == index), second[rows, count], origin)
        index = np.where(blank | wrote, origin, index)
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
    return merge_paths(best_paths(logits, length=length))


def merge_paths(paths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Merge the repeated classes of each path, then drop its blanks.

    Args:
        paths: ``(B, T)`` class indices, one for each frame.

    Returns:
        ``(B, T)`` class indices, written from the left and padded with 0.

    Example:
        >>> merge_paths(np.array([[1, 1, 0, 1, 2, 2]], "int32"))
        array([[1, 1, 2, 0, 0, 0]], dtype=int32)
    """
    keep = _starts(paths)
    merged = np.zeros_like(paths)
    rows, frames = np.nonzero(keep)
    merged[rows, keep.cumsum(axis=1)[rows, frames] - 1] = paths[rows, frames]
    return merged


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
    paths = best_paths(logits, length=length)
    spans = path_spans(paths, softmax(logits))
    aligned: list[list[FrameSpan]] = [[] for _ in paths]
    columns = (spans.row, spans.class_index, spans.start, spans.stop, spans.confidence)
    for row, *span in zip(*(column.tolist() for column in columns), strict=True):
        aligned[row].append(FrameSpan(*span))
    return aligned


class Spans(NamedTuple):
    """The characters of many paths, one after the other: arrays of N entries.

    Attributes:
        row: Which path it is.
        class_index: 1 or above.
        start: First frame.
        stop: One past the last frame.
        peak: The frame at which the class is likeliest.
        confidence: Its probability there, 0–1.
    """

    row: NDArray[np.intp]
    class_index: NDArray[np.int32]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]
    peak: NDArray[np.intp]
    confidence: NDArray[np.float64]


def path_spans(paths: NDArray[np.int32], probabilities: NDArray[np.float64]) -> Spans:
    """Find the characters of paths and the frames that each of them comes from.

    Args:
        paths: ``(B, T)`` class indices, as `best_paths` gives them.
        probabilities: ``(B, T, V)``, as `softmax` gives them.

    Returns:
        The characters, path after path, each from left to right.

    Example:
        >>> spans = path_spans(np.array([[1, 1, 0, 2]]), softmax(9 * np.eye(3)[[[1, 1, 0, 2]]]))
        >>> list(zip(spans.class_index.tolist(), spans.start.tolist(), spans.stop.tolist()))
        [(1, 0, 2), (2, 3, 4)]
    """
    time_steps = paths.shape[1]
    changes = np.ones(paths.shape, bool)
    changes[:, 1:] = paths[:, 1:] != paths[:, :-1]
    begins = np.flatnonzero(changes)  # of runs of one class, in all paths laid end to end
    lengths = np.diff(begins, append=paths.size)
    chosen = np.take_along_axis(probabilities, paths[:, :, None], axis=2).ravel()
    highest = np.maximum.reduceat(chosen, begins)
    run_of = np.repeat(np.arange(len(begins)), lengths)
    at_peak = np.flatnonzero(chosen == highest[run_of])
    peaks = at_peak[np.unique(run_of[at_peak], return_index=True)[1]]
    index = paths.ravel()[begins]
    kept = index != BLANK_INDEX
    row, start = np.divmod(begins[kept], time_steps)
    peak = peaks[kept] % time_steps
    return Spans(row, index[kept], start, start + lengths[kept], peak, highest[kept])


def string_probability(
    logits: ArrayLike, indices: ArrayLike, *, length: tuple[int, int] | None = None
) -> NDArray[np.float64]:
    """Add up the probabilities of all paths that spell a string: how sure the model is of it.

    The forward pass of CTC. ``-log`` of the result is the loss that ``keras.losses.CTC`` gives. If
    the length is known, it is the probability among the strings of that length: the probability of
    the string divided by that of all of them, `length_probability`.

    Source: Graves et al., 2006, section 4.1.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        indices: ``(B, L)`` class indices, written from the left and padded with 0.
        length: Fewest and most characters of a string, if that is known for sure.

    Returns:
        ``(B,)`` float64 in 0–1.

    Raises:
        ValueError: If ``logits`` does not have three axes or the batches differ.
        LengthError: If T frames are too few for the length.

    Example:
        >>> frames = np.log([[[0.6, 0.4], [0.6, 0.4]]])
        >>> string_probability(frames, [[1]]).round(2)  # "1-", "-1" and "11"
        array([0.64])
        >>> string_probability(frames, [[1]], length=(1, 1))  # two frames spell nothing longer
        array([1.])
    """
    frames, indices = _as_frames(logits), np.asarray(indices)
    if indices.shape != (len(frames), indices.shape[-1]) or (
        indices.max(initial=0) >= frames.shape[2]
    ):
        raise ValueError(
            f"indices {indices.shape} up to {indices.max(initial=0)} do not fit to logits "
            f"{frames.shape}; they must be (B, L) and below V"
        )
    return _string_probability(softmax(frames), indices, length)


def _string_probability(
    probabilities: NDArray[np.float64],
    indices: NDArray[np.integer],
    length: tuple[int, int] | None,
) -> NDArray[np.float64]:
    chances = _log_of_strings(probabilities, indices)
    if length is not None:
        fewest, most = _check_length(probabilities, length)
        counts = (indices != BLANK_INDEX).sum(axis=1)
        chances[(counts < fewest) | (counts > most)] = -np.inf
        chances -= _log_of_lengths(probabilities, fewest, most)
    return np.exp(np.minimum(chances, 0.0))


class Strings(NamedTuple):
    """What `read_strings` reads.

    Attributes:
        indices: ``(B, L)`` class indices, padded with 0.
        confidences: ``(B,)``, as `string_probability` gives them.
        spans: The characters, and the frames that they come from.
        probabilities: ``(B, T, V)`` of each class in each frame.
    """

    indices: NDArray[np.int32]
    confidences: NDArray[np.float64]
    spans: Spans
    probabilities: NDArray[np.float64]


def read_strings(
    logits: ArrayLike,
    *,
    length: tuple[int, int] | None = None,
    given: tuple[int, int] | None = None,
) -> Strings:
    """Do `greedy_decode`, `string_probability` and `frame_alignment` at once, which is quicker.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        length: Fewest and most characters of what is read, as for `greedy_decode`.
        given: Those of the strings that are possible at all, as for `string_probability`.

    Returns:
        The strings.

    Raises:
        ValueError: If ``logits`` does not have three axes.
        LengthError: If T frames are too few for a length.

    Example:
        >>> found = read_strings(6.0 * np.eye(3)[[[1, 1, 0, 2]]])
        >>> found.indices, found.confidences.round(3)
        (array([[1, 2]], dtype=int32), array([0.99]))
    """
    paths = best_paths(logits, length=length)
    probabilities = softmax(logits)
    indices = merge_paths(paths)
    indices = indices[:, : max(1, np.count_nonzero(indices, axis=1).max(initial=0))]
    confidences = _string_probability(probabilities, indices, given)
    return Strings(indices, confidences, path_spans(paths, probabilities), probabilities)


def length_probability(logits: ArrayLike, length: tuple[int, int]) -> NDArray[np.float64]:
    """Add up the probabilities of all strings that have so many characters.

    The forward pass of CTC with (characters so far, class of the frame) as its states.

    Args:
        logits: ``(B, T, V)`` logits; class 0 is the blank.
        length: Fewest and most characters.

    Returns:
        ``(B,)`` float64 in 0–1.

    Raises:
        ValueError: If ``logits`` does not have three axes.
        LengthError: If T frames are too few for the length.

    Example:
        >>> frames = np.log([[[0.6, 0.4], [0.6, 0.4]]])
        >>> length_probability(frames, (1, 2)).round(2)  # all but "--"
        array([0.64])
    """
    frames = _as_frames(logits)
    chances = _log_of_lengths(softmax(frames), *_check_length(frames, length))
    return np.exp(np.minimum(chances, 0.0))


def _log_of_strings(
    probabilities: NDArray[np.float64], indices: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Logarithm of the probability of strings ``(B, L)``, by CTC's forward pass."""
    classes = _with_blanks(indices)
    gains = np.take_along_axis(probabilities, classes[:, None], axis=2)  # (B, T, 2 L + 1)
    skips = classes[:, 2:] != classes[:, :-2]  # straight from one character to another one
    chance = np.zeros(classes.shape)
    chance[:, 0] = 1.0  # before the first frame
    for gain in gains.swapaxes(0, 1):
        ways = chance.copy()
        ways[:, 1:] += chance[:, :-1]
        ways[:, 2:] += chance[:, :-2] * skips
        chance = ways * gain
    batch, last = np.arange(len(indices)), 2 * (indices != BLANK_INDEX).sum(axis=1)
    total = chance[batch, last] + np.where(last > 0, chance[batch, last - 1], 0.0)
    logarithms, rare = _log(total), total < _RARE_STRING
    if rare.any():
        logarithms[rare] = _log_of_rare_strings(probabilities[rare], indices[rare])
    return logarithms


def _with_blanks(indices: NDArray[np.integer]) -> NDArray[np.integer]:
    """Put a blank before, between and after characters ``(B, L)``: ``(B, 2 L + 1)``."""
    classes = np.full((len(indices), 2 * indices.shape[1] + 1), BLANK_INDEX)
    classes[:, 1::2] = indices
    return classes


def _log_of_rare_strings(
    probabilities: NDArray[np.float64], indices: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The same with logarithms all the way, which is slower and rounds nothing to 0."""
    batch, classes = np.arange(len(indices))[:, None], _with_blanks(indices)
    gains = _log(np.take_along_axis(probabilities, classes[:, None], axis=2))  # (B, T, 2 L + 1)
    no_skip = np.full(classes.shape, -np.inf)  # 0 from one character straight to another one
    no_skip[:, 3::2][indices[:, 1:] != indices[:, :-1]] = 0.0
    # ways[i]: log of the chance to be in a state after coming from the i-th state before it
    ways = np.full((3, *classes.shape), -np.inf)
    chance = np.full(classes.shape, -np.inf)
    chance[:, 0] = 0.0  # before the first frame
    for gain in gains.swapaxes(0, 1):
        ways[0], ways[1, :, 1:] = chance, chance[:, :-1]
        np.add(chance[:, :-2], no_skip[:, 2:], out=ways[2, :, 2:])
        chance = _log_of_sum(ways) + gain
    last = 2 * (indices != BLANK_INDEX).sum(axis=1, keepdims=True)
    ends = np.where(last > 0, chance[batch, last - 1], -np.inf), chance[batch, last]
    return _log_of_sum(np.stack(ends))[:, 0]


def _log_of_lengths(
    probabilities: NDArray[np.float64], fewest: int, most: int
) -> NDArray[np.float64]:
    """Logarithm of the probability of all strings with so many characters."""
    batch, _, classes = probabilities.shape
    # chance[b, k, c]: to have written k characters and stand on class c
    chance = np.zeros((batch, most + 1, classes))
    chance[:, 0, BLANK_INDEX] = 1.0
    for gain in probabilities.swapaxes(0, 1):
        total = chance.sum(axis=2)
        others = total[:, :-1, None] - chance[:, :-1]
        chance[:, 1:] += others
        chance[:, :, BLANK_INDEX] = total
        chance *= gain[:, None]
    total = chance[:, fewest:].sum(axis=(1, 2))
    logarithms, rare = _log(total), total < _RARE_LENGTH
    if rare.any():
        logarithms[rare] = _log_of_rare_lengths(probabilities[rare], fewest, most)
    return logarithms


def _log_of_rare_lengths(
    probabilities: NDArray[np.float64], fewest: int, most: int
) -> NDArray[np.float64]:
    """The same to a high precision, however unlikely they are, which is slower."""
    batch, _, classes = probabilities.shape
    # exp(scale[b, k]) * share[b, k, c]: the chance to have written k characters and stand on class
    # c. Each k has a scale of its own, so that an unlikely number of them does not round to 0.
    share = np.zeros((batch, most + 1, classes))
    share[:, 0, BLANK_INDEX] = 1.0
    scales = np.full((batch, most + 2), -np.inf)  # those of k - 1 and of k, in two views
    before, scale = scales[:, :-1], scales[:, 1:]
    scale[:, 0] = 0.0
    for gain in probabilities.swapaxes(0, 1):
        both = np.maximum(np.maximum(scale, before), _LOWEST)
        stay, move = np.exp(scale - both), np.exp(before - both)
        total, others = _sums(share)
        share *= stay[..., None]
        share[:, 1:] += others[:, :-1] * move[:, 1:, None]
        share[:, :, BLANK_INDEX] = total * stay
        share *= gain[:, None]
        highest = share.max(axis=2)
        share /= np.maximum(highest, _SMALLEST)[..., None]
        scale[...] = both + _log(highest)
    ends = scale + _log(share.sum(axis=2))
    return _log_of_sum(ends[:, fewest:].T)


def _sums(share: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum of the last axis, and for each class the sum of all others.

    The latter is the sum less the class, but for the highest class, where so little may be left
    that the difference would be wrong.
    """
    total = share.sum(axis=2)
    others = total[..., None] - share
    rest = share.reshape(-1, share.shape[2]).copy()
    first = np.arange(len(rest)), rest.argmax(axis=1)
    rest[first] = 0.0
    others.reshape(rest.shape)[first] = rest.sum(axis=1)
    return total, others


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        logarithms: NDArray[np.float64] = np.log(values)
    return logarithms


def _log_of_sum(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up along the first axis what is given as logarithms."""
    highest = np.maximum(logarithms.max(axis=0), _LOWEST)  # not -inf, which has no difference
    total: NDArray[np.float64] = highest + _log(np.exp(logarithms - highest).sum(axis=0))
    return total


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
    probabilities: NDArray[np.float64] = scores / scores.sum(axis=-1, keepdims=True)
    return probabilities
