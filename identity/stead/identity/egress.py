"""Outgoing calls: the open hop's token, on requests to that hop's audience and on no other.

A hop is opened by `Workload.hop`; which one is open is known by context, so that one client serves concurrent callers.
"""

import logging
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import httpx2

from stead.identity.bounded_answers import PLAIN, Bounded, Bounded2
from stead.identity.certificate_source import CertificateSource
from stead.identity.clock import system_clock
from stead.identity.dpop import sign_proof
from stead.identity.driver import no_cookies, tls
from stead.identity.errors import AccessDenied, InvalidRequest
from stead.identity.flows.proof import NONCE_WANTED, is_nonce
from stead.identity.flows.wire import origin
from stead.identity.receipts import HEADER
from stead.identity.renewing import Renewing, Renewing2
from stead.identity.replies import UNAVAILABLE
from stead.identity.values import AccessToken, BoundToken, Grant

CONNECT, WRITE, READ = 5.0, 30.0, 300.0
"""Seconds. Reading is patient, because a stream says something every 15 s at least and a tool may work in silence."""

LIMITS = {"max_connections": 1000, "max_keepalive_connections": 100}
"""Watching a task holds a connection, so that the libraries' hundred is soon spent."""

MAX_NONCES = 256
Origin = tuple[str, str, int | None]

NEVER_SENT = (
    "cookie",
    "authorization",
    "dpop",
    HEADER,
    "proxy-authorization",
    "traceparent",
    "tracestate",
    "baggage",
    "forwarded",
    "via",
)
FORWARDED = ("x-forwarded-", "x-real-ip", "x-client-", "x-original-", "client-cert")
"""Beginnings of names by which one who calls could pass another's request on as its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a hop goes and by what right. `audience` is the callee's origin (or its resource URL).

    `credential` is the token itself where nobody exchanges it: a person's own (LOGIN), or one that was issued for an
    approved operation (IN_TASK). `effects` asks that the record of the hop is on disk before the hop, and that its
    token is bound to a key of ours.
    """

    audience: str
    scopes: tuple[str, ...]
    grant: Grant
    txn: str | None = None
    credential: AccessToken | None = None
    effects: bool = False
    consent_id: str | None = None


@dataclass(slots=True)
class OpenHop:
    """A hop while it is open: what egress puts on the wire, and what came of it."""

    audience: str
    token: AccessToken
    trace: str
    hop_id: str
    receipts: str | None = None
    status: int | None = None
    ended: str | None = None
    origin: Origin = field(init=False)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.origin = origin(self.audience)
        self.path = urlsplit(self.audience).path.rstrip("/")

    @property
    def traceparent(self) -> str:
        """W3C Trace Context level 1: the hop is the span."""
        return f"00-{self.trace}-{self.hop_id}-01"

    def outcome(self, word: str) -> None:
        """Says how the hop ended, where neither return nor exception tells: `auth-required`, `input-required`."""
        self.ended = word

    def is_echoed_in(self, answer: str) -> bool:
        """Whether an answer holds the token that the call carried: it would be shown, stored and sent on with it."""
        token = self.token.reveal()
        signature = token.rpartition(".")[2]
        return (signature if len(signature) > _SHORT else token) in answer

    def reaches(self, url: str) -> bool:
        """Whether `url` lies at the audience: same scheme, host and port, and below its path."""
        try:
            path = urlsplit(url).path
            below = not self.path or (f"{path}/".startswith(f"{self.path}/") and not _UPWARD.search(path))
            return below and origin(url) == self.origin
        except InvalidRequest:
            return False


_SHORT = 32
"""A last part no longer than this may stand in an answer by chance."""

_UPWARD = re.compile(r"(^|/)(\.|%2e){1,2}([/;]|%3b|$)|%2f|%5c|\\", re.IGNORECASE)
"""What another reader of a path may take for a step up, or for a slash (RFC 3986 s5.2.4, s6.2.2)."""

_open: ContextVar[OpenHop | None] = ContextVar("stead_open_hop", default=None)


@contextmanager
def opened(hop: OpenHop) -> Iterator[OpenHop]:
    """Makes `hop` the one whose token outgoing requests carry."""
    restore = _open.set(hop)
    try:
        yield hop
    finally:
        _open.reset(restore)


def new_span() -> str:
    """A W3C span id: 16 hex digits, not all zero."""
    return f"{secrets.randbits(64) or 1:016x}"


def new_trace() -> str:
    """A W3C trace id: 32 hex digits, not all zero."""
    return f"{secrets.randbits(128) or 1:032x}"


class _Outgoing(Protocol):
    """What a request of httpx and one of httpx2 have in common."""

    @property
    def method(self) -> str: ...

    @property
    def url(self) -> Any: ...

    @property
    def headers(self) -> MutableMapping[str, str]: ...


