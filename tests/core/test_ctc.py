"""CTC: our decoder and Keras' loss against brute force over every path of small cases."""

from __future__ import annotations

from itertools import groupby, product

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captcha_helpers.core.ctc import (
    beam_search_decode,
    best_paths,
    frame_alignment,
    greedy_decode,
    length_probability,
    required_time_steps,
    softmax,
    string_probability,
)


def collapse(path) -> tuple[int, ...]:
    """Merge repeats, drop blanks: the definition, written as slowly as can be."""
    return tuple(index for index, _ in groupby(path) if index != 0)


def string_probabilities(logits: np.ndarray) -> dict[tuple[int, ...], float]:
    """Add up the probability of every path of one (T, V) case, by the string it spells."""
    frames = softmax(logits)
    total: dict[tuple[int, ...], float] = {}
    for path in product(range(frames.shape[1]), repeat=len(frames)):
        chance = float(np.prod([frames[t, index] for t, index in enumerate(path)]))
        total[collapse(path)] = total.get(collapse(path), 0.0) + chance
    return total


def strip(row: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in row if index)


small_logits = arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(2, 4)),
    elements=st.floats(-5, 5, width=32),
)  # fmt: skip


@given(small_logits)
def test_greedy_spells_the_best_path(logits):
    decoded = greedy_decode(logits)
    assert decoded.shape == logits.shape[:2] and decoded.dtype == np.int32
    for row, frames in zip(decoded, logits, strict=True):
        assert strip(row) == collapse(frames.argmax(axis=-1))
        assert not row[len(strip(row)) :].any(), "padding stands behind the string only"


def test_repeated_characters_survive_if_a_blank_parts_them():
    path = [1, 0, 2, 2, 0, 2, 1]
    assert strip(greedy_decode(9 * np.eye(3)[path][None])[0]) == (1, 2, 2, 1)


def test_all_blank_reads_nothing():
    assert not greedy_decode(9 * np.eye(3)[[0, 0, 0]][None]).any()


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_beam_search_finds_the_most_likely_string(seed):
    logits = np.random.default_rng(seed).normal(size=(1, 5, 3)).astype("float32") * 2
    chances = string_probabilities(logits[0])
    found = strip(beam_search_decode(logits, beam_width=200)[0])
    assert chances[found] == pytest.approx(max(chances.values()), rel=1e-4)


def test_beam_search_beats_greedy_where_many_paths_spell_one_string():
    """The best path is all blank (0.36), but three paths together spell "1" (0.64)."""
    logits = np.log([[[0.6, 0.4], [0.6, 0.4]]]).astype("float32")
    assert strip(greedy_decode(logits)[0]) == ()
    assert strip(beam_search_decode(logits)[0]) == (1,)


def test_beam_search_refuses_probabilities():
    with pytest.raises(ValueError, match="pass the logits"):
        beam_search_decode(softmax(np.zeros((1, 3, 2))))


@pytest.mark.parametrize("label", [(1,), (1, 2), (2, 2), (1, 2, 1)])
def test_keras_loss_is_minus_the_log_of_all_paths(label):
    """The convention of the whole project: logits, blank 0, labels padded with 0."""
    logits = np.random.default_rng(7).normal(size=(1, 5, 3)).astype("float32")
    padded = np.zeros((1, 4), "int32")
    padded[0, : len(label)] = label
    loss = float(keras.losses.CTC()(padded, logits))
    assert loss == pytest.approx(-np.log(string_probabilities(logits[0])[label]), rel=1e-4)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_required_time_steps_is_the_shortest_path(label):
    steps = required_time_steps(label)
    spelled = {collapse(path) for path in product(range(4), repeat=steps)}
    assert tuple(label) in spelled
    shorter = {collapse(path) for path in product(range(4), repeat=steps - 1)}
    assert tuple(label) not in shorter


@given(small_logits)
def test_alignment_agrees_with_greedy_and_covers_its_frames(logits):
    for row, frames, spans in zip(
        greedy_decode(logits), logits, frame_alignment(logits), strict=True
    ):
        assert tuple(span.index for span in spans) == strip(row)
        best = frames.argmax(axis=-1)
        for span in spans:
            assert (best[span.start : span.stop] == span.index).all()
            assert 0 < span.confidence <= 1
        covered = sum(span.stop - span.start for span in spans)
        assert covered == np.count_nonzero(best)


