"""An issuer that signs anything, a clock that stands still, and an app behind the door on a real socket."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from stead.identity.errors import ProviderUnavailable
from stead.identity.types import ASGIApp

NOW = 1_800_000_000


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Issuer:
    """Signs whatever it is given, however malformed, with its one key."""

    name: str = "http://127.0.0.2:9001"
    audience: str = "http://127.0.0.5:9002"
    kid: str = "k1"
    key: ECKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key = self.new_key(self.kid)

    def new_key(self, kid: str) -> ECKey:
        return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": kid})

    def jwks(self, *others: ECKey) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in (self.key, *others)]}

    def header(self, **changes: Any) -> dict[str, Any]:
        return _changed({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with some changed; None removes one."""
        claims = {
            "iss": self.name,
            "sub": "alice",
            "aud": self.audience,
            "client_id": "finport-web",
            "scope": "portfolio:read",
            "iat": NOW,
            "exp": NOW + 300,
            "jti": "j-1",
            "name": "Alice Moreau",
            "roles": ["customer"],
        }
        return _changed(claims, changes)

    def sign(self, header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes, key: ECKey | None = None) -> str:
        head, body = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
        signing_input = f"{b64(head)}.{b64(body)}"
        signature = JWSRegistry.algorithms["ES256"].sign(signing_input.encode(), key or self.key)
        return f"{signing_input}.{b64(signature)}"

    def token(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good token, with some claims changed."""
        return self.sign(header or self.header(), self.claims(**changes))


def _changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


@dataclass
class Web:
    """What is to be fetched, and what was: stands where the network does."""

    pages: dict[str, Any] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def publish(self, issuer: Issuer, *others: ECKey) -> None:
        location = f"{issuer.name}/jwks"
        metadata = {"issuer": issuer.name, "jwks_uri": location}
        self.pages |= {
            f"{issuer.name}/.well-known/oauth-authorization-server": metadata,
            location: issuer.jwks(*others),
        }

    async def __call__(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.gate is not None:
            await self.gate.wait()
        page = self.pages.get(url)
        if page is None:
            raise ProviderUnavailable("There is no such page.")
        return page if isinstance(page, bytes) else json.dumps(page).encode()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def web(issuer: Issuer) -> Web:
    web = Web()
    web.publish(issuer)
    return web


Serve = Callable[[ASGIApp], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves an app on loopback, with httptools as everywhere; gives its origin."""
    async with AsyncExitStack() as running:

        async def start(app: ASGIApp) -> str:
            return await running.enter_async_context(_served(app))

        yield start


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="auto", log_config=None, server_header=False)
    server = uvicorn.Server(config)
    started = asyncio.Event()
    startup = server.startup

    async def announce(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = announce  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve([listener]))
    await started.wait()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await running
    listener.close()
