"""Plots: what a reader would miss if it were wrong is in the figure."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from captcha_helpers import plots
from captcha_helpers.core.charset import Charset


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("shape", [(20, 60), (20, 60, 1), (20, 60, 3), (20, 60, 4)])
def test_gallery_takes_every_kind_of_image(shape):
    figure = plots.gallery(np.zeros((5, *shape), "uint8"), ["a"] * 5, columns=2)
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 5


def test_gallery_marks_errors_in_words_and_not_by_colour_alone():
    figure = plots.gallery(np.zeros((3, 8, 8), "uint8"), ["a", "b", "c"], ["a", "x", ""])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["a", "b → x", "c → nothing"]


def test_gallery_counts():
    with pytest.raises(ValueError, match="2 images but 1 labels"):
        plots.gallery(np.zeros((2, 8, 8), "uint8"), ["a"])
    with pytest.raises(ValueError, match="at least one"):
        plots.gallery([])


def test_worst_errors_come_first_and_right_ones_never():
    images = np.zeros((4, 8, 8), "uint8")
    figure = plots.worst_errors(images, ["ab", "cd", "ef", "gh"], ["ab", "cx", "xy", "gh"])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["ef → xy", "cd → cx"]


def test_heatmap_without_confusions_says_so():
    figure = plots.confusion_heatmap(["ab"], ["ab"])
    assert "every string is right" in figure.axes[0].texts[0].get_text()


def test_heatmap_shows_missed_characters():
    figure = plots.confusion_heatmap(["55"], ["5"])
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["∅", "5"]


def test_history_shows_the_plateau():
    figure = plots.history({"loss": [9, 3], "val_exact_match": [0, 0.5]}, plateau=14.7)
    assert "14.7" in figure.axes[0].get_legend().get_texts()[0].get_text()


def test_history_says_where_the_exact_match_comes_from():
    with pytest.raises(ValueError, match="no 'val_exact_match' in the curves.*ExactMatch"):
        plots.history({"loss": [9, 3], "val_loss": [9, 4]})
    with pytest.raises(ValueError, match="no 'loss' in the curves"):
        plots.history({})
    assert not plt.get_fignums()


def test_alignment_refuses_a_batch():
    with pytest.raises(ValueError, match="one image's row"):
        plots.alignment(np.zeros((8, 8), "uint8"), np.zeros((1, 4, 3)), Charset("ab"))


def test_alignment_draws_each_of_two_equal_characters_in_its_own_place():
    frames = 9.0 * np.eye(2)[[0, 1, 0, 0, 1, 1]]  # reads "aa"
    figure = plots.alignment(np.zeros((8, 24), "uint8"), frames, Charset("a"))
    _, first, second = figure.axes[1].lines
    assert first.get_xdata().max() < second.get_xdata().min()
    assert len(first.get_xdata()) + len(second.get_xdata()) == len(frames)


def test_reliability_diagram_shows_every_reading_and_says_how_far_off_it_is():
    figure = plots.reliability_diagram(
        {"before": [0.95, 0.95, 0.95, 0.95], "after": [0.5] * 4}, [True, False, True, False]
    )
    assert [axes.get_title() for axes in figure.axes] == [
        "before: calibration error 0.45",
        "after: calibration error 0.00",
    ]
    (dots,) = figure.axes[0].collections
    assert dots.get_offsets().tolist() == [[0.95, 0.5]]


def test_reliability_diagram_of_nothing():
    with pytest.raises(ValueError, match="at least one"):
        plots.reliability_diagram({}, [])
