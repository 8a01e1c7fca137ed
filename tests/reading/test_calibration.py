"""Confidence: what a user would believe wrongly if the sums were wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers import expected_calibration_error, fit_temperature, reliability
from captcha_helpers.core.ctc import greedy_decode, length_probability, string_probability
from captcha_helpers.reading.calibration import COLDEST, HOTTEST


def honest_reader(seed: int, count: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (B, T, V) of a reader that is right as often as it says, what it read, and if right.

    What is written is drawn with the very probability that the reader gives to it.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 5, 4))
    indices = greedy_decode(logits)
    return logits, indices, rng.random(count) < string_probability(logits, indices)


def test_an_honest_reader_is_left_as_it_is():
    assert fit_temperature(*honest_reader(0)) == pytest.approx(1, abs=0.06)


@pytest.mark.slow
def test_with_a_known_length_the_claim_is_about_strings_of_that_length():
    rng = np.random.default_rng(4)
    logits, length = rng.normal(0, 2, (3000, 5, 4)), (2, 2)
    indices = greedy_decode(logits, length=length)
    claimed = string_probability(logits, indices) / length_probability(logits, length)
    right = rng.random(len(claimed)) < claimed  # honest among strings of two characters
    assert fit_temperature(logits, indices, right, length=length) == pytest.approx(1, abs=0.06)
    unconditional = string_probability(logits, indices)
    assert unconditional.mean() < right.mean() - 0.1  # what it says without knowing the length


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_a_reader_that_is_too_sure_is_cooled_and_a_modest_one_is_not(factor: float):
    logits, indices, right = honest_reader(1)
    temperature = fit_temperature(factor * logits, indices, right)
    assert temperature == pytest.approx(factor, rel=0.06)


def test_corrected_confidences_come_true_on_readings_that_were_not_used():
    logits, indices, right = honest_reader(2, 3000)
    shouted = 2.5 * logits
    temperature = fit_temperature(shouted[:1000], indices[:1000], right[:1000])
    before, after = (
        expected_calibration_error(string_probability(values[1000:], indices[1000:]), right[1000:])
        for values in (shouted, shouted / temperature)
    )
    assert before > 0.15
    assert after < 0.04


def test_a_temperature_does_not_change_what_is_read():
    logits, indices, right = honest_reader(3, 200)
    temperature = fit_temperature(2 * logits, indices, right)
    assert (greedy_decode(2 * logits / temperature) == indices).all()


@pytest.mark.parametrize("all_of_them", [True, False])
def test_no_temperature_without_both_outcomes(all_of_them: bool):
    logits, indices, _ = honest_reader(4, 20)
    with pytest.raises(ValueError, match="some are read rightly and some wrongly"):
        fit_temperature(logits, indices, [all_of_them] * 20)


def test_one_outcome_for_each_reading():
    logits, indices, right = honest_reader(5, 20)
    with pytest.raises(ValueError, match="20 readings"):
        fit_temperature(logits, indices, right[:19])


def test_logits_that_say_nothing_end_at_the_border_and_not_in_an_error():
    logits = np.full((4, 2, 3), 1e4) * [1.0, -1.0, -1.0]  # certain that nothing is written
    for right in ([True, False, False, False], [True, True, True, False]):
        temperature = fit_temperature(logits, np.zeros((4, 1), int), right)
        assert COLDEST <= temperature <= HOTTEST


def test_calibration_error_worked_out_by_hand():
    # 0–0.5: confidences 0.1, 0.3 (mean 0.2), one of two right: gap 0.3, weight 2/5
    # 0.5–1: confidences 0.5, 0.9, 1.0 (mean 0.8), two of three right: gap 0.1333, weight 3/5
    confidences, right = [0.1, 0.3, 0.5, 0.9, 1.0], [True, False, True, False, True]
    error = expected_calibration_error(confidences, right, bins=2)
    assert error == pytest.approx(0.4 * 0.3 + 0.6 * (0.8 - 2 / 3))


SURE = st.floats(0, 1)


@given(st.lists(st.tuples(SURE, st.booleans()), min_size=1), st.integers(1, 30))
def test_every_reading_is_in_one_bin(readings: list[tuple[float, bool]], bins: int):
    confidences, right = map(list, zip(*readings, strict=True))
    parts = reliability(confidences, right, bins)
    assert sum(part.count for part in parts) == len(readings)
    assert sum(part.count * part.right for part in parts) == pytest.approx(sum(right))
    assert sum(part.count * part.confidence for part in parts) == pytest.approx(sum(confidences))
    assert 0 <= expected_calibration_error(confidences, right, bins) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("confidences", "right", "bins", "message"),
    [
        ([], [], 10, "at least one"),
        ([0.5, 0.6], [True], 10, "one of each"),
        ([1.5], [True], 10, "between 0 and 1"),
        ([float("nan")], [True], 10, "between 0 and 1"),
        ([0.5], [True], 0, "bins must be at least 1"),
    ],
)
def test_what_cannot_be_compared_is_told(confidences, right, bins, message):
    with pytest.raises(ValueError, match=message):
        reliability(confidences, right, bins)
