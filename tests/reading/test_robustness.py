"""Damaged images: what the curves compare is what they say it is."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers import DAMAGES, ModelSpec, Recognizer, draw, get_style, plots, robustness
from captcha_helpers.reading.robustness import Damage, DamageScore

NAMES = list(DAMAGES)
WHITE = np.full((2, 16, 32, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return draw(get_style("gradient"), "23456", np.random.default_rng(0))


def apply(name: str, image: np.ndarray, value: float, seed: int = 0) -> np.ndarray:
    return DAMAGES[name].apply(image, value, np.random.default_rng(seed))


def light_reader(calls: list[np.ndarray] | None = None) -> Recognizer:
    """Read "a" where an image is light and "b" where it is dark."""

    def run(images: np.ndarray) -> np.ndarray:
        if calls is not None:
            calls.append(images)
        return np.eye(3)[np.where(images.mean(axis=(1, 2, 3)) > 127, 1, 2)][:, None]

    return Recognizer(run, ModelSpec("ab", length=(1, 1), height=16, width=32))


def black_if(image: np.ndarray, value: float, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(image) if value == 1 else image


@pytest.mark.parametrize("name", NAMES)
def test_undamaged_means_every_pixel(name: str, image: np.ndarray):
    assert (apply(name, image, DAMAGES[name].undamaged) == image).all()
    assert DAMAGES[name].undamaged not in DAMAGES[name].values


@pytest.mark.parametrize("name", NAMES)
@given(shape=st.tuples(st.integers(4, 30), st.integers(4, 30)), seed=st.integers(0, 99))
def test_every_value_gives_an_image_that_can_be_read(name: str, shape: tuple, seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    for value in DAMAGES[name].values:
        damaged = apply(name, pixels, value)
        assert damaged.dtype == np.uint8 and damaged.ndim == 3 and damaged.shape[2] == 3
        if name == "rotation":
            assert damaged.shape[0] >= shape[0] and damaged.shape[1] >= shape[1]
        elif name == "rescale":
            assert damaged.shape[:2] == tuple(max(4, round(side * value)) for side in shape)
        else:
            assert damaged.shape == pixels.shape


@pytest.mark.parametrize("name", ["JPEG", "blur", "noise", "contrast"])
def test_more_is_worse(name: str, image: np.ndarray):
    damage = DAMAGES[name]
    milder = [value for value in damage.values if value <= damage.undamaged or name != "contrast"]
    milder.sort(key=lambda value: abs(value - damage.undamaged))
    changes = [np.abs(apply(name, image, v).astype(int) - image).mean() for v in milder]
    assert changes[0] > 0 and changes == sorted(changes)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_damage_and_the_image_is_left_alone(name: str, image: np.ndarray):
    before = image.copy()
    for value in DAMAGES[name].values:
        assert np.array_equal(apply(name, image, value, 3), apply(name, image, value, 3))
    assert (image == before).all()


def test_turning_there_and_back_shows_the_same_text_in_the_ground_of_the_image():
    image = np.full((20, 60, 3), (200, 220, 240), np.uint8)
    image[8:12, 20:40] = 0
    turned = apply("rotation", image, 10)
    assert tuple(turned[0, 0]) == (200, 220, 240), "corners have the colour of the edge"
    dark = turned.mean(axis=2) < 128
    assert abs(int(dark.sum()) - 80) < 12, "nothing of the text is cut off"
    left, right = dark[:, : dark.shape[1] // 2], dark[:, dark.shape[1] // 2 :]
    assert left.nonzero()[0].mean() > right.nonzero()[0].mean(), "to the left: the right end rises"


def test_rows_say_what_was_read():
    damages = {"ink": Damage("blots", 0, (0.5, 1), black_if), "none": Damage("", 0, (), black_if)}
    rows = robustness(light_reader(), WHITE, ["a", "b"], damages=damages, progress=False)
    assert [(row.damage, row.value) for row in rows] == [
        ("ink", 0), ("ink", 0.5), ("ink", 1), ("none", 0),
    ]  # fmt: skip
    assert [row.score.exact_match for row in rows] == [0.5] * 4
    rows = robustness(light_reader(), WHITE, ["a", "a"], damages=damages, progress=False)
    assert [row.score.exact_match for row in rows] == [1, 1, 0, 1]
    assert {row.score.n for row in rows} == {2}


def test_transparent_parts_are_white_before_the_damage():
    clear = np.zeros((2, 16, 32, 4), np.uint8)
    damages = {"contrast": DAMAGES["contrast"]}
    rows = robustness(light_reader(), clear, ["a", "a"], damages=damages, progress=False)
    assert {row.score.exact_match for row in rows} == {1}


def test_each_image_has_its_own_noise_and_the_seed_decides():
    damages = {"noise": DAMAGES["noise"]._replace(values=(20,))}
    grey = np.full((2, 16, 32, 3), 128, np.uint8)
    seen = []
    for seed in (0, 0, 1):
        calls: list[np.ndarray] = []
        robustness(light_reader(calls), grey, ["a", "a"], damages=damages, seed=seed)
        seen.append(calls[-1])
    assert (seen[0] == seen[1]).all() and (seen[0] != seen[2]).any()
    assert (seen[0][0] != seen[0][1]).any()


def test_a_label_too_few():
    with pytest.raises(ValueError, match="2 images but 1 labels"):
        robustness(light_reader(), WHITE, ["a"])


def test_curves_have_a_panel_a_damage_and_a_line_a_reader():
    rows = robustness(light_reader(), WHITE, ["a", "b"], progress=False)
    figure = plots.robustness_curves({"one": rows, "two": rows[::-1]})
    assert [axes.get_title() for axes in figure.axes] == NAMES
    lines = [line for line in figure.axes[1].lines if line.get_label() in ("one", "two")]
    assert len(lines) == 2 and (lines[0].get_xydata() == lines[1].get_xydata()).all()
    assert list(lines[0].get_xdata()) == [0, 0.5, 1, 1.5, 2, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_curves_name_what_is_missing():
    with pytest.raises(ValueError, match="at least one reader"):
        plots.robustness_curves({})
    score = robustness(light_reader(), WHITE, ["a", "a"], damages={"x": DAMAGES["blur"]})[0].score
    with pytest.raises(ValueError, match="'mine' has no row of the damage 'JPEG'"):
        plots.robustness_curves({"mine": [DamageScore("blur", 0, score)]})
