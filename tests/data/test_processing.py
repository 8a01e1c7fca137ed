"""Processing: what each option does, and that reading does what training did."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from captcha_helpers import (
    Charset,
    ModelSpec,
    Processing,
    auto_crop,
    clahe,
    evaluate,
    export,
    generate,
    invert,
    is_dark,
    load,
    load_folder,
    plots,
    preparation_steps,
    prepare,
    prepare_batch,
    pretrained_start,
    read_spec,
    save_debug,
    save_model,
    thicken,
    to_grey,
    train,
    write_samples,
)
from captcha_helpers.drawing.random_looks import draw_images
from captcha_helpers.learning import starts

ALL = Processing(invert="auto", strong=True, auto_crop=True, clahe=True)
SPEC = ModelSpec("0123456789", (6, 6), 48, 160, training={"note": "made by a test"})

processings = st.builds(Processing, st.sampled_from(["no", "auto", "always"]), *[st.booleans()] * 3)
sides = st.integers(4, 40)
greys = arrays(np.uint8, st.tuples(sides, sides))


@st.composite
def inks(draw) -> np.ndarray:
    """Ink that reaches all four edges of its box: dark and light pixels, black corners."""
    ink = draw(arrays(np.uint8, st.tuples(st.integers(3, 30), st.integers(3, 60)),
                      elements=st.sampled_from([0, 40, 255])))  # fmt: skip
    ink[0, 0] = ink[-1, -1] = 0
    return ink


@given(inks(), st.tuples(*[st.integers(4, 60)] * 4), st.integers(0, 1))
def test_cropping_undoes_padding_up_to_a_margin(ink: np.ndarray, pads: tuple, negative: int):
    (top, bottom, left, right), margin = pads, max(2, round(0.1 * len(ink)))
    image = np.pad(ink, ((top, bottom), (left, right)), constant_values=255)
    expected = np.pad(ink, margin, constant_values=255)
    if negative:
        image, expected = invert(image), invert(expected)
    np.testing.assert_array_equal(auto_crop(image), expected)


@given(greys)
def test_inverting_twice_changes_nothing(image: np.ndarray):
    np.testing.assert_array_equal(invert(invert(image)), image)


@given(greys)
def test_an_image_and_its_negative_end_as_the_same(image: np.ndarray):
    assert is_dark(image) != is_dark(invert(image))
    for other in (Processing(invert="auto"), replace(ALL, clahe=False)):
        np.testing.assert_array_equal(other.apply(image), other.apply(invert(image)))


@given(greys)
def test_strokes_only_grow_and_on_negatives_too(image: np.ndarray):
    thick = thicken(image)
    assert (thick >= image).all() if is_dark(image) else (thick <= image).all()
    np.testing.assert_array_equal(thicken(invert(image)), invert(thick))


@given(greys, processings)
def test_any_image_survives_any_processing(image: np.ndarray, processing: Processing):
    before = image.copy()
    done = processing.apply(image)
    assert done.dtype == np.uint8 and done.ndim == 2 and min(done.shape) >= 4
    np.testing.assert_array_equal(image, before)
    steps = processing.steps(image)
    assert len(steps) == len(processing.describe())
    np.testing.assert_array_equal(list(steps.values())[-1] if steps else image, done)


@pytest.mark.parametrize("size", [(4, 4), (4, 200), (48, 160)])
@given(processings)
def test_white_paper_stays_white_paper(size: tuple[int, int], processing: Processing):
    done = replace(processing, invert="auto").apply(np.full(size, 255, np.uint8))
    assert done.shape == size and np.ptp(done) == 0


def test_light_on_dark_is_told_from_dark_on_light_in_drawn_looks():
    """Also where the ground is darker than middle grey or the ink lighter."""
    for style in ("gradient", "stars", "slanted", "classic"):
        greys = [to_grey(image) for image in generate(style, 20, seed=3)[0]]
        for grey in greys:
            for lighter in (grey // 3, 170 + grey // 3):
                assert not is_dark(lighter) and is_dark(invert(lighter))


def test_a_faint_image_gains_contrast():
    faint = (to_grey(generate("gradient", 1, seed=1)[0][0]) // 8 + 110).astype(np.uint8)
    assert clahe(faint).std() > 1.2 * faint.std()


def test_the_same_pixels_in_every_version():
    """A model was trained on these very values; an option that changes needs another name."""
    y, x = np.mgrid[:24, :64]
    image = (200 - 150 * ((x // 6 + y // 5) % 2) * ((x > 9) & (x < 50) & (y > 3))).astype(np.uint8)
    sums = {name: (done.shape, int(done.sum())) for name, done in ALL.steps(image).items()}
    assert sums == {
        "invert": ((24, 64), 247200),
        "strong": ((24, 64), 225000),
        "auto_crop": ((22, 45), 115800),
        "clahe": ((22, 45), 163126),
    }


@pytest.mark.parametrize("wrong", [{"invert": True}, {"invert": "yes"}, {"clahe": 2.0}])
def test_values_that_mean_nothing_are_refused(wrong: dict):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Processing(**wrong)


def test_none_and_nothing_give_the_pixels_of_before():
    for image in generate("mixed", 5, seed=2)[0]:
        np.testing.assert_array_equal(
            prepare(image, 48, 160, Processing()), prepare(image, 48, 160)
        )


def test_loading_drawing_and_batches_process_alike(tmp_path: Path):
    images, labels = generate("mixed", 4, seed=2)
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{label}.png")
    data = load_folder(tmp_path, height=48, width=160, processing=ALL)
    order = [labels.index(label) for label in data.labels]
    batch = prepare_batch(images, 48, 160, ALL)
    np.testing.assert_array_equal(data.images, batch[order])
    assert (batch != prepare_batch(images, 48, 160)).any()
    # Rough looks are moved about once more after the processing.
    size = {"height": 48, "width": 160, "length": (4, 4), "rough": False}
    inverted, _ = draw_images(3, **size, processing=Processing(invert="always"))
    straight = invert(draw_images(3, **size)[0])  # each rounds for itself when it is resized
    np.testing.assert_allclose(inverted, straight.astype(float), atol=2)


@given(processings)
def test_a_specification_keeps_its_processing(processing: Processing):
    spec = replace(SPEC, processing=processing)
    assert ModelSpec.from_json(spec.to_json()) == spec
    about = json.loads(spec.to_json())
    assert all(words in about["preprocessing"] for words in processing.describe())


def test_without_processing_the_specification_is_what_it_was():
    """Versions that know no processing read it; those that would misread refuse the other kind."""
    about = json.loads(SPEC.to_json())
    assert about["schema"] == 1 and "processing" not in about
    assert about["preprocessing"] == (
        "flatten transparency onto white; grey by ITU-R 601 (0.299 R + 0.587 G + 0.114 B); resize "
        "the width, then the height, with an antialiased triangle filter (Pillow's BILINEAR); "
        "values stay 0 to 255, because the model itself scales them"
    )
    processed = replace(SPEC, processing=ALL)
    assert json.loads(processed.to_json())["schema"] == 2
    for harm in ('"strong"', '"processing"'):
        with pytest.raises(ValueError, match="no model specification"):
            ModelSpec.from_json(processed.to_json().replace(harm, '"other"'))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn digits on far too much paper: without cropping they are hardly read."""
    folder = tmp_path_factory.mktemp("images")
    for image, label in zip(*generate("stars", 40, seed=4), strict=True):
        padded = np.pad(image, ((40, 40), (120, 120), (0, 0)), constant_values=255)
        Image.fromarray(padded).save(folder / f"{label}.png")
    return folder


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "cropping.keras"
    spec = replace(SPEC, processing=Processing(auto_crop=True))
    save_model(pretrained_start(Charset(SPEC.charset), length=6, start="pretrained"), spec, path)
    return path


