"""Conditions in CEL: compiled once, checked for typing mistakes, and what they can see.

`principal` {sub, iss, grant, scopes, roles, groups, actor, chain, chain_from, bound, acr, amr, auth_time, client_id,
claims}, `resource`, `action`, `input`, and `now` in whole seconds. `decimal(text)` makes amounts comparable without the
errors of binary fractions; `hour(now, zone)` and `weekday(now, zone)` tell the time somewhere.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

import cel

from stead.identity.errors import ConfigurationError
from stead.identity.policy.amounts import decimal
from stead.identity.policy.expressions.checking import Checker
from stead.identity.policy.expressions.kinds import (
    ANY,
    BOOL,
    INT,
    MAP,
    STRING,
    STRINGS,
    Kind,
    either,
    kind_of_schema,
    one_of,
    record,
)
from stead.identity.policy.expressions.parser import parse
from stead.identity.policy.hours import hour, weekday
from stead.identity.policy.rules import ANY as EVERY
from stead.identity.policy.rules import Rule
from stead.identity.types import Json
from stead.identity.values import Grant, Principal

PRINCIPAL: Mapping[str, Kind] = MappingProxyType(
    {
        "sub": STRING,
        "iss": STRING,
        "grant": one_of([grant.value for grant in Grant], "grant"),
        "scopes": STRINGS,
        "roles": STRINGS,
        "groups": STRINGS,
        "actor": STRING,
        "chain": STRINGS,
        "chain_from": one_of(("token", "asserted", "receipts", "shortened"), "way to know a chain"),
        "bound": BOOL,
        "acr": STRING,
        "amr": STRINGS,
        "auth_time": INT,
        "client_id": STRING,
    }
)
"""What conditions know of a principal, besides its claims; see `describe`."""


_UNMAPPED = "Say in `issuers.claims` where tokens have it."


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that rules may use: None where nobody has said which there are.

    `inputs` are the JSON Schemas of what resources are asked with.
    """

    resources: Collection[str] | None = None
    claims: Collection[str] | None = None
    inputs: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))

    def variables(self, rule: Rule) -> Mapping[str, Kind]:
        """The variables of a rule's condition, and of what kind each is."""
        claims = MAP if self.claims is None else record(dict.fromkeys(self.claims, ANY), "claim", _UNMAPPED)
        return {
            "principal": record({**PRINCIPAL, "claims": claims}, "member of principal"),
            "resource": STRING if self.resources is None else one_of(self.resources, "resource"),
            "action": STRING,
            "input": self._input(rule.resources),
            "now": INT,
        }

    def _input(self, names: Iterable[str]) -> Kind:
        """What some resource of the rule is asked with. Any member can be there if one of them has not said."""
        asked = set(names) - {EVERY} if EVERY not in names else set(self.resources or ())
        kinds = [kind_of_schema(self.inputs.get(name, {})) for name in asked]
        if not kinds or any(kind.members is None for kind in kinds):
            return MAP
        members: dict[str, Kind] = {}
        for name, kind in ((name, kind) for each in kinds for name, kind in (each.members or {}).items()):
            members[name] = either(members.get(name, kind), kind)
        return record(members, "input")


NOTHING_SAID = Vocabulary()


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; whether it looks at the input, and at nothing but caller, resource and action."""

    program: Any
    reads_input: bool
    is_settled: bool = False

    def holds(self, context: Any) -> bool:
        """Whether it holds. Raises what CEL raises where it cannot be said, `TypeError` where it is no yes or no."""
        result = self.program.execute(context)
        if not isinstance(result, bool):
            raise TypeError("the condition is neither true nor false")
        return result


def compile_condition(rule: Rule, vocabulary: Vocabulary = NOTHING_SAID) -> Condition:
    """Compiles a rule's condition. Raises `ConfigurationError` for bad CEL, and for what can never work."""
    try:
        program = cel.compile(rule.when)
        expression = parse(rule.when)
    except Exception as error:  # the library's parser raises ValueError, and more where a text is very odd
        raise ConfigurationError(
            f"The condition of rule {rule.id} is not valid CEL.", hint=rule.when, debug=str(error)
        ) from None
    try:
        Checker(rule.id).check(expression, vocabulary.variables(rule))
    except RecursionError:
        raise ConfigurationError(f"The condition of rule {rule.id} is nested too deeply.", hint="Write two.") from None
    variables = set(program.variables())
    return Condition(program, "input" in variables, is_settled=not variables & {"input", "now"})


def context_of(principal: Principal) -> Any:
    """What conditions see of `principal`. Raises `ValueError` where a claim cannot be represented."""
    context = cel.Context()
    context.add_function("decimal", decimal)
    context.add_function("hour", hour)
    context.add_function("weekday", weekday)
    context.add_variable("principal", describe(principal))
    return context


def describe(principal: Principal) -> dict[str, Any]:
    """The principal as conditions see it. Absent is empty, and never signed in is long ago."""
    claims = principal.claims
    acr, auth_time = claims.get("acr"), claims.get("auth_time")
    return {
        "sub": principal.subject,
        "iss": principal.issuer,
        "grant": principal.grant.value,
        "scopes": sorted(principal.scopes),
        "roles": claims.get("roles") or [],
        "groups": claims.get("groups") or [],
        "actor": "" if principal.actor is None else principal.named(principal.actor.subject),
        "chain": [principal.named(actor) for actor in principal.chain],
        "chain_from": principal.chain_from,
        "bound": principal.bound,
        "acr": acr if isinstance(acr, str) else "",
        "amr": claims.get("amr") or [],
        "auth_time": int(auth_time) if isinstance(auth_time, int | float) else 0,
        "client_id": principal.named(principal.client_id),
        "claims": dict(claims),
    }


def readable(input: Mapping[str, Any]) -> dict[str, Any]:
    """The input as conditions see it. Raises `ValueError` for a number that is none: it is neither more nor less."""
    _require_finite(input)
    return dict(input)


def _require_finite(value: object) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a number that is none")
    for within in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        _require_finite(within)