class _Incoming(Protocol):
    """What their responses have in common."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...


class Nonces:
    """What each callee last wanted to find in a proof (RFC 9449 s8.2, s9). Forgotten as a whole when there are many."""

    def __init__(self) -> None:
        self._by_origin: dict[Origin, str] = {}

    def at(self, callee: Origin) -> str | None:
        """The nonce for this callee, if it ever gave one."""
        return self._by_origin.get(callee)

    def learn(self, callee: Origin, token: AccessToken, response: _Incoming) -> bool:
        """Whether the request is to be sent once more, with the nonce that has just come."""
        if not isinstance(token, BoundToken):
            return False
        nonce = response.headers.get("dpop-nonce", "")
        if not is_nonce(nonce):
            return False
        if len(self._by_origin) >= MAX_NONCES:
            self._by_origin.clear()
        self._by_origin[callee] = nonce
        return response.status_code == 401 and NONCE_WANTED in response.headers.get("www-authenticate", "")


def authorize(request: _Outgoing, nonces: Nonces) -> OpenHop:
    """Puts the open hop's identity on a request. Raises `AccessDenied` when none is open, or the request strays."""
    hop, url = _open.get(), str(request.url)
    if hop is None:
        raise AccessDenied("A request was not sent, because no hop is open for it.", hint="Use `workload.hop(...)`.")
    if not hop.reaches(url) or request.headers.get("host", "").lower() != request.url.netloc.decode("ascii").lower():
        raise AccessDenied(
            f"A request was not sent, because it would have left {hop.audience}.",
            hint="A hop's token goes to its audience and nowhere else.",
        )
    for name in [name for name in request.headers if _is_never_sent(name.lower())]:
        request.headers.pop(name, None)
    request.headers.update(shown(hop.token, request.method, url, nonces.at(hop.origin)))
    request.headers["traceparent"] = hop.traceparent
    if hop.receipts is not None:
        request.headers[HEADER] = hop.receipts
    return hop


def _is_never_sent(name: str) -> bool:
    name = name.replace("_", "-")  # many a callee takes them for the same
    return name in NEVER_SENT or name.startswith(FORWARDED)


def shown(token: AccessToken, method: str, url: str, nonce: str | None = None) -> dict[str, str]:
    """The headers that show a token: a bound one with a proof for this very request (RFC 6750 s2.1, RFC 9449 s7.1)."""
    if not isinstance(token, BoundToken):
        return {"authorization": f"Bearer {token.reveal()}"}
    proof = sign_proof(token.key, method, url, system_clock(), token=token, nonce=nonce)
    return {"authorization": f"DPoP {token.reveal()}", "dpop": proof}


class EgressAuth(httpx.Auth):
    """Identity for httpx clients (the A2A SDK's). Holds no lock, so that calls never wait for each other."""

    def __init__(self) -> None:
        self._nonces = Nonces()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError("stead is asynchronous only")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        hop = authorize(request, self._nonces)
        response = yield request
        if self._nonces.learn(hop.origin, hop.token, response):
            authorize(request, self._nonces)
            response = yield request
            self._nonces.learn(hop.origin, hop.token, response)
        hop.status = response.status_code


class EgressAuth2(httpx2.Auth):
    """The same for httpx2 clients (the MCP SDK's)."""

    def __init__(self) -> None:
        self._nonces = Nonces()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        raise RuntimeError("stead is asynchronous only")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        hop = authorize(request, self._nonces)
        response = yield request
        if self._nonces.learn(hop.origin, hop.token, response):
            authorize(request, self._nonces)
            response = yield request
            self._nonces.learn(hop.origin, hop.token, response)
        hop.status = response.status_code


class Unbroken(httpx2.AsyncBaseTransport):
    """Turns a failed transport into an answer of 503.

    The MCP client takes a transport's exception for its own end: it cancels all calls in flight and closes. A body that
    breaks off becomes a `StreamError`, which it takes for the failure of one call.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.TransportError:
            return _unreachable(request)
        stream = response.stream
        if isinstance(stream, httpx2.AsyncByteStream):
            response.stream = _Unbroken(stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Unbroken(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._inner:
                yield part
        except httpx2.TransportError:
            raise httpx2.StreamError("The answer broke off.") from None

    async def aclose(self) -> None:
        await self._inner.aclose()


def _unreachable(request: httpx2.Request) -> httpx2.Response:
    error = {
        "code": UNAVAILABLE,
        "message": f"{request.url.netloc.decode('ascii')} cannot be reached.",
        "data": [{"reason": "TEMPORARILY_UNAVAILABLE", "hint": "Check that it runs, and try again."}],
    }
    return httpx2.Response(503, json={"jsonrpc": "2.0", "id": None, "error": error}, request=request)


def a2a_client(
    connect: float = CONNECT, read: float = READ, source: CertificateSource | None = None
) -> httpx.AsyncClient:
    """A client whose requests carry the open hop's identity, for the A2A SDK. Close it.

    With a `source` of certificates each connection shows the current one, and believes the source's authorities.
    """
    inner = _pooled(httpx.Limits(**LIMITS), source)
    return httpx.AsyncClient(
        auth=EgressAuth(),
        headers=PLAIN,
        transport=Bounded(inner),
        timeout=httpx.Timeout(WRITE, connect=connect, read=read),
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies(),
    )


_READER = "mcp.client.streamable_http"
"""Where the SDK logs an answer that it cannot read, with a traceback that quotes it."""


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def _unquoting(log: logging.Logger) -> None:
    if _without_traceback not in log.filters:
        log.addFilter(_without_traceback)


def mcp_client(
    connect: float = CONNECT, read: float = READ, source: CertificateSource | None = None
) -> httpx2.AsyncClient:
    """The same for the MCP SDK, on a transport whose failures end one call and not the client. Close it."""
    _unquoting(logging.getLogger(_READER))
    inner = _pooled2(httpx2.Limits(**LIMITS), source)
    return httpx2.AsyncClient(
        auth=EgressAuth2(),
        headers=PLAIN,
        timeout=httpx2.Timeout(WRITE, connect=connect, read=read),
        transport=Unbroken(Bounded2(inner)),
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies(),
    )


def _pooled(limits: httpx.Limits, source: CertificateSource | None) -> httpx.AsyncBaseTransport:
    if source is not None:
        return Renewing(source, limits)
    return httpx.AsyncHTTPTransport(verify=tls(), trust_env=False, limits=limits)


def _pooled2(limits: httpx2.Limits, source: CertificateSource | None) -> httpx2.AsyncBaseTransport:
    if source is not None:
        return Renewing2(source, limits)
    return httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False, limits=limits)
