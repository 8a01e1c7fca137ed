"""Teach the general reader more characters: ``python -m tools.more_characters FROM.npz TO.npz``.

The pre-training knows letters, digits and ``+-=?``. All that names a character in its network is a
row of the last layer. So the rest stays as it is, and for each character of another alphabet, with
an accent, or another sign, a new row learns from drawn images of it. Each group learns by itself:
nothing tells a Cyrillic letter from a Latin one of the same shape.

The fonts are those that come with the package; not all have all characters. Those of `HELD_OUT`
are only tested with, in looks that are held out, too. ``python -m tools.ship_general TO.npz`` makes
what ships of the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import ALPHANUMERIC, BLANK_INDEX, DIGITS, LOWER, UPPER, Charset
from captcha_helpers.core.ctc import greedy_decode
from captcha_helpers.core.files import write_bytes
from captcha_helpers.core.models import keras, residual_ctc
from captcha_helpers.drawing.looks import draw_looks
from captcha_helpers.drawing.random_looks import fonts_for
from captcha_helpers.reading.mask import one_case
from captcha_helpers.reading.model_file import read_spec
from captcha_helpers.reading.weights import load_weights, save_weights
from tools.pretrain_draw import CHANNELS, HEIGHT, LENGTHS, LONGEST, PROCESSING, WIDTH

HELD_OUT = "font_manrope"
SEED, TEST_SEED = 5, 1_000_005
CHUNK = 64  # images that are drawn, and read, at a time
REPORT = Path("benchmarks/pretraining/more_characters.json")


class Group(NamedTuple):
    """Characters that are learned together.

    Attributes:
        new: The characters.
        known: Those among which they have to be told, which the reader knows.
        drawn: What labels are made of; one image after the other has the next.
    """

    new: str
    known: str
    drawn: tuple[str, ...]

    @property
    def characters(self) -> str:
        """All that a reading can have."""
        return self.known + self.new


def _both(small: str) -> str:
    """Small letters and the capitals that they have."""
    capitals = [char.upper() for char in small if len(char.upper()) == 1]
    return "".join(dict.fromkeys([*small, *capitals]))


def _alphabet(small: str, *usual: str) -> Group:
    """An alphabet of its own, of whose letters some are usual together."""
    new = _both(small)
    words = [case for one in (*usual, *usual, small) for case in (one, one.upper())]
    words = ["".join(dict.fromkeys(char for char in word if char in new)) for word in words]
    return Group(new, DIGITS, (*words, *(word + DIGITS for word in words[:2]), _both(usual[0])))


def _with_latin(small: str) -> Group:
    """Letters that stand among Latin ones."""
    new = _both(small)
    capitals = "".join(char for char in new if char not in small)
    return Group(new, ALPHANUMERIC, (small + LOWER, capitals + UPPER, new, small, capitals))


RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
SIGNS = "!\"#$%&'()*,./:;<>@[\\]^_`{|}~×÷€£"
GROUPS = {
    "Cyrillic": _alphabet(RUSSIAN + "ґєіїўђјљњћџѓѕќ", RUSSIAN, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
    "Greek": _alphabet("αβγδεζηθικλμνξοπρστυφχψως", "αβγδεζηθικλμνξοπρστυφχψω"),
    "accents": _with_latin(
        "àáâãäåāăąæçćčďđèéêëēėęěğģìíîïīįķĺļľłñńņňòóôõöøőœŕřśşšșťțùúûüūůűųýÿźżžþðß"
    ),
    "signs": Group(
        SIGNS, ALPHANUMERIC + "+-=?", (DIGITS + "+-×÷*/=?", ALPHANUMERIC + "!@#$%&*", SIGNS)
    ),
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, help="what tools.pretrain has written")
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=19_200, help="of each group")
    parser.add_argument("--test-images", type=int, default=1_024, help="of each group")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    options = parser.parse_args()
    keras.utils.set_random_seed(SEED)
    model, spec = load_weights(options.weights), read_spec(options.weights)
    body = keras.Model(model.input, model.layers[-1].input)
    kernel, bias = model.layers[-1].get_weights()
    rows = {"": (kernel[:, BLANK_INDEX], bias[BLANK_INDEX])}
    rows |= {char: (kernel[:, i], bias[i]) for i, char in enumerate(spec.charset, start=1)}
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for name, group in GROUPS.items():
            seen, labels = features(body, pool, name, options.images, held_out=False)
            rows |= learn_rows(group, rows, seen, labels, options.passes)
            print(f"{name}: {len(group.new)} characters learned", flush=True)
        report = {}
        for name, group in GROUPS.items():
            seen, labels = features(body, pool, name, options.test_images, held_out=True)
            report[name] = test(group, rows, seen, labels)
    charset = Charset("".join(rows))
    model = add_rows(model, charset, spec.length[1], list(rows.values()))
    how = {"images": options.images, "passes": options.passes, "seed": SEED}
    facts = {**spec.training, "more_characters": how}
    save_weights(model, replace(spec, charset=charset.characters, training=facts), options.out)
    write_bytes(REPORT, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())


def draw_chunk(name: str, held_out: bool, number: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Draw the images of a chunk, all with the same characters."""
    drawn = GROUPS[name].drawn
    charset = drawn[number % len(drawn)]
    fonts = [font for font in fonts_for(charset) if font.startswith(HELD_OUT) == held_out]
    return draw_looks(
        CHUNK,
        height=HEIGHT,
        width=WIDTH,
        channels=CHANNELS,
        charset=charset,
        length=LENGTHS,
        fonts=fonts,
        held_out=held_out,
        processing=PROCESSING,
        seed=TEST_SEED if held_out else SEED,
        start=number * CHUNK,
    )


