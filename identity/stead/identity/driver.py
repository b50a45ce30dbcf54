"""The one place where flows meet the network."""

import asyncio
import json
import ssl
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpx

from stead.identity.bounded_answers import PLAIN, is_encoded
from stead.identity.errors import ProviderUnavailable
from stead.identity.flows.wire import host
from stead.identity.types import Flow, Request, Response, T

MAX_BODY = 1_048_576
TIMEOUT = 10.0
FIRST_PAUSE = 0.05


async def drive(flow: Flow[T], client: httpx.AsyncClient, *, timeout: float = TIMEOUT, patience: float = 0.0) -> T:
    """Runs a flow to its end and returns its value.

    Follows no redirect and reads at most 1 MB of each reply. A request that cannot connect is tried again for
    `patience` seconds, with growing pauses; nothing else is, since it may have had its effect. Raises what the flow
    raises, and `ProviderUnavailable` when no reply came.
    """
    try:
        request = next(flow)
        while True:
            try:
                response = await _send(request, client, timeout, patience)
            except ProviderUnavailable as failure:
                request = flow.throw(failure)
            else:
                request = flow.send(response)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


async def _send(request: Request, client: httpx.AsyncClient, timeout: float, patience: float) -> Response:
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + patience, FIRST_PAUSE
    while True:
        try:
            async with asyncio.timeout(timeout):
                return await _exchange(request, client, timeout)
        except httpx.ConnectError:
            if loop.time() + pause > deadline:
                raise _unreachable(request, "cannot be reached") from None
        except TimeoutError:
            raise _unreachable(request, "did not answer in time") from None
        except httpx.InvalidURL:
            raise _unreachable(request, "cannot be addressed") from None
        except httpx.HTTPError:
            raise _unreachable(request, "broke off the exchange") from None
        await asyncio.sleep(pause)
        pause *= 2


def _unreachable(request: Request, what: str) -> ProviderUnavailable:
    # Neither the exception's text nor the request: the first may quote a URL's query, the second a token.
    return ProviderUnavailable(f"{host(request.url)} {what}.", hint="Check that it runs, and try again.")


async def _exchange(request: Request, client: httpx.AsyncClient, timeout: float) -> Response:
    outgoing = client.build_request(
        request.method, request.url, headers=_headers(request), content=_content(request), timeout=timeout
    )
    outgoing.headers.pop("cookie", None)
    outgoing.headers.update(PLAIN)
    # auth=None would read userinfo from the URL; an explicit Auth() adds nothing.
    incoming = await client.send(outgoing, auth=httpx.Auth(), follow_redirects=False, stream=True)
    try:
        return Response(incoming.status_code, _lowered(incoming), await _bounded(incoming, request))
    finally:
        await incoming.aclose()


def _headers(request: Request) -> dict[str, str]:
    if request.form is not None:
        return {**request.headers, "content-type": "application/x-www-form-urlencoded"}
    if request.json is not None:
        return {**request.headers, "content-type": "application/json"}
    return dict(request.headers)


def _content(request: Request) -> bytes | None:
    if request.form is not None:
        return urlencode(request.form).encode()
    return None if request.json is None else json.dumps(request.json).encode()


def _lowered(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _bounded(response: httpx.Response, request: Request) -> bytes:
    if is_encoded(response.headers):
        raise _unreachable(request, "sent something encoded")
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BODY:
            raise _unreachable(request, "sent more than it may")
    return bytes(body)


def no_cookies() -> Any:
    """A cookie jar that keeps nothing: what one person's call set must never travel with another's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


@cache
def tls() -> ssl.SSLContext:
    """The one TLS context of the process: making one reads every root certificate."""
    return httpx.create_ssl_context(trust_env=False)


def bare_client(
    timeout: float = TIMEOUT,
    verify: ssl.SSLContext | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client without identity, for flows and for public documents; `transport` shows a certificate. Close it."""
    return httpx.AsyncClient(
        verify=verify or tls(),
        transport=transport,
        timeout=httpx.Timeout(timeout),
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies(),
    )


async def fetch(url: str, client: httpx.AsyncClient, *, timeout: float = TIMEOUT) -> bytes:
    """The body of a public document, such as an issuer's keys. Raises `ProviderUnavailable` unless it is a 200."""
    return await drive(_document(url), client, timeout=timeout)


def _document(url: str) -> Flow[bytes]:
    request = Request("GET", url, {"accept": "application/json"})
    response = yield request
    if response.status != 200:
        raise _unreachable(request, f"answered with status {response.status}")
    return response.body
