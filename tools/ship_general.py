"""Make what ships of a pre-training: ``python -m tools.ship_general build/pretrain/general.npz``.

Trainings begin with the weights in 16 bits each; reading takes an ONNX file that computes in 8 bits
and is written anew from them. The index of the shipped models is brought up to date. How well both
read looks and fonts that no training has seen is printed, if ``make fonts`` has fetched those.

With ``--mean-with FILE`` the mean of both weights ships, as after a short round that began with
those: it often reads better than either (Wortsman et al., *Model Soups*, 2022).

``--name chinese`` ships what `tools.pretrain_chinese` has written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.ctc import greedy_decode
from captcha_helpers.core.files import WEIGHTS, write_bytes
from captcha_helpers.core.metrics import score
from captcha_helpers.exporting.formats import CALIBRATION_IMAGES, drawn_images
from captcha_helpers.exporting.onnx_graph import build_onnx
from captcha_helpers.exporting.onnx_int8 import to_int8
from captcha_helpers.reading.model_file import read_spec
from captcha_helpers.reading.runtimes import open_model
from captcha_helpers.reading.weights import load_weights, save_weights
from tools import pretrain_chinese, pretrain_draw, weights_index
from tools.fonts import FOR_CHINESE, LATIN, Fonts
from tools.pretrain import TEST_SEED, weights_of
from tools.pretrain_draw import Images
from tools.weights_index import CHINESE, GENERAL

SEED = 2  # of the images that show how large the numbers between the layers are
TEST_IMAGES = 512


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, help="what tools.pretrain has written")
    parser.add_argument("--name", choices=(GENERAL, CHINESE), default=GENERAL)
    parser.add_argument(
        "--mean-with", type=Path, metavar="FILE", help="weights of the round before"
    )
    options = parser.parse_args()
    model, spec = load_weights(options.weights), read_spec(options.weights)
    if options.mean_with is not None:
        other = weights_of(options.mean_with, spec.charset)
        pairs = zip(model.get_weights(), other, strict=True)
        model.set_weights([(one + before) / 2 for one, before in pairs])
        facts = {**spec.training, "mean_with": options.mean_with.name}
        spec = replace(spec, training=facts)
    files = WEIGHTS / f"{options.name}.npz", WEIGHTS / f"{options.name}.onnx"
    known = read_spec(files[0]).charset if files[0].exists() else ""
    lost = len(set(known).difference(spec.charset))
    if lost:
        sys.exit(
            f"{options.weights} lacks {lost} characters of what ships; teach it those first: "
            f"python -m tools.more_characters {options.weights} more.npz"
        )
    save_weights(model, spec, files[0])
    seen = drawn_images(spec, CALIBRATION_IMAGES, seed=SEED)
    write_bytes(files[1], to_int8(build_onnx(model, spec), seen))
    weights_index.main()
    test = TESTS[options.name]
    if test.fonts.folder.exists():
        images, labels = test.draw()
        charset = Charset(test.characters)
        for file in files:
            logits = open_model(file)(images)[..., : charset.num_classes]  # more come after these
            print(f"{file.name}: {score(labels, charset.decode(greedy_decode(logits)))}")


def test_of_general() -> tuple[Images, list[str]]:
    """Images in looks and fonts that no training has seen, and their labels."""
    images, indices = pretrain_draw.draw_test(TEST_SEED, TEST_IMAGES)
    return images, pretrain_draw.CHARSET.decode(indices)


class Test(NamedTuple):
    """What a reader is tested with.

    Attributes:
        fonts: The fonts that it takes.
        draw: What draws it.
        characters: What is read, in the order of the rows of the last layer.
    """

    fonts: Fonts
    draw: Callable[[], tuple[Images, list[str]]]
    characters: str


TESTS = {
    GENERAL: Test(LATIN, test_of_general, pretrain_draw.CHARSET.characters),
    CHINESE: Test(
        FOR_CHINESE,
        partial(pretrain_chinese.draw_test, TEST_IMAGES),
        pretrain_chinese.CHARSET.characters,
    ),
}


if __name__ == "__main__":
    main()
