"""The way out of every app: hardened headers, and no text of an exception.

Knows ASGI replies and the JSON-RPC errors in them. Streams pass through as they come.
"""

import json
import logging
import secrets
from collections.abc import Iterable
from typing import Any

from stead.identity.replies import INTERNAL_ERROR
from stead.identity.types import Json, Message, Send

MAX_INSPECTED = 65_536
"""Bytes of a JSON reply that are looked at for an internal error; those are short."""

_MARK = str(INTERNAL_ERROR).encode()
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_REPLACED = frozenset({b"server", b"x-powered-by", _NOSNIFF[0]})

log = logging.getLogger(__name__)


class Outlet:
    """An ASGI `send` that hardens headers, and where `scrubs` takes the text out of JSON-RPC internal errors.

    A plain-text 500, such as a framework makes of an exception, is `withheld`: the guard answers in its place.
    """

    def __init__(self, send: Send, *, scrubs: bool) -> None:
        self._send = send
        self._scrubs = scrubs
        self._start: Message | None = None
        self._held = b""
        self._is_stream = False
        self.started = False
        self.withheld = False

    async def __call__(self, message: Message) -> None:
        for outgoing in self._passed(message):
            await self._send(outgoing)

    def _passed(self, message: Message) -> tuple[Message, ...]:
        """What goes out now: nothing while a reply is held, and then all that was held."""
        if message["type"] == "http.response.start":
            return self._begin({**message, "headers": _harden(message.get("headers", ()))})
        if message["type"] == "http.response.body":
            return self._continue(message)
        return (*self._released(), message)

    def _begin(self, start: Message) -> tuple[Message, ...]:
        media_type = next((value for name, value in start["headers"] if name == b"content-type"), b"")
        self._is_stream = self._scrubs and media_type.startswith(b"text/event-stream")
        self._held = b""
        self.withheld = start["status"] == 500 and media_type.startswith(b"text/plain")
        if self.withheld:
            return ()
        self._start = start
        return () if self._scrubs and media_type.startswith(b"application/json") else self._released()

    def _continue(self, message: Message) -> tuple[Message, ...]:
        if self.withheld:
            return ()
        if self._start is not None:
            return self._inspect(message, self._start)
        if self._is_stream and _MARK in message.get("body", b""):
            return ({**message, "body": _scrub_events(message["body"])},)
        return (message,)

    def _released(self) -> tuple[Message, ...]:
        """The start, if it is still here. A file, say, is sent by the server itself: there is nothing to inspect."""
        if self._start is None:
            return ()
        start, self._start, self.started = self._start, None, True
        return (start,)

    def _inspect(self, message: Message, start: Message) -> tuple[Message, ...]:
        """Holds a JSON reply back until it is whole, or longer than an error ever is."""
        self._held += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._held) <= MAX_INSPECTED:
            return ()
        body = self._held if more else _scrub(self._held)
        if body != self._held:
            self._start = {**start, "headers": _with_length(start["headers"], len(body))}
        self._held = b""
        return (*self._released(), {"type": "http.response.body", "body": body, "more_body": more})


def _harden(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(key, bytes(value)) for name, value in headers if (key := bytes(name).lower()) not in _REPLACED]
    return [*kept, _NOSNIFF]


def _with_length(headers: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    return [*(pair for pair in headers if pair[0] != b"content-length"), (b"content-length", str(length).encode())]


def _scrub_events(chunk: bytes) -> bytes:
    """The SDKs send each server-sent event as one chunk with one data line."""
    prefix = b"data:"
    lines = chunk.split(b"\n")
    return b"\n".join(
        prefix + b" " + _scrub(line[len(prefix) :].strip()) + (b"\r" if line.endswith(b"\r") else b"")
        if line.startswith(prefix)
        else line
        for line in lines
    )


def _scrub(raw: bytes) -> bytes:
    """`raw` as it is, unless it is a JSON-RPC internal error: then without the text that came with it."""
    if _MARK not in raw:
        return raw
    try:
        document: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or error.get("code") != INTERNAL_ERROR or _is_ours(error):
        return raw
    number = secrets.token_hex(8)
    log.error("internal error %s: %.500r", number, error.get("message"))
    hint = f"The log of the service has the details under {number}."
    document["error"] = {
        "code": INTERNAL_ERROR,
        "message": "Internal error",
        "data": [{"reason": "SERVER_ERROR", "hint": hint}],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _is_ours(error: Json) -> bool:
    return error.get("message") == "Internal error" and isinstance(error.get("data"), list)
