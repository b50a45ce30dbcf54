"""The form of a rule, and how one is read from YAML. A mistake in a rule is found here, not at the first request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import yaml

from stead.identity.errors import ConfigurationError
from stead.identity.policy.names import check_names
from stead.identity.types import Json
from stead.identity.values import Grant

ANY = "*"


class Outcome(StrEnum):
    """What a rule says. Where several apply the strongest wins: deny, then step_up, then consent, then allow."""

    ALLOW = "allow"
    CONSENT = "consent"
    STEP_UP = "step_up"
    DENY = "deny"

    @property
    def strength(self) -> int:
        """Greater beats smaller."""
        return _BY_STRENGTH.index(self)


_BY_STRENGTH = tuple(Outcome)
_PARAMS: Mapping[Outcome, Mapping[str, type]] = {
    Outcome.ALLOW: {},
    Outcome.CONSENT: {"provider": str},
    Outcome.STEP_UP: {"acr_values": str, "max_age": int},
    Outcome.DENY: {"scope": str},
}
_MEMBERS = ("id", "resource", "when", "outcome", "reason", "hint", "params")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: for these resources, when this CEL condition holds, this outcome.

    `reason` and `hint` are sentences for the person. `params` go with the outcome: `acr_values` and `max_age` of a
    step-up, `provider` of a consent; of a declared rule `grant` and `scopes`, which tell a refusal what was missing.
    `source` is the file that it was read from; empty for one that code makes.
    """

    id: str
    resources: tuple[str, ...]
    outcome: Outcome
    when: str = "true"
    reason: str | None = None
    hint: str | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    source: str = field(default="", compare=False)

    def as_json(self) -> Json:
        """The rule, whole."""
        return {
            "id": self.id,
            "resources": list(self.resources),
            "outcome": self.outcome.value,
            "when": self.when,
            "reason": self.reason,
            "hint": self.hint,
            "params": dict(self.params),
            "source": self.source,
        }


def declared(resource: str, grant: Grant, scopes: Iterable[str]) -> Rule:
    """The rule that a skill or tool has without saying more: by its grant, with all of its scopes."""
    wanted = sorted(set(scopes))
    has_scopes = [f"{_quoted(scope)} in principal.scopes" for scope in wanted]
    condition = " && ".join([f"principal.grant == {_quoted(grant.value)}", *has_scopes])
    params = MappingProxyType({"grant": grant.value, "scopes": tuple(wanted)})
    return Rule(f"declared:{resource}", (resource,), Outcome.ALLOW, condition, params=params)


def read_rules(source: str | Iterable[Rule | Mapping[str, Any]]) -> list[Rule]:
    """Rules from YAML text, or from a list of rules and mappings. Raises `ConfigurationError` naming the rule."""
    entries = _read_yaml(source) if isinstance(source, str) else source
    rules = [entry if isinstance(entry, Rule) else _read_rule(entry) for entry in entries]
    names = [rule.id for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Two rules are called {name}.", hint="Give each an id of its own.")
    return rules


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read_yaml(text: str) -> list[Any]:
    try:
        # The first document; a second one holds the policy's own tests (`cases`).
        entries = next(iter(yaml.safe_load_all(text)), None)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" Look at line {line + 1}."
        raise ConfigurationError(f"The policy is not valid YAML.{where}") from None
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise ConfigurationError("The policy is not a list of rules.")
    return entries


def _read_rule(entry: object) -> Rule:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str) or not entry["id"]:
        raise ConfigurationError("A rule of the policy has no id.", hint="Each rule is a mapping with an id.")
    name: str = entry["id"]
    check_names("member", (str(member) for member in entry), _MEMBERS, name)
    outcome = entry.get("outcome")
    check_names("outcome", [str(outcome)], [known.value for known in Outcome], name)
    return Rule(
        id=name,
        resources=_read_resources(entry.get("resource"), name),
        outcome=Outcome(str(outcome)),
        when=_read_condition(entry.get("when", True), name),
        reason=_read_text(entry, "reason"),
        hint=_read_text(entry, "hint"),
        params=_read_params(entry.get("params"), Outcome(str(outcome)), name),
    )


def _read_resources(value: object, rule: str) -> tuple[str, ...]:
    resources = [value] if isinstance(value, str) else value
    if not isinstance(resources, list) or not resources or not all(isinstance(item, str) for item in resources):
        raise ConfigurationError(f"Rule {rule} names no resource.", hint='A name, a list of names, or "*".')
    return tuple(resources)


def _read_params(value: object, outcome: Outcome, rule: str) -> Mapping[str, Any]:
    params = {} if value is None else value
    if not isinstance(params, Mapping):
        raise ConfigurationError(f"The params of rule {rule} are not a mapping.")
    known = _PARAMS[outcome]
    check_names(f"param of {outcome}", (str(param) for param in params), known, rule)
    for param, given in params.items():
        if type(given) is not known[param] or given == "" or (isinstance(given, int) and given < 0):
            wanted = "text" if known[param] is str else "a whole number of seconds"
            raise ConfigurationError(f"The param {param} of rule {rule} is not {wanted}.")
    return MappingProxyType(dict(params))


def _read_condition(value: object, rule: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ConfigurationError(f"The condition of rule {rule} is not text.", hint="Write a CEL expression.")
    return value


def _read_text(entry: Mapping[str, Any], member: str) -> str | None:
    value = entry.get(member)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"The {member} of rule {entry['id']} is not text.")
    return value
