"""Write `assets/weights/index.json`, the list of the models that come with the package.

``python -m tools.weights_index`` after a file of weights was made anew. The names, styles and files
are listed here; the checksums are those of the files that are there.
"""

from __future__ import annotations

import hashlib
import json

from captcha_helpers.core.files import write_bytes
from captcha_helpers.reading.shipped import INDEX, ShippedFile

GENERAL = "general"  # reads every look
CHINESE = "chinese"  # so does this one, thousands of characters
READERS = ("slanted", "stars", "gradient", "mixed", "classic")  # each reads the style of its name
# The style that the weights to begin with have learned from; None is every look.
STARTS = {GENERAL: None, "pretrained": None, "mixed": "mixed", CHINESE: None}


def listed() -> list[ShippedFile]:
    """The files, with their checksums of now."""
    files = [ShippedFile(name, "reader", None, f"{name}.onnx", "") for name in (GENERAL, CHINESE)]
    files += [ShippedFile(name, "reader", name, f"{name}.onnx", "") for name in READERS]
    files += [
        ShippedFile(name, "start", style, f"{name}.npz", "") for name, style in STARTS.items()
    ]
    return [
        file._replace(sha256=hashlib.sha256(file.path.read_bytes()).hexdigest()) for file in files
    ]


def main() -> None:
    """Run the command."""
    entries = [file._asdict() for file in listed()]
    write_bytes(INDEX, (json.dumps(entries, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
