"""Build the ONNX file that takes the pixels people have and gives what the model says of them.

Whoever reads with a model in another language has to prepare images as the training did; a grey
value off by three, or a resize without antialiasing, and the strings come out wrong. So all of it
is in the graph: flatten transparency onto white, make grey (if the model sees grey), resize, run
the model, softmax, argmax.
The preparation gives the same pixels as :func:`data.images.prepare`, bit for bit: it
follows Pillow's fixed-point arithmetic in float64, where those numbers are exact.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs
from captcha_helpers.data.processing import BLUE, GREEN, RED
from captcha_helpers.reading.model_file import MEMBER, ModelSpec

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError(needs(f"Writing ONNX needs {error.name}", "export")) from error

if TYPE_CHECKING:
    import keras

OPSET = 18  # the latest that tf2onnx writes
IR_VERSION = 8  # goes with opset 18, so that older runtimes take the file
PRECISION = float(1 << 22)  # Pillow keeps the weights of a resize in 1/2**22


class _Graph:
    """Nodes in order, and the constants they use."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Append a node with one output; arrays among its inputs become constants."""
        output = f"prepare/{operator.lower()}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output

    def _constant(self, value: np.ndarray) -> str:
        # With the shape: OpenVINO refuses two of one name, and 0 is not [0].
        parts = [value.dtype, *value.shape, "of", *value.ravel().tolist()]
        name = "prepare/constant_" + "_".join(map(str, parts))
        self.constants[name] = numpy_helper.from_array(value, name)
        return name


def build_onnx(model: keras.Model, spec: ModelSpec) -> bytes:
    """Turn a Keras model into an ONNX file that takes raw pixels.

    Input ``image``: ``(N, h, w, 4)`` uint8 RGBA, 0–255; N images of one size, whatever size it is.
    Grey or RGB images get an alpha of 255. Outputs, with T frames (or positions) and V classes:
    ``logits`` and ``probabilities``, both ``(N, T, V)`` float32, and ``best``, the likeliest class
    of each frame, ``(N, T)`` int32. The specification is in the file's metadata.

    What ``spec.processing`` asks for is not in the graph: whoever feeds the graph does it first, as
    the metadata says (its entry ``preprocessing``); `captcha_helpers.load` does.

    Args:
        model: The Keras model.
        spec: What it expects and what its logits mean.

    Returns:
        The bytes of the file.
    """
    core = _convert(model)
    entry, logits = core.graph.input[0], core.graph.output[0]
    graph = _Graph()
    pixels = graph.add("Cast", _add_preparation(graph, spec), to=TensorProto.FLOAT)
    head = helper.make_node("Identity", [pixels], [entry.name])
    tail = [
        helper.make_node("Identity", [logits.name], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["logits"], ["best_64"], axis=-1, keepdims=0),
        helper.make_node("Cast", ["best_64"], ["best"], to=TensorProto.INT32),
    ]
    steps, classes = model.output_shape[1:]
    shapes = {"logits": (TensorProto.FLOAT, [steps, classes])}
    shapes |= {"probabilities": shapes["logits"], "best": (TensorProto.INT32, [steps])}
    whole = helper.make_model(
        helper.make_graph(
            [*graph.nodes, head, *core.graph.node, *tail],
            "captcha_helpers",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "h", "w", 4])],
            [
                helper.make_tensor_value_info(name, kind, ["N", *shape])
                for name, (kind, shape) in shapes.items()
            ],
            [*graph.constants.values(), *core.graph.initializer],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="captcha_helpers",
    )
    helper.set_model_props(whole, {MEMBER: spec.to_json()})
    onnx.checker.check_model(whole, full_check=True)
    written: bytes = whole.SerializeToString()
    return written


def with_spec(onnx_file: bytes, spec: ModelSpec) -> bytes:
    """Give an ONNX file another specification.

    Args:
        onnx_file: The bytes of a file that `build_onnx` made.
        spec: The specification.

    Returns:
        The bytes of the new file.
    """
    model = onnx.load_from_string(onnx_file)
    helper.set_model_props(model, {MEMBER: spec.to_json()})
    written: bytes = model.SerializeToString()
    return written


