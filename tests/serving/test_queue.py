"""The queue: batches come about by themselves, everybody gets the own answer, and nobody hangs."""

from __future__ import annotations

import asyncio
import io
import threading
import time
import unittest
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from captcha_helpers.data.images import ImageError
from captcha_helpers.reading.model_file import ModelSpec
from captcha_helpers.reading.recognizer import Recognizer
from captcha_helpers.serving import queue
from captcha_helpers.serving.queue import QueueFullError, ReaderFailedError, ReadingQueue

decode = queue._decode
SPEC = ModelSpec("abcdefgh", length=(1, 1), height=16, width=32)


def picture(number: int) -> bytes:
    """An image whose grey says which character `says_its_grey` reads."""
    file = io.BytesIO()
    image = Image.new("L", (32, 16), 20 + 25 * number)
    image.putpixel((0, 0), 21 + 25 * number)  # one of a single colour has nothing to read in it
    image.save(file, "PNG")
    return file.getvalue()


def says_its_grey(images: np.ndarray) -> np.ndarray:
    logits = np.zeros((len(images), 2, 9), np.float32)
    for row, image in enumerate(images):
        logits[row, :, 0] = 5
        logits[row, 0, 1 + (int(image.mean()) - 20) // 25] = 30
    return logits


def reading(work: Callable[[ReadingQueue], object], run=says_its_grey, **options) -> object:
    async def inside() -> object:
        async with ReadingQueue(Recognizer(run, SPEC), **options) as queue:
            return await asyncio.wait_for(work(queue), 20)

    return asyncio.run(inside())


def test_many_clients_at_a_time_get_their_own_answers():
    async def clients(queue: ReadingQueue) -> list[str]:
        waiting = [queue.read([picture(number % 8)]) for number in range(60)]
        return [answer.text for (answer,) in await asyncio.gather(*waiting)]

    sizes: list[int] = []
    texts = reading(clients, batch_size=8, on_batch=sizes.append)
    assert texts == ["abcdefgh"[number % 8] for number in range(60)]
    assert sum(sizes) == 60 and max(sizes) <= 8


def test_what_gathers_while_the_model_works_goes_through_together():
    first, go_on, sizes = threading.Event(), threading.Event(), []

    def slow(images: np.ndarray) -> np.ndarray:
        first.set()
        go_on.wait(10)
        return says_its_grey(images)

    async def clients(queue: ReadingQueue) -> None:
        one = asyncio.create_task(queue.read([picture(0)]))
        await asyncio.to_thread(first.wait, 10)
        more = [asyncio.create_task(queue.read([picture(n)])) for n in range(5)]
        while queue._waiting.qsize() < 5:
            await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(one, *more)

    reading(clients, slow, on_batch=sizes.append)
    assert sizes == [1, 5]


def test_a_bad_image_is_answered_and_does_not_affect_the_others():
    async def batch(queue: ReadingQueue) -> object:
        return await queue.read([picture(1), b"no image", picture(2)])

    first, bad, last = reading(batch)
    assert (first.text, last.text) == ("b", "c") and isinstance(bad, ImageError)


def test_a_full_queue_takes_nothing_and_is_empty_again_afterwards():
    async def clients(queue: ReadingQueue) -> int:
        with pytest.raises(QueueFullError, match="0 images are waiting"):
            await queue.read([picture(0)] * 3)
        await queue.read([picture(0)] * 2)
        return queue.images

    assert reading(clients, size=2) == 0


def test_a_model_that_fails_says_so_and_the_next_image_is_read():
    broken = [True]

    def fails_once(images: np.ndarray) -> np.ndarray:
        if broken.pop() if broken else False:
            raise RuntimeError("no memory for /secret/path")
        return says_its_grey(images)

    async def clients(queue: ReadingQueue) -> str:
        with pytest.raises(ReaderFailedError, match=r"the model failed \(RuntimeError\)") as error:
            await queue.read([picture(0)])
        assert "secret" not in str(error.value)
        return (await queue.read([picture(3)]))[0].text

    with unittest.TestCase().assertLogs() as logged:
        assert reading(clients, fails_once) == "d"
    assert "secret" in "".join(logged.output)  # only in the log


def test_who_goes_away_leaves_no_place_occupied():
    held, go_on = threading.Event(), threading.Event()

    def slow(images: np.ndarray) -> np.ndarray:
        held.set()
        go_on.wait(10)
        return says_its_grey(images)

    async def clients(queue: ReadingQueue) -> tuple[int, str]:
        gone = asyncio.create_task(queue.read([picture(0)]))
        await asyncio.to_thread(held.wait, 10)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        left = queue.images
        go_on.set()
        return left, (await queue.read([picture(4)]))[0].text

    assert reading(clients, slow) == (0, "e")


def test_many_images_of_one_request_do_not_hold_up_another(monkeypatch: pytest.MonkeyPatch):
    """Who sends one image waits for the image that is being decoded, not for the whole batch."""
    decoded = []

    def slow_decoding(*arguments: object) -> object:
        time.sleep(0.02)
        decoded.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(queue, "_decode", slow_decoding)

    async def clients(reader: ReadingQueue) -> int:
        many = [asyncio.create_task(reader.read([picture(1)] * 20)) for _ in range(2)]
        while not decoded:
            await asyncio.sleep(0.001)
        before = len(decoded)
        (answer,) = await reader.read([picture(3)])
        between = len(decoded) - before
        assert answer.text == "d"
        assert [found.text for batch in await asyncio.gather(*many) for found in batch] == 40 * [
            "b"
        ]
        return between

    assert reading(clients) < 15  # of the 39 images that came before it


def test_the_model_too_takes_a_single_image_before_the_rest_of_a_batch():
    first, go_on, order = threading.Event(), threading.Event(), []

    def slow(images: np.ndarray) -> np.ndarray:
        first.set()
        go_on.wait(10)
        order.extend((images.mean(axis=(1, 2, 3)) - 20) // 25)
        return says_its_grey(images)

    async def clients(reader: ReadingQueue) -> None:
        many = asyncio.create_task(reader.read([picture(1)] * 12))
        await asyncio.to_thread(first.wait, 10)
        while reader._waiting.qsize() < 11:
            await asyncio.sleep(0.01)
        single = asyncio.create_task(reader.read([picture(3)]))
        while reader._waiting.qsize() < 12:
            await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(many, single)

    reading(clients, slow, batch_size=1)
    assert order.index(3) < 11  # it came last


def test_the_pixels_of_a_request_are_counted_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "MAX_REQUEST_PIXELS", 3 * 32 * 16 - 1)

    async def batch(reader: ReadingQueue) -> object:
        return await reader.read([picture(1), picture(2), picture(3)]), await reader.read(
            [picture(4)]
        )

    (first, second, third), (other,) = reading(batch)
    assert (first.text, second.text, other.text) == ("b", "c", "e")
    assert isinstance(third, queue.TooManyTogetherError) and "together" in third.reason


@pytest.mark.parametrize("options", [{"size": 0}, {"batch_size": 0}])
def test_a_queue_for_nothing_is_refused(options: dict):
    with pytest.raises(ValueError, match="at least 1 image"):
        ReadingQueue(Recognizer(says_its_grey, SPEC), **options)
