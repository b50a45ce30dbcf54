"""Doors at which providers tell a service that somebody signed out. They stand in front of the app and its guard."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stead.identity.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 16_384
PER_MINUTE = 60

Door = Callable[[Request, bytes], Awaitable[Response]]
"""Answers a POST whose body was read."""


class Listening:
    """`app`, with doors beside it by path."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, Door]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await _answered(door, Request(scope, receive))
        except ClientDisconnect:
            return
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)


async def _answered(door: Door, request: Request) -> Response:
    if request.method != "POST":
        return Response(status_code=405, headers={"allow": "POST"})
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return Response(status_code=413, headers={"connection": "close"})
    return await door(request, bytes(body))


class Refusals:
    """Says in the log what was refused, so many times a minute: anybody may knock."""

    def __init__(self, log: logging.Logger, per_minute: int = PER_MINUTE) -> None:
        self._log = log
        self._per_minute = per_minute
        self._left = per_minute
        self._since = time.monotonic()

    def tell(self, description: str) -> None:
        """Logs it, if the minute has room for it."""
        now = time.monotonic()
        if now - self._since >= 60:
            self._left, self._since = self._per_minute, now
        if self._left > 0:
            self._left -= 1
            self._log.warning("refused: %s", description)


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters; nothing where that is said twice."""
    said = request.headers.getlist("content-type")
    return said[0].partition(";")[0].strip().lower() if len(said) == 1 else ""
