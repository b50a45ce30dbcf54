"""An issuer that signs anything, a clock that stands still, and an app behind the door on a real socket."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from starlette.responses import JSONResponse

from stead.identity.audit.event import unseal
from stead.identity.audit.journal import Journal
from stead.identity.errors import InvalidToken, ProviderUnavailable
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import Ingress, Operation
from stead.identity.policy import Outcome, Policy, Rule, declared
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import Grant, current_arrival, current_principal
from stead.identity.verification import TokenPolicy, verify
from stead.identity.verifier import TrustedIssuer, Verifier

NOW = 1_800_000_000
READ, PAY = "portfolio.summary", "portfolio.pay"


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


@pytest.fixture
def policy(issuer: Any) -> TokenPolicy:
    return TokenPolicy(issuer.name, issuer.audience)


@pytest.fixture
def refuse(issuer: Any, policy: TokenPolicy) -> Any:
    """Asserts that a token is refused, and says with which sentence."""

    def refused(token: Any, keys: Any = None, policy: TokenPolicy = policy, now: float = NOW) -> InvalidToken:
        with pytest.raises(InvalidToken) as caught:
            verify(token, keys or issuer.jwks(), policy, now)
        assert "eyJ" not in str(caught.value.as_json())
        return caught.value

    return refused


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


class App:
    """Answers with who it thinks is calling, and keeps what it was given."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        try:
            caller, arrival = current_principal(), current_arrival()
        except InvalidToken:
            await JSONResponse({"caller": None})(scope, receive, send)
            return
        assert arrival is not None
        said = {"caller": caller.owner, "hop": arrival.hop, "trace": arrival.trace, "jti": arrival.jti}
        await JSONResponse(said)(scope, receive, send)


def describe(scope: Scope, document: Json) -> Operation | None:
    """`do` names the resource; a request without it is a poll."""
    resource = document.get("do")
    if not isinstance(resource, str):
        return None
    return Operation("SendMessage", resource, document, effects=resource == PAY)


class Door:
    """A guarded app, its journal, and a client at it."""

    def __init__(self, issuer: Any, web: Any, clock: Any, folder: Path, **more: Any) -> None:
        self.issuer, self.app, self.web, self.clock = issuer, App(), web, clock
        self.journal = Journal(folder, "portfolio-agent", clock)
        self.verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
        self.policy = Policy(
            [
                declared(READ, Grant.LOGIN, ["portfolio:read"]),
                declared(PAY, Grant.LOGIN, ["portfolio:read"]),
                declared("portfolio.write", Grant.LOGIN, ["portfolio:write"]),
                declared("portfolio.agent", Grant.OBO, ["portfolio:read"]),
                Rule("step", ("portfolio.step",), Outcome.STEP_UP, params={"acr_values": "mfa", "max_age": 300}),
                Rule("ask", ("portfolio.ask",), Outcome.CONSENT, params={"provider": "http://bank"}),
            ]
        )
        self.describe = describe
        self.more = more

    def client(self, protocol: str = "http") -> httpx.AsyncClient:
        settings: dict[str, Any] = {
            "verifier": self.verifier,
            "journal": self.journal,
            "policy": self.policy,
            "describe": describe,
            "audience": self.issuer.audience,
            "scopes": ("portfolio:read",),
            "protocol": protocol,
            "binding": "off",
            **self.more,
        }
        guarded = EdgeGuard(Ingress(self.app, **settings), protocol=protocol)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://here")

    async def ask(self, resource: str | None = READ, token: str | None = None, **headers: str) -> httpx.Response:
        token = token or self.issuer.token()
        sent = {"authorization": f"Bearer {token}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await self.client().post("/", json={} if resource is None else {"do": resource}, headers=sent)

    def events(self) -> list[Json]:
        self.journal.flush()
        return [unseal(line).as_json() for line in self.journal.path.read_bytes().splitlines(keepends=True)]


@pytest.fixture
def door(issuer: Any, web: Any, clock: Any, tmp_path: Path) -> Iterator[Door]:
    door = Door(issuer, web, clock, tmp_path)
    yield door
    door.journal.close()
