"""Draw the images of the pre-training with several processes, in chunks, in the order of numbers.

Image number n is the same whatever the number of processes and the size of the chunks. Processes
leave their images in a file that all of them map into memory, so none is ever pickled. Keras is not
imported here: a process that draws needs none.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.charset import ALPHANUMERIC, Charset
from captcha_helpers.data.processing import Processing

if TYPE_CHECKING:
    from captcha_helpers.drawing.looks import Font

CHARSET = Charset(ALPHANUMERIC + "+-=?")
ALIKE = "017OQIlij"  # taken for one another; one image in `ALIKE_EVERY` has no others
ALIKE_EVERY = 8
# Looks that the reader knew least of after the third round.
HARD = (
    *("strips", "ramp", "bright_in_a_thicket", "each_its_font", "thrown", "holed", "fisheye_grid"),
    *("sliced_and_moved", "bent_black", "perspective", "overlapping", "stitched", "sprayed"),
    *("one_stroke", "many_colours", "circles_and_arcs", "tiny"),
)
HARD_EVERY = 4  # one image of so many is in one of these, besides those that are by chance
PROCESSING = Processing(auto_crop=True)  # what the reader does to every image
HEIGHT, WIDTH, CHANNELS = 48, 192, 3
LONGEST = 12  # characters of a label
SHORT = (1, 3)  # lengths at the beginning: with little to align, CTC leaves its plateau at once
LENGTHS = (1, LONGEST)
CHUNK = 1024  # images that a process draws at a time
COMMON = 4  # how often the package's own fonts, plain ones, stand in the list that is drawn from
MEMORY = "/dev/shm"  # only Linux has it, as it has /proc
SLOTS = 4  # chunks for each process, of what is drawn and not yet taken

Images = NDArray[np.uint8]  # (n, 48, 192, 3)
Labels = NDArray[np.int32]  # (n, 12), padded with 0
Draw = Callable[[int, int, int, tuple[int, int]], tuple[Images, Labels]]


def draw(seed: int, start: int, count: int, length: tuple[int, int]) -> tuple[Images, Labels]:
    """Draw images number `start` and following, each in a look of its own, and crop them.

    Every eighth has only characters that are taken for one another (`ALIKE`), and every fourth is
    in a look that is hard to read (`HARD`).

    Args:
        seed: Another seed gives other images.
        start: Number of the first image.
        count: How many, n.
        length: Fewest and most characters of a label.

    Returns:
        Images ``(n, 48, 192, 3)`` uint8, 0–255, and labels ``(n, 12)`` int32 padded with 0.
    """
    return _draw(seed, start, count, length, held_out=False)


def draw_test(seed: int, count: int) -> tuple[Images, Labels]:
    """Draw images in looks and fonts that `draw` never uses.

    Args:
        seed: Another seed gives other images.
        count: How many, n.

    Returns:
        As `draw`.
    """
    return _draw(seed, 0, count, LENGTHS, held_out=True)


def _draw(
    seed: int, start: int, count: int, length: tuple[int, int], *, held_out: bool
) -> tuple[Images, Labels]:
    from captcha_helpers.drawing.looks import draw_looks

    fonts = fonts_with_role("held_out" if held_out else "train")
    images, labels = np.empty((count, HEIGHT, WIDTH, CHANNELS), np.uint8), []
    for row, number in enumerate(range(start, start + count)):
        alike = not held_out and number % ALIKE_EVERY == 0
        hard = not held_out and number % HARD_EVERY == 2
        images[row : row + 1], (label,) = draw_looks(
            1,
            height=HEIGHT,
            width=WIDTH,
            charset=ALIKE if alike else CHARSET.characters,
            length=length,
            fonts=fonts,
            look=HARD[number // HARD_EVERY % len(HARD)] if hard else None,
            held_out=held_out,
            processing=PROCESSING,
            seed=seed,
            start=number,
        )
        labels.append(label)
    return images, CHARSET.encode(labels, length=LONGEST)


@cache
def fonts_with_role(role: str) -> tuple[Font, ...]:
    """The fonts to draw with: "train", or "held_out" for those that no training may see."""
    from captcha_helpers.drawing.looks import Font
    from captcha_helpers.drawing.random_looks import FONTS
    from tools.fonts import load_fonts

    fetched = tuple(Font(os.fspath(font.path), font.upper_only) for font in load_fonts(role))
    return fetched if role == "held_out" else (*COMMON * tuple(map(Font, FONTS)), *fetched)


class Drawings:
    """An endless row of chunks, drawn ahead by processes.

    Args:
        seed: Seed of the images.
        workers: Processes; with 0, this one draws when it is asked.
        short: So many images at the beginning have labels of `SHORT` lengths.
        chunk: Images of a chunk.
        start: Number of the first image.
        every: Take one chunk of so many, as the processes do that train together.
        function: What draws; `draw` unless a test says otherwise.
    """

    def __init__(
        self,
        seed: int,
        *,
        workers: int,
        short: int = 0,
        chunk: int = CHUNK,
        start: int = 0,
        every: int = 1,
        function: Draw = draw,
    ) -> None:
        self.seed, self.short, self.chunk, self.next = seed, short, chunk, start
        self.stride = every * chunk
        self.function, self.workers = function, workers
        self._waiting: deque[tuple[int, multiprocessing.pool.AsyncResult[None]]] = deque()

    def __enter__(self) -> Drawings:
        if self.workers:
            slots = SLOTS * self.workers  # filled while the training step is being compiled
            remove_left_behind()
            place = _in_memory(slots * self.chunk)
            self._folder = Path(tempfile.mkdtemp(prefix=f"drawings_{os.getpid()}_", dir=place))
            self._images, self._labels = _mapped(self._folder, slots, self.chunk, "w+")
            self._pool = multiprocessing.get_context("spawn").Pool(self.workers, _be_a_worker)
            for slot in range(slots):
                self._order(slot)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.workers:
            self._pool.terminate()
            self._pool.join()
            shutil.rmtree(self._folder, ignore_errors=True)

    def take(self, *, wait: bool = True) -> tuple[Images, Labels] | None:
        """Return the next chunk; None if it is not drawn yet and `wait` is false."""
        if not self.workers:
            chunk = self.function(self.seed, self.next, self.chunk, self._length())
            self.next += self.stride
            return chunk
        slot, result = self._waiting[0]
        if not wait and not result.ready():
            return None
        result.get()
        self._waiting.popleft()
        chunk = self._images[slot].copy(), self._labels[slot].copy()
        self._order(slot)
        return chunk

    def _length(self) -> tuple[int, int]:
        return SHORT if self.next < self.short else LENGTHS

    def _order(self, slot: int) -> None:
        where = (self._folder, SLOTS * self.workers, self.chunk, slot)
        what = (self.function, self.seed, self.next, self._length())
        self._waiting.append((slot, self._pool.apply_async(_draw_into, (where, what))))
        self.next += self.stride


def _in_memory(images: int) -> str | None:
    """A folder in memory if the system has one with room for twice that, else its usual one."""
    needed = 2 * images * HEIGHT * WIDTH * CHANNELS
    roomy = os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > needed
    return MEMORY if roomy else None


def remove_left_behind() -> None:
    """Free the memory of trainings that were killed: folders that name a process that is gone."""
    for folder in Path(MEMORY).glob("drawings_*_*"):
        number = folder.name.split("_")[1]
        if number.isdecimal() and not Path("/proc", number).exists():
            shutil.rmtree(folder, ignore_errors=True)  # another one may be at it, too


def _mapped(
    folder: Path, slots: int, chunk: int, mode: Literal["w+", "r+"]
) -> tuple[Images, Labels]:
    """The chunks that all processes see, images ``(slots, chunk, 48, 192, 3)`` and labels."""
    size = (slots, chunk, HEIGHT, WIDTH, CHANNELS)
    images = np.memmap(folder / "images", np.uint8, mode, shape=size)
    return images, np.memmap(folder / "labels", np.int32, mode, shape=(slots, chunk, LONGEST))


def _be_a_worker() -> None:
    """Leave Ctrl+C to the parent, and the other cores to the other workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import cv2
    except ModuleNotFoundError:
        return  # whatever draws will say so
    cv2.setNumThreads(1)


def _draw_into(
    where: tuple[Path, int, int, int], what: tuple[Draw, int, int, tuple[int, int]]
) -> None:
    """Draw a chunk into its place in the shared file."""
    (folder, slots, chunk, slot), (function, seed, start, length) = where, what
    images, labels = _mapped(folder, slots, chunk, "r+")
    images[slot], labels[slot] = function(seed, start, chunk, length)
