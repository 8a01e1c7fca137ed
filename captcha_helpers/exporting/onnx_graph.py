"""Build the ONNX file that takes the pixels people have and gives what the model says of them.

Whoever reads with a model in another language has to prepare images as the training did; a grey
value off by three, or a resize without antialiasing, and the strings come out wrong. So all of it
is in the graph: flatten transparency onto white, make grey (if the model sees grey), cut away empty
edges (if that is asked for), resize, run the model, softmax, argmax.
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
from captcha_helpers.data.processing import (
    BLUE,
    GREEN,
    INK_SHARE,
    LEAST_CONTRAST,
    LEAST_MARGIN,
    LEAST_SIDE,
    MARGIN,
    RED,
    Processing,
)
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

Place = str | NDArray[np.float64]  # the name of a number, or a constant
Span = tuple[Place, Place]  # where a part begins and ends


class _Graph:
    """Nodes in order, and the constants they use."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(
        self, operator: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes: Any
    ) -> str:
        """Append a node; arrays among its inputs become constants. Returns its first output."""
        output = f"prepare/{operator.lower()}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        made = [output, *(f"{output}_{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, names, made, output, **attributes))
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

    Of what ``spec.processing`` asks for, the graph cuts away empty edges (`part_in_graph`). Then it
    has a fourth output, ``box``: left, top, right and bottom of the part that the model sees, in
    pixels, ``(N, 4)`` int32; images of the model's size are left whole. What else is asked for
    (inversion, thicker strokes, CLAHE), whoever feeds the graph does first, as the metadata says
    (its entry ``preprocessing``, which lists what the graph does as well); `captcha_helpers.load`
    does.

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
    if part_in_graph(spec.processing).auto_crop:
        shapes["box"] = TensorProto.INT32, [4]
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


def part_in_graph(processing: Processing) -> Processing:
    """Say what of a processing the graph does by itself: cropping, unless something comes after it.

    Args:
        processing: What is asked for.

    Example:
        >>> part_in_graph(Processing(invert="always", auto_crop=True))
        Processing(invert='no', strong=False, auto_crop=True, clahe=False, frame='first')
    """
    return Processing(auto_crop=processing.auto_crop and not processing.clahe)


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
    shape = graph.add("Shape", "image")
    height, width = (graph.add("Gather", shape, np.array(axis, np.int64)) for axis in (1, 2))
    rows, columns = _add_whole(graph, height), _add_whole(graph, width)
    if spec.channels == 1:
        planes = _add_grey(graph, planes)
    if part_in_graph(spec.processing).auto_crop:
        rows, columns = _add_box(graph, planes, rows, columns, spec)
    planes = graph.add("Cast", planes, to=TensorProto.DOUBLE)  # (N, C, h, w)
    # Pillow goes over the rows first and rounds what it has before it goes over the columns.
    across = _add_weights(graph, width, columns, spec.width, source_axis=0)  # (w, width)
    planes = _add_rounding(graph, graph.add("MatMul", planes, across))  # (N, C, h, width)
    down = _add_weights(graph, height, rows, spec.height, source_axis=1)  # (height, h)
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


def _add_whole(graph: _Graph, size: str) -> Span:
    """From the first to the last pixel of so many, as float64."""
    return _doubles(0), graph.add("Cast", size, to=TensorProto.DOUBLE)


def _add_box(
    graph: _Graph, planes: str, rows: Span, columns: Span, spec: ModelSpec
) -> tuple[Span, Span]:
    """Find the part that has ink, as `data.processing.ink_box` does, and give it as ``box``.

    Args:
        graph: The graph.
        planes: ``(N, C, h, w)`` float32.
        rows: All rows.
        columns: All columns.
        spec: Images of the model's size are not cropped.

    Returns:
        The rows and the columns that are left: where they begin and end, ``(N, 1, 1, 1)`` float64.
    """
    ground = _add_median_of_edges(graph, planes)  # (N, C, 1, 1)
    differs = graph.add("Abs", graph.add("Sub", planes, ground))
    differs = graph.add("ReduceMax", differs, np.array([1]))  # (N, 1, h, w)
    most = graph.add("ReduceMax", differs, np.array([2, 3]))
    enough = graph.add("Mul", most, _floats(INK_SHARE))
    enough = graph.add("Max", enough, _floats(LEAST_CONTRAST))
    ink = graph.add("GreaterOrEqual", differs, enough)
    size = graph.add("Slice", graph.add("Shape", planes), np.array([2]), np.array([4]))
    other = graph.add("Abs", graph.add("Sub", size, np.array([spec.height, spec.width])))
    fits = graph.add("Equal", graph.add("ReduceSum", other, np.array([0])), np.array(0))
    whole = graph.add("Or", graph.add("Less", most, _floats(LEAST_CONTRAST)), fits)
    ink = graph.add("Cast", graph.add("Or", ink, whole), to=TensorProto.FLOAT)  # (N, 1, h, w)
    first_row, last_row = _add_ends(graph, ink, axis=2)
    count = graph.add("Add", graph.add("Sub", last_row, first_row), _doubles(1))
    margin = graph.add("Round", graph.add("Mul", count, _doubles(MARGIN)))  # half to even
    margin = graph.add("Max", margin, _doubles(LEAST_MARGIN))
    rows = _add_span(graph, (first_row, last_row), margin, rows)
    columns = _add_span(graph, _add_ends(graph, ink, axis=3), margin, columns)
    box = graph.add("Concat", columns[0], rows[0], columns[1], rows[1], axis=1)
    box = graph.add("Cast", graph.add("Squeeze", box, np.array([2, 3])), to=TensorProto.INT32)
    graph.nodes.append(helper.make_node("Identity", [box], ["box"]))
    return rows, columns


