"""The parts of an expression, as values."""

from dataclasses import dataclass
from typing import Any, Literal

Kindred = Literal["int", "uint", "double", "string", "bytes", "bool", "null"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is written out."""

    kind: Kindred
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or the name of a kind."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`."""

    of: "Node"
    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """`has(of.name)`: whether it is there."""

    member: Member


@dataclass(frozen=True, slots=True)
class Item:
    """`of[key]`."""

    of: "Node"
    key: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """`name(…)`, or `on.name(…)`."""

    name: str
    on: "Node | None"
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator between, before (`!`, `-`) or around (`?:`) its operands."""

    operator: str
    operands: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Each:
    """A macro that looks at each item of `over` as `variable`: `all`, `exists`, `exists_one`, `filter` or `map`."""

    macro: str
    over: "Node"
    variable: str
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Many:
    """A list that is written out."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map that is written out."""

    entries: "tuple[tuple[Node, Node], ...]"


Node = Constant | Name | Member | Has | Item | Call | Operation | Each | Many | Pairs


def spoken(node: Node) -> str:
    """A part as it is named to a person: in full where it is short."""
    match node:
        case Name(name):
            return name
        case Member(of, name):
            return f"{spoken(of)}.{name}"
        case Constant("null", _):
            return "null"
        case Constant(_, value):
            return f'"{value}"' if isinstance(value, str) else str(value).lower()
        case Call(name, on, _):
            return f"{name}(…)" if on is None else f"{spoken(on)}.{name}(…)"
        case Item(of, key):
            return f"{spoken(of)}[{spoken(key)}]"
        case Has(member):
            return f"has({spoken(member)})"
        case Each(macro, over, _, _):
            return f"{spoken(over)}.{macro}(…)"
        case Operation(operator, operands):
            return f"({f' {operator} '.join(spoken(each) for each in operands)})"
        case _:
            return "…"
