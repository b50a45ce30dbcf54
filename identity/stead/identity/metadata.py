"""What a protected service says about itself to anybody: its metadata (RFC 9728) and its health."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stead.identity.home import public_jwk

PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
KEYS = "/.well-known/jwks.json"

_OPEN = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "*",
    "cache-control": "public, max-age=300",
}

Ready = Callable[[], Awaitable[bool]]


def protected_resource(audience: str, issuers: Iterable[str], scopes: Iterable[str], name: str, **extra: Any) -> Route:
    """The route of the RFC 9728 document: which issuers' tokens `audience` accepts, and the scopes it knows.

    `extra` members are added (`stead_tools`, `dpop_bound_access_tokens_required`). Readable from any web page.
    """
    document = {
        "resource": audience,
        "resource_name": name,
        "authorization_servers": list(issuers),
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        **extra,
    }

    async def describe(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_OPEN)
        return JSONResponse(document, headers=_OPEN)

    return Route(PROTECTED_RESOURCE, describe, methods=["GET", "OPTIONS"])


def jwks_route(key: ECKey) -> Route:
    """The route of this workload's own JWK set, by which others check what it signed (RFC 9728 s2, `jwks_uri`)."""
    document = {"keys": [public_jwk(key)]}

    async def describe(_: Request) -> Response:
        return JSONResponse(document, headers=_OPEN)

    return Route(KEYS, describe, methods=["GET"])


def health_routes(ready: Ready | None = None) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: and `ready` says that it can do its work, else 503."""

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(_: Request) -> Response:
        if ready is None or await ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503, headers={"retry-after": "1"})

    return [Route("/healthz", alive), Route("/readyz", is_ready)]