@given(small_logits, st.integers(0, 3), st.integers(0, 2))
def test_best_path_of_a_length_is_the_best_of_all_paths(logits, fewest, more):
    fewest = min(fewest, logits.shape[1] // 2)
    allowed = range(fewest, fewest + more + 1)
    found = best_paths(logits, length=(fewest, fewest + more))
    for path, frames in zip(found, logits.astype("float64"), strict=True):
        assert len(collapse(path)) in allowed
        best = max(
            sum(frames[t, index] for t, index in enumerate(other))
            for other in product(range(frames.shape[1]), repeat=len(frames))
            if len(collapse(other)) in allowed
        )
        assert sum(frames[t, index] for t, index in enumerate(path)) == pytest.approx(best)


def test_strings_of_the_right_length_are_left_alone():
    logits = np.random.default_rng(0).normal(size=(200, 7, 4))
    free = greedy_decode(logits)
    counts = (free > 0).sum(axis=1)
    held = greedy_decode(logits, length=(2, 3))
    right = (counts >= 2) & (counts <= 3)
    assert right.any() and (free[right] == held[right]).all()
    assert set((held > 0).sum(axis=1)) == {2, 3}


def test_too_few_frames_for_the_length():
    with pytest.raises(ValueError, match="3 frames cannot spell 4"):
        greedy_decode(np.zeros((1, 3, 2)), length=(4, 5))


@pytest.mark.slow
@given(small_logits, st.lists(st.integers(1, 2), max_size=3))
def test_string_probability_adds_up_all_paths(logits, label):
    label = [1 + index % (logits.shape[2] - 1) for index in label]
    indices = np.zeros((len(logits), 4), int)
    indices[:, : len(label)] = label
    for frames, found in zip(logits, string_probability(logits, indices), strict=True):
        chances = string_probabilities(frames)
        assert found == pytest.approx(chances.get(tuple(label), 0.0), rel=1e-6, abs=1e-300)


def spoken(clearly: float) -> np.ndarray:
    """Logits of five characters in 48 frames of twelve classes, blanks between them."""
    logits = np.random.default_rng(0).normal(size=(1, 48, 12)) + clearly * np.eye(12)[0]
    for place, index in enumerate((3, 1, 4, 1, 5)):
        logits[0, 5 + 8 * place] += 2 * clearly * np.eye(12)[index]
    return logits


@pytest.mark.parametrize(("clearly", "rare"), [(3.0, False), (45.0, False), (45.0, True)])
def test_string_probability_is_what_the_loss_says_also_where_it_is_next_to_nothing(clearly, rare):
    logits = spoken(clearly)
    indices = np.array([[2, 6, 7, 8, 9, 10, 2, 6, 7, 8] if rare else [3, 1, 4, 1, 5]])
    loss = keras.ops.ctc_loss(indices, logits, np.array([indices.shape[1]]), np.array([48]))
    assert (string_probability(logits, indices)[0] < 1e-250) == rare
    chance = string_probability(logits, indices, length=(indices.shape[1],) * 2)
    chance *= length_probability(logits, (indices.shape[1],) * 2)
    assert -np.log(chance)[0] == pytest.approx(float(loss[0]), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("clearly", [3.0, 5.0, 10.0])
def test_lengths_add_up_however_rare_some_of_them_are(clearly):
    logits = spoken(clearly)
    alone = [length_probability(logits, (count, count))[0] for count in range(21)]
    assert min(alone) > 0 and min(alone) < 1e-3 < max(alone)
    for count in range(20):
        both = length_probability(logits, (count, count + 1))[0]
        assert both == pytest.approx(alone[count] + alone[count + 1], rel=1e-9, abs=0)


def test_alignment_agrees_with_greedy_on_a_near_tie():
    """Both probabilities round to 0.5; the reading must not change with that."""
    logits = np.array([[[0.0, 1e-42]]], dtype="float32")
    assert strip(greedy_decode(logits)[0]) == (1,)
    assert [span.index for span in frame_alignment(logits)[0]] == [1]


@pytest.mark.parametrize("decode", [greedy_decode, beam_search_decode, frame_alignment])
def test_one_image_without_a_batch_is_explained(decode):
    with pytest.raises(ValueError, match=r"logits\[None\]"):
        decode(np.zeros((5, 3)))
