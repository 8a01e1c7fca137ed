"""Labels are taken from file names; counters, times and hashes are not."""

from __future__ import annotations

import hashlib
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers.data.names import NoLabelsError, is_counter, kind_of, labels_from_names

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def random_labels(count: int = 60, chars: str = LETTERS, length: int = 4) -> list[str]:
    rng = np.random.default_rng(5)
    return ["".join(rng.choice(list(chars), length)) for _ in range(count)]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


TIME = 1_667_099_190
NO_LABELS = {
    "a counter": lambda i: f"{i + 1}",
    "a counter, with zeros": lambda i: f"{i + 1:05}",
    "one word and a counter": lambda i: f"IMG_{i + 1:04}",
    "one word and a counter, as a camera counts": lambda i: f"DSC{4000 + 7 * i:05}",
    "one word, then such a counter": lambda i: f"IMG_{4000 + 7 * i:04}",
    "one word and a counter with a space": lambda i: f"image {i + 1}",
    "as Windows numbers": lambda i: f"captcha ({i + 1})",
    "one word and a counter without a space": lambda i: f"captcha{i + 1}",
    "seconds": lambda i: f"{TIME + 611 * i}",
    "milliseconds": lambda i: f"{1000 * TIME + 91_919 * i}",
    "a day and a time": lambda i: f"IMG_202301{i % 28 + 1:02}_{i % 24:02}{i % 60:02}{i % 57:02}",
    "a screenshot": lambda i: f"Screenshot 2023-01-{i % 28 + 1:02} at {i % 24:02}.{i % 60:02}.11",
    "md5": lambda i: md5(str(i)),
    "a uuid": lambda i: str(uuid.UUID(md5(str(i)))),
    "a word and a hash": lambda i: f"captcha-{md5(str(i))}",
}


@pytest.mark.parametrize("name", NO_LABELS.values(), ids=NO_LABELS)
def test_names_that_are_no_labels_are_refused(name):
    with pytest.raises(NoLabelsError, match="counter|time|hash"):
        labels_from_names([name(i) for i in range(60)])


PLACES = {
    "hash-label": lambda i, text: f"{md5(text)}-{text}",
    "hash_label": lambda i, text: f"{md5(text)}_{text}",
    "uuid-label": lambda i, text: f"{uuid.UUID(md5(str(i)))}-{text}",
    "label-time": lambda i, text: f"{text}-{1000 * TIME + 7919 * i}",
    "label-hash": lambda i, text: f"{text}-{md5(text)}",
    "label-uuid": lambda i, text: f"{text}-{uuid.UUID(md5(str(i)))}",
    "label.number": lambda i, text: f"{text}.{i:04}",
    "label-number": lambda i, text: f"{text}-{i:04}",
    "number_label": lambda i, text: f"{i}_{text}",
    "number label": lambda i, text: f"{i:03} {text}",
    "word_label": lambda i, text: f"captcha_{text}",
    "word_label_number": lambda i, text: f"captcha_{text}_{i}",
    "word-number-label": lambda i, text: f"img{i:03}-{text}",
    "day_time_label": lambda i, text: f"20230101_{i % 24:02}{i % 60:02}11_{text}",
    "label [number]": lambda i, text: f"{text} [{i}]",
    "part_number_label": lambda i, text: f"{'train' if i % 4 else 'val'}_{i:04}_{text}",
}


@pytest.mark.parametrize("chars", [LETTERS, "0123456789"], ids=["letters", "digits"])
@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_the_only_part_that_can_be_a_label_is_taken_and_said(name, chars: str):
    texts = random_labels(chars=chars)
    found, notes = labels_from_names([name(i, text) for i, text in enumerate(texts)])
    assert found == texts
    assert len(notes) == 1 and texts[0] in notes[0]


