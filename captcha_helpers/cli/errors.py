"""What went wrong, or what ended the work, told in one line on stderr."""

from __future__ import annotations

import io
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from captcha_helpers.core.extras import EXTRA_OF, needs

_ENDS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last one
_NAMES = {signal.SIGINT: "Ctrl-C"}


class _WrongUsage(click.ClickException):
    """A command that was written wrongly, without click's several lines of usage."""

    exit_code = click.UsageError.exit_code


class _Stopped(click.ClickException):
    """A signal ended the work; the exit code is the one that shells give it, as 143 for SIGTERM."""

    def __init__(self, number: int, hint: str) -> None:
        name = _NAMES.get(signal.Signals(number), signal.Signals(number).name)
        super().__init__(f"stopped by {name}; {hint}")
        self.number = number

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click's own is a class attribute
        """The exit code."""
        return exit_code(self.number)


def exit_code(number: int) -> int:
    """The exit code that tells which signal ended a program: 130 of Ctrl-C, 143 of SIGTERM."""
    return 128 + number


def escape_what_cannot_be_written() -> None:
    r"""Let stdout and stderr take every character: as ``\\u0411`` where their encoding lacks it.

    A file or a pipe on Windows has the characters of one code page, and labels have others.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def signals_as_ctrl_c() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does: by a `KeyboardInterrupt`.

    So files that are being written are put in order after each of them. A signal that whoever
    started the program has it ignore (nohup) stays ignored.

    Yields:
        The numbers of the signals that came, which fill while the block runs.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1 or number == signal.SIGINT:  # a lost terminal may tell twice
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # gets no signals anyway
        yield came
        return
    numbers = [getattr(signal, name) for name in _ENDS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] is not signal.SIG_IGN]
    try:
        for number in taken:
            signal.signal(number, stop)
        yield came
    finally:
        for number in taken:
            signal.signal(number, before[number])


@contextmanager
def one_line_errors(ctx: click.Context | None = None, came: Sequence[int] = ()) -> Iterator[None]:
    """Turn errors into one line: our own, click's, which take several, and those of a signal.

    Args:
        ctx: Of the command.
        came: The signals that came: whatever error is raised after one is its consequence.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        # Whatever exit code follows, `python -m` ends as after Ctrl-C once a KeyboardInterrupt has
        # passed through exec() of a string, as in the import of a named tuple, until the next one.
        exec("")
        hint = str(stop) or "what was being written is as it was before"
        raise _Stopped(came[0] if came else signal.SIGINT, hint) from None
    except BrokenPipeError:  # as in `captcha-helpers ... | head`; click ends in silence
        raise
    except Exception as error:
        if came:
            raise _Stopped(came[0], "what was being written is as it was before") from error
        told = _told(error, ctx)
        if told is None:
            raise
        raise told from error


def _told(error: Exception, ctx: click.Context | None) -> click.ClickException | None:
    """What is said of an error in one line; None for one that is a bug."""
    if isinstance(error, click.UsageError):
        where = error.ctx or ctx
        hint = f" (see {where.command_path} --help)" if where else ""
        return _WrongUsage(error.format_message().rstrip(".") + hint)
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:  # a bug, not a part that somebody left out
            return None
        return click.ClickException(needs(f"This needs {module}", EXTRA_OF[module]))
    if isinstance(error, (ValueError, OSError, ImportError)):
        return click.ClickException(as_typed(" ".join(str(error).split())))
    return None


def as_typed(message: str) -> str:
    """Leave only the option where a message names an argument of Python and the option.

    Example:
        >>> as_typed("choose another name, or replace it with overwrite=True (--overwrite)")
        'choose another name, or replace it with --overwrite'
    """
    return re.sub(r"\w+=\S+ \((--[\w-]+)\)", r"\1", message)


def tell_warning(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning as one line, without the line of code that it comes from."""
    click.echo(f"Warning: {as_typed(' '.join(str(message).split()))}", err=True)
