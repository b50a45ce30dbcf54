"""Why a policy decides as it does: each of its rules, whether it applies, and where that cannot be said, why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stead.identity.policy.conditions import compile_condition, context_of, readable
from stead.identity.policy.rules import ANY, Outcome, Rule
from stead.identity.types import Json
from stead.identity.values import Principal

SILENT = "silent"
"""What a set of rules says where none of them applies."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a policy; `now` is in seconds since the epoch."""

    principal: Principal
    resource: str
    action: str
    input: Mapping[str, Any]
    now: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says. `applies` is None where that cannot be evaluated, which denies; `why` says what is amiss."""

    rule: Rule
    applies: bool | None
    why: str | None = None

    def as_json(self) -> Json:
        """For printing."""
        said: Json = {"rule": self.rule.id, "outcome": self.rule.outcome.value, "applies": self.applies}
        return said if self.why is None else {**said, "why": self.why}


def explain(rules: Sequence[Rule], question: Question) -> list[Verdict]:
    """What each rule for the resource says, in their order. Raises `ConfigurationError` for a rule with a mistake."""
    return [_verdict(rule, question) for rule in rules if {question.resource, ANY} & set(rule.resources)]


def strongest(verdicts: Sequence[Verdict]) -> tuple[str, str | None]:
    """The outcome of them all, and the rule that brought it: what cannot be evaluated denies, deny wins."""
    for verdict in verdicts:
        if verdict.applies is None:
            return Outcome.DENY.value, verdict.rule.id
    applying = [verdict.rule for verdict in verdicts if verdict.applies]
    if not applying:
        return SILENT, None
    rule = max(applying, key=lambda one: one.outcome.strength)
    return rule.outcome.value, rule.id


def _verdict(rule: Rule, question: Question) -> Verdict:
    condition, context = compile_condition(rule), context_of(question.principal)
    try:
        for name, value in _variables(question).items():
            context.add_variable(name, value)
        return Verdict(rule, condition.holds(context))
    except Exception as error:  # CEL raises many kinds; a rule that cannot be evaluated denies
        missing = isinstance(error, KeyError) and error.args
        return Verdict(rule, None, f"{error.args[0]} is missing" if missing else str(error)[:200])


def _variables(question: Question) -> Mapping[str, Any]:
    return {
        "resource": question.resource,
        "action": question.action,
        "input": readable(question.input),
        "now": int(question.now),
    }
