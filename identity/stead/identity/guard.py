"""What stands in front of every app: bounds on what comes in, and no exception text going out.

Plain ASGI. Knows the form of requests and of errors, nothing of who is calling. The SDKs behind it accept bodies of any
size, fail on deep JSON, and put exception messages on the wire.
"""

import logging
import secrets
from collections.abc import Iterable

from starlette.requests import ClientDisconnect

from stead.identity.errors import IdentityError, InvalidRequest
from stead.identity.outlet import Outlet
from stead.identity.replies import (
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

_DIGITS = 19
"""A length with more digits is none that there is; Python reads no number of any length."""
_ABOUT_THE_BODY = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"

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
        outlet = Outlet(send, scrubs=protocol == "jsonrpc")
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
        except Exception as error:
            await _fail(outlet, error, document, protocol)
        else:
            if outlet.withheld:
                await _fail(outlet, None, document, protocol)

    async def _admit(self, scope: Scope, receive: Receive, protocol: Protocol) -> tuple[bytes, Json | None]:
        headers = _single_headers(scope["headers"])
        if scope["method"] in _BODILESS:
            if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
                raise InvalidRequest(f"A {scope['method']} request has no body here.")
            return b"", None
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > self._max_body):
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


async def _refuse(outlet: Outlet, error: InvalidRequest, protocol: Protocol) -> None:
    code = PARSE_ERROR if error.details.get("reason") == "not_json" else INVALID_REQUEST
    headers = {"connection": "close"} if error.status == ContentTooLarge.status else None
    await reply(outlet, error.status, body_of(error, protocol, code=code), headers)


async def _fail(outlet: Outlet, cause: Exception | None, document: Json | None, protocol: Protocol) -> None:
    """An error of ours is meant for the caller; of any other the caller learns a number, and the log the rest."""
    if isinstance(cause, IdentityError) and cause.status != InternalError.status:
        log.info("%s: %s", cause.code, cause.debug or cause.description)
        error: IdentityError = cause
    else:
        number = secrets.token_hex(8)
        log.error("internal error %s", number, exc_info=cause)
        error = InternalError("Internal error", hint=f"The log of the service has the details under {number}.")
    # Once a reply has begun, ending without completing it makes the server drop the connection.
    if not outlet.started:
        await reply(outlet, error.status, body_of(error, protocol, request_id=(document or {}).get("id")))


def _single_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers about the body. Two that differ would let two readers disagree."""
    single: dict[str, str] = {}
    for name, value in headers:
        if name in _ABOUT_THE_BODY:
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
