"""Guessing passwords is made slow: so many wrong ones for a name from one place, and for all names together.

Counted by place, so that nobody can shut another person out from elsewhere. A right password clears what it was guessed
at; the other count stays, or one known account would pay for guesses at all others.
"""

import hashlib

from sqlalchemy import delete, func, insert, select

from stead.identity.server import schema
from stead.identity.server.store import Store

FOR_A_NAME, FROM_A_PLACE = 10, 100
"""Wrong passwords within `WINDOW` seconds, after which none is looked at until some are forgotten."""
WINDOW = 300.0


def must_wait(store: Store, username: str, place: str, now: float) -> bool:
    """Whether another password for this name from this place is too many."""
    name, all_names = _keys(username, place)
    return _wrong(store, name, now) >= FOR_A_NAME or _wrong(store, all_names, now) >= FROM_A_PLACE


def count_wrong(store: Store, username: str, place: str, now: float) -> None:
    """Notes a wrong password."""
    for key in _keys(username, place):
        store.run(insert(schema.guesses), {"key": key, "expires": now + WINDOW})


def forgive(store: Store, username: str, place: str) -> None:
    """Forgets the wrong passwords for a name: its person was there."""
    store.run(delete(schema.guesses).where(schema.guesses.c.key == _keys(username, place)[0]))


def _wrong(store: Store, key: str, now: float) -> int:
    table = schema.guesses
    row = store.row(select(func.count().label("wrong")).where(table.c.key == key, table.c.expires > now))
    return 0 if row is None else int(row["wrong"])


def _keys(username: str, place: str) -> tuple[str, str]:
    """Names and places are kept as digests: a mistyped name may be a password."""
    return _digest(f"{place}\n{username}"), _digest(place)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