def _convert(model: keras.Model) -> onnx.ModelProto:
    """Let Keras and tf2onnx convert the model itself, for any number of images at a time."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "core.onnx")
        signature = [keras.InputSpec(shape=model.input_shape, dtype="float32")]
        model.export(
            os.fspath(path),
            format="onnx",
            verbose=False,
            opset_version=OPSET,
            input_signature=signature,
        )
        return onnx.load(path)


def _add_preparation(graph: _Graph, spec: ModelSpec) -> str:
    """From ``image`` ``(N, h, w, 4)`` uint8 to ``(N, height, width, C)`` float64, 0–255.

    No Transpose stands right in front of a MatMul: onnxruntime before 1.26 makes one node of the
    two, for which it has nothing that reckons in float64. And the channels come first, because
    runtimes are slow at reckoning with the three or four numbers of a pixel.
    """
    planes = _add_flattening(graph)
    if spec.channels == 1:
        planes = _add_grey(graph, planes)
    planes = graph.add("Cast", planes, to=TensorProto.DOUBLE)  # (N, C, h, w)
    shape = graph.add("Shape", "image")
    # Pillow goes over the rows first and rounds what it has before it goes over the columns.
    width = graph.add("Gather", shape, np.array(2, np.int64))
    across = _add_weights(graph, width, spec.width, source_axis=0)  # (w, width)
    planes = _add_rounding(graph, graph.add("MatMul", planes, across))  # (N, C, h, width)
    height = graph.add("Gather", shape, np.array(1, np.int64))
    down = _add_weights(graph, height, spec.height, source_axis=1)  # (height, h)
    planes = _add_rounding(graph, graph.add("MatMul", down, planes))  # (N, C, height, width)
    return graph.add("Transpose", planes, perm=[0, 2, 3, 1])


def _add_flattening(graph: _Graph) -> str:
    """Flatten ``image`` onto white, ``(N, 3, h, w)`` float32.

    All numbers stay below 2**24, here and in `_add_grey`, so float32 holds them exactly.
    """
    planes = graph.add("Transpose", "image", perm=[0, 3, 1, 2])
    planes = graph.add("Cast", planes, to=TensorProto.FLOAT)
    colour = graph.add("Slice", planes, np.array([0]), np.array([3]), np.array([1]))
    alpha = graph.add("Slice", planes, np.array([3]), np.array([4]), np.array([1]))
    paper = graph.add("Mul", graph.add("Sub", _floats(255), alpha), _floats(255))
    mixed = graph.add("Add", graph.add("Mul", colour, alpha), paper)
    mixed = graph.add("Div", mixed, _floats(255))
    return graph.add("Floor", graph.add("Add", mixed, _floats(0.5)))


def _add_grey(graph: _Graph, planes: str) -> str:
    """From the planes of red, green and blue ``(N, 3, h, w)`` to one of grey, ``(N, 1, h, w)``."""
    weights = _floats(RED, GREEN, BLUE).reshape(3, 1, 1)
    grey = graph.add("ReduceSum", graph.add("Mul", planes, weights), np.array([1]), keepdims=1)
    grey = graph.add("Add", grey, _floats(32768))
    return graph.add("Floor", graph.add("Div", grey, _floats(65536)))


def _add_weights(graph: _Graph, size: str, wanted: int, *, source_axis: int) -> str:
    """Weights of Pillow's BILINEAR filter from `size` to `wanted` pixels, in 1/2**22.

    Returns:
        Name of ``(size, wanted)`` float64 whole numbers, or ``(wanted, size)`` if `source_axis`,
        the axis of the pixels that there are, is 1.
    """
    double = TensorProto.DOUBLE
    source = graph.add("Cast", size, to=double)
    scale = graph.add("Div", source, _doubles(wanted))  # pixels of the source for each result
    places = graph.add(
        "Cast", graph.add("Range", np.array(0, np.int64), size, np.array(1, np.int64)), to=double
    )
    places = graph.add("Add", places, _doubles(0.5))  # (size,) middles of the pixels
    places = graph.add("Unsqueeze", places, np.array([1 - source_axis]))
    middles = np.expand_dims(np.arange(wanted) + 0.5, source_axis)
    centres = graph.add("Mul", middles, scale)
    reach = graph.add("Max", scale, _doubles(1))
    far = graph.add("Div", graph.add("Abs", graph.add("Sub", places, centres)), reach)
    weights = graph.add("Relu", graph.add("Sub", _doubles(1), far))  # triangles
    total = graph.add("ReduceSum", weights, np.array([source_axis]), keepdims=1)
    weights = graph.add("Mul", graph.add("Div", weights, total), _doubles(PRECISION))
    return graph.add("Floor", graph.add("Add", weights, _doubles(0.5)))


def _add_rounding(graph: _Graph, sums: str) -> str:
    """From sums in 1/2**22 to whole values, 0–255."""
    grey = graph.add("Div", graph.add("Add", sums, _doubles(PRECISION / 2)), _doubles(PRECISION))
    grey = graph.add("Floor", grey)
    return graph.add("Clip", grey, np.array(0.0), np.array(255.0))


def _floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def _doubles(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)
