"""The functions that a condition may call, and with what: those of the CEL library that is used here, and our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import cel

from stead.identity.policy.amounts import decimal
from stead.identity.policy.expressions.kinds import (
    ANY,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Kind,
)
from stead.identity.policy.hours import zone

_NUMBER = ("int", "uint", "double", "string")
_EVERYTHING: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes, by the names of kinds in each place, and what it gives.

    `style` says whether it is called `on` its first argument, `of` all of them, or either way.
    """

    takes: tuple[tuple[str, ...], ...]
    gives: Kind
    style: Literal["on", "of", "both"] = "of"


def _on(first: tuple[str, ...], *rest: tuple[str, ...], gives: Kind) -> Signature:
    return Signature((first, *rest), gives, "on")


_TEXT = ("string",)
FUNCTIONS: Mapping[str, Signature] = MappingProxyType(
    {
        "decimal": Signature((("string", "int"),), INT, "both"),
        "hour": Signature((("int",), _TEXT), INT, "both"),
        "weekday": Signature((("int",), _TEXT), INT, "both"),
        "size": Signature((("string", "bytes", "list", "map"),), INT, "both"),
        "contains": _on(_TEXT, _TEXT, gives=BOOL),
        "startsWith": _on(_TEXT, _TEXT, gives=BOOL),
        "endsWith": _on(_TEXT, _TEXT, gives=BOOL),
        "matches": _on(_TEXT, _TEXT, gives=BOOL),
        "timestamp": Signature((("string", "timestamp"),), TIMESTAMP),
        "duration": Signature((("string", "duration"),), DURATION),
        "int": Signature((_NUMBER,), INT),
        "uint": Signature((_NUMBER,), UINT),
        "double": Signature((_NUMBER,), DOUBLE),
        "string": Signature(((*_NUMBER, "bytes", "timestamp", "duration"),), STRING),
        "bytes": Signature((("string", "bytes"),), BYTES),
        "type": Signature((_EVERYTHING,), TYPE),
        "dyn": Signature((_EVERYTHING,), ANY),
        **{
            f"get{part}": _on(("timestamp",), gives=INT)
            for part in ("FullYear", "Month", "DayOfYear", "DayOfMonth", "Date", "DayOfWeek")
        },
        **{
            f"get{part}": _on(("timestamp", "duration"), gives=INT)
            for part in ("Hours", "Minutes", "Seconds", "Milliseconds")
        },
    }
)
TYPES = frozenset({"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type"})
"""Names of kinds, to compare `type(…)` with."""


@dataclass(frozen=True, slots=True)
class Literally:
    """What an argument must be where it is written out: `check` raises for one that is not, `what` is it called."""

    place: int
    what: str
    check: Callable[[Any], object]
    hint: str


def _evaluated(expression: str) -> Callable[[Any], object]:
    program = cel.compile(expression)
    return lambda value: program.execute({"value": value})


_ZONE = Literally(1, "time zone", zone, "Such as UTC or Europe/Zurich.")
LITERALLY: Mapping[str, Literally] = MappingProxyType(
    {
        "hour": _ZONE,
        "weekday": _ZONE,
        "decimal": Literally(0, "number", decimal, 'Such as decimal("250.00").'),
        "timestamp": Literally(0, "time", _evaluated("timestamp(value)"), "Such as 2026-03-01T23:30:00+01:00."),
        "duration": Literally(0, "duration", _evaluated("duration(value)"), "Such as 15m or 1h30m."),
        "matches": Literally(1, "pattern", _evaluated('"".matches(value)'), "A regular expression of RE2."),
    }
)
