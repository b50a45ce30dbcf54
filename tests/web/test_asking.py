"""Asking, following, approving and declining, by the requests that the page's script makes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.web import samples
from tests.web.conftest import Tab
from tests.web.world import World


@asynccontextmanager
async def events(tab: Tab, last: str = "") -> AsyncIterator[AsyncIterator[tuple[str, str, dict[str, Any]]]]:
    """The page's stream: (id, kind, data) of each event."""
    headers = {"last-event-id": last} if last else {}
    async with tab.http.stream("GET", "/events", headers=headers, timeout=httpx.Timeout(10)) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield _read(reply)


async def _read(reply: httpx.Response) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    held: dict[str, str] = {}
    async for line in reply.aiter_lines():
        name, found, value = line.partition(": ")
        if found and name in ("id", "event", "data"):
            held[name] = value
        elif not line and "data" in held:
            yield held.get("id", ""), held["event"], json.loads(held["data"])
            held = {}


async def until(stream: AsyncIterator[tuple[str, str, dict[str, Any]]], event: str, **expected: Any) -> dict[str, Any]:
    """The first event of this name whose data has these members."""
    async for _, found, data in stream:
        if found == event and all(data.get(name) == value for name, value in expected.items()):
            return data
    raise AssertionError("the stream ended")


async def test_what_a_person_asks_reaches_the_broker_once_and_in_their_name(world: World, alice: Tab) -> None:
    asked = len(world.broker.asked)
    said = {"text": " Show my portfolio ", "message_id": "message-once"}
    first = await alice.post("/ask", said)
    again = await alice.post("/ask", said)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["task"] == again.json()["task"]
    assert len(world.broker.asked) == asked + 1
    assert world.broker.asked[-1]["parts"][0]["text"] == "Show my portfolio"
    assert world.broker.people == {"alice"}


async def test_the_root_hop_is_written_down_as_a_login(world: World, alice: Tab) -> None:
    await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-hop"})
    lines = [
        json.loads(line) for path in world.home.folder("audit").rglob("*") if path.is_file() for line in _lines(path)
    ]
    hops = [one for one in lines if one["instance"] == "finport-web" and one["kind"] == "egress"]
    assert {(one["grant"], one["sub"], one["aud"], one["operation"]) for one in hops} == {
        ("login", "alice", world.home.network.broker, "SendMessage")
    }


def _lines(path: Any) -> list[str]:
    return [line for line in path.read_text("utf-8", "replace").splitlines() if line.startswith("{")]


async def test_a_plan_can_be_asked_for_first(world: World, alice: Tab) -> None:
    await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-plan", "mode": "plan"})
    assert world.broker.asked[-1]["parts"][1]["data"] == {"mode": "plan"}


async def test_progress_answer_and_trail_arrive_by_themselves(world: World, alice: Tab) -> None:
    world.broker.next = samples.task("t-live", "Show my portfolio", "WORKING", steps=samples.READ_STEPS)
    async with events(alice) as stream:
        await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-live"})
        await until(stream, "turn", task="t-live", state="working")
        trail = {**samples.read_trail(time.time()), "task": "t-live"}
        world.broker.put({**samples.READ, "id": "t-live"}, trail)
        done = await until(stream, "turn", task="t-live", state="done")
        assert "27\u202f768.00" in done["parts"]["answer"]
        assert "Method: straight line" in done["parts"]["answer"]
        assert (await until(stream, "trail", task="t-live"))["hops"][1]["grant"] == "s2s"


async def test_a_task_that_ends_before_it_can_be_watched_is_shown_as_over(world: World, alice: Tab) -> None:
    world.broker.next = samples.task("t-unseen", "Show my portfolio", "WORKING", steps=samples.READ_STEPS)
    world.broker.ends_unseen["t-unseen"] = {**samples.READ, "id": "t-unseen"}
    async with events(alice) as stream:
        await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-unseen"})
        await until(stream, "turn", task="t-unseen", state="done")


async def test_a_second_tab_and_a_reload_see_the_same(world: World, alice: Tab) -> None:
    world.broker.next = samples.task("t-two", "Show my portfolio", "WORKING", steps=samples.READ_STEPS)
    async with events(alice) as first, events(alice) as second:
        await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-two"})
        await until(first, "turn", task="t-two")
        await until(second, "turn", task="t-two")
    reloaded = (await alice.http.get("/state")).json()
    assert "t-two" in [turn["task"] for turn in reloaded["turns"]]
    world.broker.put({**samples.READ, "id": "t-two"})


async def test_a_stream_resumes_after_the_last_event_that_came(world: World, alice: Tab) -> None:
    await alice.post("/ask", {"text": "One", "message_id": "message-res-1"})
    async with events(alice) as stream:
        last, _, _ = await anext(stream)
        async for number, _, data in stream:
            last = number
            if data.get("goal") == "One":
                break
    await alice.post("/ask", {"text": "Two", "message_id": "message-res-2"})
    async with events(alice, last) as stream:
        seen = []
        async for _, kind, data in stream:
            if kind == "turn":
                seen.append(data["goal"])
            if "Two" in seen:
                break
        assert "Two" in seen


