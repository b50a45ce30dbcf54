"""The people of one issuer: names, passwords, roles, claims."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from stead.identity.server import schema
from stead.identity.server.store import Store
from stead.identity.types import Json

_BY_SUBJECT = select(schema.persons).where(schema.persons.c.subject == bindparam("subject"))
_BY_USERNAME = select(schema.persons).where(schema.persons.c.username == bindparam("username"))
_USERNAMES = select(schema.persons.c.username)
_SAMPLES = select(schema.persons).where(schema.persons.c.sample_password.is_not(None)).order_by(schema.persons.c.name)

# RFC 7914. Modest on purpose: these are sample people, and the network has to start fast.
_COST = {"n": 2**12, "r": 8, "p": 1}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in. `claims` are what this issuer knows beyond the name: limits, accounts."""

    subject: str
    username: str
    name: str
    roles: tuple[str, ...]
    claims: Mapping[str, Any] = field(repr=False)
    sample_password: str | None = field(default=None, repr=False)
    has_second_factor: bool = False


def find_person(store: Store, subject: str) -> Person | None:
    """The person of that subject, or None."""
    return _person(store.row(_BY_SUBJECT, {"subject": subject}))


def find_username(store: Store, username: str) -> Person | None:
    """The person who signs in by that name, or None."""
    return _person(store.row(_BY_USERNAME, {"username": username}))


def usernames(store: Store) -> list[str]:
    """By what names people sign in."""
    return [row["username"] for row in store.rows(_USERNAMES)]


def check_password(store: Store, username: str, password: str) -> Person | None:
    """The person, if the password is theirs. Takes the same time for a name that does not exist."""
    row = store.row(_BY_USERNAME, {"username": username})
    good = _matches(password, row["password"] if row else _NOBODY)
    return _person(row) if good else None


def sample_people(store: Store) -> list[Person]:
    """The sample logins that a development login page offers."""
    return [person for row in store.rows(_SAMPLES) if (person := _person(row))]


def keep_person(store: Store, person: Person, password: str) -> None:
    """Writes the person down, over an older version of the same subject."""
    row: Json = {
        "subject": person.subject,
        "username": person.username,
        "name": person.name,
        "password": _hashed(password),
        "sample_password": person.sample_password,
        "roles": list(person.roles),
        "claims": dict(person.claims),
    }
    store.run(insert(schema.persons).values(row).on_conflict_do_update(index_elements=["subject"], set_=row))


def _person(row: Mapping[str, Any] | None) -> Person | None:
    if row is None:
        return None
    return Person(
        subject=row["subject"],
        username=row["username"],
        name=row["name"],
        roles=tuple(row["roles"]),
        claims=row["claims"],
        sample_password=row["sample_password"],
        has_second_factor=row["authenticator"] is not None,
    )


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_derived(password, salt).hex()}"


def _matches(password: str, stored: str) -> bool:
    salt, _, expected = stored.partition("$")
    return hmac.compare_digest(_derived(password, bytes.fromhex(salt)), bytes.fromhex(expected))


def _derived(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **_COST)


_NOBODY = _hashed(secrets.token_hex(16))
