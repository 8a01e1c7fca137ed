"""What several verbs share: types of options, options, and help with examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

path_type = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


class Verb(click.Command):
    """A verb, whose help ends with examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")  # in one piece, to be copied


class Length(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """``4`` or ``4-6`` characters."""

    name = "N or N-M"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """From what was typed to the fewest and the most characters."""
        from captcha_helpers.reading.mask import parse_length

        try:
            return parse_length(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Characters(click.ParamType):  # type: ignore[type-arg]  # as above
    """Characters, or words for many of them."""

    name = "characters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """From what was typed to the characters."""
        from captcha_helpers.reading.mask import parse_charset

        try:
            return parse_charset(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def known_strings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that say what is known of the strings, as `load` takes them."""
    options = [
        click.option(
            "--charset",
            type=Characters(),
            help="The only characters that occur: 0123456789, or words as digits+lower (of digits, "
            "lower, upper, letters, alphanumeric).",
        ),
        click.option("--length", type=Length(), help="How many there are, as 4 or 4-6."),
        click.option(
            "--ignore-case",
            is_flag=True,
            default=None,
            help="Count a letter and its other case as one.",
        ),
    ]
    for option in reversed(options):
        verb = option(verb)
    return verb


def overwrite_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the flag without which it replaces nothing."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def span(length: tuple[int, int]) -> str:
    """Write a length as `Length` reads it: 4, or 4-6."""
    low, high = length
    return str(low) if low == high else f"{low}-{high}"
