"""What is asked of a model file before anything opens it: it may come from a stranger.

A graph can loop without an end, name other files, or claim more numbers than there is memory; a
Keras configuration can name Python code. Nothing that this project writes has any of it, so it is
refused. What can't be found out beforehand stands in ``docs/reliability.md``.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_FILE = 512 * 2**20  # bytes of a model file, or of a member of one when unpacked
MAX_TEXT = 4 * 2**20  # bytes of a specification or of a configuration

# Layers that run code from the file, or read other files.
_UNSAFE_LAYERS = {
    "Lambda",
    "__lambda__",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
}
_SAFE_MODULES = ("keras", "builtins")

# Fields of ONNX's messages, by their numbers in onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA, _MODEL_FUNCTIONS = 7, 14, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL = 13


class ModelFileError(ValueError):
    """A model file that cannot be used: damaged, of another kind, not ours, or made to do harm."""


def read_limited(path: Path, limit: int = MAX_FILE) -> bytes:
    """Read a file that is a regular one and not too large.

    Args:
        path: The file.
        limit: The most bytes.

    Returns:
        What is in it.

    Raises:
        ModelFileError: If it is something else.
    """
    if not path.is_file():
        raise ModelFileError(f"{str(path)!r} is not a regular file")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelFileError(f"{str(path)!r} has more than {limit:,} bytes")
    return data


def check_archive(path: Path) -> None:
    """See to it that an archive unpacks to what fits into memory, and says nothing twice.

    Args:
        path: A ``.keras`` or ``.npz`` file, which are zip archives.

    Raises:
        ModelFileError: If it doesn't.
        zipfile.BadZipFile: If it is no archive.
    """
    if not path.is_file():
        raise ModelFileError(f"{str(path)!r} is not a regular file")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    twice = [name for name, n in Counter(one.filename for one in members).items() if n > 1]
    if twice:
        raise ModelFileError(f"{str(path)!r} has {twice[0]!r} twice in it; which one counts?")
    if sum(one.file_size for one in members) > MAX_FILE:
        raise ModelFileError(f"{str(path)!r} unpacks to more than {MAX_FILE:,} bytes")


def read_text_member(path: Path, name: str) -> str | None:
    """Read a text in an archive.

    Args:
        path: A zip archive.
        name: The member.

    Returns:
        The text; None if there is no such member.

    Raises:
        ModelFileError: As `check_archive`, or if the text is too long.
    """
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            return None
        if archive.getinfo(name).file_size > MAX_TEXT:
            raise ModelFileError(f"{name!r} in {str(path)!r} has more than {MAX_TEXT:,} bytes")
        return archive.read(name).decode()


def check_keras_config(config: str) -> None:
    """Refuse a Keras configuration that names Python code, or layers that read other files.

    Newer versions of Keras refuse most of it themselves; the oldest that we support do not.

    Args:
        config: What a Keras model file says of the model, JSON.

    Raises:
        ModelFileError: If it does.
        ValueError: If it is no JSON.

    Example:
        >>> check_keras_config('{"module": "keras.layers", "class_name": "Dense", "config": {}}')
        >>> check_keras_config('{"module": "os", "class_name": "system", "config": {}}')
        Traceback (most recent call last):
            ...
        captcha_helpers.reading.safety.ModelFileError: its configuration names code of 'os'
    """
    parts = [json.loads(config)]
    while parts:
        part = parts.pop()
        if isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            parts += part.values()
            _check_keras_object(part)


def _check_keras_object(part: Mapping[str, Any]) -> None:
    if part.get("class_name") in _UNSAFE_LAYERS:
        raise ModelFileError(
            f"it has a {part['class_name']} layer, which can run code or read files; "
            "build the model of other layers"
        )
    module = part.get("module") if "class_name" in part else None
    if module is not None and str(module).partition(".")[0] not in _SAFE_MODULES:
        raise ModelFileError(f"its configuration names code of {module!r}")


def check_onnx(data: bytes) -> None:
    """Refuse an ONNX graph that holds others (``Loop``, ``If``, ``Scan``) or names other files.

    Args:
        data: The file.

    Raises:
        ModelFileError: If it does.
        ValueError: If it is no protobuf message.
    """
    for field, value in fields_of(memoryview(data)):
        if field == _MODEL_FUNCTIONS:
            raise ModelFileError("it defines functions of its own, which are not run")
        if field == _MODEL_GRAPH:
            _check_graph(value)


def _check_graph(graph: memoryview) -> None:
    for field, value in fields_of(graph):
        if field == _GRAPH_SPARSE:
            raise ModelFileError("it has sparse tensors, which are not read")
        if field == _GRAPH_INITIALIZER:
            _check_tensor(value)
        if field == _GRAPH_NODE:
            for number, attribute in fields_of(value):
                if number == _NODE_ATTRIBUTE:
                    _check_attribute(attribute)


def _check_attribute(attribute: memoryview) -> None:
    for field, value in fields_of(attribute):
        if field in _ATTRIBUTE_GRAPHS:
            raise ModelFileError(
                "a node of its graph has a graph of its own (Loop, If or Scan), "
                "which need not come to an end"
            )
        if field in _ATTRIBUTE_SPARSE:
            raise ModelFileError("it has sparse tensors, which are not read")
        if field in _ATTRIBUTE_TENSORS:
            _check_tensor(value)


def _check_tensor(tensor: memoryview) -> None:
    if any(field == _TENSOR_EXTERNAL for field, _ in fields_of(tensor)):
        raise ModelFileError("its weights are in another file; keep them in the model file")


def onnx_metadata(data: bytes, key: str) -> str | None:
    """Find an entry among the metadata, without opening the model, which takes longer.

    Args:
        data: An ONNX file.
        key: The name of the entry.

    Returns:
        The text; None if there is none.

    Raises:
        ModelFileError: If the entry is there twice, or too long.
        ValueError: If it is no ONNX file.
    """
    found = []
    for field, value in fields_of(memoryview(data)):
        entry = dict(fields_of(value)) if field == _MODEL_METADATA else {}
        if bytes(entry.get(1, b"")) == key.encode():
            found.append(bytes(entry[2]))
    if len(found) > 1:
        raise ModelFileError(f"it has {key!r} twice in it; which one counts?")
    if found and len(found[0]) > MAX_TEXT:
        raise ModelFileError(f"{key!r} in it has more than {MAX_TEXT:,} bytes")
    return found[0].decode() if found else None


def fields_of(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a protobuf message that hold bytes: number and value of each.

    Source: the encoding on protobuf.dev; numbers are in groups of seven bits, the lowest first.

    Raises:
        ValueError: If it is no protobuf message.
    """
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while shift < 70:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
        raise ValueError("a number in the message does not end")

    while place < len(message):
        field, kind = divmod(number(), 8)
        if kind not in (0, 1, 2, 5):
            raise ValueError("this is no protobuf message")
        size = number() if kind in (0, 2) else {1: 8, 5: 4}[kind]
        if kind == 0:
            continue
        if place + size > len(message):
            raise ValueError("the message is cut off")
        if kind == 2:
            yield field, message[place : place + size]
        place += size


def check_litert(data: bytes) -> None:
    """Refuse a LiteRT model that holds several graphs, which only ``WHILE`` and ``IF`` need.

    Source: the schema of TensorFlow Lite, in which ``subgraphs`` is the third field of the model,
    and the FlatBuffers binary format.

    Args:
        data: The file.

    Raises:
        ModelFileError: If it does.
        ValueError: If it is no such file.
    """
    if data[4:8] != b"TFL3":
        raise ValueError("this is no LiteRT model")
    try:
        root = struct.unpack_from("<I", data, 0)[0]
        offsets = root - struct.unpack_from("<i", data, root)[0]
        place = root + struct.unpack_from("<H", data, offsets + 4 + 2 * 2)[0]
        graphs = place + struct.unpack_from("<I", data, place)[0]
        count = struct.unpack_from("<I", data, graphs)[0]
    except struct.error:
        raise ValueError("the file is cut off") from None
    if count != 1:
        raise ModelFileError(f"it has {count} graphs, and one is enough for what does not loop")
