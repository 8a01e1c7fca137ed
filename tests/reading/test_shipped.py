"""The models that come with the package: listed, unchanged, each usable by its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from captcha_helpers import ImageError, evaluate, export, load, score, shipped_models
from captcha_helpers.drawing.looks import draw_looks
from captcha_helpers.drawing.random_looks import fonts_for
from captcha_helpers.reading.mask import MaskWarning
from captcha_helpers.reading.shipped import INDEX, shipped_files, shipped_starts
from tools import weights_index


@pytest.mark.parametrize("file", shipped_files(), ids=lambda file: file.file)
def test_a_file_is_the_one_that_the_index_means(file):
    assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256, (
        "if it was made anew, run python -m tools.weights_index"
    )


def test_the_index_lists_every_file_and_the_tool_writes_it():
    names = {path.name for path in INDEX.parent.iterdir()} - {INDEX.name}
    assert names == {file.file for file in shipped_files()}
    assert tuple(weights_index.listed()) == shipped_files()


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_models())
def test_every_name_reads(name: str):
    assert load(name).read(255 - np.eye(50, 160, dtype=np.uint8)).confidence > 0
    with pytest.raises(ImageError):
        load(name).read(b"")


@pytest.mark.slow
def test_a_name_with_keras_weights_goes_to_every_format(tmp_path):
    checks = export("mixed", tmp_path / "out", formats=["keras", "onnx"])
    assert [check.left_out for check in checks] == ["", ""]
    assert "mixed" in shipped_starts()


@pytest.mark.slow
def test_a_name_with_an_onnx_file_alone_goes_where_it_can(tmp_path):
    checks = export("slanted", tmp_path / "out", formats=["onnx", "h5", "web"])
    assert {check.file: check.left_out for check in checks} == {
        "model.onnx": "",
        "h5": "it takes a Keras model, and this is an ONNX file",
    }
    made = shipped_models()["slanted"].read_bytes()
    assert (tmp_path / "out" / "web" / "model.onnx").read_bytes() == made
    with pytest.raises(ValueError, match="no h5 of this model: it takes a Keras model"):
        export("slanted", tmp_path / "other", formats=["h5"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "charset",
    ["абвгдежзиклмнопрстуфхцчшщыэюя", "αβγδεζηθικλμνξοπρστυφχψω", "äöüßabdefghk", "0123456789+×÷="],
    ids=["Russian", "Greek", "German", "sums"],
)
def test_the_general_reader_knows_other_alphabets_accents_and_signs(charset: str):
    reader = load("general", charset=charset, length=(5, 5))
    size = {"height": 48, "width": 192, "processing": reader.spec.processing}
    images, labels = draw_looks(
        100, charset=charset, length=(5, 5), fonts=fonts_for(charset), look="clean", **size
    )
    texts = [reading.text for reading in reader.read_prepared(images)]
    assert score(labels, texts).cer < 0.1


CHINESE = Path(__file__).with_name("chinese")  # look "clean", in a font that no training has seen


@pytest.mark.slow
def test_the_reader_of_chinese_reads_a_font_that_it_never_saw():
    result = evaluate(load("chinese"), CHINESE, progress=False)
    assert result.score.n == 20 and result.score.cer < 0.4
    known = load("chinese").spec.charset
    assert set("0aZ+=一汉字") < set(known) and len(known) > 3_800


def test_a_reader_without_chinese_names_the_one_that_has_it():
    with pytest.raises(ValueError, match="'chinese' has the common"):
        load("slanted", charset="汉字")
    with pytest.warns(MaskWarning, match="'chinese' has the common"):
        load("slanted", charset="A汉")
