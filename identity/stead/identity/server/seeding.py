"""What an issuer starts with: people, clients, audiences, edges. Written over what a former start left behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from stead.identity.errors import ConfigurationError
from stead.identity.server import schema
from stead.identity.server.authenticators import keep_authenticator
from stead.identity.server.authority import Mode
from stead.identity.server.clients import EXCHANGE, SERVICE, Client, keep_client
from stead.identity.server.logout_notices import keep_address
from stead.identity.server.people import Person, keep_person
from stead.identity.server.settings import ServerSettings
from stead.identity.server.store import Store

WORKLOAD_GRANTS = (SERVICE, EXCHANGE)


@dataclass(frozen=True, slots=True)
class SeedPerson:
    """Somebody who can sign in. `sample` people are listed, with their password, on a development login page.

    `authenticator` is the secret, of 16 bytes or more, that an app of theirs makes one-time codes from (RFC 6238).
    """

    subject: str
    username: str
    name: str
    password: str = field(repr=False)
    roles: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sample: bool = True
    authenticator: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SeedClient:
    """A client. Without a key it is public; only the public half of a key is kept."""

    client_id: str
    name: str
    key: ECKey | None = field(default=None, repr=False)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = WORKLOAD_GRANTS
    details_types: tuple[str, ...] = ()
    first_party: bool = True
    pushed_only: bool = False
    backchannel_logout_uri: str | None = None


@dataclass(frozen=True, slots=True)
class SeedAudience:
    """A service: `scopes` maps each scope to the roles entitled to it, none for services only."""

    audience: str
    name: str
    scopes: Mapping[str, tuple[str, ...]]
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class SeedEdge:
    """What a client may ask for at an audience, and how: "login", "obo" or "s2s".

    The client `"*"` in a service edge is every workload, those that join later too.
    """

    client_id: str
    audience: str
    scopes: tuple[str, ...]
    mode: str


@dataclass(frozen=True, slots=True)
class Seed:
    """Everything an issuer starts with."""

    persons: tuple[SeedPerson, ...] = ()
    clients: tuple[SeedClient, ...] = ()
    audiences: tuple[SeedAudience, ...] = ()
    edges: tuple[SeedEdge, ...] = ()


def seed(settings: ServerSettings, what: Seed) -> None:
    """Writes the seed into the issuer's database. Safe to repeat; what was registered or added since stays.

    Raises `ValueError` for an edge whose mode is none, `ConfigurationError` for a client named as a person's subject.
    """
    store = Store(settings.path)
    try:
        with store.transaction():
            _write(store, settings, what)
    finally:
        store.close()


def _write(store: Store, settings: ServerSettings, what: Seed) -> None:
    for person in what.persons:
        keep_person(store, _person(person), person.password)
        keep_authenticator(store, settings, person.subject, person.authenticator)
    for client in what.clients:
        keep_client(store, _client(client), settings.clock())
        keep_address(store, client.client_id, client.backchannel_logout_uri)
    _require_distinct(store)
    _forget_seeded(store)
    own = SeedAudience(settings.issuer, settings.name, {})
    for audience in (own, *what.audiences):
        write_audience(store, audience, joined=False)
    for edge in what.edges:
        write_edge(store, edge)


def _require_distinct(store: Store) -> None:
    """Both a client's name and a person's subject become `sub`, which alone tells whose a task is (RFC 9068 s5)."""
    both = select(schema.persons.c.subject).join(schema.clients, schema.clients.c.client_id == schema.persons.c.subject)
    found = store.row(both)
    if found is not None:
        raise ConfigurationError(f"{found['subject']!r} is both a client and a person.", hint="Rename one of them.")


def _forget_seeded(store: Store) -> None:
    """An audience that is not in the seed any more is gone, with its scopes and edges; those added since stay."""
    seeded = select(schema.audiences.c.audience).where(schema.audiences.c.joined.is_(False))
    store.run(delete(schema.edges).where(schema.edges.c.joined_by.is_(None)))
    for table in (schema.scopes, schema.audiences):
        store.run(delete(table).where(table.c.audience.in_(seeded)))


def write_audience(store: Store, audience: SeedAudience, *, joined: bool) -> None:
    """Writes an audience and its scopes. `joined`: added to a running network, so that it can be removed again."""
    row = {"audience": audience.audience, "name": audience.name, "client_id": audience.client_id, "joined": joined}
    update = {name: row[name] for name in ("name", "client_id", "joined")}
    statement = insert(schema.audiences).values(row)
    store.run(statement.on_conflict_do_update(index_elements=["audience"], set_=update))
    for scope, roles in audience.scopes.items():
        for role in roles or ("",):
            entry = {"audience": audience.audience, "scope": scope, "role": role}
            store.run(insert(schema.scopes).values(entry).on_conflict_do_nothing())


def write_edge(store: Store, edge: SeedEdge, *, joined_by: str | None = None) -> None:
    """Writes what a client may ask for. `joined_by`: the audience with which it comes and goes."""
    for scope in edge.scopes:
        row = {
            "client_id": edge.client_id,
            "audience": edge.audience,
            "scope": scope,
            "mode": Mode(edge.mode).value,
            "joined_by": joined_by,
        }
        store.run(insert(schema.edges).values(row).on_conflict_do_nothing())


def _person(person: SeedPerson) -> Person:
    return Person(
        subject=person.subject,
        username=person.username,
        name=person.name,
        roles=person.roles,
        claims=person.claims,
        sample_password=person.password if person.sample else None,
    )


def _client(client: SeedClient) -> Client:
    return Client(
        client_id=client.client_id,
        name=client.name,
        jwks=None if client.key is None else public_jwks(client.key),
        redirect_uris=client.redirect_uris,
        post_logout_redirect_uris=client.post_logout_redirect_uris,
        grants=client.grants,
        details_types=client.details_types,
        first_party=client.first_party,
        pushed_only=client.pushed_only,
    )


def public_jwks(key: ECKey) -> str:
    """The public half of a key as a stored key set."""
    return json.dumps({"keys": [{**key.as_dict(private=False), "kid": key.kid or key.thumbprint()}]})
