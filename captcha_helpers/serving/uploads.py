"""Take images out of HTTP requests, within limits that hold while the bytes come in."""

from __future__ import annotations

import math
from typing import NamedTuple

from captcha_helpers.core.extras import needs

try:
    import anyio
    from python_multipart import FormParser
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import Field, File, parse_options_header
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Taking uploads needs {error.name}", "serve")) from error

MAX_BYTES = 2_000_000  # of one image
FIELD = "file"

_FORM = 100_000  # bytes that a form may add to its files
_TOGETHER = 256_000_000  # bytes of all bodies that are in memory at one time
_WANTED = f"send the image itself, or a form (multipart/form-data) with a file field {FIELD!r}"


class Upload(NamedTuple):
    """A file that a client sent: its name, or nothing, and what is in it."""

    name: str
    data: bytes


class Uploads:
    """Reads the bodies of requests; nothing is written to disk.

    Args:
        seconds: How long a body may take to arrive.
    """

    def __init__(self, seconds: float = 20.0) -> None:
        self.seconds = seconds
        self._held = 0

    async def files(self, request: Request, *, most: int, max_bytes: int) -> list[Upload]:
        """Take the files out of a request, a form or a single image without one.

        Args:
            request: The request, whose body nobody has read.
            most: How many files there may be.
            max_bytes: How many bytes they may have together; one has `MAX_BYTES` at most.

        Returns:
            At least one file.

        Raises:
            HTTPException: 400 if there is no file or the form is damaged, 408 if the client is too
                slow, 413 if it sends too much, 415 if the content type is another, 503 if many
                others send something at this time.
        """
        content_type = request.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            body = await self._body(request, max_bytes + _FORM)
            # In a thread: a form that is made to be hard takes a tenth of a second.
            files = await anyio.to_thread.run_sync(_from_form, content_type, body, most)
        elif kind in ("", "application/octet-stream") or kind.startswith("image/"):
            files = [Upload("", await self._body(request, MAX_BYTES))]
        else:
            raise HTTPException(415, f"the content type is {kind!r}; {_WANTED}")
        if not any(file.data for file in files):
            raise HTTPException(400, f"there is nothing in the upload; {_WANTED}")
        if any(len(file.data) > MAX_BYTES for file in files):
            raise _too_large(MAX_BYTES)
        return files

    async def _body(self, request: Request, limit: int) -> bytes:
        if int(request.headers.get("content-length", 0)) > limit:  # the server has checked it
            raise _too_large(limit)
        body = bytearray()
        try:
            with anyio.fail_after(self.seconds):
                async for chunk in request.stream():
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > limit:
                        raise _too_large(limit)
                    if self._held > _TOGETHER:
                        raise HTTPException(
                            503, "too many uploads at a time; try again", {"Retry-After": "1"}
                        )
        except TimeoutError:
            raise HTTPException(
                408,
                f"the upload took longer than {self.seconds:g} seconds",
                {"Connection": "close"},
            ) from None
        except ClientDisconnect:
            raise HTTPException(400, "the upload was broken off") from None
        finally:
            self._held -= len(body)
        return bytes(body)


def _from_form(content_type: str, body: bytes, most: int) -> list[Upload]:
    files: list[Upload] = []

    def take(part: File | Field) -> None:
        if part.field_name != FIELD.encode() or isinstance(part, Field):
            name = (part.field_name or b"").decode(errors="replace")
            raise HTTPException(400, f"the form has a field {name!r} with no use; {_WANTED}")
        if len(files) == most:
            raise HTTPException(400, f"the form has more than {most} files; {_WANTED}")
        name = (part.file_name or b"").decode(errors="replace")
        part.file_object.seek(0)
        files.append(Upload(name, part.file_object.read()))

    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise HTTPException(400, f"the form is damaged: it names no boundary; {_WANTED}")
    # What looks like a boundary costs the parser a thousand times what another byte costs.
    if body.count(b"\n--" + boundary) > most + 1:
        raise HTTPException(400, f"the form has more than {most} files; {_WANTED}")
    config = {"MAX_MEMORY_FILE_SIZE": math.inf}
    try:
        parser = FormParser("multipart/form-data", take, take, boundary=boundary, config=config)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise HTTPException(400, f"the form is damaged; {_WANTED}") from None
    return files


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the upload has more than {limit:,} bytes")
