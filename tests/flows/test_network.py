"""The flows together, over real HTTP: login, on-behalf-of twice, a service of its own, and the trail of it all."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stead.identity.audit.collector import collector
from stead.identity.egress import Target
from stead.identity.errors import IdentityError
from stead.identity.flows import ClientIdentity, TokenSet, begin, redeem, renew, revoke, validate_callback
from stead.identity.home import Home, Network
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.samples import ALICE, BOB
from stead.identity.server import (
    CODE,
    REFRESH,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.settings import Settings
from stead.identity.types import ASGIApp
from stead.identity.values import AccessToken, Grant, current_arrival, current_principal
from stead.identity.workload import Workload
from tests.server.issuers import Issuer
from tests.server.parties import Browser

CLI = "stead-cli"
REDIRECT = "http://127.0.0.1:54321/callback"


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, http="httptools", lifespan="on", log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await running


def service(workload: Workload, resource: str, grant: Grant, scope: str, work: Any) -> ASGIApp:
    """A protected service with one operation, POST /run."""

    async def run(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await work(request))
        except IdentityError as refused:
            return JSONResponse(refused.as_json(), status_code=refused.status)

    return workload.protect(
        Starlette(routes=[Route("/run", run, methods=["POST"])]),
        describe=lambda scope, body: Operation("run", resource, body),
        policy=Policy.load([declared(resource, grant, (scope,))]),
        scopes=(scope,),
        protocol="http",
    )


@dataclass
class World:
    """The running network, and a person's terminal in front of it."""

    home: Home
    network: Network
    issuer: Issuer
    workloads: dict[str, Workload]
    received: dict[str, list[Any]]
    terminal: Workload

    @property
    def client(self) -> ClientIdentity:
        return ClientIdentity(CLI, None, self.issuer.url)

    async def sign_in(self, username: str) -> TokenSet:
        """Code and PKCE at the real pages, as a public client; the tokens are for the broker."""
        metadata = await self.terminal.metadata()
        resources = (self.network.broker, self.network.trail)
        pending = begin(
            self.client,
            metadata,
            redirect_uri=REDIRECT,
            scopes=("openid", "profile", "broker:ask", "trail:read"),
            resources=resources,
        )
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            browser = Browser(self.issuer, http)
            done = await browser.sign_in(await browser.get(pending.url), username, f"{username}-demo")
        callback = parse_qsl(urlsplit(done.headers["location"]).query)
        code = validate_callback(pending, callback)
        return await self.terminal.run(redeem(self.client, metadata, pending, code, now=self.terminal.clock()))

    async def ask(self, token: AccessToken, goal: str, task: str) -> httpx.Response:
        target = Target(self.network.broker, ("broker:ask",), Grant.LOGIN, credential=token)
        async with self.terminal.hop(target, operation="run", resource="broker.ask"):
            return await self.terminal.http.post(f"{target.audience}/run", json={"goal": goal, "task": task})

    async def trail(self, tokens: TokenSet, task: str, hops: int) -> list[dict[str, Any]]:
        assert tokens.refresh_token is not None
        fresh = await self.terminal.run(
            renew(
                self.client,
                await self.terminal.metadata(),
                tokens.refresh_token,
                now=self.terminal.clock(),
                resource=self.network.trail,
            )
        )
        target = Target(self.network.trail, ("trail:read",), Grant.LOGIN, credential=fresh.access_token)
        after, found = 0, list[dict[str, Any]]()
        async with asyncio.timeout(10), self.terminal.detail(target):
            while not _complete(found, hops):
                reply = await self.terminal.http.get(f"{target.audience}/tasks/{task}/trail?after={after}&wait=5")
                assert reply.status_code == 200, reply.text
                after, found = reply.json()["version"], reply.json()["hops"]
        return found


def _complete(hops: list[dict[str, Any]], count: int) -> bool:
    return len(hops) == count and all(hop["confirmed"] or hop["decision"] == "deny" for hop in hops)


