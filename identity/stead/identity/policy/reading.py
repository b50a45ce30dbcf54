"""From what somebody wrote to rules. A mistake in a rule is found here, not at the first request, and told in words."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from stead.identity.errors import ConfigurationError
from stead.identity.policy.documents import documents
from stead.identity.policy.form import FORMS, PARAMS, RuleForm
from stead.identity.policy.names import check_names, unknown_name
from stead.identity.policy.rules import Outcome, Rule

_MEMBERS = (*RuleForm.model_fields, "outcome", "params")
_WHOLE_NUMBERS = ("max_age",)


def read_rules(source: str | Iterable[Rule | Mapping[str, Any]]) -> list[Rule]:
    """Rules from YAML text, or from a list of rules and mappings. Raises `ConfigurationError` naming the rule."""
    entries = documents(source)[0] if isinstance(source, str) else source
    rules = [entry if isinstance(entry, Rule) else _read_rule(entry) for entry in entries]
    names = [rule.id for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Two rules are called {name}.", hint="Give each an id of its own.")
    return rules


def _read_rule(entry: object) -> Rule:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str) or not entry["id"]:
        raise ConfigurationError("A rule of the policy has no id.", hint="Each rule is a mapping with an id.")
    name: str = entry["id"]
    check_names("member", (str(member) for member in entry), _MEMBERS, name)
    outcome = str(entry.get("outcome"))
    check_names("outcome", [outcome], FORMS, name)
    try:
        form = FORMS[outcome].model_validate(dict(entry))
    except ValidationError as invalid:
        raise _told(name, outcome, invalid) from None
    params = {} if form.params is None else form.params.model_dump(exclude_none=True)
    return Rule(
        id=name,
        resources=(form.resource,) if isinstance(form.resource, str) else tuple(form.resource),
        outcome=Outcome(outcome),
        when=form.when if isinstance(form.when, str) else str(form.when).lower(),
        reason=form.reason,
        hint=form.hint,
        params=MappingProxyType(params),
    )


def _told(rule: str, outcome: str, invalid: ValidationError) -> ConfigurationError:
    """The first mistake, in the words of whoever writes rules."""
    first = invalid.errors(include_input=False, include_url=False)[0]
    member, *within = (str(part) for part in first["loc"])
    if member == "resource":
        return ConfigurationError(f"Rule {rule} names no resource.", hint='A name, a list of names, or "*".')
    if member == "when":
        return ConfigurationError(f"The condition of rule {rule} is not text.", hint="Write a CEL expression.")
    if member != "params":
        return ConfigurationError(f"The {member} of rule {rule} is not text.")
    if not within:
        return ConfigurationError(f"The params of rule {rule} are not a mapping.")
    known = PARAMS[outcome].model_fields
    if within[0] not in known:
        return unknown_name(f"param of {outcome}", within[0], known, rule)
    what = "a whole number of seconds" if within[0] in _WHOLE_NUMBERS else "text"
    return ConfigurationError(f"The param {within[0]} of rule {rule} is not {what}.")
