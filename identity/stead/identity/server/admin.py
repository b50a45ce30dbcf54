"""How services join a running network: audiences, scopes and edges, added by a person with `registry:admin`.

The right is checked here, at the authorization server, from that person's own token; no workload has it. To let
people's tokens go to a service, or to let a service act for people, is a right of its own: `registry:obo`.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import delete

from stead.identity.addresses import may_reach
from stead.identity.server import schema
from stead.identity.server.authority import EDGES_READ, check_scopes, edges_of, find_audience, require_audience
from stead.identity.server.calls import Call, Reply, uncached
from stead.identity.server.clients import find_client
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.own_tokens import OwnToken, require_bearer
from stead.identity.server.seeding import SeedAudience, SeedEdge, write_audience, write_edge
from stead.identity.server.site import Site
from stead.identity.server.store import Store
from stead.identity.values import Grant

REGISTRY_ADMIN = "registry:admin"
REGISTRY_OBO = "registry:obo"

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
_Title = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>]{1,100}$")]
_Origin = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$|^https?://\[[0-9a-f:]+\](:[0-9]{1,5})?$"),
]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Caller(_Closed):
    """Who may ask for which scopes there, and how."""

    client_id: _Name
    scopes: Annotated[list[_Name], Field(min_length=1, max_length=64)]
    mode: Literal["obo", "s2s"]


class Need(_Closed):
    """What the service itself may ask of another one."""

    audience: _Origin
    scopes: Annotated[list[_Name], Field(min_length=1, max_length=64)]
    mode: Literal["obo", "s2s"]


class NewAudience(_Closed):
    """A service that joins: its origin, its client, its scopes with the roles they go to, its callers and needs."""

    audience: _Origin
    name: _Title
    client_id: _Name | None = None
    scopes: Annotated[dict[_Name, Annotated[list[_Name], Field(max_length=16)]], Field(max_length=64)] = {}
    callers: Annotated[list[Caller], Field(max_length=64)] = []
    needs: Annotated[list[Need], Field(max_length=64)] = []

    @property
    def acts_for_people(self) -> bool:
        """Whether a person's token would reach it, or go on from it."""
        return "obo" in {*(one.mode for one in self.callers), *(one.mode for one in self.needs)}

    def edges(self) -> list[SeedEdge]:
        """Who may call it, and whom it may call."""
        calls = [SeedEdge(one.client_id, self.audience, tuple(one.scopes), one.mode) for one in self.callers]
        own = self.client_id or ""
        return [*calls, *(SeedEdge(own, one.audience, tuple(one.scopes), one.mode) for one in self.needs)]


def add_audience(site: Site, call: Call) -> Reply:
    """Adds a service, or brings one that was added before up to date. Raises `Refused`."""
    own = _require_admin(site, call)
    wanted, store = _read(call), site.issuer.store
    _check_delegation(own, wanted)
    _check_reach(site, wanted.audience)
    _check_free(store, wanted)
    _check_clients(store, wanted)
    _check_needs(store, wanted)
    _forget(store, wanted.audience)
    scopes = {scope: tuple(roles) for scope, roles in wanted.scopes.items()}
    write_audience(store, SeedAudience(wanted.audience, wanted.name, scopes, wanted.client_id), joined=True)
    for edge in wanted.edges():
        write_edge(store, edge, joined_by=wanted.audience)
    return uncached(wanted.model_dump(), 201)


def remove_audience(site: Site, call: Call) -> Reply:
    """Removes a service that was added; those that the network started with stay. Raises `Refused`."""
    _require_admin(site, call)
    audience = call.query.one("audience") or ""
    found = find_audience(site.issuer.store, audience)
    if found is None:
        raise Refused("invalid_target", "There is no such audience.", status=404)
    if not found.joined:
        raise _of_the_network(audience)
    _forget(site.issuer.store, audience)
    return Reply(204)


def list_edges(site: Site, call: Call) -> Reply:
    """What the calling client may ask for."""
    own = require_bearer(site.issuer, call, EDGES_READ)
    entries = edges_of(site.issuer.store, own.claims["client_id"]).entries
    return uncached({"edges": [{"audience": where, "scope": scope, "mode": mode} for where, scope, mode in entries]})


def _require_admin(site: Site, call: Call) -> OwnToken:
    own = require_bearer(site.issuer, call, REGISTRY_ADMIN)
    if own.grant is not Grant.LOGIN:
        raise Refused("insufficient_scope", "Only a signed-in person may do this, not somebody for them.", status=403)
    return own


def _check_delegation(own: OwnToken, wanted: NewAudience) -> None:
    if wanted.acts_for_people and REGISTRY_OBO not in own.scopes:
        raise Refused(
            "insufficient_scope",
            "People's tokens would go there: that is a right of its own.",
            hint=f"This needs the scope {REGISTRY_OBO}.",
            status=403,
        )


def _read(call: Call) -> NewAudience:
    try:
        return NewAudience.model_validate(call.json)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise invalid_request(f"The audience is not acceptable at {where[:100] or 'the top'}.") from None


def _check_reach(site: Site, audience: str) -> None:
    if not may_reach(urlsplit(audience).hostname or "", urlsplit(site.issuer.name).hostname or ""):
        raise invalid_request(
            "The audience is an address that others do not reach.", hint="Give the one at which everybody does."
        )


def _check_free(store: Store, wanted: NewAudience) -> None:
    """An audience is an origin that everybody reaches, and belongs to one client."""
    found = find_audience(store, wanted.audience)
    if found is not None and not found.joined:
        raise _of_the_network(wanted.audience)
    if found is not None and found.client_id != wanted.client_id:
        raise Refused("invalid_target", "The audience belongs to another client.", hint="Remove it first.", status=409)


def _check_clients(store: Store, wanted: NewAudience) -> None:
    for client_id in {wanted.client_id, *(caller.client_id for caller in wanted.callers)} - {None}:
        if find_client(store, str(client_id)) is None:
            raise invalid_request(f"There is no client {client_id}.", hint="It has to register first.")
    for caller in wanted.callers:
        if not set(caller.scopes) <= set(wanted.scopes):
            raise invalid_request(f"{caller.client_id} would ask for a scope that the audience does not have.")


def _check_needs(store: Store, wanted: NewAudience) -> None:
    if wanted.needs and wanted.client_id is None:
        raise invalid_request("A service that asks others for something needs a client of its own.")
    for need in wanted.needs:
        check_scopes(require_audience(store, need.audience), need.scopes)


def _of_the_network(audience: str) -> Refused:
    return Refused("invalid_target", f"{audience} belongs to the network and is not changed here.", status=409)


def _forget(store: Store, audience: str) -> None:
    store.run(delete(schema.edges).where(schema.edges.c.joined_by == audience))
    for table in (schema.edges, schema.scopes, schema.audiences):
        store.run(delete(table).where(table.c.audience == audience))
