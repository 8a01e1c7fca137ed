"""Make what ships of a pre-training: ``python -m tools.ship_general build/pretrain/general.npz``.

Trainings begin with the weights in 16 bits each; reading takes an ONNX file of 8 bits each, which
is written anew from them. The index of the shipped models is brought up to date.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from captcha_helpers.core.files import WEIGHTS, write_bytes
from captcha_helpers.exporting.onnx_graph import build_onnx
from captcha_helpers.reading.model_file import read_spec
from captcha_helpers.reading.weights import load_weights, save_weights
from tools import weights_index
from tools.weights_index import GENERAL


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, help="what tools.pretrain has written")
    options = parser.parse_args()
    model, spec = load_weights(options.weights), read_spec(options.weights)
    save_weights(model, spec, WEIGHTS / f"{GENERAL}.npz")
    write_bytes(WEIGHTS / f"{GENERAL}.onnx", build_onnx(model, spec, weights="int8"))
    weights_index.main()


if __name__ == "__main__":
    main()
