"""What is set aside: no string on both sides, and nothing that occurs in one place only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers.data.folders import LabeledImages, split_by_label
from captcha_helpers.learning.split import Split, set_aside

STRINGS = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=10, max_size=60)


def labelled(labels: list[str]) -> LabeledImages:
    images = np.arange(len(labels), dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2, 1)
    return LabeledImages(images, labels, [f"{label}_{i}.png" for i, label in enumerate(labels)])


def parts(labels: list[str], **options) -> tuple[list[str], list[str], Split]:
    split = set_aside(labelled(labels), **{"seed": 0} | options)
    training, validation = split.parts(labelled(labels))
    assert sorted(training.names + validation.names) == sorted(labelled(labels).names)
    return training.labels, validation.labels, split


def random_strings(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("0123456789"), 5)) for _ in range(count)]


def test_random_strings_are_split_as_split_by_label_does():
    labels = random_strings(200)
    rest, chosen = split_by_label(labels, (0.85, 0.15), seed=3)
    training, validation, split = parts(labels, seed=3)
    assert (training, validation) == ([labels[i] for i in rest], [labels[i] for i in chosen])
    assert split.by == "label"


@given(STRINGS, st.integers(0, 5))
def test_no_string_is_in_both_parts_and_no_character_is_lost(strings: list[str], seed: int):
    try:
        training, validation, split = parts(strings, seed=seed)
    except ValueError as error:
        assert "different labels" in str(error) or "no other string has" in str(error)
        return
    assert validation and set("".join(training)) == set("".join(strings))
    if split.by == "label":
        assert not set(training) & set(validation)
    else:
        assert set(validation) <= set(training) == set(strings)


def test_a_rare_character_is_learned_and_as_many_strings_are_set_aside_as_otherwise():
    labels = random_strings(60)
    _, validation, _ = parts(labels)
    rare = [label + "é" if label == validation[0] else label for label in labels]
    training, others, _ = parts(rare)
    assert "é" in "".join(training) and len(others) == len(validation)


@pytest.mark.parametrize(
    "words", [list("ABCDEFGHIJKLMNOPQ"), [f"word{i:02}" for i in range(40)]], ids=["17", "40"]
)
def test_of_few_strings_with_several_images_each_every_one_is_learned(words: list[str]):
    training, validation, split = parts(words * 6)
    assert split.by == "image" and set(training) == set(words)
    assert len(validation) == round(0.15 * 6 * len(words))


def test_copies_of_one_picture_are_on_one_side():
    data = labelled(["A", "B", "C"] * 20)
    data.images[::2] = data.images[0]  # of each letter every second one is the same
    split = set_aside(data, seed=1)
    learned, aside = (
        {(label, image.tobytes()) for label, image in zip(part.labels, part.images, strict=True)}
        for part in split.parts(data)
    )
    assert split.by == "image" and aside and not learned & aside


def test_strings_drawn_twice_at_random_are_still_split_by_string():
    assert parts(random_strings(300) * 2)[2].by == "label"


def test_what_was_learned_before_is_never_set_aside():
    old, new = random_strings(200), random_strings(60, seed=1)
    learned_then, aside_then, split = parts(old)
    training, validation, after = parts(old + new, learned=split.learned)
    assert not set(validation) & set(learned_then)
    assert set(training) & set(new) and len(validation) >= 30
    assert split.learned <= after.learned
    _, others, _ = parts(old, learned=split.learned)
    assert set(others) < set(aside_then)
    with pytest.raises(ValueError, match="add images with other strings"):
        parts(learned_then, learned=split.learned)


def test_too_few_labels_are_named():
    with pytest.raises(ValueError, match=r"only 1 different labels \('img'\).*first underscore"):
        parts(["img"] * 2)
    with pytest.raises(ValueError, match="only 9 different labels.*and 4 more"):
        parts(random_strings(9))


def test_changed_labels_are_noticed():
    data = labelled(random_strings(20))
    split = set_aside(data, seed=0)
    assert Split.from_json(split.to_json()) == split
    assert split.changes(data) == ""
    data.labels[7], data.names[3] = "77777", "new.png"
    said = split.changes(data)
    assert data.names[7] in said and "new (new.png)" in said and "1 image is gone" in said


def test_a_picture_that_was_replaced_is_noticed_where_the_training_goes_on():
    data = labelled(random_strings(20))
    split = set_aside(data, seed=0)
    data.images[5] += 1
    assert split.changes(data) == f"1 picture is another ({data.names[5]})"
    assert replace(split, pictures={}).changes(data) == ""


@pytest.mark.slow
def test_at_most_four_hundred_images_are_set_aside():
    counts = Counter(len(parts(random_strings(4000, seed))[1]) for seed in range(3))
    assert max(counts) < 430 and min(counts) > 370
