"""Read images that come one by one, from many sides, in batches.

While the model reads a batch, the next one gathers. Nobody waits for a batch to be full.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.ctc import LengthError
from captcha_helpers.data.images import ImageError, TooManyPixelsError, load_image
from captcha_helpers.reading.decoder import Decoder, Reading
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import Recognizer

MAX_PIXELS = 4_000_000  # of one image
MAX_REQUEST_PIXELS = 16_000_000  # of all images of a request together

_PLACE = 0.05  # seconds by which each image of a request queues behind the one before

_Image = tuple[NDArray[np.uint8], Decoder, "asyncio.Future[Reading]"]
_Waiting = tuple[float, int, _Image]  # when it is due, what breaks ties, and what it is


class TooManyTogetherError(TooManyPixelsError):
    """An image that was not decoded because its request has too many pixels with it."""


class QueueFullError(Exception):
    """So many images wait that no more are taken; try again."""


class ReaderFailedError(Exception):
    """The model itself failed, whatever the image was."""


class ReadingQueue:
    """A reader for many clients at a time, to be used in ``async with``.

    Images are decoded in threads and go through the model in one more, so the event loop is free
    for other clients meanwhile. A request of many images does not hold up the others: its images
    are decoded one at a time, and each queues for the model as if it had come a little after the
    one before. Leaving the ``async with`` block ends the threads; see to it that
    all have got their answers before.

    Args:
        reader: Reads the images.
        size: Images that may be here at a time, those included that are being read.
        batch_size: Images that go through the model together, at most.
        on_batch: Is told the number of images of each batch.

    Raises:
        ValueError: If `size` or `batch_size` is not positive.

    Example:
        >>> from captcha_helpers.reading.model_file import ModelSpec
        >>> def says_ab(images):
        ...     return np.repeat(9.0 * np.eye(3)[[1, 0, 2]][None], len(images), axis=0)
        >>> reader = Recognizer(says_ab, ModelSpec("ab", length=(1, 3), height=16, width=32))
        >>> async def read(data):
        ...     async with ReadingQueue(reader) as queue:
        ...         return await queue.read([data])
        >>> asyncio.run(read(b"GIF, or not?"))
        [NotAnImageError('the image bytes', ...)]
    """

    def __init__(
        self,
        reader: Recognizer,
        *,
        size: int = 256,
        batch_size: int = 32,
        on_batch: Callable[[int], object] = lambda _: None,
    ) -> None:
        if min(size, batch_size) < 1:
            raise ValueError(
                f"the queue and a batch must take at least 1 image, received {size} and "
                f"{batch_size}"
            )
        self.reader = reader
        self.size = size
        self.batch_size = batch_size
        self.on_batch = on_batch
        self.images = 0

    async def __aenter__(self) -> ReadingQueue:
        self._waiting: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue()
        self._count = count()
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self._model = ThreadPoolExecutor(1, "model")
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._worker.cancel()
        self._decoders.shutdown(cancel_futures=True)
        self._model.shutdown(cancel_futures=True)

    async def read(
        self, images: Sequence[bytes], decoder: Decoder | None = None
    ) -> list[Reading | ImageError]:
        """Read images, in whatever batches come about.

        Args:
            images: Image files, each of `MAX_PIXELS` pixels at most, and of
                `MAX_REQUEST_PIXELS` together: those that come after are not decoded.
            decoder: Reads the logits of these images; by default the reader's own.

        Returns:
            For each image its reading, or why it cannot be used.

        Raises:
            QueueFullError: If there is no room for all of them.
            ReaderFailedError: If the model fails.
            LengthError: If the model has too few frames for the decoder's length.
        """
        decoder = decoder or self.reader.decoder
        if self.images + len(images) > self.size:
            raise QueueFullError(f"{self.images} images are waiting; try again")
        self.images += len(images)
        try:
            request = _Request()
            waiting = [
                self._read(image, decoder, request, place) for place, image in enumerate(images)
            ]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            self.images -= len(images)
        readings: list[Reading | ImageError] = []
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ImageError):
                raise answer
            readings.append(answer)
        return readings

    async def _read(self, image: bytes, decoder: Decoder, request: _Request, place: int) -> Reading:
        loop = asyncio.get_running_loop()
        async with request.turn:
            prepared, pixels = await loop.run_in_executor(
                self._decoders, _decode, image, self.reader.spec, request.pixels
            )
            request.pixels -= pixels
        answer: asyncio.Future[Reading] = loop.create_future()
        due = loop.time() + place * _PLACE
        self._waiting.put_nowait((due, next(self._count), (prepared, decoder, answer)))
        return await answer

    async def _work(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self.batch_size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._read_batch([image for _, _, image in batch])

    async def _read_batch(self, batch: list[_Image]) -> None:
        self.on_batch(len(batch))
        images, decoders, answers = zip(*batch, strict=True)
        readings: Sequence[Reading | Exception]
        try:
            readings = await asyncio.get_running_loop().run_in_executor(
                self._model, _read_together, self.reader, np.stack(images), decoders
            )
        except Exception as error:  # each runtime has its own
            logging.getLogger(__name__).exception("the model failed")
            readings = [ReaderFailedError(f"the model failed ({type(error).__name__})")] * len(
                batch
            )
        for answer, reading in zip(answers, readings, strict=True):
            if answer.done():  # whoever asked has gone
                continue
            if isinstance(reading, Exception):
                answer.set_exception(reading)
            else:
                answer.set_result(reading)


class _Request:
    """What the images of a request share: their turn at the decoders, and the pixels left."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.pixels = MAX_REQUEST_PIXELS


def _read_together(
    reader: Recognizer, images: NDArray[np.uint8], decoders: Sequence[Decoder]
) -> list[Reading | LengthError]:
    """Run the model once, then let each decoder read its images."""
    logits = reader.run(images)
    readings: list[Reading | LengthError] = [LengthError()] * len(images)
    for decoder in set(decoders):
        rows = [row for row, one in enumerate(decoders) if one is decoder]
        try:
            found: Sequence[Reading | LengthError] = decoder.read(logits[rows])
        except LengthError as error:
            found = [error] * len(rows)
        for row, reading in zip(rows, found, strict=True):
            readings[row] = reading
    return readings


def _decode(image: bytes, spec: ModelSpec, pixels: int) -> tuple[NDArray[np.uint8], int]:
    """Decode and prepare an image of at most so many pixels; tells how many it has, too."""
    try:
        decoded = load_image(image, max_pixels=min(MAX_PIXELS, pixels), frame=spec.processing.frame)
    except TooManyPixelsError:
        if pixels >= MAX_PIXELS:
            raise
        raise TooManyTogetherError(
            "the image bytes",
            f"the images of this request have more than {MAX_REQUEST_PIXELS:,} pixels together; "
            "send fewer or smaller ones at a time",
        ) from None
    return spec.prepare(decoded), decoded.shape[0] * decoded.shape[1]
