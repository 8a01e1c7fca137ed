"""What a training begins with: known characters keep what they have learned, whatever is new."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from captcha_helpers import (
    Charset,
    ModelSpec,
    cnn_ctc,
    crnn_ctc,
    fixed_length_cnn,
    multi_head,
    save_model,
)
from captcha_helpers.learning import starts
from captcha_helpers.learning.starts import check_model, from_builder, from_file, shipped

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 48, 144, 1), np.uint8)


def saved(build, path: Path, charset: str, head: str = "ctc") -> keras.Model:
    model = build(Charset(charset), length=4, height=48, width=144)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.5, array.shape) for array in model.get_weights()])
    save_model(model, ModelSpec(charset, (4, 4), 48, 144, head), path)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "head"), [(cnn_ctc, "ctc"), (crnn_ctc, "ctc"), (multi_head, "per_position")]
)
def test_a_reader_with_new_characters_says_of_the_known_ones_what_it_said(
    build, head: str, tmp_path: Path
):
    before = saved(build, tmp_path / "old.keras", "abcd", head)
    start = from_file(tmp_path / "old.keras")
    after = start.build(Charset("xdya"), 4, 0.3)
    old, new = before(IMAGES), after(IMAGES)
    for known, place in {0: 0, 4: 2, 1: 4}.items():  # blank, d and a
        np.testing.assert_allclose(new[..., place], old[..., known], rtol=1e-4, atol=1e-3)
    assert start.head == head and start.shape == (48, 144, 1) and after.output_shape[-1] == 5
    check_model(after, Charset("xdya"), 4, head)


@pytest.mark.slow
def test_as_many_classes_as_features_are_not_mistaken_for_characters(tmp_path: Path):
    """With 127 characters the last layer has as many units as the layers before it."""
    charset = "".join(chr(0x4E00 + i) for i in range(127))
    before = saved(cnn_ctc, tmp_path / "old.keras", charset)
    after = from_file(tmp_path / "old.keras").build(Charset(charset[::-1]), 4, 0.0)
    np.testing.assert_allclose(
        np.asarray(after(IMAGES))[..., 1:], np.asarray(before(IMAGES))[..., :0:-1], rtol=1e-4
    )


@pytest.mark.slow
def test_longer_labels(tmp_path: Path):
    saved(cnn_ctc, tmp_path / "ctc.keras", "abcd")
    assert from_file(tmp_path / "ctc.keras").build(Charset("ab"), 9, 0.0).output_shape[1] == 36
    with pytest.raises(ValueError, match="36 time steps are too few for 19"):
        from_file(tmp_path / "ctc.keras").build(Charset("ab"), 19, 0.0)
    saved(multi_head, tmp_path / "heads.keras", "abcd", "per_position")
    assert from_file(tmp_path / "heads.keras").build(Charset("ab"), 5, 0.0).output_shape[1] == 5


def own_network(charset: Charset, *, length: int, height=48, width=144, last="dense"):
    image = keras.Input((height, width, 1))
    x = keras.layers.AveragePooling2D((height, 4))(image)
    x = keras.layers.Reshape((width // 4, 1))(x)
    x = keras.layers.Conv1D(8, 3, padding="same")(x)
    if last == "dense":
        x = keras.layers.Dense(charset.num_classes)(x)
    else:
        x = keras.layers.Conv1D(charset.num_classes, 3, padding="same")(x)
    return keras.Model(image, x, name="own")


def test_a_network_of_ones_own_is_made_anew_if_it_ends_in_a_dense_layer(tmp_path: Path):
    saved(own_network, tmp_path / "old.keras", "abcd")
    assert from_file(tmp_path / "old.keras").build(Charset("ab"), 4, 0.3).output_shape[-1] == 3
    saved(partial(own_network, last="conv"), tmp_path / "conv.keras", "abcd")
    with pytest.raises(ValueError, match="build=my_builder"):
        from_file(tmp_path / "conv.keras").build(Charset("ab"), 4, 0.0)


@pytest.mark.slow
def test_what_a_reader_was_not_built_by_is_refused(tmp_path: Path):
    saved(cnn_ctc, tmp_path / "old.keras", "abcd")
    for other in (crnn_ctc, fixed_length_cnn):
        with pytest.raises(ValueError, match="build it as that one was built"):
            from_file(tmp_path / "old.keras", other).build(Charset("ab"), 4, 0.0)


def test_files_that_cannot_be_begun_with(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        from_file(tmp_path / "none.keras")
    (tmp_path / "m.onnx").touch()
    with pytest.raises(ValueError, match="the .keras file that it was exported from"):
        from_file(tmp_path / "m.onnx")
    saved(cnn_ctc, tmp_path / "plain.keras", "ab").save(tmp_path / "plain.keras")
    with pytest.raises(ValueError, match="does not say which characters"):
        from_file(tmp_path / "plain.keras")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "head", "said"),
    [
        (lambda c, length: multi_head(c, length=length), "ctc", "need 7 or more"),
        (lambda c, length: cnn_ctc(c, length=length), "per_position", "need 4"),
        (lambda c, length: cnn_ctc(Charset("ab"), length=length), "ctc", r"\(None, T, 4\)"),
    ],
)
def test_a_network_that_cannot_learn_such_labels(build, head: str, said: str):
    charset = Charset("abc")
    model = from_builder(build, charset, 4, head).build(charset, 4, 0.0)
    with pytest.raises(ValueError, match=said):
        check_model(model, charset, 4, head)


def test_a_network_that_takes_no_image():
    def build(charset: Charset, *, length: int) -> keras.Model:
        return keras.Sequential([keras.Input((10,)), keras.layers.Dense(charset.num_classes)])

    with pytest.raises(ValueError, match="must take one image"):
        from_builder(build, Charset("ab"), 4)


@pytest.mark.parametrize("name", starts.STARTS)
def test_a_shipped_start_draws_what_it_takes(name: str):
    start = shipped(name)
    images, labels = start.draw(2, charset="01", length=(3, 4), processing=None, seed=1, start=0)
    assert images.shape == (2, *start.shape) and set("".join(labels)) <= set("01")
    assert from_file(name).name == name


def test_general_draws_characters_that_only_some_fonts_have():
    start, size = shipped("general"), {"length": (5, 5), "processing": None, "seed": 1, "start": 0}
    _, labels = start.draw(40, charset="жяю19×ñ", **size)
    assert set("".join(labels)) == set("жяю19×ñ")


@pytest.mark.parametrize("charset", ["sßa", "σςα"])
def test_a_letter_without_a_capital_of_its_own_takes_no_other_letters_place(charset: str):
    start = shipped("general", seen="in both cases")
    options = {"length": (6, 6), "processing": None, "seed": 1, "start": 0}
    _, labels = start.draw(20, charset=charset, **options)
    assert set("".join(labels)) == set(charset)
    kernel, _ = start.build(Charset(charset), 4, 0.0).layers[-1].get_weights()
    assert not np.allclose(kernel[:, 1], kernel[:, 2])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["general", "pretrained"])
def test_long_labels_make_the_images_wider_and_leave_the_weights_as_they_are(name: str):
    usual, wide = shipped(name), shipped(name, length=30)
    assert wide.shape == usual.shape._replace(width=360)
    assert shipped(name, length=20).shape == usual.shape
    one, other = usual.build(Charset("0123"), 4, 0.0), wide.build(Charset("0123"), 30, 0.0)
    check_model(other, Charset("0123"), 30, "ctc")
    for layer, same in zip(one.layers, other.layers, strict=True):
        for a, b in zip(layer.get_weights(), same.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
