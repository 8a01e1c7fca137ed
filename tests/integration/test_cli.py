"""The command line in a process of its own: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from PIL import Image

import captcha_helpers
from captcha_helpers import (
    STYLES,
    ModelSpec,
    Processing,
    check_folder,
    generate,
    image_files,
    load,
    read_labels,
    read_spec,
    shipped_models,
    write_dataset,
    write_samples,
)
from captcha_helpers.cli import doctor
from captcha_helpers.cli.main import main
from captcha_helpers.cli.options import typed
from captcha_helpers.reading.recognizer import DEFAULT_MODEL
from tests.tiny_models import graph, onnx_bytes, spec_with

pytestmark = pytest.mark.slow


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def run_here(*arguments: object) -> Result:
    """The same in this process, which is quicker."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("images")
    write_samples(target, 60, styles=["stars"])
    return target / "stars"


def test_train_then_evaluate(folder: Path, tmp_path: Path):
    trained = run("train", folder, "--epochs", 2, "--out", tmp_path / "m.keras", "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["images"] == 51 and not trained.stderr
    page = tmp_path / "report.html"
    done = run("evaluate", tmp_path / "m.keras", folder, "--json", "--report", page)
    assert done.returncode == 0 and not done.stderr
    figures = json.loads(done.stdout)
    assert (
        figures["n"] == 60
        and figures["model"] == "m.keras"
        and page.read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    exported = run("export", tmp_path / "m.keras", "--to", "keras,onnx", "--out", tmp_path / "out")
    assert exported.returncode == 0 and not exported.stderr
    assert "model.onnx" in exported.stdout and "same text 100.00% of 128" in exported.stdout
    assert (tmp_path / "out" / "metadata.json").exists()
    onnx = run("evaluate", tmp_path / "out" / "model.onnx", folder, "--json")
    assert json.loads(onnx.stdout)["exact_match"] == figures["exact_match"]
    start = run("evaluate", "pretrained", folder, "--json")
    assert json.loads(start.stdout)["n"] == 60, start.stderr
    again = run("evaluate", tmp_path / "m.keras", folder, "--report", page)
    assert again.returncode == 1 and "exists" in again.stderr and "--overwrite" in again.stderr
    page.write_text("mine")
    again = run("evaluate", tmp_path / "m.keras", folder, "--report", page, "--overwrite")
    assert again.returncode == 0 and page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_generate_draws_what_write_dataset_draws(tmp_path: Path):
    done = run("generate", "stars", "--count", 20, "--seed", 3, "--out", tmp_path / "a")
    assert done.returncode == 0 and not done.stderr
    assert done.stdout == f"{tmp_path / 'a'}: 20 images of 104 x 32 pixels\n"
    write_dataset("stars", tmp_path / "b", 20, seed=3)
    assert (tmp_path / "a/labels.csv").read_bytes() == (tmp_path / "b/labels.csv").read_bytes()
    for path in image_files(tmp_path / "a"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "characters", "lengths", "size"),
    [
        (["stars", "--length", "4-6"], "0123456789", {4, 5, 6}, (104, 32)),
        (["stars", "--length", "4"], "0123456789", {4}, (71, 32)),
        (["classic", "--length", "5", "--lower"], STYLES["mixed"].charset[-26:], {5}, (140, 100)),
        (["mixed", "--digits", "--upper"], STYLES["mixed"].charset[:36], {5}, (150, 40)),
        (["gradient", "--charset", "xyz"], "xyz", {5}, (200, 50)),
        (
            ["slanted", "--width", "160", "--height", "60"],
            STYLES["slanted"].charset,
            {6},
            (160, 60),
        ),
    ],
)
def test_generate_changes_the_look_as_asked(
    tmp_path: Path, arguments: list[str], characters: str, lengths: set[int], size: tuple[int, int]
):
    done = run_here("generate", *arguments, "--count", 60, "--out", tmp_path / "x")
    assert done.exit_code == 0, done.stderr
    check = check_folder(tmp_path / "x")
    assert set(check.characters) <= set(characters) and len(check.characters) > len(characters) / 2
    assert set(check.lengths) == lengths and set(check.sizes) == {size}


def test_generate_gives_parts_and_says_so_to_programs(tmp_path: Path):
    arguments = ("generate", "classic", "--length", 1, "--epochs", 3, "--test-ratio", 0.2)
    done = run_here(*arguments, "--out", tmp_path / "x", "--json")
    assert done.exit_code == 0, done.stderr
    about = json.loads(done.stdout)
    assert about["parts"] == {"train": 24, "test": 6} and about["complete"]
    assert len(read_labels(tmp_path / "x" / "test")) == 6
    again = run_here(*arguments, "--out", tmp_path / "x")
    assert again.exit_code == 0 and "complete already; nothing was drawn" in again.stdout
    other = run_here(*arguments, "--seed", 1, "--out", tmp_path / "x")
    assert other.exit_code == 1 and "--overwrite" in other.stderr
    other = run_here(*arguments, "--seed", 1, "--out", tmp_path / "x", "--overwrite")
    assert other.exit_code == 0 and "complete already" not in other.stdout


def test_preview_shows_a_style_and_a_folder(folder: Path, tmp_path: Path):
    for what in ("slanted", folder):
        sheet = tmp_path / f"{Path(what).name}.png"
        done = run_here("preview", what, "--rows", 2, "--columns", 3, "--out", sheet)
        assert done.exit_code == 0, done.stderr
        pixels = np.asarray(Image.open(sheet).convert("L"))
        assert pixels.shape[1] > 1000 and pixels.std() > 10
        again = run_here("preview", what, "--out", sheet)
        assert again.exit_code == 1 and "exists" in again.stderr
    assert "60 images, labels of 6 characters" in done.stdout
    assert "sizes in pixels: 104 x 32" in done.stdout
    done = run_here("preview", folder, "--out", sheet, "--overwrite", "--json")
    assert json.loads(done.stdout)["sizes"] == [{"width": 104, "height": 32, "images": 60}]


def test_preview_names_images_that_cannot_be_read(folder: Path, tmp_path: Path):
    (tmp_path / "12_page.png").write_text("<html>")
    (tmp_path / "34_good.png").write_bytes(image_files(folder)[0].read_bytes())
    done = run_here("preview", tmp_path, "--out", tmp_path / "new" / "sheet.png")
    assert done.exit_code == 0 and "1 image cannot be read: 12_page.png" in done.stdout
    (tmp_path / "34_good.png").unlink()
    done = run_here("preview", tmp_path, "--out", tmp_path / "none.png")
    assert done.exit_code == 1 and "none of the 1 images" in done.stderr
    assert not (tmp_path / "none.png").exists()


def test_predict_prints_a_line_for_each_image(onnx_file: Path, folder: Path):
    files = image_files(folder)
    readings = list(load(onnx_file).read_many(files))
    done = run("predict", onnx_file, folder, files[0])
    assert done.returncode == 0 and not done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in [*files, files[0]]]
    assert [line[1] for line in lines[:-1]] == [reading.text for reading in readings]
    assert float(lines[0][2]) == pytest.approx(readings[0].confidence, abs=1e-3)
    assert lines[-1][1] == lines[0][1]


