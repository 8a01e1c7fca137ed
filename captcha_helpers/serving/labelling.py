"""The page on which one labels a folder: `label` shows it, and ``captcha-helpers label`` too.

It listens on this machine only. The address has a random part, and requests that come from another
page, or by another name of this machine, are refused: no web page that is open in the same browser
can read an image or write a label. In a notebook the page is shown in a cell's output, and in Colab
it comes from there by Google's proxy: then the random part of the address is what keeps others out.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from captcha_helpers.core.extras import needs

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Labelling needs {error.name}", "serve")) from error

from PIL import Image

from captcha_helpers.core.files import WEB
from captcha_helpers.core.output import say
from captcha_helpers.data.images import ImageError, load_image
from captcha_helpers.data.label_book import take_labels
from captcha_helpers.data.names import counted
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.mask import Mask
from captcha_helpers.reading.recognizer import Recognizer
from captcha_helpers.serving.label_session import (
    MINUTES,
    ChangedMeanwhileError,
    Item,
    LabelError,
    LabelSession,
    NewCharacterError,
)
from captcha_helpers.serving.server import listen, server_of, url_of

HOST = "127.0.0.1"
MAX_BODY = 10_000  # bytes
FRAME_HEIGHT = 760  # pixels, in a notebook

_FILES = {"": "label.html", "label.js": "label.js", "style.css": "style.css"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Sent = Mapping[str, Any]  # the query of a GET, the JSON object of a POST


def create_label_app(
    session: LabelSession, *, token: str, port: int, framed: bool = False, proxied: bool = False
) -> Starlette:
    """Make the page of a session.

    Args:
        session: The folder that is being labelled.
        token: The random part of its address.
        port: Where it is served, on this machine.
        framed: Let another page, a notebook, show it in a frame.
        proxied: Take requests by any name of this machine: a proxy passes them on, which gives
            them its own.

    Returns:
        The application.
    """
    names = None if proxied else (f"{HOST}:{port}", f"localhost:{port}")
    headers = _HEADERS if framed else _HEADERS | {"X-Frame-Options": "DENY"}

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Any:
        async def guard(request: Request) -> Response:
            if names and not _comes_from(request, names):
                return JSONResponse({"detail": "this page is for this machine only"}, 403)
            response = await answer(request)
            response.headers.update(headers)
            return response

        return guard

    def answering(do: Callable[[LabelSession, Sent], Any]) -> Any:
        async def answer(request: Request) -> Response:
            try:
                sent = request.query_params if request.method == "GET" else await _body(request)
                found = await run_in_threadpool(do, session, sent)
            except Exception as error:
                return _problem(error)
            return found if isinstance(found, Response) else JSONResponse(found)

        return guarded(answer)

    def showing(name: str) -> Any:
        async def answer(_: Request) -> Response:
            return FileResponse(WEB / name)

        return guarded(answer)

    routes = [Route(f"/{token}/{path}", showing(name)) for path, name in _FILES.items()]
    for path, (method, do) in _ANSWERS.items():
        routes.append(Route(f"/{token}/{path}", answering(do), methods=[method]))
    return Starlette(routes=routes)


def label(
    folder: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    labels_from: str | os.PathLike[str] | None = None,
    model: Recognizer | str | os.PathLike[str] = "general",
    out: str | os.PathLike[str] | None = None,
    charset: str | None = None,
    length: tuple[int, int] | None = None,
    ignore_case: bool | None = None,
    trainings: bool = True,
    minutes: float = MINUTES,
    only: Sequence[str] | Mapping[str, Reading] | None = None,
    port: int = 0,
    open_browser: bool = True,
) -> LabelPage | None:
    """Show a page on which one labels the images of a folder, until Ctrl-C.

    In a notebook the page is shown below the cell and stays there until it is closed; the kernel is
    free meanwhile.

    Each image stands there with what the reader reads; Enter accepts, typing corrects. Each label
    is written to a CSV file at once; the images stay as they are. With 20, 50, 100, 200 ... labels
    a reader is trained that guesses better.

    Args:
        folder: The images.
        labels: The file of labels; by default ``labels.csv`` in the folder. One that is there is
            kept and extended.
        labels_from: Another list of labels, an export of Label Studio, say, which are taken first
            where an image has none.
        model: What guesses first: a reader, or what `captcha_helpers.load` opens. Trainings begin
            with it if it is a ``.keras`` file.
        out: Where the page writes the reader that it trained, a ``.keras`` file. One that it wrote
            before is replaced.
        charset: What is known of the strings, as for `captcha_helpers.load`.
        length: As for `captcha_helpers.load`.
        ignore_case: As for `captcha_helpers.load`.
        trainings: Whether readers are trained meanwhile.
        minutes: Time of each training.
        only: Names of images to go through in this order, with a label or without, perhaps each
            with what it is read as; ``"sub/1.png"`` for one in a sub-folder.
        port: The port on this machine; 0 takes a free one.
        open_browser: Whether to open the page, or to show it below the cell.

    Returns:
        In a notebook the page, with its ``url`` and ``close()``; else None, when it has ended.

    Raises:
        FileExistsError: If `out` exists, and is no reader that was saved while these images were
            labelled.
        NotADirectoryError: If there is no such folder.
        OSError: If the labels cannot be written, or the port is in use.
        ValueError: If there is no image, or a file of labels is something else.
    """
    listener = listen(HOST, port)
    try:
        session = LabelSession(
            folder,
            labels=labels,
            model=model,
            out=out,
            mask=Mask(charset, length, bool(ignore_case)),
            trainings=trainings,
            minutes=minutes,
            only=only,
        )
    except BaseException:
        listener.close()
        raise
    page = LabelPage(session, listener)
    try:
        if labels_from is not None:
            taken = take_labels(session.book, session.folder, labels_from)
            say(
                f"{counted(taken.new, 'label')} taken from {os.fspath(labels_from)}; not "
                f"taken: {taken.kept} of images that have another label, {taken.missing} of "
                "images that are not there"
            )
        images = counted(session.progress().images, "image")
        say(f"{os.fspath(folder)}: {images}; labels go to {session.book.path}")
        if page.framed:
            page.start()
            if open_browser:
                page.show()
            return page
        say(f"Label them at {page.url} (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(page.url)
        page.run()
    except BaseException:
        page.close()
        raise
    page.close()
    return None


class LabelPage:
    """The page of one folder; in a notebook a thread answers for it.

    Args:
        session: The folder that is being labelled.
        listener: Where the page is served.

    Attributes:
        url: Where a browser on this machine finds it.
        framed: Whether it is a notebook's.
    """

    def __init__(self, session: LabelSession, listener: socket.socket) -> None:
        self.framed, colab = _in_notebook(), "google.colab" in sys.modules
        self._path, self._port = f"/{secrets.token_urlsafe(16)}/", listener.getsockname()[1]
        self._session, self._listener = session, listener
        self.url = url_of(HOST, listener) + self._path
        app = create_label_app(
            session,
            token=self._path.strip("/"),
            port=self._port,
            framed=self.framed,
            proxied=self.framed and colab,
        )
        self._server = server_of(app)
        self._thread = threading.Thread(target=self.run, daemon=True)

    def __repr__(self) -> str:
        return f"<page to label {self._session.folder.name!r} at {self.url}; close() ends it>"

    def run(self) -> None:
        """Answer until Ctrl-C, or `close` in another thread."""
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Answer in the background, until `close` or the kernel's end."""
        self._thread.start()
        atexit.register(self.close)

    def show(self) -> None:
        """Show the page below the cell."""
        if "google.colab" in sys.modules:
            from google.colab import output

            output.serve_kernel_port_as_iframe(self._port, path=self._path, height=FRAME_HEIGHT)
            return
        from IPython.display import IFrame, display

        display(IFrame(self.url, "100%", FRAME_HEIGHT))

    def close(self) -> None:
        """End the page and the training under way; the labels are in their file already."""
        atexit.unregister(self.close)
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        self._session.close()


