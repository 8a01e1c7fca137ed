"""A model file from a stranger is read, or ends in one clear error; never in anything else."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from captcha_helpers import Mask, ModelFileError, ModelSpec, Recognizer, load, read_spec
from captcha_helpers.reading import safety
from captcha_helpers.reading.runtimes import load_keras, open_model
from tests.tiny_models import SPEC, STEPS, graph, onnx_bytes, spec_with

SCHEMAS = Path(__file__).parent / "schemas"


def written(folder: Path, data: bytes, name: str = "a.onnx") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_the_tiny_model_reads(tmp_path: Path):
    reader = load(written(tmp_path, onnx_bytes()))
    assert reader.read(255 - np.eye(16, 32, dtype=np.uint8)).text == "ab"


DEEP = "[" * 100_000 + "]" * 100_000
BAD_SPECS = {
    "a side that is not whole": spec_with(height=48.5),
    "a side that is a truth": spec_with(height=True),
    "a side of text": spec_with(width="160"),
    "an enormous side": spec_with(width=100_000),
    "a negative side": spec_with(width=-1),
    "one length": spec_with(length=[5]),
    "a length of numbers that are not whole": spec_with(length=[1, 2.5]),
    "lengths the wrong way round": spec_with(length=[4, 1]),
    "an enormous length": spec_with(length=[39, 1_000_000]),
    "a length that is a number": spec_with(length=4),
    "no charset": spec_with(charset=""),
    "a charset that is a list": spec_with(charset=["a", "b"]),
    "a character twice": spec_with(charset="aa"),
    "a control character": spec_with(charset="a\x1b"),
    "half a character": spec_with(charset="a\ud800"),
    "a mark of direction": spec_with(charset="a\u202e"),
    "an enormous charset": spec_with(charset="".join(map(chr, range(0x10000, 0x20000)))),
    "another head": spec_with(head="lstm"),
    "channels that are a list": spec_with(schema=3, processing={}, channels=[1]),
    "channels that are not whole": spec_with(schema=3, processing={}, channels=1.0),
    "training that is a text": spec_with(training="yes"),
    "unknown processing": spec_with(schema=2, processing={"exec": "rm"}),
    "processing of another type": spec_with(schema=2, processing={"strong": "yes"}),
    "a mask of another type": spec_with(schema=4, processing={}, channels=1, mask=[1]),
    "a mask with a length of text": spec_with(
        schema=4, processing={}, channels=1, mask={"length": ["1", "2"]}
    ),
    "a mask with a control character": spec_with(
        schema=4, processing={}, channels=1, mask={"charset": "a\n"}
    ),
    "a later schema": spec_with(schema=99),
    "a schema that is a list": spec_with(schema=[1]),
    "another blank": spec_with(blank_index=2),
    "lists in lists": '{"schema": 1, "blank_index": 0, "training": %s}' % DEEP,  # noqa: UP031
    "a number of ten thousand digits": '{"schema": 1' + "0" * 10_000 + "}",
    "not a number": SPEC.to_json().replace('"height": 16', '"height": NaN'),
    "no object": "3",
    "no JSON": "hello",
}


@pytest.mark.parametrize("text", BAD_SPECS.values(), ids=BAD_SPECS.keys())
def test_a_specification_has_types_and_bounds(text: str, tmp_path: Path):
    with pytest.raises(ModelFileError) as caught:
        load(written(tmp_path, onnx_bytes(text)))
    assert "a.onnx" in str(caught.value)
    assert len(str(caught.value)) < 1000


def endless_loop() -> onnx.GraphProto:
    """A graph with a Loop whose condition stays true."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    whole = graph()
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    whole.node.append(helper.make_node("Constant", [], ["yes"], value=true))
    whole.node.append(helper.make_node("Loop", ["", "yes"], [], body=body))
    return whole


def outside_weights() -> onnx.GraphProto:
    """A graph whose weights are said to be in another file."""
    whole = graph()
    tensor = whole.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return whole


def without_end() -> onnx.GraphProto:
    """A graph whose output is infinite."""
    whole = graph()
    whole.node[-1].output[0] = "finite"
    whole.node.append(helper.make_node("Div", ["finite", "nothing"], ["logits"]))
    whole.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]))
    return whole


BAD_GRAPHS = {
    "a loop": (SPEC, endless_loop, "Loop, If or Scan"),
    "weights in another file": (SPEC, outside_weights, "another file"),
    "an infinite output": (SPEC, without_end, "output is (nan|inf)"),
    "one class too few": (SPEC, lambda: graph(ModelSpec("a", (1, 4), 16, 32)), "has 3 classes"),
    "one class too many": (SPEC, lambda: graph(ModelSpec("abc", (1, 4), 16, 32)), "has 3 classes"),
    "frames for another head": (
        ModelSpec("ab", (1, 4), 16, 32, "per_position"),
        graph,
        f"gives {STEPS} positions, but its specification has 4",
    ),
    "positions for another head": (SPEC, lambda: graph(steps=4), "4 frames, too few for the 4"),
}


@pytest.mark.parametrize(("spec", "body", "message"), BAD_GRAPHS.values(), ids=BAD_GRAPHS.keys())
def test_the_graph_is_the_specifications_and_harmless(
    spec: ModelSpec, body: Callable[[], onnx.GraphProto], message: str, tmp_path: Path
):
    with pytest.raises(ModelFileError, match=message):
        load(written(tmp_path, onnx_bytes(spec.to_json(), body())))