def test_predict_gives_json_and_csv(onnx_file: Path, folder: Path, tmp_path: Path):
    table = tmp_path / "read.csv"
    done = run("predict", onnx_file, folder, "--limit", 5, "--json", "--csv", table)
    assert done.returncode == 0 and not done.stderr
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == [str(path) for path in image_files(folder)[:5]]
    for row in rows:
        assert list(row) == ["file", "text", "confidence", "low_confidence", "characters"]
        assert "".join(one["char"] for one in row["characters"]) == row["text"]
        assert all(0 < one["confidence"] <= 1 for one in row["characters"])
    with open(table, newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [row["text"] for row in written] == [row["text"] for row in rows]
    other = tmp_path / "other.csv"
    assert run_here("predict", onnx_file, folder, "--csv", other).stdout == f"{other}: 60 images\n"
    before = table.read_bytes()
    again = run("predict", onnx_file, folder, "--csv", table)
    assert again.returncode == 1 and "--overwrite" in again.stderr
    assert table.read_bytes() == before
    again = run_here("predict", onnx_file, folder, "--limit", 2, "--csv", table, "--overwrite")
    assert again.exit_code == 0 and table.read_text().count("\n") == 3


def test_predict_reads_on_after_a_bad_image(onnx_file: Path, folder: Path, tmp_path: Path):
    good, page = image_files(folder)[0], tmp_path / "page.png"
    page.write_text("<html>")
    done = run("predict", onnx_file, page, good, tmp_path / "nowhere.png")
    assert done.returncode == 1
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [str(good)]
    first, second = done.stderr.splitlines()
    assert "page.png: this is not a PNG" in first and "nowhere.png: there is no" in second
    table = tmp_path / "read.csv"
    done = run_here("predict", onnx_file, page, good, "--json", "--csv", table)
    assert done.exit_code == 1
    bad, read = json.loads(done.stdout)
    assert list(bad) == ["file", "error"] and "error" not in read and read["text"]
    assert "not a PNG" in table.read_text() and table.read_text().count("\n") == 3


def test_predict_takes_what_is_known_of_the_text(onnx_file: Path, folder: Path):
    done = run(
        "predict", onnx_file, folder, "--charset", "digits+é", "--length", "3-4", "--limit", 5
    )
    assert done.returncode == 0
    assert done.stderr == (
        "Warning: the model does not have 'é' and reads the other characters of the charset only\n"
    )
    for line in done.stdout.splitlines():
        _, text, confidence, *_ = line.split("\t")
        assert re.fullmatch("[0-9]{3,4}", text) and 0 < float(confidence) <= 1
    assert run_here("predict", onnx_file, folder, "--charset", "é").exit_code == 1
    too_long = run_here("predict", onnx_file, folder, "--length", "99")
    assert too_long.exit_code == 1 and "40 frames cannot spell 99" in too_long.output
    unlearned = run("predict", "general", folder, "--length", "13-20", "--limit", 1)
    assert "Warning: the model has learned strings of 1 to 12 characters" in unlearned.stderr


def test_predict_without_a_model_takes_the_default(folder: Path, tmp_path: Path):
    image = image_files(folder)[0]
    alone = run_here("predict", image)
    named = run_here("predict", DEFAULT_MODEL, image)
    assert alone.exit_code == 0 and alone.output == named.output
    assert run_here("predict", folder, "--limit", 3, "--length", 6).stdout.count("\n") == 3
    missing = run_here("predict", tmp_path / "none.png")
    assert missing.exit_code == 1 and "there is no such file" in missing.output


def test_what_it_could_not_tell_apart_stands_behind(tmp_path: Path):
    """A reader of letters and digits cannot know whether stars' round sign is a 0 or an O."""
    write_samples(tmp_path, 20, styles=["stars"])
    lines = run_here("predict", "pretrained", tmp_path / "stars").stdout.splitlines()
    undecided = [line.split("\t")[3] for line in lines if line.count("\t") == 3]
    assert undecided and all(re.fullmatch(r"(\S(/\S)+ ?)+", one) for one in undecided)
    digits = run_here("predict", "pretrained", tmp_path / "stars", "--charset", "digits")
    assert digits.stdout.count("\t") == 2 * 20


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "cp936"])
def test_output_in_another_code_page_has_every_character(encoding: str, tmp_path: Path):
    """As a file or a pipe on Windows has it: what the code page lacks is escaped."""
    (tmp_path / "images").mkdir()
    for label in ("Щö", "öЩ", "öЩЩ"):
        Image.linear_gradient("L").resize((60, 20)).save(tmp_path / "images" / f"{label}_1.png")
    body = graph(ModelSpec("漢ö", (1, 4), 16, 32))
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(spec_with(charset="漢ö"), body))
    images, runner = tmp_path / "images", CliRunner(charset=encoding)
    for arguments, said in (
        (["predict", tmp_path / "m.onnx", images], "漢ö"),
        (["evaluate", tmp_path / "m.onnx", images], "Щ"),
        (["preview", images, "--out", tmp_path / "a.png"], "Щ"),
        (["predict", "stars", images / "漢.png"], "漢"),
    ):
        result = runner.invoke(main, [str(argument) for argument in arguments])
        written = said.encode(encoding, "backslashreplace")
        assert isinstance(result.exception, (SystemExit, type(None))), result.exception
        assert written in result.stdout_bytes + result.stderr_bytes, result.output_bytes
        assert b"codec" not in result.stderr_bytes


