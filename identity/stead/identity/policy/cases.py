"""Tests of a policy, written in its own file: a second YAML document with questions and the answers they must get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.confirmation import Confirmation
from stead.identity.errors import ConfigurationError
from stead.identity.policy.documents import documents
from stead.identity.policy.explaining import SILENT, Question, explain, strongest
from stead.identity.policy.reading import read_rules
from stead.identity.policy.rules import Outcome, Rule
from stead.identity.types import Json
from stead.identity.values import Actor, Grant, Principal, Provenance

NOON = 1_800_000_000.0
"""The time of a case that names none."""


class Asker(BaseModel):
    """Whoever asks, as a case writes them down. `chain` are the actors, the current one first; `bound` to a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sub: str = Field(description="Who it is.")
    iss: str = Field("https://idp.example", description="By which issuer.")
    grant: Grant = Field(Grant.OBO, description="By what right.")
    scopes: tuple[str, ...] = Field((), description="The scopes of the token.")
    roles: tuple[str, ...] = Field((), description="The roles of the token.")
    chain: tuple[str, ...] = Field((), description="The actors, the current one first.")
    chain_from: Provenance = Field("token", description="How the chain is known.")
    bound: bool = Field(False, description="Whether the token is bound to a key.")
    client_id: str = Field("client", description="To which client the token was issued.")
    claims: Mapping[str, Any] = Field({}, description="Other claims: groups, acr, auth_time, risk and so on.")

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
            confirmation=Confirmation("asserted", "") if self.bound else None,
            claims=MappingProxyType({**self.claims, "roles": list(self.roles)}),
        )


class Case(BaseModel):
    """A question, the outcome it must have, and the rule that must bring it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="What it shows, as a sentence.")
    principal: Asker = Field(description="Who asks.")
    resource: str = Field(description="The skill or tool.")
    action: str = Field("SendMessage", description="The protocol's method, such as tools/call.")
    input: Mapping[str, Any] = Field({}, description="The arguments.")
    now: float = Field(NOON, strict=True, description="When, as Unix time.")
    outcome: Outcome | Literal["silent"] = Field(description="What the rules must say; silent: none applies.")
    rule: str | None = Field(None, description="The rule that must bring it.")

    def question(self) -> Question:
        """What is asked."""
        return Question(self.principal.principal(), self.resource, self.action, self.input, self.now)


class Tests(BaseModel):
    """The second document of a policy file: questions, and the answers they must get."""

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
    rules, (_, tests) = read_rules(text), documents(text)
    if tests is None:
        return rules, ()
    try:
        return rules, Tests.model_validate(tests).tests
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
