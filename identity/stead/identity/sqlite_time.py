"""Milliseconds for an SQLite that has none.

From Python 3.12 on, DBOS stamps rows with `unixepoch('subsec')`, which is NULL before SQLite 3.42; many systems link
an older one. There, every connection is given a `unixepoch` that knows it.
"""

import sqlite3
import time
from functools import cache
from typing import Any

from sqlalchemy import Engine, event

HAS_MILLISECONDS = sqlite3.sqlite_version_info >= (3, 42)


@cache
def teach_milliseconds() -> None:
    """Sees to it that connections opened from now on know `unixepoch('subsec')`. Call it before DBOS opens its own."""
    if not HAS_MILLISECONDS:
        event.listen(Engine, "connect", _teach)


def _teach(connection: Any, _: object) -> None:
    # SQLAlchemy hands over sqlite3's connection, or aiosqlite's behind its adapter, which takes functions alike.
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("unixepoch", -1, unixepoch)


def unixepoch(*arguments: str) -> float:
    """Now, in seconds, with a fraction when asked `subsec`; of any other moment it knows nothing and raises."""
    if not set(arguments) <= {"now", "subsec", "subsecond"}:
        raise ValueError("only the present moment")
    return round(time.time(), 3) if set(arguments) - {"now"} else int(time.time())