@pytest.mark.parametrize(
    "name",
    [
        lambda i, text: text,
        lambda i, text: f"{text}_{i:05}",
        lambda i, text: f"{text}_{md5(text)}",
        lambda i, text: f"{text}_{'blue' if i % 2 else 'red'}",
        lambda i, text: text if i % 3 else f"{text}_{i}",
    ],
)
def test_what_stands_before_the_first_underscore_needs_no_word(name):
    texts = random_labels()
    assert labels_from_names([name(i, text) for i, text in enumerate(texts)]) == (texts, [])


@pytest.mark.parametrize(
    "names",
    [
        [f"{a}-{b}" for a in range(8) for b in range(8)],
        [f"{a}+{b}=?" for a in range(8) for b in range(8)],
        [f"{n:02}" for n in range(100)],
        [f"{n:03}" for n in range(1000) if n % 19],
        random_labels(chars="0123456789abcdef", length=6),
        random_labels(chars="0123456789abcdef", length=8),
        random_labels(chars="0123456789", length=10),
        random_labels(chars="0123456789", length=13),
        ["cat", "dog", "bird"] * 20,
        ["1", "2", "3"],
    ],
    ids=lambda names: names[5 % len(names)],
)
def test_labels_that_look_a_little_like_something_else_are_kept(names: list[str]):
    assert labels_from_names(names) == (names, [])


@pytest.mark.slow
@given(st.sets(st.integers(0, 10**6 - 1), min_size=200, max_size=400), st.integers(10, 100))
def test_the_first_of_many_numbers_by_the_alphabet_are_labels(numbers: set[int], count: int):
    texts = [f"{number:06}" for number in sorted(numbers)][:count]
    if int(texts[-1]) - int(texts[0]) > 2 * count:
        assert labels_from_names(texts) == (texts, [])


@given(st.integers(0, 10**6), st.integers(10, 60), st.booleans())
def test_numbers_in_a_row_are_a_counter_wherever_they_begin(first: int, count: int, zeros: bool):
    numbers = [f"{first + i:0{8 if zeros else 1}}" for i in range(count)]
    full = first + count == 10 ** len(numbers[-1]) and first == 0
    assert is_counter(numbers) or full


@given(st.lists(st.text(max_size=30), max_size=30))
def test_any_names_give_a_label_each_or_one_clear_error(stems: list[str]):
    try:
        found, _ = labels_from_names(stems)
    except NoLabelsError as error:
        assert any(word in str(error) for word in ("word", "counter", "time", "hash", "part"))
        return
    assert len(found) == len(stems)


@pytest.mark.parametrize(
    "copy",
    [
        *("0053 (1)", "0053(2)", "0053 - Copy", "0053 - Copy (3)", "0053 copy", "0053 copy 2"),
        *("Copy of 0053", "0053 - Kopie", "0053 2"),
    ],
)
def test_the_mark_of_a_copy_is_no_part_of_the_label(copy: str):
    found, notes = labels_from_names(["0053", "0411", "9923", copy])
    assert found[-1] == "0053"
    assert notes == [f"1 name has a copy's mark, which is not part of the label: {copy!r}."]


def test_copies_whose_originals_are_gone_are_known_by_the_others():
    texts = random_labels()
    stems = [text if i % 5 else f"{text} (1)" for i, text in enumerate(texts)]
    assert labels_from_names(stems).labels == texts


def test_marks_that_all_names_have_are_no_copies():
    stems = ["cat (1)", "dog (1)", "bird (2)"]
    assert labels_from_names(stems).labels == stems


@pytest.mark.parametrize("length", [3, 4, 6])
def test_many_numbers_behind_a_word_are_labels(length: int):
    texts = sorted(set(random_labels(600, "0123456789", length)))
    assert labels_from_names([f"captcha_{text}" for text in texts]).labels == texts


def test_too_few_names_show_no_pattern():
    assert kind_of(["1", "2", "3"]) is None
    assert labels_from_names(["IMG_1", "IMG_2"]).labels == ["IMG", "IMG"]
