"""What the command line prints: results on stdout, everything else on stderr; JSON where it is asked for."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from stead.identity.errors import IdentityError


def emit(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201


def emit_line(value: Any) -> None:
    """One JSON document on one line, at once: for a program that waits for it."""
    print(json.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201


def say(text: str = "") -> None:
    """A line of the result."""
    print(text, flush=True)  # noqa: T201


def tell(text: str) -> None:
    """A line about the work, not of the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


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

    drawn = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)