def test_evaluate_compares_in_one_case_if_asked(tmp_path: Path):
    images, labels = generate("mixed", 10, seed=2)
    (tmp_path / "images").mkdir()
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(image).save(tmp_path / "images" / f"{label.upper()}.png")
    options = ("evaluate", "mixed", tmp_path / "images", "--json", "--length", 5)
    plain = json.loads(run_here(*options).stdout)
    folded = json.loads(run_here(*options, "--ignore-case").stdout)
    assert folded["exact_match"] == folded["exact_match_ignore_case"] > plain["exact_match"]
    assert folded["exact_match"] > 0.5


def test_predict_says_that_a_folder_is_empty(onnx_file: Path, tmp_path: Path):
    done = run_here("predict", onnx_file, tmp_path)
    assert done.exit_code == 1 and "no images in" in done.stderr


def test_reading_with_onnx_imports_nothing_heavy(onnx_file: Path, folder: Path):
    """What makes the start quick."""
    for arguments in (["predict", str(onnx_file), str(folder)], ["styles"], ["--help"]):
        code = (
            "import sys\nfrom captcha_helpers.cli.main import main\n"
            f"try:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code\n"
            "heavy = {'tensorflow', 'keras', 'cv2', 'matplotlib', 'onnx', 'scipy', 'pandas'}\n"
            "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stderr == "[]\n" and done.stdout


def test_styles_and_models_are_listed():
    styles = json.loads(run_here("styles", "--json").stdout)
    assert [style["name"] for style in styles] == list(STYLES)
    assert styles[1]["width"] == 104 and styles[1]["length"] == [6, 6]
    assert len(run_here("styles").stdout.splitlines()) == len(STYLES)
    models = json.loads(run_here("models", "--json").stdout)
    assert [model["name"] for model in models] == list(shipped_models())
    for model in models:
        assert model["bytes"] > 0 and model["charset"] and model["head"] in ("ctc", "per_position")
        assert model["name"] in run_here("models").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "nowhere", "--out", "m.keras"], 1, "there is no folder 'nowhere'"),
        (["evaluate", "none.keras", "nowhere"], 1, "there is no model file 'none.keras'"),
        (["train", "nowhere"], 2, "--out"),
        (["adapt", "general", "nowhere", "--out", "m.keras"], 1, "there is no folder 'nowhere'"),
        (
            ["adapt", "none.keras", ".", "--out", "m.keras"],
            1,
            "there is no model file 'none.keras'",
        ),
        (["export", "none.keras", "--out", "x"], 1, "there is no model file 'none.keras'"),
        (["fly"], 2, "No such command 'fly' (see captcha-helpers --help)"),
        (["--fly"], 2, "No such option '--fly'"),
        (["generate", "fly", "--count", "1", "--out", "x"], 1, "choose one of slanted"),
        (["generate", "stars", "--out", "x"], 2, "Give --count, or --epochs"),
        (["generate", "stars", "--count", "0", "--out", "x"], 2, "--count"),
        (["generate", "stars", "--count", "1", "--out", "x", "--length", "6-4"], 2, "'6-4'"),
        (["generate", "stars", "--count", "1", "--out", "x", "--length", "many"], 2, "'many'"),
        (
            ["generate", "stars", "--count", "1", "--out", "x", "--lower", "--charset", "ab"],
            2,
            "Give --charset, or some of",
        ),
        (["generate", "stars", "--count", "1", "--out", "x", "--width", "20"], 1, "at least 37"),
        (["generate", "mixed", "--epochs", "1", "--out", "x"], 1, "set count as the maximum"),
        (["generate", "stars", "--count", "1", "--out", "x", "--charset", "☂☃"], 1, "no character"),
        (["preview", "nowhere", "--out", "x.png"], 1, "there is no folder 'nowhere'"),
        (["preview", "stars", "--out", "x.jpg"], 2, "must end in .png"),
        (["predict", "none.onnx", "x.png"], 1, "there is no model file 'none.onnx'"),
        (["predict", "none.onnx"], 2, "There is no image, folder or model 'none.onnx'"),
        (
            ["predict", "my_imges"],
            2,
            "no image, folder or model 'my_imges'; check",
        ),
        (["predict", "stars"], 2, "Missing argument 'IMAGES...': 'stars' is a model"),
        (["predict", "stars", "x.png", "--length", "6-4"], 2, "'6-4'"),
        (["predict", "stars", "x.png", "--charset", ""], 2, "the charset is empty"),
        (["serve", "none.onnx", "--port", "99999"], 2, "--port"),
    ],
)
def test_errors_are_one_line_on_stderr(arguments: list[str], code: int, said: str, tmp_path: Path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", list(main.commands))
def test_every_verb_has_help_with_examples_that_can_be_typed(verb: str):
    said = run_here(verb, "--help").stdout
    examples = re.findall(rf"^  captcha-helpers {verb}\b(.*)$", said, re.MULTILINE)
    assert "Examples:" in said and examples
    command = main.commands[verb]
    for example in examples:  # raises a usage error if an option is unknown or a value is wrong
        command.make_context(verb, example.split())


def test_help_lists_the_verbs_in_the_order_of_use():
    listed = run_here("--help").stdout.split("Commands:")[1]
    assert re.findall(r"^  (\w+)  ", listed, re.MULTILINE) == list(main.commands)
    assert "..." not in listed  # no sentence is cut short


def test_processing_is_stored_by_train_and_changed_by_predict_alone(folder: Path, tmp_path: Path):
    model, image = tmp_path / "m.keras", image_files(folder)[0]
    options = ["--auto-crop", "--invert", "auto", "--from-scratch"]
    done = run_here("train", folder, "--epochs", 1, "--out", model, "--json", *options)
    assert done.exit_code == 0, done.output
    assert read_spec(model).processing == Processing(invert="auto", auto_crop=True)
    steps = {
        (): "original grey invert auto_crop model",
        ("--no-auto-crop", "--strong"): "original grey invert strong model",
    }
    for number, (more, names) in enumerate(steps.items()):
        target = tmp_path / str(number)
        done = run_here("predict", model, image, "--json", "--save-debug", target, *more)
        assert done.exit_code == 0, done.output
        written = sorted(path.name for path in (target / image.name).iterdir())
        assert written == [f"{n}_{name}.png" for n, name in enumerate(names.split())]
    again = run_here("predict", model, image, "--save-debug", target)
    assert again.exit_code == 1 and "exists" in again.output


def test_predict_reads_the_frame_that_shows_the_text(tmp_path: Path, root: Path):
    file = tmp_path / "moving.gif"
    stars = root / "captcha_images" / "stars" / "005383_0112.png"
    text = Image.open(stars).convert("RGB")
    blank = Image.new("RGB", text.size, "white")
    blank.save(file, save_all=True, append_images=[text, blank])
    done = run_here("predict", "stars", file)
    assert done.exit_code == 1 and "--frame most_ink" in done.output
    done = run_here("predict", "stars", file, "--frame", "most_ink")
    assert done.exit_code == 0 and done.stdout.split("\t")[1] == "005383", done.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), None),
        (("--strong",), Processing(strong=True, auto_crop=True)),  # the general weights crop
        (("--no-auto-crop",), Processing()),
        (("--from-scratch", "--invert", "always"), Processing(invert="always")),
        (("--frame", "last"), Processing(frame="last", auto_crop=True)),
    ],
)
def test_one_option_of_processing_does_not_undo_another(
    folder: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    expected: Processing | None,
    monkeypatch: pytest.MonkeyPatch,
):
    asked: list[Processing | None] = []

    def note(*_: object, processing: Processing | None, **__: object) -> None:
        asked.append(processing)
        raise KeyboardInterrupt

    monkeypatch.setattr(captcha_helpers, "train", note)
    run_here("train", folder, "--out", tmp_path / "m.keras", *options)
    assert asked == [expected]


