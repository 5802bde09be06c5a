"""The words of a formula: numbers, names and operators, also as people write them.

Characters with one meaning are read: powers as in x², fractions as ½, π, √, and the signs for times
and minus. Whatever may be read in two ways, or looks like something else, is refused with its cure:
a name that nobody meant is worse than an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import NamedTuple, NoReturn

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<superscript>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<fraction>[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])"
    r"|(?P<root>[√∛])"
    r"|(?P<name>[^\W\d⁰¹²³⁴⁵⁶⁷⁸⁹¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞][^\W⁰¹²³⁴⁵⁶⁷⁸⁹¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]*)"
    r"|(?P<operator>\*\*|<=|>=|==|!=|[-+*/^(),<>]|[×·⋅∙∗÷∕⁄−≤≥≠])"
)
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\w+")
ALLOWED = "numbers, names, the operators + - * / ** ^ and parentheses"

_OPERATORS = {
    **dict.fromkeys("×·⋅∙∗", "*"), **dict.fromkeys("÷∕⁄", "/"),
    "−": "-", "≤": "<=", "≥": ">=", "≠": "!=",
}  # fmt: skip
_CURES = {
    **dict.fromkeys("–—‐‑‒―﹣－", "write - for minus"),
    **dict.fromkeys("′’‘`´", "derivatives are taken by gpugrad; write the function alone"),
    "|": "write abs(x)",
    "∞": "formulas are of finite numbers",
    "!": "write factorial(x)",
    "%": "there is no remainder; write x - y*floor(x/y)",
    "=": "write the formula alone, and == in conditions",
    "[": "write ( and )", "]": "write ( and )", "{": "write ( and )", "}": "write ( and )",
    "∂": "derivatives are taken by gpugrad; write the function alone",
    "∇": "derivatives are taken by gpugrad; write the function alone",
}  # fmt: skip
_LOOKS_LATIN = dict(
    zip(
        "аеоресухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
        "aeopecyxijshdqwABEKMHOPCTYXIJSABEZHIKMNOPTYXo",
        strict=True,
    )
)
"""Letters of other scripts that look like Latin ones, and these."""


class Token(NamedTuple):
    """A word of a formula: what kind, its text, and where it begins."""

    kind: str
    text: str
    start: int


def split_into_tokens(text: str, symbols: Container[str]) -> list[Token]:
    """Return the words of a text, and its end; names of `symbols` are taken as they are."""
    tokens: list[Token] = []
    position = 0
    while True:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if position == len(text):
            return [*tokens, Token("end", "the end", position)]
        word = _WORD.match(text, position)
        if word and word.group() in symbols:
            tokens.append(Token("name", word.group(), position))
            position = word.end()
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            cure = f" ({_CURES[character]})" if character in _CURES else ""
            refuse_text(text, position, f"{ascii_or(character)} is not part of a formula{cure}")
        kind, found = str(match.lastgroup), match.group()
        if kind == "name":
            found = _check_name(text, position, found)
        elif kind in ("superscript", "fraction"):
            found = unicodedata.normalize("NFKC", found).replace("\u2212", "-")
            found = found.replace("\u2044", "/")
        tokens.append(Token(kind, _OPERATORS.get(found, found), position))
        position = match.end()


def ascii_or(character: str) -> str:
    """Return a character in quotes, escaped where it cannot be printed."""
    return repr(character) if character.isprintable() else ascii(character)


def _check_name(text: str, position: int, name: str) -> str:
    """Return a name that can be meant in one way; refuse others with what to write."""
    if name == "π":
        return "pi"
    usual = unicodedata.normalize("NFKC", name)
    for offset, letter in enumerate(name):
        where = position + offset
        if letter in _LOOKS_LATIN:
            refuse_text(
                text, where, f"{letter!r} looks like the Latin {_LOOKS_LATIN[letter]!r} and is "
                f"another letter ({unicodedata.name(letter, 'unnamed')}); write "
                f"{_LOOKS_LATIN[letter]!r}",
            )  # fmt: skip
        if letter == "π":
            refuse_text(text, where, f"{name[:30]!r} may be a name or a product; write pi * ...")
        if letter.isdigit() and not letter.isascii():
            refuse_text(text, where, f"{letter!r} is no digit of a name; write 0 to 9")
    if usual != name:
        refuse_text(text, position, f"{name[:30]!r} is written otherwise; write {usual[:30]!r}")
    if not name.isidentifier():
        refuse_text(text, position, f"{name[:30]!r} is no name; names have letters, 0 to 9 and _")
    return name


def refuse_text(text: str, position: int, why: str, allowed: str = ALLOWED) -> NoReturn:
    """Raise ValueError that shows where a text cannot be read, and why."""
    start = max(0, position - 30)
    shown = "".join(c if c.isprintable() else " " for c in text[start : position + 30])
    raise ValueError(
        f"Cannot read the expression at position {position}: {why}. Allowed are {allowed}.\n"
        f"    {shown}\n    {' ' * (position - start)}^"
    )
