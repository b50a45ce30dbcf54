"""The authorization server as an ASGI app: the list of its endpoints, and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stead.identity.flows.authzen import EVALUATION, EVALUATIONS, WELL_KNOWN
from stead.identity.server.admin import add_audience, list_edges, remove_audience
from stead.identity.server.authorization_code import CodeGrant, RequiredChallenge
from stead.identity.server.authorize import authorize
from stead.identity.server.calls import Reply
from stead.identity.server.client_authentication import Certificate, PrivateKeyJwt
from stead.identity.server.client_credentials import ServiceGrant
from stead.identity.server.client_keys import client_keys
from stead.identity.server.consent import show_consent, submit_consent
from stead.identity.server.core import Core, redact_authlib
from stead.identity.server.discovery import decision_metadata, jwks, metadata
from stead.identity.server.errors import Refused
from stead.identity.server.evaluations import evaluate, evaluate_all
from stead.identity.server.grants_in import InwardGrant
from stead.identity.server.grants_out import OutwardGrant
from stead.identity.server.intake import read_call, require_form
from stead.identity.server.introspection import introspect
from stead.identity.server.issuer import Issuer
from stead.identity.server.login import show_login, submit_login
from stead.identity.server.logout import show_logout, submit_logout
from stead.identity.server.logout_sender import LogoutSender
from stead.identity.server.pages import ASSETS, Pages
from stead.identity.server.pushed_authorization import push
from stead.identity.server.refresh_token import RefreshGrant
from stead.identity.server.registration import register
from stead.identity.server.revocation import revoke
from stead.identity.server.revocations import PATH, revocations
from stead.identity.server.second_factor import show_second_factor, submit_second_factor
from stead.identity.server.settings import ServerSettings
from stead.identity.server.site import Endpoint, Site
from stead.identity.server.store import Store
from stead.identity.server.token import token
from stead.identity.server.token_exchange import ExchangeGrant
from stead.identity.server.userinfo import userinfo
from stead.identity.server.worker import Worker, refused_reply
from stead.identity.types import ASGIApp

log = logging.getLogger(__name__)

_GET: tuple[tuple[str, Endpoint], ...] = (
    ("/.well-known/openid-configuration", metadata),
    ("/.well-known/oauth-authorization-server", metadata),
    (WELL_KNOWN, decision_metadata),
    ("/jwks", jwks),
    ("/client-keys", client_keys),
    ("/authorize", authorize),
    ("/login", show_login),
    ("/second-factor", show_second_factor),
    ("/consent", show_consent),
    ("/logout", show_logout),
    ("/userinfo", userinfo),
    ("/edges", list_edges),
    (PATH, revocations),
)
_FORM: tuple[tuple[str, Endpoint], ...] = (
    ("/token", token),
    ("/par", push),
    ("/revoke", revoke),
    ("/introspect", introspect),
    ("/login", submit_login),
    ("/second-factor", submit_second_factor),
    ("/consent", submit_consent),
    ("/logout", submit_logout),
)
_OTHER: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/register", register),
    ("POST", "/admin/audiences", add_audience),
    ("DELETE", "/admin/audiences", remove_audience),
    ("POST", EVALUATION, evaluate),
    ("POST", EVALUATIONS, evaluate_all),
)

Handler = Callable[[HttpRequest], Awaitable[Response]]


def authorization_server(settings: ServerSettings) -> ASGIApp:
    """One issuer. Seed its database first (`seed`); serve it where `check_bind` allows."""
    redact_authlib()
    site = _site(settings)
    worker = Worker(site)
    sender = LogoutSender(worker, settings.issuer, settings.trust)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        log.warning("%s is a DEVELOPMENT issuer: %s", settings.name, settings.issuer)
        sending = asyncio.create_task(sender.run(), name="logout notices")
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            worker.close()

    return Starlette(routes=_routes(worker), lifespan=lifespan, exception_handlers={404: _not_found, 405: _not_found})


def _site(settings: ServerSettings) -> Site:
    issuer = Issuer(settings, Store(settings.path))
    core = Core(issuer)
    for method in (Certificate(issuer), PrivateKeyJwt(issuer)):
        core.register_client_auth_method(method.CLIENT_AUTH_METHOD, method)
    core.register_grant(CodeGrant, [RequiredChallenge()])
    outward = (OutwardGrant,) if settings.resource_servers else ()
    inward = (InwardGrant,) if settings.grant_issuers else ()
    for grant in (RefreshGrant, ServiceGrant, *outward, ExchangeGrant, *inward):
        core.register_grant(grant)
    return Site(issuer, core, Pages(settings))


def _routes(worker: Worker) -> list[BaseRoute]:
    handlers = [
        *(("GET", path, endpoint, False) for path, endpoint in _GET),
        *(("POST", path, endpoint, True) for path, endpoint in _FORM),
        *((method, path, endpoint, False) for method, path, endpoint in _OTHER),
    ]
    routes = [_route(worker, *handler) for handler in handlers]
    return [*routes, *_assets(), Route("/healthz", _healthy), Route("/readyz", _healthy)]


def _route(worker: Worker, method: str, path: str, endpoint: Endpoint, form: bool) -> BaseRoute:
    """Without the HEAD that Starlette adds to GET: a link checker must not use up a pushed request."""
    route = Route(path, _handler(worker, endpoint, form), methods=[method])
    route.methods = {method}
    return route


def _handler(worker: Worker, endpoint: Endpoint, form: bool) -> Handler:
    async def handle(request: HttpRequest) -> Response:
        try:
            call = await read_call(request)
            if form:
                require_form(call)
        except Refused as refused:
            return _response(refused_reply(refused))
        return _response(await worker.run(endpoint, call))

    return handle


def _response(reply: Reply) -> Response:
    if isinstance(reply.body, str):
        response = Response(reply.body, reply.status)
    else:
        response = JSONResponse(dict(reply.body), reply.status)
    for name, value in reply.headers:
        if name.lower() == "set-cookie":
            response.headers.append(name, value)
        else:
            response.headers[name] = value
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def _assets() -> list[BaseRoute]:
    return [Route(f"/static/{name}", partial(_asset, name, content)) for name, content in ASSETS.items()]


async def _asset(name: str, content: str, request: HttpRequest) -> Response:
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    kind = "text/css" if name.endswith(".css") else "image/svg+xml"
    return Response(content, media_type=kind, headers=headers)


async def _healthy(request: HttpRequest) -> Response:
    return JSONResponse({"status": "ok"})


async def _not_found(request: HttpRequest, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    sentence = "There is nothing here." if status == 404 else "This endpoint does not take that method."
    response = _response(refused_reply(Refused("invalid_request", sentence, status=status)))
    response.headers.update(getattr(error, "headers", None) or {})
    return response
