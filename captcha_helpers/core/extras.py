"""The optional parts of the package: which pip line installs them, for the copy that is running.

The package is on no index, so a bare ``pip install captcha-helpers`` would fetch a stranger's. What
pip has noted of a copy's origin (``direct_url.json``, PEP 610) says what to type instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from importlib.metadata import Distribution

NAME = "captcha-helpers"
ROOT = Path(__file__).parents[2]  # of the clone, if the package is used from one
EXTRA_OF = {  # which extra brings a module that the package imports
    "ai_edge_litert": "export",
    "cv2": "train",
    "fastapi": "serve",
    "fsspec": "scale",
    "httpcore": "serve",
    "keras": "train",
    "matplotlib": "train",
    "onnx": "export",
    "onnxruntime": "predict",
    "prometheus_client": "serve",
    "pyarrow": "scale",
    "python_multipart": "serve",
    "ray": "scale",
    "tensorflow": "train",
    "tf2onnx": "export",
    "uvicorn": "serve",
}


def needs(what: str, extra: str) -> str:
    """Say that an optional part is missing, and how to install it.

    Args:
        what: What needs it, as the beginning of a sentence.
        extra: The extra of pyproject.toml that brings it.

    Returns:
        One line.

    Example:
        >>> needs("Training needs Keras", "train").partition(": ")[0]
        'Training needs Keras, which is not installed'
    """
    return f"{what}, which is not installed: {pip_line(extra)}"


def pip_line(extra: str) -> str:
    """What to type in order to install an extra of this very copy.

    Args:
        extra: The extra, as "train".

    Returns:
        A command: from a clone, an archive or a repository it installs the package again, with the
        extra; if nobody knows where the copy came from, it installs what the extra lists.

    Example:
        >>> "pip install " in pip_line("predict")
        True
    """
    copy = _installed()
    if copy is None:
        if not (ROOT / "pyproject.toml").exists():
            return f"install what pyproject.toml lists for the extra {extra!r}"
        return f"pip install -e {_quoted(f'{_short(ROOT)}[{extra}]')}"
    tool = "uv pip" if (copy.read_text("INSTALLER") or "").strip() == "uv" else "pip"
    origin = json.loads(copy.read_text("direct_url.json") or "{}")
    what = _from_origin(origin, extra) if origin else None
    if what is None:
        listed = list(_requirements(copy, extra))
        missing = [requirement for requirement in listed if not _version(_name(requirement))]
        what = " ".join(map(_quoted, missing or listed))
    return f"{tool} install {what}"


def packages(extra: str) -> dict[str, str]:
    """Which packages an extra takes.

    Args:
        extra: The extra, as "train".

    Returns:
        The version of each by its name, empty if it is not installed.

    Example:
        >>> list(packages("predict"))
        ['onnxruntime']
    """
    copy = _installed()
    names = map(_name, _requirements(copy, extra)) if copy else ()
    return {name: _version(name) for name in names}


def installed_from() -> str:
    """Say where this copy came from: "a clone", say.

    Example:
        >>> isinstance(installed_from(), str)
        True
    """
    copy = _installed()
    if copy is None:
        return "not installed, used from its sources"
    origin = json.loads(copy.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return "a clone, editable"
    kinds = {
        "dir_info": "a folder",
        "archive_info": "an archive",
        "vcs_info": "a repository",
    }
    return next((kind for key, kind in kinds.items() if key in origin), "an index")


def _installed() -> Distribution | None:
    """What pip has noted of the package; None if it is used without being installed."""
    from importlib import metadata  # 30 ms, for which every start would wait

    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return None


def _from_origin(origin: dict[str, Any], extra: str) -> str | None:
    """What follows ``pip install``; None if the origin is gone."""
    from urllib.request import url2pathname  # it brings all of HTTP along, and every start waits

    url = origin["url"]
    path = Path(url2pathname(unquote(urlsplit(url).path))) if url.startswith("file:") else None
    if path is not None and not path.exists():
        return None
    if path is not None and path.is_dir():
        flag = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return flag + _quoted(f"{_short(path)}[{extra}]")
    vcs = origin.get("vcs_info")
    if vcs:
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return _quoted(f"{NAME}[{extra}] @ {url}")


def _short(path: Path) -> Path | str:
    return "." if path.resolve() == Path.cwd().resolve() else path


def _quoted(word: str) -> str:
    return f'"{word}"'  # which sh, PowerShell and cmd understand alike


def _requirements(copy: Distribution, extra: str) -> Iterator[str]:
    """What an extra requires, as pip takes it."""
    for requirement in copy.requires or []:
        what, _, marker = map(str.strip, requirement.partition(";"))
        if not re.search(rf"""extra == ["']{extra}["']""", marker):
            continue
        if sys.platform == "win32" and "sys_platform != " in marker:
            continue
        if _name(what).lower() == NAME:
            for other in re.findall(r"[\w-]+", what.partition("[")[2]):
                yield from _requirements(copy, other)
        else:
            yield what


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
