"""A small town for the agents' tests: both identity providers, the MCP servers and the agents, on real loopback ports.

The broker's part is played by a workload of its name: it signs a person in, exchanges their token, and calls.
"""

import asyncio
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from stead.agents.finport import AGENTS
from stead.demo.cli.browser import Browser, Login, Page
from stead.demo.cli.session import Session, person_named, signed_in
from stead.demo.network.addresses import network_of
from stead.demo.network.providers import bank, corporate
from stead.identity.audit.collector import collector
from stead.identity.egress import Target
from stead.identity.home import Home
from stead.identity.serving import listen
from stead.identity.types import ASGIApp, Json
from stead.identity.values import Arrival, Grant, Principal, acting_for
from stead.identity.workload import Workload
from stead.mcp_servers.finport import MCP_SERVERS

SKILLS: Mapping[str, tuple[str, tuple[str, ...], Grant]] = {
    "summary": ("portfolio", ("portfolio:read",), Grant.OBO),
    "trend": ("market_data", ("market:read",), Grant.S2S),
    "send": ("transfer", ("transfer:create",), Grant.OBO),
}


@asynccontextmanager
async def serving(app: ASGIApp, url: str) -> AsyncIterator[None]:
    """Serves `app` at `url` for as long as the block lasts."""
    config = uvicorn.Config(app, http="httptools", lifespan="on", log_config=None, server_header=False)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    server.capture_signals = _nothing  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve(sockets=[listen(url)]))
    while not server.started:
        assert not running.done(), running
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await running


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass
class Town:
    """Where everything is, and who calls."""

    home: Home
    broker: Workload
    people: dict[str, Principal] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def agents(self) -> Mapping[str, str]:
        return self.home.network.agents

    async def person(self, name: str) -> Principal:
        """The person, signed in for the broker."""
        if name not in self.people:
            session = await signed_in(self.home, name, {self.home.network.broker: ("broker:ask",)})
            self.sessions.append(session)
            self.people[name] = await self.broker.verifier.verify(await session.token(self.home.network.broker))
        return self.people[name]

    def browser(self, username: str, bank_username: str | None = None) -> Browser:
        """A browser of its own, in which this person types (and at the bank perhaps another)."""
        person, payer = person_named(username), person_named(bank_username or username)
        http = httpx.AsyncClient(timeout=20, trust_env=False)
        self.clients.append(http)
        network = self.home.network
        logins = {
            network.corporate_idp: Login(person.username, person.password),
            network.bank_idp: Login(payer.username, payer.bank_password),
        }
        return Browser(http, logins)

    async def authorize(self, link: str, browser: Browser, decision: str = "approve") -> Page:
        """Opens the link of a challenge and does as the pages say, until they say no more."""
        page = await browser.visit(link, decision=decision)
        while onward := re.search(r'<meta http-equiv="refresh" content="1; url=([^"]+)"', page.html):
            page = await browser.visit(onward[1], decision=decision)
        return page

    @asynccontextmanager
    async def agent(self, name: str, make: Callable[[Workload], ASGIApp] | None = None) -> AsyncIterator[Workload]:
        """Serves an agent of the network (or another in its place)."""
        workload = Workload.open(f"{name.replace('_', '-')}-agent", url=self.agents[name], home=self.home)
        async with serving((make or AGENTS[name])(workload), self.agents[name]):
            yield workload

    def payments(self) -> list[tuple[str, str]]:
        """Every payment that was made: amount and payee."""
        with closing(sqlite3.connect(self.home.database("payments-mcp"))) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'payments'").fetchone():
                return []
            return database.execute("SELECT amount, creditor_name FROM payments ORDER BY executed_at").fetchall()

    async def rpc(
        self,
        name: str | None,
        agent: str,
        method: str,
        params: Json,
        *,
        scopes: Sequence[str] | None = None,
        effects: bool = False,
    ) -> Json:
        """A JSON-RPC call of the broker, for the person or (without a name) for itself. The whole reply."""
        wanted = scopes or next(skill[1] for skill in SKILLS.values() if skill[0] == agent)
        grant = Grant.S2S if name is None else Grant.OBO
        principal = None if name is None else await self.person(name)
        target = Target(self.agents[agent], tuple(wanted), grant, txn="root-task" if effects else None, effects=effects)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        arrival = Arrival(secrets.token_hex(8), secrets.token_hex(16), principal.jti if principal else None)
        with acting_for(principal, arrival):
            async with self.broker.hop(target, operation=method, resource=f"{agent}.x"):
                reply = await self.broker.http.post(
                    f"{self.agents[agent]}/a2a", json=body, headers={"A2A-Version": "1.0"}
                )
        answer: Json = reply.json()
        return answer

    async def ask(self, name: str | None, skill: str, given: Json, **more: Any) -> Json:
        """Calls a skill and returns the task (or the error)."""
        agent, scopes, _ = SKILLS[skill]
        params = message(skill, given, **more)
        reply = await self.rpc(name, agent, "SendMessage", params, scopes=scopes, effects=skill == "send")
        answer: Json = reply["result"]["task"] if "result" in reply else reply
        return answer

    async def task(self, name: str, task_id: str, agent: str = "transfer") -> Json:
        """The task as its owner sees it."""
        reply = await self.rpc(name, agent, "GetTask", {"id": task_id}, effects=agent == "transfer")
        found: Json = reply.get("result", reply)
        return found

    async def until(self, name: str, task_id: str, *states: str, agent: str = "transfer") -> Json:
        """Follows the task until it is in one of the states."""
        for _ in range(400):
            task = await self.task(name, task_id, agent)
            if state(task) in states:
                return task
            await asyncio.sleep(0.05)
        raise AssertionError(f"the task stays {state(task)}: {task}")


