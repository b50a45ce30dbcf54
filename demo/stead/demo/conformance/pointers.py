"""JSON Pointers (RFC 6901)."""

from typing import Any


def at(document: Any, pointer: str) -> Any:
    """What a pointer leads to. Raises `LookupError` when it leads nowhere."""
    for escaped in pointer.split("/")[1:]:
        name = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and name.isdecimal():
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise LookupError(pointer)
    return document