def test_predict_inverts(tmp_path: Path):
    images, labels = generate("stars", 20, seed=4)
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(255 - image).save(tmp_path / f"{label}.png")
    rows = json.loads(run_here("predict", "stars", tmp_path, "--invert", "--json").stdout)
    right = [row["text"] == Path(row["file"]).stem for row in rows]
    assert len(right) == 20 and sum(right) >= 18


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """Images that `stars` has never seen the like of, with labels that it cannot give."""
    write_samples(tmp_path, 12, styles=["mixed"])
    return tmp_path / "mixed"


def test_a_model_on_strange_images_says_so_once(strangers: Path):
    """Nonsense must not look like readings."""
    done = run_here("predict", "stars", strangers)
    assert done.exit_code == 0 and len(done.stdout.splitlines()) == 12
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("Warning: 12 of 12 readings (100%) have a confidence below 50%")
    assert "--charset" in warning and "try the model general" in warning and "train" in warning
    rows = json.loads(run_here("predict", "stars", strangers, "--json").stdout)
    assert all(row["low_confidence"] and row["text"] for row in rows)
    measured = run_here("evaluate", "stars", strangers)
    assert "12 of 12 images cannot be read rightly like this" in measured.stdout
    assert "WARNING" in measured.stdout and "characters that this model does not" in measured.stdout
    figures = json.loads(run_here("evaluate", "stars", strangers, "--json").stdout)
    assert figures["unreachable"]["images"] == 12 and len(figures["warnings"]) == 4