def message(skill: str, given: Json, *, key: str | None = None, now: bool = False, push: str | None = None) -> Json:
    """The parameters of a SendMessage."""
    parts = [{"data": {"skill": skill, "input": given}}]
    configuration: Json = {"returnImmediately": now}
    if push is not None:
        configuration["taskPushNotificationConfig"] = {"url": push}
    return {
        "message": {"messageId": key or secrets.token_hex(8), "role": "ROLE_USER", "parts": parts},
        "configuration": configuration,
    }


def state(task: Json) -> str:
    """The last word of the state."""
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def challenge_of(task: Json) -> Json:
    """The challenge of a parked task."""
    found: Json = task["status"]["message"]["parts"][1]["data"]["challenge"]
    return found


def error_of(task: Json) -> Json:
    """Why a task ended without a result."""
    found: Json = task["status"]["message"]["parts"][1]["data"]["error"]
    return found


def result_of(task: Json) -> Json:
    """The result of a completed task."""
    found: Json = task["artifacts"][0]["parts"][1]["data"]
    return found


@asynccontextmanager
async def town(home: Home, *, without: Sequence[str] = ()) -> AsyncIterator[Town]:
    """The issuers and the MCP servers; agents (and what is left out) are served by the tests that need them."""
    network = network_of(home)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(corporate(home, network.corporate_idp), network.corporate_idp))
        if "bank" not in without:
            await stack.enter_async_context(serving(bank(home, network.bank_idp), network.bank_idp))
        trail = Workload.open("trail", url=network.trail, home=home)
        await stack.enter_async_context(serving(collector(trail), network.trail))
        for name, url in network.mcp_servers.items():
            if name in without:
                continue
            workload = Workload.open(f"{name}-mcp", url=url, home=home)
            await stack.enter_async_context(serving(MCP_SERVERS[name](workload), url))
        broker = await stack.enter_async_context(Workload.open("broker", url=network.broker, home=home))
        made = Town(home, broker)
        try:
            yield made
        finally:
            for session in made.sessions:
                await session.close()
            for client in made.clients:
                await client.aclose()
