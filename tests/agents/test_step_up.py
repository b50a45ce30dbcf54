"""A tool wants a stronger sign-in than its caller's person has: the call waits for it, or says so (RFC 9470)."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stead.agents.kit import Agent, Grant, McpClient
from stead.identity.home import Home
from stead.identity.step_up import StepUp
from stead.identity.types import ASGIApp, Json
from stead.identity.workload import Workload
from tests.agents.town import Town, error_of, state, town

MFA = "urn:stead:acr:mfa"
WANTED = StepUp((MFA,), 600)
STRONGER = f"""
- id: stronger-sign-in
  resource: holdings.list_holdings
  when: principal.acr != "{MFA}"
  outcome: step_up
  params: {{acr_values: "{MFA}", max_age: 600}}
"""


def counting(*, durable: bool, patience: float | None = None) -> Callable[[Workload], ASGIApp]:
    """The Portfolio agent with a skill that only counts."""
    agent = Agent("portfolio", "Counts what a customer holds.", needs=["holdings:read"])

    @agent.skill(scopes=["portfolio:read"], grant=Grant.OBO, durable=durable)
    async def summary(holdings: McpClient) -> int:
        """Counts positions."""
        return len((await holdings.call("list_holdings"))["positions"])

    return lambda workload: agent.app(workload, patience=patience)


@pytest.fixture(scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    home = Home(tmp_path_factory.mktemp("strict") / "home")
    home.policies.mkdir(parents=True)
    Path(home.policies / "holdings-mcp.yaml").write_text(STRONGER)
    async with town(home) as made:
        yield made


@pytest.fixture
async def as_before(strict: Town) -> Town:
    """The town, with everybody signed in by password alone."""
    strict.people.clear()
    return strict


async def sign_in_again(place: Town, name: str, wanted: StepUp) -> None:
    session = place.sessions[-1]
    await session.raise_to(wanted)
    place.people[name] = await place.broker.verifier.verify(await session.token(place.home.network.broker))


def asked_of(task: Json) -> Json:
    assert state(task) == "AUTH_REQUIRED", task
    wanted: Json = task["status"]["message"]["parts"][1]["data"]["sign_in"]
    return wanted


async def test_a_durable_call_waits_for_the_sign_in_and_goes_on_by_itself(as_before: Town) -> None:
    async with as_before.agent("portfolio", counting(durable=True)):
        task = await as_before.ask("alice", "summary", {})
        issuer = as_before.home.network.corporate_idp
        assert asked_of(task) == {"issuer": issuer, "acr_values": MFA, "max_age": 600}
        await sign_in_again(as_before, "alice", WANTED)
        await as_before.task("alice", task["id"], "portfolio")
        ended = await as_before.until("alice", task["id"], "COMPLETED", "FAILED", "REJECTED", agent="portfolio")
    assert state(ended) == "COMPLETED"


async def test_a_fresher_sign_in_that_is_no_stronger_changes_nothing(as_before: Town) -> None:
    async with as_before.agent("portfolio", counting(durable=True)):
        task = await as_before.ask("alice", "summary", {})
        await sign_in_again(as_before, "alice", StepUp(max_age=0))
        again = await as_before.task("alice", task["id"], "portfolio")
        assert asked_of(again) == asked_of(task)
        await as_before.rpc("alice", "portfolio", "CancelTask", {"id": task["id"]})
        ended = await as_before.until("alice", task["id"], "CANCELED", agent="portfolio")
    assert state(ended) == "CANCELED"


async def test_the_stronger_sign_in_of_somebody_else_is_none(as_before: Town) -> None:
    async with as_before.agent("portfolio", counting(durable=True)):
        task = await as_before.ask("alice", "summary", {})
        await as_before.person("carol")
        await sign_in_again(as_before, "carol", WANTED)
        reply = await as_before.rpc("carol", "portfolio", "GetTask", {"id": task["id"]})
        assert "error" in reply
        assert asked_of(await as_before.task("alice", task["id"], "portfolio"))


async def test_a_call_that_nobody_signs_in_for_expires(as_before: Town) -> None:
    async with as_before.agent("portfolio", counting(durable=True, patience=1)):
        task = await as_before.ask("alice", "summary", {})
        ended = await as_before.until("alice", task["id"], "FAILED", agent="portfolio")
    assert error_of(ended)["code"] == "expired"


async def test_a_loop_of_challenges_ends_who_refuses_every_sign_in_is_not_asked_for_ever(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.policies.mkdir(parents=True)
    Path(home.policies / "holdings-mcp.yaml").write_text(STRONGER.replace(f'principal.acr != "{MFA}"', "true"))
    async with town(home) as insatiable, insatiable.agent("portfolio", counting(durable=True)):
        task = await insatiable.ask("alice", "summary", {})
        await sign_in_again(insatiable, "alice", WANTED)
        await insatiable.task("alice", task["id"], "portfolio")
        ended = await insatiable.until("alice", task["id"], "COMPLETED", "REJECTED", agent="portfolio")
    assert state(ended) == "REJECTED"
    assert error_of(ended)["code"] == "insufficient_user_authentication"


async def test_a_call_in_memory_ends_and_says_which_sign_in_it_takes(as_before: Town) -> None:
    async with as_before.agent("portfolio", counting(durable=False)):
        task = await as_before.ask("alice", "summary", {})
        assert state(task) == "REJECTED"
        told = error_of(task)
        assert (told["code"], told["acr_values"], told["max_age"]) == ("insufficient_user_authentication", MFA, 600)
        await sign_in_again(as_before, "alice", WANTED)
        assert state(await as_before.ask("alice", "summary", {})) == "COMPLETED"
