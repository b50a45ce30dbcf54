"""JSON as protobuf has it: every number is a double there, and 30 comes back as 30.0. Whole numbers are made whole."""

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

M = TypeVar("M", bound=Message)
_EXACT = 2.0**53


def to_json(value: Message) -> Any:
    """What a `Value` or a `Struct` holds, with whole numbers as integers."""
    return _whole(MessageToDict(value))


def to_value(data: Any) -> Value:
    """`data` as a `Value`."""
    return ParseDict(data, Value())


def read_into(message: M, document: Mapping[str, Any]) -> M:
    """`message`, filled from its JSON; members that it does not know are left out. Raises `ValueError`."""
    try:
        ParseDict(dict(document), message, ignore_unknown_fields=True)
    except ParseError as error:
        raise ValueError("not such a message") from error
    return message


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole(member) for member in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value
