"""Parts of a text that a command writes, between two comments that readers don't see."""

from __future__ import annotations


def fill(text: str, name: str, content: str, file: str) -> str:
    r"""Put content between ``<!-- name:start -->`` and ``<!-- name:end -->``.

    Args:
        text: The whole text.
        name: The markers' name.
        content: What belongs between them.
        file: The text's file name, for the error message.

    Returns:
        The text with the new content.

    Raises:
        ValueError: If the text does not have each marker once, start first.

    Example:
        >>> fill("<!-- a:start -->old<!-- a:end -->", "a", "new", "README.md")
        '<!-- a:start -->\nnew\n<!-- a:end -->'
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    head, found_start, rest = text.partition(start)
    _, found_end, tail = rest.partition(end)
    if not (found_start and found_end) or text.count(start) + text.count(end) != 2:
        raise ValueError(f"{file} needs the line {start} and, below it, the line {end}, once each")
    return f"{head}{start}\n{content}\n{end}{tail}"
