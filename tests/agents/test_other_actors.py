"""A malicious agent that a person's request also passes through: what it may do for them, and what it may not touch."""

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from stead.agents.kit import Agent, Ask
from stead.demo.cli.session import administering, signed_in
from stead.identity.egress import Target
from stead.identity.joining import initial_access_token
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, Principal, acting_for
from stead.identity.workload import Workload
from tests.agents.town import Town, message, state

MALLORY = "http://127.0.0.77:7777"
ledger = Agent("portfolio", "Keeps what only some may read.")


@ledger.skill(scopes=["portfolio:read"])
async def note(ask: Ask, text: str) -> str:
    """Notes something."""
    return text


@dataclass
class Mallory:
    """An agent that joined the network, is called for people, and may ask the portfolio agent for them."""

    workload: Workload
    town: Town

    async def for_person(self, name: str) -> Principal:
        """The person who calls Mallory, through the broker."""
        target = Target(MALLORY, ("mallory:do",), Grant.OBO)
        token = await self.town.broker.exchange(target, await self.town.person(name))
        return await self.workload.verifier.verify(token)

    async def rpc(self, name: str, method: str, params: Json, scope: str = "portfolio:read") -> Json:
        principal = await self.for_person(name)
        portfolio = self.town.agents["portfolio"]
        arrival = Arrival(secrets.token_hex(8), secrets.token_hex(16), principal.jti)
        with acting_for(principal, arrival):
            async with self.workload.detail(Target(portfolio, (scope,), Grant.OBO)):
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                headers = {"A2A-Version": "1.0"}
                reply = await self.workload.http.post(f"{portfolio}/a2a", json=body, headers=headers)
        answer: Json = reply.json()
        return answer


async def admit(town: Town, **more: Any) -> None:
    """Registers Mallory with the initial access token; an administrator lets it in."""
    key, corporate = town.home.key("mallory-agent"), town.home.network.corporate_idp
    admin = await signed_in(town.home, "admin", administering(town.home))
    town.sessions.append(admin)
    metadata = {
        "client_name": "mallory-agent",
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    bearer = {"authorization": f"Bearer {initial_access_token(town.home).reveal()}"}
    assert (await admin.http.post(f"{corporate}/register", json=metadata, headers=bearer)).status_code == 201
    asked = {
        "audience": MALLORY,
        "name": "Mallory",
        "client_id": "mallory-agent",
        "scopes": {"mallory:do": ["customer"]},
        "callers": [{"client_id": "broker", "scopes": ["mallory:do"], "mode": "obo"}],
        "needs": [{"audience": town.agents["portfolio"], "scopes": ["portfolio:read"], "mode": "obo"}],
    }
    url = f"{corporate}/admin/audiences"
    added = await admin.http.post(url, json=asked | more, headers=await admin.headers("POST", url, corporate))
    assert added.status_code == 201, added.text


@pytest.fixture(scope="module")
async def mallory(place: Town) -> AsyncIterator[Mallory]:
    await admit(place)
    async with (
        place.agent("portfolio", ledger.app),
        Workload.open("mallory-agent", url=MALLORY, home=place.home) as workload,
    ):
        yield Mallory(workload, place)


async def noted(town: Town, text: str) -> Json:
    reply = await town.rpc("alice", "portfolio", "SendMessage", message("note", {"text": text}))
    task: Json = reply["result"]["task"]
    assert state(task) == "COMPLETED"
    return task


async def test_an_agent_finds_the_tasks_it_started_for_a_person(mallory: Mallory) -> None:
    made = (await mallory.rpc("alice", "SendMessage", message("note", {"text": "mine"})))["result"]["task"]
    found = await mallory.rpc("alice", "GetTask", {"id": made["id"]})
    assert found["result"]["id"] == made["id"]
    listed = await mallory.rpc("alice", "ListTasks", {"pageSize": 100})
    assert made["id"] in {task["id"] for task in listed["result"]["tasks"]}


@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "SubscribeToTask"])
async def test_an_agent_does_not_find_what_another_started_for_the_same_person(mallory: Mallory, method: str) -> None:
    task = await noted(mallory.town, "what only the broker may read")
    reply = await mallory.rpc("alice", method, {"id": task["id"]})
    assert reply["error"]["code"] == -32001


async def test_an_agent_is_not_shown_what_another_started_for_the_same_person(mallory: Mallory) -> None:
    task = await noted(mallory.town, "secret words")
    listed = await mallory.rpc("alice", "ListTasks", {"pageSize": 100, "historyLength": 10, "includeArtifacts": True})
    assert task["id"] not in json.dumps(listed)
    assert "secret words" not in json.dumps(listed)


async def test_an_agent_does_not_decline_in_the_name_of_the_person(mallory: Mallory) -> None:
    task = await noted(mallory.town, "to be declined")
    said = message("note", {})["message"] | {"taskId": task["id"], "parts": [{"data": {"challenge": "x"}}]}
    reply = await mallory.rpc("alice", "SendMessage", {"message": said})
    assert reply["error"]["code"] == -32001
