"""What stands in front of every app: bounds on what comes in, and no exception text going out.

Plain ASGI. Knows the form of requests and of errors, nothing of who is calling. The SDKs behind it accept bodies of any
size, fail on deep JSON, and put exception messages on the wire.
"""

import json
import logging
import secrets
from collections.abc import Iterable
from typing import Any

from starlette.requests import ClientDisconnect

from stead.identity.errors import IdentityError, InvalidRequest
from stead.identity.replies import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    Protocol,
    ProtocolOf,
    body_of,
    protocol_of,
    reply,
)
from stead.identity.strict_json import parse_object
from stead.identity.types import ASGIApp, Json, Message, Receive, Scope, Send

MAX_BODY = 262_144
MAX_INSPECTED = 65_536
"""Bytes of a JSON reply that are looked at for an internal error; those are short."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_MARK = str(INTERNAL_ERROR).encode()

log = logging.getLogger(__name__)


class UnsupportedMediaType(InvalidRequest):
    """The body is of a type that is not read here (RFC 9110 s15.5.16)."""

    status = 415


class ContentTooLarge(InvalidRequest):
    """The body is longer than is read here (RFC 9110 s15.5.14)."""

    status = 413


class InternalError(IdentityError):
    """Something broke. The log knows what, under the number that the caller is given."""

    status = 500


class EdgeGuard:
    """Reads, bounds and strictly parses the body, then hands it on as if nothing had read it.

    The parsed object lies at `scope["state"]["stead.json"]`. Replies stream through untouched, except that the text of
    internal errors is taken out of JSON-RPC replies. `protocol` is what is spoken here, or tells it by request: it is
    the form of refusals, and "form" also admits form bodies. Lifespan passes through; anything but HTTP is refused.
    """

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY, protocol: Protocol | ProtocolOf = "http") -> None:
        self._app = app
        self._max_body = max_body
        self._protocol_of = protocol_of(protocol)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        protocol = self._protocol_of(scope)
        outlet = _Outlet(send, scrubs=protocol == "jsonrpc")
        try:
            body, document = await self._admit(scope, receive, protocol)
        except ClientDisconnect:
            return
        except InvalidRequest as error:
            await _refuse(outlet, error, protocol)
            return
        state = {**scope.get("state", {}), "stead.json": document}
        try:
            await self._app({**scope, "state": state}, _replay(body, receive), outlet)
        except Exception:
            await _fail(outlet, document, protocol)

    async def _admit(self, scope: Scope, receive: Receive, protocol: Protocol) -> tuple[bytes, Json | None]:
        headers = _single_headers(scope["headers"])
        if scope["method"] in _BODILESS:
            if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
                raise InvalidRequest(f"A {scope['method']} request has no body here.")
            return b"", None
        if headers.get("content-length", "").isdecimal() and int(headers["content-length"]) > self._max_body:
            raise self._too_large()
        body = await self._read(receive)
        return body, self._parse(body, headers, protocol)

    async def _read(self, receive: Receive) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body:
                raise self._too_large()
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _too_large(self) -> ContentTooLarge:
        return ContentTooLarge(f"The body is longer than {self._max_body} bytes.", reason="too_large")

    def _parse(self, body: bytes, headers: dict[str, str], protocol: Protocol) -> Json | None:
        if not body and protocol != "jsonrpc":
            return None
        if headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMediaType("An encoded body is not read here.", hint="Send it as it is.")
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == _FORM and protocol == "form":
            return None
        if media_type != _JSON:
            wanted = _JSON if protocol != "form" else f"{_FORM} or {_JSON}"
            raise UnsupportedMediaType("The body is of a type that is not read here.", hint=f"Send {wanted}.")
        document = parse_object(body, max_bytes=self._max_body)
        if protocol == "jsonrpc":
            _check_jsonrpc(document)
        return document


async def _refuse(outlet: "_Outlet", error: InvalidRequest, protocol: Protocol) -> None:
    code = PARSE_ERROR if error.details.get("reason") == "not_json" else INVALID_REQUEST
    headers = {"connection": "close"} if error.status == ContentTooLarge.status else None
    await reply(outlet, error.status, body_of(error, protocol, code=code), headers)


async def _fail(outlet: "_Outlet", document: Json | None, protocol: Protocol) -> None:
    number = secrets.token_hex(8)
    log.exception("internal error %s", number)
    # Once a reply has begun, ending without completing it makes the server drop the connection.
    if outlet.started:
        return
    error = InternalError("Internal error", hint=f"The log of the service has the details under {number}.")
    request_id = (document or {}).get("id")
    await reply(outlet, error.status, body_of(error, protocol, request_id=request_id))


def _single_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers about the body. Two that differ would let two readers disagree."""
    single: dict[str, str] = {}
    for name, value in headers:
        if name in (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"):
            key, text = name.decode("latin-1"), value.decode("latin-1").strip()
            if single.setdefault(key, text) != text:
                raise InvalidRequest(f"The header {key} is repeated.")
    return single


def _check_jsonrpc(document: Json) -> None:
    """JSON-RPC 2.0 s4 and s5: a request, a notification, or (from an MCP client) a response."""
    identifier = document.get("id")
    if document.get("jsonrpc") != "2.0":
        raise InvalidRequest('The message is not JSON-RPC 2.0: its jsonrpc member must be "2.0".')
    if isinstance(identifier, bool) or not isinstance(identifier, str | int | float | None):
        raise InvalidRequest("The id of a JSON-RPC message is a string or a number.")
    if not isinstance(document.get("method", ""), str):
        raise InvalidRequest("The method of a JSON-RPC message is a string.")
    if not isinstance(document.get("params", {}), dict | list):
        raise InvalidRequest("The params of a JSON-RPC message are an object or an array.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, in one piece; after it the connection speaks for itself, so that a hang-up is noticed."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message

    return replayed


class _Outlet:
    """The way out: hardens the headers, and where `scrubs` takes the text out of internal errors."""

    def __init__(self, send: Send, *, scrubs: bool) -> None:
        self._send = send
        self._scrubs = scrubs
        self._start: Message | None = None
        self._held = b""
        self._is_stream = False
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin({**message, "headers": _harden(message.get("headers", ()))})
        elif message["type"] == "http.response.body":
            await self._continue(message)
        else:
            await self._release()
            await self._send(message)

    async def _begin(self, start: Message) -> None:
        media_type = next((value for name, value in start["headers"] if name == b"content-type"), b"")
        self._is_stream = self._scrubs and media_type.startswith(b"text/event-stream")
        self._held = b""
        if self._scrubs and media_type.startswith(b"application/json"):
            self._start = start
            return
        self.started = True
        await self._send(start)

    async def _continue(self, message: Message) -> None:
        if self._start is not None:
            await self._inspect(message, self._start)
        elif self._is_stream and _MARK in message.get("body", b""):
            await self._send({**message, "body": _scrub_events(message["body"])})
        else:
            await self._send(message)

    async def _release(self) -> None:
        """A file is about to be sent by the server itself: there is nothing to inspect."""
        if self._start is not None:
            start, self._start, self.started = self._start, None, True
            await self._send(start)

    async def _inspect(self, message: Message, start: Message) -> None:
        """Holds a JSON reply back until it is whole, or longer than an error ever is."""
        self._held += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._held) <= MAX_INSPECTED:
            return
        body = self._held if more else _scrub(self._held)
        if body != self._held:
            start = {**start, "headers": _with_length(start["headers"], len(body))}
        self._start, self._held, self.started = None, b"", True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def _harden(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    dropped = (b"server", b"x-powered-by", b"x-content-type-options")
    return [*((name, value) for name, value in kept if name not in dropped), (b"x-content-type-options", b"nosniff")]


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
    log.error("internal error %s: %s", number, error.get("message"))
    hint = f"The log of the service has the details under {number}."
    document["error"] = {
        "code": INTERNAL_ERROR,
        "message": "Internal error",
        "data": [{"reason": "SERVER_ERROR", "hint": hint}],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _is_ours(error: Json) -> bool:
    return error.get("message") == "Internal error" and isinstance(error.get("data"), list)
