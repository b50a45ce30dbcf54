"""Transports that show the certificate which is current: a connection made with a former one takes no new request.

A token is bound to one certificate, so the certificate and the tokens of a caller change together.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import httpx
import httpx2

from stead.identity.certificate_source import CertificateSource, Credential


class _Pool(Protocol):
    def aclose(self) -> Awaitable[None]: ...


P = TypeVar("P", bound=_Pool)


class _Pools(Generic[P]):
    """The pool of the current certificate; the former one stays open for its last answers until the next renewal."""

    def __init__(self, source: CertificateSource, make: Callable[[ssl.SSLContext], P]) -> None:
        self._source = source
        self._make = make
        self._shown: Credential | None = None
        self._open: list[P] = []

    async def current(self) -> P:
        """The pool to send a request by."""
        wanted = self._source.current()
        if wanted is not self._shown:
            self._shown = wanted
            self._open.append(self._make(wanted.calling))
            await self._close_all_but(2)
        return self._open[-1]

    async def aclose(self) -> None:
        """Closes all of them."""
        await self._close_all_but(0)

    async def _close_all_but(self, kept: int) -> None:
        while len(self._open) > kept:
            await self._open.pop(0).aclose()


class Renewing(httpx.AsyncBaseTransport):
    """For httpx."""

    def __init__(self, source: CertificateSource, limits: httpx.Limits) -> None:
        self._pools = _Pools(
            source, lambda verify: httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await (await self._pools.current()).handle_async_request(request)

    async def aclose(self) -> None:
        await self._pools.aclose()


class Renewing2(httpx2.AsyncBaseTransport):
    """For httpx2."""

    def __init__(self, source: CertificateSource, limits: httpx2.Limits) -> None:
        self._pools = _Pools(
            source, lambda verify: httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await (await self._pools.current()).handle_async_request(request)

    async def aclose(self) -> None:
        await self._pools.aclose()
