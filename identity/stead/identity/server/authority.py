"""Who may get which scope at which audience: what people are entitled to, and what clients may ask for.

Scopes belong to an audience. A person is entitled by a role; a client may ask over an edge, in one of three modes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import and_, bindparam, or_, select

from stead.identity.server import schema
from stead.identity.server.errors import Refused, invalid_scope, invalid_target
from stead.identity.server.people import Person
from stead.identity.server.store import Store

LOGIN_SCOPES = ("openid", "profile")
EDGES_READ = "edges:read"
EVERY_WORKLOAD = "*"
"""Stands in a seeded service edge for every client that authenticates: those that join later too."""

_AUDIENCE = select(schema.audiences).where(schema.audiences.c.audience == bindparam("audience"))
_OWNED = select(schema.audiences.c.audience).where(schema.audiences.c.client_id == bindparam("client_id"))
_SCOPES = select(schema.scopes).where(schema.scopes.c.audience == bindparam("audience"))
_EDGES = select(schema.edges).where(
    or_(
        schema.edges.c.client_id == bindparam("client_id"),
        and_(schema.edges.c.client_id == EVERY_WORKLOAD, schema.edges.c.mode == "s2s"),
    )
)


class Mode(StrEnum):
    """How a client asks: at a person's login, on behalf of a person, or as itself."""

    LOGIN = "login"
    OBO = "obo"
    S2S = "s2s"


@dataclass(frozen=True, slots=True)
class Audience:
    """One service: its scopes, each with the roles entitled to it. No roles: for services only."""

    audience: str
    name: str
    client_id: str | None
    joined: bool
    scopes: Mapping[str, frozenset[str]]

    def entitles(self, person: Person, scope: str) -> bool:
        """Whether one of the person's roles gives the scope here."""
        return not self.scopes.get(scope, frozenset()).isdisjoint(person.roles)


@dataclass(frozen=True, slots=True)
class Edges:
    """What one client may ask for: (audience, scope, mode)."""

    client_id: str
    entries: tuple[tuple[str, str, Mode], ...]

    def scopes(self, audience: str, mode: Mode) -> frozenset[str]:
        """The scopes that it may ask for at the audience in that mode."""
        return frozenset(scope for where, scope, how in self.entries if where == audience and how is mode)


def find_audience(store: Store, audience: str) -> Audience | None:
    """The audience, or None."""
    row = store.row(_AUDIENCE, {"audience": audience})
    if row is None:
        return None
    scopes: dict[str, set[str]] = {}
    for one in store.rows(_SCOPES, {"audience": audience}):
        scopes.setdefault(one["scope"], set()).update({one["role"]} - {""})
    named = {scope: frozenset(roles) for scope, roles in scopes.items()}
    return Audience(audience, row["name"], row["client_id"], row["joined"], named)


def require_audience(store: Store, audience: str) -> Audience:
    """The audience. Raises `Refused` (invalid_target) when nobody registered it."""
    found = find_audience(store, audience)
    if found is None:
        raise invalid_target(
            f"{audience[:200]} is not an audience of this issuer.", hint="An administrator has to add it first."
        )
    return found


def owned_by(store: Store, client_id: str) -> frozenset[str]:
    """The audiences that are this client."""
    return frozenset(row["audience"] for row in store.rows(_OWNED, {"client_id": client_id}))


def edges_of(store: Store, client_id: str) -> Edges:
    """Everything that the client may ask for; as itself also what every workload may."""
    rows = store.rows(_EDGES, {"client_id": client_id})
    return Edges(client_id, tuple((row["audience"], row["scope"], Mode(row["mode"])) for row in rows))


def check_scopes(audience: Audience, wanted: Iterable[str]) -> None:
    """Raises `Refused` (invalid_scope) for a scope that the audience does not have."""
    for scope in wanted:
        if scope not in audience.scopes:
            raise invalid_scope(f"{audience.name} has no scope {scope}.")


def check_edge(edges: Edges, audience: Audience, wanted: Iterable[str], mode: Mode) -> None:
    """Raises `Refused` (invalid_scope) for a scope that no edge gives this client."""
    allowed = edges.scopes(audience.audience, mode)
    how = "on behalf of a person" if mode is Mode.OBO else "for itself"
    for scope in wanted:
        if scope not in allowed:
            raise invalid_scope(
                f"{edges.client_id} may not ask {audience.name} for {scope} {how}.",
                hint="An administrator can add it as a caller of this audience.",
            )


def check_entitled(audience: Audience, person: Person, wanted: Iterable[str]) -> None:
    """Raises `Refused` (invalid_scope) for a scope that none of the person's roles gives."""
    for scope in wanted:
        if not audience.entitles(person, scope):
            raise _not_entitled(audience, person, scope)


def _not_entitled(audience: Audience, person: Person, scope: str) -> Refused:
    roles = sorted(audience.scopes[scope])
    hint = f"This needs the role {' or '.join(roles)}." if roles else "Only services can have it."
    return invalid_scope(f"{person.name} is not entitled to {scope}.", hint=hint)


def at_login(edges: Edges, audience: Audience, person: Person, wanted: Iterable[str]) -> list[str]:
    """What a login may carry for one audience: wanted, entitled, and on a login edge. The rest is left out silently
    (RFC 6749 s3.3: the response's `scope` says what was granted)."""
    allowed = edges.scopes(audience.audience, Mode.LOGIN)
    return [scope for scope in wanted if scope in allowed and audience.entitles(person, scope)]