def company_seed(home: Home, network: Network) -> Seed:
    portfolio, market = network.agents["portfolio"], network.agents["market_data"]
    transfer, holdings = network.agents["transfer"], network.mcp_servers["holdings"]
    workloads = ("broker", "trail", "portfolio-agent", "market-data-agent", "holdings-mcp")
    return Seed(
        tuple(SeedPerson(one.username, one.username, one.name, one.password, one.roles) for one in (ALICE, BOB)),
        (
            SeedClient(CLI, "Terminal", None, ("http://127.0.0.1/callback",), grants=(CODE, REFRESH)),
            *(SeedClient(name, name, home.key(name)) for name in workloads),
        ),
        (
            SeedAudience(network.broker, "Broker", {"broker:ask": ("customer",)}, "broker"),
            SeedAudience(network.trail, "Trail", {"trail:read": ("customer",), "audit:write": ()}, "trail"),
            SeedAudience(portfolio, "Portfolio", {"portfolio:read": ("customer",)}, "portfolio-agent"),
            SeedAudience(market, "Market Data", {"market:read": ()}, "market-data-agent"),
            SeedAudience(transfer, "Transfer", {"transfer:create": ("payer",)}),
            SeedAudience(holdings, "Holdings", {"holdings:read": ("customer",)}, "holdings-mcp"),
        ),
        (
            SeedEdge(CLI, network.broker, ("broker:ask",), "login"),
            SeedEdge(CLI, network.trail, ("trail:read",), "login"),
            SeedEdge("broker", portfolio, ("portfolio:read",), "obo"),
            SeedEdge("broker", transfer, ("transfer:create",), "obo"),
            SeedEdge("broker", market, ("market:read",), "s2s"),
            SeedEdge("portfolio-agent", holdings, ("holdings:read",), "obo"),
            *(SeedEdge(name, network.trail, ("audit:write",), "s2s") for name in workloads),
        ),
    )


