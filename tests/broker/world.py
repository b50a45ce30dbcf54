"""A small network over real HTTP: a company's issuer, the broker, and agents that do what a test tells them."""

import asyncio
import base64
import hashlib
import html
import json
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.broker import broker_app
from stead.identity.dpop import sign_proof
from stead.identity.egress import shown
from stead.identity.home import Home, Network
from stead.identity.samples import PERSONS
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
from stead.identity.types import ASGIApp, Json
from stead.identity.values import AccessToken, BoundToken
from stead.identity.workload import Workload
from tests.broker.stubs import BANK, Call, Skill, Stub

WEB = "http://127.0.0.9:9000"
ENDED = ("TASK_STATE_COMPLETED", "TASK_STATE_REJECTED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED")
SETTLED = (*ENDED, "TASK_STATE_AUTH_REQUIRED", "TASK_STATE_INPUT_REQUIRED")

SYMBOLS: Json = {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{1,5}$"}, "minItems": 1}
SUMMARY: Json = {
    "grant": "obo",
    "scopes": ["portfolio:read"],
    "effects": False,
    "name": "Portfolio summary",
    "description": "What you hold, what each position is worth, and the total.",
    "tags": ["portfolio", "holdings"],
    "examples": ["Show my portfolio"],
    "input_schema": {"type": "object", "properties": {"symbols": SYMBOLS}, "additionalProperties": False},
    "output_schema": {"type": "object", "properties": {"total": {"type": "string"}}},
}
TREND: Json = {
    "grant": "s2s",
    "scopes": ["market:read"],
    "effects": False,
    "name": "Market trend",
    "description": "Where the trend of symbols points.",
    "tags": ["market", "forecast"],
    "examples": ["How will AAPL and MSFT trend?"],
    "input_schema": {
        "type": "object",
        "properties": {"symbols": SYMBOLS, "horizon_days": {"type": "integer", "default": 30}},
        "required": ["symbols"],
    },
    "output_schema": {},
}
SEND: Json = {
    "grant": "in-task",
    "scopes": ["transfer:create"],
    "effects": True,
    "provider": {"issuer": BANK, "name": "Northbank"},
    "name": "Send money",
    "description": "Moves money to a payee of yours.",
    "tags": ["transfer"],
    "examples": ["Transfer 250 EUR to Bob's savings"],
    "input_schema": {
        "type": "object",
        "properties": {
            "payee": {"type": "string"},
            "amount": {"anyOf": [{"type": "number"}, {"type": "string"}]},
            "currency": {"const": "EUR", "default": "EUR"},
        },
        "required": ["payee", "amount"],
    },
    "output_schema": {},
}
GREET: Json = {
    "grant": "obo",
    "scopes": ["greet:read"],
    "effects": False,
    "name": "Greet",
    "description": "Greets whoever asks.",
    "tags": ["greeting"],
    "examples": ["Greet me"],
    "input_schema": {"type": "object", "properties": {}},
    "output_schema": {},
}
AGENTS: dict[str, dict[str, Json]] = {
    "portfolio": {"summary": SUMMARY},
    "market_data": {"trend": TREND},
    "transfer": {"send": SEND},
}


def corporate_seed(home: Home, network: Network, hello: str) -> Seed:
    people = tuple(SeedPerson(one.username, one.username, one.name, one.password, one.roles) for one in PERSONS)
    workloads = ("broker", "portfolio-agent", "market-data-agent", "transfer-agent", "notes-mcp", "hello-agent")
    issuer, broker, agents = network.corporate_idp, network.broker, network.agents
    notes = network.mcp_servers["notes"]
    return Seed(
        people,
        (
            SeedClient("finport-web", "FinPort", home.key("finport-web"), (f"{WEB}/callback",), (), (CODE, REFRESH)),
            *(SeedClient(name, name, home.key(name)) for name in workloads),
        ),
        (
            SeedAudience(
                broker,
                "Broker",
                {"broker:ask": ("customer",), "registry:admin": ("registry-admin",), "task:notify": ()},
                "broker",
            ),
            SeedAudience(agents["portfolio"], "Portfolio", {"portfolio:read": ("customer",)}, "portfolio-agent"),
            SeedAudience(agents["transfer"], "Transfer", {"transfer:create": ("payer",)}, "transfer-agent"),
            SeedAudience(agents["market_data"], "Market Data", {"market:read": ()}, "market-data-agent"),
            SeedAudience(hello, "Hello", {"greet:read": ("customer",)}, "hello-agent"),
            SeedAudience(notes, "Notes", {"notes:read": ("customer",), "tools:list": ()}, "notes-mcp"),
            SeedAudience(issuer, "FinPort Identity", {"registry:admin": ("registry-admin",)}),
        ),
        (
            SeedEdge("finport-web", broker, ("broker:ask", "registry:admin"), "login"),
            SeedEdge("broker", agents["portfolio"], ("portfolio:read",), "obo"),
            SeedEdge("broker", agents["transfer"], ("transfer:create",), "obo"),
            SeedEdge("broker", agents["market_data"], ("market:read",), "s2s"),
            SeedEdge("broker", hello, ("greet:read",), "obo"),
            SeedEdge("broker", notes, ("tools:list",), "s2s"),
            SeedEdge("broker", notes, ("notes:read",), "obo"),
            SeedEdge("transfer-agent", broker, ("task:notify",), "s2s"),
        ),
    )


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def origin_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="on", log_level="warning", access_log=False)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@dataclass
class World:
    """The network of one test session."""

    home: Home
    network: Network
    agents: dict[str, Stub]
    hello: str
    stack: AsyncExitStack
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    async def token(self, username: str, scope: str = "broker:ask", *, fresh: bool = False) -> str:
        key = (username, scope)
        if fresh or key not in self.tokens:
            self.tokens[key] = await login(self.home, self.network, username, scope)
        return self.tokens[key]

    async def person(self, username: str = "alice", scope: str = "broker:ask", *, bound: bool = False) -> "Person":
        client = httpx.AsyncClient(timeout=30, trust_env=False)
        await self.stack.enter_async_context(client)
        if not bound:
            return Person(self, username, await self.token(username, scope), client)
        key = ECKey.generate_key("P-256")
        return Person(self, username, await login(self.home, self.network, username, scope, key), client, key)