def test_readings_below_the_least_confidence_have_no_text(strangers: Path, tmp_path: Path):
    done = run_here("predict", "stars", strangers, "--min-confidence", 0.9)
    assert done.exit_code == 0
    assert all(line.split("\t")[1] == "" for line in done.stdout.splitlines())
    assert "12 of 12 readings are below --min-confidence 0.9; their texts are left" in done.stderr
    table = tmp_path / "read.csv"
    run_here("predict", "stars", strangers, "--min-confidence", 0, "--csv", table)
    with open(table, newline="", encoding="utf-8") as file:
        assert all(row["text"] and row["low_confidence"] == "False" for row in csv.DictReader(file))
    assert run_here("predict", "stars", strangers, "--min-confidence", 2).exit_code == 2
    figures = run_here("evaluate", "stars", strangers, "--json", "--min-confidence", 0.99).stdout
    assert json.loads(figures)["min_confidence"] == 0.99


def test_predict_reads_standard_input(folder: Path):
    image = image_files(folder)[0]
    command = [sys.executable, "-m", "captcha_helpers", "predict", "stars", "-"]
    with open(image, "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=False)
    name, text, _ = done.stdout.decode().split("\t")
    assert (name, text) == ("-", image.stem.partition("_")[0])
    done = CliRunner().invoke(main, ["predict", "-"], input=b"no image")
    assert done.exit_code == 1 and done.stderr.startswith("Error: -: ")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_people_get_a_table_with_a_summary(folder: Path, strangers: Path):
    import pty

    images = [*image_files(folder)[:2], image_files(strangers)[0]]
    command = [sys.executable, "-m", "captcha_helpers", "predict", "stars", *map(str, images)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # how Linux says that nobody writes any more
        while part := os.read(ours, 4096):
            said += part
    assert process.wait() == 0
    head, *rows, last = said.decode().splitlines()
    assert head.split() == ["image", "text", "confidence"]
    assert [row.split()[1] for row in rows[:2]] == [path.stem.split("_")[0] for path in images[:2]]
    assert "?" not in rows[0] and "?" in rows[2]
    assert "3 images read with stars" in last and "1 of low confidence, marked ?" in last
    assert "\t" not in said.decode()


def completions(*words: str) -> list[str]:
    """What click offers for the last word, as the shell would ask for it."""
    *before, last = words
    shell = ShellComplete(main, {}, "captcha-helpers", "_CAPTCHA_HELPERS_COMPLETE")
    return [item.value for item in shell.get_completions(before, last) if item.type == "plain"]


def test_every_shipped_name_completes():
    names = list(shipped_models())
    for verb in ("adapt", "evaluate", "predict", "serve", "export"):
        assert completions(verb, "") == names
    assert completions("train", "x", "--init", "gen") == ["general"]
    for verb in ("generate", "preview"):
        assert completions(verb, "") == list(STYLES)
    assert completions("predict", "stars", "") == []  # images follow
    assert completions("export", "stars", "--to", "keras,on") == ["keras,onnx", "keras,onnx-int8"]
    assert completions("predict", "a.png", "--charset", "digits+lo") == ["digits+lower"]
    assert set(completions("")) == set(main.commands)


def test_files_complete_beside_the_names():
    shell = ShellComplete(main, {}, "captcha-helpers", "_CAPTCHA_HELPERS_COMPLETE")
    assert [one.type for one in shell.get_completions(["predict"], "zz")] == ["file"]
    assert "dir" in [one.type for one in shell.get_completions(["preview"], "")]


def test_the_shell_gets_its_script():
    environment = {**os.environ, "_CAPTCHA_HELPERS_COMPLETE": "zsh_source"}
    code = "from captcha_helpers.cli.main import main; main(prog_name='captcha-helpers')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "#compdef captcha-helpers" in done.stdout


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("keras", ["train", "{folder}", "--out", "m.keras"]),
        ("onnxruntime", ["predict", "stars", "{folder}"]),
        ("matplotlib", ["preview", "stars", "--out", "sheet.png"]),
        ("cv2", ["generate", "stars", "--count", "1", "--out", "x"]),
        ("uvicorn", ["serve", "stars"]),
    ],
)
def test_a_missing_part_is_named_with_a_line_that_installs_it(
    package: str, arguments: list[str], folder: Path, tmp_path: Path
):
    typed = [argument.format(folder=folder) for argument in arguments]
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        f"from captcha_helpers.cli.main import main\nmain({typed})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and "No module named" not in done.stderr
    assert re.search(r"not installed: (uv )?pip install \S", done.stderr), done.stderr


