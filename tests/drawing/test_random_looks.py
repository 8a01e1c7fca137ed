from __future__ import annotations

import numpy as np
import pytest

from captcha_helpers import (
    ALPHANUMERIC,
    Charset,
    draw_anything,
    draw_images,
    exact_match,
    generate,
    predict_labels,
    prepare_batch,
    pretrained_start,
    random_style,
    read_spec,
)
from captcha_helpers.drawing.painter import glyph
from captcha_helpers.drawing.random_looks import FONTS, _cut
from captcha_helpers.drawing.styles import Style
from captcha_helpers.learning.starts import HEIGHT, WIDTH, start_file

SIZE = {"height": 48, "width": 160}


@pytest.mark.slow
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


def test_rougher_looks_turn_characters_further_and_cut_them_off():
    def looks(rough: bool) -> list[Style]:
        seeds = range(200)
        return [random_style(np.random.default_rng(seed), length=5, rough=rough) for seed in seeds]

    assert max(style.rotation for style in looks(False)) < 50
    assert max(style.rotation for style in looks(True)) > 50
    cut = [_cut(np.zeros((50, 200, 3), np.uint8), np.random.default_rng(i)) for i in range(100)]
    assert min(image.shape[1] for image in cut) < 190 and all(image.size for image in cut)


def test_the_first_round_draws_what_the_start_saw_first():
    """The weights that ship have gone through both rounds: what they draw must not change."""
    images, labels = draw_images(20, **SIZE, length=(3, 8), rough=False)
    again, _ = draw_images(20, **SIZE, length=(3, 8), rough=True)
    assert labels[:2] == ["Xvo0r2jA", "RPm5ko"] and not (images == again).all()


@pytest.mark.parametrize("font", FONTS)
def test_every_font_has_every_character(font: str):
    """A missing letter would be drawn as a box and learned as one."""
    for char in ALPHANUMERIC:
        assert glyph(font, char).width > 0


def test_the_shipped_start_is_small_and_fits_the_recipe():
    spec = read_spec(start_file("pretrained"))
    assert start_file("pretrained").stat().st_size <= 1_500_000
    assert (spec.height, spec.width) == (HEIGHT, WIDTH)
    assert spec.charset == ALPHANUMERIC and "tools.pretrain" in spec.training["command"]


@pytest.mark.slow
def test_the_shipped_start_reads_without_any_label():
    images, labels = generate("stars", 200, seed=9)
    charset = Charset("0123456789")
    start = pretrained_start(charset, length=6, start="pretrained")
    texts = predict_labels(start, prepare_batch(images, **SIZE), charset, head="ctc")
    assert exact_match(labels, texts) > 0.6
