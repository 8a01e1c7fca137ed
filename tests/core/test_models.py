"""Models: shapes, errors, and that a saved one reads the same where only Keras is known."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

from captcha_helpers.core import models
from captcha_helpers.core.charset import ALPHANUMERIC, DIGITS, UPPER, Charset
from captcha_helpers.learning.fitting import ExactMatch, compile_model, predict_labels

BUILDERS = {
    "fixed_length_cnn": "per_position",
    "crnn_ctc": "ctc",
    "cnn_ctc": "ctc",
    "multi_head": "per_position",
    "residual_ctc": "ctc",
}


@pytest.fixture(params=BUILDERS)
def name(request):
    return request.param


def build(name: str, **kwargs) -> keras.Model:
    settings = {"length": 4, "height": 32, "width": 64} | grey(name) | kwargs
    return getattr(models, name)(Charset(DIGITS), **settings)


def grey(name: str) -> dict[str, int]:
    """Settings that make a model one of grey images."""
    return {"channels": 1} if name == "residual_ctc" else {}


def test_crnn_has_the_parameters_of_the_well_known_one():
    model = models.crnn_ctc(Charset(UPPER), length=6, height=80, width=280)
    assert model.count_params() == 285_983


@pytest.mark.slow
@pytest.mark.parametrize(
    ("charset", "length", "size"),
    [
        (DIGITS, 1, (30, 64)),
        (ALPHANUMERIC, 8, (49, 161)),
        (DIGITS, 4, (31, 63)),
        (UPPER, 3, (100, 300)),
    ],
)
def test_one_row_a_frame_or_position_whatever_the_size(name, charset, length, size):
    settings = {"length": length, "height": size[0], "width": size[1]} | grey(name)
    model = getattr(models, name)(Charset(charset), **settings)
    batch, rows, classes = model.output_shape
    assert batch is None and classes == len(charset) + 1
    width = size[1]
    frames = {
        "crnn_ctc": width // 4,
        "cnn_ctc": -(-width // 2) // 2,
        "residual_ctc": -(-width // 4),
    }
    assert rows == frames.get(name, length)


def test_models_take_pixels_and_divide_by_255_themselves(name):
    model = build(name)
    assert [type(layer).__name__ for layer in model.layers].count("Rescaling") == 1
    assert len(model.inputs) == 1
    assert not any(type(layer).__name__ == "Lambda" for layer in model.layers)


@pytest.mark.slow
def test_models_end_in_logits(name):
    """Softmax inside would make keras.losses.CTC wrong without any error."""
    logits = build(name).predict(np.full((1, 32, 64, 1), 200, "uint8"), verbose=0)
    assert not np.allclose(np.exp(logits).sum(-1), 1) and not np.allclose(logits.sum(-1), 1)


@pytest.mark.slow
def test_saved_model_reads_the_same_in_a_fresh_process_with_keras_alone(name, tmp_path):
    model = build(name)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 64, 1), dtype=np.uint8)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    program = (
        "import keras, numpy as np, sys\n"
        "model = keras.models.load_model('model.keras')\n"
        "np.save('logits.npy', model.predict(np.load('images.npy'), verbose=0))\n"
        "assert 'captcha_helpers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["crnn_ctc", "cnn_ctc", "residual_ctc"])
def test_too_narrow_for_ctc_is_an_error_and_not_a_large_loss(name):
    assert build(name, length=8, width=60).output_shape[1] == 15  # 8 characters, 7 blanks
    with pytest.raises(ValueError, match="14 time steps are too few for 8 characters"):
        build(name, length=8, width=56)


def test_the_frames_that_count_are_those_of_the_model():
    assert build("cnn_ctc", length=8, width=59).output_shape[1] == 15
    with pytest.raises(ValueError, match="14 time steps are too few for 8 characters"):
        build("crnn_ctc", length=8, width=59)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn_ctc", "residual_ctc"])
def test_dropout_is_for_training_and_leaves_the_weights_as_they_are(name):
    plain, dropping = build(name), build(name, dropout=0.5)
    dropping.set_weights(plain.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 1)).astype("float32")
    assert np.array_equal(plain(images), dropping(images))
    assert not np.allclose(dropping(images, training=True), dropping(images, training=True))


@pytest.mark.slow
def test_the_reader_in_colour_sees_colours_that_are_the_same_grey():
    model = models.residual_ctc(Charset(DIGITS), length=4, height=32, width=64)
    assert model.input_shape == (None, 32, 64, 3)
    images = np.full((2, 32, 64, 3), 200, "uint8")
    images[:, 8:24, 8:56] = [[[(100, 100, 100)]], [[(255, 32, 46)]]]  # both are 100 in grey
    logits = model.predict(images, verbose=0)
    assert not np.allclose(logits[0], logits[1], atol=1e-2)


def test_the_reader_in_colour_is_as_large_as_planned():
    model = models.residual_ctc(Charset(ALPHANUMERIC + "+-=?"), length=12)
    assert model.output_shape == (None, 48, 67)
    assert 1_500_000 < model.count_params() < 2_000_000


@pytest.mark.parametrize("paper", [255, 3])
def test_the_reader_in_colour_reads_pale_images_as_it_does_strong_ones(paper):
    """Contrast and brightness are evened out before anything else, in float32."""
    model = models.residual_ctc(Charset(DIGITS), length=4, height=32, width=64)
    even = keras.Model(model.input, model.get_layer("channels").output)
    ink = np.random.default_rng(0).random((1, 32, 64, 3)) < 0.1
    values = even.predict(np.where(ink, abs(paper - 20), paper).astype("uint8"), verbose=0)
    assert abs(values.mean()) < 1e-3 and 0.3 < values.std() < 1.01


def test_small_or_empty_sizes_are_explained(name):
    with pytest.raises(ValueError, match="at least 16 pixels, received 8 x 64"):
        build(name, height=8)
    with pytest.raises(ValueError, match="length must be at least 1"):
        build(name, length=0)


@pytest.mark.slow
def test_every_model_learns(name):
    """A few steps on a handful of images must bring the loss down and leave the weights finite."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    charset, labels = Charset("01"), ["01", "10", "11", "00"] * 4
    images = rng.integers(0, 256, (4, 16, 32, 1), dtype=np.uint8)[[0, 1, 2, 3] * 4]
    model = getattr(models, name)(charset, length=2, height=16, width=32, **grey(name))
    compile_model(model, head=BUILDERS[name], steps=60)
    watch = ExactMatch(images, labels, charset, head=BUILDERS[name])
    logs = model.fit(
        images, charset.encode(labels), batch_size=16, epochs=60, verbose=0, callbacks=[watch]
    ).history
    assert logs["loss"][-1] < 0.5 * logs["loss"][0]
    texts = predict_labels(model, images, charset, head=BUILDERS[name])
    assert (
        np.mean([a == b for a, b in zip(texts, labels, strict=True)])
        == (logs["val_exact_match"][-1])
    )