@dataclass
class Person:
    """Somebody with a token for the broker, speaking A2A to it."""

    world: World
    username: str
    token: str = field(repr=False)
    http: httpx.AsyncClient
    key: ECKey | None = field(default=None, repr=False)

    def shown(self, method: str, url: str) -> dict[str, str]:
        """The headers of one request."""
        token = AccessToken(self.token) if self.key is None else BoundToken(self.token, self.key)
        return {**shown(token, method, url), "a2a-version": "1.0"}

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "a2a-version": "1.0"}

    async def rpc(self, method: str, params: Json) -> Json:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        url = f"{self.world.network.broker}/a2a"
        response = await self.http.post(url, json=body, headers=self.shown("POST", url))
        return dict(response.json())

    async def ask(self, goal: str, *, mode: str | None = None, task: str | None = None, key: str | None = None) -> Json:
        answer = await self.rpc("SendMessage", message(goal, mode=mode, task=task, key=key))
        assert "result" in answer, answer
        return dict(answer["result"]["task"])

    async def task(self, task_id: str) -> Json:
        answer = await self.rpc("GetTask", {"id": task_id})
        return dict(answer.get("result") or answer)

    async def until(self, task_id: str, done: Callable[[Json], bool], seconds: float = 15) -> Json:
        """The task once `done` holds, watched by subscription."""
        async with asyncio.timeout(seconds):
            async for _ in self.stream("SubscribeToTask", {"id": task_id}):
                seen = await self.task(task_id)
                if done(seen):
                    return seen
        return await self.task(task_id)

    async def stream(self, method: str, params: Json) -> AsyncIterator[Json]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.http.stream(
            "POST", f"{self.world.network.broker}/a2a", json=body, headers=self.headers
        ) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])


def message(goal: str, *, mode: str | None = None, task: str | None = None, key: str | None = None) -> Json:
    parts: list[Json] = [{"text": goal}] + ([{"data": {"mode": mode}}] if mode else [])
    made: Json = {"messageId": key or secrets.token_hex(8), "role": "ROLE_USER", "parts": parts}
    return {"message": {**made, "taskId": task} if task else made}


def state(task: Json) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def artifact(task: Json, name: str) -> Any:
    parts = next(each["parts"] for each in task["artifacts"] if each["name"] == name)
    return next(part["data"] for part in parts if "data" in part)


