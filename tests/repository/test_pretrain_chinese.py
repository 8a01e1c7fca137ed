"""The pre-training of the reader of Chinese, with a few steps and other fonts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from captcha_helpers import Charset, load
from captcha_helpers.core.charset import BLANK_INDEX
from captcha_helpers.drawing.looks import FONTS, Font
from captcha_helpers.learning.starts import start_file
from captcha_helpers.reading.model_file import read_spec
from captcha_helpers.reading.weights import load_weights
from tools import pretrain_chinese
from tools.fonts import CHINESE
from tools.pretrain_chinese import AT_A_TIME, CHARSET, Learner
from tools.pretrain_draw import SHORT

RUSSIAN = "абвгдежзиклмнопрстуфхцчшщэюя"  # the package has fonts with these letters


@pytest.fixture
def russian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw Cyrillic letters instead, for which no fonts have to be fetched."""
    fonts = tuple(Font(font) for font in FONTS if "DejaVu" in font)
    monkeypatch.setattr(pretrain_chinese, "fonts_with_role", lambda role: fonts)
    monkeypatch.setattr(pretrain_chinese, "CHINESE", RUSSIAN)
    monkeypatch.setattr(pretrain_chinese, "IN_SUMS", "0123456789+-=")
    monkeypatch.setattr(pretrain_chinese, "FEW", 2)
    # As many characters as the network that trains has rows, and some more.
    latin = pretrain_chinese.LATIN.characters
    charset = Charset(latin + RUSSIAN + CHINESE[:AT_A_TIME])
    monkeypatch.setattr(pretrain_chinese, "CHARSET", charset)


def test_the_characters_are_those_of_the_standard():
    assert len(CHINESE) == 3751 and len(set(CHINESE)) == 3751
    assert {"一", "汉", "字", "验", "证", "码"} < set(CHINESE) and CHARSET.characters[:2] == "01"


@pytest.mark.usefixtures("russian")
def test_an_image_is_the_same_in_every_chunk_and_some_have_letters_and_sums():
    images, labels = pretrain_chinese.draw(3, 0, 16, (1, 6))
    later, same = pretrain_chinese.draw(3, 8, 8, (1, 6))
    np.testing.assert_array_equal(images[8:], later)
    np.testing.assert_array_equal(labels[8:], same)
    texts = pretrain_chinese.CHARSET.decode(labels)
    assert set("".join(texts[4::8])) <= set("0123456789+-=")
    assert all(set(text) <= set(RUSSIAN) for row, text in enumerate(texts) if row % 4)
    _, labels = pretrain_chinese.draw(3, 0, 16, SHORT)
    easy = pretrain_chinese.CHARSET.decode(labels)
    assert all(set(text) <= set(RUSSIAN[:2]) for row, text in enumerate(easy) if row % 4)


@pytest.mark.slow
def test_a_step_trains_the_rows_of_its_characters_and_leaves_most_others():
    learner = Learner(start_file("general"), seed=0)
    spec, before = read_spec(start_file("general")), [rows.copy() for rows in learner.rows]
    kernel = load_weights(start_file("general")).layers[-1].get_weights()[0]
    for char in "0aZ":
        row = 1 + CHARSET.characters.index(char)
        np.testing.assert_array_equal(before[0][:, row], kernel[:, 1 + spec.charset.index(char)])
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 48, 192, 3), np.uint8)
    labels = np.array([[5, 3000, 0, 0, 0, 0], [3817, 70, 5, 0, 0, 0]], np.int32)
    assert learner.step(images, labels, 1e-3) > 0
    for now, then in zip(learner.rows, before, strict=True):
        changed = set(np.flatnonzero((now != then).reshape(-1, now.shape[-1]).any(axis=0)))
        assert {BLANK_INDEX, 5, 70, 3000, 3817} <= changed and len(changed) <= AT_A_TIME + 1
    (text, _) = learner.read(images)
    assert set(text) <= set(CHARSET.characters)


@pytest.mark.slow
@pytest.mark.usefixtures("russian")
def test_the_command_writes_a_reader_to_go_on_from(tmp_path: Path):
    few = ["--batch-size", "2", "--workers", "0", "--test-images", "2", "--out", str(tmp_path)]
    pretrain_chinese.main(["--minutes", "0.001", *few])
    reader = load(tmp_path / "chinese.npz")
    (line,) = json.loads((tmp_path / "chinese.json").read_text("utf-8"))
    assert line["n"] == 2 and line["seen"] == 32
    assert reader.spec.charset == pretrain_chinese.CHARSET.characters
    again = ["--init", str(tmp_path / "chinese.npz"), "--seed", "1", "--short", "0"]
    pretrain_chinese.main(["--minutes", "0.001", *few, *again])
    assert load(tmp_path / "chinese.npz").spec.training["options"]["seed"] == "1"
