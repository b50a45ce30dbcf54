"""How a refusal looks on the wire: JSON-RPC, plain HTTP, and the challenge of RFC 6750.

One place turns an error into a reply, so that no other can let more out than its sentence and hint.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from stead.identity.dpop import ALGORITHMS
from stead.identity.errors import (
    BindingRequired,
    ConsentRequired,
    IdentityError,
    InsufficientScope,
    InvalidProof,
    StepUpRequired,
)
from stead.identity.step_up import wanted_by
from stead.identity.types import Json, Scope, Send

Protocol = Literal["jsonrpc", "http", "form"]
ProtocolOf = Callable[[Scope], Protocol]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603
UNAUTHENTICATED = -32041
REFUSED = -32043
UNAVAILABLE = -32053

_UNQUOTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_CODES = {401: UNAUTHENTICATED, 403: REFUSED, 503: UNAVAILABLE, 500: INTERNAL_ERROR}


def protocol_of(protocol: Protocol | ProtocolOf) -> ProtocolOf:
    """What is spoken on a request, where one app speaks more than one protocol."""
    return protocol if callable(protocol) else lambda _: protocol


def body_of(error: IdentityError, protocol: Protocol, *, request_id: object = None, code: int | None = None) -> Json:
    """The JSON body that tells `error` in the protocol's own form."""
    if protocol != "jsonrpc":
        return {**error.as_json(), **_way_on(error)}
    data: Json = {"reason": error.code.upper(), **_way_on(error)}
    if error.hint is not None:
        data["hint"] = error.hint
    answer = {
        "code": code if code is not None else _CODES.get(error.status, INVALID_REQUEST),
        "message": error.description,
        "data": [data],
    }
    return {"jsonrpc": "2.0", "id": request_id, "error": answer}


def _way_on(error: IdentityError) -> Json:
    """The sign-in that is wanted, or the provider at which the person has to authorize this, where policy names one."""
    if isinstance(error, ConsentRequired) and "provider" in error.details:
        return {"provider": str(error.details["provider"])}
    return wanted_by(error)


class Told(NamedTuple):
    """What a JSON-RPC error says beside its sentence: `said` is all of it, which nobody vouches for."""

    reason: str | None
    hint: str | None
    said: Mapping[str, Any]


def told_in(data: object) -> Told:
    """Reads an error's `data` as `body_of` writes it; empty where somebody else wrote it in another way."""
    first = data[0] if isinstance(data, list) and data else None
    said = first if isinstance(first, Mapping) else {}
    reason, hint = said.get("reason"), said.get("hint")
    return Told(str(reason).lower() if reason else None, hint if isinstance(hint, str) else None, said)


def challenge(audience: str, scopes: Iterable[str], error: IdentityError | None = None) -> str:
    """The `WWW-Authenticate` value (RFC 6750 s3, RFC 9728 s5.1, RFC 9470 s3); without `error` none was presented.

    Where a proof is wanted it is the challenge of RFC 9449 s7.1, and names the algorithms that a proof may have.
    """
    wants_proof = isinstance(error, InvalidProof | BindingRequired)
    parameters = {"realm": audience}
    if error is not None:
        parameters |= {"error": error.code, "error_description": error.description}
    if isinstance(error, StepUpRequired):
        parameters |= {name: str(error.details[name]) for name in ("acr_values", "max_age") if name in error.details}
        if "claims" in error.details:
            # What Entra's clients look for: its challenge, which is JSON and cannot stand in quotation marks as it is.
            parameters["claims"] = b64encode(str(error.details["claims"]).encode()).decode()
    if isinstance(error, InsufficientScope) and "scope" in error.details:
        scopes = str(error.details["scope"]).split()
    if wanted := " ".join(scopes):
        parameters["scope"] = wanted
    parameters["resource_metadata"] = f"{audience}/.well-known/oauth-protected-resource"
    if wants_proof:
        parameters["algs"] = " ".join(ALGORITHMS)
    scheme = "DPoP" if wants_proof else "Bearer"
    return f"{scheme} " + ", ".join(f'{name}="{_UNQUOTABLE.sub("?", value)}"' for name, value in parameters.items())


async def reply(send: Send, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
    """Sends `body` as a whole JSON response that nobody may keep."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    named = {
        "content-type": "application/json",
        "content-length": str(len(raw)),
        "cache-control": "no-store",
        **(headers or {}),
    }
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": raw})
