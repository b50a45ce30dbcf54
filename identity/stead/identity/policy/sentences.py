"""What rules say to a person: sentences with places for `{name}`, and for the claims and input that were decided by."""

import re
from collections.abc import Mapping
from decimal import Decimal
from string import Formatter
from typing import Any

from stead.identity.errors import ConfigurationError
from stead.identity.policy.conditions import Vocabulary
from stead.identity.policy.expressions.kinds import Kind
from stead.identity.policy.names import check_names
from stead.identity.policy.rules import Rule
from stead.identity.values import Principal

UNFILLED = "A rule forbids this."
"""Said in place of a sentence whose places cannot be filled."""
MONEY = "money"

_PLACE = re.compile(r"(\w*)((?:\[[^\[\]]+\])*)")
_FORMATS = ("", MONEY)


def check_sentences(rule: Rule, vocabulary: Vocabulary) -> None:
    """Raises `ConfigurationError` for a place of `reason` or `hint` that nothing will ever fill."""
    variables = vocabulary.variables(rule)
    members = variables["principal"].members or {}
    known = {"name": Kind("string"), "claims": members["claims"], "input": variables["input"]}
    for sentence in (rule.reason, rule.hint):
        for place, form in _places(rule, sentence or ""):
            _check_place(rule, place, form, known)


def filled(sentence: str | None, principal: Principal, input: Mapping[str, Any]) -> str | None:
    """The sentence as the person reads it. `{claims[limit]:money}` shows an amount with its currency."""
    if sentence is None or "{" not in sentence:
        return sentence
    seen = {"name": principal.name, "claims": dict(principal.claims), "input": dict(input)}
    try:
        return _Sentence().vformat(sentence, (), seen)
    except (LookupError, ValueError, TypeError, ArithmeticError):
        return UNFILLED


class _Sentence(Formatter):
    """Items only: a rule's sentence reads values, and reaches nothing behind them."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if "." in field_name:
            raise ValueError("a sentence names items, not attributes")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == MONEY:
            return f"{Decimal(value['amount']):,.2f} {value['currency']}"
        return str(super().format_field(value, format_spec))


def _places(rule: Rule, sentence: str) -> list[tuple[str, str]]:
    """The places of a sentence, each with the form in which it is shown."""
    try:
        parts = list(Formatter().parse(sentence))
    except ValueError:
        raise ConfigurationError(
            f"A sentence of rule {rule.id} has a brace that nothing closes.", hint="Write {{ or }} for one itself."
        ) from None
    named = [(name, form or "", conversion) for _, name, form, conversion in parts if name is not None]
    return [(name, f"!{conversion}" if conversion else form) for name, form, conversion in named]


def _check_place(rule: Rule, place: str, form: str, known: Mapping[str, Kind]) -> None:
    found = _PLACE.fullmatch(place)
    if found is None or form not in _FORMATS:
        raise ConfigurationError(
            f"A sentence of rule {rule.id} has the place {{{place}}}, which is never filled.",
            hint="Such as {name}, {claims[limit]}, {input[amount]} or {claims[limit]:money}.",
        )
    name, items = found[1], re.findall(r"\[([^\]]+)\]", found[2])
    check_names("place in a sentence", [name], known, rule.id)
    kind = known[name]
    if items and kind.members is not None:
        check_names(kind.what, items[:1], kind.members, rule.id, kind.otherwise)
