"""Policy whose sentences speak to the person."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from stead.identity.policy.conditions import Vocabulary
from stead.identity.policy.decision import Decision
from stead.identity.policy.engine import Policy
from stead.identity.policy.rules import Rule
from stead.identity.policy.sentences import check_sentences, filled
from stead.identity.types import Json
from stead.identity.values import Principal


class Worded(Policy):
    """The same decisions, with the places filled in the sentences that rules say; see `sentences`."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        known_resources: Collection[str] | None = None,
        known_claims: Collection[str] | None = None,
        inputs: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(rules, known_resources, known_claims, inputs)
        self._said = {rule.id: rule for rule in self.rules}
        self._check(self._vocabulary)

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        decision = super().decide(principal, resource, action, input, now)
        rule = None if decision.allowed else self._said.get(decision.rule)
        if rule is None:
            return decision
        # Only what the rule itself says has places: what is said of a request may have braces of the caller's.
        reason = filled(rule.reason, principal, input) if decision.reason == rule.reason else decision.reason
        return replace(decision, reason=reason, hint=filled(decision.hint, principal, input))

    def check_claims(self, known: Collection[str]) -> None:
        super().check_claims(known)
        self._check(Vocabulary(self._known_resources, known, self.inputs))

    def _check(self, vocabulary: Vocabulary) -> None:
        for rule in self.rules:
            check_sentences(rule, vocabulary)
