"""The command ``captcha-helpers``: its verbs, in the order in which one needs them.

Errors are one line on stderr: exit code 1 if the work failed, 2 if the command was written wrongly,
and if a signal ended it 128 and the signal's number: 130 of Ctrl-C, 143 of SIGTERM, 129 of SIGHUP.
"""

from __future__ import annotations

import warnings
from typing import Any

import click

import captcha_helpers
from captcha_helpers.cli import doctor, draw, export, label, learn, read, serve
from captcha_helpers.cli.errors import (
    escape_what_cannot_be_written,
    exit_code,
    one_line_errors,
    signals_as_ctrl_c,
    tell_warning,
)

_SERVERS = ("label", "serve", "web")  # which signals end in order, and with exit code 0


class _Verbs(click.Group):
    """The verbs, in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the order in which they were added."""
        return list(self.commands)

    def make_context(
        self, info_name: str | None, args: list[str], *more: Any, **extra: Any
    ) -> click.Context:
        """Look at what stands before the verb."""
        escape_what_cannot_be_written()
        if not args:  # click shows the help then
            return super().make_context(info_name, args, *more, **extra)
        with one_line_errors():
            return super().make_context(info_name, args, *more, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb."""
        with (
            signals_as_ctrl_c() as came,
            one_line_errors(ctx, came),
            warnings.catch_warnings(),
        ):
            warnings.showwarning = tell_warning
            result = super().invoke(ctx)
        if came and ctx.invoked_subcommand not in _SERVERS:  # what there was is kept, as by train
            ctx.exit(exit_code(came[0]))
        return result


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="To have the Tab key complete commands, options and the names of models and styles, "
    "type in bash: "
    """eval "$(_CAPTCHA_HELPERS_COMPLETE=bash_source captcha-helpers)" (zsh_source for zsh). """
    "Something does not work? captcha-helpers doctor says what is missing.",
)
@click.version_option(captcha_helpers.__version__, prog_name="captcha-helpers")
def main() -> None:
    """Draw text CAPTCHAs, train readers for your own images, measure them and read with them."""


for _verb in (
    draw.generate,
    draw.preview,
    label.label,
    label.check,
    learn.train,
    learn.adapt,
    read.evaluate,
    read.predict,
    export.export,
    export.web,
    serve.serve,
    draw.styles,
    read.models,
    doctor.doctor,
):
    main.add_command(_verb)