def test_a_specification_that_is_there_twice_is_refused(tmp_path: Path):
    model = onnx.load_from_string(onnx_bytes())
    model.metadata_props.add(key="captcha_helpers.json", value=spec_with(charset="cd"))
    with pytest.raises(ModelFileError, match="twice"):
        read_spec(written(tmp_path, model.SerializeToString()))
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("captcha_helpers.json", SPEC.to_json())
        archive.writestr("captcha_helpers.json", spec_with(charset="cd"))
    with pytest.raises(ModelFileError, match="twice"):
        read_spec(path)


def test_what_unpacks_to_more_than_there_is_room_for_is_refused(tmp_path: Path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("captcha_helpers.json", b" " * (safety.MAX_TEXT + 1))
    with pytest.raises(ModelFileError, match="more than 4,194,304 bytes"):
        read_spec(path)
    data = path.read_bytes()
    size = struct.pack("<I", safety.MAX_TEXT + 1)
    path.write_bytes(data.replace(size, struct.pack("<I", 2**31)))
    with pytest.raises(ModelFileError, match="unpacks to more than"):
        read_spec(path)


@pytest.mark.parametrize("name", ["a.keras", "a.npz"])
def test_damaged_archives(name: str, tmp_path: Path):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("captcha_helpers.json", SPEC.to_json() * 20)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        read_spec(path)


UNSAFE = {
    "a Lambda": {"class_name": "Lambda", "config": {}},
    "Python code": {"class_name": "__lambda__", "config": {"value": "YQ=="}},
    "another model's folder": {"class_name": "TFSMLayer", "config": {"filepath": "there"}},
    "a file of words": {"class_name": "StringLookup", "config": {"vocabulary": "there"}},
    "another module": {"module": "subprocess", "class_name": "run", "config": {"args": "id"}},
    "a module that is a list": {"module": ["os"], "class_name": "run", "config": {}},
}


@pytest.mark.parametrize("layer", UNSAFE.values(), ids=UNSAFE.keys())
def test_no_code_of_a_keras_file_is_run(layer: dict, tmp_path: Path):
    config = {"class_name": "Functional", "config": {"layers": [layer]}, "module": "keras"}
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("captcha_helpers.json", SPEC.to_json())
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ModelFileError, match="can run code or read files|names code of"):
        load(path)


def test_no_code_of_an_h5_file_is_run(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(UNSAFE["a Lambda"])
    written(tmp_path, SPEC.to_json().encode(), "metadata.json")
    with pytest.raises(ModelFileError, match="a Lambda layer"):
        load(tmp_path / "a.h5")


def test_weights_name_a_builder_and_nothing_else(tmp_path: Path):
    members = {"captcha_helpers.json": SPEC.to_json(), "builder": "Charset"}
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(ModelFileError, match="no builder 'Charset'"):
        load(tmp_path / "a.npz")


def test_pickled_objects_are_not_opened(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **{"captcha_helpers.json": np.array([object()])})
    with pytest.raises(ModelFileError, match="damaged"):
        read_spec(tmp_path / "a.npz")


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3" + bytes(60), b"\xff" * 100])
def test_what_is_no_litert_model(data: bytes, tmp_path: Path):
    written(tmp_path, SPEC.to_json().encode(), "metadata.json")
    with pytest.raises(ModelFileError, match="cannot be opened|is not opened"):
        load(written(tmp_path, data, "a.tflite"))


def test_a_litert_model_with_several_graphs_is_refused():
    table = struct.pack("<HHHHH", 10, 20, 0, 0, 8)
    body = struct.pack("<i", 10) + bytes(4) + struct.pack("<I", 4) + struct.pack("<I", 2)
    start = struct.pack("<I", 18) + b"TFL3"
    with pytest.raises(ModelFileError, match="2 graphs"):
        safety.check_litert(start + table + body)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["a.onnx", "a.keras", "a.npz"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path):
    os.mkfifo(tmp_path / name)
    for opener in (load, open_model):
        with pytest.raises(ModelFileError, match="not a regular file"):
            opener(tmp_path / name)


def test_a_reader_says_so_when_its_model_gives_no_numbers():
    reader = Recognizer(lambda images: np.full((len(images), 9, 3), np.nan), SPEC)
    with pytest.raises(ModelFileError, match="output is nan"):
        reader.read(np.eye(16, dtype=np.uint8))


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 5])
def test_files_of_every_schema_open(schema: int):
    """Written once by `tests/reading/schemas/write.py`; a later version must open them too."""
    reader = load(SCHEMAS / f"schema_{schema}.onnx")
    assert (reader.spec.channels, reader.spec.processing.strong) == (
        3 if schema >= 3 else 1,
        schema >= 2,
    )
    assert reader.spec.mask == (Mask("ab", (2, 2)) if schema >= 4 else Mask())
    assert reader.spec.processing.frame == ("last" if schema >= 5 else "first")
    image = np.full((16, 32, 3), 255, np.uint8)
    image[4:8, 4:8] = 0
    assert reader.read(image).text == "ab"


@pytest.mark.slow
def test_a_keras_file_of_the_first_schema_opens():
    assert read_spec(SCHEMAS / "schema_1.keras") == SPEC
    assert load_keras(SCHEMAS / "schema_1.keras").output_shape == (None, STEPS, 3)
    assert load(SCHEMAS / "schema_1.keras").spec == SPEC
