"""What stands in an image file around its pixels: is all of it there, and which way is up?

Pillow reads the pixels. It does not compare a PNG's checksums, reads a JPEG whose end is missing
and never says so, and takes metadata apart that we do not need: comments byte by byte, EXIF with as
many gigabytes as it claims. So each file is looked through here first, and Pillow gets what is left
without its metadata.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_PARTS = 20_000  # of a file: a PNG of 4 megapixels has about 4,000
MAX_FILL = 4096  # bytes between two parts of a JPEG
MAX_SCANS = 100
MAX_FRAME = 4_000_000  # pixels of a GIF's frame that is larger than its image
MAX_TAGS = 200  # of a TIFF

_ENDS_EARLY = "it ends in the middle"
_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"

# What a PNG's pixels depend on; the three last belong to an animation.
_PNG_PARTS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"}

# Markers of a JPEG, each behind a byte 255.
_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
_PROGRESSIVE = 0xC2
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_ALONE = {0x01, *range(0xD0, 0xD8)}
_METADATA = {0xE1, *range(0xE2, 0xEE), 0xEF, 0xFE}  # but for APP0 (JFIF) and APP14 (Adobe)
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_COEFFICIENTS = 64  # of a block

# Tags of a TIFF that its pixels depend on.
_TIFF_TAGS = {
    *(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320),
    *(322, 323, 324, 325, 338, 339, 347, 529, 530, 531, 532),
}
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


class ContainerError(ValueError):
    """A file whose parts make no image, or are too many."""


class Container(NamedTuple):
    """An image file as Pillow shall read it.

    Args:
        data: The file without its metadata.
        orientation: What EXIF says, 1 to 8; 1 if it says nothing, or nothing sensible.
        damage: Why the file is not whole; empty if nothing is wrong.
        suspect: Of a JPEG: the same image with bytes behind each of its scans, which change no
            pixel of a whole image. Empty if it cannot be told so.
        scans: Of a JPEG: how often it goes over its pixels.
    """

    data: bytes
    orientation: int = 1
    damage: str = ""
    suspect: bytes = b""
    scans: int = 1


def kind_of(data: bytes) -> str:
    """Tell the format of an image file by its first bytes.

    Args:
        data: The file.

    Returns:
        Pillow's name of the format; empty if it is none that we read.

    Example:
        >>> kind_of(b"GIF89a..."), kind_of(b"<html>")
        ('GIF', '')
    """
    starts = {
        b"\x89PNG\r\n\x1a\n": "PNG",
        b"\xff\xd8\xff": "JPEG",
        b"GIF8": "GIF",
        b"BM": "BMP",
        b"II*\0": "TIFF",
        b"MM\0*": "TIFF",
    }
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return next((kind for start, kind in starts.items() if data.startswith(start)), "")


def look_through(data: bytes, kind: str) -> Container:
    """Look through an image file without decoding a pixel.

    Args:
        data: The file.
        kind: Its format, as `kind_of` tells it.

    Returns:
        What is to be decoded, and what was found.

    Raises:
        ContainerError: If the file cannot be read at all.
    """
    look = _LOOKS.get(kind)
    try:
        return Container(data) if look is None else look(data)
    except (IndexError, struct.error):
        raise ContainerError(_ENDS_EARLY) from None


def orientation_of(exif: bytes) -> int:
    """Find which way is up in EXIF.

    Source: the Exif standard 2.32, 4.6.2; a file is a small TIFF.

    Args:
        exif: The metadata, with or without ``Exif`` in front.

    Returns:
        1 to 8; 1 if there is nothing, or nothing sensible.

    Example:
        >>> orientation_of(bytes.fromhex("4d4d002a000000080001011200030000000100060000"))
        6
    """
    try:
        order, entries = _entries(exif.removeprefix(_EXIF))
        for tag, kind, count, value in entries:
            if (tag, kind, count) == (_ORIENTATION, 3, 1):
                turned: int = struct.unpack(order + "H", value[:2])[0]
                return turned if 1 <= turned <= 8 else 1
    except (ContainerError, IndexError, struct.error):
        pass
    return 1


def _entries(tiff: bytes) -> tuple[str, list[tuple[int, int, int, bytes]]]:
    """Byte order of a TIFF, and tag, type, count and value or place of each of its first entries.

    Raises:
        ContainerError: If it is none.
        struct.error: If it ends early.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        raise ContainerError("it is no TIFF that can be read")
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    count = struct.unpack_from(order + "H", tiff, start)[0]
    if count > MAX_TAGS:
        raise ContainerError(f"it has {count} tags")
    places = range(start + 2, start + 2 + 12 * count, 12)
    return order, [struct.unpack_from(order + "HHI4s", tiff, place) for place in places]


