"""What went wrong, told in one line on stderr."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from captcha_helpers.core.extras import EXTRA_OF, needs


class _WrongUsage(click.ClickException):
    """A command that was written wrongly, without click's several lines of usage."""

    exit_code = click.UsageError.exit_code


@contextmanager
def one_line_errors(ctx: click.Context | None = None) -> Iterator[None]:
    """Turn errors into one line: our own, and click's, which take several."""
    try:
        yield
    except click.UsageError as error:
        where = error.ctx or ctx
        hint = f" (see {where.command_path} --help)" if where else ""
        raise _WrongUsage(error.format_message().rstrip(".") + hint) from error
    except BrokenPipeError:  # as in `captcha-helpers ... | head`; click ends in silence
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:  # a bug, not a part that somebody left out
            raise
        raise click.ClickException(needs(f"This needs {module}", EXTRA_OF[module])) from error
    except (ValueError, OSError, ImportError) as error:
        raise click.ClickException(as_typed(" ".join(str(error).split()))) from error


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
