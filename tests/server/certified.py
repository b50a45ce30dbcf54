"""An issuer and a ledger on TLS, a caller with a certificate of its own, and whoever comes along with another."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.responses import JSONResponse

from stead.identity.egress import Target
from stead.identity.home import Home
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.server import (
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.serving import listen
from stead.identity.settings import Settings
from stead.identity.tls import TlsFiles
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import Grant
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload
from stead.identity.workload_settings import TlsSettings
from tests.server.certificates import Authority
from tests.server.secured import serving

SCOPES = ("ledger:write",)
CALLER, SERVICE = "broker", "ledger"
PATH = "/entries"


def describe(scope: Scope, document: Json) -> Operation | None:
    return Operation("tools/call", "ledger.enter", document, effects=True)


async def ledger(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await JSONResponse({"entered": True})(scope, receive, send)


@dataclass
class World:
    """An issuer and a ledger, both on TLS; a caller with a certificate of its own, and a thief with another."""

    home: Home
    authority: Authority
    issuer: str
    url: str
    client: TlsFiles
    service: Workload
    own: TlsFiles

    def caller(self, files: TlsFiles | None = None, *, binds: bool = True) -> Workload:
        files = files or self.client
        tls = TlsSettings(certificate=files.certificate, key=files.key, authorities=files.authorities, binds=binds)
        return workload(self.home, CALLER, "https://127.0.0.1:1", self.issuer, Settings(tls=tls))

    async def call(self, caller: Workload) -> tuple[httpx.Response, str]:
        """Enters something, by a hop with effects; gives the answer and the token it went with."""
        target = Target(self.url, SCOPES, Grant.S2S, effects=True)
        async with caller, caller.hop(target, operation="tools/call", resource="ledger.enter") as hop:
            return await caller.http.post(f"{self.url}{PATH}", json={}), hop.token.reveal()

    async def tries(self, token: str, files: TlsFiles | None, **headers: str) -> httpx.Response:
        """Somebody who holds the token, over a connection with a certificate of theirs, or with none."""
        context = (files or self.client).client()
        if files is None:
            context = ssl.create_default_context(cafile=str(self.authority.file))
        sent = {"authorization": f"Bearer {token}", **headers}
        async with httpx.AsyncClient(verify=context, trust_env=False) as thief:
            return await thief.post(f"{self.url}{PATH}", json={}, headers=sent)


def workload(home: Home, name: str, url: str, issuer: str, settings: Settings) -> Workload:
    issuers = [TrustedIssuer(issuer)]
    return Workload.open(name, url=url, home=home, issuer=issuer, issuers=issuers, settings=settings)


def protected(service: Workload) -> ASGIApp:
    """The ledger, behind everything that a service is behind."""
    return service.protect(
        ledger,
        describe=describe,
        policy=Policy([declared("ledger.enter", Grant.S2S, list(SCOPES))]),
        scopes=SCOPES,
        protocol="http",
    )


def seeded(home: Home, url: str) -> Seed:
    return Seed(
        clients=tuple(SeedClient(name, name, home.key(name)) for name in (CALLER, SERVICE)),
        audiences=(SeedAudience(url, "Ledger", {SCOPES[0]: ()}, SERVICE),),
        edges=(SeedEdge(CALLER, url, SCOPES, "s2s"),),
    )


@asynccontextmanager
async def certified_world(folder: Path) -> AsyncIterator[World]:
    """All of it, for as long as the block lasts."""
    home, authority = Home(folder / "home"), Authority(folder)
    own, client = authority.files("server"), authority.files("client")
    listeners = [listen("https://127.0.0.1:0") for _ in range(2)]
    issuer, url = (f"https://127.0.0.1:{one.getsockname()[1]}" for one in listeners)
    settings = ServerSettings(issuer, "FinPort Identity", "corporate", home, "issuer-corporate", certificates=True)
    seed(settings, seeded(home, url))
    tls = TlsSettings(certificate=own.certificate, key=own.key, authorities=own.authorities)
    service = workload(home, SERVICE, url, issuer, Settings(tls=tls))
    async with AsyncExitStack() as running:
        await running.enter_async_context(serving(authorization_server(settings), own, listeners[0]))
        await running.enter_async_context(serving(protected(service), own, listeners[1]))
        yield World(home, authority, issuer, url, client, service, own)