@pytest.mark.slow
def test_a_reader_does_what_its_file_says_unless_told_otherwise(model_file: Path, pictures: Path):
    result = evaluate(load(model_file), pictures)
    assert result.score.exact_match > 0.9
    assert [one.text for one in load(model_file).read_many(pictures)] == [
        one.text for one in result.readings
    ]
    other = load(model_file, processing=Processing())
    assert other.spec.processing == Processing()
    assert evaluate(other, pictures).score.exact_match < 0.5


@pytest.mark.slow
def test_export_reads_the_same_and_tells_others_how(
    model_file: Path, pictures: Path, tmp_path: Path
):
    export(model_file, tmp_path / "out", formats=["onnx"])
    about = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert "cut out the box" in about["preprocessing"] and about["processing"]["auto_crop"]
    expected = [one.text for one in load(model_file).read_many(pictures)]
    # In a process of its own, as a program that only reads: nothing is remembered, no OpenCV.
    code = (
        "import sys, captcha_helpers as c\n"
        f"reader = c.load({str(tmp_path / 'out' / 'model.onnx')!r})\n"
        f"print(*(one.text for one in reader.read_many({str(pictures)!r})))\n"
        "print(sorted({'tensorflow', 'keras', 'cv2'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == " ".join(expected) + "\n[]\n"


@pytest.mark.slow
def test_a_page_crops_but_does_nothing_else_to_images(tmp_path: Path):
    inverting = tmp_path / "inverting.keras"
    spec = replace(SPEC, processing=Processing(invert="always", auto_crop=True))
    reader = pretrained_start(Charset(SPEC.charset), length=6, start="pretrained")
    save_model(reader, spec, inverting)
    with pytest.raises(ValueError, match="no web of this model.*invert='always'"):
        export(inverting, tmp_path / "page", formats=["web"])
    assert not (tmp_path / "page").exists()


def test_pale_letters_and_letters_that_only_colour_tells_are_not_cut_off():
    image = np.full((60, 200, 3), 255, np.uint8)
    image[20:40, 60:80] = 0
    image[20:40, 150:170] = (255, 255, 210)  # next to black, pale yellow is hardly ink
    assert auto_crop(image).shape == (24, 114, 3)
    green, red = (20, 130, 20), (217, 30, 20)
    image[:], image[20:40, 50:150] = green, red
    assert np.ptp(to_grey(image)) <= 1
    assert auto_crop(image).shape == (24, 104, 3)


def test_an_image_of_the_models_size_is_not_cropped():
    image = np.full((48, 160, 3), 255, np.uint8)
    image[20:30, 50:90] = 0
    assert np.array_equal(prepare(image, 48, 160, Processing(auto_crop=True), 3), image)
    steps = preparation_steps(image, 48, 160, Processing("always", auto_crop=True))
    assert list(steps) == ["original", "grey", "invert", "model"]
    wider = np.pad(image, ((0, 0), (0, 1), (0, 0)), mode="edge")
    assert "auto_crop" in preparation_steps(wider, 48, 160, Processing(auto_crop=True))


def test_clahe_without_opencv_says_what_to_install(model_file: Path):
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np, captcha_helpers as c\n"
        "image = np.zeros((20, 60), np.uint8)\n"
        "c.prepare(image, 48, 160, c.Processing('auto', strong=True, auto_crop=True))\n"
        "try:\n    c.prepare(image, 48, 160, c.Processing(clahe=True))\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "OpenCV, which is not installed: " in said.stdout and "pip install " in said.stdout


@pytest.mark.slow
def test_training_reading_and_the_saved_file_process_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_samples(tmp_path, 30, styles=["stars"])
    folder, out, drawn = tmp_path / "stars", tmp_path / "m.keras", []
    processing = Processing(invert="always", auto_crop=True)

    def noting(draw: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **options: (
            drawn.append(options["processing"]) or draw(*arguments, **options)
        )

    for name in ("draw_images", "draw_looks"):  # whichever weights the training begins with
        monkeypatch.setattr(starts, name, noting(getattr(starts, name)))
    reader = train(folder, epochs=1, out=out, processing=processing, progress=False)
    assert reader.spec.training["drawn_of_a_batch"] and set(drawn) == {processing}
    assert read_spec(out).processing == processing
    assert "processing=Processing(invert='always'" in reader.spec.training["command"]
    again = [one.text for one in load(out).read_many(folder)]
    assert again == [one.text for one in reader.read_many(folder)]
    seen = load_folder(folder, **reader.spec.preparation)
    assert again == [one.text for one in reader.read_prepared(seen.images)]


def test_the_steps_are_written_and_nothing_is_overwritten(tmp_path: Path):
    image = generate("mixed", 1, seed=5)[0][0]
    files = save_debug(image, tmp_path / "steps", 48, 160, ALL)
    assert [file.name for file in files] == [
        "0_original.png",
        "1_grey.png",
        "2_invert.png",
        "3_strong.png",
        "4_auto_crop.png",
        "5_clahe.png",
        "6_model.png",
    ]
    assert files == sorted((tmp_path / "steps").iterdir())
    np.testing.assert_array_equal(np.array(Image.open(files[0])), image)
    np.testing.assert_array_equal(
        np.array(Image.open(files[-1]))[..., None], prepare(image, 48, 160, ALL)
    )
    for file in files[:-1]:
        file.unlink()
    with pytest.raises(FileExistsError, match=r"6_model\.png.*choose another name.*overwrite"):
        save_debug(image, tmp_path / "steps", 48, 160, ALL)
    assert list((tmp_path / "steps").iterdir()) == [files[-1]]
    assert save_debug(image, tmp_path / "steps", 48, 160, ALL, overwrite=True) == files


def test_the_picture_shows_every_step():
    image = generate("mixed", 1, seed=5)[0][0]
    figure = plots.processing_steps(image, ALL)
    assert [axes.get_title() for axes in figure.axes] == list(
        preparation_steps(image, 48, 160, ALL)
    )


@given(processings, arrays(np.uint8, st.tuples(sides, sides)))
def test_of_an_rgb_image_in_greys_all_is_done_as_of_a_grey_one(processing: Processing, grey):
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    expected = np.repeat(processing.apply(grey)[:, :, None], 3, axis=2)
    assert np.array_equal(processing.apply(rgb), expected)


@given(arrays(np.uint8, st.tuples(sides, sides, st.just(3))))
def test_grey_decides_for_all_channels_what_is_dark(rgb):
    grey = to_grey(rgb)
    assert is_dark(rgb) == is_dark(grey)
    thick = thicken(rgb)
    assert np.array_equal(to_grey(thick), thicken(grey))
    assert {*map(tuple, thick.reshape(-1, 3).tolist())} <= {
        *map(tuple, rgb.reshape(-1, 3).tolist())
    }


def test_the_steps_of_a_colour_image_are_in_colour(tmp_path: Path):
    image = np.full((30, 90, 3), 255, np.uint8)
    image[10:20, 20:70] = 200, 0, 0
    options = {"processing": Processing(auto_crop=True), "channels": 3}
    steps = preparation_steps(image, 16, 32, **options)
    assert list(steps) == ["original", "auto_crop", "model"]
    assert steps["model"].shape == (16, 32, 3)
    assert np.array_equal(steps["model"], prepare(image, 16, 32, **options))
    files = save_debug(image, tmp_path, 16, 32, **options)
    with Image.open(files[-1]) as shown:
        assert np.array_equal(np.array(shown), steps["model"])
