"""AuthZEN access evaluations: what could this person get through this client? Advisory only.

The caller is a client, with a token of its own for this issuer. The subject is a person, shown by a token that was
sent to that client, so that nobody asks about people who did not call.
"""

from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.policy.batches import Batch, read_batch
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

REQUEST_ID = "x-request-id"
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

    subject: Subject
    resource: Resource
    action: Action


def evaluate(site: Site, call: Call) -> Reply:
    """The decision on one question (AuthZEN Authorization API 1.0 s6)."""
    return _answered(site, call, Batch((dict(call.json or {}),), is_single=True))


def evaluate_all(site: Site, call: Call) -> Reply:
    """One decision for each question, in order (s7)."""
    try:
        return _answered(site, call, read_batch(call.json or {}))
    except InvalidRequest as error:
        raise invalid_request(error.description, hint=error.hint) from None


def _answered(site: Site, call: Call, batch: Batch) -> Reply:
    client_id = str(require_bearer(site.issuer, call, EDGES_READ).claims["client_id"])
    asking = _Asking(site, client_id)
    named = call.headers.get(REQUEST_ID)
    reply = uncached(batch.answered(asking.answer))
    return reply if named is None or not named.isprintable() else reply.with_headers((REQUEST_ID, named[:200]))


class _Asking:
    """One client's questions: what they have in common is looked up once."""

    def __init__(self, site: Site, client_id: str) -> None:
        self._edges = edges_of(site.issuer.store, client_id)
        self._person = cache(lambda subject: _person(site, subject, client_id))
        self._audience = cache(lambda name: find_audience(site.issuer.store, name))

    def answer(self, document: Json) -> Json:
        try:
            asked = Evaluation.model_validate(document)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise invalid_request(f"The question is not acceptable at {where[:100] or 'the top'}.") from None
        return _decide(self._edges, self._audience(asked.resource.id), self._person(asked.subject), asked.action)


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
