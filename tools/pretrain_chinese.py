"""Pre-train a reader of Chinese: ``python -m tools.pretrain_chinese --minutes 60``.

It begins with the general reader and learns all of its layers anew, and a row of the last layer for
each of the 3,755 characters that the national standard GB 2312 counts among the most common.
Digits and letters stay in the drawn images, so that it goes on reading those, and sums in words.

A step that trained a few thousand rows would spend most of its time on them. So it has those of the
characters in its batch, and of others by chance, `AT_A_TIME` in all (Jean et al., *On Using Very
Large Target Vocabulary for Neural Machine Translation*, 2015).

Needs the fonts of ``python -m tools.fonts --chinese``. It writes the averaged weights and how it
went, now and then and when it is stopped; ``--init`` goes on from them in a next round.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import BLANK_INDEX, DIGITS, Charset
from captcha_helpers.core.ctc import greedy_decode
from captcha_helpers.core.files import write_bytes
from captcha_helpers.core.models import keras, residual_ctc
from captcha_helpers.drawing.looks import Font, draw_looks
from captcha_helpers.drawing.random_looks import FONTS
from captcha_helpers.learning.fitting import computed_with, quickest_precision
from captcha_helpers.learning.plan import learning_rate
from captcha_helpers.learning.starts import start_file
from captcha_helpers.reading.model_file import ModelSpec, read_spec
from captcha_helpers.reading.weights import load_weights, save_weights
from tools.fonts import CHINESE, FOR_CHINESE, load_fonts
from tools.pretrain_draw import CHANNELS, HEIGHT, PROCESSING, SHORT, WIDTH, Drawings, Images, Labels
from tools.pretrain_draw import CHARSET as LATIN
from tools.pretrain_draw import LONGEST as PADDED

IN_SUMS = DIGITS + "+-=?加减乘除等于零一二三四五六七八九十"
CHARSET = Charset(LATIN.characters + CHINESE)
LONGEST = 6  # characters of a label
FEW = 300  # characters of the first images: of thousands, none would come up often enough
AT_A_TIME = 512  # rows of the last layer that a step trains, besides the blank's
TEST_SEED = 1_000_006
KEPT = 0.999  # share of the average weights that a step keeps
OUT = "chinese.npz"

Arrays = list[NDArray[np.floating]]


def draw(seed: int, start: int, count: int, length: tuple[int, int]) -> tuple[Images, Labels]:
    """Draw images number `start` and following; six of eight have Chinese characters only.

    Args:
        seed: Another seed gives other images.
        start: Number of the first image.
        count: How many, n.
        length: Fewest and most characters of a label.

    Returns:
        Images ``(n, 48, 192, 3)`` uint8, 0–255, and labels ``(n, 12)`` int32 padded with 0.
    """
    images, labels = np.empty((count, HEIGHT, WIDTH, CHANNELS), np.uint8), list[str]()
    for row in range(count):
        kind = (start + row) % 8
        chinese = CHINESE[:FEW] if length == SHORT else CHINESE
        charset = {0: LATIN.characters, 4: IN_SUMS}.get(kind, chinese)
        fonts = tuple(map(Font, FONTS)) if kind == 0 else fonts_with_role("train")
        images[row : row + 1], (label,) = draw_looks(
            1,
            height=HEIGHT,
            width=WIDTH,
            channels=CHANNELS,
            charset=charset,
            length=(length[0], min(length[1], LONGEST)),
            fonts=fonts,
            processing=PROCESSING,
            seed=seed,
            start=start + row,
        )
        labels.append(label)
    return images, CHARSET.encode(labels, length=PADDED)


def draw_test(count: int) -> tuple[Images, list[str]]:
    """Draw images of Chinese characters in looks and a font that `draw` never uses."""
    return draw_looks(
        count,
        height=HEIGHT,
        width=WIDTH,
        channels=CHANNELS,
        charset=CHINESE,
        length=(2, 5),
        fonts=fonts_with_role("held_out"),
        held_out=True,
        processing=PROCESSING,
        seed=TEST_SEED,
    )


@cache
def fonts_with_role(role: str) -> tuple[Font, ...]:
    """The Chinese fonts that were fetched to train with, or to test with."""
    return tuple(
        Font(str(font.path)) for font in load_fonts(role, FOR_CHINESE.folder, FOR_CHINESE.table)
    )


class Learner:
    """A network with all rows, and one with a few of them, which trains.

    Args:
        begin: A file of weights to begin with.
        seed: Which rows are beside those of a batch.
    """

    def __init__(self, begin: Path, seed: int) -> None:
        size = {"length": LONGEST, "height": HEIGHT, "width": WIDTH, "channels": CHANNELS}
        self.whole = residual_ctc(CHARSET, **size)
        few = Charset(CHARSET.characters[:AT_A_TIME])  # which they are changes with each step
        with computed_with(quickest_precision()):
            self.model = residual_ctc(few, **size)
        *body, kernel, bias = load_weights(begin).get_weights()
        known, (own_kernel, own_bias) = read_spec(begin).charset, self.whole.get_weights()[-2:]
        for row, char in enumerate("\0" + CHARSET.characters):
            if row == BLANK_INDEX or char in known:
                source = BLANK_INDEX if row == BLANK_INDEX else 1 + known.index(char)
                own_kernel[:, row], own_bias[row] = kernel[:, source], bias[source]
        self.model.set_weights([*body, *self.model.get_weights()[-2:]])
        optimizer = keras.optimizers.AdamW(
            1e-3, weight_decay=0.03, beta_2=0.98, global_clipnorm=1.0
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.model.compile(optimizer=optimizer, loss=keras.losses.CTC(), jit_compile=False)
        optimizer.build(self.model.trainable_variables)
        last = self.model.layers[-1]
        # Each of these has a column for each row, here of the last layer, there of all characters.
        self.places = [last.kernel, last.bias] + [
            one for one in optimizer.variables if tuple(one.shape)[-1:] == (AT_A_TIME + 1,)
        ]
        self.rows: Arrays = [own_kernel, own_bias] + [
            np.zeros((*one.shape[:-1], CHARSET.num_classes), np.float32) for one in self.places[2:]
        ]
        self.average: Arrays = [*body, own_kernel.copy(), own_bias.copy()]
        self.rng, self.steps = np.random.default_rng(seed), 0

    def step(self, images: Images, labels: Labels, rate: float) -> float:
        """Train on a batch with the rows of its characters and of others; gives the loss."""
        here = np.unique(labels[labels > 0])
        others = np.setdiff1d(np.arange(1, CHARSET.num_classes), here)
        more = self.rng.choice(others, AT_A_TIME - len(here), replace=False)
        columns = np.concatenate([[BLANK_INDEX], np.sort(np.concatenate([here, more]))])
        for place, rows in zip(self.places, self.rows, strict=True):
            place.assign(rows[..., columns])
        self.model.optimizer.learning_rate = rate
        loss = self.model.train_on_batch(images, np.searchsorted(columns, labels))
        for place, rows in zip(self.places, self.rows, strict=True):
            rows[..., columns] = keras.ops.convert_to_numpy(place)
        self.steps += 1
        kept = min(KEPT, self.steps / (9 + self.steps))
        now = [*self.model.get_weights()[:-2], *self.rows[:2]]
        for old, new in zip(self.average, now, strict=True):
            old[...] += (1 - kept) * (new - old)
        return float(loss)

    def read(self, images: Images) -> list[str]:
        """Read images with the averaged weights."""
        self.whole.set_weights(self.average)
        texts = list[str]()
        for part in np.array_split(images, -(-len(images) // 64)):
            logits = self.whole(part, training=False)
            texts += CHARSET.decode(greedy_decode(keras.ops.convert_to_numpy(logits)))
        return texts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("build/pretrain"), help="folder for weights and figures")
    add("--init", type=Path, default=start_file("general"), help="weights to begin with")
    add("--minutes", type=float, default=60.0)
    add("--seed", type=int, default=0, help="another one draws other images, in a next round say")
    add("--workers", type=int, default=1, help="processes that draw")
    add("--batch-size", type=int, default=32)
    add("--peak-rate", type=float, default=2e-3)
    add("--warmup", type=float, default=0.05, help="share of the time in which the rate rises")
    add(
        "--short",
        type=int,
        default=24_000,
        help="so many short labels, of few characters, at first",
    )
    add("--test-images", type=int, default=512)
    add("--report-every", type=float, default=300.0, help="seconds")
    options = parser.parse_args(arguments)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    options.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    chunk = 16 * options.batch_size
    kind = {"workers": options.workers, "short": options.short, "chunk": chunk, "function": draw}
    with Drawings(options.seed, **kind) as drawings:
        learn(Learner(options.init, options.seed), drawings, options, stop)


def learn(
    learner: Learner, drawings: Drawings, options: argparse.Namespace, stop: Sequence[int]
) -> None:
    """Train until the time is up, and report now and then."""
    test, truth = draw_test(options.test_images)
    history = list[dict[str, Any]]()
    begin = reported = time.monotonic()
    losses, ended = list[float](), False
    while not ended:
        chunk = drawings.take()
        if chunk is None:
            raise RuntimeError("whoever draws has nothing left")
        images, labels = chunk
        for first in range(0, len(images), options.batch_size):
            part = slice(first, first + options.batch_size)
            share = (time.monotonic() - begin) / (60 * options.minutes)
            rate = learning_rate(share, options.peak_rate, options.warmup)
            losses.append(learner.step(images[part], labels[part, :LONGEST], rate))
        now = time.monotonic()
        ended = bool(stop) or now - begin > 60 * options.minutes
        if ended or now - reported > options.report_every:
            score = metrics.score(truth, learner.read(test)).as_dict()
            line = {"seconds": round(now - begin), "seen": learner.steps * options.batch_size}
            history.append({**line, "loss": round(float(np.mean(losses)), 3), **score})
            print(json.dumps(history[-1]), flush=True)
            save(learner, options, history)
            reported, losses = time.monotonic(), []


def save(learner: Learner, options: argparse.Namespace, history: Sequence[dict[str, Any]]) -> None:
    """Write the averaged weights, and how it went."""
    asked = {name: str(value) for name, value in vars(options).items() if name != "out"}
    facts = {"options": asked | {"init": options.init.name}, **history[-1]}
    learner.whole.set_weights(learner.average)
    spec = ModelSpec(
        CHARSET.characters,
        (1, LONGEST),
        HEIGHT,
        WIDTH,
        training=facts,
        channels=CHANNELS,
        processing=PROCESSING,
    )
    save_weights(learner.whole, spec, options.out / OUT)
    lines = json.dumps(list(history), indent=1, ensure_ascii=False)
    write_bytes(options.out / "chinese.json", f"{lines}\n".encode())


if __name__ == "__main__":
    main()
