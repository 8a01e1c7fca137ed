"""An HTTP service that reads images: `serve` runs it, the command ``captcha-helpers serve`` too.

It keeps nothing: no image is written to disk, no request is logged. What a client can do wrong is
answered with a status from 400 to 422 and ``{"detail": "what to do"}``; 503 means try again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from captcha_helpers.core.extras import needs

try:
    from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        ProcessCollector,
        generate_latest,
    )
    from pydantic import BaseModel, Field
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Serving needs {error.name}", "serve")) from error

import captcha_helpers
from captcha_helpers.core.ctc import LengthError
from captcha_helpers.core.files import WEB
from captcha_helpers.core.output import say
from captcha_helpers.data.decoding import IMAGE_FORMATS
from captcha_helpers.data.images import ImageError, NotAnImageError, TooManyPixelsError
from captcha_helpers.reading.decoder import Decoder, Reading
from captcha_helpers.reading.mask import WORDS, parse_charset, parse_length
from captcha_helpers.reading.recognizer import Recognizer, load
from captcha_helpers.serving.fetch import Fetcher, FetchError
from captcha_helpers.serving.queue import (
    MAX_PIXELS,
    QueueFullError,
    ReaderFailedError,
    ReadingQueue,
)
from captcha_helpers.serving.server import listen, run, url_of
from captcha_helpers.serving.uploads import FIELD, MAX_BYTES, Uploads

MAX_FILES = 32
MAX_BATCH_BYTES = 8_000_000

_PAGES = {
    "/ui": "service.html",
    "/docs": "service_docs.html",
    "/ui/service.js": "service.js",
    "/ui/pictures.js": "pictures.js",
    "/ui/service_docs.js": "service_docs.js",
    "/ui/style.css": "style.css",
}
_DOWNLOADS = 8  # at a time
_RETRY = {"Retry-After": "1"}


class ReadCharacter(BaseModel):
    """One character, and how sure the model is of it (0–1)."""

    char: str
    confidence: float
    lookalikes: str = Field(description="Characters that it might be as well: 0 and O, c and C.")


class Prediction(BaseModel):
    """What the model read in an image."""

    text: str
    confidence: float = Field(description="Probability that the model gives to the text, 0–1.")
    characters: list[ReadCharacter]
    model: str = Field(description="Name of the model file.")
    milliseconds: float = Field(description="From the end of the upload to the answer.")
    warning: str | None = Field(
        default=None,
        description="Names characters that were asked for and that it cannot read, or says that it "
        "has learned only shorter strings than were asked for.",
    )


class BatchEntry(BaseModel):
    """What the model read in one image of several, or why it could not."""

    file: str = Field(description="Name of the file, as the client gave it.")
    text: str | None = None
    confidence: float | None = None
    characters: list[ReadCharacter] | None = None
    status: int = Field(description="What /predict would answer for this image alone.")
    detail: str | None = Field(default=None, description="What is wrong, unless status is 200.")


class Batch(BaseModel):
    """What the model read in several images, in the order in which they came."""

    predictions: list[BatchEntry]
    model: str
    milliseconds: float
    warning: str | None = None


class Health(BaseModel):
    """That the service works, and with which model."""

    status: str
    model: str


class Problem(BaseModel):
    """What is wrong and what to do about it."""

    detail: str


_PROBLEMS = {
    400: "There is no image in the request, or the form is damaged.",
    403: "The host is not allowed.",
    408: "The upload took too long.",
    413: f"More than {MAX_BYTES:,} bytes or {MAX_PIXELS:,} pixels; larger images are not decoded.",
    415: f"Not a {IMAGE_FORMATS} image, or another content type.",
    422: "An image that is damaged or cut short, or that could not be downloaded; or "
    "a charset or length that the model cannot read.",
    503: "The queue is full, or the model failed; try again after the seconds in Retry-After.",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": _PROBLEMS[status]} for status in statuses}


def _form(schema: dict[str, Any], *more: str) -> dict[str, Any]:
    """Describe the body of a request, which `Uploads` reads instead of FastAPI."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: schema}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    for content_type in more:
        content[content_type] = {"schema": _FILE}
    return {"requestBody": {"required": True, "content": content}}


