"""Model files of a kilobyte, made without TensorFlow, and what strangers may do to them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from captcha_helpers import ModelSpec

STEPS = 9
SPEC = ModelSpec("ab", (1, 4), 16, 32)


def graph(spec: ModelSpec = SPEC, steps: int = STEPS) -> onnx.GraphProto:
    """Read "ab" in whatever there is, the surer the lighter it is."""
    classes = len(spec.charset) + 1
    logits = np.zeros((1, steps, classes), np.float32)
    logits[0, :, 0] = 0.02
    for step, number in enumerate(range(1, classes)):
        logits[0, 2 * step, [0, number]] = 0, 0.04
    constants = [
        numpy_helper.from_array(logits, "row"),
        numpy_helper.from_array(np.array([1, 2, 3]), "axes"),
        numpy_helper.from_array(np.array([-1, 1, 1]), "shape"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["grey"]),
        helper.make_node("Mul", ["grey", "row"], ["logits"]),
    ]
    entry = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "h", "w", 4])
    end = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", steps, classes])
    return helper.make_graph(nodes, "tiny", [entry], [end], constants)


def onnx_bytes(spec: str | None = None, body: onnx.GraphProto | None = None) -> bytes:
    """Write an ONNX file with this specification, JSON, and this graph."""
    imports = [helper.make_opsetid("", 18)]
    model = helper.make_model(body or graph(), opset_imports=imports, ir_version=8)
    helper.set_model_props(model, {"captcha_helpers.json": spec or SPEC.to_json()})
    data: bytes = model.SerializeToString()
    return data


def spec_with(**values: Any) -> str:
    """Write the specification with other values; None leaves one out."""
    whole = json.loads(SPEC.to_json()) | values
    return json.dumps({name: value for name, value in whole.items() if value is not None})
