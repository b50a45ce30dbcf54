"""JSON as protobuf has it: every number is a double there, so that 30 comes back as 30.0. Whole numbers are made whole."""

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

_EXACT = 2.0**53


def to_json(value: Message) -> Any:
    """What a `Value` or a `Struct` holds, with whole numbers as integers."""
    return _whole(MessageToDict(value))


def to_value(data: Any) -> Value:
    """`data` as a `Value`."""
    return ParseDict(data, Value())


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole(member) for member in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value
