"""Of what kind a value in an expression is: as much as is known before there is one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from stead.identity.types import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `item` is that of a list's items; `members` are all that a map can ever have, None if unknown.

    `values` are all that a text can ever be, None where it can be any. `what` is what such members or values are
    called when a wrong one is told, and `otherwise` the hint where none is near.
    """

    name: str
    item: "Kind | None" = None
    members: "Mapping[str, Kind] | None" = None
    values: Collection[str] | None = None
    what: str = "member"
    otherwise: str | None = None

    def __str__(self) -> str:
        return _SPOKEN.get(self.name, self.name)


ANY = Kind("any")
BOOL, INT, UINT, DOUBLE = Kind("bool"), Kind("int"), Kind("uint"), Kind("double")
STRING, BYTES, NULL, TYPE = Kind("string"), Kind("bytes"), Kind("null"), Kind("type")
TIMESTAMP, DURATION = Kind("timestamp"), Kind("duration")
MAP, LIST = Kind("map"), Kind("list")
STRINGS = Kind("list", STRING)

_SPOKEN: Mapping[str, str] = MappingProxyType(
    {
        "any": "anything",
        "bool": "true or false",
        "int": "a whole number",
        "uint": "an unsigned number",
        "double": "a number with a fraction",
        "string": "text",
        "bytes": "bytes",
        "null": "null",
        "timestamp": "a time",
        "duration": "a duration",
        "list": "a list",
        "map": "a map",
        "type": "a kind",
    }
)
_NUMBERS = frozenset({"int", "uint", "double"})
_BY_TYPE: Mapping[str, Kind] = MappingProxyType(
    {"string": STRING, "integer": INT, "boolean": BOOL, "array": LIST, "object": MAP}
)


def comparable(one: Kind, other: Kind) -> bool:
    """Whether both can ever be equal."""
    if "any" in (one.name, other.name) or {one.name, other.name} <= _NUMBERS:
        return True
    if one.name == other.name == "list" and one.item and other.item:
        return comparable(one.item, other.item)
    return one.name == other.name


def record(members: Mapping[str, Kind], what: str, otherwise: str | None = None) -> Kind:
    """A map of which all members are known."""
    return Kind("map", members=members, what=what, otherwise=otherwise)


def one_of(values: Collection[str], what: str) -> Kind:
    """A text of which all values are known."""
    return Kind("string", values=values, what=what)


def either(one: Kind, other: Kind) -> Kind:
    """The kind of what is of one of these."""
    return one if one == other else ANY


def kind_of_schema(schema: Json) -> Kind:
    """The kind of the values that a JSON Schema describes, where it is certain. Numbers may come with a fraction."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return one_of(values, "value")
    kind = _BY_TYPE.get(str(schema.get("type")), ANY)
    if kind is LIST:
        items = schema.get("items")
        return Kind("list", kind_of_schema(items) if isinstance(items, dict) else None)
    if kind is MAP and "properties" in schema and not schema.get("additionalProperties"):
        return record({name: kind_of_schema(each) for name, each in schema["properties"].items()}, "member")
    return kind
