"""The models that come with the package: `assets/weights/index.json` lists them.

A model may have two files: one to read with ("reader"), one that trainings begin with ("start").
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from captcha_helpers.core.files import WEIGHTS

INDEX = WEIGHTS / "index.json"


class ShippedFile(NamedTuple):
    """A file of weights.

    Args:
        name: What people call the model.
        role: ``"reader"``, an ONNX file, or ``"start"``, which Keras loads.
        style: The style that it reads; None if it is for every look.
        file: Its name in the folder of the index.
        sha256: The checksum of what is in it, in hexadecimal digits.
    """

    name: str
    role: str
    style: str | None
    file: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return WEIGHTS / self.file


@cache
def shipped_files() -> tuple[ShippedFile, ...]:
    """All that the index lists.

    Example:
        >>> [file.file for file in shipped_files() if file.name == "mixed"]
        ['mixed.onnx', 'mixed.npz']
    """
    entries = json.loads(INDEX.read_text(encoding="utf-8"))
    return tuple(ShippedFile(**entry) for entry in entries)


def shipped_models() -> dict[str, Path]:
    """The models that come with the package.

    Returns:
        Each model's name and file. If there is an ONNX file, which opens quickest, it is that one.

    Example:
        >>> "pretrained" in shipped_models()
        True
    """
    files = sorted(shipped_files(), key=lambda file: (file.name, file.role == "reader"))
    return {file.name: file.path for file in files}


def shipped_starts() -> dict[str, Path]:
    """The weights that trainings begin with.

    Returns:
        Each name and its file, which Keras loads.

    Example:
        >>> list(shipped_starts())
        ['general', 'pretrained', 'mixed', 'chinese']
    """
    return {file.name: file.path for file in shipped_files() if file.role == "start"}


def model_path(name: str | os.PathLike[str]) -> Path:
    """Find a model file: the one that ships with the package under this name, or the path itself.

    Args:
        name: A path, or a name without an ending.

    Returns:
        The path, which may lead nowhere.

    Example:
        >>> model_path("pretrained").stem, model_path("mine.onnx").name
        ('pretrained', 'mine.onnx')
    """
    return shipped_models().get(os.fspath(name), Path(name))
