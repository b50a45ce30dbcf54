"""The desk's pages over HTTP: server-rendered, without script, under a policy that lets nothing else in."""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from stead.agents.kit.consent.desk import Desk, Go, Outcome
from stead.agents.kit.consent.words import Page

HERE = Path(__file__).parent
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}
_BROKEN = Page(
    "Something broke here",
    "This page could not be made. Nothing was done.",
    status=500,
    note="Open the link again in a moment.",
)
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d\d(?: [A-Z\d]{4})+(?: [A-Z\d]{1,4})?\b")
log = logging.getLogger("stead.kit")


def pages(desk: Callable[[], Desk], house: str, cookie: str, *, secure: bool) -> list[Route]:
    """The routes of the desk that calls itself `house`. `desk` is asked for at each request, `cookie` names its own."""

    async def enter(request: Request) -> Outcome:
        return await desk().enter(request.path_params["challenge"], request.cookies.get(cookie))

    async def come_back(request: Request) -> Outcome:
        return await desk().come_back(request.query_params.multi_items(), request.cookies.get(cookie))

    def route(path: str, answer: Callable[[Request], Awaitable[Outcome]]) -> Route:
        async def respond(request: Request) -> Response:
            return _with_cookie(await _outcome(answer, request), house, cookie, secure=secure)

        return Route(path, respond, methods=["GET"])

    return [
        route("/authorize/{challenge}", enter),
        route("/callback", come_back),
        _static("desk.css", "text/css"),
        _static("desk.svg", "image/svg+xml"),
    ]


async def _outcome(answer: Callable[[Request], Awaitable[Outcome]], request: Request) -> Outcome | Page:
    try:
        return await answer(request)
    except Exception:
        incident = secrets.token_hex(4)
        log.exception("the desk failed, incident %s", incident)
        return _BROKEN


def _with_cookie(outcome: Outcome | Page, house: str, name: str, *, secure: bool) -> Response:
    if isinstance(outcome, Page):
        return _rendered(outcome, house)
    response: Response
    if isinstance(outcome, Go):
        response = RedirectResponse(outcome.url, 303, _HEADERS)
    else:
        response = _rendered(outcome.page, house)
    if outcome.cookie is not None:
        # Lax, because the provider's redirect back is a navigation from another site.
        response.set_cookie(name, outcome.cookie, path="/", httponly=True, samesite="lax", secure=secure)
    return response


def _rendered(page: Page, house: str) -> Response:
    content = _template().render(page=page, house=house)
    return HTMLResponse(content, page.status, _HEADERS)


@cache
def _template() -> Any:
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(default=True))
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("page.html")


def _unbroken(text: str) -> str:
    """Account numbers that no line ends in."""
    return _ACCOUNT.sub(lambda found: found[0].replace(" ", "\u00a0"), text)


def _static(name: str, media_type: str) -> Route:
    headers = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}

    async def respond(_: Request) -> Response:
        return Response((HERE / "static" / name).read_bytes(), media_type=media_type, headers=headers)

    return Route(f"/{name}", respond, methods=["GET"])
