"""AuthZEN access evaluations, in batches: what could this person get through this client? Advisory only.

The caller is a client, with a token of its own for this issuer. The subject is a person, shown by a token that was
sent to that client, so that nobody asks about people who did not call.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.errors import InvalidToken
from stead.identity.server.authority import (
    EDGES_READ,
    Audience,
    Edges,
    Mode,
    check_edge,
    check_entitled,
    check_scopes,
    edges_of,
    find_audience,
    owned_by,
)
from stead.identity.server.calls import Call, Reply, uncached
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.own_tokens import read_own, require_bearer
from stead.identity.server.people import Person, find_person
from stead.identity.server.site import Site
from stead.identity.types import Json

_Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Token(_Value):
    """Where the subject's token stands."""

    subject_token: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]


class Subject(_Value):
    """AuthZEN's subject: the person, with the token that they called with."""

    type: Literal["user"]
    id: _Text
    properties: Token


class Resource(_Value):
    """AuthZEN's resource: an audience."""

    type: Literal["audience"]
    id: _Text


class Properties(_Value):
    """How the client would ask."""

    mode: Literal["obo", "s2s"] = "obo"


class Action(_Value):
    """AuthZEN's action: a scope at that audience."""

    name: _Text
    properties: Properties = Properties()


class Evaluation(_Value):
    """One question."""

    resource: Resource
    action: Action


class Evaluations(_Value):
    """A batch about one subject."""

    subject: Subject
    evaluations: Annotated[list[Evaluation], Field(min_length=1, max_length=500)]


def evaluate(site: Site, call: Call) -> Reply:
    """One decision for each question, in order (AuthZEN Authorization API 1.0 s7)."""
    client_id = str(require_bearer(site.issuer, call, EDGES_READ).claims["client_id"])
    try:
        batch = Evaluations.model_validate(call.json)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise invalid_request(f"The batch is not acceptable at {where[:100] or 'the top'}.") from None
    person = _person(site, batch.subject, client_id)
    edges = edges_of(site.issuer.store, client_id)
    audiences = {
        name: find_audience(site.issuer.store, name) for name in {one.resource.id for one in batch.evaluations}
    }
    answers = [_decide(edges, audiences[one.resource.id], person, one.action) for one in batch.evaluations]
    return uncached({"evaluations": answers})


def _person(site: Site, subject: Subject, client_id: str) -> Person:
    try:
        own = read_own(site.issuer, subject.properties.subject_token)
    except InvalidToken as error:
        raise invalid_request(error.description, hint=error.hint) from None
    person = find_person(site.issuer.store, str(own.claims["sub"]))
    if own.audience not in owned_by(site.issuer.store, client_id) or person is None or person.subject != subject.id:
        raise invalid_request(f"The subject did not call {client_id}.")
    return person


def _decide(edges: Edges, audience: Audience | None, person: Person, action: Action) -> Json:
    wanted, mode = (action.name,), Mode(action.properties.mode)
    if audience is None:
        return {"decision": False, "context": {"error": "invalid_target"}}
    try:
        check_scopes(audience, wanted)
        check_edge(edges, audience, wanted, mode)
        if mode is Mode.OBO:
            check_entitled(audience, person, wanted)
    except Refused as refused:
        return {"decision": False, "context": dict(refused.get_body())}
    return {"decision": True}
