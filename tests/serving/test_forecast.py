"""What more labels would bring is said only where the readers so far allow it."""

from __future__ import annotations

import pytest

from captcha_helpers.serving.forecast import Measured, forecast

# With the half error that is added, 10.5 of 21 and 10.5 of 42: the error halves as labels quadruple
HALF = Measured(50, tested=20, right=10)
QUARTER = Measured(200, tested=41, right=31)


@pytest.mark.parametrize(("labels", "share"), [(400, 1 - 0.5 / 8**0.5), (800, 0.875)])
def test_the_error_falls_as_a_power_of_the_labels(labels: int, share: float):
    assert forecast([HALF, QUARTER], labels) == pytest.approx(share)
    assert forecast([QUARTER, HALF], labels) == pytest.approx(share)


def test_a_rate_of_more_errors_weighs_more():
    """The line goes through the middle one nearly, and not halfway past it."""
    ends = [Measured(50, 20, 10), Measured(200, 41, 36)]  # 0.5 and 5.5 / 42
    middle = Measured(100, 2099, 1469)  # 630.5 / 2100 = 0.30
    at_100 = 0.300
    slope_of_ends = (0.5 / (5.5 / 42)) ** 0.5  # what is left of the error, for twice the labels
    found = forecast([*ends, middle], 400)
    assert found is not None
    assert 1 - found == pytest.approx(at_100 / slope_of_ends**2, rel=0.1)


def test_a_reader_without_any_error_is_counted_with_half_of_one():
    """2.5 of 30 and 0.5 of 24: a quarter of the error for four times the labels."""
    known = [Measured(100, tested=29, right=27), Measured(400, tested=23, right=23)]
    assert forecast(known, 1600) == pytest.approx(1 - 0.5 / 24 / 4)


@pytest.mark.parametrize(
    ("readers", "labels"),
    [
        ([], 100),
        ([HALF], 100),
        ([HALF, Measured(50, 30, 20)], 100),  # one number of labels gives no line
        ([HALF, QUARTER._replace(tested=19, right=15)], 400),  # too few tests
        ([HALF, QUARTER], 200),  # of these there is a measure
        ([HALF, QUARTER], 801),  # too far away
        ([HALF, Measured(200, 41, 20)], 400),  # no better than before
        ([HALF, Measured(200, 41, 10)], 400),  # worse
        ([HALF, Measured(100, 200, 199)], 400),  # a leap
        ([Measured(0, 40, 10), QUARTER], 400),  # a reader that has learned nothing here
    ],
)
def test_nothing_is_said_without_reason(readers: list[Measured], labels: int):
    assert forecast(readers, labels) is None
