"""What a reader must know about a model, kept inside the model's own file.

A model without its charset is a riddle: the same logits spell other strings if the characters stand
in another order. So the charset, the size of the image and the kind of head travel with the
weights. A ``.keras`` file is a zip archive; the specification is one more member of it, which Keras
itself ignores.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from captcha_helpers.charset import BLANK_INDEX, Charset

Head = Literal["ctc", "per_position"]

MEMBER = "captcha_helpers.json"
SCHEMA = 1


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

    Raises:
        ValueError: If the head is unknown, a size is not positive or the charset is not valid.

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

    def __post_init__(self) -> None:
        Charset(self.charset)  # refuses an empty one and repeats
        if self.head not in ("ctc", "per_position"):
            raise ValueError(f"head must be 'ctc' or 'per_position', received {self.head!r}")
        if min(self.height, self.width) < 1 or not 1 <= self.length[0] <= self.length[1]:
            raise ValueError(
                f"height, width and length must be positive, received height={self.height}, "
                f"width={self.width}, length={self.length}"
            )

    def to_json(self) -> str:
        """Write the specification as JSON, which other languages read too."""
        values = {"schema": SCHEMA, "blank_index": BLANK_INDEX, **asdict(self)}
        return json.dumps(values, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: If the text is something else, or was written by a later version.
        """
        try:
            values = json.loads(text)
            schema, blank = values.pop("schema"), values.pop("blank_index")
            if schema != SCHEMA or blank != BLANK_INDEX:
                raise ValueError(
                    f"it has schema {schema} and blank index {blank}, this version of "
                    f"captcha_helpers reads schema {SCHEMA} and {BLANK_INDEX}; update it"
                )
            return cls(**values | {"length": tuple(values["length"])})
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no model specification ({error!r})") from None


def read_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """Read the specification that is inside a ``.keras`` file.

    Args:
        path: A file that captcha_helpers wrote.

    Returns:
        The specification.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no ``.keras`` file, or one without a specification.
    """
    name = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no model file {name!r}; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            return ModelSpec.from_json(archive.read(MEMBER).decode())
    except (zipfile.BadZipFile, IsADirectoryError):
        raise ValueError(f"{name!r} is not a .keras file, or it is damaged") from None
    except KeyError:
        raise ValueError(
            f"{name!r} does not say which characters it reads (it has no {MEMBER}); save models "
            "with captcha_helpers.save_model"
        ) from None
