"""Calls of skills over the wire: who may, what comes back, and what never does."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from stead.agents.kit import Agent, Ask, Grant, Principal
from stead.agents.kit.wire import IDENTITY_EXTENSION
from stead.identity.egress import Target
from stead.identity.errors import AccessDenied, GrantRefused
from stead.identity.values import acting_for
from tests.agents.town import Town, error_of, message, result_of, state

SECRET = "eyJhbGciOiJ-a-secret-in-an-exception"
probe = Agent("portfolio", "Stands in for the Portfolio agent, and misbehaves.")
runs: list[str] = []
gate = asyncio.Event()


@probe.skill(scopes=["portfolio:read"])
async def count(user: Principal, name: str, times: int = 1) -> dict[str, Any]:
    """Counts how often it ran."""
    runs.append(name)
    return {"ran": runs.count(name), "for": user.subject, "through": list(user.chain)}


@probe.skill(scopes=["portfolio:read"])
async def boom() -> str:
    """Breaks."""
    raise RuntimeError(SECRET)


@probe.skill(scopes=["portfolio:read"])
async def refuse() -> str:
    """Refuses."""
    raise AccessDenied("Not on a Sunday.", hint="Ask on Monday.")


@probe.skill(scopes=["portfolio:read"])
async def wait(ask: Ask) -> str:
    """Waits to be let go."""
    await ask.progress("Waiting.")
    await gate.wait()
    return "let go"


@probe.skill(scopes=["portfolio:write"], effects=True)
async def change() -> str:
    """Changes something."""
    return "changed"


@probe.skill(grant=Grant.S2S, scopes=["portfolio:read"])
async def serve() -> str:
    """Is for services."""
    return "served"


@pytest.fixture(scope="module")
async def here(place: Town) -> AsyncIterator[Town]:
    async with place.agent("portfolio", probe.app), place.agent("market_data"):
        yield place


async def _send(here: Town, skill: str, given: dict[str, Any], **more: Any) -> Any:
    reply = await here.rpc("alice", "portfolio", "SendMessage", message(skill, given, **more))
    return reply["result"]["task"] if "result" in reply else reply


async def test_a_call_runs_as_the_person_through_the_actor(here: Town) -> None:
    task = await _send(here, "count", {"name": "first"})
    assert state(task) == "COMPLETED"
    assert result_of(task) == {"ran": 1, "for": "alice", "through": ["broker"]}
    assert task["artifacts"][0]["name"] == "count"


async def test_a_repeated_message_finds_its_task_and_runs_once(here: Town) -> None:
    first = await _send(here, "count", {"name": "again"}, key="step-1")
    second = await _send(here, "count", {"name": "again"}, key="step-1")
    assert first == second
    assert runs.count("again") == 1


async def test_a_hundred_equal_messages_at_once_run_once(here: Town) -> None:
    tasks = await asyncio.gather(*(_send(here, "count", {"name": "race"}, key="step-race") for _ in range(100)))
    assert len({task["id"] for task in tasks}) == 1
    assert runs.count("race") == 1


async def test_the_same_key_of_another_person_is_another_call(here: Town) -> None:
    alice = await _send(here, "count", {"name": "two"}, key="step-2")
    reply = await here.rpc("bob", "portfolio", "SendMessage", message("count", {"name": "two"}, key="step-2"))
    assert reply["result"]["task"]["id"] != alice["id"]
    assert result_of(reply["result"]["task"])["for"] == "bob"


async def test_a_key_used_for_another_call_is_refused(here: Town) -> None:
    await _send(here, "count", {"name": "three"}, key="step-3")
    reply = await _send(here, "count", {"name": "four"}, key="step-3")
    assert reply["error"]["code"] == -32602
    assert "another call" in reply["error"]["message"]


async def test_a_stranger_does_not_find_the_task_of_another(here: Town) -> None:
    task = await _send(here, "count", {"name": "mine"})
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        reply = await here.rpc("bob", "portfolio", method, {"id": task["id"]})
        assert reply["error"]["code"] == -32001
    listed = await here.rpc("bob", "portfolio", "ListTasks", {"pageSize": 100})
    assert task["id"] not in json.dumps(listed)


async def test_the_text_of_an_exception_is_not_on_the_wire_nor_kept(here: Town) -> None:
    task = await _send(here, "boom", {})
    assert state(task) == "FAILED"
    assert error_of(task)["code"] == "internal_error"
    assert "incident" in error_of(task)["hint"]
    assert SECRET not in json.dumps(task)
    with closing(sqlite3.connect(here.home.database("portfolio-agent"))) as database:
        assert SECRET not in "".join(database.iterdump())


async def test_a_refusal_is_a_rejected_task_with_its_reason(here: Town) -> None:
    task = await _send(here, "refuse", {})
    assert state(task) == "REJECTED"
    assert error_of(task) == {"code": "access_denied", "description": "Not on a Sunday.", "hint": "Ask on Monday."}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([{"data": {"skill": "nothing", "input": {}}}], "This agent has count, boom"),
        ([{"data": {"skill": "count", "input": {}}}], "name: Field required"),
        ([{"data": {"skill": "count", "input": {"name": "x", "times": "often"}}}], "times"),
        ([{"data": {"skill": "count", "input": []}}], "not an object"),
        ([{"data": {"skill": ["count"], "input": {}}}], "no such skill"),
        ([{"text": "please count"}], "Name the skill"),
        ([], "Name the skill"),
    ],
)
async def test_a_malformed_call_is_told_what_would_do(here: Town, parts: Any, said: str) -> None:
    params = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": parts}}
    reply = await here.rpc("alice", "portfolio", "SendMessage", params)
    assert reply["error"]["code"] == -32602
    assert said in reply["error"]["message"] or not parts
    assert not runs.count("x")


@pytest.mark.parametrize("params", [{}, {"message": 5}, {"message": {"role": "ROLE_USER", "parts": "x"}}, [1]])
async def test_no_message_at_all_is_an_error_of_the_protocol(here: Town, params: Any) -> None:
    reply = await here.rpc("alice", "portfolio", "SendMessage", params)
    assert reply["error"]["code"] in (-32602, -32600)


async def test_an_oversized_key_is_refused(here: Town) -> None:
    reply = await _send(here, "count", {"name": "long"}, key="k" * 10_000)
    assert reply["error"]["code"] == -32602


async def test_a_skill_with_another_scope_is_refused_before_it_runs(here: Town) -> None:
    reply = await _send(here, "change", {})
    assert reply["error"]["code"] == -32043
    assert "portfolio:write" in reply["error"]["message"]


async def test_a_persons_token_does_not_call_a_service_skill(here: Town) -> None:
    reply = await _send(here, "serve", {})
    assert reply["error"]["code"] == -32043


async def test_the_authorized_call_is_the_one_that_runs_whatever_spelling_hides_in_the_message(here: Town) -> None:
    part = {"data": {"skill": "count", "input": {"name": "seen"}}, "metadata": {"skill": "change"}}
    params = {
        "message": {"messageId": "hide-1", "message_id": "hide-2", "role": "ROLE_USER", "parts": [part]},
        "metadata": {"skill": "change"},
    }
    reply = await here.rpc("alice", "portfolio", "SendMessage", params)
    assert "error" in reply or result_of(reply["result"]["task"])["for"] == "alice"


async def test_a_call_without_token_is_told_where_to_get_one(here: Town) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message("count", {"name": "anon"})}
        reply = await client.post(f"{here.agents['portfolio']}/a2a", json=body)
    assert reply.status_code == 401
    assert "resource_metadata" in reply.headers["www-authenticate"]


async def test_a_token_of_another_agent_is_refused(here: Town) -> None:
    principal = await here.person("alice")
    token = await here.broker.exchange(Target(here.agents["portfolio"], ("portfolio:read",), Grant.OBO), principal)
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}
        headers = {"authorization": f"Bearer {token.reveal()}", "A2A-Version": "1.0"}
        reply = await client.post(f"{here.agents['market_data']}/a2a", json=body, headers=headers)
    assert reply.status_code == 401


async def test_a_task_can_be_taken_back_while_it_runs(here: Town) -> None:
    gate.clear()
    task = await _send(here, "wait", {}, now=True)
    reply = await here.rpc("alice", "portfolio", "CancelTask", {"id": task["id"]})
    assert state(reply["result"]) == "CANCELED"
    again = await here.rpc("alice", "portfolio", "CancelTask", {"id": task["id"]})
    assert again["error"]["code"] == -32002


async def test_a_stream_tells_progress_and_ends_with_the_task(here: Town) -> None:
    gate.set()
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": message("wait", {})}
    target = Target(here.agents["portfolio"], ("portfolio:read",), Grant.OBO)
    events: list[dict[str, Any]] = []
    with acting_for(await here.person("alice"), None):
        async with (
            here.broker.detail(target),
            here.broker.http.stream(
                "POST", f"{here.agents['portfolio']}/a2a", json=body, headers={"A2A-Version": "1.0"}
            ) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    events.append(json.loads(line[5:])["result"])
    assert "task" in events[0]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert any("artifactUpdate" in event for event in events)


async def test_the_card_says_what_is_enforced(here: Town) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"{here.agents['portfolio']}/.well-known/agent-card.json")
        resource = await client.get(f"{here.agents['portfolio']}/.well-known/oauth-protected-resource")
    card = reply.json()
    declared = card["capabilities"]["extensions"][0]["params"]["skills"]
    assert card["capabilities"]["extensions"][0]["uri"] == IDENTITY_EXTENSION
    assert declared["count"]["grant"] == "obo"
    assert declared["serve"] == {**declared["serve"], "grant": "s2s", "effects": False, "provider": None}
    assert declared["change"]["effects"] is True
    schemes = {one["id"]: next(iter(one["securityRequirements"][0]["schemes"].items())) for one in card["skills"]}
    assert schemes["change"] == ("person", {"list": ["portfolio:write"]})
    assert schemes["serve"] == ("service", {"list": ["portfolio:read"]})
    assert set(schemes["count"][1]["list"]) <= set(resource.json()["scopes_supported"])
    issuer = here.home.network.corporate_idp
    assert card["securitySchemes"]["person"]["openIdConnectSecurityScheme"]["openIdConnectUrl"].startswith(issuer)
    async with httpx.AsyncClient(trust_env=False) as client:
        found = await client.get(f"{issuer}/.well-known/oauth-authorization-server")
    service = card["securitySchemes"]["service"]["oauth2SecurityScheme"]
    assert service["flows"]["clientCredentials"]["tokenUrl"] == found.json()["token_endpoint"]
    assert card["capabilities"].get("pushNotifications", False) is False
    assert "etag" in reply.headers


async def test_market_data_knows_no_person(here: Town) -> None:
    task = await here.ask(None, "trend", {"symbols": ["AAPL", "ZZZ"], "horizon_days": 5})
    found = result_of(task)
    assert [one["symbol"] for one in found["forecasts"]] == ["AAPL"]
    assert found["unknown"] == ["ZZZ"]
    with closing(sqlite3.connect(here.home.database("market-data-agent"))) as database:
        kept = "".join(database.iterdump())
    assert "broker" in kept
    assert not any(name in kept for name in ("alice", "Alice", "bob", "Bob"))


async def test_a_persons_token_for_market_data_is_not_to_be_had(here: Town) -> None:
    with pytest.raises(GrantRefused):
        await here.rpc("alice", "market_data", "SendMessage", message("trend", {"symbols": ["AAPL"]}))


async def test_symbols_that_fit_nowhere_are_refused(here: Town) -> None:
    none = await here.ask(None, "trend", {"symbols": []})
    assert none["error"]["code"] == -32602
    unknown = await here.ask(None, "trend", {"symbols": ["QQQQ"]})
    assert state(unknown) == "REJECTED"
    assert "QQQQ" in error_of(unknown)["description"]


async def test_a_call_cut_off_by_a_restart_fails_clearly_and_may_be_repeated(place: Town) -> None:
    waiting = Agent("transfer", "Stands in for the Transfer agent.")

    @waiting.skill(scopes=["transfer:create"])
    async def linger(ask: Ask) -> str:
        """Waits."""
        await asyncio.Event().wait()
        return ""

    params = message("linger", {}, key="cut-off", now=True)
    async with place.agent("transfer", waiting.app):
        task = (await place.rpc("alice", "transfer", "SendMessage", params))["result"]["task"]
    async with place.agent("transfer", waiting.app):
        after = await place.task("alice", task["id"])
        assert (state(after), error_of(after)["code"]) == ("FAILED", "interrupted")
        again = (await place.rpc("alice", "transfer", "SendMessage", params))["result"]["task"]
        assert again["id"] != task["id"]