_FILE = {"type": "string", "format": "binary"}
_FILES = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": MAX_FILES}


class _Known:
    """What a client knows of the strings in its images, as parameters of a request."""

    def __init__(
        self,
        charset: Annotated[
            str | None,
            Query(
                description="The only characters that occur: 0123456789, or words with commas "
                f"between them ({', '.join(WORDS)})."
            ),
        ] = None,
        length: Annotated[
            str | None, Query(description="How many there are: 4, or 4-6 for four to six.")
        ] = None,
        ignore_case: Annotated[
            bool | None, Query(description="true: a letter and its other case count as one.")
        ] = None,
    ) -> None:
        self.charset = charset
        self.length = length
        self.ignore_case = ignore_case

    def decoder(self, reader: Recognizer) -> Decoder:
        """The decoder that reads with this, beside what the reader knows already."""
        if self.charset is None and self.length is None and self.ignore_case is None:
            return reader.decoder
        try:
            mask = reader.spec.mask.but(
                charset=None if self.charset is None else parse_charset(self.charset),
                length=None if self.length is None else parse_length(self.length),
                ignore_case=self.ignore_case,
            )
            return Decoder(replace(reader.spec, mask=mask))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None


def create_app(
    reader: Recognizer | str | os.PathLike[str],
    *,
    name: str | None = None,
    allow_url_hosts: Sequence[str] = (),
    queue_size: int = 256,
    batch_size: int = 32,
    upload_seconds: float = 20.0,
) -> FastAPI:
    """Make the service, to be run by uvicorn or within another application.

    Slow clients are for the server to put off: `serve` does it, see
    `captcha_helpers.serving.slow_clients`.

    Args:
        reader: A reader, or a model that `captcha_helpers.load` opens.
        name: What the answers call the model; by default the name of its file.
        allow_url_hosts: Hosts that ``GET /?url=`` may download from, as `serving.fetch`
            takes them.
        queue_size: Images that may be here at a time; more are answered with 503.
        batch_size: Images that go through the model together, at most.
        upload_seconds: How long an upload may take.

    Returns:
        The application.

    Raises:
        ValueError: If a host is no host, or a size not positive; and what `load` raises.

    Example:
        >>> from captcha_helpers import ModelSpec
        >>> reader = Recognizer(lambda images: None, ModelSpec("ab", (1, 3), height=16, width=32))
        >>> sorted(create_app(reader).openapi()["paths"])
        ['/', '/healthz', '/metrics', '/predict', '/predict/batch']
    """
    if not isinstance(reader, Recognizer):
        name = name or Path(reader).name
        reader = load(reader)
    metrics = _Metrics()
    queue = ReadingQueue(
        reader, size=queue_size, batch_size=batch_size, on_batch=metrics.batches.observe
    )
    metrics.queue.set_function(lambda: queue.images)
    service = _Service(
        reader=reader,
        name=name or "model",
        queue=queue,
        uploads=Uploads(upload_seconds),
        fetcher=Fetcher(allow_url_hosts, max_bytes=MAX_BYTES),
        most_files=min(MAX_FILES, queue_size),
    )
    app = _empty_app(queue)
    app.add_middleware(_Measured, metrics=metrics)
    _answer_errors(app)
    _answer_uploads(app, service)
    _answer_urls(app, service)
    _answer_operators(app, service.name, metrics)
    for path, file in _PAGES.items():
        app.add_api_route(path, _page(file), include_in_schema=False)
    return app


@dataclass(frozen=True)
class _Service:
    """What the endpoints share."""

    reader: Recognizer
    name: str  # of the model, in answers
    queue: ReadingQueue
    uploads: Uploads
    fetcher: Fetcher
    most_files: int  # in one request

    async def read(self, image: bytes, decoder: Decoder) -> Reading:
        (reading,) = await self.queue.read([image], decoder)
        if isinstance(reading, ImageError):
            raise reading
        return reading


