"""Waiting has an end, survives restarts, and tells whoever asked to be told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stead.agents.kit.calls import Record
from stead.agents.kit.parking import Parking
from stead.agents.kit.storage import opened
from stead.agents.transfer.agent import transfer
from stead.demo.network.providers import bank
from stead.identity.confirmation import Confirmation
from stead.identity.home import Home
from stead.identity.peek import peek_claims
from stead.identity.types import ASGIApp, Json
from stead.identity.values import AccessToken, Actor, Grant, Principal
from stead.identity.vaults import VaultSettings, open_vault
from stead.identity.workload import Workload
from stead.mcp_servers.finport import MCP_SERVERS
from tests.agents.town import Town, challenge_of, error_of, message, serving, state, town

GOAL = {"payee": "Bob's savings", "amount": "250"}


def _hasty(workload: Workload) -> ASGIApp:
    return transfer.app(workload, patience=1.2)


async def test_a_question_that_nobody_answers_expires(place: Town) -> None:
    async with place.agent("transfer", _hasty):
        task = await place.ask("alice", "send", GOAL)
        ended = await place.until("alice", task["id"], "FAILED")
        assert error_of(ended)["code"] == "expired"
        page = await place.authorize(challenge_of(task)["link"], place.browser("alice"))
        assert "Too late" in page.words()
    assert place.payments() == []


def _within(seconds: object) -> Json:
    params = message("send", GOAL)
    params["message"]["metadata"] = {"urn:stead:a2a:in-task:v1": {"answer_within": seconds}}
    return params


async def test_a_caller_may_allow_less_time_for_the_answer_and_never_more(place: Town) -> None:
    async with place.agent("transfer"):
        brief = (await place.rpc("alice", "transfer", "SendMessage", _within(1), effects=True))["result"]["task"]
        long = (await place.rpc("alice", "transfer", "SendMessage", _within(10**9), effects=True))["result"]["task"]
        usual = await place.ask("alice", "send", GOAL)
        assert abs(challenge_of(long)["expires_at"] - challenge_of(usual)["expires_at"]) < 60
        ended = await place.until("alice", brief["id"], "FAILED")
        assert error_of(ended)["code"] == "expired"
        for task in (long, usual):
            await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})


@pytest.mark.parametrize("seconds", [0, -5, "soon", True, None, [], {}])
async def test_a_time_for_the_answer_that_is_none_is_refused_before_anything_begins(
    place: Town, seconds: object
) -> None:
    async with place.agent("transfer"):
        reply = await place.rpc("alice", "transfer", "SendMessage", _within(seconds), effects=True)
        assert reply["error"]["code"] == -32602


async def test_a_restart_does_not_prolong_the_time_for_an_answer(place: Town) -> None:
    async with place.agent("transfer", _hasty):
        task = await place.ask("alice", "send", GOAL)
    async with place.agent("transfer"):
        ended = await place.until("alice", task["id"], "FAILED")
        assert error_of(ended)["code"] == "expired"


async def test_a_parked_call_goes_on_in_the_next_process(place: Town) -> None:
    async with place.agent("transfer"):
        task = await place.ask("alice", "send", GOAL)
    async with place.agent("transfer"):
        assert challenge_of(await place.task("alice", task["id"])) == challenge_of(task)
        await place.authorize(challenge_of(task)["link"], place.browser("alice"))
        assert state(await place.until("alice", task["id"], "COMPLETED", "FAILED", "REJECTED")) == "COMPLETED"
    assert len(place.payments()) == 1


class Receiver:
    """Takes pushes where the broker would, and is not well at first."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Json]] = []
        self.app = Starlette(routes=[Route("/push", self._push, methods=["POST"])])

    async def _push(self, request: Request) -> Response:
        self.heard.append((request.headers["authorization"].removeprefix("Bearer "), await request.json()))
        return Response(status_code=503 if len(self.heard) == 1 else 204)

    async def until(self, state: str) -> Json:
        while all(body["state"] != state for _, body in self.heard[1:]):
            await asyncio.sleep(0.02)
        return next(body for _, body in self.heard[1:] if body["state"] == state)