def _add_ends(graph: _Graph, ink: str, *, axis: int) -> Span:
    """The first and the last row (axis 2) or column (axis 3) that has ink."""
    line = graph.add("ReduceMax", ink, np.array([5 - axis]))
    first = graph.add("ArgMax", line, axis=axis)
    last = graph.add("ArgMax", line, axis=axis, select_last_index=1)
    double = TensorProto.DOUBLE
    return graph.add("Cast", first, to=double), graph.add("Cast", last, to=double)


def _add_median_of_edges(graph: _Graph, planes: str) -> str:
    """The median of each plane's outermost pixels, of which there is an even number.

    From ``(N, C, h, w)`` to ``(N, C, 1, 1)``.
    """
    far = np.array([np.iinfo(np.int64).max])
    top = graph.add("Slice", planes, np.array([0]), np.array([1]), np.array([2]))
    bottom = graph.add("Slice", planes, np.array([-1]), far, np.array([2]))
    between = graph.add("Slice", planes, np.array([1]), np.array([-1]), np.array([2]))
    left = graph.add("Slice", between, np.array([0]), np.array([1]), np.array([3]))
    right = graph.add("Slice", between, np.array([-1]), far, np.array([3]))
    in_a_row = np.array([0, 0, -1])
    parts = [graph.add("Reshape", part, in_a_row) for part in (top, bottom, left, right)]
    edges = graph.add("Concat", *parts, axis=2)  # (N, C, 2 * (h + w) - 4)
    count = graph.add("Slice", graph.add("Shape", edges), np.array([2]), np.array([3]))
    upper = graph.add("Add", graph.add("Div", count, np.array([2])), np.array([1]))
    largest = graph.add("TopK", edges, upper, outputs=2, axis=2)  # in descending order
    middle = graph.add("Slice", largest, np.array([-2]), far, np.array([2]))
    return graph.add("Unsqueeze", graph.add("ReduceMean", middle, np.array([2])), np.array([3]))


def _add_span(graph: _Graph, ends: Span, margin: str, whole: Span) -> Span:
    """From the first to the last place with a margin, as `data.processing` has it."""
    (first, last), (_, size) = ends, whole
    latest = graph.add("Sub", size, _doubles(LEAST_SIDE))
    start = graph.add("Max", graph.add("Min", graph.add("Sub", first, margin), latest), _doubles(0))
    stop = graph.add("Add", graph.add("Add", last, margin), _doubles(1))
    stop = graph.add("Max", stop, graph.add("Add", start, _doubles(LEAST_SIDE)))
    return start, graph.add("Min", stop, size)


def _add_weights(graph: _Graph, size: str, span: Span, wanted: int, *, source_axis: int) -> str:
    """Weights of Pillow's BILINEAR filter from some pixels to `wanted` ones, in 1/2**22.

    Args:
        graph: The graph.
        size: Name of the number of all pixels.
        span: Those that are seen; the others have the weight 0.
        wanted: Pixels of the result.
        source_axis: The axis of the pixels that there are, 0 or 1.

    Returns:
        Name of ``(size, wanted)`` float64 whole numbers, or ``(wanted, size)`` if `source_axis` is
        1; or of such for each image, ``(N, 1, ...)``, if each has a span of its own.
    """
    double = TensorProto.DOUBLE
    start, stop = span
    source = graph.add("Sub", stop, start)
    scale = graph.add("Div", source, _doubles(wanted))  # pixels of the source for each result
    places = graph.add(
        "Cast", graph.add("Range", np.array(0, np.int64), size, np.array(1, np.int64)), to=double
    )
    places = graph.add("Add", places, _doubles(0.5))  # (size,) middles of the pixels
    places = graph.add("Unsqueeze", places, np.array([1 - source_axis]))
    places = graph.add("Sub", places, start)
    middles = np.expand_dims(np.arange(wanted) + 0.5, source_axis)
    centres = graph.add("Mul", middles, scale)
    reach = graph.add("Max", scale, _doubles(1))
    far = graph.add("Div", graph.add("Abs", graph.add("Sub", places, centres)), reach)
    weights = graph.add("Relu", graph.add("Sub", _doubles(1), far))  # triangles
    inside = graph.add(
        "And", graph.add("Greater", places, _doubles(0)), graph.add("Less", places, source)
    )
    weights = graph.add("Mul", weights, graph.add("Cast", inside, to=double))
    total = graph.add("ReduceSum", weights, np.array([source_axis - 2]), keepdims=1)
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
