"""Characters that no label has: which may occur, and what a training makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from captcha_helpers import Charset, ModelSpec
from captcha_helpers.learning.starts import only_chinese_knows, shipped
from captcha_helpers.learning.unseen import left_out, put_back

KNOWN = "天地人日月"


@pytest.mark.parametrize(
    ("labels", "may_occur", "expected"),
    [
        (["天地", "人人"], None, "日月"),  # two of four came up once: many are new
        (["天地人"] * 40, None, ""),  # none did
        (["天地人"] * 40, "天地人月火", "月"),  # "火" is not known
        (["ab", "ba"], None, ""),  # no Chinese
        (["天地", "人人"], "天地人ab", ""),  # letters are drawn, not left out
    ],
)
def test_what_a_training_leaves_out(labels: list[str], may_occur: str | None, expected: str):
    assert left_out(labels, KNOWN, may_occur) == expected


def test_chinese_begins_with_the_weights_that_know_it():
    assert only_chinese_knows("12加3等于?") and only_chinese_knows("天")
    assert not only_chinese_knows("abcж") and not only_chinese_knows("ひら")


@pytest.mark.slow
def test_rows_that_are_put_back_say_what_they_said_only_less_likely():
    start = shipped("chinese")
    labels = ["天地", "天人", "地人", "人火"]  # one of the eight came up once
    spec = ModelSpec("天地人火", (2, 2), 48, 192, channels=3)
    model = start.build(Charset(spec.charset), 2, 0.0)
    whole, wider = put_back(model, spec, start, "日月", labels)
    assert wider.charset == "天地人火日月" and wider.length == (2, 2)
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 192, 3), np.uint8)
    before, after = np.asarray(model(images)), np.asarray(whole(images))
    np.testing.assert_allclose(after[..., :5], before, atol=1e-4)
    alone = np.asarray(start.build(Charset("日月"), 2, 0.0)(images))[..., 1:]
    rarer = math.log(1 / 8 / 2) - math.log(7 / 8 / 4)
    np.testing.assert_allclose(after[..., 5:], alone + rarer, atol=1e-4)