def apps(workloads: dict[str, Workload], network: Network, received: dict[str, list[Any]]) -> dict[str, ASGIApp]:
    async def call(name: str, audience: str, scope: str, grant: Grant, resource: str, **more: Any) -> Any:
        workload = workloads[name]
        async with workload.hop(Target(audience, (scope,), grant, **more), operation="run", resource=resource):
            reply = await workload.http.post(f"{audience}/run", json={})
        return reply.json()

    async def ask(request: Request) -> Any:
        asked, arrival = await request.json(), current_arrival()
        assert arrival is not None
        workloads["broker"].journal.bind(arrival.hop, asked["task"])
        if asked["goal"] == "transfer":
            transfer = network.agents["transfer"]
            return await call("broker", transfer, "transfer:create", Grant.OBO, "transfer.send", txn=asked["task"])
        portfolio, market = network.agents["portfolio"], network.agents["market_data"]
        return await asyncio.gather(
            call("broker", portfolio, "portfolio:read", Grant.OBO, "portfolio.summary"),
            call("broker", market, "market:read", Grant.S2S, "market_data.trend"),
        )

    async def summary(_: Request) -> Any:
        holdings = network.mcp_servers["holdings"]
        return await call("portfolio-agent", holdings, "holdings:read", Grant.OBO, "holdings.list_holdings")

    async def list_holdings(_: Request) -> Any:
        return {"owner": current_principal().name, "chain": current_principal().chain}

    async def trend(request: Request) -> Any:
        received["market-data-agent"].append([dict(request.headers), dict(current_principal().claims)])
        return {"trend": "up"}

    return {
        "broker": service(workloads["broker"], "broker.ask", Grant.LOGIN, "broker:ask", ask),
        "portfolio-agent": service(
            workloads["portfolio-agent"], "portfolio.summary", Grant.OBO, "portfolio:read", summary
        ),
        "holdings-mcp": service(
            workloads["holdings-mcp"], "holdings.list_holdings", Grant.OBO, "holdings:read", list_holdings
        ),
        "market-data-agent": service(
            workloads["market-data-agent"], "market_data.trend", Grant.S2S, "market:read", trend
        ),
        "trail": collector(workloads["trail"]),
    }


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    home = Home(tmp_path_factory.mktemp("network") / "home")
    names = ("issuer", "broker", "trail", "portfolio-agent", "market-data-agent", "holdings-mcp")
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    urls = {name: f"http://127.0.0.1:{listener.getsockname()[1]}" for name, listener in listeners.items()}
    network = Network(
        web="http://127.0.0.1:1",
        broker=urls["broker"],
        trail=urls["trail"],
        corporate_idp=urls["issuer"],
        bank_idp="http://127.0.0.1:2",
        agents={
            "portfolio": urls["portfolio-agent"],
            "market_data": urls["market-data-agent"],
            "transfer": "http://127.0.0.1:3",
        },
        mcp_servers={"holdings": urls["holdings-mcp"]},
    )
    home.record(network)
    settings = ServerSettings(urls["issuer"], "FinPort Identity", "corporate", home, "issuer-corporate")
    seed(settings, company_seed(home, network))
    workloads = {name: Workload.open(name, home=home, settings=Settings()) for name in names[1:]}
    received: dict[str, list[Any]] = {"market-data-agent": []}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(authorization_server(settings), listeners["issuer"]))
        for name, app in apps(workloads, network, received).items():
            await stack.enter_async_context(serving(app, listeners[name]))
        terminal_home = Home(tmp_path_factory.mktemp("terminal") / "home")
        terminal = Workload.open(CLI, home=terminal_home, issuer=urls["issuer"], settings=Settings())
        await stack.enter_async_context(terminal)
        issuer = Issuer(settings, None, home)  # type: ignore[arg-type]
        yield World(home, network, issuer, workloads, received, terminal)


async def test_a_person_asks_and_every_hop_acts_in_their_stead(world: World) -> None:
    tokens = await world.sign_in("alice")
    assert tokens.id_token is not None
    assert tokens.id_token["name"] == "Alice Moreau"
    reply = await world.ask(tokens.access_token, "portfolio", "task-1")
    assert reply.json() == [{"owner": "Alice Moreau", "chain": ["portfolio-agent", "broker"]}, {"trend": "up"}]

    hops = {hop["resource"]: hop for hop in await world.trail(tokens, "task-1", 4)}
    root, portfolio, holdings, market = (
        hops[name] for name in ("broker.ask", "portfolio.summary", "holdings.list_holdings", "market_data.trend")
    )
    assert (root["grant"], root["act"], root["sub"]) == ("login", None, "alice")
    assert (portfolio["grant"], portfolio["act"]) == ("obo", {"sub": "broker"})
    assert (holdings["grant"], holdings["act"]) == ("obo", {"sub": "portfolio-agent", "act": {"sub": "broker"}})
    assert (portfolio["parent_jti"], holdings["parent_jti"]) == (root["jti"], portfolio["jti"])
    assert {hop["aud"] for hop in hops.values()} == {hop["callee"] for hop in hops.values()} or root["caller"] == CLI
    assert (market["grant"], market["sub"], market["act"], market["parent_jti"]) == ("s2s", "broker", None, None)
    assert all(hop["decision"] == "allow" and hop["exp"] and hop["jti"] for hop in hops.values())


async def test_a_service_hop_carries_no_trace_of_the_person(world: World) -> None:
    tokens = await world.sign_in("alice")
    await world.ask(tokens.access_token, "portfolio", "task-2")
    seen = json.dumps(world.received["market-data-agent"])
    assert seen != "[]"
    assert not any(word in seen.lower() for word in ("alice", "moreau", "task-2"))


