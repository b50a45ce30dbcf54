"""What tokens of this issuer would say of a person at a service: for asking a policy about them without having one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, select

from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.policy.names import nearest
from stead.identity.server import schema
from stead.identity.server.authority import Audience, Mode, edges_of, find_audience, owned_by
from stead.identity.server.authorization import ACR_PASSWORD, AMR_PASSWORD
from stead.identity.server.minting import Grantee
from stead.identity.server.people import Person, find_username, usernames
from stead.identity.server.store import Store
from stead.identity.values import Actor, Grant, Principal

_CALLERS = (
    select(schema.edges.c.client_id)
    .where(schema.edges.c.audience == bindparam("audience"), schema.edges.c.mode == Mode.OBO.value)
    .distinct()
    .order_by(schema.edges.c.client_id)
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A person who signs in at `now`, and how their call comes to a service: `through` which actors, current first.

    When none is named it is the first client that may call the service for people. Without a service they have no
    scopes.
    """

    username: str
    now: float
    service: str | None = None
    through: tuple[str, ...] = ()


def principal_of(path: Path, issuer: str, standing: Standing) -> Principal:
    """The person as the service would see them; `path` is the issuer's database.

    Raises `InvalidRequest` for a person that there is none of, `ConfigurationError` where there is no directory.
    """
    if not path.exists():
        raise ConfigurationError("There is no directory of people here.", hint="Start the network once: stead demo")
    store = Store(path)
    try:
        with store.transaction():
            return _principal(store, issuer, _person(store, standing.username), standing)
    finally:
        store.close()


def _person(store: Store, username: str) -> Person:
    found = find_username(store, username)
    if found is None:
        raise InvalidRequest(f"There is nobody called {username}.", hint=nearest(username, usernames(store)))
    return found


def _principal(store: Store, issuer: str, person: Person, standing: Standing) -> Principal:
    audience = None if standing.service is None else _audience(store, standing.service)
    through = standing.through or (() if audience is None else _first_caller(store, audience))
    return Principal(
        issuer=issuer,
        subject=person.subject,
        audience="" if audience is None else audience.audience,
        client_id=through[0] if through else "",
        scopes=frozenset() if audience is None else _scopes(store, audience, person, through),
        jti="",
        expires_at=int(standing.now),
        grant=Grant.OBO if through else Grant.LOGIN,
        actor=_chain(through),
        claims=_claims(person, standing.now),
    )


def _claims(person: Person, now: float) -> Mapping[str, Any]:
    signed_in = Grantee(person, None, int(now), ACR_PASSWORD, AMR_PASSWORD)
    return MappingProxyType({"sub": person.subject, **signed_in.claims()})


def _audience(store: Store, service: str) -> Audience | None:
    return next((find_audience(store, name) for name in sorted(owned_by(store, service))), None)


def _first_caller(store: Store, audience: Audience) -> tuple[str, ...]:
    return tuple(row["client_id"] for row in store.rows(_CALLERS, {"audience": audience.audience}))[:1]


def _scopes(store: Store, audience: Audience, person: Person, through: tuple[str, ...]) -> frozenset[str]:
    """What the person is entitled to there, and the one who calls may ask for."""
    entitled = frozenset(scope for scope in audience.scopes if audience.entitles(person, scope))
    return entitled & edges_of(store, through[0]).scopes(audience.audience, Mode.OBO) if through else entitled


def _chain(names: tuple[str, ...]) -> Actor | None:
    actor: Actor | None = None
    for name in reversed(names):
        actor = Actor(name, prior=actor)
    return actor
