"""Masks in the decoding: against every path of small cases, and what bad masks get."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.ctc import length_probability, softmax, string_probability
from captcha_helpers.reading.decoder import Decoder
from captcha_helpers.reading.mask import Mask, fit, parse_charset, parse_length
from captcha_helpers.reading.model_file import ModelSpec

CHARSETS = ("a", "aA", "1l", "aAb", "0Oo")


def spec_of(charset: str, mask: Mask, **more) -> ModelSpec:
    return ModelSpec(charset, more.pop("length", (1, 5)), height=1, width=1, mask=mask, **more)


@st.composite
def cases(draw) -> tuple[str, np.ndarray]:
    """A charset, and logits (2, T, V) for it."""
    charset = draw(st.sampled_from(CHARSETS))
    shape = (2, draw(st.integers(1, 5)), len(charset) + 1)
    elements = st.floats(-6, 6, width=32)
    return charset, draw(arrays(np.float32, shape, elements=elements))


@st.composite
def masks(draw, charset: str) -> Mask:
    """Part of the charset, perhaps in the other case, and perhaps a length."""
    some = draw(st.none() | st.text(charset, min_size=1, max_size=3))
    ignore_case = draw(st.booleans())
    if some is not None and ignore_case:
        some = draw(st.sampled_from([some, some.swapcase()]))
    low = draw(st.integers(1, 3))
    length = draw(st.none() | st.just((low, low + draw(st.integers(0, 2)))))
    return Mask(some, length, ignore_case)


def by_hand(mask: Mask, charset: str, logits: np.ndarray) -> tuple[dict, dict]:
    """All that a mask allows: the best path (T,) of each string, and its share of what is allowed.

    Written from the definition: the model's classes that are one character for the mask have their
    probabilities added up, and then every path is gone through.
    """
    fold = str.lower if mask.ignore_case else str
    told = charset if mask.charset is None else mask.charset
    keys = list(dict.fromkeys(fold(char) for char in charset if fold(char) in map(fold, told)))
    frames = softmax(logits)
    columns = [frames[:, 0]]
    for key in keys:
        same = [i for i, char in enumerate(charset, start=1) if fold(char) == key]
        columns.append(frames[:, same].sum(axis=1))
    frames = np.stack(columns, axis=1)
    best, total = defaultdict(float), defaultdict(float)
    for path in product(range(len(columns)), repeat=len(frames)):
        string = "".join(
            keys[index - 1] for index in [index for index, _ in groupby(path) if index]
        )
        if mask.length is None or mask.length[0] <= len(string) <= mask.length[1]:
            chance = float(np.prod([frames[t, index] for t, index in enumerate(path)]))
            best[string] = max(best[string], chance)
            total[string] += chance
    allowed = sum(total.values())
    return best, {string: chance / allowed for string, chance in total.items()}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_reading_is_the_best_allowed_one_and_its_confidence_the_share_of_it(data):
    charset, logits = data.draw(cases())
    mask = data.draw(masks(charset))
    decoder = Decoder(spec_of(charset, mask, length=(1, 99)))
    fewest = mask.length[0] if mask.length else 1
    needed = fewest if len(decoder.charset) > 1 else 2 * fewest - 1
    if needed > logits.shape[1]:
        with pytest.raises(ValueError, match=f"cannot spell {fewest} characters"):
            decoder.read(logits)
        return
    for frames, reading in zip(logits, decoder.read(logits), strict=True):
        best, share = by_hand(mask, charset, frames)
        text = reading.text.lower() if mask.ignore_case else reading.text
        likeliest = max(chance for string, chance in best.items() if string)
        assert best[text] == pytest.approx(likeliest, rel=1e-4)
        assert reading.confidence == pytest.approx(share[text], rel=1e-4)
        assert [one.char for one in reading.characters] == list(reading.text)
        assert all(0 < one.confidence <= 1 for one in reading.characters)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_confidences_of_all_allowed_strings_add_up_to_one(data):
    """Here the texts are not those that are read: each allowed string has its own probability."""
    charset, logits = data.draw(cases())
    steps = logits.shape[1]
    length = (1, data.draw(st.integers(1, 3)))
    strings = [
        string
        for count in range(length[1] + 1)
        for string in product(range(1, len(charset) + 1), repeat=count)
    ]
    total = np.zeros(2)
    for string in strings:
        indices = np.zeros((2, max(steps, len(string))), int)
        indices[:, : len(string)] = string
        total += string_probability(logits, indices, length=length)
    assert total == pytest.approx(np.ones(2))
    _, share = by_hand(Mask(), charset, logits[0])
    allowed = sum(chance for string, chance in share.items() if 1 <= len(string) <= length[1])
    assert length_probability(logits, length)[0] == pytest.approx(allowed)


def test_an_unlikely_mask_still_has_a_confidence():
    """The probabilities of all allowed strings round to 0 in float64; their ratio does not."""
    logits = np.full((1, 60, 4), -40.0)
    logits[:, ::2, 1] = logits[:, 1::2, 2] = 40.0  # 1212..., surely: 60 characters
    logits[:, :, 3] = -45.0
    reading = Decoder(spec_of("abc", Mask(length=(2, 3)))).read(logits)[0]
    assert len(reading.text) in (2, 3) and 0 < reading.confidence <= 1


@given(cases(), st.sampled_from(["ctc", "per_position"]))
def test_a_mask_that_forbids_nothing_changes_nothing(case, head):
    charset, logits = case
    free = Decoder(spec_of(charset, Mask(), length=(1, 1), head=head)).read(logits)
    held = Decoder(spec_of(charset, Mask(charset), length=(1, 1), head=head)).read(logits)
    assert free == held


@settings(deadline=None)
@given(st.data())
def test_positions_hold_what_the_mask_allows(data):
    charset, logits = data.draw(cases())
    mask = data.draw(masks(charset))
    positions = logits.shape[1]
    decoder = Decoder(spec_of(charset, mask, head="per_position"))
    fewest, most = mask.length or (0, positions)
    if fewest > positions:
        with pytest.raises(ValueError, match=f"cannot hold {fewest} characters"):
            decoder.read(logits)
        return
    for reading, frames in zip(decoder.read(logits), logits, strict=True):
        assert fewest <= len(reading.text) <= most
        alphabet = fit(mask, charset)
        assert set(reading.text) <= set(alphabet.charset.characters)
        chances = softmax(frames)
        sums = np.stack([chances[:, list(group)].sum(axis=1) for group in alphabet.classes], 1)
        sums[:fewest, 0] = sums[most:, 1:] = 0
        expected = (sums.max(axis=1) / sums.sum(axis=1)).prod()
        assert reading.confidence == pytest.approx(expected, rel=1e-4)


def test_ignored_case_adds_up_both_and_is_written_in_one():
    """Neither case alone is likelier than 1, both together are."""
    logits = np.log([[[0.02, 0.35, 0.25, 0.38]]])
    known = Mask("1aA"), Mask("1a", ignore_case=True), Mask("1A", ignore_case=True)
    first, small, capital = (Decoder(spec_of("aA1", mask)).read(logits)[0] for mask in known)
    assert first.text == "1" and first.confidence == pytest.approx(0.38)
    assert small.text == "a" and small.confidence == pytest.approx(0.6)
    assert capital.text == "A" and capital.confidence == small.confidence
    assert Decoder(spec_of("AB", Mask(ignore_case=True))).charset == Charset("AB")
    assert Decoder(spec_of("AB", Mask("ab", ignore_case=True))).charset == Charset("ab")


def test_letters_without_a_single_other_case_stay():
    alphabet = fit(Mask(ignore_case=True), "İIßΣςσı")
    assert alphabet.charset.characters == "İißσı"  # a sigma is a sigma wherever it stands
    assert fit(Mask("IıΣς", ignore_case=True), "İIßΣςσı").missing == ""


def test_characters_that_the_model_lacks_are_told():
    assert fit(Mask("a7é7"), "abc").missing == "7é"
    with pytest.raises(ValueError, match=r"none of the characters '78'; it reads 'abc'"):
        fit(Mask("78"), "abc")


def test_what_it_could_not_tell_apart_is_named():
    read = Decoder(spec_of("0Oox", Mask())).read
    close = np.log([[[0.01, 0.5, 0.3, 0.1, 0.09], [0.9, 0.02, 0.02, 0.02, 0.04]]])
    reading = read(close)[0]
    assert reading.text == "0" and reading.characters[0].lookalikes == "O"
    assert reading.undecided == ("0/O",)
    clear = np.log([[[0.01, 0.8, 0.1, 0.08, 0.01]]])
    assert read(clear)[0].undecided == ()
    other = np.log([[[0.01, 0.5, 0.01, 0.01, 0.47]]])  # an x does not look like a 0
    assert read(other)[0].undecided == ()
    masked = Decoder(spec_of("0Oox", Mask("0x"))).read(close)[0]
    assert masked.text == "0" and masked.undecided == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("digits", "0123456789"),
        ("lower+upper", parse_charset("letters")),
        ("и\u0306и", "йи"),  # an accent that is typed by itself
        ("upper,01", "ABCDEFGHIJKLMNOPQRSTUVWXYZ01"),
        ("a+b,c", "a+b,c"),
        ("abba", "ab"),
        ("+", "+"),
    ],
)
def test_charsets_as_people_type_them(typed: str, meant: str):
    assert parse_charset(typed) == meant


@pytest.mark.parametrize("typed", ["", "-4", "4-", "6-4", "0", "4-6-8", "four", "٤", " 4", "1e3"])
def test_what_is_no_length_is_refused(typed: str):
    with pytest.raises(ValueError, match=r"not a length|from 1 up"):
        parse_length(typed)


@pytest.mark.parametrize("length", [(0, 3), (4, 3), (4,), 4, "4-6"])
def test_impossible_lengths_are_refused(length):
    with pytest.raises(ValueError, match=r"4, 6"):
        Mask(length=length)


def test_the_specification_keeps_the_mask():
    spec = spec_of("abc", Mask("ab", (2, 3), ignore_case=True))
    text = spec.to_json()
    assert ModelSpec.from_json(text) == spec and '"schema": 4' in text
    plain = spec_of("abc", Mask()).to_json()
    assert '"schema": 1' in plain and "mask" not in plain
    assert ModelSpec.from_json(plain).mask == Mask()
