"""What the command line prints: results on stdout, everything else on stderr; JSON where it is asked for.

Agents, servers and people named much of it. None of it moves the cursor, turns the reading direction or brings markup
of its own: what a terminal shows is what was said.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from stead.identity.errors import IdentityError


def emit(value: Any) -> None:
    """One JSON document on stdout."""
    print(_escaped(json.dumps(value, indent=2, ensure_ascii=False)))  # noqa: T201


def emit_line(value: Any) -> None:
    """One JSON document on one line, at once: for a program that waits for it."""
    print(_escaped(json.dumps(value, ensure_ascii=False)), flush=True)  # noqa: T201


def say(text: str = "") -> None:
    """A line of the result."""
    print(visible(text), flush=True)  # noqa: T201


def tell(text: str) -> None:
    """A line about the work, not of the result."""
    print(visible(text), file=sys.stderr, flush=True)  # noqa: T201


def explain(error: IdentityError) -> None:
    """An error as a person reads it: what, and what to do next."""
    tell(f"stead: {error.description}")
    if error.hint:
        tell(f"  {error.hint}")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under titles, aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(drawn)


def visible(text: str) -> str:
    """The text with a mark in place of each character that does something instead of showing something."""
    return "".join("\ufffd" if _acts(letter) else letter for letter in text)


def _escaped(document: str) -> str:
    """JSON in which such characters are written out; those below U+0020 are already."""
    return re.sub(r"[^\x20-\x7e\n]", lambda found: _written_out(found[0]), document)


def _written_out(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if _acts(letter) and ord(letter) < 0x10000 else letter


def _acts(letter: str) -> bool:
    """Control and format characters, and separators of lines; not the line feed, which callers write themselves."""
    return letter != "\n" and unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp"}
