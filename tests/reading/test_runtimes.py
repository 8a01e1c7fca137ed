"""Model files of every kind: what they say of themselves, and how they are opened."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from captcha_helpers import Charset, ModelSpec, cnn_ctc, load, read_spec, save_model
from captcha_helpers.reading.recognizer import from_keras
from captcha_helpers.reading.runtimes import load_keras, open_model
from captcha_helpers.reading.weights import save_weights


def test_the_specification_in_an_onnx_file_is_what_onnxruntime_finds(onnx_file: Path):
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert ModelSpec.from_json(metadata["captcha_helpers.json"]) == read_spec(onnx_file)


def test_loading_an_onnx_file_opens_it_once(onnx_file: Path, monkeypatch: pytest.MonkeyPatch):
    opened = []

    class Counted(onnxruntime.InferenceSession):
        def __init__(self, *arguments: object, **options: object) -> None:
            opened.append(arguments)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counted)
    load(onnx_file)
    assert len(opened) == 1


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("3", 3), ("2,1", 2)])
def test_a_reader_uses_as_many_threads_as_it_may(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, said: str, threads: int
):
    process = pytest.importorskip("psutil").Process()
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    before = process.num_threads()
    reader = load(onnx_file)  # whose threads end with it
    assert process.num_threads() - before == threads - 1, reader


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_off_onnx_file_is_told(onnx_file: Path, tmp_path: Path, share: float):
    data = onnx_file.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "cut.onnx")


def test_a_file_of_another_keras_names_both_versions(spec: ModelSpec, tmp_path: Path):
    path = tmp_path / "later.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("captcha_helpers.json", spec.to_json())
        archive.writestr("metadata.json", json.dumps({"keras_version": "99.1.0"}))
        archive.writestr("config.json", json.dumps({"class_name": "Unheard", "config": {}}))
    for opener in (load, load_keras):
        with pytest.raises(ValueError, match=r"Keras 99\.1\.0 wrote it and this is Keras 3\."):
            opener(path)


@pytest.mark.slow
def test_weights_are_half_as_large_and_read_the_same(spec: ModelSpec, tmp_path: Path):
    model = cnn_ctc(Charset(spec.charset), length=spec.length[1], height=48, width=160)
    save_weights(model, spec, tmp_path / "a.npz")
    save_model(model, spec, tmp_path / "a.keras")
    assert read_spec(tmp_path / "a.npz") == spec
    sizes = [(tmp_path / name).stat().st_size for name in ("a.npz", "a.keras")]
    assert sizes[0] < 0.6 * sizes[1]
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 160, 1), np.uint8)
    expected = from_keras(model, spec).run(images)
    assert np.allclose(open_model(tmp_path / "a.npz")(images), expected, atol=0.01)


def test_weights_of_unknown_networks_are_refused(spec: ModelSpec, tmp_path: Path):
    model = cnn_ctc(Charset(spec.charset), length=6, height=48, width=160)
    model.name = "my_own"
    with pytest.raises(ValueError, match="no builder 'my_own'"):
        save_weights(model, spec, tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        save_weights(model, spec, tmp_path / "a.keras")
    (tmp_path / "a.npz").write_bytes(b"not weights")
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "a.npz")


def test_only_what_keras_reads_is_a_keras_model(onnx_file: Path):
    with pytest.raises(ValueError, match="no Keras model"):
        load_keras(onnx_file)
