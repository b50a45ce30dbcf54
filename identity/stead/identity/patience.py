"""What is done about a peer that is away: a workflow waits for it, a request is told so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import chain, repeat
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.identity.errors import ProviderUnavailable
from stead.identity.replies import body_of

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15)
"""Seconds between attempts; the last one again and again."""


async def patient(work: Callable[[], Awaitable[T]]) -> T:
    """Does `work`, however long the peer it needs is away: what outlives its process outlives that too."""
    pauses = chain(PAUSES, repeat(PAUSES[-1]))
    while True:
        with suppress(ProviderUnavailable):
            return await work()
        await asyncio.sleep(next(pauses))


_noted: ContextVar[list[ProviderUnavailable] | None] = ContextVar("stead_unavailable", default=None)


class Unavailable(HTTPException):
    """A peer of ours that is away, on its way through an SDK that takes exceptions for faults of ours.

    The A2A SDK lets HTTP's pass over JSON-RPC; over REST it takes them all, so that there `telling` looks behind it.
    """

    def __init__(self, error: ProviderUnavailable) -> None:
        super().__init__(error.status, error.description)
        self.error = error


@contextmanager
def telling_callers() -> Iterator[None]:
    """Within, `ProviderUnavailable` becomes a reply of its own, where the app has `tell` for `Unavailable`."""
    try:
        yield
    except ProviderUnavailable as error:
        noted = _noted.get()
        if noted is not None:
            noted.append(error)
        raise Unavailable(error) from None


async def tell(request: Request, failure: Exception) -> Response:
    """503 with the sentence and the hint, in JSON-RPC's form; the caller may try again."""
    error = failure.error if isinstance(failure, Unavailable) else ProviderUnavailable("Something is away.")
    asked = request.scope.get("state", {}).get("stead.json")
    identifier = asked.get("id") if isinstance(asked, dict) else None
    body = body_of(error, "jsonrpc", request_id=identifier)
    return JSONResponse(body, error.status, headers={"cache-control": "no-store"})


def telling(endpoint: Endpoint) -> Endpoint:
    """The endpoint, whose reply to a call that met `Unavailable` is 503 with the sentence and the hint."""

    async def told(request: Request) -> Response:
        noted: list[ProviderUnavailable] = []
        entered = _noted.set(noted)
        try:
            answer = await endpoint(request)
        finally:
            _noted.reset(entered)
        if not noted:
            return answer
        return JSONResponse(noted[0].as_json(), noted[0].status, headers={"cache-control": "no-store"})

    return told
