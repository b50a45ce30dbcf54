"""What people let third-party clients know about them at sign-in, remembered (OpenID Connect Core s3.1.2.4)."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from stead.identity.server import schema
from stead.identity.server.clients import Client
from stead.identity.server.people import Person
from stead.identity.server.store import Store


def remembers(store: Store, person: Person, client: Client, scopes: tuple[str, ...]) -> bool:
    """Whether the person gave this client all of that before."""
    table = schema.consents
    known = select(table.c.scope).where(table.c.subject == person.subject, table.c.client_id == client.client_id)
    return set(scopes) <= {row["scope"] for row in store.rows(known)}


def remember(store: Store, person: Person, client: Client, scopes: tuple[str, ...]) -> None:
    """Writes down that the person gave it."""
    for scope in scopes:
        row = {"subject": person.subject, "client_id": client.client_id, "scope": scope}
        store.run(insert(schema.consents).values(row).on_conflict_do_nothing())
