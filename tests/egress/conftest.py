"""Real servers on loopback: callees that note what reached them, and an issuer whose answers a test decides."""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.types import ASGIApp, Receive, Scope, Send
from stead.identity.values import AccessToken, Actor, Grant, Principal
from stead.identity.workload import Workload

Serve = Callable[..., AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(app: ASGIApp, *, lifespan: str = "off") -> AsyncIterator[str]:
    """Serves `app` on a free loopback port and yields its origin."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(app, http="httptools", lifespan=lifespan, log_level="critical")  # type: ignore[arg-type]
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def reply(send: Send, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
    encoded = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": raw})


@dataclass
class Callee:
    """Answers everything with `status`, and remembers headers and bodies."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answer: Callable[[Scope], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
        self.paths.append(scope["path"])
        self.bodies.append(await read_body(receive))
        if self.answer is not None:
            await self.answer(scope)
        await reply(send, self.status, {"ok": True}, self.headers)


@dataclass
class Issuer:
    """A token endpoint on the real wire. It grants what is asked, unless `refuse` says otherwise."""

    key: ECKey
    url: str = ""
    lifetime: int = 300
    forms: list[dict[str, str]] = field(default_factory=list)
    discovered: int = 0
    refuse: dict[str, str] | None = None
    status: int = 400
    document: dict[str, Any] = field(default_factory=dict)
    gate: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if scope["path"] == "/.well-known/oauth-authorization-server":
            self.discovered += 1
            document = {"issuer": self.url, "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/jwks"}
            await reply(send, 200, {**document, **self.document})
        elif scope["path"] == "/jwks":
            await reply(send, 200, {"keys": [self.key.as_dict(private=False)]})
        elif scope["path"] == "/token":
            await self._token({name: values[0] for name, values in parse_qs(body.decode()).items()}, send)
        else:
            await reply(send, 404, {})

    async def _token(self, form: dict[str, str], send: Send) -> None:
        self.forms.append(form)
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            await reply(send, self.status, self.refuse)
            return
        claims = self.granted(form)
        body = {"access_token": self.sign(claims), "token_type": "Bearer", "expires_in": self.lifetime}
        await reply(send, 200, {**body, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def granted(self, form: dict[str, str]) -> dict[str, Any]:
        """The subject's claims with the client as actor, or the client's own."""
        own: dict[str, Any] = {"aud": form["resource"], "scope": form.get("scope", ""), "client_id": form["client_id"]}
        if "subject_token" not in form:
            return {**own, "sub": form["client_id"]}
        public = ECKey.import_key(self.key.as_dict(private=False))
        subject = jwt.decode(form["subject_token"], public, algorithms=["ES256"]).claims
        act = {"sub": form["client_id"], **({"act": subject["act"]} if "act" in subject else {})}
        txn = {"txn": form["txn"]} if "txn" in form else {}
        return {**{name: subject[name] for name in ("sub", "name") if name in subject}, **own, **txn, "act": act}

    def sign(self, claims: dict[str, Any]) -> str:
        now = int(time.time())
        whole = {"iss": self.url, "iat": now, "exp": now + self.lifetime, "jti": secrets.token_urlsafe(8), **claims}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(header, whole, self.key, algorithms=["ES256"])

    def principal(self, subject: str = "alice", *, act: Any = None, jti: str = "", **claims: Any) -> Principal:
        """A person who called with a token of this issuer."""
        jti = jti or secrets.token_urlsafe(8)
        told = {"sub": subject, "name": subject.title(), "jti": jti, "sid": f"s-{subject}", **claims}
        token = self.sign({**told, **({"act": act} if act else {})})
        return Principal(
            issuer=self.url,
            subject=subject,
            audience="http://127.0.0.1:1",
            client_id="finport-web",
            scopes=frozenset({"broker:ask"}),
            jti=jti,
            expires_at=2**31,
            grant=Grant.OBO if act else Grant.LOGIN,
            actor=None if act is None else Actor.from_claim(act),
            txn=claims.get("txn"),
            claims=told,
            token=AccessToken(token),
        )


@pytest.fixture
def serve() -> Serve:
    return serving


@dataclass
class Place:
    """A server that stays while the app behind it changes from test to test: starting one takes its time."""

    url: str = ""
    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
async def places() -> AsyncIterator[tuple[Place, Place]]:
    first, second = Place(), Place()
    async with serving(first) as first.url, serving(second) as second.url:
        yield first, second


@pytest.fixture
def callee(places: tuple[Place, Place]) -> tuple[Callee, str]:
    app = Callee()
    places[0].app = app
    return app, places[0].url


@pytest.fixture
def issuer(places: tuple[Place, Place], home: Home) -> Issuer:
    app = Issuer(home.key("issuer-corporate"), places[1].url)
    places[1].app = app
    return app


@pytest.fixture
async def workload(home: Home, issuer: Issuer) -> AsyncIterator[Workload]:
    """The broker, without a network recorded: nothing is shipped."""
    opened = Workload.open("broker", url="http://127.0.0.1:1", home=home, issuer=issuer.url, settings=Settings())
    async with opened:
        yield opened


@pytest.fixture
def recorded(workload: Workload) -> Callable[[], list[dict[str, Any]]]:
    """The events in the workload's journal."""

    def read() -> list[dict[str, Any]]:
        workload.journal.flush()
        return [json.loads(line) for line in workload.journal.path.read_text().splitlines()]

    return read
