"""What people let third-party clients know about them at sign-in, remembered (OpenID Connect Core s3.1.2.4).

A scope belongs to an audience: to have allowed it at one is not to have allowed it at another of the same word.
"""

from itertools import product

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from stead.identity.server import schema
from stead.identity.server.people import Person
from stead.identity.server.requested import Requested
from stead.identity.server.store import Store

_KNOWN = schema.remembered


def remembers(store: Store, person: Person, requested: Requested) -> bool:
    """Whether the person gave this client all of that before."""
    known = select(_KNOWN.c.audience, _KNOWN.c.scope).where(
        _KNOWN.c.subject == person.subject, _KNOWN.c.client_id == requested.client.client_id
    )
    return set(_given(requested)) <= {(row["audience"], row["scope"]) for row in store.rows(known)}


def remember(store: Store, person: Person, requested: Requested) -> None:
    """Writes down that the person gave it."""
    for audience, scope in _given(requested):
        row = {"subject": person.subject, "client_id": requested.client.client_id, "audience": audience, "scope": scope}
        store.run(insert(_KNOWN).values(row).on_conflict_do_nothing())


def _given(requested: Requested) -> list[tuple[str, str]]:
    """Each scope at each audience; at none, where a login alone is asked for."""
    return list(product(requested.resources or ("",), requested.scopes))
