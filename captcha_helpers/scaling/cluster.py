"""Connect to a Ray cluster or start a small one here; whatever goes wrong with it is one line."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit

from captcha_helpers.core.extras import needs

LOCAL = "local"  # the address of a cluster that is started for the work and ends with it
_CLIENT_PORT = 10001  # of ray://, where none is given
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PATIENCE = 5  # seconds until an address counts as one where nothing answers
_STARTS = 3  # Ray gives its own processes 15 s to start, which a busy machine may not keep
_STORE = 256 * 2**20  # bytes of shared memory for what tasks hand over, which is little
_AHEAD = 4  # pieces of work in the cluster for each of its cores

Item = TypeVar("Item")


def check_installed() -> None:
    """See that all of the extra is there.

    Raises:
        ImportError: If not; it says what to install.
    """
    for module in ("fsspec", "pyarrow", "ray"):
        if find_spec(module) is None:
            raise ImportError(needs(f"Work on a cluster needs {module}", "scale"))


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Use a cluster. Nothing is sent to anybody but it: Ray's usage statistics are off.

    If this process has a connection already (`ray.init`), that one is used, and stays. What is
    printed in the block goes to stderr.

    Args:
        address: ``"local"`` starts a cluster of all cores on this machine's loopback interface and
            ends it after the block. ``"host:port"`` is a cluster that this machine is part of,
            ``"ray://host:port"`` one that it is not.

    Yields:
        The module `ray`.

    Raises:
        ConnectionError: If there is no cluster, or it broke down.
        ValueError: If the address is none.
    """
    host = _probe(address)
    # Ray reads these when it is first imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if host in _LOOPBACK:  # or it would take this machine's address in the network
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_connect_timeout_s", str(_PATIENCE))
    import ray
    import ray.exceptions

    mine = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # where Ray prints that it repeats a task
        if mine:
            _start(ray, address)
        try:
            yield ray
        except ray.exceptions.RayError as error:
            raise ConnectionError(
                f"the cluster at {address!r} broke down: {_line(error)}"
            ) from error
        finally:
            if mine:
                ray.shutdown()


def _probe(address: str) -> str:
    """See that something listens there, for which Ray would wait long; gives the host."""
    if address == LOCAL:
        return _LOOPBACK[0]
    parts = urlsplit(address if "://" in address else f"//{address}")
    with suppress(ValueError):  # of a port that is no number
        port = parts.port or (_CLIENT_PORT if parts.scheme else None)
        if parts.scheme in ("", "ray") and parts.hostname and port:
            try:
                socket.create_connection((parts.hostname, port), _PATIENCE).close()
            except OSError as error:
                raise ConnectionError(
                    f"no cluster answers at {address!r} ({error.strerror or error}); start one "
                    f"with ray start --head, or take {LOCAL!r} for one on this machine"
                ) from None
            return parts.hostname
    raise ValueError(
        f"{address!r} is no address of a cluster; write {LOCAL!r}, host:port or ray://host:port"
    )


def _start(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    local = {"include_dashboard": False, "object_store_memory": _STORE}
    with _signals_kept():
        for left in reversed(range(_STARTS if address == LOCAL else 1)):
            try:
                ray.init(address, **quiet, **(local if address == LOCAL else {}))
                return
            except Exception as error:  # Ray has many kinds, and one that is nothing but that
                ray.shutdown()
                if not left or "timed out" not in str(error):
                    raise ConnectionError(
                        f"no cluster could be used at {address!r}: {_line(error)}"
                    ) from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back, which Ray replaces by one of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(error: Exception) -> str:
    r"""The first line of what Ray says, which is a page as a rule; with the last, if that explains.

    Example:
        >>> _line(ConnectionError("Refused from server:\n\nTraceback\nRuntimeError: too late\n"))
        'Refused from server: RuntimeError: too late'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return f"{lines[0]} {lines[-1]}" if lines[0].endswith(":") and lines[1:] else lines[0]


def in_order(
    ray: Any, start: Callable[[Item], Any], items: Iterable[Item]
) -> Generator[tuple[Item, Any], None, None]:
    """Have pieces of work done side by side, and give them back in their order.

    Ray places and repeats them. A few for each core are in its queue at a time, so that memory does
    not grow with the work; what is left when the generator is closed is cancelled. So close it.

    Args:
        ray: What `connected` gave.
        start: From a piece to the reference of its result.
        items: The pieces.

    Yields:
        Each piece and its reference, for `result_of`.
    """
    waiting: deque[tuple[Item, Any]] = deque()
    try:
        for item in items:
            waiting.append((item, start(item)))
            if len(waiting) >= _AHEAD * max(1, ray.cluster_resources().get("CPU", 1)):
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for _, reference in waiting if ray.is_initialized() else ():  # cancel would start one
            with suppress(Exception):  # of a cluster that is gone
                ray.cancel(reference, force=True)


def result_of(ray: Any, reference: Any) -> Any:
    """Wait for a result; an error of the work itself is raised as it was raised there."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