async def test_a_person_without_the_right_is_refused_in_a_sentence_and_the_trail_shows_it(world: World) -> None:
    tokens = await world.sign_in("bob")
    reply = await world.ask(tokens.access_token, "transfer", "task-3")
    assert reply.status_code == 403
    assert reply.json()["error"] == "invalid_scope"
    assert reply.json()["error_description"].startswith("FinPort Identity refused transfer:create for Bob Lindqvist: ")
    refused = next(hop for hop in await world.trail(tokens, "task-3", 2) if hop["resource"] == "transfer.send")
    assert (refused["decision"], refused["code"], refused["sub"]) == ("deny", "invalid_scope", "bob")
    assert refused["description"] == reply.json()["error_description"]
    assert not refused["confirmed"]


async def test_two_people_at_once_never_see_each_other(world: World) -> None:
    people = {"alice": "Alice Moreau", "bob": "Bob Lindqvist"}
    tokens = {name: await world.sign_in(name) for name in people}

    async def one(number: int) -> None:
        name = ("alice", "bob")[number % 2]
        reply = await world.ask(tokens[name].access_token, "portfolio", f"mixed-{number}")
        assert reply.json()[0]["owner"] == people[name]

    await asyncio.gather(*(one(number) for number in range(40)))


async def test_a_token_of_another_audience_is_refused(world: World) -> None:
    tokens = await world.sign_in("alice")
    holdings = world.network.mcp_servers["holdings"]
    target = Target(holdings, (), Grant.LOGIN, credential=tokens.access_token)
    async with world.terminal.detail(target):
        reply = await world.terminal.http.post(f"{holdings}/run", json={})
    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    metadata = f"{holdings}/.well-known/oauth-protected-resource"
    assert f'resource_metadata="{metadata}"' in reply.headers["www-authenticate"]


async def test_every_service_says_what_it_needs_and_that_it_is_well(world: World) -> None:
    broker = world.network.broker
    document = (await world.terminal.bare.get(f"{broker}/.well-known/oauth-protected-resource")).json()
    assert (document["resource"], document["authorization_servers"]) == (broker, [world.issuer.url])
    for path in ("/healthz", "/readyz"):
        assert (await world.terminal.bare.get(f"{broker}{path}")).status_code == 200


async def test_a_code_is_redeemed_once(world: World) -> None:
    metadata = await world.terminal.metadata()
    pending = begin(
        world.client,
        metadata,
        redirect_uri=REDIRECT,
        scopes=("openid", "broker:ask"),
        resources=(world.network.broker,),
    )
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        browser = Browser(world.issuer, http)
        done = await browser.sign_in(await browser.get(pending.url), "alice", "alice-demo")
    code = validate_callback(pending, parse_qsl(urlsplit(done.headers["location"]).query))
    await world.terminal.run(redeem(world.client, metadata, pending, code, now=world.terminal.clock()))
    with pytest.raises(IdentityError) as replay:
        await world.terminal.run(redeem(world.client, metadata, pending, code, now=world.terminal.clock()))
    assert replay.value.code == "invalid_grant"


async def test_a_revoked_login_renews_no_more(world: World) -> None:
    tokens, metadata = await world.sign_in("alice"), await world.terminal.metadata()
    assert tokens.refresh_token is not None
    now = world.terminal.clock()
    await world.terminal.run(revoke(world.client, metadata, tokens.refresh_token, now=now))
    with pytest.raises(IdentityError) as refused:
        await world.terminal.run(renew(world.client, metadata, tokens.refresh_token, now=now))
    assert refused.value.code == "invalid_grant"


async def test_no_token_lies_anywhere_in_the_state_directory(world: World) -> None:
    tokens = await world.sign_in("alice")
    await world.ask(tokens.access_token, "portfolio", "task-9")
    signature = tokens.access_token.reveal().rpartition(".")[2].encode()
    files = [path for path in world.home.path.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if signature in path.read_bytes()]
