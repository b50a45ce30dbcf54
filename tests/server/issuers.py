"""A company's and a bank's issuer over real HTTP, with a miniature network of clients and audiences."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import uvicorn

from stead.identity.home import Home
from stead.identity.samples import BOB, PERSONS, authenticator
from stead.identity.server import (
    CODE,
    REFRESH,
    WORKLOAD_GRANTS,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)

WEB, BROKER, PORTFOLIO, HOLDINGS, TRANSFER, MARKET, PAYMENTS, TRAIL = (
    f"http://127.0.0.{number}:9000" for number in range(10, 18)
)
Theme = Literal["corporate", "bank"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Clock:
    """The system's time, plus what a test adds."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def corporate_seed(home: Home, issuer: str) -> Seed:
    """Everybody but Bob has a second factor."""
    people = tuple(
        SeedPerson(
            one.username,
            one.username,
            one.name,
            one.password,
            one.roles,
            {"transfer_limit": {"amount": str(one.transfer_limit), "currency": "EUR"}} if one.transfer_limit else {},
            authenticator=None if one is BOB else authenticator(one, home),
        )
        for one in PERSONS
    )
    workloads = ("broker", "portfolio-agent", "holdings-mcp", "market-data-agent")
    return Seed(
        people,
        (
            SeedClient(
                "finport-web",
                "FinPort",
                home.key("finport-web"),
                (f"{WEB}/callback",),
                (f"{WEB}/",),
                (CODE, REFRESH),
            ),
            SeedClient("stead-cli", "The command line", None, ("http://127.0.0.1/callback",), (), (CODE, REFRESH)),
            SeedClient(
                "transfer-agent",
                "Transfer",
                home.key("transfer-agent"),
                (f"{TRANSFER}/callback",),
                grants=(*WORKLOAD_GRANTS, CODE),
            ),
            *(SeedClient(name, name, home.key(name)) for name in workloads),
        ),
        (
            SeedAudience(BROKER, "Broker", {"broker:ask": ("customer",), "task:notify": ()}, "broker"),
            SeedAudience(PORTFOLIO, "Portfolio", {"portfolio:read": ("customer",)}, "portfolio-agent"),
            SeedAudience(HOLDINGS, "Holdings", {"holdings:read": ("customer",), "tools:list": ()}, "holdings-mcp"),
            SeedAudience(TRANSFER, "Transfer", {"transfer:create": ("payer",)}, "transfer-agent"),
            SeedAudience(TRAIL, "Trail", {"audit:write": (), "audit:read": ("auditor",)}, "trail"),
            SeedAudience(MARKET, "Market Data", {"market:read": ()}, "market-data-agent"),
            SeedAudience(
                issuer, "FinPort Identity", {"registry:admin": ("registry-admin",), "registry:obo": ("obo-admin",)}
            ),
        ),
        (
            *(SeedEdge(who, BROKER, ("broker:ask",), "login") for who in ("finport-web", "stead-cli")),
            *(
                SeedEdge(who, issuer, ("registry:admin", "registry:obo"), "login")
                for who in ("finport-web", "stead-cli")
            ),
            SeedEdge("finport-web", PORTFOLIO, ("portfolio:read",), "login"),
            SeedEdge("broker", PORTFOLIO, ("portfolio:read",), "obo"),
            SeedEdge("broker", TRANSFER, ("transfer:create",), "obo"),
            SeedEdge("*", TRAIL, ("audit:write",), "s2s"),
            SeedEdge("broker", MARKET, ("market:read",), "s2s"),
            SeedEdge("broker", HOLDINGS, ("tools:list",), "s2s"),
            SeedEdge("portfolio-agent", HOLDINGS, ("holdings:read",), "obo"),
            SeedEdge("portfolio-agent", BROKER, ("broker:ask",), "obo"),
            SeedEdge("transfer-agent", BROKER, ("task:notify",), "s2s"),
        ),
    )


def bank_seed(home: Home) -> Seed:
    people = tuple(
        SeedPerson(
            one.bank_subject,
            one.username,
            one.name,
            one.bank_password,
            ("account-holder",),
            {"accounts": [{"iban": a.iban, "name": a.name, "currency": a.currency} for a in one.accounts]},
        )
        for one in PERSONS
        if one.bank_subject
    )
    client = SeedClient(
        "transfer-agent",
        "FinPort Transfer",
        home.key("transfer-agent"),
        (f"{TRANSFER}/callback",),
        grants=(CODE,),
        details_types=("payment_initiation",),
        pushed_only=True,
    )
    other = replace(client, client_id="other-agent", name="Other", key=home.key("other-agent"))
    audience = SeedAudience(PAYMENTS, "Northbank Payments", {"payments": ("account-holder",)})
    edges = tuple(SeedEdge(who, PAYMENTS, ("payments",), "login") for who in ("transfer-agent", "other-agent"))
    return Seed(people, (client, other), (audience,), edges)


@dataclass
class Issuer:
    """One running issuer."""

    settings: ServerSettings
    clock: Clock
    home: Home

    @property
    def url(self) -> str:
        return self.settings.issuer


@asynccontextmanager
async def running(settings: ServerSettings, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        authorization_server(settings), http="httptools", lifespan="on", log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def issuer_of(
    home: Home, theme: Theme, name: str, make: Callable[[str], Seed], **more: Any
) -> AsyncIterator[Issuer]:
    # With the protocol named, asyncio turns Nagle's algorithm off; without, every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = Clock()
    more = {"clock": clock, "registration": theme == "corporate", **more}
    settings = ServerSettings(url, name, theme, home, f"issuer-{theme}", **more)
    seed(settings, make(url))
    async with running(settings, listener):
        yield Issuer(settings, clock, home)
