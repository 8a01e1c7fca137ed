"""What a reader must know about a model, kept inside the model's own file.

A model without its charset is a riddle: the same logits spell other strings if the characters stand
in another order. So the charset, the size of the image and the kind of head travel with the
weights. A ``.keras`` file is a zip archive; the specification is one more member of it, which Keras
itself ignores. An ONNX file has it among its metadata. Other formats have no place for it; there it
is the file ``metadata.json`` beside the model.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import BLANK_INDEX, Charset
from captcha_helpers.data.images import ImageSource, prepare
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.runtimes import MEMBER, SIDECAR, format_of

__all__ = ["MEMBER", "SIDECAR", "ModelSpec", "read_spec"]

Head = Literal["ctc", "per_position"]

# Fields that came later, and the schema they came with.
ADDED = {"processing": 2, "channels": 3, "mask": 4}
SCHEMA = max(ADDED.values())
TO_WHITE = "flatten transparency onto white"
TO_GREY = "grey by ITU-R 601 (0.299 R + 0.587 G + 0.114 B)"
BY_GREY = (
    "the next steps are for the three channels alike, but of the values they speak of those of the "
    f"{TO_GREY}, and CLAHE changes Y of OpenCV's YCrCb alone"
)
TO_SIZE = (
    "resize the width, then the height, with an antialiased triangle filter (Pillow's BILINEAR)",
    "values stay 0 to 255, because the model itself scales them",
)


@dataclass(frozen=True)
class ModelSpec:
    """Everything that turns an image into logits, and logits into text.

    Attributes:
        charset: The characters; character i is class i + 1, class 0 the blank.
        length: Fewest and most characters of a label in training.
        height: Rows of the model's input.
        width: Columns of the model's input.
        head: ``"ctc"`` for logits over frames, ``"per_position"`` for logits over positions.
        training: How the model was made and how well it reads; for people, not for programs.
        processing: What is done to the image before it gets this size.
        channels: What the model sees: 1 for grey, 3 for RGB.
        mask: Which strings the model may read; all by default.

    Raises:
        ValueError: If the head is unknown, a size is not positive, there are neither 1 nor 3
            channels or the charset is not valid.

    Example:
        >>> spec = ModelSpec("0123456789", length=(4, 6), height=48, width=160, head="ctc")
        >>> ModelSpec.from_json(spec.to_json()) == spec
        True
    """

    charset: str
    length: tuple[int, int]
    height: int
    width: int
    head: Head = "ctc"
    training: dict[str, Any] = field(default_factory=dict)
    processing: Processing = Processing()
    channels: int = 1
    mask: Mask = Mask()

    def __post_init__(self) -> None:
        Charset(self.charset)  # refuses an empty one and repeats
        if self.head not in ("ctc", "per_position"):
            raise ValueError(f"head must be 'ctc' or 'per_position', received {self.head!r}")
        if min(self.height, self.width) < 1 or not 1 <= self.length[0] <= self.length[1]:
            raise ValueError(
                f"height, width and length must be positive, received height={self.height}, "
                f"width={self.width}, length={self.length}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), received {self.channels!r}")

    @property
    def preparation(self) -> dict[str, Any]:
        """The arguments of `captcha_helpers.prepare` and its kin: size, processing, channels."""
        names = ("height", "width", "processing", "channels")
        return {name: getattr(self, name) for name in names}

    def prepare(self, image: ImageSource) -> NDArray[np.uint8]:
        """Turn an image into what the model sees; see `captcha_helpers.prepare`.

        Args:
            image: A path, bytes, a Pillow image or an array.

        Returns:
            ``(height, width, channels)`` uint8, 0–255.

        Raises:
            ImageError: If the image cannot be used.

        Example:
            >>> ModelSpec("01", (4, 4), 48, 160).prepare(np.zeros((20, 60, 3), np.uint8)).shape
            (48, 160, 1)
        """
        return prepare(image, **self.preparation)

    def to_json(self, **more: Any) -> str:
        """Write the specification as JSON, which other languages read too.

        Args:
            **more: Further entries, which `from_json` leaves out.

        Returns:
            The text.
        """
        values = asdict(self)
        defaults = {field.name: field.default for field in fields(self)}
        used = [name for name in ADDED if getattr(self, name) != defaults[name]]
        # The lowest that will do: older versions read what they understand and refuse the rest.
        schema = max([1, *map(ADDED.__getitem__, used)])
        values = {name: value for name, value in values.items() if ADDED.get(name, 1) <= schema}
        steps = self.processing.describe()
        first = [TO_GREY] if self.channels == 1 else [BY_GREY] if steps else []
        text = "; ".join([TO_WHITE, *first, *steps, *TO_SIZE])
        about = {"schema": schema, "blank_index": BLANK_INDEX, "preprocessing": text}
        return json.dumps({**about, **values, **more}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: If the text is something else, or was written by a later version.
        """
        try:
            values = json.loads(text)
            schema, blank = values["schema"], values["blank_index"]
            if schema not in range(1, SCHEMA + 1) or blank != BLANK_INDEX:
                raise ValueError(
                    f"it has schema {schema} and blank index {blank}, this version of "
                    f"captcha_helpers reads schema 1 to {SCHEMA} and "
                    f"{BLANK_INDEX}; update it"
                )
            names = [one.name for one in fields(cls) if ADDED.get(one.name, 1) <= schema]
            known = {name: values[name] for name in names}
            known["length"] = tuple(known["length"])
            if "processing" in known:
                known["processing"] = Processing(**known["processing"])
            if "mask" in known:
                known["mask"] = _mask_of(**known["mask"])
            return cls(**known)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no model specification ({error!r})") from None


def _mask_of(length: list[int] | None = None, **known: Any) -> Mask:
    return Mask(**known, length=None if length is None else (length[0], length[1]))


def read_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """Read the specification that is inside a model file, or beside it.

    Args:
        path: A model file that captcha_helpers wrote, or a SavedModel folder.

    Returns:
        The specification.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no model, or one without a specification.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model file {str(path)!r}; check the path")
    text = format_of(path).spec(path)
    if text is None:
        raise ValueError(
            f"{str(path)!r} does not say which characters it reads; save models with "
            "captcha_helpers.save_model and convert them with captcha_helpers.export"
        )
    return ModelSpec.from_json(text)
