"""Tokens to measure with, signed by a provider of this process's own."""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.identity.clock import system_clock
from stead.identity.types import ASGIApp, Json
from stead.identity.verifier import TrustedIssuer, Verifier

SCOPE = "portfolio:read"
KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
KEYS: Json = {"keys": [KEY.as_dict(private=False)]}
PROOF_KEY = ECKey.generate_key("P-256")


def token(issuer: str, audience: str, *, bound: bool = False, **claims: Any) -> str:
    """A person's token through one actor, bound to `PROOF_KEY` if asked for."""
    now = int(time.time())
    whole: dict[str, Any] = {
        "iss": issuer,
        "sub": "alice",
        "aud": audience,
        "client_id": "broker",
        "act": {"sub": "broker"},
        "scope": SCOPE,
        "iat": now,
        "exp": now + 900,
        "jti": secrets.token_urlsafe(12),
        "roles": ["customer"],
        **({"cnf": {"jkt": PROOF_KEY.thumbprint()}} if bound else {}),
        **claims,
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "k1"}, whole, KEY, algorithms=["ES256"])


def metadata(issuer: str) -> Mapping[str, Any]:
    """What the provider says about itself (RFC 8414)."""
    return {"issuer": issuer, "jwks_uri": f"{issuer}/jwks", "token_endpoint": f"{issuer}/token"}


def verifier(issuer: str, audience: str) -> Verifier:
    """One that has its provider's keys at hand."""

    async def fetch(url: str) -> bytes:
        return json.dumps(metadata(issuer) if "well-known" in url else KEYS).encode()

    return Verifier([TrustedIssuer(issuer)], audience, fetch, system_clock)


def provider(issuer: str) -> ASGIApp:
    """The provider as an app: metadata and keys."""

    async def about(_: Request) -> Response:
        return JSONResponse(dict(metadata(issuer)))

    async def keys(_: Request) -> Response:
        return JSONResponse(KEYS)

    documents = ("oauth-authorization-server", "openid-configuration")
    return Starlette(routes=[Route("/jwks", keys), *(Route(f"/.well-known/{each}", about) for each in documents)])