def test_every_refusal_to_overwrite_names_the_flag_in_one_wording(folder: Path, tmp_path: Path):
    there = tmp_path / "there.keras"
    there.touch()
    page, table, sheet, tasks = (tmp_path / f"x.{end}" for end in ("html", "csv", "png", "json"))
    for path in (page, table, sheet, tasks):
        path.touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metadata.json").touch()
    run_here("generate", "stars", "--count", 2, "--out", tmp_path / "drawn")
    steps = ("predict", "stars", folder, "--limit", 1, "--save-debug", tmp_path / "steps")
    label = ("label", folder, "--labels", tmp_path / "l.csv", "--number", 1, "--tasks")
    assert run_here(*label, tasks, "--overwrite").exit_code == 0 and tasks.read_text() != ""
    assert run_here(*steps).exit_code == run_here(*steps, "--overwrite").exit_code == 0
    refused = [
        ("train", folder, "--out", there),
        ("train", folder, "--out", tmp_path / "new.keras", "--report", page),
        ("evaluate", "stars", folder, "--report", page),
        ("predict", "stars", folder, "--csv", table),
        ("label", folder, "--tasks", tasks),
        ("predict", "stars", folder, "--save-debug", tmp_path / "steps"),
        ("preview", "stars", "--out", sheet),
        ("export", "stars", "--to", "onnx", "--out", tmp_path / "out"),
        ("generate", "stars", "--count", 3, "--out", tmp_path / "drawn"),
    ]
    for arguments in refused:
        done = run_here(*arguments)
        assert done.exit_code == 1, arguments
        assert done.stderr.endswith(", or replace it with --overwrite\n"), done.stderr
        assert "overwrite=" not in done.stderr


