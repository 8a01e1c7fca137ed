"""More characters for the general reader: rows at the end of a network that stays as it is."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from captcha_helpers import Charset, ModelSpec, residual_ctc
from captcha_helpers.reading.weights import save_weights
from tools import more_characters
from tools.more_characters import GROUPS, Group, add_rows, draw_chunk, learn_rows
from tools.pretrain import weights_of


def seen_and_labels(count: int) -> tuple[np.ndarray, list[str]]:
    """Features (B, 8, 4) of "a" or "ж", the frames of which are told by the third and fourth."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "ж"], count).tolist()
    seen = rng.normal(0, 0.1, (count, 8, 4)).astype(np.float16)
    seen[:, :, 0] += 1  # blank
    for row, label in enumerate(labels):
        seen[row, 4, 2 if label == "a" else 3] += 4
    return seen, labels


def test_new_rows_learn_beside_rows_that_stay():
    seen, labels = seen_and_labels(1024)
    of_blank, of_a = np.eye(4, dtype=np.float32)[[0, 2]] * 3
    rows = {"": (of_blank, np.float32(0)), "a": (of_a, np.float32(0))}
    group = Group("ж", "a", ("aж",))
    keras.utils.set_random_seed(0)  # as the program does; other first weights may take longer
    learned = learn_rows(group, rows, seen, labels, passes=30)
    assert list(learned) == ["ж"]
    assert more_characters.test(group, rows | learned, seen, labels)["exact_match"] > 0.95


def test_with_more_rows_the_network_says_of_the_others_what_it_said(tmp_path: Path):
    model = residual_ctc(Charset("ab"), length=2, height=32, width=64)
    kernel, bias = model.layers[-1].get_weights()
    more = [(kernel[:, i], bias[i]) for i in (0, 1, 2)] + [(np.ones(256), 5.0)]
    wider = add_rows(model, Charset("abж"), 2, more)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), np.uint8)
    np.testing.assert_allclose(wider(images)[..., :3], model(images), atol=1e-5)
    save_weights(wider, ModelSpec("abж", (1, 2), 32, 64, channels=3), tmp_path / "more.npz")
    again = weights_of(tmp_path / "more.npz", "ab")
    for one, before in zip(again, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, before, atol=1e-3)
    with pytest.raises(ValueError, match="does not know 1 of the characters: .'c'."):
        weights_of(tmp_path / "more.npz", "abc")


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_can_be_drawn_in_fonts_to_learn_from_and_to_test_with(name: str):
    for held_out in (False, True):
        _, labels = draw_chunk(name, held_out, 0)
        assert set("".join(labels)) & set(GROUPS[name].new)