def _png(data: bytes) -> Container:
    kept, orientation, damage = [data[:8]], 1, ""
    place = 8
    for _ in range(MAX_PARTS):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 12 + size
        if end > len(data):
            kept.append(data[place:])
            return Container(b"".join(kept), orientation, damage or _ENDS_EARLY)
        if kind in _PNG_PARTS:
            kept.append(data[place:end])
            if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                damage = damage or f"the checksum of its part {kind.decode()} is wrong"
        elif kind == b"eXIf":
            orientation = orientation_of(data[place + 8 : end - 4])
        if kind == b"IEND":
            return Container(b"".join(kept), orientation, damage)
        place = end
    raise ContainerError(f"it is in more than {MAX_PARTS:,} parts")


class _Jpeg:
    """What is found in a JPEG, part by part."""

    def __init__(self) -> None:
        self.kept = [b"\xff\xd8"]
        self.noisy = [b"\xff\xd8"]
        self.orientation = 1
        self.frame = 0
        self.scans = 0
        # For each component, to how many bits each coefficient is still unknown; all of it at first
        self.unknown: dict[int, list[int | None]] = {}

    def keep(self, part: bytes, noise: bytes = b"") -> None:
        self.kept.append(part)
        self.noisy += [part, noise]

    def segment(self, marker: int, part: bytes) -> None:
        """Take a part that is no scan."""
        if marker == _APP1 and part[4:10] == _EXIF:
            self.orientation = orientation_of(part[4:])
        if marker in _METADATA:
            return
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            self.frame = marker
            for place in range(10, 10 + 3 * part[9], 3):
                self.unknown[part[place]] = [None] * _COEFFICIENTS
        self.keep(part)

    def scan(self, header: bytes) -> None:
        """Take note of what a scan tells of which components."""
        self.scans += 1
        if self.scans > MAX_SCANS:
            raise ContainerError(f"it is a JPEG of more than {MAX_SCANS} scans")
        number = header[4]
        first, last, bits = struct.unpack_from("3B", header, 5 + 2 * number)
        whole = self.frame != _PROGRESSIVE
        told = slice(0, _COEFFICIENTS) if whole else slice(first, last + 1)
        for place in range(5, 5 + 2 * number, 2):
            known = self.unknown.get(header[place])
            if known is not None:
                known[told] = [0 if whole else bits & 15] * len(known[told])

    def found(self, damage: str = "") -> Container:
        missing = any(known.count(0) < _COEFFICIENTS for known in self.unknown.values())
        if missing and self.frame in _HUFFMAN_FRAMES:
            damage = damage or "the scans at its end are missing"
        # What other coders than Huffman's make of an end is no sign of damage.
        suspect = b"".join(self.noisy) if self.frame in _HUFFMAN_FRAMES else b""
        return Container(b"".join(self.kept), self.orientation, damage, suspect, self.scans)


# Bits that no coder would write: no byte is 255, which would begin a marker.
_NOISE = bytes((97 * i * i + 13 * i + 7) % 255 for i in range(1, 97))


