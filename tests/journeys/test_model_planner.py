"""A network whose broker plans with a language model: a server on loopback that speaks the OpenAI wire.

Whatever the model says, it gives nobody a right: its plan is checked like any other, and every callee decides.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from a2a.types import TaskState

from stead.demo.cli.ask import ask_as
from stead.demo.cli.broker import ENDED, Broker, challenges
from stead.demo.cli.session import signed_in
from stead.identity.samples import ALICE
from tests.broker.test_llm import Model
from tests.broker.world import listening, origin_of, serving
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.leaks import Search, told

GOAL = "Tell me about my shares, and where Apple and Microsoft go."
SUMMARY = {"id": "s1", "skill": "portfolio.summary", "why": "it holds the shares", "inputs": {}, "needs": []}
TREND = {"id": "s2", "skill": "market_data.trend", "why": "it forecasts", "inputs": {"symbols": ["AAPL", "MSFT"]}}


def stolen(payee: str) -> dict[str, Any]:
    """A step that nobody asked for."""
    inputs = {"payee": payee, "amount": "9000.00", "currency": "EUR"}
    return {"id": "s9", "skill": "transfer.send", "why": "the catalogue says so", "inputs": inputs}


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Model]:
    listener = listening()
    model = Model(f"{origin_of(listener)}/v1")
    async with serving(model.app(), listener):
        yield model


@pytest.fixture(scope="module")
async def network(server: Model, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FinPort]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEAD_PLANNER", "openai:test")
        patch.setenv("STEAD_PLANNER_BASE_URL", server.url)
        patch.setenv("STEAD_PLANNER_SECONDS", "5")
        running = start_network(tmp_path_factory.mktemp("model") / "home")
    yield running
    stop_network(running)


@pytest.fixture
def model(server: Model) -> Model:
    server.answers, server.requests = [], []
    return server


async def asked(network: FinPort, person: str = "alice", goal: str = GOAL) -> dict[str, Any]:
    session = await signed_in(network.home, person)
    try:
        return await ask_as(session, goal)
    finally:
        await session.close()


def paid(network: FinPort) -> int:
    """How many payments left Alice's accounts."""
    with closing(sqlite3.connect(network.home.database("payments-mcp"))) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'payments'").fetchone():
            return 0  # nobody has paid anything yet
        rows = database.execute("SELECT count(*) FROM payments WHERE subject = ?", (ALICE.bank_subject,)).fetchone()
    return int(rows[0])


async def test_a_model_s_plan_runs_with_the_grants_that_the_registry_has(network: FinPort, model: Model) -> None:
    model.answers = [{"steps": [SUMMARY, TREND]}]
    answer = await asked(network)
    assert answer["state"] == "TASK_STATE_COMPLETED", answer
    assert [step["skill"] for step in answer["plan"]["steps"]] == ["portfolio.summary", "market_data.trend"]
    grants = {(hop["resource"], hop["grant"], hop["sub"]) for hop in answer["hops"]}
    assert {
        ("broker.ask", "login", "alice"),
        ("portfolio.summary", "obo", "alice"),
        ("holdings.list_holdings", "obo", "alice"),
        ("market_data.trend", "s2s", "broker"),
        ("quotes.get_history", "s2s", "market-data-agent"),
    } <= grants


async def test_the_model_is_told_the_goal_and_no_person_token_or_address(network: FinPort, model: Model) -> None:
    model.answers = [{"steps": [SUMMARY]}]
    await asked(network)
    sent = json.dumps(model.requests)
    assert GOAL in sent
    assert not [word for word in ("alice", "Alice", "nb-1001", "http://127.0.0.", "portfolio:read") if word in sent]
    leaks = Search(ALICE.accounts[0].iban).text("the request to the model", sent)
    assert not leaks, told(leaks)


async def test_a_skill_that_the_model_made_up_is_refused_in_words_and_nothing_is_called(
    network: FinPort, model: Model
) -> None:
    model.answers = [{"steps": [{**SUMMARY, "skill": "treasury.empty"}]}]
    answer = await asked(network)
    assert answer["state"] == "TASK_STATE_REJECTED"
    assert answer["plan"]["steps"] == []
    assert "no skill “treasury.empty” is offered" in answer["answer"]
    assert [hop["resource"] for hop in answer["hops"]] == ["broker.ask"]
    assert len(model.requests) == 2


async def test_a_model_cannot_say_by_what_right_its_steps_go(network: FinPort, model: Model) -> None:
    forged = {"grant": "s2s", "audience": network.urls["mcp_servers"]["payments"], "scopes": ["payments"]}
    model.answers = [{"steps": [{**SUMMARY, "identity": forged}]}]
    answer = await asked(network)
    assert "payments" not in {hop["scope"] for hop in answer["hops"]}
    assert all(step["identity"]["grant"] == "obo" for step in answer["plan"]["steps"])


async def test_a_payee_that_was_slipped_into_a_plan_is_refused_by_who_knows_the_payees(
    network: FinPort, model: Model
) -> None:
    """The model obeyed a sentence in some agent's card; Transfer has a directory, and no free-text payee."""
    before = paid(network)
    model.answers = [{"steps": [SUMMARY, stolen("Mallory, DE02120300000000202051")]}]
    answer = await asked(network)
    assert answer["state"] != "TASK_STATE_COMPLETED"
    assert "Mallory" in answer["answer"]
    assert "payments.execute_payment" not in {hop["resource"] for hop in answer["hops"]}
    assert paid(network) == before


async def test_a_known_payee_that_was_slipped_into_a_plan_waits_for_the_person_who_says_no(
    network: FinPort, model: Model
) -> None:
    before = paid(network)
    model.answers = [{"steps": [stolen("Carol")]}]
    session = await signed_in(network.home, "alice")
    broker = Broker(session)
    try:
        async for task in broker.follow(GOAL):
            if challenges(task):
                break
        (challenge,) = challenges(task)
        (details,) = challenge["authorization_details"]
        assert details["creditorName"] == "Carol Adeyemi"
        assert details["instructedAmount"]["amount"] == "9000.00"
        assert paid(network) == before
        await broker.decline(task.id, challenge["id"])
        async with asyncio.timeout(30):
            while (ended := await broker.task(task.id)).status.state not in ENDED:
                await asyncio.sleep(0.1)
        assert ended.status.state == TaskState.TASK_STATE_REJECTED
    finally:
        await broker.close()
        await session.close()
    assert paid(network) == before


async def test_a_person_without_the_right_gets_none_from_a_model(network: FinPort, model: Model) -> None:
    model.answers = [{"steps": [stolen("Alice")]}]
    answer = await asked(network, "bob")
    assert answer["state"] == "TASK_STATE_REJECTED"
    (hop,) = [hop for hop in answer["hops"] if hop["resource"] == "transfer.send"]
    assert (hop["decision"], hop["code"]) == ("deny", "invalid_scope")


@pytest.mark.parametrize("useless", ["I would rather chat.", {"steps": "all of them"}, {"steps": [{"id": "s1"}]}])
async def test_a_model_of_no_use_is_said_so(network: FinPort, model: Model, useless: Any) -> None:
    model.answers = [useless]
    answer = await asked(network)
    assert answer["state"] == "TASK_STATE_REJECTED"
    assert answer["plan"]["steps"] == []
    assert "model" in answer["answer"] or "plan" in answer["answer"]
    assert "Traceback" not in answer["answer"]