def _in_notebook() -> bool:
    """Whether this is a kernel, which shows pages; a terminal's IPython does not."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _comes_from(request: Request, names: Sequence[str]) -> bool:
    """Whether it was sent to this machine by these names, and by the page itself."""
    host, origin = request.headers.get("host"), request.headers.get("origin", "")
    return host in names and (not origin or origin.removeprefix("http://") in names)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise LabelError("the request is too large")
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LabelError("the request is no JSON object")
    return found


def _problem(error: Exception) -> Response:
    """What a request is answered with that went wrong."""
    if isinstance(error, ChangedMeanwhileError):
        return JSONResponse({"detail": str(error), "kind": "changed"}, 409)
    if isinstance(error, NewCharacterError):
        return JSONResponse({"detail": str(error), "kind": "new"}, 409)
    if isinstance(error, KeyError):
        return JSONResponse({"detail": "there is no such image"}, 404)
    if isinstance(error, ImageError):
        return JSONResponse({"detail": error.reason}, 422)
    if isinstance(error, LabelError):
        return JSONResponse({"detail": str(error)}, 422)
    if isinstance(error, OSError):
        return JSONResponse({"detail": f"not written: {error}"}, 507)
    raise error


def _text(sent: Sent, key: str, default: str | None = None) -> str:
    value = sent.get(key, default)
    if not isinstance(value, str):
        raise LabelError(f"{key} must be a string")
    return value


def _state(session: LabelSession, _: Sent | None = None) -> dict[str, Any]:
    return asdict(session.progress()) | {
        "labels": os.fspath(session.book.path),
        "out": os.fspath(session.out) if session.out else "",
    }


def _item(session: LabelSession, sent: Sent) -> dict[str, Any]:
    return {"item": _described(session.item(_text(sent, "name")))}


def _next(session: LabelSession, _: Sent) -> dict[str, Any]:
    item = session.next()
    return {"item": None if item is None else _described(item)}


def _described(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {"name": item.name, "label": item.label, "problem": item.problem}
    if item.guess is not None:
        found["guess"] = item.guess.text
        found["confidence"] = item.guess.confidence
        found["characters"] = [one._asdict() for one in item.guess.characters]
    return found


def _image(session: LabelSession, sent: Sent) -> Response:
    image, data = load_image(session.path(_text(sent, "name")), strict=False), io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return Response(data.getvalue(), media_type="image/png")


def _label(session: LabelSession, sent: Sent) -> dict[str, Any]:
    name, text, before = (_text(sent, key, "") for key in ("name", "label", "before"))
    session.label(name, text, before=before, sure=sent.get("sure") is True)
    return _state(session)


def _set_aside(session: LabelSession, sent: Sent) -> dict[str, Any]:
    do = session.set_aside if sent.get("unreadable") is True else session.skip
    do(_text(sent, "name"))
    return _state(session)


def _survey(session: LabelSession, _: Sent) -> dict[str, Any]:
    session.survey()
    return _state(session)


def _accept(session: LabelSession, _: Sent) -> dict[str, Any]:
    return {"accepted": session.accept_confident()} | _state(session)


def _save(session: LabelSession, _: Sent) -> dict[str, Any]:
    return {"saved": os.fspath(session.save())}


_ANSWERS: dict[str, tuple[str, Callable[[LabelSession, Sent], Any]]] = {
    "state": ("GET", _state),
    "item": ("GET", _item),
    "image": ("GET", _image),
    "next": ("POST", _next),
    "label": ("POST", _label),
    "aside": ("POST", _set_aside),
    "survey": ("POST", _survey),
    "accept": ("POST", _accept),
    "save": ("POST", _save),
}