def test_doctor_reads_with_every_model_and_hides_the_home_folder(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run_here("doctor", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert list(facts["models"]) == list(shipped_models())
    for name, said in facts["models"].items():  # no line that looks as if something were broken
        assert re.match(r"(\S+) read as \1, confidence", said), (name, said)
    assert facts["fonts"].keys() == STYLES.keys()
    assert facts["versions"]["numpy"] == np.__version__
    text = run_here("doctor").stdout
    assert all(f"\n{title}:" in f"\n{text}" for title in facts) and str(tmp_path) not in text


def test_export_names_the_page_so_that_the_line_can_be_typed(tmp_path: Path):
    out = tmp_path / "my page"
    done = run_here("export", "stars", "--to", "web", "--cdn", "--out", out)
    assert done.exit_code == 0, done.output
    assert f"captcha-helpers web {typed(out)} opens it" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="cmd.exe quotes otherwise")
@pytest.mark.parametrize("name", ["my page", "$HOME", "a;b", 'a"b', "plain.keras"])
def test_a_path_is_said_so_that_a_shell_takes_it_as_it_is(name: str):
    assert shlex.split(typed(Path(name))) == [name]
    said = subprocess.check_output(["sh", "-c", f"printf %s {typed(Path(name))}"], text=True)
    assert said == name


def test_doctor_names_what_is_missing_and_what_fails(monkeypatch):
    def broken(name: str) -> None:
        raise ValueError(f"{Path.home()}/x.onnx is\ndamaged")

    monkeypatch.setattr(doctor, "import_runtime", broken)
    monkeypatch.setattr(doctor, "packages", lambda extra: {"numpy": "2", "no-such-package": ""})
    done = run_here("doctor")
    assert done.exit_code == 1
    assert "FAILED: ValueError: ~/x.onnx is damaged" in done.stdout
    assert re.search("NOT INSTALLED: no-such-package; (uv )?pip install", done.stdout)


def test_doctor_reads_where_nothing_can_be_drawn(onnx_file: Path):
    """With the extra `predict` alone."""
    code = (
        "import sys\nfor name in ('cv2', 'keras', 'tensorflow', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from captcha_helpers.cli.main import main\nmain(['doctor', '--json'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["models"]["general"].startswith("204857 read as 204857")
    assert facts["models"]["pretrained"].startswith("not tried: ")
    assert facts["fonts"]["styles"].startswith("FAILED: Drawing images needs OpenCV")


def processor_time(number: int) -> float:
    """Seconds that a process has worked; 0 where the system does not say so."""
    status = Path(f"/proc/{number}/stat")
    if not status.exists():
        return 0
    return sum(map(int, status.read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def test_train_says_what_it_does_from_the_first_second_to_the_next_command(
    folder: Path, tmp_path: Path
):
    model, page = tmp_path / "my reader.keras", tmp_path / "page.html"
    arguments = ["train", folder, "--epochs", "1", "--out", model, "--report", page]
    command = [sys.executable, "-u", "-m", "captcha_helpers", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline().decode()
        worked = processor_time(process.pid)
        rest, bar = process.stdout.read().decode(), process.stderr.read().decode()
    assert process.returncode == 0 and "60 labelled images" in first
    assert worked < 3  # seconds; TensorFlow alone takes longer to load
    assert "51 images; 9 are set aside" in rest and "beginning with" in rest and "until" in rest
    *_, result, shown, then = rest.splitlines()
    share = re.search(r"reads (\S+)% \(± \S+\) of 9 held-out images", result)
    assert share and shown == f"{page} shows the curves and the errors."
    assert then.endswith(f"captcha-helpers evaluate {typed(model)} OTHER_IMAGES")
    text = page.read_text("utf-8")
    assert "<svg" in text and "my reader.keras" in text and f">{share[1]}%<" in text
    assert not bar  # no bar in a pipe


def test_train_says_what_unlabelled_images_are_good_for_and_learns_from_them(tmp_path: Path):
    write_samples(tmp_path, 80, styles=["stars"])
    pairs, some = read_labels(tmp_path / "stars"), tmp_path / "some"
    some.mkdir()
    rows = [f"{number}.png,{text}" for number, (_, text) in enumerate(pairs)]
    for number, (path, _) in enumerate(pairs):
        shutil.copy(path, some / f"{number}.png")
    (some / "labels.csv").write_text("\n".join(["file,label", *rows[:25]]))
    out = tmp_path / "m.keras"
    command = ["train", some, "--epochs", 1, "--out", out, "--charset", "digits"]
    alone = run_here(*command, "--length", "6")
    assert f"55 images have no label; --unlabelled {some} learns" in alone.stdout, alone.output
    again = run_here(*command, "--overwrite", "--unlabelled", some)
    assert "55 images have no label" not in again.stdout and "now again with" in again.stdout
    training = read_spec(out).training
    assert training["unlabelled_images"] == 55 and f"unlabelled={'some'!r}" in training["command"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal to send")
@pytest.mark.parametrize(("end", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_keeps_what_was_learned_and_names_resume(
    folder: Path, tmp_path: Path, end: str, code: int
):
    model = tmp_path / "m.keras"
    arguments = ["train", folder, "--minutes", "30", "--out", model]
    command = [sys.executable, "-u", "-m", "captcha_helpers", *map(str, arguments)]
    for wait in (1, 8, 64):  # until something was learned; a busy machine needs longer
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            while b"until" not in process.stdout.readline():
                pass
            time.sleep(wait)
            process.send_signal(getattr(signal, end))
            said, told = process.stdout.read().decode(), process.stderr.read().decode()
        if "what was being written is as it was before" not in told:
            break
    assert process.returncode == code and model.exists(), told
    assert "--resume (resume=True) continues" in told
    assert f"captcha-helpers train {folder} --out {model} --resume" in said
