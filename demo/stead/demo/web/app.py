"""FinPort's web as one ASGI app."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stead.demo.web.doors import Doors
from stead.demo.web.pages import FOLDER
from stead.demo.web.protection import Protected
from stead.demo.web.site import Site
from stead.demo.web.views import Views, failing
from stead.identity.errors import IdentityError
from stead.identity.metadata import health_routes
from stead.identity.signals.doors import with_doors
from stead.identity.types import ASGIApp
from stead.identity.workload import Workload

_log = logging.getLogger(__name__)


def web_app(workload: Workload) -> ASGIApp:
    """The web of `workload` (client `finport-web`), signing people in where its settings say.

    Its lifespan enters the workload. Raises `ConfigurationError` when the settings or the state directory do not do.
    """
    site = Site(workload)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with site.running():
            yield

    handlers = {IdentityError: _refused, HTTPException: _not_here, Exception: _failed}
    app = Starlette(routes=_routes(Doors(site), Views(site)), lifespan=lifespan, exception_handlers=handlers)
    issuer = urlsplit(site.provider.issuer)
    protected = Protected(app, origin=workload.url, form_origins=(f"{issuer.scheme}://{issuer.netloc}",))

    def called(issuer: str) -> str:
        return (site.provider.client if issuer == site.provider.issuer else workload.client_of(issuer)).client_id

    return with_doors(protected, workload, called)


def _routes(doors: Doors, views: Views) -> list[Route | Mount]:
    return [
        Route("/", doors.home),
        Route("/login", doors.sign_in, methods=["GET", "POST"]),
        Route("/callback", doors.callback),
        Route("/logout", doors.sign_out, methods=["POST"]),
        Route("/session", views.session),
        Route("/state", views.state),
        Route("/events", views.events),
        Route("/network", views.network),
        Route("/ask", views.ask, methods=["POST"]),
        Route("/tasks/{task}/trail", views.trail),
        Route("/tasks/{task}/plan", views.plan),
        Route("/tasks/{task}/raw", views.raw),
        Route("/tasks/{task}/answer", views.answer, methods=["POST"]),
        Route("/tasks/{task}/cancel", views.cancel, methods=["POST"]),
        Route("/cheats/{name}", views.cheat, methods=["POST"]),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
        *health_routes(),
    ]


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, IdentityError) and error.debug:
        _log.info("%s: %s", error.code, error.debug)
    return failing(error)


async def _not_here(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "There is no such page.", 405: "This page is not to be used like that."}
    body = {"error": "not_found" if status == 404 else "invalid_request", "hint": "Start at the front page."}
    return JSONResponse({**body, "error_description": words.get(status, "This is not possible.")}, status)


async def _failed(_: Request, error: Exception) -> Response:
    _log.error("a page failed: %s", type(error).__name__)
    return failing(error)
