"""How well readers read after so many CPU-seconds, on the same labelled images, in one run.

    python benchmarks/readers.py FOLDER [FOLDER ...] --labels 200 --json benchmarks/readers.json

``drawn`` instead of a folder stands for images of the `gradient` style, so that anyone can repeat
it. Each folder is split by label string: `--labels` images to learn from, up to 1,000 others to
test. Beside our recipe stand the model of the official Keras example on CAPTCHA OCR and four
architectures that public tutorials use, each with Adam and no augmentation, as they come; and
``ddddocr``, a general reader that learns nothing from the folder but its characters (if it is
installed: the extra ``benchmark``).

The same with more labels and more time, until the tutorials' models read 90 %:

    python benchmarks/readers.py drawn --labels 1000 3000 10000 --seconds 60 120 240 360 \
        --enough 0.9 --only head_per_position dense_1024 reshaped_steps keras_example \
        --json benchmarks/more_labels.json

Seconds are CPU-seconds of this process (two busy cores count twice): another machine shifts all
curves alike. Reading the test images is not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import groupby, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import captcha_helpers as ch  # sets TensorFlow's environment before Keras is imported

import keras  # isort: skip
from keras import layers  # isort: skip

MARKS = (30, 60, 120)  # CPU-seconds at which the test images are read
MOST_TEST = 1000


class Peer(NamedTuple):
    """An architecture that is trained as its tutorial does."""

    build: Callable[[ch.Charset, int], keras.Model]
    head: str
    height: int
    width: int
    batch_size: int


def _columns(x: keras.KerasTensor) -> keras.KerasTensor:
    _, height, width, channels = x.shape
    return layers.Reshape((width, height * channels))(layers.Permute((2, 1, 3))(x))


def _blocks(
    height: int, width: int, filters: tuple[int, ...], **conv: object
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    image = keras.Input((height, width, 1))
    x = layers.Rescaling(1 / 255)(image)
    for count in filters:
        x = layers.Conv2D(count, 3, activation="relu", **conv)(x)
        x = layers.MaxPooling2D(2)(x)
    return image, x


def keras_example(charset: ch.Charset, length: int) -> keras.Model:
    """Build the official example: two conv blocks, Dense64, BiLSTM128, BiLSTM64, CTC."""
    image, x = _blocks(50, 200, (32, 64), padding="same", kernel_initializer="he_normal")
    x = layers.Dropout(0.2)(layers.Dense(64, activation="relu")(_columns(x)))
    for units in (128, 64):
        x = layers.Bidirectional(layers.LSTM(units, return_sequences=True, dropout=0.25))(x)
    return keras.Model(image, layers.Dense(charset.num_classes)(x))


def crnn_286k(charset: ch.Charset, length: int) -> keras.Model:
    """Build the CRNN with 286k parameters."""
    return ch.crnn_ctc(charset, length=length)


def reshaped_steps(charset: ch.Charset, length: int) -> keras.Model:
    """Build Conv32-Conv64, reshaped to one step a character, Dense256-Dense64."""
    image, x = _blocks(48, 144, (32, 64), padding="same")
    x = layers.Flatten()(x)
    if x.shape[1] % length:
        x = layers.ZeroPadding1D((0, 1))(layers.Reshape((-1, 1))(x))
        x = layers.Flatten()(x[:, : x.shape[1] // length * length])
    x = layers.Reshape((length, -1))(x)
    x = layers.Dense(64, activation="relu")(layers.Dense(256, activation="relu")(x))
    return keras.Model(image, layers.Dense(charset.num_classes)(x))


def dense_1024(charset: ch.Charset, length: int) -> keras.Model:
    """Build Conv32-Conv64-Conv64 'valid', Dense1024, all positions in one layer."""
    image, x = _blocks(60, 160, (32, 64, 64), padding="valid")
    x = layers.Dense(1024, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(length * charset.num_classes)(layers.Dropout(0.25)(x))
    return keras.Model(image, layers.Reshape((length, charset.num_classes))(x))


def head_per_position(charset: ch.Charset, length: int) -> keras.Model:
    """Build three blocks of 16, 32, 64 filters, then Dense128 and one head per position."""
    image, x = _blocks(48, 144, (16, 32, 64), padding="same")
    x = layers.Dropout(0.3)(layers.Dense(128, activation="relu")(layers.Flatten()(x)))
    heads = [layers.Dense(charset.num_classes)(x) for _ in range(length)]
    return keras.Model(
        image, layers.Concatenate(axis=1)([layers.Reshape((1, -1))(head) for head in heads])
    )


PEERS = {
    "keras_example": Peer(keras_example, "ctc", 50, 200, 16),
    "crnn_286k": Peer(crnn_286k, "ctc", 80, 280, 32),
    "reshaped_steps": Peer(reshaped_steps, "per_position", 48, 144, 32),
    "dense_1024": Peer(dense_1024, "per_position", 60, 160, 32),
    "head_per_position": Peer(head_per_position, "per_position", 48, 144, 32),
}


class Task(NamedTuple):
    """One folder, split."""

    name: str
    train: Path
    test: Path


def split(folder: str, labels: int, work: Path) -> Task:
    """Copy a folder's images into a part to learn from and a part for the test."""
    source, work = Path(folder), work / str(labels)
    if folder == "drawn":
        ch.write_samples(work / "drawn", labels + MOST_TEST, seed=8, styles=["gradient"])
        source = work / "drawn" / "gradient"
    pairs = ch.read_labels(source)
    order = np.random.default_rng(0).permutation(sorted({label for _, label in pairs}))
    rank = {label: place for place, label in enumerate(order)}
    pairs.sort(key=lambda pair: rank[pair[1]])
    known = {label for _, label in pairs[:labels]}
    parts = {
        "train": pairs[:labels],
        "test": [pair for pair in pairs[labels:] if pair[1] not in known][:MOST_TEST],
    }
    for part, chosen in parts.items():
        target = work / source.name / part
        target.mkdir(parents=True)
        rows = ["file,label"]
        for number, (path, label) in enumerate(chosen):
            name = f"{number}{path.suffix}"
            shutil.copy(path, target / name)
            rows.append(f"{name},{label}")
        (target / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Task(source.name, work / source.name / "train", work / source.name / "test")


def our_curve(task: Task, marks: tuple[int, ...], pretrained: bool) -> list[dict[str, object]]:
    """Run the recipe once for each budget, because it plans for its end."""
    points = []
    for mark in marks:
        before = time.process_time()
        reader = ch.train(
            task.train, minutes=mark / 120, pretrained=pretrained, progress=False
        )  # two cores: 120 CPU-seconds a minute
        used = time.process_time() - before
        points.append(ch.evaluate(reader, task.test, progress=False).to_dict() | {"cpu": used})
    return points


def peer_curve(
    task: Task, peer: Peer, marks: tuple[int, ...], enough: float
) -> list[dict[str, object]]:
    """Train a peer and read the test images at each mark, until it reads enough of them."""
    size = {"height": peer.height, "width": peer.width, "progress": False}
    data, test = ch.load_folder(task.train, **size), ch.load_folder(task.test, **size)
    charset = ch.Charset.from_labels(data.labels + test.labels)
    length = max(map(len, data.labels + test.labels))
    keras.utils.set_random_seed(0)
    model = peer.build(charset, length)
    ch.compile_model(model, head=peer.head, steps=None)
    model.compile(optimizer="adam", loss=model.loss, jit_compile=False)
    batches = ch.ArrayBatches(
        data.images, charset.encode(data.labels, length=length), peer.batch_size
    )
    points, used = [], 0.0
    for mark in marks:
        while used < mark:
            before = time.process_time()
            for images, labels in batches:
                model.train_on_batch(images, labels)
                if used + time.process_time() - before >= mark:
                    break
            batches.on_epoch_end()
            used += time.process_time() - before
        texts = ch.predict_labels(model, test.images, charset, head=peer.head)
        points.append(ch.score(test.labels, texts).as_dict() | {"cpu": used})
        if points[-1]["exact_match"] >= enough:
            break
    return points


def ddddocr_reads(task: Task) -> list[dict[str, object]]:
    """Read the test images with ddddocr, its output limited to the folder's characters.

    It likes small letters; what the folder has in the other case only is put into that case.
    """
    import ddddocr

    Image.ANTIALIAS = Image.LANCZOS  # its name until Pillow 10
    pairs = ch.read_labels(task.train) + ch.read_labels(task.test)
    known = ch.Charset.from_labels([label for _, label in pairs]).characters
    reader = ddddocr.DdddOcr(show_ad=False, beta=True)  # the larger and better of its two models
    reader.set_ranges(known + known.swapcase())
    labels, texts = [], []
    for path, label in ch.read_labels(task.test):
        result = reader.classification(Image.fromarray(ch.load_image(path)), probability=True)
        frames = np.argmax(result["probability"], axis=-1)  # (T,)
        read = "".join(result["charsets"][frame] for frame, _ in groupby(frames))
        texts.append("".join(char if char in known else char.swapcase() for char in read))
        labels.append(label)
    return [ch.score(labels, texts).as_dict() | {"cpu": 0.0}]


def plot(rows: list[dict[str, object]], path: Path) -> None:
    """Draw exact match against CPU-seconds, a panel for each set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 13})
    sets = list(dict.fromkeys(row["set"] for row in rows))
    figure, panels = plt.subplots(
        1, len(sets), figsize=(5 * len(sets) + 3, 4.5), sharey=True, squeeze=False
    )
    for panel, name in zip(panels[0], sets, strict=True):
        for reader in dict.fromkeys(row["reader"] for row in rows):
            points = [row for row in rows if (row["set"], row["reader"]) == (name, reader)]
            line = "o-" if reader.startswith("ours") else "s--"
            width = 3 if reader == "ours" else 1.5
            if len(points) == 1:
                panel.axhline(points[0]["exact_match"], color="gray", linestyle=":", label=reader)
                continue
            seconds, shares = zip(*[(p["cpu"], p["exact_match"]) for p in points], strict=True)
            panel.plot(seconds, shares, line, label=reader.replace("_", " "), linewidth=width)
        first = next(row for row in rows if row["set"] == name)
        panel.set(xlabel="CPU-seconds of training", ylim=(-0.02, 1.02))
        panel.set_title(f"{name}: {first['labels']} labels, n = {first['n']}")
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("exact match, test")
    panels[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="or: drawn")
    parser.add_argument("--labels", type=int, nargs="+", default=[200])
    parser.add_argument(
        "--seconds", type=int, nargs="+", default=MARKS, help="CPU-seconds at which to measure"
    )
    parser.add_argument(
        "--enough", type=float, default=2.0, help="exact match at which a tutorial's model stops"
    )
    parser.add_argument("--only", nargs="*", help="readers to run; default: all")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="write the plot to this file")
    options = parser.parse_args()
    marks = tuple(sorted(options.seconds))
    ours = {"ours": True, "ours_from_scratch": False}
    general = ["ddddocr"] if find_spec("ddddocr") else []
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for folder, labels in product(options.folders, options.labels):
            task = split(folder, labels, Path(work))
            for name in options.only or [*ours, *PEERS, *general]:
                if name in ours:
                    points = our_curve(task, marks, pretrained=ours[name])
                elif name in general:
                    points = ddddocr_reads(task)
                else:
                    points = peer_curve(task, PEERS[name], marks, options.enough)
                for point in points:
                    rows.append({"set": task.name, "reader": name, "labels": labels} | point)
                    print(
                        f"{task.name:12} {name:18} {labels:6} labels {point['cpu']:6.0f} CPU-s  "
                        f"exact {point['exact_match']:.1%}  "
                        f"ignoring case {point['exact_match_ignore_case']:.1%}  n={point['n']}",
                        flush=True,
                    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
