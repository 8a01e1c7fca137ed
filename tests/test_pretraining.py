from __future__ import annotations

import numpy as np
import pytest

from captcha_helpers import (
    ALPHANUMERIC,
    Charset,
    draw_anything,
    exact_match,
    generate,
    predict_labels,
    prepare_batch,
    pretrained_start,
    random_style,
    read_spec,
    recipe,
)
from captcha_helpers.generator import _glyph
from captcha_helpers.pretrained import start_file
from captcha_helpers.pretraining import FONTS
from tools import pretrain

SIZE = {"height": 48, "width": 160}


@pytest.mark.parametrize("length", [(1, 2), (3, 8)])
def test_every_look_can_be_drawn(length: tuple[int, int]):
    pixels = set()
    for seed in range(300):
        image, label = draw_anything(np.random.default_rng(seed), **SIZE, length=length)
        assert image.shape == (48, 160, 1) and image.dtype == np.uint8
        assert length[0] <= len(label) <= length[1] and set(label) <= set(ALPHANUMERIC)
        assert image.std() > 0, f"seed {seed} drew nothing"
        pixels.add(image.tobytes())
    assert len(pixels) == 300


def test_same_seed_same_look_and_pixels():
    styles = [random_style(np.random.default_rng(3), length=4) for _ in range(2)]
    assert styles[0] == styles[1]
    images = [draw_anything(np.random.default_rng(3), **SIZE, length=(3, 5))[0] for _ in range(2)]
    assert (images[0] == images[1]).all()


@pytest.mark.parametrize("font", FONTS)
def test_every_font_has_every_character(font: str):
    """A missing letter would be drawn as a box and learned as one."""
    for char in ALPHANUMERIC:
        assert _glyph(font, char).width > 0


def test_the_shipped_start_is_small_and_fits_the_recipe():
    spec = read_spec(start_file("pretrained"))
    assert start_file("pretrained").stat().st_size <= 1_500_000
    assert (spec.height, spec.width) == (recipe.HEIGHT, recipe.WIDTH)
    assert spec.charset == ALPHANUMERIC and "tools.pretrain" in spec.training["command"]


def test_the_shipped_start_reads_without_any_label():
    images, labels = generate("stars", 200, seed=9)
    charset = Charset("0123456789")
    start = pretrained_start(charset, length=6)
    texts = predict_labels(start, prepare_batch(images, **SIZE), charset, head="ctc")
    assert exact_match(labels, texts) > 0.6


def test_strings_grow():
    batches = pretrain.GrowingStrings(seed=0, steps=10)
    batches.on_epoch_end()
    short = (batches[0][1] > 0).sum(axis=1)
    batches.epoch = pretrain.EPOCHS - 1
    long = (batches[9][1] > 0).sum(axis=1)
    assert short.max() <= 2 and long.min() >= 3


def test_a_cut_off_pretraining_goes_on_after_the_epochs_it_has_done(tmp_path):
    assert pretrain.epochs_done(tmp_path) == 0
    (tmp_path / "training_metadata.json").write_text('{"epoch": 7, "batch": 0}')
    assert pretrain.epochs_done(tmp_path) == 7
