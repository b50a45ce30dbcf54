"""A CEL expression in words: names, numbers, texts and signs (CEL specification, Syntax)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Sort = Literal["name", "int", "uint", "double", "string", "bytes", "sign", "end"]

_WORD = re.compile(
    r"""
    (?P<space>(?:\s|//[^\n]*)+)
  | (?P<text>(?:[bB]?[rR]?)(?:
        \"{3}(?:.|\n)*?(?<!\\)\"{3} | '{3}(?:.|\n)*?(?<!\\)'{3}
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
    ))
  | (?P<double>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
  | (?P<int>(?:0x[0-9a-fA-F]+|[0-9]+)[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_RAW = re.compile(r"[bB]?[rR]")
_ESCAPE = re.compile(r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `text` is what stands there, `value` what it means where it is a number or a text."""

    sort: Sort
    text: str
    value: Any = None


def tokens(source: str) -> Iterator[Token]:
    """The words of an expression, and an end. Raises `ValueError` where no word begins."""
    place = 0
    while place < len(source):
        found = _WORD.match(source, place)
        if found is None:
            raise ValueError(f"nothing is written like this: {source[place : place + 20]}")
        place = found.end()
        if found.lastgroup != "space":
            yield _token(str(found.lastgroup), found[0])
    yield Token("end", "")


def _token(group: str, text: str) -> Token:
    if group == "text":
        return Token("bytes" if text[0] in "bB" else "string", text, _unquoted(text))
    if group == "int":
        return Token("uint" if text[-1] in "uU" else "int", text, int(text.rstrip("uU"), 16 if "x" in text else 10))
    if group == "double":
        return Token("double", text, float(text))
    return Token("name" if group == "name" else "sign", text)


def _unquoted(text: str) -> str:
    raw = _RAW.match(text)
    quoted = text.lstrip("bBrR")
    width = 3 if quoted[:3] in ('"""', "'''") else 1
    within = quoted[width:-width]
    return within if raw else _ESCAPE.sub(_unescaped, within)


def _unescaped(found: re.Match[str]) -> str:
    two, four, eight, octal, short = found.groups()
    if octal:
        return chr(int(octal, 8))
    if short:
        return _SHORT.get(short, short)
    return chr(int(two or four or eight, 16))