async def test_whoever_asked_to_be_told_is_told_as_a_hint_and_by_a_service_token(place: Town) -> None:
    receiver, origin = Receiver(), place.home.network.broker
    async with place.agent("transfer"), serving(receiver.app, origin), asyncio.timeout(20):
        task = await place.ask("alice", "send", GOAL, push=f"{origin}/push")
        await place.authorize(challenge_of(task)["link"], place.browser("alice"))
        await receiver.until("TASK_STATE_WORKING")
        told = await receiver.until("TASK_STATE_COMPLETED")
    assert told == {"task": task["id"], "state": "TASK_STATE_COMPLETED"}
    claims = peek_claims(AccessToken(receiver.heard[0][0]))
    assert (claims["sub"], claims["aud"], claims["scope"]) == ("transfer-agent", origin, "task:notify")
    assert "act" not in claims


async def test_a_receiver_that_the_authorization_server_does_not_know_is_not_told(place: Town) -> None:
    async with place.agent("transfer"):
        task = await place.ask("alice", "send", GOAL, push="http://127.0.0.99:9/push")
        await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
        assert state(await place.task("alice", task["id"])) == "CANCELED"


async def test_the_receiver_can_be_named_looked_up_and_dismissed(place: Town) -> None:
    async with place.agent("transfer"):
        task = await place.ask("alice", "send", GOAL)
        named: Json = {"taskId": task["id"], "url": f"{place.home.network.broker}/push"}
        made = await place.rpc("alice", "transfer", "CreateTaskPushNotificationConfig", named)
        assert made["result"]["url"] == named["url"]
        key = {"taskId": task["id"], "id": made["result"]["id"]}
        found = await place.rpc("alice", "transfer", "GetTaskPushNotificationConfig", key)
        assert found["result"]["url"] == named["url"]
        foreign = await place.rpc("carol", "transfer", "GetTaskPushNotificationConfig", key)
        assert foreign["error"]["code"] == -32001
        await place.rpc("alice", "transfer", "DeleteTaskPushNotificationConfig", key)
        listed = await place.rpc("alice", "transfer", "ListTaskPushNotificationConfigs", {"taskId": task["id"]})
        assert not listed["result"].get("configs")


def _kept(place: Town, owner: str, task: str) -> Json:
    vault = open_vault(place.home, VaultSettings(), "transfer-agent-vault")
    try:
        kept = vault.get(owner, task, "subject")
    finally:
        vault.close()
    return cast(Json, json.loads(kept or b"{}"))


async def test_a_fresher_token_of_the_same_person_renews_what_is_kept(place: Town) -> None:
    async with place.agent("transfer"):
        task = await place.ask("alice", "send", GOAL)
        owner = (await place.person("alice")).owner
        before = _kept(place, owner, task["id"])["principal"]
        after = before
        while after["jti"] == before["jti"]:
            place.people.clear()
            await place.task("alice", task["id"])
            after = _kept(place, owner, task["id"])["principal"]
        assert after["expires_at"] > before["expires_at"]
        await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
        assert _kept(place, owner, task["id"]) == {}


def _caller(**more: Any) -> Principal:
    known = Principal(
        issuer="http://127.0.0.2:1",
        subject="alice",
        audience="http://127.0.0.4:1",
        client_id="broker",
        scopes=frozenset({"transfer:create"}),
        jti="first",
        expires_at=1000,
        grant=Grant.OBO,
        actor=Actor("broker"),
        token=AccessToken("first"),
    )
    return replace(known, **more)


@dataclass(frozen=True)
class Clocked:
    """What renewing asks of a workload."""

    clock: Callable[[], float] = lambda: 500.0


