from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captcha_helpers import (
    Charset,
    ImageError,
    ModelSpec,
    Recognizer,
    evaluate,
    image_files,
    load,
    multi_head,
    pretrained_start,
    read_spec,
    save_model,
    write_report,
    write_samples,
)


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_samples(folder, 40, styles=["stars"])
    return folder / "stars"


def test_specification_survives_json_with_unicode():
    spec = ModelSpec("aé中", (1, 2), 20, 30, "per_position", {"score": 0.5})
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "blank_index": 0}', "null"])
def test_what_is_no_specification_is_refused(text: str):
    with pytest.raises(ValueError, match="no model specification"):
        ModelSpec.from_json(text)


def test_later_schemas_ask_for_an_update(spec: ModelSpec):
    with pytest.raises(ValueError, match="update"):
        ModelSpec.from_json(spec.to_json().replace('"schema": 1', '"schema": 99'))


@pytest.mark.slow
def test_a_fresh_process_reads_the_same_text(model_file: Path, stars: Path):
    image = sorted(stars.iterdir())[0]
    code = (
        f"import captcha_helpers as c; print(c.load({str(model_file)!r}).read({str(image)!r}).text)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == load(model_file).read(image).text


@pytest.mark.slow
def test_plain_keras_loads_the_file_too(spec: ModelSpec, model_file: Path):
    code = (
        "import keras; "
        f"print(keras.models.load_model({str(model_file)!r}, compile=False).output_shape)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "(None, 40, 11)"
    assert read_spec(model_file) == spec


@pytest.mark.slow
def test_a_folder_is_read_in_the_order_of_its_names(model_file: Path, stars: Path):
    reader = load(model_file)
    files = image_files(stars)
    assert len(files) == 40 and files == sorted(files)
    together = [reading.text for reading in reader.read_many(stars)]
    assert together == [reading.text for reading in reader.read_many(files)]
    with pytest.raises(NotADirectoryError, match="no folder"):
        list(reader.read_many(stars / "nowhere"))


def test_the_shipped_start_has_a_name(stars: Path):
    assert len(load("pretrained").charset) == 62
    with pytest.raises(FileNotFoundError, match="no model file 'unheard_of'"):
        load("unheard_of")


@pytest.mark.slow
def test_one_by_one_and_together_read_the_same(model_file: Path, stars: Path):
    reader, files = load(model_file), sorted(stars.iterdir())[:10]
    together = list(reader.read_many(files, batch_size=4))
    alone = [reader.read(file.read_bytes()) for file in files]
    assert [one.text for one in together] == [one.text for one in alone]
    for reading in together:
        assert 0 <= reading.confidence <= 1
        assert "".join(character.char for character in reading.characters) == reading.text
        assert all(0 < character.confidence <= 1 for character in reading.characters)


def test_one_file_is_read_as_the_only_one_of_its_kind(tmp_path: Path):
    reader = Recognizer(says_ab, ModelSpec("ab", (1, 3), 16, 32))
    Image.fromarray(np.eye(16, 32, dtype=np.uint8)).save(tmp_path / "one.png")
    for source in (tmp_path / "one.png", str(tmp_path / "one.png")):
        assert [reading.text for reading in reader.read_many(source)] == ["ab"]


def test_what_has_nothing_to_read_in_it_is_named(tmp_path: Path):
    reader = Recognizer(says_ab, ModelSpec("ab", (1, 3), 16, 32))
    Image.new("RGB", (60, 20), "white").save(tmp_path / "empty.png")
    for read in (reader.read, reader.spec.prepare):
        with pytest.raises(ImageError, match=r"empty\.png: it is blank"):
            read(tmp_path / "empty.png")
    assert reader.read(tmp_path / "empty.png", strict=False).text == "ab"


def says_ab(images: np.ndarray) -> np.ndarray:
    """Logits of a model that reads "ab" whatever it sees."""
    return np.repeat(9.0 * np.eye(3)[[1, 0, 2]][None], len(images), axis=0)


def test_per_position_models_read_too():
    charset = Charset("ab")
    model = multi_head(charset, length=3, height=16, width=32)
    spec = ModelSpec("ab", (1, 3), 16, 32, "per_position")
    logits = np.array([[[0, 9, 0], [9, 0, 0], [0, 0, 9]]], float)
    reading = Recognizer(lambda images: logits, spec).read(np.eye(16, 32, dtype=np.uint8))
    assert reading.text == "ab" and len(reading.characters) == 2
    assert model.output_shape == (None, 3, 3)


@pytest.mark.slow
def test_a_bad_image_is_named(model_file: Path, tmp_path: Path):
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(ImageError, match=r"page\.png.*not a PNG"):
        load(model_file).read(tmp_path / "page.png")


def test_missing_and_foreign_model_files(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match="not a .keras file"):
        load(tmp_path / "text.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="which characters"):
        load(tmp_path / "other.keras")


def test_a_specification_of_another_model_is_refused(spec: ModelSpec, tmp_path: Path):
    model = pretrained_start(Charset("abc"), length=4, start="pretrained")
    with pytest.raises(ValueError, match="4 classes, but the specification says .* 11"):
        save_model(model, spec, tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_evaluation_and_its_report(model_file: Path, stars: Path, tmp_path: Path):
    result = evaluate(load(model_file), stars)
    keys = {"n", "exact_match", "exact_match_ci95", "exact_match_ignore_case", "cer", "seconds"}
    assert set(result.to_dict()) > keys
    assert result.score.n == 40 and "exact match" in str(result)
    missed = replace(result, confusions=Counter({("5", ""): 2, ("", "1"): 1}))
    assert "5 as nothing (2), nothing as 1 (1)" in str(missed)
    write_report(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == len(result.errors()) <= 40


@pytest.mark.slow
def test_the_start_takes_new_characters_and_keeps_what_it_knows():
    """'é' is new to it; the classes it knows must not move because of that."""
    with_new = pretrained_start(Charset("7éx"), length=4, start="pretrained")
    without = pretrained_start(Charset("7x"), length=4, start="pretrained")
    image = np.random.default_rng(0).integers(0, 256, (1, 48, 160, 1), dtype=np.uint8)
    assert np.allclose(
        np.asarray(with_new.predict_on_batch(image))[:, :, [0, 1, 3]],
        np.asarray(without.predict_on_batch(image))[:, :, [0, 1, 2]],
        atol=1e-4,
    )
