"""Policy whose sentences speak to the person: `{name}` and the claims and input that a rule decided by."""

from collections.abc import Mapping
from decimal import Decimal
from string import Formatter
from typing import Any

from stead.identity.policy.decision import Decision
from stead.identity.policy.engine import Policy
from stead.identity.values import Principal


class Worded(Policy):
    """The same decisions. In `reason` and `hint`, `{claims[limit]:money}` and the like are filled in."""

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        decision = super().decide(principal, resource, action, input, now)
        if decision.allowed:
            return decision
        seen = {"name": principal.name, "claims": dict(principal.claims), "input": dict(input)}
        reason, hint = _filled(decision.reason, seen), _filled(decision.hint, seen)
        return Decision(decision.outcome, decision.rule, reason, hint, decision.params)


class _Sentence(Formatter):
    """Items only: a rule's sentence reads values, and reaches nothing behind them."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if "." in field_name:
            raise ValueError("a sentence names items, not attributes")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "money":
            return f"{Decimal(value['amount']):,.2f} {value['currency']}"
        return str(super().format_field(value, format_spec))


def _filled(sentence: str | None, seen: Mapping[str, Any]) -> str | None:
    if sentence is None or "{" not in sentence:
        return sentence
    try:
        return _Sentence().vformat(sentence, (), seen)
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return "A rule forbids this."
