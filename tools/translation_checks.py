"""What a text and its translation must have in common, whatever the language.

Figures, code, formulas, links, headings, lists and emphasis are found in both by the same rules,
and a glossary says which words stand for which. Nothing here knows of notebooks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_CODE = r"^```.*?^```|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
_FORMULA = r"(?P<formula>\$\$.+?\$\$|\$[^\s$](?:[^$]*[^\s$])?\$(?!\d))"
_CODE_OR_FORMULA = re.compile(f"{_CODE}|{_FORMULA}", re.MULTILINE | re.DOTALL)

_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9}
_POWERS |= {"百": 2, "千": 3, "万": 4, "亿": 8}
_NUMBER = re.compile(
    rf"(\d+(?:,\d{{3}})*(?:\.\d+)?)((?:\s?(?:{'|'.join(_POWERS)}))*)(\s?%|\sper\s?cent)?"
)
_SPELLED = """\
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
sixteen seventeen eighteen nineteen"""
_WORDS = {word: value for value, word in enumerate(_SPELLED.split())}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_WORDS |= {word: value for value, word in enumerate(_ORDINALS, start=1)}
_WORDS |= {"once": 1, "twice": 2, "a": 1}
_ONE = "|".join(_WORDS).removesuffix("|a")
_POWERS_IN_WORDS = r"(?:\shundred|\sthousand|\smillion|\sbillion)"
_IN_WORDS = re.compile(
    rf"\b(?:({'|'.join(_TENS)})[ -])?({_ONE}|a(?={_POWERS_IN_WORDS}))({_POWERS_IN_WORDS}*)\b", re.I
)

_WIDE = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”‘’…"  # Chinese letters and punctuation
_BROKEN_LINE = re.compile(rf"[{_WIDE}]\n[{_WIDE}]")


class Outline(NamedTuple):
    """What is found in a text.

    Attributes:
        prose: Its words, without code, formulas and addresses.
        parts: Everything else that must come back in a translation, by what it is.
    """

    prose: str
    parts: dict[str, Counter[str]]


class Term(NamedTuple):
    """A row of a glossary: words of one meaning, and those that may stand for them."""

    words: tuple[str, ...]
    translations: tuple[str, ...]


def outline(text: str) -> Outline:
    r"""Take a Markdown text apart.

    Args:
        text: Markdown, with formulas between dollar signs.

    Returns:
        Its words and its parts.

    Example:
        >>> found = outline("## Why\n\nSee `load` in [this](a.md): $x^2$.")
        >>> found.prose.split()
        ['Why', 'See', 'in', 'this:', '.']
        >>> {kind: list(parts) for kind, parts in found.parts.items() if parts}["links"]
        ['a.md']
    """
    kinds = ("formulas", "headings", "list items", "code blocks", "code spans", "links", "emphases")
    parts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}

    def without_formula(match: re.Match[str]) -> str:
        if match["formula"] is None:
            return match[0]
        parts["formulas"][match["formula"]] += 1
        return " "

    words = []
    for token in _flat(_MARKDOWN.parse(_CODE_OR_FORMULA.sub(without_formula, text))):
        if token.type == "heading_open":
            parts["headings"][token.tag] += 1
        elif token.type == "list_item_open":
            kind = "numbered" if token.markup in (".", ")") else "bullet"
            parts["list items"][f"{kind}, level {token.level // 2}"] += 1
        elif token.type in ("fence", "code_block"):
            parts["code blocks"][token.content] += 1
        elif token.type == "code_inline":
            parts["code spans"][token.content] += 1
        elif token.type in ("link_open", "image"):
            parts["links"][str(token.attrGet("href") or token.attrGet("src"))] += 1
        elif token.type in ("em_open", "strong_open"):
            parts["emphases"]["* or **"] += 1
        words.append(_words(token))
    return Outline("".join(words), parts)


def _flat(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        if token.type == "inline":
            yield from token.children or []
        else:
            yield token


def _words(token: Token) -> str:
    if token.type in ("text", "softbreak", "hardbreak"):
        return token.content or "\n"
    if token.type in ("code_inline", "image"):
        return " "
    return "\n\n" if token.block else ""


def figures(prose: str) -> Counter[str]:
    """Count the figures of a text, whatever way they are written.

    Args:
        prose: A text of any language.

    Returns:
        How often each occurs.

    Example:
        >>> figures("15,000 images, 95 %") == figures("1.5 万张图片，95%")
        True
    """
    return Counter(_figure(number, powers, end) for number, powers, end in _NUMBER.findall(prose))


def figures_in_words(prose: str) -> Counter[str]:
    """Count the figures that an English text spells out, and which a translation may not.

    Args:
        prose: English.

    Returns:
        How often each occurs.

    Example:
        >>> sorted(figures_in_words("Two thousand of sixty-two; the third."))
        ['2000', '3', '62']
    """
    found: Counter[str] = Counter()
    for tens, one, powers in _IN_WORDS.findall(prose):
        number = _WORDS.get(tens.lower(), 0) + _WORDS[one.lower()]
        found[_figure(str(number), powers.lower(), "")] += 1
    return found


def _figure(number: str, powers: str, end: str) -> str:
    value = Fraction(number.replace(",", ""))
    for power in re.findall("|".join(_POWERS), powers):
        value *= 10 ** _POWERS[power]
    # 07 is not 7: it is the number of a notebook.
    plain = number if number.startswith("0") and number.isdigit() else str(value)
    return f"{plain}%" if end else plain


def read_glossary(text: str) -> list[Term]:
    r"""Read the table of a glossary.

    Args:
        text: Markdown with one table: English words (variants with a comma between them), what may
            stand for them (with ``、`` or a comma between), and a note.

    Returns:
        Its rows.

    Raises:
        ValueError: If there is no table, or a row lacks a translation.

    Example:
        >>> read_glossary("| English | 中文 |\n|---|---|\n| image, picture | 图片、图像 |")
        [Term(words=('image', 'picture'), translations=('图片', '图像'))]
    """
    rows = re.findall(r"^\| *([^|]*?) *\| *([^|]*?) *\|", text, re.MULTILINE)[2:]
    terms = [Term(*(tuple(filter(None, re.split(r"、|, ", cell))) for cell in row)) for row in rows]
    if not terms or not all(term.words and term.translations for term in terms):
        raise ValueError("a glossary needs a table whose rows have a word and its translation")
    return terms


def departures(english: str, translation: str, glossary: Sequence[Term]) -> list[str]:
    """Say which terms of an English text are not translated as the glossary says.

    Args:
        english: The words of the text.
        translation: Those of its translation.
        glossary: What `read_glossary` returned. The longest words count: a "test set" is no "set".

    Returns:
        A sentence for each term.
    """
    by_length = sorted(
        ((word, term) for term in glossary for word in term.words),
        key=lambda pair: -len(pair[0]),
    )
    found = []
    for word, term in by_length:
        pattern = re.escape(word).replace(r"\ ", r"[\s-]+")
        english, times = re.subn(rf"(?i)\b{pattern}(?:s|es)?\b", "\0", english)
        if times and not any(one.lower() in translation.lower() for one in term.translations):
            found.append(f"{word!r} should be {' or '.join(term.translations)}")
    return found


def compare(
    english: str, translation: str, glossary: Sequence[Term] = (), percent: str = " %"
) -> list[str]:
    """Say in what a translation departs from the English text.

    Args:
        english: A Markdown text.
        translation: What is to say the same.
        glossary: What `read_glossary` returned.
        percent: What the other language writes behind a number of per cent.

    Returns:
        A sentence for each departure; none if all is well.

    Example:
        >>> compare("In `3` of 4 cases", "4 例中有 `2` 例", percent="%")
        ["code spans: '3' is missing, '2' is not in the English text"]
    """
    before, after = outline(english), outline(translation)
    found = [
        difference
        for kind, parts in before.parts.items()
        if (difference := _differ(kind, parts - after.parts[kind], after.parts[kind] - parts))
    ]
    digits, theirs = figures(before.prose), figures(after.prose)
    extra = theirs - digits - figures_in_words(before.prose)
    if difference := _differ("figures", digits - theirs, extra):
        found.append(difference)
    for space in {space for space in re.findall(r"\d(\s?%)", after.prose) if space != percent}:
        found.append(f"a per cent is written 95{percent}, not 95{space}")
    if _BROKEN_LINE.search(after.prose):
        found.append("a line break would be shown as a space: write each paragraph on one line")
    return found + departures(before.prose, after.prose, glossary)


def _differ(kind: str, missing: Counter[str], extra: Counter[str]) -> str:
    said = [f"{part!r} is missing" for part in missing.elements()]
    said += [f"{part!r} is not in the English text" for part in extra.elements()]
    return f"{kind}: {', '.join(said)}" if said else ""
