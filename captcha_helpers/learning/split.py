"""Which images are learned from, and which are set aside to measure with.

The two parts travel with the reader, as fingerprints: who goes on from it, today or with more
images in a year, must not measure with what it has learned from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from captcha_helpers.data.folders import LabeledImages, split_by_label
from captcha_helpers.learning.plan import TrainingSettings

SPLIT_MEMBER = "captcha_helpers_split.json"  # of the archive that a .keras file is
WORDS = 100  # so few strings, each in several images, are all that there are: words, not chance
IMAGES_A_WORD = 3

Part = dict[str, str]  # fingerprint of an image's name: that of its label, or of its pixels


@dataclass(frozen=True)
class Split:
    """Two parts of a set of labelled images.

    Attributes:
        by: ``"label"`` if no string is in both parts, ``"image"`` if only no image is.
        training: Fingerprints of what is learned from.
        validation: Fingerprints of what is set aside.
        earlier: What the reader to begin with had learned from, as `learned`.
        pictures: Fingerprints of what all these images show; empty if nobody will go on.
    """

    by: Literal["label", "image"]
    training: Part
    validation: Part
    earlier: frozenset[str] = field(default_factory=frozenset)
    pictures: Part = field(default_factory=dict)

    @property
    def learned(self) -> frozenset[str]:
        """Fingerprints of the labels, and of the images, that the reader knows in the end."""
        images = {name + label for name, label in self.training.items()}
        return self.earlier | images | set(self.training.values())

    def with_learned(self, data: LabeledImages) -> Split:
        """The same parts, if these images are learned from as well."""
        part = _part(data, range(len(data)))
        images = {name + label for name, label in part.items()}
        return replace(self, earlier=self.earlier | images | set(part.values()))

    def parts(self, data: LabeledImages) -> tuple[LabeledImages, LabeledImages]:
        """Take the images apart: what to learn from, and what is set aside."""
        row_of = {_fingerprint(name): row for row, name in enumerate(data.names)}
        training, validation = (
            data.subset([row_of[name] for name in part])
            for part in (self.training, self.validation)
        )
        return training, validation

    def to_json(self) -> str:
        """Write it down; `from_json` reads it."""
        values = vars(self) | {"earlier": sorted(self.earlier)}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Split:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"earlier": frozenset(values["earlier"])})

    def changes(self, data: LabeledImages) -> str:
        """Say how these images differ from those that were split; nothing if they do not.

        Example:
            >>> import numpy as np
            >>> images = np.zeros((12, 2, 2, 1), np.uint8)
            >>> names = [f"{i}.png" for i in range(12)]
            >>> data = LabeledImages(images, [f"{i:02}" for i in range(12)], names)
            >>> split = set_aside(data, seed=0)
            >>> data.labels[3] = "77"
            >>> split.changes(data), split.changes(data.subset([0, 1, 2, 4]))
            ('1 label is another (3.png)', '8 images are gone')
        """
        before, now = self.training | self.validation, _part(data, range(len(data)))
        named = dict(zip(now, data.names, strict=True))
        other = [named[name] for name, label in now.items() if before.get(name, label) != label]
        new = [named[name] for name in now if name not in before]
        gone = len(before.keys() - now.keys())
        shown = _shown(data)
        drawn = [
            named[name]
            for name, picture in shown.items()
            if self.pictures.get(name, picture) != picture and named[name] not in other
        ]
        said = [
            _counted(len(other), "label is another", "labels are others", other),
            _counted(len(drawn), "picture is another", "pictures are others", drawn),
            _counted(len(new), "image is new", "images are new", new),
            _counted(gone, "image is gone", "images are gone"),
        ]
        return ", ".join(filter(None, said))


def set_aside(
    data: LabeledImages,
    *,
    seed: int,
    settings: TrainingSettings | None = None,
    learned: frozenset[str] = frozenset(),
    known: Collection[str] = (),
) -> Split:
    """Set a part of the images aside, to see how well strings are read that nobody has learned.

    As a rule no string is in both parts. Where there are few strings with several images each
    (words, single characters), other images will show the same strings, and one left out would
    never be learned: there only no image is in both. What occurs in one place only (a character in
    one string, a word in one image) stays in the training, whatever chance says, unless it is a
    character that is known already.

    Args:
        data: The images.
        seed: Another seed sets others aside.
        settings: How many.
        learned: Fingerprints of what the reader to begin with has learned from already, see
            `Split.learned`; this is never set aside.
        known: Characters that need not be learned.

    Returns:
        Both parts.

    Raises:
        ValueError: If there are too few images to do so.
    """
    settings = settings or TrainingSettings()
    by = _split_by(data.labels)
    keys = data.labels if by == "label" else _pictures(data)
    _check_enough(data.labels, len(set(keys)), settings)
    share = min(settings.validation, settings.most_validation / len(data))
    rest, chosen = split_by_label(keys, (1 - share, share), seed)
    number = len({keys[row] for row in chosen})
    order = list(dict.fromkeys(keys[row] for row in [*chosen, *reversed(rest)]))
    prints = {key: _learned_as(by, data, row) for row, key in enumerate(keys)}
    fresh = [key for key in order if prints[key] not in learned]
    if learned:  # else nothing might be left to learn from what is new
        number = min(number, math.ceil(len(fresh) / 2))
    pairs = zip(keys, data.labels, strict=True)
    units = {key: (set(label) - set(known) if by == "label" else [label]) for key, label in pairs}
    aside = set(_spared(fresh, units, number))
    if not aside:
        raise ValueError(_NOTHING_ASIDE["learned" if learned and not fresh else "rare"])
    # In the order of the shuffle, as split_by_label gives it.
    shuffled = [*rest, *chosen]
    rows = [row for row in shuffled if keys[row] not in aside]
    others = [row for row in shuffled if keys[row] in aside]
    return Split(by, _part(data, rows), _part(data, others), learned, _shown(data))


_NOTHING_ASIDE = {
    "learned": "the reader to begin with has learned from every string in the folder, so nothing "
    "is left to measure with; add images with other strings",
    "rare": "every string has a character that no other string has, so none can be set aside to "
    "measure with; label more images",
}


def _split_by(labels: Sequence[str]) -> Literal["label", "image"]:
    distinct = len(set(labels))
    few = distinct <= WORDS and len(labels) >= IMAGES_A_WORD * distinct
    return "image" if few else "label"


def _check_enough(labels: Sequence[str], units: int, settings: TrainingSettings) -> None:
    if units >= settings.least_labels:
        return
    different = list(dict.fromkeys(labels))
    named = ", ".join(map(repr, different[:5]))
    more = f" and {len(different) - 5} more" if len(different) > 5 else ""
    raise ValueError(
        f"there are only {len(different)} different labels ({named}{more}) in {len(labels)} "
        f"images; label at least {settings.least_labels} (50 to 200 make a good reader). A label "
        "is the file name up to the first underscore, or stands in labels.csv"
    )


def _spared(keys: Iterable[str], units: Mapping[str, Iterable[str]], number: int) -> Iterator[str]:
    """The first `number` keys without which everything that they hold still occurs elsewhere."""
    left = Counter(thing for things in units.values() for thing in set(things))
    for key in keys:
        if number < 1:
            return
        things = set(units[key])
        if all(left[thing] > 1 for thing in things):
            left.subtract(things)
            number -= 1
            yield key


def _pictures(data: LabeledImages) -> list[str]:
    """A key for each image; copies of one picture have the same."""
    return [
        _fingerprint(label, image.tobytes())
        for label, image in zip(data.labels, data.images, strict=True)
    ]


def _part(data: LabeledImages, rows: Iterable[int]) -> Part:
    return {_fingerprint(data.names[row]): _fingerprint(data.labels[row]) for row in rows}


def _shown(data: LabeledImages) -> Part:
    """Fingerprints of the names, and of the pixels."""
    pairs = zip(data.names, data.images, strict=True)
    return {_fingerprint(name): picture(image) for name, image in pairs}


def picture(image: np.ndarray) -> str:
    """The fingerprint of what an image shows."""
    return _fingerprint("", image.tobytes())


def _learned_as(by: str, data: LabeledImages, row: int) -> str:
    """The fingerprint by which `Split.learned` knows a label or an image."""
    label = _fingerprint(data.labels[row])
    return label if by == "label" else _fingerprint(data.names[row]) + label


def _fingerprint(text: str, data: bytes = b"") -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass") + data).hexdigest()[:16]


def _counted(number: int, one: str, several: str, names: Sequence[str] = ()) -> str:
    if not number:
        return ""
    named = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return f"{number} {one if number == 1 else several}{named}"
