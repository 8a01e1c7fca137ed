"""`train`, on a small folder of drawn images: the promises that do not need a long training."""

from __future__ import annotations

import math
import random
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from captcha_helpers import (
    STYLES,
    Charset,
    Processing,
    TrainingSettings,
    check_folder,
    evaluate,
    export,
    generate,
    load,
    load_folder,
    multi_head,
    prepare,
    read_labels,
    recipe,
    train,
    write_samples,
)
from captcha_helpers.core.metrics import exact_match, wilson_interval
from captcha_helpers.data import examples
from captcha_helpers.data.examples import examples_of
from captcha_helpers.learning import run, starts, trainings
from captcha_helpers.learning.checkpoint import Alone, Progress
from captcha_helpers.learning.plan import State
from captcha_helpers.learning.recipe import EARLIER
from captcha_helpers.learning.run import Run
from captcha_helpers.learning.split import SPLIT_MEMBER, Split
from captcha_helpers.learning.trainings import Learned

SETTINGS = TrainingSettings()

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_weights")]


@pytest.fixture
def small_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the smaller networks, which take a third of the time, where it does not matter."""
    monkeypatch.setattr(recipe, "STARTS", ("pretrained", "mixed"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("images")
    write_samples(target, 120, styles=["stars"])
    return target / "stars"


def weights(path: Path) -> list[np.ndarray]:
    return keras.models.load_model(path, compile=False).get_weights()


def test_the_rate_rises_falls_and_ends_at_zero():
    rates = [recipe.learning_rate(share / 100) for share in range(101)]
    peak = int(np.argmax(rates))
    assert rates[peak] == SETTINGS.peak_rate and peak == 10
    assert (np.diff(rates[:peak]) > 0).all() and (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_reads_strings_it_was_not_trained_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Eight passes over a hundred labels; from scratch nothing is read after as many."""
    monkeypatch.setattr(recipe, "STARTS", starts.STARTS)
    write_samples(tmp_path, 100, seed=1, styles=["stars"])
    known = {label for _, label in read_labels(folder)}
    reader = train(folder, epochs=8, progress=False)
    result = evaluate(reader, tmp_path / "stars")
    assert len(known & set(result.data.labels)) <= 2
    assert result.score.exact_match > 0.7


def test_stops_on_time(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipe, "STARTS", starts.STARTS)
    begun = time.perf_counter()
    reader = train(folder, minutes=0.3, progress=False)
    taken = time.perf_counter() - begun
    history = reader.spec.training["history"]
    assert 16 < taken < 300  # a busy machine needs most of it to build the first step
    assert history and history[-1]["seconds"] <= taken


def test_same_seed_same_weights_and_no_string_on_both_sides(folder: Path, tmp_path: Path):
    for name in ("a.keras", "b.keras"):
        reader = train(folder, epochs=2, out=tmp_path / name, progress=False)
    facts = reader.spec.training
    assert (tmp_path / "a.keras").stat().st_size < 1_500_000  # no optimizer in it
    assert facts["images"] + facts["validation_images"] == 120
    for one, other in zip(
        weights(tmp_path / "a.keras"), weights(tmp_path / "b.keras"), strict=True
    ):
        assert np.allclose(one, other, atol=1e-5)


def test_interrupt_keeps_the_best_model(folder: Path, tmp_path: Path, monkeypatch, capsys):
    steps = []

    def stop(self, images, labels, step=Run._step):
        steps.append(len(labels))
        if len(steps) == 6:
            raise KeyboardInterrupt
        step(self, images, labels)

    monkeypatch.setattr(Run, "_step", stop)
    reader = train(folder, epochs=20, out=tmp_path / "m.keras", progress=False)
    assert "--resume" in capsys.readouterr().err
    assert reader.spec.training["complete"] is False
    assert load(tmp_path / "m.keras").spec == reader.spec
    assert (tmp_path / "m.resume.keras").exists()


def test_a_later_check_loses_only_to_one_that_is_better_beyond_chance(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    results = iter([0.9, 1.0, 0.95, *[0.3] * 20])
    monkeypatch.setattr(run.metrics, "exact_match", lambda labels, texts: next(results))
    monkeypatch.setattr(Run, "go_back", lambda run: 1.0)
    training = train(folder, epochs=12, progress=False).spec.training
    assert training["validation_exact_match"] == 0.95
    assert [check["exact_match"] for check in training["history"]][:4] == [0.9, 1.0, 0.95, 0.3]


@pytest.mark.parametrize(("there", "share"), [(0.9, 0.75), (0.45, 0.75), (0.3, 1.0)])
def test_the_weights_go_a_quarter_of_the_way_back_unless_they_read_worse_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: float, share: float
):
    """Of 18 validation images one more or less is chance, four less are not."""
    ends = []

    def go_back(run, original=Run.go_back):
        run.progress.state.best = (0.5, -0.1)
        monkeypatch.setattr(run, "_read_validation", lambda: (there, 0.1))
        ends.extend([run.progress.first, run.progress.kept])
        return original(run)

    monkeypatch.setattr(Run, "go_back", go_back)
    facts = train(folder, epochs=1, out=tmp_path / "m.keras", progress=False).spec.training
    assert facts["validation_images"] == 18 and facts["from_start"] == share
    assert facts["validation_exact_match"] == (there if share < 1 else 0.5)
    written = keras.models.load_model(tmp_path / "m.keras", compile=False).get_weights()
    for first, last, weight in zip(*ends, written, strict=True):
        assert np.allclose(weight, (1 - share) * first + share * last, atol=1e-6)