async def test_an_approval_shows_amount_payee_and_both_hosts_and_opens_the_registered_address(
    world: World, alice: Tab
) -> None:
    world.broker.next = samples.parked(time.time())
    shown = (await alice.post("/ask", {"text": "Transfer 250 EUR", "message_id": "message-pay"})).json()
    card = shown["parts"]["approval"]
    assert shown["state"] == "approval"
    assert "250.00" in card
    assert "Bob Lindqvist" in card
    assert f'href="{samples.AT["transfer"]}/authorize/ch-1"' in card
    assert 'rel="noopener noreferrer"' in card
    for host in (samples.AT["transfer"], samples.AT["bank"]):
        assert host.removeprefix("http://") in card
    assert shown["announce"] == "Transfer needs your approval: 250.00 EUR to Bob Lindqvist."


@pytest.mark.parametrize(
    "changes",
    [
        {"link": "http://evil.example/authorize/ch-1"},
        {"link": "javascript:alert(1)"},
        {"link": "http://user@127.0.0.4:8404/authorize/ch-1"},
        {"asked_by": "nobody-agent"},
        {"asked_by": "portfolio-agent"},
        {"provider": {"issuer": "http://evil.example", "name": "Northbank"}},
    ],
)
async def test_phishing_an_approval_that_leads_elsewhere_is_shown_and_not_opened(
    world: World, alice: Tab, changes: dict[str, Any]
) -> None:
    world.broker.next = {**samples.parked(time.time(), **changes), "id": "t-phish"}
    shown = (await alice.post("/ask", {"text": "Pay", "message_id": "message-phish"})).json()
    card = shown["parts"]["approval"]
    assert "href=" not in card
    assert "evil.example" not in card
    assert 'data-testid="approval-problem"' in card
    world.broker.put({**samples.READ, "id": "t-phish"})


async def test_declining_answers_the_challenge_and_ends_the_task(world: World, alice: Tab) -> None:
    world.broker.next = {**samples.parked(time.time()), "id": "t-decline"}
    await alice.post("/ask", {"text": "Pay", "message_id": "message-decline"})
    reply = await alice.post("/tasks/t-decline/answer", {"challenge": "ch-1", "answer": "declined"})
    assert reply.json()["state"] == "refused"
    assert world.broker.asked[-1]["taskId"] == "t-decline"
    assert world.broker.asked[-1]["parts"][0]["data"] == {"challenge": "ch-1", "answer": "declined"}


async def test_an_approval_cannot_be_given_here(alice: Tab) -> None:
    reply = await alice.post("/tasks/t-1/answer", {"challenge": "ch-1", "answer": "approved"})
    assert reply.status_code == 400


async def test_a_refusal_says_who_refused_what_and_what_to_do(world: World, alice: Tab) -> None:
    world.broker.next = samples.REFUSED
    shown = (await alice.post("/ask", {"text": "Transfer 50 EUR to Carol", "message_id": "message-refused"})).json()
    assert "Bob Lindqvist has no right to make transfers." in shown["parts"]["status"]
    assert "The role payer is needed." in shown["parts"]["status"]


async def test_a_task_of_nobody_is_refused_in_words(alice: Tab) -> None:
    reply = await alice.http.get("/tasks/t-of-nobody/raw")
    assert reply.status_code == 400
    assert reply.json()["error_description"] == "The broker does not know this request."


async def test_the_raw_view_strikes_tokens_out(world: World, alice: Tab) -> None:
    told = samples.task("t-raw", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", "COMPLETED")
    world.broker.put(told)
    raw = await alice.http.get("/tasks/t-raw/raw")
    assert "eyJ" not in raw.text
    assert "[token]" in raw.text
    del world.broker.tasks["t-raw"]


async def test_the_broker_being_away_is_told_and_so_is_its_return(world: World, alice: Tab) -> None:
    world.broker.next = samples.task("t-away", "Show my portfolio", "WORKING")
    async with events(alice) as stream:
        world.broker.away = True
        refused = await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-away"})
        assert refused.status_code == 503
        state = (await alice.http.get("/state")).json()
        assert state["trouble"].startswith("The broker cannot answer")
        world.broker.away = False
        made = await alice.post("/ask", {"text": "Show my portfolio", "message_id": "message-away"})
        assert made.status_code == 202
        await until(stream, "turn", task="t-away")
        world.broker.away = True
        world.broker.put(world.broker.tasks["t-away"])
        assert (await until(stream, "notice", kind="broker"))["text"]
        world.broker.away = False
        assert (await until(stream, "notice", kind="broker"))["text"] is None
        world.broker.put({**samples.READ, "id": "t-away"})
        await until(stream, "turn", task="t-away", state="done")


async def test_signing_out_ends_the_stream_of_every_tab(world: World, alice: Tab) -> None:
    async with events(alice) as stream:
        waiting = asyncio.create_task(until(stream, "notice", kind="session"))
        await alice.http.post("/logout", data={"csrf": alice.csrf}, headers={"origin": world.url})
        assert (await waiting)["text"] == "The session has ended."


@pytest.mark.parametrize("name", ["nobody", "altered", "unsigned", "audience", "widen"])
async def test_a_cheat_is_refused_by_the_real_thing(alice: Tab, name: str) -> None:
    told = (await alice.post(f"/cheats/{name}", {})).json()
    assert told["refused"], told
    assert told["verdict"] == "Refused:"
    assert "RFC" in told["detail"]
