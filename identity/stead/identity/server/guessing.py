"""Guessing is made slow: so many wrong passwords for a name from one place, and for all names together; so many codes.

Passwords are counted by place, so that nobody can shut another person out from elsewhere. Codes are counted by person
alone: who guesses those has the password, and could come from a new place for every few of them. What is right clears
what it was guessed at; the count of a place stays, or one known account would pay for guesses at all others.
"""

import hashlib

from sqlalchemy import delete, func, insert, select

from stead.identity.server import schema
from stead.identity.server.store import Store

FOR_A_NAME, FROM_A_PLACE, FOR_A_CODE = 10, 100, 10
"""Wrong ones within `WINDOW` seconds, after which none is looked at until some are forgotten."""
WINDOW = 300.0

Limits = tuple[tuple[str, int], ...]
"""What a guess is counted under, and how many wrong ones are too many; first what it is a guess at."""


def by_password(username: str, place: str) -> Limits:
    """Names and places are kept as digests: a mistyped name may be a password."""
    return (_digest(f"{place}\n{username}"), FOR_A_NAME), (_digest(place), FROM_A_PLACE)


def by_code(subject: str) -> Limits:
    """One-time codes of that person, from anywhere."""
    return ((_digest(f"one-time code\n{subject}"), FOR_A_CODE),)


def must_wait(store: Store, limits: Limits, now: float) -> bool:
    """Whether another guess is too many."""
    return any(_wrong(store, key, now) >= most for key, most in limits)


def count_wrong(store: Store, limits: Limits, now: float) -> None:
    """Notes a wrong guess."""
    for key, _ in limits:
        store.run(insert(schema.guesses), {"key": key, "expires": now + WINDOW})


def forgive(store: Store, limits: Limits) -> None:
    """Forgets the wrong guesses at what was found: its person was there."""
    store.run(delete(schema.guesses).where(schema.guesses.c.key == limits[0][0]))


def _wrong(store: Store, key: str, now: float) -> int:
    table = schema.guesses
    row = store.row(select(func.count().label("wrong")).where(table.c.key == key, table.c.expires > now))
    return 0 if row is None else int(row["wrong"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
