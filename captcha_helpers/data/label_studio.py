"""Label Studio, in and out: the labels of its exports, and tasks that it imports.

All that is known here of its formats (https://labelstud.io/guide/export and /guide/predictions). An
export is JSON with annotations (which were called completions before version 1), or a record for
each annotation, as JSON-MIN and CSV have them. Images are named by where Label Studio keeps them:
uploaded ones are ``/data/upload/1/3f2a90b1-7.png``, of which ``7.png`` is the name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from captcha_helpers.data.names import IMAGE_SUFFIXES

LABEL, IMAGE = "label", "image"  # names of the field and of the image in `CONFIG`
CONFIG = f"""<View>
  <Image name="{IMAGE}" value="${IMAGE}"/>
  <TextArea name="{LABEL}" toName="{IMAGE}" maxSubmissions="1" editable="true"/>
</View>"""
_FLAT = {"annotator", "annotation_id"}  # what every record of JSON-MIN and CSV has
_ABOUT = _FLAT | {"id", "created_at", "updated_at", "lead_time", "was_cancelled", "agreement"}
_VALUES = {"textarea": "text", "choices": "choices"}  # what a result of this type has
_UPLOADED = re.compile(r"(?:.*/)?data/upload/(?:\d+/)?[0-9a-f]{8}-")

Fields = dict[str, str]  # what was typed or chosen, by the name of the control


def is_export(content: Any) -> bool:
    """Whether JSON, or a list of records, comes from Label Studio.

    Example:
        >>> is_export([{"image": "1.png", "label": "7xk2"}])
        False
    """
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    first = content[0]
    task = isinstance(first.get("data"), dict) and any(
        isinstance(first.get(key), list) for key in ("annotations", "completions", "predictions")
    )
    return task or first.keys() >= _FLAT


def exported_labels(content: Iterable[Any], known: Sequence[str] = ()) -> list[tuple[str, str]]:
    """List the images of an export with their labels.

    Skipped and empty annotations are left out. If there are several controls, the label is that of
    a known name.

    Args:
        content: The records or tasks of the file.
        known: What the control of the labels may be called, the likeliest first.

    Returns:
        Names and labels; a name as it was before the image was uploaded.

    Raises:
        ValueError: If nothing has a label, an image has two, or it is not clear which control has
            the labels.

    Example:
        >>> exported_labels([{"image": "/data/upload/1/3f2a90b1-7.png", "id": 1, "text": "7xk2",
        ...                   "annotator": 1, "annotation_id": 4}])
        [('7.png', '7xk2')]
    """
    found = [
        (name, fields)
        for entry in content
        if isinstance(entry, dict)
        for name, fields in _annotations(entry)
        if name and fields
    ]
    controls = list(dict.fromkeys(control for _, fields in found for control in fields))
    if not controls:
        raise ValueError("this export of Label Studio has no labels yet")
    named = [name for name in known if name in controls] or controls
    if len(controls) > 1 and named == controls:
        raise ValueError(
            f"this export of Label Studio has the fields {', '.join(controls)}; call that of the "
            f"labels {LABEL!r}"
        )
    labels: dict[str, str] = {}
    for name, fields in found:
        text = fields.get(named[0], "")
        if text and labels.setdefault(name, text) != text:
            raise ValueError(f"{name!r} has two labels, {labels[name]!r} and {text!r}; keep one")
    return list(labels.items())


def image_name(address: str) -> str:
    """The name of an image, with its folders, that Label Studio has at an address.

    Example:
        >>> image_name("/data/local-files/?d=my%20images/1.png")
        'my images/1.png'
        >>> image_name("/data/upload/3/3f2a90b1-7.png"), image_name("https://a.example/b/7.png?x=1")
        ('7.png', '/b/7.png')
    """
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    path = local[0] if local else unquote(parts.path)
    return _UPLOADED.sub("", path)


def make_task(folder: str, name: str, text: str, confidence: float) -> dict[str, Any]:
    """Make a task that Label Studio imports, with a guess to be corrected.

    Args:
        folder: Name of the folder of the images, below what Label Studio serves files from.
        name: Of the image.
        text: The guess; an empty one is left out.
        confidence: How sure it is, 0–1.

    Returns:
        An object for a list in JSON, for a project with the interface `CONFIG`.

    Example:
        >>> task = make_task("images", "a b.png", "7xk2", 0.9)
        >>> task["data"]
        {'image': '/data/local-files/?d=images/a%20b.png'}
        >>> task["predictions"][0]["result"][0]["value"]
        {'text': ['7xk2']}
    """
    value = {"from_name": LABEL, "to_name": IMAGE, "type": "textarea", "value": {"text": [text]}}
    return {
        "data": {IMAGE: f"/data/local-files/?d={quote(f'{folder}/{name}')}"},
        "predictions": [{"result": [value], "score": round(confidence, 4)}] if text else [],
    }


def _annotations(entry: Mapping[str, Any]) -> Iterator[tuple[str, Fields]]:
    """The image of a task or a record, and the fields of each of its annotations."""
    data = entry.get("data")
    if not isinstance(data, dict):
        if str(entry.get("was_cancelled")).lower() != "true":
            yield _image_in(entry)[1], dict(_texts(entry))
        return
    for annotation in _objects(entry.get("annotations") or entry.get("completions")):
        if not (annotation.get("was_cancelled") or annotation.get("skipped")):
            yield _image_in(data)[1], dict(_results(annotation.get("result")))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _image_in(data: Mapping[str, Any]) -> tuple[str, str]:
    """The key of the image, and its name."""
    for key, value in data.items():
        if isinstance(value, str):
            name = image_name(value)
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                return key, name
    return "", ""


def _texts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a record of JSON-MIN or CSV has beside the image and what is about the annotation."""
    image, _ = _image_in(record)
    for key, value in record.items():
        if key not in _ABOUT and key != image and isinstance(value, str) and value:
            yield key, value


def _results(results: Any) -> Iterator[tuple[str, str]]:
    """What was typed into text areas, or chosen, in an annotation."""
    for one in _objects(results):
        key, value = _VALUES.get(str(one.get("type"))), one.get("value")
        texts = value.get(key) if key is not None and isinstance(value, dict) else None
        texts = [texts] if isinstance(texts, str) else texts
        if isinstance(texts, list) and len(texts) == 1:
            yield str(one.get("from_name")), str(texts[0])
