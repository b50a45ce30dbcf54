"""A question that somebody else's enforcement point asks of a policy, and the answer to it (AuthZEN 1.0 s5, s6).

What it says of the subject is believed: whoever may ask at all has verified it. What it does not say is empty, and a
subject of a kind that nobody knows is none.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidRequest
from stead.identity.policy.authzen import CLIENT
from stead.identity.policy.decision import Decides, Decision
from stead.identity.policy.explaining import Question
from stead.identity.types import Json
from stead.identity.values import MAX_ACTORS, Actor, Grant, Principal, Provenance

MAX_SUBJECT = 16_384
"""Characters of a subject as JSON: what is known of anybody stood in a token of half that length."""

_Text = Annotated[str, Field(min_length=1, max_length=300)]
_Names = Annotated[tuple[str, ...], Field(max_length=200)]


class _Value(BaseModel):
    """The standard lets other members stand beside those it names; they are passed over."""

    model_config = ConfigDict(frozen=True)


class _Properties(_Value):
    """What conditions read of a principal; other members are claims of it too."""

    model_config = ConfigDict(frozen=True, extra="allow")

    iss: str = ""
    grant: Grant | None = None
    scopes: _Names = ()
    chain: Annotated[tuple[_Text, ...], Field(max_length=MAX_ACTORS)] = ()
    chain_from: Provenance = "token"
    bound: bool = False
    client_id: str = ""
    claims: Mapping[str, Any] = {}


class _Subject(_Value):
    type: Literal["user", "client"]
    id: _Text
    properties: _Properties = _Properties()


class _Action(_Value):
    name: _Text


class _Resource(_Value):
    type: _Text
    id: _Text


class _Context(_Value):
    input: Mapping[str, Any] = {}


class _Evaluation(_Value):
    action: _Action
    resource: _Resource
    context: _Context = _Context()


class Questions:
    """Reads the questions of one request. A subject that many of them share is read, and known to policy, once.

    The time is ours: whoever asks does not choose it.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._subjects: dict[int, Principal] = {}

    def read(self, document: Json) -> Question:
        """The question. Raises `InvalidRequest`."""
        principal = self._principal(document.get("subject"))
        asked = _valid(_Evaluation, document)
        return Question(principal, asked.resource.id, asked.action.name, asked.context.input, self._now)

    def _principal(self, subject: Any) -> Principal:
        # By identity: the request holds it for as long as its questions are read.
        known = self._subjects.get(id(subject))
        if known is None:
            known = _principal(_valid(_Subject, subject, "subject."))
            if len(json.dumps(subject)) > MAX_SUBJECT:
                raise InvalidRequest(f"The subject is longer than {MAX_SUBJECT} characters.")
            self._subjects[id(subject)] = known
        return known


V = TypeVar("V", bound=_Value)


def _valid(kind: type[V], document: Any, within: str = "") -> V:
    try:
        return kind.model_validate(document)
    except ValidationError as invalid:
        where = within + ".".join(
            str(part) for part in invalid.errors(include_input=False, include_url=False)[0]["loc"]
        )
        raise InvalidRequest(f"The question is not acceptable at {where[:100] or 'the top'}.") from None


def answer(policy: Decides, question: Question) -> Json:
    """What the policy says, with the reason, the rule and what would help, for who asks to act upon."""
    asked = question.principal, question.resource, question.action, question.input, question.now
    decided = policy.decide(*asked)
    return {"decision": True} if decided.allowed else {"decision": False, "context": _context(decided)}


def _context(decided: Decision) -> Json:
    told: Json = {"outcome": decided.outcome.value, "rule": decided.rule}
    if decided.reason:
        told["reason_user"] = {"en": decided.reason}
    if decided.hint:
        told["hint"] = decided.hint
    wanted = ("acr_values", "max_age", "provider", "scope")
    return told | {name: decided.params[name] for name in wanted if name in decided.params}


def _principal(subject: _Subject) -> Principal:
    said = subject.properties
    claims = {**(said.model_extra or {}), **said.claims}
    return Principal(
        issuer=said.iss,
        subject=subject.id,
        audience="",
        client_id=said.client_id,
        scopes=frozenset(said.scopes),
        jti="",
        expires_at=0,
        grant=said.grant or (Grant.S2S if subject.type == CLIENT else Grant.LOGIN),
        actor=_chain(said.chain),
        chain_from=said.chain_from,
        confirmation=Confirmation("asserted", "") if said.bound else None,
        claims=MappingProxyType(claims),
    )


def _chain(names: tuple[str, ...]) -> Actor | None:
    actor: Actor | None = None
    for name in reversed(names):
        actor = Actor(name, prior=actor)
    return actor
