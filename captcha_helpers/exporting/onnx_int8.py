"""Let an ONNX file compute with whole numbers of 8 bits: a third of the size, and twice as quick.

A processor multiplies four times as many numbers of 8 bits at a time as of 32. Kernels become
whole numbers with a scale for each filter, and what a layer hands to the next one becomes whole
numbers too, on a scale that images show: this is *static quantisation* (Jacob et al., *Quantization
and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, 2018), which
onnxruntime's own tool does here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs

try:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError(needs(f"Writing ONNX needs {error.name}", "export")) from error

LARGE = 1 << 16  # numbers of a dense layer's kernel above which it is worth it
BATCH = 32  # images that are looked at together


def to_int8(onnx_file: bytes, images: NDArray[np.uint8]) -> bytes:
    """Let convolutions and large dense layers compute in 8 bits.

    The preparation of the image, the first convolution, which sees the pixels, the last dense
    layer, which names the characters, and others of up to `LARGE` numbers stay as exact as they
    are: little time goes there, and the readings suffer most. A file in which nothing else is left
    stays as it is. Kernels keep one bit less than they might
    (-64 to 64), or sums overflow on processors without instructions for 8 bits.

    Args:
        onnx_file: The bytes of a file that :func:`onnx_graph.build_onnx` made.
        images: ``(B, height, width, C)`` uint8, as the model sees them; they show how large the
            numbers between the layers are. A hundred of different looks will do.

    Returns:
        The bytes of the new file, with the same inputs, outputs and metadata.
    """
    model = onnx.load_from_string(onnx_file)
    heavy = _heavy_nodes(model.graph)
    if not heavy:  # an empty list would stand for all nodes
        return onnx_file
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "int8.onnx")
        quantize_static(
            model,
            path,
            _Images(images),
            nodes_to_quantize=heavy,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return path.read_bytes()


def _heavy_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes in which the time goes."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    dense = [node for node in graph.node if node.op_type == "MatMul"]
    large = [node.name for node in dense[:-1] if sizes.get(node.input[1], 0) > LARGE]
    return convolutions[1:] + large


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Gives batches of RGBA images, one after the other, as onnxruntime's tool asks for them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        rgba = np.full((*images.shape[:3], 4), 255, np.uint8)
        rgba[..., :3] = images  # grey is the same three times
        self._batches = iter([rgba[at : at + BATCH] for at in range(0, len(rgba), BATCH)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush the advice to simplify the graph first: it has been simplified already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
