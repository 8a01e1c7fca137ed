"""Train in several processes, on one machine or many: how they find each other, and how they end.

They meet at an address of process 0, by `jax.distributed`. A process that ends by itself waits for
the others; one that fails, or is killed, takes all others with it, since a step needs them all.

JAX then ends a process from its C++ code, with a page on the standard error. So this file is also a
program, through which a process sends its standard error: it makes a line of the page.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

HEARTBEAT = 30  # seconds without a sign of life until a process counts as dead
TO_BEGIN = 300  # seconds until all must have been started
FATAL = b"the JAX distributed service detected fatal errors"  # what its C++ code says
OWN = ("begin", "deadline", "out", "process")  # options that differ between processes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `together` needs."""
    parser.add_argument("--processes", type=int, default=1, help="that train together, in all")
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="if they are on several machines: a free port of that of process 0",
    )
    parser.add_argument("--process", type=int, default=0, help="which one this is, from 0 on")


@contextmanager
def together(options: argparse.Namespace, command: Sequence[str]) -> Iterator[None]:
    """Be one of several processes that train; a single one is not changed.

    Without ``--coordinator`` the other processes are started here, on this machine.

    Args:
        options: Those of `add_options`, and whatever else must be the same for all processes.
        command: What starts a process: arguments of Python.

    Raises:
        SystemExit: If Keras does not run on JAX, or the devices cannot share the work.
    """
    if options.processes == 1:
        yield
        return
    import keras

    if keras.backend.backend() != "jax":
        raise SystemExit("--processes needs Keras on JAX: install jax, and set KERAS_BACKEND=jax")
    others = [] if options.coordinator else _start_others(options, command)
    with _short_stderr(f"process {options.process} of {options.processes}"):
        try:
            _join(options)
            yield
            _leave()
        except BaseException as error:
            # No farewell: it would wait for processes which wait for this one.
            _explain(error)
            os._exit(1)
    for other in others:
        other.wait()


def free_address() -> str:
    """Find a free port of this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def _start_others(
    options: argparse.Namespace, command: Sequence[str]
) -> list[subprocess.Popen[bytes]]:
    options.coordinator = free_address()
    line = [sys.executable, *command, "--coordinator", options.coordinator, "--process"]
    return [subprocess.Popen([*line, str(number)]) for number in range(1, options.processes)]


def _join(options: argparse.Namespace) -> None:
    import jax
    from jax.experimental import multihost_utils

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is lost yet, and JAX would not listen
    jax.distributed.initialize(
        options.coordinator,
        options.processes,
        options.process,
        initialization_timeout=TO_BEGIN,
        heartbeat_timeout_seconds=HEARTBEAT,
    )
    settings = {name: str(value) for name, value in vars(options).items() if name not in OWN}
    digest = hashlib.sha256(repr(sorted(settings.items())).encode()).digest()
    multihost_utils.assert_equal(
        np.frombuffer(digest, np.uint8), "the processes were started with different options"
    )


def _leave() -> None:
    import jax

    jax.distributed.shutdown()


def _explain(error: BaseException) -> None:
    import jax

    if isinstance(error, jax.errors.JaxRuntimeError):
        print(f"{FATAL.decode()}: {' '.join(str(error).split())[-200:]}", file=sys.stderr)
    elif isinstance(error, SystemExit):
        print(error, file=sys.stderr)
    else:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()


@contextmanager
def _short_stderr(name: str) -> Iterator[None]:
    """Send the standard error of this process, its C++ code included, through `_shorten`."""
    program = subprocess.Popen([sys.executable, __file__, name], stdin=subprocess.PIPE)
    assert program.stdin is not None
    before = os.dup(2)
    os.dup2(program.stdin.fileno(), 2)
    program.stdin.close()
    yield
    # Not waited for: it goes on as long as anything that was started meanwhile can say something.
    os.dup2(before, 2)
    os.close(before)


def _shorten(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    r"""Make one line of all that JAX says when another process has ended.

    Example:
        >>> said = [b"a\n", b"E1127 coordination_service_agent.cc:289] Polled an error\n", b"b\n"]
        >>> b"".join(_shorten(said, "process 1 of 2")).decode().splitlines()
        ['a', 'process 1 of 2 ends, probably since another one has ended']
    """
    for line in lines:
        if b"coordination_service" in line or FATAL in line:
            reason = line.partition(FATAL + b":")[2].strip()
            end = f"{name} ends, probably since another one has ended".encode()
            yield end + b": " * bool(reason) + reason + b"\n"
            return
        yield line


def _main() -> None:
    """Be the program that shortens the standard error of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in _shorten(sys.stdin.buffer, sys.argv[1]):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
    for _ in sys.stdin.buffer:
        pass  # whoever writes should not fail


if __name__ == "__main__":
    _main()
