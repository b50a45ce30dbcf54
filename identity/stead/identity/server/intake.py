"""Reads one HTTP request into a `Call`: bounded, strict, in the one form that its endpoint takes."""

import re
from collections.abc import Mapping

from starlette.requests import Request

from stead.identity.errors import InvalidRequest
from stead.identity.server.calls import Call, Parameters
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.parameters import MAX_FORM, MAX_QUERY, parse
from stead.identity.strict_json import parse_object
from stead.identity.tls import shown_certificate, shown_pem
from stead.identity.types import Json

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_CHARSET = re.compile(r'; *charset="?utf-8"?', re.IGNORECASE)
_SINGLE = frozenset({"authorization", "content-type", "content-length", "cookie", "dpop", "origin", "host"})


async def read_call(request: Request) -> Call:
    """The request as a value. Raises `Refused`: 413, 415, or 400 for what is not well-formed."""
    headers = _headers(request)
    if request.method not in {"POST", "DELETE"}:
        return Call(
            request.method,
            request.url.path,
            query=_query(request),
            headers=headers,
            cookies=request.cookies,
            certificate=shown_certificate(request.scope),
            shown=shown_pem(request.scope),
            place=request.client.host if request.client else "",
        )
    body = await _body(request)
    kind = _content_type(headers, body)
    return Call(
        request.method,
        request.url.path,
        query=_query(request) if request.method == "DELETE" else _no_query(request),
        form=_form(body) if kind == FORM else Parameters(),
        json=_json(body) if kind == JSON else None,
        headers=headers,
        cookies=request.cookies,
        certificate=shown_certificate(request.scope),
        shown=shown_pem(request.scope),
        place=request.client.host if request.client else "",
    )


def require_form(call: Call) -> None:
    """Raises `Refused` (415) when the call is no form."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused("invalid_request", f"The content type has to be {FORM}.", status=415)


def _headers(request: Request) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        if name in headers and name in _SINGLE:
            raise invalid_request(f"The header {name} is repeated.")
        headers[name] = value
    return headers


def _query(request: Request) -> Parameters:
    if len(request.url.query) > MAX_QUERY:
        raise Refused("invalid_request", "The query is too long.", status=414)
    return parse(request.url.query)


def _no_query(request: Request) -> Parameters:
    """A POST's parameters are in its body alone: a credential in a URL ends up in logs (RFC 6749 s2.3.1, s3.2)."""
    if request.url.query:
        raise invalid_request("Parameters are taken from the body only.", hint="Send no query with a POST.")
    return Parameters()


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or len(declared) > 9 or int(declared) > MAX_FORM:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise _too_large()
    return bytes(body)


def _too_large() -> Refused:
    return Refused("invalid_request", f"The body is larger than {MAX_FORM} bytes.", status=413)


def _content_type(headers: Mapping[str, str], body: bytes) -> str | None:
    kind, separator, rest = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if separator and not _CHARSET.fullmatch(separator + rest.strip()):
        kind = ""
    if kind in {FORM, JSON}:
        return kind
    if not body and not kind:
        return None
    raise Refused("invalid_request", f"The content type has to be {FORM} or {JSON}, in UTF-8.", status=415)


def _form(body: bytes) -> Parameters:
    try:
        return parse(body.decode("ascii"))
    except UnicodeDecodeError:
        raise invalid_request("The form is not percent-encoded.") from None


def _json(body: bytes) -> Json:
    try:
        return parse_object(body, max_bytes=MAX_FORM, max_depth=16)
    except InvalidRequest as error:
        raise invalid_request(error.description, hint=error.hint) from None
