"""Keras gets every image once an epoch, in a seeded order, and never-ending fresh ones."""

import os
import pickle
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from captcha_helpers.core.charset import DIGITS, UPPER_DIGITS, Charset  # noqa: E402
from captcha_helpers.data.images import prepare_batch  # noqa: E402
from captcha_helpers.drawing.painter import generate  # noqa: E402
from captcha_helpers.drawing.styles import STARS  # noqa: E402
from captcha_helpers.learning.batches import ArrayBatches, GeneratedBatches  # noqa: E402

IMAGES = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(48, axis=2).repeat(16, axis=1)
LABELS = np.stack([np.arange(10), np.arange(10)], axis=1).astype(np.int32)


def array_batches(**options) -> ArrayBatches:
    return ArrayBatches(IMAGES, LABELS, 4, **options)


def generated_batches(**options) -> GeneratedBatches:
    options = {"batch_size": 4, "steps": 3, "label_length": 6, "seed": 5} | options
    return GeneratedBatches("stars", Charset(DIGITS), height=16, width=48, **options)


def an_epoch(batches) -> np.ndarray:
    return np.concatenate([labels[:, 0] for _, labels in batches])


def test_an_epoch_holds_every_image_once_beside_its_own_label():
    batches = array_batches()
    assert len(batches) == 3
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert sorted(an_epoch(batches)) == list(range(10))
    for images, labels in batches:
        assert images.shape[1:] == (16, 48, 1)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels[:, 0])


def test_every_epoch_has_another_order_which_the_seed_decides():
    one, two, other = array_batches(seed=1), array_batches(seed=1), array_batches(seed=2)
    assert an_epoch(one).tolist() != an_epoch(other).tolist()
    orders = []
    for _ in range(3):
        assert an_epoch(one).tolist() == an_epoch(two).tolist()
        orders.append(an_epoch(one).tolist())
        one.on_epoch_end()
        two.on_epoch_end()
    assert orders[0] != orders[1] != orders[2]


def test_validation_keeps_its_order():
    batches = array_batches(shuffle=False)
    batches.on_epoch_end()
    assert an_epoch(batches).tolist() == list(range(10))


@pytest.mark.parametrize(
    ("images", "labels", "batch_size", "message"),
    [
        (IMAGES, LABELS[:9], 4, "10 images and 9 labels"),
        (IMAGES[:0], LABELS[:0], 4, "0 images"),
        (IMAGES, ["ab"] * 10, 4, "use Charset.encode"),
        (IMAGES, LABELS, 0, "batch_size must be at least 1"),
        (IMAGES / 255, LABELS, 4, r"W, 1 or 3\) uint8, got .*float64: prepare_batch makes"),
        (IMAGES.astype(np.int32), LABELS, 4, "int32.*the model divides by 255 itself"),
        (IMAGES[..., 0], LABELS, 4, r"got \(10, 16, 48\) uint8"),
        (IMAGES.repeat(4, axis=3), LABELS, 4, r"got \(10, 16, 48, 4\) uint8"),
    ],
)
def test_bad_arrays(images, labels, batch_size, message):
    with pytest.raises(ValueError, match=message):
        ArrayBatches(images, labels, batch_size)


def test_generated_batches_are_the_generators_own_stream():
    batches = generated_batches()
    images, labels = generate("stars", 36, seed=5)
    expected_images = prepare_batch(images, 16, 48)
    expected_labels = Charset(DIGITS).encode(labels)
    for epoch in range(3):
        for step in range(len(batches)):
            rows = slice((epoch * 3 + step) * 4, (epoch * 3 + step + 1) * 4)
            images, labels = batches[step]
            np.testing.assert_array_equal(images, expected_images[rows])
            np.testing.assert_array_equal(labels, expected_labels[rows])
        batches.on_epoch_end()


def test_a_copy_in_another_process_draws_the_same():
    batches = generated_batches()
    batches.on_epoch_end()
    copy = pickle.loads(pickle.dumps(batches))
    np.testing.assert_array_equal(copy[1][0], batches[1][0])


def test_labels_have_one_width_whatever_their_lengths():
    assert generated_batches(label_length=9)[0][1].shape == (4, 9)
    with pytest.raises(ValueError, match="'stars' are up to 6 characters long, but label_length"):
        generated_batches(label_length=5)


@pytest.mark.parametrize(
    ("style", "charset", "message"),
    [
        ("star", DIGITS, "star"),
        ("stars", DIGITS[2:], "'stars' has characters not in the charset: '0', '1'"),
    ],
)
def test_a_style_that_cannot_be_read_is_refused_before_training(style, charset, message):
    with pytest.raises(ValueError, match=message):
        GeneratedBatches(style, Charset(charset), height=16, width=48, label_length=6)


def test_a_charset_may_have_more_characters_than_the_style():
    batches = GeneratedBatches("stars", Charset(UPPER_DIGITS), height=16, width=48, label_length=6)
    assert batches.style is STARS


@pytest.mark.parametrize("option", ["batch_size", "steps", "label_length"])
def test_bad_counts(option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1"):
        generated_batches(**{option: 0})


@pytest.mark.slow
@pytest.mark.parametrize("make", [array_batches, generated_batches])
def test_fit_sees_the_same_stream_on_any_number_of_workers(make):
    def seen(**options) -> list[list[int]]:
        layers = [keras.Input((16, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        stream = []

        def record(labels, outputs):
            stream.append(np.asarray(labels).ravel().tolist())
            return keras.ops.mean(outputs)

        model.compile("sgd", loss=record, run_eagerly=True)
        model.fit(make(**options), epochs=2, shuffle=False, verbose=0)
        return stream

    one = seen(workers=1)
    assert len(one) == 6
    assert one[:3] != one[3:]
    assert seen(workers=2, max_queue_size=2) == one


def test_excluded_labels_are_never_drawn_and_the_others_stay():
    """Test strings are kept out of endless training images, and only those are redrawn."""
    style = replace(STARS, length=(2, 2))
    _, labels = generate(style, 300, seed=5)
    exclude = set(labels[:20])
    images, kept = generate(style, 300, seed=5, exclude=exclude)
    assert not exclude & set(kept)
    same = [a == b for a, b in zip(labels, kept, strict=True)]
    assert same == [label not in exclude for label in labels]
    batches = GeneratedBatches(
        style, Charset(style.charset), height=32, width=104, label_length=2, batch_size=30,
        steps=10, seed=5, exclude=exclude,
    )  # fmt: skip
    drawn = np.concatenate([batches[i][0] for i in range(10)])
    np.testing.assert_array_equal(drawn, prepare_batch(images, 32, 104))
    everything = {f"{number:02d}" for number in range(100)}
    with pytest.raises(ValueError, match="exclude fewer"):
        generate(style, 1, exclude=everything)


def test_colour_goes_through():
    colour = IMAGES.repeat(3, axis=3)
    batches = ArrayBatches(colour, LABELS, 4, shuffle=False)
    assert np.array_equal(batches[0][0], colour[:4])
    images, _ = generated_batches(channels=3)[0]
    grey, _ = generated_batches()[0]
    assert images.shape == (*grey.shape[:3], 3) and np.ptp(images, axis=3).max() > 0