def _empty_app(queue: ReadingQueue) -> FastAPI:
    """An application that reads what is in the queue as long as it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with queue:
            yield

    return FastAPI(
        title="captcha-helpers",
        version=captcha_helpers.__version__,
        description="Reads text in images. It keeps no image and logs no request.",
        docs_url=None,  # FastAPI's own page loads its script from another host
        redoc_url=None,
        lifespan=lifespan,
    )


def _answer_errors(app: FastAPI) -> None:
    app.exception_handler(ImageError)(_tell_image_error)
    app.exception_handler(FetchError)(_tell_fetch_error)
    app.exception_handler(LengthError)(_tell_length_error)
    app.exception_handler(RequestValidationError)(_tell_parameter_error)
    app.exception_handler(405)(_tell_method)
    app.exception_handler(QueueFullError)(_tell_try_again)
    app.exception_handler(ReaderFailedError)(_tell_try_again)


def _answer_uploads(app: FastAPI, service: _Service) -> None:
    @app.post(
        "/predict",
        summary="Read an image",
        response_description="The text, and how confident the model is of it.",
        responses=_problems(400, 408, 413, 415, 422, 503),
        response_model_exclude_none=True,
        openapi_extra=_form(_FILE, "image/*", "application/octet-stream"),
    )
    async def predict(request: Request, known: Annotated[_Known, Depends()]) -> Prediction:
        """Send the image itself, or a form whose field "file" is the image."""
        decoder = known.decoder(service.reader)
        (file,) = await service.uploads.files(request, most=1, max_bytes=MAX_BYTES)
        begun = time.perf_counter()
        reading = await service.read(file.data, decoder)
        told = _about(service.name, begun, decoder)
        return Prediction(**_fields(reading), **told)

    @app.post(
        "/predict/batch",
        summary="Read several images",
        response_description="A reading of each image, or what is wrong with it.",
        responses=_problems(400, 408, 413, 415, 422, 503),
        response_model_exclude_none=True,
        openapi_extra=_form(_FILES),
    )
    async def predict_batch(request: Request, known: Annotated[_Known, Depends()]) -> Batch:
        """Send a form with one field "file" for each image.

        An image that cannot be read does not affect the others.
        """
        decoder = known.decoder(service.reader)
        files = await service.uploads.files(
            request, most=service.most_files, max_bytes=MAX_BATCH_BYTES
        )
        begun = time.perf_counter()
        readings = await service.queue.read([file.data for file in files], decoder)
        entries = [_entry(*pair) for pair in zip(files, readings, strict=True)]
        return Batch(predictions=entries, **_about(service.name, begun, decoder))


def _answer_urls(app: FastAPI, service: _Service) -> None:
    downloads = asyncio.Semaphore(_DOWNLOADS)

    @app.get(
        "/",
        summary="Read the image at a URL",
        response_class=Response,
        responses={
            200: {"description": "The text.", "content": {"text/plain": {}}},
            307: {"description": "Without a URL, on to the page /ui."},
            **_problems(400, 403, 413, 415, 422, 503),
        },
    )
    async def read_url(
        known: Annotated[_Known, Depends()],
        url: Annotated[
            str | None,
            Query(description="http or https; the host must have been named (--allow-url-host)."),
        ] = None,
    ) -> Response:
        """Download an image and answer with its text alone."""
        if url is None:
            return RedirectResponse("ui")
        decoder = known.decoder(service.reader)
        if downloads.locked():
            raise HTTPException(503, "too many downloads at a time; try again", _RETRY)
        async with downloads:
            image = await service.fetcher.fetch(url)
        return PlainTextResponse((await service.read(image, decoder)).text)


def _answer_operators(app: FastAPI, name: str, metrics: _Metrics) -> None:
    @app.get("/healthz", summary="Ask whether the service works", response_description="It works.")
    async def healthz() -> Health:
        return Health(status="ok", model=name)

    @app.get(
        "/metrics",
        summary="Get figures for Prometheus",
        response_description="The figures.",
        response_class=PlainTextResponse,
    )
    async def figures() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def serve(
    model: str | os.PathLike[str],
    *,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_url_hosts: Sequence[str] = (),
    queue_size: int = 256,
    batch_size: int = 32,
) -> None:
    """Run the service until Ctrl-C, SIGTERM or SIGHUP, and answer first what was sent before it.

    What takes longer than 30 seconds then is given up; a second Ctrl-C waits for nothing.

    Args:
        model: What `captcha_helpers.load` opens.
        charset: As `captcha_helpers.load`; requests may say otherwise.
        length: As `captcha_helpers.load`.
        ignore_case: As `captcha_helpers.load`.
        host: The address to listen at. The service has no passwords: others than this machine
            should reach it only where that does no harm.
        port: The port; 0 takes a free one, which is printed.
        allow_url_hosts: As `create_app`.
        queue_size: As `create_app`.
        batch_size: As `create_app`.

    Raises:
        OSError: If the address cannot be used, most often because something else listens there.
        ValueError: As `create_app`; and what `load` raises.
    """
    with listen(host, port) as listener:
        app = create_app(
            load(model, charset=charset, length=length, ignore_case=ignore_case),
            name=Path(model).name,
            allow_url_hosts=allow_url_hosts,
            queue_size=queue_size,
            batch_size=batch_size,
        )
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of bytes
        url = url_of(host, listener)
        say(f"{os.fspath(model)} reads at {url} (page: {url}/ui, manual: {url}/docs)")
        run(app, listener)


def _fields(reading: Reading) -> dict[str, Any]:
    return {
        "text": reading.text,
        "confidence": reading.confidence,
        "characters": [ReadCharacter(**found._asdict()) for found in reading.characters],
    }


def _entry(file: Any, reading: Reading | ImageError) -> BatchEntry:
    if isinstance(reading, ImageError):
        status, detail = _status(reading)
        return BatchEntry(file=file.name, status=status, detail=detail)
    return BatchEntry(file=file.name, status=200, **_fields(reading))


def _about(model: str, begun: float, decoder: Decoder) -> dict[str, Any]:
    return {
        "model": model,
        "milliseconds": _since(begun),
        "warning": "; ".join(decoder.warnings) or None,
    }


def _since(begun: float) -> float:
    return round(1000 * (time.perf_counter() - begun), 3)


def _page(file: str) -> Any:
    async def page() -> FileResponse:
        return FileResponse(WEB / file)

    return page


def _status(error: ImageError) -> tuple[int, str]:
    if isinstance(error, NotAnImageError):
        return 415, error.reason
    return 413 if isinstance(error, TooManyPixelsError) else 422, error.reason


async def _tell_image_error(request: Request, error: ImageError) -> JSONResponse:
    status, detail = _status(error)
    return JSONResponse({"detail": detail}, status)


async def _tell_fetch_error(request: Request, error: FetchError) -> JSONResponse:
    return JSONResponse({"detail": error.message}, error.status)


async def _tell_length_error(request: Request, error: LengthError) -> JSONResponse:
    return JSONResponse({"detail": f"{error}; ask for another length"}, 422)


async def _tell_parameter_error(request: Request, error: RequestValidationError) -> JSONResponse:
    said = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"detail": "; ".join(said)}, 422)


async def _tell_method(request: Request, error: Exception) -> JSONResponse:
    url, headers = request.url, dict(getattr(error, "headers", None) or {})
    detail = f"{url.path} takes {headers.get('Allow', 'another method')}, not {request.method}"
    if url.path.startswith("/predict"):
        address = f"{url.scheme}://{url.netloc}"
        detail += (
            f"; send an image, as with: curl -F file=@image.png {address}{url.path}; or open "
            f"{address}/ui"
        )
    return JSONResponse({"detail": detail}, 405, headers)


async def _tell_try_again(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, _RETRY)


class _Metrics:
    """What ``/metrics`` tells; each application counts for itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "captcha_requests",
            "Requests that were answered",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "captcha_request_seconds",
            "From the headers of a request to the end of the answer",
            ["endpoint"],
            registry=self.registry,
        )
        self.batches = Histogram(
            "captcha_batch_images",
            "Images that went through the model together",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.queue = Gauge(
            "captcha_queue_images",
            "Images that are here and not yet answered",
            registry=self.registry,
        )


class _Measured:
    """Counts and times every request."""

    def __init__(self, app: Any, metrics: _Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def note_and_send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, note_and_send)
        finally:
            # An address that a client made up must not become a label.
            known = {"/", "/predict", "/predict/batch", "/healthz", "/metrics", *_PAGES}
            endpoint = scope["path"] if scope["path"] in known else "other"
            self.metrics.requests.labels(endpoint, status).inc()
            self.metrics.seconds.labels(endpoint).observe(time.perf_counter() - begun)
