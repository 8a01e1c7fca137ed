"""Exported files: each must read what Keras reads, and say so itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from captcha_helpers import (
    Charset,
    ModelSpec,
    ParityError,
    cnn_ctc,
    compare,
    crnn_ctc,
    export,
    generate,
    load,
    load_image,
    multi_head,
    open_model,
    prepare,
    read_spec,
    to_grey,
)
from captcha_helpers.core.models import residual_ctc
from captcha_helpers.data.processing import Processing, ink_box
from captcha_helpers.exporting import formats
from captcha_helpers.exporting.litert import convert
from captcha_helpers.exporting.onnx_graph import build_onnx, with_spec
from captcha_helpers.exporting.onnx_int8 import BATCH, to_int8
from captcha_helpers.reading.mask import MaskWarning
from captcha_helpers.reading.recognizer import from_keras, uncompiled

pytestmark = pytest.mark.slow

MODELS = ("model.keras", "model.h5", "saved_model", "model.onnx", "model.float32.tflite")
CROPPED = Processing(auto_crop=True)
SMALLER = ("model.float16.tflite", "model.dynamic_int8.tflite", "model.int8.tflite")


@pytest.fixture(scope="module")
def exported(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "exported"
    export(model_file, folder, formats=["keras", "h5", "savedmodel", "onnx", "litert"])
    return folder


@pytest.fixture(scope="module")
def stars() -> list[np.ndarray]:
    return list(generate("stars", 30, seed=5)[0])


@pytest.mark.parametrize("name", MODELS)
def test_every_format_reads_the_same(
    exported: Path, model_file: Path, stars: list[np.ndarray], name: str
):
    expected, readings = load(model_file).read_many(stars), load(exported / name).read_many(stars)
    for one, other in zip(expected, readings, strict=True):
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, abs=1e-2)


@pytest.mark.parametrize("name", SMALLER)
def test_smaller_files_read_nearly_the_same(
    exported: Path, model_file: Path, stars: list[np.ndarray], name: str
):
    expected, readings = load(model_file).read_many(stars), load(exported / name).read_many(stars)
    same = [a.text == b.text for a, b in zip(expected, readings, strict=True)]
    assert np.mean(same) >= 0.8
    assert (exported / name).stat().st_size < 0.6 * (exported / MODELS[-1]).stat().st_size


def test_metadata_says_how_to_read_and_what_was_checked(spec: ModelSpec, exported: Path):
    about = json.loads((exported / "metadata.json").read_text())
    assert about["charset"] == spec.charset and about["blank_index"] == 0
    assert (about["height"], about["width"], about["head"]) == (48, 160, "ctc")
    assert about["training"] == spec.training and "keras" in about["exported_with"]
    files = {entry["file"]: entry for entry in about["files"]}
    assert set(files) == {*MODELS, *SMALLER}
    assert files["model.onnx"]["n"] >= 100 and files["model.onnx"]["same_text"] == 1.0
    assert files["model.onnx"]["bytes"] == (exported / "model.onnx").stat().st_size
    assert all(read_spec(exported / name) == spec for name in files)


def test_onnx_reads_without_tensorflow(exported: Path, tmp_path: Path):
    """What a program that only reads imports, in a process of its own."""
    code = (
        "import sys, numpy as np, captcha_helpers as c\n"
        f"reader = c.load({str(exported / 'model.onnx')!r})\n"
        "print(reader.read(np.eye(40, 90, dtype=np.uint8)).text == '')\n"
        "print(sorted({'tensorflow', 'keras', 'cv2', 'matplotlib', 'onnx'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[1] == "[]"


def test_the_onnx_file_prepares_images_as_pillow_does(exported: Path):
    """Raw pixels of any size and transparency, against the same pixels prepared outside."""
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    rng = np.random.default_rng(0)
    for trial in range(60):
        height, width = rng.integers(4, 300, 2)
        raw = rng.integers(0, 256, (height, width, 4), np.uint8)
        raw[..., 3] = 255 if trial % 2 else raw[..., 3]
        ready = np.full((48, 160, 4), 255, np.uint8)
        ready[..., :3] = prepare(raw, 48, 160)
        one, other = (session.run(["logits"], {"image": x[None]})[0] for x in (raw, ready))
        assert np.array_equal(one, other), (height, width)


def with_margins(count: int) -> Iterator[np.ndarray]:
    """RGBA pictures of all sizes: ink on a background that is lighter, darker or transparent."""
    rng = np.random.default_rng(0)
    for number in range(count):
        height, width = rng.integers(4, 70, 2)
        image = np.empty((height, width, 4), np.uint8)
        image[:] = rng.integers(0, 256, 4)
        top, left = rng.integers(0, height), rng.integers(0, width)
        part = image[top : rng.integers(top, height) + 1, left : rng.integers(left, width) + 1]
        part[:] = rng.integers(0, 256, part.shape if number % 2 else 4)
        image[..., 3] = 255 if number % 3 else image[..., 3]
        yield image


@pytest.mark.parametrize("channels", [1, 3])
def test_the_onnx_file_crops_as_python_does(channels: int):
    cropping = ModelSpec("01", (1, 4), 32, 64, processing=CROPPED, channels=channels)
    network = residual_ctc(Charset("01"), length=4, height=32, width=64, channels=channels)
    session = onnxruntime.InferenceSession(build_onnx(network, cropping))
    smaller = 0
    for image in with_margins(150):
        logits, box = session.run(["logits", "box"], {"image": image[None]})
        rows, columns = ink_box(to_grey(image) if channels == 1 else load_image(image))
        assert box[0].tolist() == [columns.start, rows.start, columns.stop, rows.stop]
        ready = np.full((32, 64, 4), 255, np.uint8)
        ready[..., :3] = cropping.prepare(image)
        assert np.array_equal(logits, session.run(["logits"], {"image": ready[None]})[0])
        smaller += box[0].tolist() != [0, 0, image.shape[1], image.shape[0]]
    assert smaller > 100


def test_several_images_are_each_cropped_and_those_of_the_models_size_are_not():
    cropping = ModelSpec("01", (1, 4), 32, 64, processing=CROPPED)
    network = cnn_ctc(Charset("01"), length=4, height=32, width=64)
    session = onnxruntime.InferenceSession(build_onnx(network, cropping))
    images = np.full((2, 32, 64, 4), 255, np.uint8)
    images[0, 10:20, 20:40, :3] = images[1, 15:19, 5:9, :3] = 0
    assert session.run(["box"], {"image": images})[0].tolist() == [[0, 0, 64, 32]] * 2
    assert np.array_equal(cropping.prepare(images[0]), images[0][..., :1])
    wider = np.pad(images, ((0, 0), (0, 0), (0, 6), (0, 0)), constant_values=255)
    boxes = session.run(["box"], {"image": wider})[0]
    assert boxes.tolist() == [[18, 8, 42, 22], [3, 13, 11, 21]]


def test_an_earlier_onnx_file_that_does_not_crop_gives_no_page(tmp_path: Path):
    plain = ModelSpec("01", (1, 4), 32, 64)
    network = cnn_ctc(Charset("01"), length=4, height=32, width=64)
    earlier = with_spec(build_onnx(network, plain), replace(plain, processing=CROPPED))
    (tmp_path / "earlier.onnx").write_bytes(earlier)
    with pytest.raises(ValueError, match=r"does not crop; export the \.keras file"):
        export(tmp_path / "earlier.onnx", tmp_path / "page", formats=["web"])


def test_the_onnx_file_takes_several_images_and_gives_three_outputs(exported: Path):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    images = np.random.default_rng(1).integers(0, 256, (3, 30, 90, 4), np.uint8)
    logits, probabilities, best = session.run(None, {"image": images})
    assert logits.shape == probabilities.shape == (3, 40, 11) and best.shape == (3, 40)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    assert (best == logits.argmax(axis=-1)).all()
    alone = session.run(["logits"], {"image": images[1:2]})[0]
    assert np.allclose(alone[0], logits[1], atol=1e-4)


def test_several_threads_may_share_a_reader(exported: Path, stars: list[np.ndarray]):
    for name in ("model.keras", "model.onnx", "model.float32.tflite"):
        reader = load(exported / name)
        expected = [reader.read(image).text for image in stars]
        with ThreadPoolExecutor(4) as pool:
            assert [reading.text for reading in pool.map(reader.read, stars)] == expected


def test_files_keep_what_is_known_of_the_strings(
    model_file: Path, tmp_path: Path, stars: list[np.ndarray]
):
    with pytest.warns(MaskWarning, match="does not have 'x'"):
        export(
            model_file, tmp_path / "out", formats=["keras", "onnx"], charset="01x", length=(3, 4)
        )
    for name in ("model.keras", "model.onnx"):
        with pytest.warns(MaskWarning, match="does not have 'x'"):
            reader = load(tmp_path / "out" / name)
        for reading in reader.read_many(stars):
            assert set(reading.text) <= set("01") and 3 <= len(reading.text) <= 4
        other = load(tmp_path / "out" / name, charset="23", length=(2, 2))
        assert all(set(one.text) <= set("23") for one in other.read_many(stars))
    with pytest.raises(ValueError, match="none of the characters"):
        export(model_file, tmp_path / "none", formats=["keras"], charset="é")
    assert not (tmp_path / "none").exists()


def test_models_with_one_head_per_position(tmp_path: Path):
    spec = ModelSpec("abc", (1, 3), 32, 64, "per_position")
    model = multi_head(Charset("abc"), length=3, height=32, width=64)
    checks = export(from_keras(model, spec), tmp_path / "out", formats=["onnx", "litert"])
    assert not checks[0].left_out and not checks[1].left_out
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)
    expected = from_keras(model, spec).read(image)
    assert load(tmp_path / "out" / "model.onnx").read(image).text == expected.text


def test_a_recurrent_model_goes_to_onnx(tmp_path: Path):
    model = crnn_ctc(Charset("0123456789"), length=4, height=32, width=64)
    spec = ModelSpec("0123456789", (4, 4), 32, 64)
    (check,) = export(from_keras(model, spec), tmp_path / "out", formats=["onnx"])
    assert check.max_logit_difference < 1e-3


@pytest.mark.parametrize("around", [keras.layers.Bidirectional, lambda layer: layer])
def test_the_loop_of_a_recurrent_model_is_written_out_for_litert(tmp_path: Path, around):
    layers = keras.layers
    image = keras.Input((8, 24, 1))
    x = layers.Reshape((6, 32))(layers.Permute((2, 1, 3))(layers.Rescaling(1 / 255)(image)))
    x = around(layers.LSTM(4, return_sequences=True))(x)
    model = keras.Model(image, layers.Dense(11)(layers.GRU(4, return_sequences=True)(x)))
    file = tmp_path / "model.float32.tflite"
    file.write_bytes(convert(model, "float32", np.zeros((1, 8, 24, 1), np.uint8)))
    pixels = np.random.default_rng(3).integers(256, size=(3, 8, 24, 1), dtype=np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels))
    assert np.allclose(open_model(file)(pixels), expected, atol=1e-4)


def test_a_file_of_another_model_is_found_out(spec: ModelSpec, model_file: Path, tmp_path: Path):
    model = keras.models.load_model(model_file, compile=False)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + np.eye(11)[3]])  # a little too fond of "2"
    (tmp_path / "model.onnx").write_bytes(build_onnx(model, spec))
    straight = keras.models.load_model(model_file, compile=False)
    assert "differ by up to 1" in compare(tmp_path / "model.onnx", straight, formats.EXACT).left_out


def test_what_may_differ_grows_with_the_logits():
    """A reader that is very sure has logits near 100, which all carry the same small error."""
    assert formats.EXACT.allowed(np.array([-100.0, 5.0])) == pytest.approx(0.2)
    assert formats.EXACT.allowed(np.array([1.0])) == formats.EXACT.allowed(np.array([10.0]))


def test_nothing_is_left_behind_when_a_file_fails(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(formats, "EXACT", formats.Demand(difference=-1.0, same_text=1.0))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metadata.json").write_text("keep")
    with pytest.raises(ParityError, match="does not read what Keras reads"):
        export(model_file, tmp_path / "out", formats=["keras"], overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "metadata.json"]


def test_a_quantised_file_that_lost_too_much_is_left_out(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(formats, "LITERT", {"int8": formats.Demand(np.inf, 1.01)})
    (check,) = export(model_file, tmp_path / "out", formats=["litert"])
    assert "as Keras does, not 101%" in check.left_out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metadata.json"]


def test_folders_are_replaced_only_when_asked(model_file: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    with pytest.raises(FileExistsError, match="holds no export"):
        export(model_file, tmp_path / "out", formats=["keras"], overwrite=True)
    (tmp_path / "out" / "metadata.json").write_text("{}")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(model_file, tmp_path / "out", formats=["keras"])
    export(model_file, tmp_path / "out", formats=["keras"], overwrite=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["metadata.json", "model.keras"]


def test_wrong_arguments_are_explained(model_file: Path, exported: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="unknown formats tflite; choose from keras, h5"):
        export(model_file, tmp_path / "out", formats=["tflite"])
    with pytest.raises(ValueError, match="starts from a .keras or an ONNX file"):
        export(exported / "model.float32.tflite", tmp_path / "out")
    with pytest.raises(ValueError, match="not from Keras"):
        export(load(exported / "model.onnx"), tmp_path / "out")
    with pytest.raises(ValueError, match="unknown kind of LiteRT file"):
        convert(keras.Sequential(), "int4", np.zeros((1, 48, 160, 1), np.uint8))


@pytest.mark.parametrize("name", ["a.onnx", "a.tflite", "a.h5", "a.keras"])
def test_damaged_files_are_told(spec: ModelSpec, tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"not a model")
    (tmp_path / "metadata.json").write_text(spec.to_json())
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / name)


def test_files_without_a_specification_are_told(spec: ModelSpec, exported: Path, tmp_path: Path):
    (tmp_path / "alone.tflite").write_bytes((exported / "model.int8.tflite").read_bytes())
    with pytest.raises(ValueError, match="does not say which characters it reads"):
        load(tmp_path / "alone.tflite")
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "nowhere.onnx")
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "metadata.json").write_text(spec.to_json())
    with pytest.raises(ValueError, match="must end in one of .keras, .h5, .onnx, .tflite"):
        load(tmp_path / "model.pt")


def test_older_runtimes_can_open_the_onnx_file(exported: Path):
    """Before 1.26 onnxruntime makes one node of a Transpose and a MatMul, and lacks it in float64;
    before 1.21 nodes without names may get the same one. OpenVINO wants constants of one name to
    have one shape."""
    graph = onnx.load(exported / "model.onnx").graph
    maker = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        for source in node.input if node.op_type == "MatMul" else ():
            name = source
            while name in maker and maker[name].op_type == "Cast":
                name = maker[name].input[0]
            assert name not in maker or maker[name].op_type != "Transpose", node.name
    prepare_names = [node.name for node in graph.node if node.output[0].startswith("prepare/")]
    assert "" not in prepare_names and len(set(prepare_names)) == len(prepare_names)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    scalars = [node.input[0] for node in graph.node if node.op_type == "Range"]
    assert scalars and all(shapes[name] == () for name in scalars)
    limits = [name for node in graph.node if node.op_type == "Slice" for name in node.input[1:]]
    assert limits and all(len(shapes[name]) == 1 for name in limits if name in shapes)


def test_computing_in_8_bits_takes_a_third_of_the_room_and_reads_nearly_the_same(
    model_file: Path, exported: Path, stars: list[np.ndarray], tmp_path: Path
):
    (check,) = export(model_file, tmp_path / "out", formats=["onnx-int8"])
    assert not check.left_out and check.same_text >= 0.9
    small = tmp_path / "out" / "model.int8.onnx"
    assert small.stat().st_size < 0.35 * (exported / "model.onnx").stat().st_size
    assert read_spec(small) == read_spec(model_file)
    texts = [[one.text for one in load(path).read_many(stars)] for path in (small, model_file)]
    assert np.mean([a == b for a, b in zip(*texts, strict=True)]) >= 0.9


def test_in_8_bits_the_heavy_layers_multiply_whole_numbers_and_the_ends_stay_exact(exported: Path):
    whole = (exported / "model.onnx").read_bytes()
    images = np.random.default_rng(0).integers(0, 256, (40, 48, 160, 1), np.uint8)
    small = to_int8(whole, images)
    graph = onnx.load_from_string(small).graph
    kernels = {one.name: one for one in graph.initializer}
    from_whole = {
        node.output[0]: kernels[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in kernels
    }
    first, *others = [node for node in graph.node if node.op_type == "Conv"]
    assert first.input[1] in kernels and len(others) >= 3
    for node in others:
        kernel = numpy_helper.to_array(from_whole[node.input[1]])
        assert kernel.dtype == np.int8 and 32 < np.abs(kernel).max() <= 64
    *_, last = [node for node in graph.node if node.op_type == "MatMul"]
    assert last.input[1] in kernels
    assert small == to_int8(whole, images)


def test_in_8_bits_the_last_layer_stays_exact_however_many_characters_it_names():
    charset = Charset("".join(chr(0x4E00 + i) for i in range(600)))
    whole = build_onnx(cnn_ctc(charset, length=2), ModelSpec(charset.characters, (2, 2), 48, 144))
    small = to_int8(whole, np.zeros((2, 48, 144, 1), np.uint8))
    graph = onnx.load_from_string(small).graph
    *_, last = [node for node in graph.node if node.op_type == "MatMul"]
    assert last.input[1] in {one.name for one in graph.initializer}


def test_a_file_without_heavy_layers_is_left_as_it_is():
    image = keras.Input((16, 24, 1))
    x = keras.layers.Conv2D(4, 3, strides=(16, 1), padding="same")(image)  # (B, 1, 24, 4)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Reshape((24, 4))(x)))
    whole = build_onnx(model, ModelSpec("ab", (1, 4), 16, 24))
    assert to_int8(whole, np.zeros((4, 16, 24, 1), np.uint8)) == whole


def test_more_images_than_one_batch_show_which_numbers_occur(exported: Path):
    whole = (exported / "model.onnx").read_bytes()
    dull = np.full((BATCH, 48, 160, 1), 255, np.uint8)
    lively = np.random.default_rng(0).integers(0, 256, (1, 48, 160, 1), np.uint8)
    assert to_int8(whole, np.concatenate([dull, lively])) != to_int8(whole, dull)


def test_a_model_in_mixed_precision_is_exported_in_float32(tmp_path: Path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = cnn_ctc(Charset("01"), length=4, height=48, width=64)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.layers[-1].compute_dtype == "float16"
    copy = uncompiled(model)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    reader = from_keras(model, ModelSpec("01", (1, 4), 48, 64))
    checks = export(reader, tmp_path / "out", formats=["h5", "onnx", "litert"])
    assert not any(check.left_out for check in checks[:2])


def test_the_images_to_compare_are_drawn_and_read_once(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn = []

    def note(*arguments: object, draw=formats.drawn_images, **options: object) -> np.ndarray:
        drawn.append(options)
        return draw(*arguments, **options)

    monkeypatch.setattr(formats, "drawn_images", note)
    export(model_file, tmp_path / "out", formats=["keras", "h5", "onnx"])
    assert len(drawn) == 1


def test_the_metadata_need_no_package_of_a_certain_name(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """TensorFlow is called tensorflow-cpu on some machines."""
    import importlib.metadata

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    export(model_file, tmp_path / "out", formats=["keras"])
    about = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert set(about["exported_with"]) >= {"captcha-helpers", "keras", "numpy", "tensorflow"}
