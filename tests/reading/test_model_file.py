"""What a file says of its model: grey or colour, old files as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from captcha_helpers import (
    ImageError,
    ModelSpec,
    Processing,
    evaluate,
    export,
    load,
    prepare,
    read_spec,
    save_model,
)
from captcha_helpers.reading.recognizer import Recognizer, from_keras
from captcha_helpers.reading.report import report_html

OLD = """{
  "schema": 1, "blank_index": 0,
  "preprocessing": "flatten transparency onto white; grey by ITU-R 601 (0.299 R + 0.587 G + 0.114 B); resize the width, then the height, with an antialiased triangle filter (Pillow's BILINEAR); values stay 0 to 255, because the model itself scales them",
  "charset": "0123", "length": [4, 6], "height": 48, "width": 160, "head": "ctc",
  "training": {"seed": 0}
}"""  # noqa: E501
OLD_PROCESSED = """{
  "schema": 2, "blank_index": 0, "preprocessing": "as it was",
  "charset": "0123", "length": [4, 6], "height": 48, "width": 160, "head": "ctc",
  "training": {}, "processing": {"invert": "auto", "strong": true, "auto_crop": false, "clahe": false}
}"""  # noqa: E501
COLOUR = ModelSpec("01", (1, 4), 24, 64, training={"note": "made by a test"}, channels=3)


@pytest.fixture(scope="module")
def colour_model() -> keras.Model:
    """A small reader that sees colour."""
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 64, 3))
    x = layers.Conv2D(8, 3, strides=(4, 4), padding="same")(layers.Rescaling(1 / 255)(image))
    x = layers.Reshape((16, 48))(layers.Permute((2, 1, 3))(layers.Activation("relu")(x)))
    return keras.Model(image, layers.Dense(3)(x))


@pytest.fixture(scope="module")
def exported(colour_model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colour") / "exported"
    export(from_keras(colour_model, COLOUR), folder)
    return folder


def coloured(height: int = 50, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_files_of_old_schemas_mean_what_they_meant():
    old = ModelSpec.from_json(OLD)
    assert (old.channels, old.processing) == (1, Processing())
    assert json.loads(old.to_json()) == json.loads(OLD)
    processed = ModelSpec.from_json(OLD_PROCESSED)
    assert (processed.channels, processed.processing) == (1, Processing("auto", strong=True))
    assert json.loads(processed.to_json())["schema"] == 2


def test_older_versions_refuse_a_model_that_reads_another_frame():
    last = ModelSpec("01", (1, 4), 24, 64, processing=Processing(frame="last"))
    written = json.loads(last.to_json())
    assert written["schema"] == 5 and "take the last frame" in written["preprocessing"]
    assert ModelSpec.from_json(last.to_json()) == last
    assert "frame" not in json.loads(COLOUR.to_json())["processing"]


def test_older_versions_refuse_a_model_that_sees_colour():
    written = json.loads(COLOUR.to_json())
    assert written["schema"] == 3 and written["channels"] == 3
    assert ModelSpec.from_json(COLOUR.to_json()) == COLOUR


def test_the_text_for_people_says_what_is_done_to_colours():
    text = json.loads(COLOUR.to_json())["preprocessing"]
    assert "white" in text and "grey" not in text
    processed = ModelSpec("01", (1, 4), 24, 64, processing=Processing(clahe=True), channels=3)
    assert "three channels alike" in json.loads(processed.to_json())["preprocessing"]


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="channels must be 1 .grey. or 3 .RGB., received 4"):
        ModelSpec("01", (1, 4), 24, 64, channels=4)


def test_a_model_is_saved_with_its_own_number_of_channels(
    colour_model: keras.Model, tmp_path: Path
):
    grey = ModelSpec("01", (1, 4), 24, 64)
    with pytest.raises(ValueError, match=r"takes \(None, 24, 64, 3\)"):
        save_model(colour_model, grey, tmp_path / "a.keras")
    save_model(colour_model, COLOUR, tmp_path / "a.keras")
    assert read_spec(tmp_path / "a.keras") == COLOUR


@pytest.mark.parametrize(
    "name", ["model.keras", "model.h5", "saved_model", "model.onnx", "model.float32.tflite"]
)
def test_every_format_takes_colour_and_says_so(
    colour_model: keras.Model, exported: Path, name: str
):
    assert read_spec(exported / name) == COLOUR
    images = np.stack([COLOUR.prepare(coloured(30 + i, 90)) for i in range(3)])
    expected = colour_model.predict_on_batch(images)
    assert np.allclose(load(exported / name).run(images), expected, atol=1e-3)


def test_the_onnx_file_prepares_colours_as_pillow_does(exported: Path):
    """As the page and other programs use it: raw RGBA pixels in."""
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "model.onnx")
    rng = np.random.default_rng(0)
    for _ in range(40):
        raw = rng.integers(0, 256, (*rng.integers(4, 200, 2), 4), np.uint8)
        ready = np.full((24, 64, 4), 255, np.uint8)
        ready[..., :3] = prepare(raw, 24, 64, channels=3)
        one, other = (session.run(["logits"], {"image": x[None]})[0] for x in (raw, ready))
        assert np.array_equal(one, other), raw.shape


def test_path_bytes_pillow_and_array_are_the_same_image(colour_model: keras.Model, tmp_path: Path):
    path, array = tmp_path / "01.png", coloured()
    Image.fromarray(array).save(path)
    with Image.open(path) as pillow:
        pillow.load()
    sources = [path, str(path), path.read_bytes(), pillow, array]
    seen = [COLOUR.prepare(source) for source in sources]
    assert all(np.array_equal(one, seen[0]) for one in seen)
    reader = from_keras(colour_model, COLOUR)
    assert len({reader.read(source) for source in sources}) == 1
    with pytest.raises(ImageError):
        COLOUR.prepare(tmp_path / "none.png")


def test_an_evaluation_sees_and_shows_colour(tmp_path: Path):
    Image.new("RGB", (60, 20), (255, 0, 0)).save(tmp_path / "0.png")
    Image.new("RGB", (60, 20), (0, 0, 255)).save(tmp_path / "1.png")

    def by_colour(images: np.ndarray) -> np.ndarray:
        blue = images[:, 0, 0, 2] > images[:, 0, 0, 0]
        return np.eye(3)[1 + blue.astype(int)][:, None].repeat(2, axis=1)

    result = evaluate(Recognizer(by_colour, COLOUR), tmp_path, progress=False)
    assert result.score.exact_match == 1.0 and result.data.images.shape == (2, 24, 64, 3)
    wrong = Recognizer(lambda images: by_colour(255 - images), COLOUR)
    page = report_html(evaluate(wrong, tmp_path, progress=False))
    assert page.count("<img") == 2