def features(
    body: keras.Model, pool: ProcessPoolExecutor, name: str, count: int, held_out: bool
) -> tuple[NDArray[np.float16], list[str]]:
    """What the network sees in drawn images before it names characters, ``(B, T, F)``."""
    chunks: Iterator[tuple[NDArray[np.uint8], list[str]]]
    chunks = pool.map(partial(draw_chunk, name, held_out), range(count // CHUNK))
    seen, labels = [], list[str]()
    for images, texts in chunks:
        seen.append(keras.ops.convert_to_numpy(body(images)).astype(np.float16))
        labels += texts
    return np.concatenate(seen), labels


Row = tuple[NDArray[np.floating], np.floating]  # what names a character: weights, and a bias
Rows = dict[str, Row]  # "" is the blank


def learn_rows(
    group: Group, rows: Rows, seen: NDArray[np.float16], labels: Sequence[str], passes: int
) -> Rows:
    """Learn the rows of the new characters beside those that are known, which stay as they are."""
    image = keras.Input(seen.shape[1:])
    known = keras.layers.Dense(len(group.known) + 1, trainable=False)
    new = keras.layers.Dense(len(group.new), bias_initializer=keras.initializers.Constant(-3.0))
    model = keras.Model(image, keras.layers.Concatenate()([known(image), new(image)]))
    known.set_weights(last_layer([rows[char] for char in ("", *group.known)]))
    steps = passes * -(-len(seen) // 128)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile(keras.optimizers.Adam(rate), loss=keras.losses.CTC(), jit_compile=False)
    indices = Charset(group.characters).encode(labels, length=LONGEST)
    model.fit(seen, indices, batch_size=128, epochs=passes, verbose=0)
    kernel, bias = new.get_weights()
    return {char: (kernel[:, i], bias[i]) for i, char in enumerate(group.new)}


def test(
    group: Group, rows: Rows, seen: NDArray[np.float16], labels: Sequence[str]
) -> dict[str, object]:
    """Read images whose characters are told, chunk by chunk."""
    texts = list[str]()
    for number in range(len(seen) // CHUNK):
        charset = Charset(group.drawn[number % len(group.drawn)])
        kernel, bias = last_layer([rows[char] for char in ("", *charset.characters)])
        chunk = seen[number * CHUNK : (number + 1) * CHUNK].astype(np.float32)
        texts += charset.decode(greedy_decode(chunk @ kernel + bias))
    lowered = [["".join(map(one_case, text)) for text in some] for some in (labels, texts)]
    return {"characters": group.new, **metrics.score(*lowered).as_dict()}


def add_rows(model: keras.Model, charset: Charset, length: int, rows: Sequence[Row]) -> keras.Model:
    """The same network with these rows at its end."""
    height, width, channels = model.input_shape[1:]
    wider = residual_ctc(charset, length=length, height=height, width=width, channels=channels)
    for layer, before in zip(wider.layers[:-1], model.layers[:-1], strict=True):
        layer.set_weights(before.get_weights())
    wider.layers[-1].set_weights(last_layer(rows))
    return wider


def last_layer(rows: Sequence[Row]) -> list[NDArray[np.floating]]:
    """The kernel ``(F, V)`` and the bias ``(V,)`` of a layer with these rows."""
    return [np.stack([row for row, _ in rows], axis=1), np.array([bias for _, bias in rows])]


if __name__ == "__main__":
    main()
