"""Tests of a policy, written in its own file: a second YAML document with questions and the answers they must get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.errors import ConfigurationError
from stead.identity.policy.explaining import SILENT, Question, explain, strongest
from stead.identity.policy.rules import Outcome, Rule, read_rules
from stead.identity.types import Json
from stead.identity.values import Actor, Grant, Principal, Provenance

NOON = 1_800_000_000.0
"""The time of a case that names none."""


class Asker(BaseModel):
    """Whoever asks, as a case writes them down. `chain` are the actors, the current one first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sub: str
    iss: str = "https://idp.example"
    grant: Grant = Grant.OBO
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    chain_from: Provenance = "token"
    client_id: str = "client"
    claims: Mapping[str, Any] = {}

    def principal(self) -> Principal:
        """The principal that conditions see."""
        actor: Actor | None = None
        for name in reversed(self.chain):
            actor = Actor(name, prior=actor)
        return Principal(
            issuer=self.iss,
            subject=self.sub,
            audience="here",
            client_id=self.client_id,
            scopes=frozenset(self.scopes),
            jti="case",
            expires_at=2**40,
            grant=self.grant,
            actor=actor,
            chain_from=self.chain_from,
            claims=MappingProxyType({**self.claims, "roles": list(self.roles)}),
        )


class Case(BaseModel):
    """A question, the outcome it must have, and the rule that must bring it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    principal: Asker
    resource: str
    action: str = "SendMessage"
    input: Mapping[str, Any] = {}
    now: float = NOON
    outcome: Outcome | Literal["silent"]
    rule: str | None = None

    def question(self) -> Question:
        """What is asked."""
        return Question(self.principal.principal(), self.resource, self.action, self.input, self.now)


class _Tests(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tests: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Failed:
    """A case that got another answer."""

    case: Case
    outcome: str
    rule: str | None

    def as_json(self) -> Json:
        """For printing."""
        wanted = {"outcome": str(self.case.outcome), "rule": self.case.rule}
        return {"case": self.case.name, "wanted": wanted, "got": {"outcome": self.outcome, "rule": self.rule}}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of the cases of one policy. `untried` are rules that decided none of them."""

    cases: int
    failed: tuple[Failed, ...]
    untried: tuple[str, ...]


def read_cases(text: str) -> tuple[list[Rule], tuple[Case, ...]]:
    """The rules of a policy file, and the cases of its second document, if it has one. Raises `ConfigurationError`."""
    rules = read_rules(text)
    documents = list(yaml.safe_load_all(text))
    if len(documents) < 2:
        return rules, ()
    try:
        return rules, _Tests.model_validate(documents[1]).tests
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"The tests of the policy are wrong at {place or 'the top'}: {first['msg']}."
        ) from None


def try_cases(rules: Sequence[Rule], cases: Sequence[Case]) -> Tried:
    """Asks each, and compares."""
    failed, decided = [], set()
    for case in cases:
        outcome, rule = strongest(explain(rules, case.question()))
        decided.add(rule)
        if outcome != str(case.outcome) or (case.rule is not None and case.rule != rule):
            failed.append(Failed(case, outcome, rule))
    untried = tuple(rule.id for rule in rules if rule.id not in decided)
    return Tried(len(cases), tuple(failed), untried)


__all__ = ["SILENT", "Asker", "Case", "Failed", "Tried", "read_cases", "try_cases"]
