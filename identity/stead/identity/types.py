"""The shapes everything in stead has.

An `ASGIApp` serves. A `Flow` is a protocol exchange without I/O: a generator that yields a `Request`, is sent a
`Response`, and returns a typed value. One driver (`stead.identity.driver`) performs the I/O for all of them.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Json = dict[str, Any]
Form = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a flow wants to have sent. `form` and `json` exclude each other; header names are lower case.

    `again` makes it anew, at that time and with a nonce of the server's (RFC 9449 s8): what is good only once is new.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Form | None = field(default=None, repr=False)
    json: Json | None = field(default=None, repr=False)
    again: Callable[[float, str], "Request"] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names are lower case; the body is raw and bounded by the driver."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


T = TypeVar("T")
Flow = Generator[Request, Response, T]
