"""A protected service, put together: guard, public routes, ingress, app."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Match, Router

from stead.identity.claims import known_claims
from stead.identity.decision_point import decision_point
from stead.identity.dpop import ALGORITHMS
from stead.identity.guard import MAX_BODY, EdgeGuard
from stead.identity.in_force import record, services_of
from stead.identity.ingress import Describe, Ingress
from stead.identity.metadata import Ready, health_routes, jwks_route, protected_resource
from stead.identity.policy import Policy, narrowed
from stead.identity.replies import Protocol, ProtocolOf, protocol_of
from stead.identity.settings import Settings
from stead.identity.signals.doors import with_doors
from stead.identity.types import ASGIApp, Receive, Scope, Send
from stead.identity.verifier import Verifier

if TYPE_CHECKING:
    from stead.identity.workload import Workload

REMEMBERED_PATHS = 128


def front(
    workload: "Workload",
    app: ASGIApp,
    *,
    verifier: Verifier,
    describe: Describe,
    policy: Policy,
    scopes: Sequence[str],
    protocol: Protocol | ProtocolOf,
    public: Callable[[Scope], bool] | None = None,
    routes: Sequence[BaseRoute] = (),
    max_body: int = MAX_BODY,
    ready: Callable[[], bool | Awaitable[bool]] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ASGIApp:
    """See `Workload.protect`. Everything is behind the guard, and everything but the routes is behind the ingress."""
    home = workload.home
    settings = workload.settings
    claims = known_claims((*verifier.issuers, *settings.issuers), settings.issuer_claims)
    policy.check_claims(claims)
    effective = narrowed(policy, workload.name, home.policies, services_of(home), claims)
    record(home, workload.name, effective)
    ingress = Ingress(
        app,
        verifier=verifier,
        journal=workload.journal,
        policy=effective,
        describe=describe,
        audience=workload.url,
        scopes=scopes,
        public=public,
        protocol=protocol,
        binding=workload.settings.dpop,
        chains=workload.chains_of(verifier),
        beyond=decision_point(workload),
        clock=workload.clock,
        telemetry=lambda: workload.telemetry,
        streams=workload.hearing.streams,
    )
    issuers = [each.issuer for each in verifier.issuers]
    keys = jwks_route(workload.home.key(workload.name))
    said = {"stead_client_id": workload.name, "jwks_uri": f"{workload.url}{keys.path}"}
    said |= {**_proofs(workload.settings), **(extra or {})}
    metadata = protected_resource(workload.url, issuers, scopes, workload.name, **said)
    opened = [metadata, keys, *health_routes(_readiness(workload, ready)), *routes]
    pages = _Pages(opened, ingress)
    guarded = EdgeGuard(pages, max_body=max_body, protocol=_by_page(pages, protocol_of(protocol)))
    return _Living(workload, with_doors(guarded, workload), ingress)


def _proofs(settings: Settings) -> Mapping[str, Any]:
    """RFC 9728 s2: which proofs are taken, and whether nothing goes without. A certificate is as good as a key."""
    known: dict[str, Any] = {"dpop_signing_alg_values_supported": list(ALGORITHMS)}
    if settings.tls is not None:
        return {**known, "tls_client_certificate_bound_access_tokens": True}
    return {**known, "dpop_bound_access_tokens_required": True} if settings.dpop == "always" else known


def _readiness(workload: "Workload", ready: Callable[[], bool | Awaitable[bool]] | None) -> Ready:
    async def is_ready() -> bool:
        answer = workload.is_at_work and (ready is None or ready())
        return answer if isinstance(answer, bool) else await answer

    return is_ready


class _Pages:
    """The routes that need no token, in front of the ingress."""

    def __init__(self, routes: Sequence[BaseRoute], ingress: ASGIApp) -> None:
        self._routes = tuple(routes)
        self._router = Router(self._routes, redirect_slashes=False)
        self._ingress = ingress
        # A service is called at one or two paths; asking every route each time costs more than the token does.
        self.has = lru_cache(maxsize=REMEMBERED_PATHS)(self._has)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._router if scope["type"] == "http" and self.has(scope["path"]) else self._ingress
        await chosen(scope, receive, send)

    def _has(self, path: str) -> bool:
        scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
        return any(route.matches(scope)[0] is not Match.NONE for route in self._routes)


def _by_page(pages: _Pages, otherwise: ProtocolOf) -> ProtocolOf:
    """Pages are sent forms; the app is spoken to in its own protocol."""
    return lambda scope: "form" if pages.has(scope["path"]) else otherwise(scope)


class _Living:
    """Enters the workload for as long as the app lives, around the app's own lifespan."""

    def __init__(self, workload: "Workload", guarded: ASGIApp, ingress: ASGIApp) -> None:
        self._workload = workload
        self._guarded = guarded
        self._ingress = ingress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._guarded(scope, receive, send)
            return
        async with self._workload:
            # Past the router, which would answer for the app.
            await self._ingress(scope, receive, send)