def _jpeg(data: bytes) -> Container:
    """Source: ITU-T T.81, annex B."""
    jpeg, place = _Jpeg(), 2
    for _ in range(MAX_PARTS):
        place = _skip_fill(data, place)
        marker = data[place + 1] if place + 1 < len(data) else None
        if marker is None or data[place] != 0xFF:
            jpeg.keep(data[place:] + b"\xff\xd9")
            return jpeg.found(_ENDS_EARLY)
        if marker == _END_OF_IMAGE:
            jpeg.keep(b"\xff\xd9")
            return jpeg.found()
        end = place + 2
        if marker not in _ALONE:
            end += int.from_bytes(data[place + 2 : place + 4], "big")
        part = data[place:end]
        if end > len(data):
            jpeg.keep(b"\xff\xd9")
            return jpeg.found(_ENDS_EARLY)
        if marker == _START_OF_SCAN:
            jpeg.scan(part)
            following = _NEXT_MARKER.search(data, end)
            end = following.start() if following else len(data)
            jpeg.keep(data[place:end], _NOISE)
        else:
            jpeg.segment(marker, part)
        place = end
    raise ContainerError(f"it is in more than {MAX_PARTS:,} parts")


def _skip_fill(data: bytes, place: int) -> int:
    """The last of the bytes 255 from here on; any number of them may stand before a marker."""
    start = place
    while data[place + 1 : place + 2] == b"\xff" and data[place] == 0xFF:
        place += 1
        if place - start > MAX_FILL:
            raise ContainerError(f"it has more than {MAX_FILL:,} bytes of nothing in it")
    return place


def _gif(data: bytes) -> Container:
    """Source: the GIF89a specification. Pillow tells what is missing; comments are left out."""
    place = 13 + _table(data[10])
    width, height = struct.unpack_from("<2H", data, 6)
    canvas = width * height
    kept = [data[:place]]
    for _ in range(MAX_PARTS):
        kind = data[place : place + 1]
        if kind == b"\x2c":
            body = place + 11 + _table(data[place + 9])
            left, top, width, height = struct.unpack_from("<4H", data, place + 1)
            if (left + width) * (top + height) > max(canvas, MAX_FRAME):
                raise ContainerError("one of its frames is much larger than the image")
        elif kind == b"\x21":
            body = place + 2
        else:  # the end, or what Pillow will make of it
            return Container(b"".join([*kept, data[place : place + 1] or b";"]))
        end = _end_of_blocks(data, body)
        if kind == b"\x2c" or data[place + 1] == 0xF9:  # an image, or what is to be done with it
            kept.append(data[place:end])
        place = end
    raise ContainerError(f"it is in more than {MAX_PARTS:,} parts")


def _table(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(data: bytes, place: int) -> int:
    """Where blocks of up to 255 bytes end: behind an empty one, or with the file."""
    for _ in range(MAX_PARTS * 8):
        if place >= len(data):
            return len(data)
        size = data[place]
        place += 1 + size
        if size == 0:
            return place
    raise ContainerError("it is in too many small parts")


def _webp(data: bytes) -> Container:
    """Source: the WebP container specification. The decoder itself tells what is missing."""
    end = 8 + int.from_bytes(data[4:8], "little")
    orientation = 1
    for kind, part in _chunks(data[:end]):
        if kind == b"EXIF":
            orientation = orientation_of(part)
    return Container(data[:end], orientation, _ENDS_EARLY if end > len(data) + 1 else "")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    for _ in range(MAX_PARTS):
        if place + 8 > len(data):
            return
        kind, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    raise ContainerError(f"it is in more than {MAX_PARTS:,} parts")


def _tiff(data: bytes) -> Container:
    """Keep the tags of the first image that its pixels depend on, and nothing of the others.

    Pillow rotates a TIFF by itself.
    """
    order, entries = _entries(data)
    needed = [entry for entry in entries if entry[0] in _TIFF_TAGS]
    room = sum(_TIFF_SIZES.get(kind, len(data)) * count for _, kind, count, _ in needed)
    if room > len(data):
        raise ContainerError("its tags claim more than there is in it")
    padding = bytes(len(data) % 2)
    start = len(data) + len(padding)
    directory = struct.pack(order + "H", len(needed))
    directory += b"".join(struct.pack(order + "HHI4s", *entry) for entry in needed) + bytes(4)
    return Container(data[:4] + struct.pack(order + "I", start) + data[8:] + padding + directory)


_LOOKS: dict[str, Callable[[bytes], Container]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WEBP": _webp,
    "TIFF": _tiff,
}
