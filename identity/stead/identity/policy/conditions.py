"""Conditions in CEL: compiled once, checked for typing mistakes, and what they can see.

`principal` {sub, iss, grant, scopes, roles, groups, actor, chain, chain_from, bound, acr, amr, auth_time, client_id,
claims}, `resource`, `action`, `input`, and `now` in whole seconds. `decimal(text)` makes amounts comparable without the
errors of binary fractions; `hour(now, zone)` and `weekday(now, zone)` tell the time somewhere.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import cel

from stead.identity.errors import ConfigurationError
from stead.identity.policy.hours import check_zones, hour, weekday
from stead.identity.policy.rules import Rule, check_names
from stead.identity.values import Principal

VARIABLES = frozenset({"principal", "resource", "action", "input", "now"})
MEMBERS = frozenset(
    {"sub", "iss", "grant", "scopes", "roles", "groups", "actor", "chain", "chain_from", "bound"}
    | {"acr", "amr", "auth_time", "client_id", "claims"}
)
_TIME_PARTS = "FullYear Month DayOfYear DayOfMonth Date DayOfWeek Hours Minutes Seconds Milliseconds"
_FUNCTIONS = frozenset(
    {"decimal", "hour", "weekday", "size", "contains", "startsWith", "endsWith", "matches", "timestamp", "duration"}
    | {"int", "uint", "double", "string", "bytes", "type", "dyn"}
    | {f"get{part}" for part in _TIME_PARTS.split(" ")}
)
_MILLIONTHS = Decimal(1_000_000)
_LIMIT = 2**63

_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_MEMBER = re.compile(r"\bprincipal\s*\.\s*(\w+)")
_CLAIM = re.compile(r"\bprincipal\s*\.\s*claims\s*\.\s*(\w+)")
_CLAIM_BY_KEY = re.compile(r"""\bprincipal\s*\.\s*claims\s*\[\s*(?:"([^"]*)"|'([^']*)')\s*\]""")


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


def compile_condition(rule: Rule, known_claims: Collection[str] | None) -> Condition:
    """Compiles a rule's condition. Raises `ConfigurationError` for bad CEL, and for names that nothing ever has."""
    try:
        program = cel.compile(rule.when)
    except Exception as error:  # the parser raises ValueError, and more where a text is very odd
        raise ConfigurationError(
            f"The condition of rule {rule.id} is not valid CEL.", hint=rule.when, debug=str(error)
        ) from None
    bare = _LITERAL.sub('""', rule.when)
    variables = set(program.variables())
    check_names("variable", sorted(variables - set(_BOUND.findall(bare))), VARIABLES, rule.id)
    named = [name for name in program.functions() if name.isidentifier() and not name.startswith("_")]
    check_names("function", named, _FUNCTIONS, rule.id)
    check_names("member of principal", _MEMBER.findall(bare), MEMBERS, rule.id)
    check_zones(rule.when, rule.id)
    if known_claims is not None:
        check_names("claim", _claims(rule.when, bare), known_claims, rule.id)
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


def decimal(value: object) -> int:
    """An exact number in millionths. Raises an error for what is none, or too fine or too large to compare."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("not a decimal number in a string")
    try:
        millionths = Decimal(value) * _MILLIONTHS
        whole = int(millionths)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError("not a decimal number") from None
    if whole != millionths or not -_LIMIT <= whole < _LIMIT:
        raise ValueError("a decimal number too fine or too large")
    return whole


def _claims(condition: str, bare: str) -> list[str]:
    keys = [double or single for double, single in _CLAIM_BY_KEY.findall(condition)]
    return [*_CLAIM.findall(bare), *keys]
