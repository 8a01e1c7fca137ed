"""What several verbs share: types of options, options, and help with examples."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import list2cmdline
from typing import Any

import click
from click.shell_completion import CompletionItem

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


class ModelName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """A model file, or the name of a model that ships with the package."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names that fit, and let the shell offer files."""
        from captcha_helpers.reading.shipped import shipped_models

        return [CompletionItem(incomplete, type="file"), *_offers(shipped_models(), incomplete)]


class ModelOrImage(ModelName):
    """What `predict` reads with, or what it reads; a model's name comes first only."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer models for the first argument, and files for all."""
        offers = super().shell_complete(ctx, param, incomplete)
        return offers[:1] if ctx.params.get(param.name or "") else offers


class StyleName(click.ParamType):  # type: ignore[type-arg]  # as above
    """The name of a style, or a folder where one is taken, too."""

    name = "style"

    def __init__(self, *, or_folder: bool = False) -> None:
        self.or_folder = or_folder

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names that fit."""
        import captcha_helpers

        folders = [CompletionItem(incomplete, type="dir")] if self.or_folder else []
        return [*folders, *_offers(captcha_helpers.STYLES, incomplete)]


class Formats(click.ParamType):  # type: ignore[type-arg]  # as above
    """Names of formats to export, with commas between them."""

    name = "formats"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer what may follow the last comma."""
        from captcha_helpers.exporting.formats import DEFAULT_FORMATS

        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        left = [name for name in (*DEFAULT_FORMATS, "onnx-int8") if name not in given]
        return [CompletionItem(before + comma + one.value) for one in _offers(left, last)]


def _offers(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Length(click.ParamType):  # type: ignore[type-arg]  # as above
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

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the words."""
        from captcha_helpers.reading.mask import WORDS

        before, plus, last = incomplete.rpartition("+")
        return [CompletionItem(before + plus + one.value) for one in _offers(WORDS, last)]


def known_strings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that say what is known of the strings, as `load` takes them."""
    case = click.option(
        "--ignore-case",
        is_flag=True,
        default=None,
        help="Treat upper and lower case as the same.",
    )
    return known_labels(case(verb))


def known_labels(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that say what labels there may be, as `train` takes them."""
    charset = click.option(
        "--charset",
        type=Characters(),
        help="The only characters that occur, such as 0123456789, or names of sets, such as "
        "digits+lower (digits, lower, upper, letters, alphanumeric).",
    )
    length = click.option("--length", type=Length(), help="Number of characters: 4, or 4-6.")
    return charset(length(verb))


frame_option = click.option(
    "--frame",
    type=click.Choice(["first", "last", "most_ink", "blended"]),
    help="Which frame of an animation to read; most_ink has the most text, blended is the mean.",
)


def overwrite_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the flag without which it replaces nothing."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def ray_option(more: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the option that has its work done on a cluster."""
    return click.option(
        "--ray",
        metavar="ADDRESS",
        help="Run on this Ray cluster: host:port, ray://host:port, or local to start one on this "
        f"machine. {more}",
    )


def refuse_together(why: str, options: Iterable[str]) -> None:
    """Refuse those of these options that were given, as they have no effect here."""
    ctx = click.get_current_context()
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if param.opts[0] in options and source is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(f"{param.opts[0]} {why}.")


def typed(path: Path) -> str:
    """Write a path as one types it.

    Example:
        >>> typed(Path("reader.keras"))
        'reader.keras'
    """
    return list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def span(length: tuple[int, int]) -> str:
    """Write a length as `Length` reads it: 4, or 4-6."""
    low, high = length
    return str(low) if low == high else f"{low}-{high}"