def test_exact_match_refuses_what_would_be_read_wrongly():
    charset, images = Charset(DIGITS), np.zeros((2, 32, 64, 1), "uint8")
    with pytest.raises(ValueError, match="received 2 images and 3 labels"):
        ExactMatch(images, ["1", "2", "3"], charset, head="ctc")
    with pytest.raises(ValueError, match="images must be uint8, received float64"):
        ExactMatch(images / 255, ["1", "2"], charset, head="ctc")


def test_predict_refuses_what_would_be_read_wrongly():
    model, charset = build("cnn_ctc"), Charset(DIGITS)
    images = np.zeros((1, 32, 64, 1), "uint8")
    with pytest.raises(ValueError, match="uint8"):
        predict_labels(model, images / 255, charset, head="ctc")
    with pytest.raises(ValueError, match="prepare_batch"):
        predict_labels(model, images[:, :, ::2], charset, head="ctc")
    with pytest.raises(ValueError, match="11 classes, the charset 27"):
        predict_labels(model, images, Charset(UPPER), head="ctc")
    with pytest.raises(ValueError, match="head must be"):
        predict_labels(model, images, charset, head="CTC")


def test_compile_refuses_an_impossible_schedule():
    with pytest.raises(ValueError, match="steps >= 1"):
        compile_model(build("cnn_ctc"), head="ctc", steps=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("learning.batches", "keras"),
        ("core.models", "keras"),
        ("learning.fitting", "keras"),
        ("drawing.painter", "cv2"),
        ("plots", "matplotlib.pyplot"),
    ],
)
def test_a_broken_package_shows_its_own_error_and_not_that_it_is_missing(module, package):
    program = (
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {package!r}:\n"
        "            raise ImportError('the DLL cannot be loaded')\n"
        "sys.meta_path.insert(0, Broken())\n"
        f"import captcha_helpers.{module}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip().endswith("ImportError: the DLL cannot be loaded")
    assert "pip install" not in done.stderr
