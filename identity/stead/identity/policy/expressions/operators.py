"""Which kinds an operator goes with, and what comes of it."""

from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType

from stead.identity.policy.expressions.kinds import ANY, BOOL, Kind

_NUMBERS = ("int", "uint", "double")
_ORDERED = ("string", "bytes", "bool", "timestamp", "duration")

_SAME: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "+": (*_NUMBERS, "string", "bytes", "list", "duration"),
        "-": (*_NUMBERS, "duration"),
        "*": _NUMBERS,
        "/": _NUMBERS,
        "%": ("int", "uint"),
    }
)
_MIXED: Mapping[tuple[str, ...], str] = MappingProxyType(
    {
        ("+", "timestamp", "duration"): "timestamp",
        ("-", "timestamp", "duration"): "timestamp",
        ("-", "timestamp", "timestamp"): "duration",
        ("-", "int"): "int",
        ("-", "double"): "double",
    }
)


def result_of(operator: str, kinds: Sequence[str]) -> Kind | None:
    """The kind that comes of an operator between these kinds; None where it does not go with them."""
    if "any" in kinds:
        return _perhaps(operator, kinds)
    if operator in ("&&", "||", "!"):
        return BOOL if set(kinds) == {"bool"} else None
    if operator == "?:":
        return ANY if kinds[0] == "bool" else None
    if operator in ("<", "<=", ">", ">="):
        return BOOL if set(kinds) <= set(_NUMBERS) or (len(set(kinds)) == 1 and kinds[0] in _ORDERED) else None
    if len(kinds) == 2 and kinds[0] == kinds[1] and kinds[0] in _SAME[operator]:
        return Kind(kinds[0])
    named = _MIXED.get((operator, *kinds))
    return None if named is None else Kind(named)


def _perhaps(operator: str, kinds: Sequence[str]) -> Kind | None:
    """What is not known yet may be of any kind that makes it go."""
    places = [_EVERY if kind == "any" else (kind,) for kind in kinds]
    results = [found for each in product(*places) if (found := result_of(operator, each)) is not None]
    return None if not results else results[0] if all(one == results[0] for one in results) else ANY


_EVERY = (*_NUMBERS, *_ORDERED, "list", "map", "null", "type")
