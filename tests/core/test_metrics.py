"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from captcha_helpers.core import metrics

pairs = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), min_size=1)


@pytest.mark.parametrize(
    ("label", "text", "edits"),
    [
        ("5335", "535", 1),  # a repeated character lost
        ("5335", "53335", 1),  # one too many
        ("abcd", "abcd", 0),
        ("abcd", "dcba", 4),  # b and c are wrong, and so are a and d
        ("abcd", "", 4),
        ("abcd", "bcd", 1),  # left out in front: one edit, though no position agrees
        ("a", "xyz", 3),  # more edits than characters
        ("kitten", "sitting", 3),
        ("aé", "ae", 1),
    ],
)
def test_cer_by_hand(label, text, edits):
    assert metrics.cer([label], [text]) == edits / len(label)
    assert sum(metrics.confusions([label], [text]).values()) == edits


def test_cer_weighs_by_length():
    """One edit in 1 + 9 characters, not the mean of 1/1 and 0/9."""
    assert metrics.cer(["a", "bcdefghij"], ["x", "bcdefghij"]) == 0.1


def test_exact_match_is_strict_about_case():
    score = metrics.score(["aB3", "xyz"], ["AB3", "xyz"])
    assert (score.exact_match, score.exact_match_ignore_case) == (0.5, 1.0)


@given(pairs)
def test_cer_is_zero_exactly_if_all_match(rows):
    labels, texts = zip(*rows, strict=True)
    assert (metrics.cer(labels, texts) == 0) == (metrics.exact_match(labels, texts) == 1)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_wilson_is_scipys(n, share):
    k = round(n * share)
    ours = metrics.wilson_interval(k, n)
    theirs = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert 0 <= ours[0] <= k / n <= ours[1] <= 1, "or error bars become negative"


def test_wilson_is_not_certain_of_a_perfect_score():
    low, high = metrics.wilson_interval(18, 18)
    assert 0.8 < low < 0.85 and high == pytest.approx(1)


def test_per_position_counts_only_labels_that_long():
    shares = metrics.per_position_accuracy(["12", "1234"], ["12", "1299"])
    np.testing.assert_array_equal(shares, [1, 1, 0, 0])


def test_confusions_line_strings_up():
    found = metrics.confusions(["OOPS", "1234"], ["0OPS", "124"])
    assert found == {("O", "0"): 1, ("3", ""): 1}


@pytest.mark.parametrize(
    "measure",
    [metrics.exact_match, metrics.cer, metrics.per_position_accuracy, metrics.confusions,
     metrics.score],
)  # fmt: skip
def test_nothing_to_measure_is_an_error_and_not_a_perfect_score(measure):
    with pytest.raises(ValueError, match="empty"):
        measure([], [])
    with pytest.raises(ValueError, match="2 labels but 1"):
        measure(["a", "b"], ["a"])
    with pytest.raises(TypeError, match="list of strings"):
        measure("abc", "abc")


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(k, n):
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        metrics.wilson_interval(k, n)