def test_what_is_left_out_against_learning_by_heart_stays_out_of_the_model(
    folder: Path, tmp_path: Path
):
    train(folder, epochs=1, out=tmp_path / "m.keras", progress=False)
    model = keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert not [layer.name for layer in model.layers if "drop" in layer.name]


def first_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **options
) -> tuple[dict, np.ndarray]:
    """What `train` decided, and the labels (B, L) of the first batch."""
    batches = []

    def note(self, images, labels, step=Run._step):
        batches.append(labels)
        step(self, images, labels)

    monkeypatch.setattr(Run, "_step", note)
    return train(folder, epochs=1, progress=False, **options).spec.training, batches[0]


def test_a_familiar_look_is_rehearsed_with_its_own_characters_and_lengths(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    facts, labels = first_batch(folder, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (22, SETTINGS.rehearsal_rate)
    assert len(labels) == SETTINGS.batch_size and ((labels > 0) & (labels <= 10)).all()
    known = {tuple(row) for row in Charset("0123456789").encode(
        [label for _, label in read_labels(folder)], length=6).tolist()}  # fmt: skip
    assert sum(tuple(row) in known for row in labels.tolist()) == SETTINGS.batch_size - 22


@pytest.mark.parametrize(
    ("error", "drawn", "fixed"),
    [(0.12, 22, False), (0.1875, 11, False), (0.2, 9, True), (0.26, 0, True)],
)
def test_general_weights_rehearse_the_more_the_better_they_read(
    error: float, drawn: int, fixed: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "_choose", lambda starts, *_: (starts[0], error))
    monkeypatch.setattr(Run, "_step", stop)
    facts = train(folder, init="general", epochs=1, progress=False).spec.training
    assert (facts["drawn_of_a_batch"], facts["fixed_statistics"]) == (drawn, fixed)


def test_only_a_network_with_float32_at_both_ends_is_computed_with_fewer_bits():
    assert {name: starts.shipped(name).fewer_bits for name in starts.STARTS} == {
        "general": True, "pretrained": False, "mixed": False}  # fmt: skip


def test_images_of_any_look_are_drawn_only_if_the_start_reads_nearly_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipe, "_choose", lambda starts, *_: (starts[0], 0.1))
    facts, labels = first_batch(folder, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (0, SETTINGS.peak_rate)
    known = {label for _, label in read_labels(folder)}
    assert set(Charset.from_labels(known).decode(labels)) <= known


def test_with_many_labels_fewer_images_are_drawn_and_the_rate_is_higher(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = TrainingSettings(enough=51)  # of the folder's 120 images 102 are trained on
    facts, labels = first_batch(folder, monkeypatch, settings=settings)
    assert facts["drawn_of_a_batch"] == 11 and len(labels) == SETTINGS.batch_size
    assert facts["peak_rate"] == (SETTINGS.rehearsal_rate + SETTINGS.peak_rate) / 2


def test_begins_with_the_start_that_reads_the_folder_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_samples(tmp_path, 200, seed=3, styles=["mixed"])
    styles = []

    def note(count, near=None, draw=starts.draw_images, **kind):
        styles.append(near)
        return draw(count, near=near, **kind)

    monkeypatch.setattr(starts, "draw_images", note)
    facts = train(tmp_path / "mixed", epochs=1, progress=False).spec.training
    assert facts["start"] == "mixed" and facts["drawn_of_a_batch"] == 22
    assert {style.name for style in styles} == {"mixed"}


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ((0.14, 0.1), "pretrained"),  # it has learned from more
        ((0.15, 0.05), "mixed"),
        ((0.02, 0.0), "pretrained"),  # that may be chance
        ((1.0, 1.0), "pretrained"),
    ],
)
def test_begins_with_the_first_start_unless_another_reads_far_more(
    errors: tuple[float, float], chosen: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    made = dict(zip(("pretrained", "mixed"), errors, strict=True))
    monkeypatch.setattr(recipe, "_error", lambda start, *_: made[start.name])
    candidates = [starts.shipped(name, 6) for name in made]
    data = load_folder(folder, height=48, width=160)
    images = dict.fromkeys((start.takes for start in candidates), data)
    start, error = recipe._choose(candidates, images, Charset("0123456789"), 6, SETTINGS)
    assert (start.name, error) == (chosen, made[chosen])


def test_few_images_are_no_reason_to_begin_with_smaller_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of 20 images with 5 characters each, twice the errors may be chance: 12 against 6."""
    made = {"pretrained": 0.12, "mixed": 0.06}
    monkeypatch.setattr(recipe, "_error", lambda start, *_: made[start.name])
    candidates = [starts.shipped(name, 6) for name in made]
    data = load_folder(folder, height=48, width=160)
    for count, chosen in ((20, "pretrained"), (len(data), "mixed")):
        some = dict.fromkeys((start.takes for start in candidates), data.subset(range(count)))
        start, _ = recipe._choose(candidates, some, Charset("0123456789"), 6, SETTINGS)
        assert start.name == chosen


def test_few_images_are_enough_to_see_in_which_case_letters_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Even if other weights seem to be better still, which is chance."""
    candidates = [starts.shipped("pretrained", 6), starts.shipped("mixed", 6)]
    candidates += [starts.shipped("pretrained", 6, seen=seen) for seen in starts.SEEN[1:]]
    made = dict(zip([start.name for start in candidates], (0.19, 0.1, 0.3, 0.11), strict=True))
    monkeypatch.setattr(recipe, "_error", lambda start, *_: made[start.name])
    data = load_folder(folder, height=48, width=160).subset(range(20))
    images = dict.fromkeys((start.takes for start in candidates), data)
    start, error = recipe._choose(candidates, images, Charset("0123456789"), 6, SETTINGS)
    assert (start.name, error) == ("pretrained (letters in both cases)", 0.11)


def rehearsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `train` rehearse with "pretrained"; the list fills with the charsets that are drawn."""
    asked, draw = list[str](), starts.draw_images

    def note(count, *, charset, **kind):
        asked.append(charset)
        return draw(count, charset=charset, **kind)

    monkeypatch.setattr(starts, "draw_images", note)
    monkeypatch.setattr(recipe, "STARTS", ("pretrained",))
    monkeypatch.setitem(starts.FAMILIAR, "pretrained", 0.9)  # or nothing is drawn
    return asked


@pytest.mark.parametrize("read_as", [str.upper, str.lower, str.title])
def test_capitals_that_are_typed_small_are_known_as_capitals(
    read_as: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And drawn as capitals in the rehearsal, whose labels are small like all others."""
    style = replace(STYLES["slanted"], charset="ABDEFGHNQRT", length=(4, 4))
    images, labels = generate(style, 60, seed=4)
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{read_as(label)}.png")
    asked = rehearsed(monkeypatch)
    facts, labels_shown = first_batch(tmp_path, monkeypatch)
    other = " (letters in their other case)" if read_as is str.lower else ""
    assert facts["start"] == f"pretrained{other}"
    charset = Charset.from_labels(map(read_as, labels))
    assert len(charset.decode(labels_shown)) == SETTINGS.batch_size
    if read_as is not str.title:
        assert set(asked) == {"ABDEFGHNQRT"} and facts["start_cer"] < 0.3


def test_letters_of_both_cases_that_are_typed_small_are_known_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And drawn in both in the rehearsal, whose labels are small like all others."""
    style = replace(STYLES["slanted"], charset="ABDEHRTabdehrt27", length=(4, 4))
    images, labels = generate(style, 60, seed=4)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{label.lower()}_{number:04}.png")
    asked = rehearsed(monkeypatch)
    facts, labels_shown = first_batch(tmp_path, monkeypatch)
    assert facts["start"] == "pretrained (letters in both cases)" and facts["start_cer"] < 0.3
    shown = Charset("27abdehrt").decode(labels_shown)
    assert len(shown) == SETTINGS.batch_size and set("".join(shown)) <= set("27abdehrt")
    assert asked and all(sorted(one) == sorted("ABDEHRTabdehrt27") for one in asked)


def test_characters_that_no_label_has_are_read_and_rehearsed_if_they_were_told(
    monkeypatch: pytest.MonkeyPatch,
):
    images, labels = generate(replace(STYLES["stars"], charset="01234"), 60, seed=0)
    asked = rehearsed(monkeypatch)
    reader = train(images, labels, epochs=1, progress=False)
    assert reader.spec.charset == "01234"  # of 360 digits, chance leaves no other one out
    asked.clear()
    told = {"charset": "0123456789", "length": (3, 8)}
    reader = train(images, labels, epochs=1, progress=False, **told)
    assert reader.spec.charset == "0123456789" and reader.spec.length == (3, 8)
    assert reader.spec.training["unseen"] == "56789" and set(asked) == {"0123456789"}
    unseen, labels = generate(replace(STYLES["stars"], charset="56789"), 30, seed=1)
    read = [reading.text for reading in reader.read_many(unseen)]
    assert exact_match(labels, read) > 0.2  # as the weights to begin with did, more or less


def test_characters_that_are_missing_by_chance_are_read(tmp_path: Path):
    write_samples(tmp_path, 20, styles=["mixed"], seed=1)
    labels = [label for _, label in read_labels(tmp_path / "mixed")]
    assert len(set("".join(labels))) < 62
    assert len(train(tmp_path / "mixed", epochs=1, progress=False).spec.charset) == 62


def test_labels_that_contradict_what_was_told_are_left_out_and_named(folder: Path, capsys):
    with pytest.raises(ValueError, match="no label fits.*not in the charset: '"):
        train(folder, charset="xyz", progress=False)
    images, labels = generate("stars", 20, seed=1)
    longer, shorter = [*map(str, labels)], [label[:3] for label in labels[:4]]
    data, told = [*images, *images[:4]], {"length": (5, 6), "epochs": 1}
    with pytest.warns(UserWarning, match="4 of 24 images cannot be used"):
        reader = train(data, longer + shorter, progress=True, **told)
    assert "is 3 characters long, not 5 to 6" in capsys.readouterr().out
    facts = reader.spec.training
    assert facts["images"] + facts["validation_images"] == 20


def test_unlabelled_images_are_learned_as_they_are_read(tmp_path: Path, capsys):
    """In a second training; those with a label, and what says a string of the test, are not."""
    write_samples(tmp_path, 60, styles=["stars"])
    folder = tmp_path / "stars"
    pairs = read_labels(folder)
    paths, labels = zip(*pairs[:20], strict=True)
    for number in range(5):  # the same strings as labelled ones, of which some are set aside
        shutil.copy(paths[number], folder / f"copy_{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    out = tmp_path / "r.keras"
    reader = train(paths, labels, unlabelled=folder, epochs=1, out=out, progress=True)
    facts = reader.spec.training
    assert facts["unlabelled_images"] == 46 and 20 < facts["readings_learned"] <= 45
    assert facts["images"] + facts["validation_images"] == 20
    said = capsys.readouterr().out
    assert "now again with" in said and "1 image cannot be read" in said
    with zipfile.ZipFile(out) as archive:
        split = Split.from_json(archive.read(SPLIT_MEMBER).decode())
    assert len(split.earlier) > 20  # a later training does not measure with these


def test_a_second_training_that_was_killed_goes_on_with_the_same_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_samples(tmp_path, 60, styles=["stars"])
    paths, labels = zip(*read_labels(tmp_path / "stars")[:20], strict=True)
    options = {"unlabelled": tmp_path / "stars", "epochs": 2, "progress": False}
    whole = train(paths, labels, **options)
    step, left = Run._step, list[int]()

    def stop(self: Run, images: np.ndarray, texts: np.ndarray) -> None:
        if left and left.pop() == 0:
            raise KeyboardInterrupt
        step(self, images, texts)

    monkeypatch.setattr(Run, "_step", stop)
    first = math.ceil(2 * 17 / 10)  # steps of the first training: 10 of 32 images are not drawn
    for stop_at in (first - 1, first + 2):
        left[:] = range(stop_at + 1)
        out = tmp_path / f"{stop_at}.keras"
        assert not train(paths, labels, out=out, **options).spec.training["complete"]
        assert not left
        again = train(paths, labels, out=out, resume=True, **options)
        weights = whole.keras_model.get_weights(), again.keras_model.get_weights()
        for one, other in zip(*weights, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("best", "complete", "counts"),
    [
        ((0.75, -0.1), True, True),  # a twentieth less is chance
        ((0.5, -0.1), True, False),
        ((0.8, -0.2), False, False),  # cut off, it reads more characters wrongly
        ((0.85, -0.1), False, True),
    ],
)
def test_the_second_training_counts_unless_it_reads_worse_beyond_chance(
    best: tuple[float, float], complete: bool, counts: bool
):
    first, second = State(best=(0.8, -0.1)), State(best=best)
    learned = Learned(None, Progress(None, [], None, second), None, complete, 1.0, 1.0)
    assert trainings._is_better(learned, Alone([], first, 0.75), 20) == counts


def test_what_the_first_training_gave_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not by Ctrl-C between the two or in the second one, nor when that is resumed."""
    write_samples(tmp_path, 60, styles=["stars"])
    paths, labels = zip(*read_labels(tmp_path / "stars")[:20], strict=True)
    options = {"unlabelled": tmp_path / "stars", "epochs": 1, "progress": False}
    out, step = tmp_path / "r.keras", Run._step

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trainings, "pseudo_labels", interrupted)
        alone = train(paths, labels, out=out, **options)
    assert not alone.spec.training["complete"] and alone.spec.training["steps"] > 0

    def spoiled(self: Run, images: np.ndarray, texts: np.ndarray) -> None:
        if self.progress.alone is None:
            return step(self, images, texts)
        if len(spoils) > 1:
            raise KeyboardInterrupt
        spoils.append(1)
        step(self, images, texts)
        self.progress.model.set_weights([0 * one for one in self.progress.first])

    monkeypatch.setattr(Run, "_step", spoiled)
    for _ in range(2):  # goes on, and is cut off in the second training
        spoils = list[int]()
        again = train(paths, labels, out=out, resume=True, **options)
        for one, other in zip(
            alone.keras_model.get_weights(), again.keras_model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        assert again.spec.training["readings_learned"] == 0


def test_each_start_sees_the_images_as_it_has_learned_to():
    plain = starts.shipped("pretrained", 6)
    cropping = replace(plain, processing=Processing(auto_crop=True))
    images = [
        np.pad(image, ((40, 40), (90, 90), (0, 0)), mode="edge")
        for image in generate("stars", 4, seed=3)[0]
    ]
    data = recipe._look(examples_of(images, list("abcd")), [], [plain, cropping], "skip", False)
    size = {"height": 48, "width": 160}
    assert len(data) == 2
    for start in (plain, cropping):
        expected = [prepare(image, **size, processing=start.processing) for image in images]
        assert np.array_equal(data[start.takes].images, expected)
    assert not np.array_equal(data[plain.takes].images, data[cropping.takes].images)


def test_bfloat16_stays_in_the_training_and_is_gone_on_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    computed: list[set[str]] = []

    def note(self, images, labels, step=Run._step):
        computed.append({layer.compute_dtype for layer in self.progress.model.layers})
        if len(computed) == 1:
            raise KeyboardInterrupt
        step(self, images, labels)

    monkeypatch.setattr(Run, "_step", note)
    monkeypatch.setattr(trainings, "quickest_precision", lambda: "mixed_bfloat16")
    out = tmp_path / "m.keras"
    for resume in (False, True):
        train(folder, init="general", epochs=1, out=out, resume=resume, progress=False)
        written = keras.models.load_model(out, compile=False)
        assert {layer.compute_dtype for layer in written.layers} == {"float32"}
    assert len(computed) > 2 and all(each == {"bfloat16", "float32"} for each in computed)
    assert keras.config.dtype_policy().name == "float32"


def test_a_strange_look_is_learned_from_the_folder_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for path, label in read_labels(folder)[:40]:
        image = np.asarray(Image.open(path).convert("RGB"))
        Image.fromarray(np.ascontiguousarray(image[::-1])).save(tmp_path / f"{label}.png")
    facts, labels = first_batch(tmp_path, monkeypatch)
    assert (facts["drawn_of_a_batch"], facts["peak_rate"]) == (0, SETTINGS.peak_rate)
    known = {label for _, label in read_labels(tmp_path)}
    assert set(Charset.from_labels(known).decode(labels)) <= known


@pytest.mark.parametrize(
    ("error", "enough", "fixed"),
    [(0.5, 400, True), (0.5, 60, False), (0.01, 400, False), (1.0, 400, False)],
)
def test_a_few_images_of_a_strange_look_do_not_change_the_statistics(
    error: float, enough: int, fixed: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Unless nothing is known of the characters, whose frames look otherwise than all others."""
    monkeypatch.setattr(recipe, "_choose", lambda starts, *_: (starts[0], error))
    kept: list[list[np.ndarray]] = []

    def note(self, begun, go=Run.go):
        kept.append(self.progress.kept)
        complete = go(self, begun)
        kept.append(self.progress.model.get_weights())
        names.extend(weight.path for weight in self.progress.model.weights)
        return complete

    names: list[str] = []
    monkeypatch.setattr(Run, "go", note)
    settings = TrainingSettings(enough=enough)
    facts = train(folder, epochs=1, settings=settings, progress=False).spec.training
    same = {name for name, was, now in zip(names, *kept, strict=True) if np.array_equal(was, now)}
    normalising = {name for name in names if "normalise" in name}
    assert facts["fixed_statistics"] == fixed
    assert same == (normalising if fixed else set())


def test_characters_that_no_font_has_are_learned_from_the_folder_alone(tmp_path: Path):
    images, labels = generate("stars", 40, seed=2)
    for image, label in zip(images, labels, strict=True):
        text = label.translate(str.maketrans("0123456789", "零一二三四五六七八九"))
        Image.fromarray(image).save(tmp_path / f"{text}.png")
    reader = train(tmp_path, epochs=1, progress=False)
    assert reader.spec.training["drawn_of_a_batch"] == 0


def small(charset: Charset, *, length: int, channels: int = 1) -> keras.Model:
    """A network that learns nothing in no time, and leaves something out at random."""
    image = keras.Input((16, 32, channels))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.MaxPooling2D((16, 2))(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Reshape((16, 4))(x))
    return keras.Model(image, keras.layers.Dense(charset.num_classes)(x), name="small")


class Killed(BaseException):
    pass


def test_killed_at_any_step_and_resumed_equals_a_training_that_was_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The process is not there any more to write anything; what was written before must do."""
    options = {"epochs": 4, "build": small, "progress": False, "seed": 3}
    options["settings"] = TrainingSettings(save_every=0.0)
    straight = train(folder, **options)
    steps = straight.spec.training["steps"]
    killed_at = random.Random().sample(range(1, steps), 2)
    for number in killed_at:
        out = tmp_path / f"{number}.keras"

        def stop(self, images, labels, number=number, step=Run._step):
            if self.progress.state.step == number:
                raise Killed
            step(self, images, labels)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Run, "_step", stop)
            train(folder, out=out, **options)
        assert not out.exists() and out.with_suffix(".resume.keras").exists()
        with pytest.raises(ValueError, match="seed was 3 and is 1"):
            train(folder, out=out, resume=True, **options | {"seed": 1})
        resumed = train(folder, out=out, resume=True, **options)
        assert [path.name for path in tmp_path.iterdir()] == [out.name]
        out.unlink()
        for one, other in zip(
            resumed.keras_model.get_weights(), straight.keras_model.get_weights(), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-5, err_msg=f"killed at {number}")
        history, expected = (
            [{key: row[key] for key in ("epoch", "loss", "cer")} for row in one]
            for one in (resumed.spec.training["history"], straight.spec.training["history"])
        )
        for one, other in zip(history, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-4)


def test_statistics_that_were_fixed_stay_so_in_a_training_that_is_resumed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(self, images, labels, step=Run._step):
        if self.progress.state.step == 2:
            raise KeyboardInterrupt
        step(self, images, labels)

    monkeypatch.setattr(recipe, "_choose", lambda starts, *_: (starts[0], 0.5))
    out = tmp_path / "m.keras"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", stop)
        train(folder, epochs=2, out=out, progress=False)
    model = train(folder, epochs=2, out=out, resume=True, progress=False).keras_model
    first = starts.shipped("pretrained", 6).build(Charset("0123456789"), 6, 0.0)
    same = {
        layer.name: all(map(np.array_equal, layer.get_weights(), now.get_weights()))
        for layer, now in zip(first.layers, model.layers, strict=True)
        if layer.weights
    }
    assert same == {name: name.startswith("normalise") for name in same}


def test_labels_corrected_before_it_was_resumed_are_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    images, out = tmp_path / "images", tmp_path / "m.keras"
    shutil.copytree(folder, images)
    options = {"epochs": 2, "build": small, "progress": False, "out": out}

    def stop(self, images, labels):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", stop)
        train(images, **options)
    wrong = sorted(images.iterdir())[0]
    wrong.rename(images / f"999999_{wrong.name.partition('_')[2]}")
    with pytest.raises(ValueError, match=r"1 image is new \(999999_\d+.png\), 1 image is gone"):
        train(images, resume=True, **options)
    (images / f"999999_{wrong.name.partition('_')[2]}").rename(wrong)
    Image.linear_gradient("L").resize(Image.open(wrong).size).save(wrong)
    with pytest.raises(ValueError, match="1 picture is another.*start anew"):
        train(images, resume=True, **options)
    shutil.copy(folder / wrong.name, wrong)
    assert train(images, resume=True, **options).spec.training["complete"]


def test_a_network_that_sees_colour_is_shown_colour(tmp_path: Path):
    for number in range(40):
        image = np.full((20, 60, 3), (200, 30, 30) if number % 2 else (30, 30, 200), np.uint8)
        image[0, 0] += 1  # one of a single colour has nothing to read in it
        Image.fromarray(image).save(tmp_path / f"{'r' if number % 2 else 'b'}{number:02}_.png")
    seen = []

    def note(self, images, labels, step=Run._step):
        seen.append(images)
        step(self, images, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_step", note)
        reader = train(tmp_path, epochs=1, build=partial(small, channels=3), progress=False)
    assert reader.spec.channels == 3 and seen[0].shape[1:] == (16, 32, 3)
    assert (seen[0][..., 0] > seen[0][..., 2]).any() and (seen[0][..., 0] < seen[0][..., 2]).any()
    assert reader.read(tmp_path / "r01_.png").text is not None


def test_any_network_is_trained_saved_exported_and_read_with(folder: Path, tmp_path: Path):
    out = tmp_path / "m.keras"
    train(folder, epochs=1, build=multi_head, head="per_position", out=out, progress=False)
    reader = load(out)
    assert (reader.spec.head, reader.spec.width) == ("per_position", 144)
    checks = export(out, tmp_path / "out", formats=["keras", "onnx"])
    assert all(check.same_text == 1 for check in checks if not check.left_out)
    assert evaluate(load(tmp_path / "out" / "model.onnx"), folder).score.n == 120
    with pytest.raises(ValueError, match="gives 6 steps, but labels of 6 characters need 11"):
        train(folder, epochs=1, build=multi_head, progress=False)


def test_goes_on_from_a_reader_with_new_characters_and_lengths(folder: Path, tmp_path: Path):
    """What it has read it goes on reading, and it is measured with what it has not learned."""
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    processing = Processing(invert="always")
    old = train(folder, epochs=3, out=first, processing=processing, progress=False)
    assert old.spec.training["validation_exact_match"] > 0.7
    images, labels = generate(replace(STYLES["stars"], charset="0123456789x", length=(7, 7)), 30)
    more = tmp_path / "more"
    shutil.copytree(folder, more)
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(image).save(more / f"{label}.png")
    new = train(more, epochs=1, init=first, out=second, progress=False)
    assert (new.spec.charset, new.spec.length) == ("0123456789x", (6, 7))
    assert new.spec.processing == processing
    facts = new.spec.training
    assert facts["start_cer"] < 0.15 and facts["drawn_of_a_batch"] == 0
    assert "init=first.keras" in facts["command"]
    assert evaluate(new, folder).score.exact_match > 0.7
    learned = Split.from_json(zipfile.ZipFile(first).read(SPLIT_MEMBER).decode()).learned
    aside = Split.from_json(zipfile.ZipFile(second).read(SPLIT_MEMBER).decode()).validation
    assert aside and not learned & set(aside.values())


def test_a_reader_says_from_which_trainings_it_comes(folder: Path, tmp_path: Path):
    images, labels = zip(*read_labels(folder), strict=True)
    options = {"epochs": 1, "pretrained": False, "progress": False}
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    facts = [train(images[:20], labels[:20], out=first, **options).spec.training]
    for init, count, out in ((first, 40, second), (second, 60, None)):
        reader = train(images[:count], labels[:count], init=init, out=out, seed=count, **options)
        facts.append(reader.spec.training)
    assert facts[0]["earlier"] == []
    assert facts[2]["earlier"] == [{name: fact[name] for name in EARLIER} for fact in facts[:2]]
    assert [one["images"] + one["validation_images"] for one in facts[2]["earlier"]] == [20, 40]


def test_more_labels_of_the_same_look_make_no_reader_worse(folder: Path, tmp_path: Path):
    """It goes on with new images alone; others show what it read before, and what it reads then."""
    first, others = tmp_path / "first.keras", generate("stars", 100, seed=50)
    options = {"epochs": 3, "progress": False}
    old = train(folder, out=first, **options)
    new = train(generate("stars", 40, seed=2), init=first, **options)
    before, after = (
        exact_match(others[1], [reading.text for reading in reader.read_many(others[0])])
        for reader in (old, new)
    )
    assert before > 0.7
    assert after >= wilson_interval(round(100 * before), 100)[0]


def test_what_would_be_forgotten_is_said_before(folder: Path, tmp_path: Path):
    """Another look alone makes a reader forget; together with the known images it does not."""
    first = tmp_path / "first.keras"
    options = {"epochs": 1, "progress": False}
    train(generate("stars", 40, seed=1), out=first, pretrained=False, **options)
    images, labels = generate("slanted", 20, seed=3)
    with pytest.warns(UserWarning, match=r"first.keras reads \d+% .* it will forget those"):
        train(images, labels, init=first, **options)
    known, their_labels = generate("stars", 40, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train([*known, *images], [*their_labels, *labels], init=first, **options)


def test_images_in_memory_are_learned_as_those_of_a_folder(folder: Path):
    paths, labels = zip(*read_labels(folder), strict=True)
    options = {"epochs": 1, "build": small, "progress": False}
    one, other = train(folder, **options), train([*paths], [*labels], **options)
    for a, b in zip(one.keras_model.get_weights(), other.keras_model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    with pytest.raises(ValueError, match="120 images and 3 labels"):
        train(paths, labels[:3], **options)


def test_what_was_loaded_or_generated_is_learned_as_it_is(folder: Path):
    options = {"epochs": 1, "build": small, "progress": False}
    for images in (load_folder(folder, height=16, width=32), generate("stars", 40, seed=1)):
        facts = train(images, **options).spec.training
        assert facts["images"] + facts["validation_images"] in (120, 40)


def long_labels(count: int, length: int) -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(0)
    labels = ["".join(rng.choice(list("0123456789"), length)) for _ in range(count)]
    return [rng.integers(0, 256, (20, 300), np.uint8) for _ in labels], labels


def test_the_width_follows_long_labels(tmp_path: Path):
    options = {"epochs": 1, "progress": False}
    out = tmp_path / "m.keras"
    reader = train(long_labels(20, 24), out=out, pretrained=False, **options)
    assert (reader.spec.length, reader.spec.width) == ((24, 24), 288)
    longer = train(long_labels(20, 40), init=out, **options)
    assert (longer.spec.length, longer.spec.width) == ((24, 40), 480)


def test_one_long_label_among_short_ones_is_named(tmp_path: Path):
    for number in range(60):
        name = "screenshot of a captcha" if number == 7 else f"{number * 7919 % 10_000:04}"
        Image.new("L", (60, 20), number).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"^screenshot of a captcha.png \(23 characters\): labels"):
        train(tmp_path, progress=False)


def test_what_is_odd_is_told_even_without_progress(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    for number, (path, label) in enumerate(read_labels(folder)):
        shutil.copy(path, tmp_path / f"{number:04}-{label}.png")
    with pytest.warns(UserWarning, match="The label is the part") as caught:
        reader = train(tmp_path, epochs=1, build=small, progress=False)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert reader.spec.length == (6, 6)
    said = capsys.readouterr()
    assert said.out == "" and "reads next to nothing" in said.err


def test_each_image_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    opened = []

    def note(path, load_image=examples.load_image, **options):
        opened.append(path)
        return load_image(path, **options)

    monkeypatch.setattr(examples, "load_image", note)
    train(folder, epochs=1, build=small)
    assert len(opened) == len(set(opened)) == 120


def test_says_what_it_finds_what_it_will_do_and_why_nothing_is_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    rows = [f"{path.name},{number:04}" for number, path in enumerate(sorted(folder.iterdir())[:60])]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    facts = train(tmp_path, epochs=1, build=small).spec.training
    said = capsys.readouterr()
    assert str(check_folder(tmp_path)) in said.out and "60 images, labels of 4" in said.out
    assert "51 images; 9 are set aside" in said.out and "a new small" in said.out
    assert "WARNING" in said.err and "numbers 0000 to 0059 in a row" in said.err
    assert facts["warnings"][0].startswith("The labels are the numbers")


@pytest.mark.parametrize("name", ["folder.keras", "file/m.keras"])
def test_a_model_that_cannot_be_written_is_told_before_the_training(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(recipe, "examples_of", None)  # nothing is looked at before
    with pytest.raises(OSError, match="choose another name|cannot be written"):
        train(folder, out=tmp_path / name, overwrite=True, progress=False)


def test_a_place_that_fills_up_during_the_training_keeps_the_old_files(
    folder: Path, tmp_path: Path
):
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    out, page, size = tmp_path / "m.keras", tmp_path / "a.html", resource.RLIMIT_FSIZE
    for path in (out, page):
        path.write_text("old")
    soft, hard = resource.getrlimit(size)

    def fill(self, *batch, step=Run._step):
        resource.setrlimit(size, (4096, hard))
        step(self, *batch)

    options = {"epochs": 1, "build": small, "out": out, "report": page, "overwrite": True}
    said = r"m(\.resume)?\.keras' cannot be written: File too large$"  # whichever comes first
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match=said):
        patch.setattr(Run, "_step", fill)
        patch.setattr(recipe, "trouble_text", lambda facts: "")  # its place may be a file, too
        try:
            train(folder, progress=False, **options)
        finally:
            resource.setrlimit(size, (soft, hard))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.html": "old",
        "m.keras": "old",
    }


def test_a_page_that_cannot_be_written_does_not_hide_that_the_model_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, page = tmp_path / "m.keras", tmp_path / "a.html"

    def fill(result, path, **more):
        raise OSError(f"{str(path)!r} cannot be written: No space left on device")

    monkeypatch.setattr(recipe, "write_report", fill)
    with pytest.raises(OSError, match=r"a.html' cannot be written.*; the model is in '.*m.keras'$"):
        train(folder, epochs=1, build=small, out=out, report=page, progress=False)
    assert load(out).spec.training["complete"] and not page.exists()


def test_a_folder_that_changes_during_the_training_changes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its images were read before; also what the page shows of them."""
    images, page = tmp_path / "images", tmp_path / "a.html"
    shutil.copytree(folder, images)

    def change(self, *batch, step=Run._step):
        for number, path in enumerate(sorted(images.glob("*.png"))):
            if number % 2:
                path.unlink()
            else:
                path.write_bytes(b"half")
        step(self, *batch)

    options = {"epochs": 1, "build": small, "progress": False, "seed": 3}
    straight = train(folder, **options)
    monkeypatch.setattr(Run, "_step", change)
    changed = train(images, report=page, **options)
    for a, b in zip(
        straight.keras_model.get_weights(), changed.keras_model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert page.read_text().count("<li><img") == changed.spec.training["validation_images"]


def test_a_folder_that_does_not_exist_is_made(folder: Path, tmp_path: Path):
    out = tmp_path / "a" / "b" / "m.keras"
    train(folder, epochs=1, build=small, out=out, progress=False)
    assert [path.name for path in out.parent.iterdir()] == ["m.keras"]


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path):
    (tmp_path / "m.keras").write_text("mine")
    with pytest.raises(FileExistsError, match="another name"):
        train(folder, out=tmp_path / "m.keras", progress=False)
    assert (tmp_path / "m.keras").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minutes": 0}, "minutes > 0"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"out": "model.h5"}, "end in .keras"),
        ({"resume": True}, "say which"),
        ({"pretrained": "mine.keras"}, "init='MODEL.keras'"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'"),
    ],
)
def test_arguments_that_make_no_sense(folder: Path, options: dict, said: str):
    with pytest.raises(ValueError, match=said):
        train(folder, progress=False, **options)


def test_nothing_to_resume(folder: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(folder, out=tmp_path / "m.keras", resume=True, progress=False)


def test_too_few_labels(tmp_path: Path):
    write_samples(tmp_path, 5, styles=["stars"])
    with pytest.raises(ValueError, match="only 5 different labels"):
        train(tmp_path / "stars", progress=False)


def test_labels_in_chinese_begin_with_the_weights_that_know_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    images = Path(__file__).parents[1] / "reading" / "chinese"
    reader = train(images, epochs=1, out=tmp_path / "my.keras", progress=True)
    said, facts, spec = capsys.readouterr().out, reader.spec.training, reader.spec
    assert facts["start"] == "chinese" and facts["unseen"] == ""
    seen = set("".join(label for _, label in read_labels(images)))
    assert seen < set(spec.charset) and len(spec.charset) > 3_700
    assert facts["left_out"] > 3_600 and " more: read as the weights to begin with" in said
    again = load(tmp_path / "my.keras")
    assert again.spec.charset == spec.charset
    # More labels do not make it forget what it was told of, and what it kept.
    more = train(images, epochs=1, init=tmp_path / "my.keras", progress=False)
    assert set(more.spec.charset) == set(spec.charset)
    told = train(images, epochs=1, charset="".join(seen) + "火", progress=False)
    assert set(told.spec.charset) == seen | {"火"} and told.spec.training["left_out"] >= 1