@pytest.mark.parametrize(
    "other",
    [
        {"subject": "carol"},
        {"issuer": "http://127.0.0.3:1"},
        {"actor": Actor("mallory"), "client_id": "mallory"},
        {"actor": Actor("broker", prior=Actor("web"))},
        {"actor": None},
        {"expires_at": 999},
    ],
)
async def test_no_other_token_renews_what_is_kept(home: Home, other: dict[str, Any]) -> None:
    async with opened(home, "transfer-agent", VaultSettings()) as storage:
        parking = Parking(cast(Workload, Clocked()), storage, 600)
        record = Record("t", "m", "send", {}, _caller(), None, None, 0)
        await parking.keep(record, record.principal)
        await parking.renew(
            record, _caller(**{"expires_at": 2000, "jti": "other", "token": AccessToken("other"), **other})
        )
        assert (await parking.principal(record)).jti == "first"
        await parking.renew(record, _caller(expires_at=2000, jti="fresh", token=AccessToken("fresh")))
        assert (await parking.principal(record)).jti == "fresh"


async def test_a_call_that_began_with_a_bound_token_is_not_renewed_by_one_that_a_thief_could_send(home: Home) -> None:
    bound = Confirmation("jkt", "x" * 43)
    async with opened(home, "transfer-agent", VaultSettings()) as storage:
        parking = Parking(cast(Workload, Clocked()), storage, 600)
        record = Record("t", "m", "send", {}, _caller(confirmation=bound), None, None, 0)
        await parking.keep(record, record.principal)
        await parking.renew(record, _caller(expires_at=2000, jti="stolen", token=AccessToken("stolen")))
        assert (await parking.principal(record)).jti == "first"
        fresh = _caller(expires_at=2000, jti="fresh", token=AccessToken("fresh"), confirmation=bound)
        await parking.renew(record, fresh)
        assert (await parking.principal(record)).jti == "fresh"


@asynccontextmanager
async def _bank(made: Town) -> AsyncIterator[None]:
    url = made.home.network.bank_idp
    async with serving(bank(made.home, url), url):
        yield


async def test_a_bank_that_goes_away_between_the_yes_and_the_token_is_asked_again_by_nobody(tmp_path: Path) -> None:
    async with town(Home(tmp_path / "home"), without=["bank"]) as made, made.agent("transfer"):
        browser = made.browser("alice")
        async with _bank(made):
            task = await made.ask("alice", "send", GOAL)
            link = challenge_of(task)["link"]
            page = await made.authorize(link, browser, "stop at the bank")
            page = await browser.visit(page.url, until=f"{made.agents['transfer']}/callback")
        away = await browser.visit(page.url)
        assert away.status == 502
        assert state(await made.task("alice", task["id"])) == "AUTH_REQUIRED"
        async with _bank(made):
            again = await browser.visit(link)
            assert "confirmed" in again.words()
            await made.until("alice", task["id"], "COMPLETED")
        assert len(made.payments()) == 1


async def test_a_payment_service_that_is_away_is_waited_for_and_paid_once(tmp_path: Path) -> None:
    async with town(Home(tmp_path / "home"), without=["payments"]) as made, made.agent("transfer"):
        task = await made.ask("alice", "send", GOAL)
        await made.authorize(challenge_of(task)["link"], made.browser("alice"))
        assert state(await made.until("alice", task["id"], "WORKING")) == "WORKING"
        late = await made.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
        assert late["error"]["code"] == -32002
        url = made.home.network.mcp_servers["payments"]
        payments = MCP_SERVERS["payments"](Workload.open("payments-mcp", url=url, home=made.home))
        async with serving(payments, url):
            await made.until("alice", task["id"], "COMPLETED")
        assert len(made.payments()) == 1


async def test_the_pages_of_the_desk_break_without_telling_why(place: Town) -> None:
    async with place.agent("transfer"), httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"{place.agents['transfer']}/authorize/%00%ff")
        assert reply.status_code in (400, 404)
        assert "Traceback" not in reply.text