def answer(task: Json) -> str:
    parts = next(each["parts"] for each in task["artifacts"] if each["name"] == "answer")
    return str(parts[0]["text"])


def data(task: Json) -> Any:
    return next(part["data"] for part in task["status"]["message"]["parts"] if "data" in part)


@asynccontextmanager
async def network_of(
    home: Home, behave: Mapping[str, Skill] = {}, *, broker: bool = True, notes: Any = None
) -> AsyncIterator[World]:
    """Issuer, agents and (unless a test runs it elsewhere) the broker."""
    names = ["corporate", "broker", *AGENTS, "notes", "hello"]
    listeners = {name: listening() for name in names}
    urls = {name: origin_of(listener) for name, listener in listeners.items()}
    network = Network(
        web=WEB,
        broker=urls["broker"],
        trail="",
        corporate_idp=urls["corporate"],
        bank_idp=BANK,
        agents={name: urls[name] for name in AGENTS},
        mcp_servers={"notes": urls["notes"]},
    )
    home.record(network)
    settings = ServerSettings(network.corporate_idp, "FinPort Identity", "corporate", home, "issuer-corporate")
    seed(settings, corporate_seed(home, network, urls["hello"]))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(authorization_server(settings), listeners["corporate"]))
        agents = {}
        for name, skills in AGENTS.items():
            workload = Workload.open(f"{name.replace('_', '-')}-agent", url=urls[name], home=home)
            agents[name] = Stub(name, workload, skills, behave.get(name, answering))
            await stack.enter_async_context(serving(agents[name].app(), listeners[name]))
        hello = Stub("hello", Workload.open("hello-agent", url=urls["hello"], home=home), {"greet": GREET}, answering)
        await stack.enter_async_context(serving(hello.app(), listeners["hello"]))
        if notes is not None:
            workload = Workload.open("notes-mcp", url=urls["notes"], home=home)
            await stack.enter_async_context(serving(notes(workload), listeners["notes"]))
        else:
            listeners["notes"].close()
        if broker:
            workload = Workload.open("broker", home=home)
            await stack.enter_async_context(serving(broker_app(workload), listeners["broker"]))
        else:
            listeners["broker"].close()
        yield World(home, network, agents, urls["hello"], stack)


async def answering(stub: Stub, call: Call) -> None:
    """The skill that answers at once with what it was asked."""
    stub.complete(call, f"{stub.name} did {call.skill}.", {"echo": call.input, "total": "42.00"})


async def login(home: Home, network: Network, username: str, scope: str, key: ECKey | None = None) -> str:
    """A person's token for the broker, by the authorization code flow with PKCE at the real issuer."""
    verifier, issuer = secrets.token_urlsafe(48), network.corporate_idp
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": "finport-web",
        "redirect_uri": f"{WEB}/callback",
        "scope": f"openid {scope}",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": network.broker,
    }
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        response = await http.get(f"{issuer}/authorize", params=asked)
        while response.is_redirect:
            response = await http.get(httpx.URL(issuer).join(response.headers["location"]))
        action = re.search(r'<form method="post" action="([^"]+)"', response.text)
        assert action, response.text
        form = {
            name: html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', response.text)
        }
        form |= {"username": username, "password": f"{username}-demo"}
        response = await http.post(f"{issuer}{action[1]}", data=form, headers={"origin": issuer})
        while response.is_redirect and response.headers["location"].startswith((issuer, "/")):
            response = await http.get(httpx.URL(issuer).join(response.headers["location"]))
        code = parse_qs(urlsplit(response.headers["location"]).query)["code"][0]
        proof = {} if key is None else {"dpop": sign_proof(key, "POST", f"{issuer}/token", time.time())}
        redeemed = await http.post(
            f"{issuer}/token",
            headers=proof,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": f"{WEB}/callback",
                "code_verifier": verifier,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": _assertion(home, issuer),
            },
        )
    assert redeemed.status_code == 200, redeemed.text
    return str(redeemed.json()["access_token"])


def _assertion(home: Home, issuer: str) -> str:
    key, now = home.key("finport-web"), int(time.time())
    claims = {
        "iss": "finport-web",
        "sub": "finport-web",
        "aud": issuer,
        "jti": secrets.token_hex(8),
        "iat": now,
        "exp": now + 60,
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])
