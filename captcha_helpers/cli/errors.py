"""What went wrong, told in one line on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


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
    except (ValueError, OSError, ImportError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error


def tell_warning(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning as one line, without the line of code that it comes from."""
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
