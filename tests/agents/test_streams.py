"""Streams over the wire, A2A's and MCP's: whoever signs out, or takes a token back, hears no more by it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer

from stead.agents.kit import Agent, Ask
from stead.demo.cli.session import Session, signed_in
from stead.identity.egress import Target, shown
from stead.identity.flows.revocation import revoke
from stead.identity.policy import Policy
from stead.identity.types import ASGIApp, Json
from stead.identity.values import AccessToken, Arrival, Grant, acting_for
from stead.identity.workload import Workload
from tests.agents.town import Town, message, serving

WITHIN = 5.0
probe = Agent("portfolio", "Stands in for the Portfolio agent.")


@probe.skill(scopes=["portfolio:read"])
async def wait(ask: Ask) -> str:
    """Waits, and is never let go."""
    await ask.progress("Waiting.")
    await asyncio.Event().wait()
    return "let go"


def tool_server(workload: Workload) -> ASGIApp:
    """An MCP server that answers in streams, as the SDK does by default."""
    server = MCPServer("probe")

    @server.tool()
    async def follow(context: Context[Any, Any]) -> str:
        """Tells that it is there, and then waits."""
        await context.report_progress(1, 2)
        await asyncio.Event().wait()
        return "done"

    return workload.protect(
        server.streamable_http_app(stateless_http=True, host=workload.url.partition("//")[2]),
        describe=lambda scope, document: None,
        policy=Policy(),
        scopes=["market:read"],
        protocol="jsonrpc",
    )


@pytest.fixture(scope="module")
async def here(place: Town) -> AsyncIterator[Town]:
    async with place.agent("portfolio", probe.app):
        yield place


@asynccontextmanager
async def alice(here: Town) -> AsyncIterator[Session]:
    session = await signed_in(here.home, "alice", {here.home.network.broker: ("broker:ask",)})
    try:
        yield session
    finally:
        await session.close()


async def onward(here: Town, session: Session) -> AccessToken:
    principal = await here.broker.verifier.verify(await session.token(here.home.network.broker))
    with acting_for(principal, Arrival("0" * 15 + "1", "0" * 31 + "1", principal.jti)):
        return await here.broker.exchange(Target(here.agents["portfolio"], ("portfolio:read",), Grant.OBO), principal)


@dataclass
class Stream:
    """An open stream: `begun` once its first event is here, over when it is over."""

    url: str
    token: AccessToken
    body: Json
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[str] = field(default_factory=list)

    async def follow(self) -> None:
        """To its end, which has to be a clean one."""
        headers = {
            **shown(self.token, "POST", self.url),
            "a2a-version": "1.0",
            "mcp-protocol-version": "2025-11-25",
            "accept": "application/json, text/event-stream",
        }
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as http,
            http.stream("POST", self.url, json=self.body, headers=headers) as reply,
        ):
            assert reply.status_code == 200, await reply.aread()
            async for line in reply.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    self.events.append(line)
                    self.begun.set()


def asking(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": secrets.token_hex(4), "method": method, "params": params}


@asynccontextmanager
async def ended_by(*streams: Stream) -> AsyncIterator[None]:
    """All of them are open when the block begins, and end soon after it."""
    following = [asyncio.create_task(one.follow()) for one in streams]
    async with asyncio.timeout(30):
        await asyncio.gather(*(one.begun.wait() for one in streams))
    assert not any(one.done() for one in following)
    yield
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(*following)


async def test_the_streams_of_a_login_that_was_taken_back_end(here: Town) -> None:
    async with alice(here) as session:
        token, url = await onward(here, session), f"{here.agents['portfolio']}/a2a"
        sent = Stream(url, token, asking("SendStreamingMessage", message("wait", {})))
        async with ended_by(sent):
            assert session._refresh is not None
            await here.broker.run(revoke(session._client, await here.broker.metadata(), session._refresh, now=0))
    assert not any("COMPLETED" in one or "FAILED" in one for one in sent.events)


async def test_whoever_signs_out_no_longer_follows_a_task(here: Town) -> None:
    async with alice(here) as session:
        token, url = await onward(here, session), f"{here.agents['portfolio']}/a2a"
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            begun = await http.post(
                url,
                json=asking("SendMessage", message("wait", {}, now=True)),
                headers={**shown(token, "POST", url), "a2a-version": "1.0"},
            )
        task = begun.json()["result"]["task"]["id"]
        streams = [Stream(url, token, asking("SubscribeToTask", {"id": task})) for _ in range(3)]
        async with ended_by(*streams):
            await signed_out(here, session)


async def test_a_stream_of_mcp_ends_with_the_token_that_opened_it(here: Town) -> None:
    url = here.agents["market_data"]
    workload = Workload.open("market-data-agent", url=url, home=here.home)
    async with serving(tool_server(workload), url):
        token = await here.broker.exchange(Target(url, ("market:read",), Grant.S2S), None)
        call = {"name": "follow", "arguments": {}, "_meta": {"progressToken": "p"}}
        async with ended_by(Stream(f"{url}/mcp", token, asking("tools/call", call))):
            await here.broker.run(
                revoke(here.broker.client, await here.broker.metadata(), token, now=here.broker.clock())
            )


async def signed_out(here: Town, session: Session) -> None:
    page = await session.browser.visit(f"{here.home.network.corporate_idp}/logout")
    form = page.forms()[0]
    done = await session.http.post(
        f"{here.home.network.corporate_idp}/logout",
        data=form.fields | dict(form.buttons[:1]),
        headers={"origin": here.home.network.corporate_idp},
    )
    assert done.status_code < 400
