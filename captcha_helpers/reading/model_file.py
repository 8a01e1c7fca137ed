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
import unicodedata
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import BLANK_INDEX, Charset
from captcha_helpers.data.images import ImageSource, prepare
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.runtimes import MAX_SAID, MEMBER, SIDECAR, spec_of
from captcha_helpers.reading.safety import ModelFileError

__all__ = ["MEMBER", "SIDECAR", "ModelFileError", "ModelSpec", "read_spec"]

Head = Literal["ctc", "per_position"]

MAX_SIDE = 2048  # pixels of what a model sees
MAX_LENGTH = 256  # characters of a label
MAX_CHARACTERS = 50_000
# Unicode's categories of what cannot be seen: controls, marks of direction, halves of characters.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Fields that came later, and the schema they came with.
ADDED = {"processing": 2, "channels": 3, "mask": 4}
WITH_FRAME = 5  # the schema in which the processing may choose a frame of an animation
SCHEMA = max(*ADDED.values(), WITH_FRAME)
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
        ValueError: If the head is unknown, a size is out of bounds, there are neither 1 nor 3
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
        sides = (self.height, self.width)
        if not all(_is_whole(side) and 1 <= side <= MAX_SIDE for side in sides):
            raise ValueError(
                f"height and width must be whole numbers from 1 to {MAX_SIDE}, "
                f"received height={self.height!r}, width={self.width!r}"
            )
        if not _is_span(self.length, MAX_LENGTH):
            raise ValueError(
                f"length must be two whole numbers from 1 to {MAX_LENGTH}, the smaller one first, "
                f"received {self.length!r}"
            )
        if not _is_whole(self.channels) or self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), received {self.channels!r}")

    @property
    def preparation(self) -> dict[str, Any]:
        """The arguments of `captcha_helpers.prepare` and its kin: size, processing, channels."""
        names = ("height", "width", "processing", "channels")
        return {name: getattr(self, name) for name in names}

    def prepare(self, image: ImageSource, *, strict: bool = True) -> NDArray[np.uint8]:
        """Turn an image into what the model sees; see `captcha_helpers.prepare`.

        Args:
            image: Anything that `captcha_helpers.load_image` takes.
            strict: Whether damaged files are refused that can be decoded in part, and images of one
                colour, in which there is nothing to read.

        Returns:
            ``(height, width, channels)`` uint8, 0–255.

        Raises:
            ImageError: If the image cannot be used.

        Example:
            >>> ModelSpec("01", (4, 4), 48, 160).prepare(np.eye(20, 60, dtype=np.uint8)).shape
            (48, 160, 1)
        """
        return prepare(image, **self.preparation, strict=strict, allow_blank=not strict)

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
        if self.processing.frame == Processing().frame:
            del values["processing"]["frame"]
        else:
            schema = WITH_FRAME
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
            ModelFileError: If the text is something else, has values of other types or out of
                bounds, or was written by a later version.
        """
        try:
            values = json.loads(text)
            schema, blank = values["schema"], values["blank_index"]
            if schema not in range(1, SCHEMA + 1) or blank != BLANK_INDEX:
                raise ModelFileError(
                    f"it has schema {str(schema)[:20]} and blank index {str(blank)[:20]}, this "
                    f"version of captcha_helpers reads schema 1 to {SCHEMA} and "
                    f"{BLANK_INDEX}; update it"
                )
            names = [one.name for one in fields(cls) if ADDED.get(one.name, 1) <= schema]
            known = {name: values[name] for name in names}
            known["charset"] = _characters_of(known["charset"])
            known["length"] = _tuple_of(known["length"])
            if not isinstance(known["training"], dict):
                raise ValueError("training must be an object")
            if "processing" in known:
                known["processing"] = Processing(**known["processing"])
            if "mask" in known:
                known["mask"] = _mask_of(**known["mask"])
            return cls(**known)
        except ModelFileError:
            raise
        # RecursionError: lists in lists, thousands deep
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            said = f"{type(error).__name__}: {error}"[:MAX_SAID]
            raise ModelFileError(f"this is no model specification ({said})") from None


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_span(value: object, most: int) -> bool:
    """Whether this is two whole numbers from 1 to `most`, the smaller one first."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(map(_is_whole, value))):
        return False
    return bool(1 <= value[0] <= value[1] <= most)


def _tuple_of(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"length must be a list of two numbers, not {value!r:.50}")
    return tuple(value)


def _characters_of(charset: object) -> str:
    """Characters as they come from a file: those that would garble a terminal are refused."""
    if not isinstance(charset, str):
        raise ValueError(f"the charset must be a text, not {charset!r:.50}")
    if len(charset) > MAX_CHARACTERS:
        raise ValueError(f"the charset has more than {MAX_CHARACTERS:,} characters")
    unseen = [char for char in charset if unicodedata.category(char) in UNSEEN]
    if unseen:
        raise ValueError(f"the charset has characters that cannot be seen: {unseen[:5]!r}")
    return charset


def _mask_of(
    charset: str | None = None, length: list[int] | None = None, ignore_case: bool = False
) -> Mask:
    span = None if length is None else _tuple_of(length)
    if span is not None and not _is_span(span, MAX_LENGTH):
        raise ValueError(f"the mask's length {span!r:.50} must be two whole numbers from 1 up")
    if not isinstance(ignore_case, bool):
        raise ValueError(f"ignore_case must be true or false, not {ignore_case!r:.50}")
    return Mask(None if charset is None else _characters_of(charset), span, ignore_case)


def read_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """Read the specification that is inside a model file, or beside it.

    Args:
        path: A model file that captcha_helpers wrote, or a SavedModel folder.

    Returns:
        The specification.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is no model, or one without a specification.
    """
    path = Path(path)
    text = spec_of(path)
    if text is None:
        raise ModelFileError(
            f"{str(path)!r} does not say which characters it reads; save models with "
            "captcha_helpers.save_model and convert them with captcha_helpers.export"
        )
    try:
        return ModelSpec.from_json(text)
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r}: {error}") from None
