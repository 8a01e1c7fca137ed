"""The readers of the styles that ship with the package, and the tool that makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from captcha_helpers import (
    STYLES,
    Charset,
    Recognizer,
    exact_match,
    generate,
    load,
    read_spec,
    shipped_models,
)
from captcha_helpers.learning.starts import HEIGHT, STARTS, WIDTH, pretrained_start, start_file
from tools import style_models

pytestmark = pytest.mark.slow

NAMES = list(style_models.IMAGES)
AT_LEAST = {"slanted": 0.97, "stars": 0.97, "gradient": 0.97, "mixed": 0.7, "classic": 0.93}


@pytest.fixture(scope="module", params=NAMES)
def reader(request: pytest.FixtureRequest) -> tuple[str, Recognizer]:
    return request.param, load(request.param)


def test_a_shipped_reader_reads_its_style(reader: tuple[str, Recognizer]):
    name, recognizer = reader
    images, labels = generate(name, 200, seed=2_222_222)
    texts = [reading.text for reading in recognizer.read_many(images)]
    assert exact_match(labels, texts) >= AT_LEAST[name]


def test_a_shipped_reader_is_small_and_says_how_it_was_made(reader: tuple[str, Recognizer]):
    name, recognizer = reader
    path, style = shipped_models()[name], STYLES[name]
    assert path.suffix == ".onnx" and path.stat().st_size <= 1_500_000
    assert (recognizer.spec.charset, recognizer.spec.length) == (style.charset, style.length)
    assert f"tools.style_models {name}" in recognizer.spec.training["command"]
    assert "drawn images whose strings it never saw" in recognizer.spec.training["test"]


def test_every_shipped_reader_has_a_card_with_its_figures():
    cards = (Path(__file__).parents[2] / style_models.CARDS).read_text("utf-8")
    for name in NAMES:
        made = load(name).spec.training
        assert f"\n## {name}\n" in cards and made["command"] in cards
        assert made["test"].partition(": ")[2] in cards


@pytest.mark.parametrize("name", STARTS)
def test_a_start_is_small_and_fits_the_recipe(name: str):
    spec = read_spec(start_file(name))
    assert start_file(name).stat().st_size <= 4_000_000
    steps = spec.width // 4
    assert pretrained_start(Charset("ab"), length=6, start=name).output_shape == (None, steps, 3)


def test_no_start_of_another_name():
    with pytest.raises(ValueError, match="choose one of general, pretrained, mixed"):
        start_file("../pretrained")


def test_batches_are_new_each_epoch_and_leave_the_test_strings_out():
    few = [f"{number:04d}" for number in range(9_900)]
    batches = style_models.NearStyle("classic", steps=2, exclude=few)
    batches.on_epoch_end()
    first, labels = batches[0]
    assert first.shape == (64, HEIGHT, WIDTH, 1) and first.dtype == np.uint8
    texts = Charset("0123456789").decode(labels)
    assert not set(texts) & set(few)
    assert (batches[1][0] != first).any()
    batches.on_epoch_end()
    assert (batches[0][0] != first).any()


def test_a_cut_off_training_goes_on_after_the_epochs_it_has_done(tmp_path):
    assert style_models.epochs_done(tmp_path) == 0
    (tmp_path / "training_metadata.json").write_text('{"epoch": 7, "batch": 0}')
    assert style_models.epochs_done(tmp_path) == 7
