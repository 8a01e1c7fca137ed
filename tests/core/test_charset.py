"""Labels survive encoding, and what cannot be encoded is named."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers.core import charset as cs
from captcha_helpers.core.charset import Charset

characters = st.lists(st.characters(), min_size=1, max_size=40, unique=True).map("".join)


@st.composite
def charsets_and_labels(draw):
    charset = Charset(draw(characters))
    labels = st.text(st.sampled_from(charset.characters), min_size=1, max_size=12)
    return charset, draw(st.lists(labels, max_size=8))


@given(charsets_and_labels(), st.integers(0, 5))
def test_labels_come_back_unchanged(example, spare):
    charset, labels = example
    length = max(map(len, labels), default=0) + spare
    encoded = charset.encode(labels, length=length)
    assert encoded.shape == (len(labels), length)
    assert encoded.dtype == np.int32
    assert charset.decode(encoded) == labels


@given(charsets_and_labels())
def test_zero_is_padding_and_nothing_else(example):
    charset, labels = example
    for row, label in zip(charset.encode(labels), labels, strict=True):
        assert (row[: len(label)] > cs.BLANK_INDEX).all()
        assert (row[len(label) :] == cs.BLANK_INDEX).all()


def test_the_first_character_is_class_1_and_the_last_fits_num_classes():
    charset = Charset("zya")
    assert charset.encode(["zya"]).tolist() == [[1, 2, 3]]
    assert charset.num_classes == 4
    assert len(charset) == 3


def test_ready_made_charsets():
    assert len(cs.UPPER_DIGITS) == 36
    assert len(cs.ALPHANUMERIC) == 62
    assert len(cs.UNAMBIGUOUS) == 19
    for characters in (cs.DIGITS, cs.UPPER, cs.LOWER, cs.UPPER_DIGITS, cs.ALPHANUMERIC):
        assert Charset(characters).characters == characters


def test_membership_is_by_single_character():
    charset = Charset("ab")
    assert "a" in charset
    assert "ab" not in charset
    assert "" not in charset


def test_from_labels_sorts_so_that_the_classes_do_not_depend_on_file_order():
    assert Charset.from_labels(["ba", "Ω1"]) == Charset.from_labels(["1Ω", "ab"]) == Charset("1abΩ")


def test_repeated_characters_are_kept():
    charset = Charset(cs.DIGITS)
    assert charset.decode(charset.encode(["5335", "0000"])) == ["5335", "0000"]


def test_a_charset_survives_pickling_after_use():
    charset = Charset("xyz")
    charset.encode(["x"])
    assert pickle.loads(pickle.dumps(charset)) == charset


def test_stray_character_names_label_row_file_and_character():
    labels = ["ab"] * 17 + ["aéb€é"]
    names = [f"{label}_{row}.png" for row, label in enumerate(labels)]
    with pytest.raises(ValueError) as caught:
        Charset("ab").encode(labels, names=names)
    assert str(caught.value) == (
        "label 'aéb€é' (row 17, aéb€é_17.png) has characters not in the charset: 'é', '€'"
    )


@pytest.mark.parametrize(
    ("labels", "length", "message"),
    [
        (["ab", ""], None, r"label '' \(row 1\) is empty"),
        (["ab", "bbb"], 2, r"label 'bbb' \(row 1\) is 3 characters long, but only 2 fit"),
        (["ab", "aB"], None, r"label 'aB' \(row 1\) has characters not in the charset: 'B'"),
    ],
)
def test_unencodable_labels(labels, length, message):
    with pytest.raises(ValueError, match=message):
        Charset("ab").encode(labels, length=length)


def test_one_label_is_not_taken_for_a_list_of_characters():
    with pytest.raises(TypeError, match=r"use \['ab'\]"):
        Charset("ab").encode("ab")
    with pytest.raises(TypeError, match=r"use \['ab'\]"):
        Charset.from_labels("ab")


def test_numbers_as_labels_say_what_to_do():
    with pytest.raises(TypeError, match=r"label 42 \(row 0\) is not a string"):
        Charset(cs.DIGITS).encode([42])


def test_names_must_match_labels():
    with pytest.raises(ValueError, match="1 names for 2 labels"):
        Charset("ab").encode(["a", "b"], names=["a.png"])


@pytest.mark.parametrize(
    ("characters", "error", "message"),
    [
        ("", ValueError, "at least one character"),
        ("abcab", ValueError, "more than once in the charset: 'a', 'b'"),
        (["a", "b"], TypeError, "one string"),
    ],
)
def test_bad_charsets(characters, error, message):
    with pytest.raises(error, match=message):
        Charset(characters)


def test_no_labels():
    assert Charset("ab").encode([]).shape == (0, 0)
    assert Charset("ab").decode(np.zeros((2, 0), np.int32)) == ["", ""]
    with pytest.raises(ValueError, match="no characters"):
        Charset.from_labels([])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_does_not_exist_is_refused(index):
    with pytest.raises(ValueError, match=f"index {index} is not a class.*another charset"):
        Charset("ab").decode([[1, index]])


def test_decoding_something_else_than_rows_of_indices():
    with pytest.raises(ValueError, match="single row"):
        Charset("ab").decode([1, 2])
    with pytest.raises(TypeError, match="argmax"):
        Charset("ab").decode(np.zeros((1, 3), np.float32))
