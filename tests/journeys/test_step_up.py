"""A rule wants a stronger sign-in: the request waits, the person signs in once more, and it goes on (RFC 9470)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import Session, signed_in
from tests.chromium import chromium
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.visit import origin, visit

RULE = """
- id: stronger-sign-in
  resource: {resource}
  when: principal.acr != "urn:stead:acr:mfa"
  outcome: step_up
  params: {{acr_values: "urn:stead:acr:mfa", max_age: 600}}
"""
HELD, PAY = "Show my portfolio", "Transfer 250 EUR to Bob's savings"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """A network in which holdings and transfers are for those alone who signed in with a second factor."""
    home = tmp_path_factory.mktemp("strict") / "home"
    policies: Path = home / "policies"
    policies.mkdir(parents=True)
    (policies / "holdings-mcp.yaml").write_text(RULE.format(resource="holdings.list_holdings"))
    (policies / "transfer-agent.yaml").write_text(RULE.format(resource="transfer.send"))
    network = start_network(home)
    yield network
    stop_network(network)


@asynccontextmanager
async def person(strict: FinPort, name: str) -> AsyncIterator[Session]:
    """Each test has its own: a one-time code is good once."""
    session = await signed_in(strict.home, name)
    try:
        yield session
    finally:
        await session.close()


async def test_a_tool_behind_an_agent_gets_its_stronger_sign_in_once(strict: FinPort) -> None:
    async with person(strict, "carol") as carol:
        answer = await ask_as(carol, HELD)
        assert answer["state"] == "TASK_STATE_COMPLETED", answer
        told = [(hop["resource"], hop["decision"]) for hop in answer["hops"]]
        assert told.count(("holdings.list_holdings", "step_up")) == 1
        assert told.count(("holdings.list_holdings", "allow")) == 1
        again = await ask_as(carol, HELD)
    assert {hop["decision"] for hop in again["hops"]} == {"allow"}


async def test_a_transfer_waits_for_the_sign_in_first_and_then_for_the_bank(strict: FinPort) -> None:
    async with person(strict, "alice") as alice:
        answer = await ask_as(alice, PAY, approve=True)
    assert answer["state"] == "TASK_STATE_COMPLETED", answer
    sends = [hop["decision"] for hop in answer["hops"] if hop["resource"] == "transfer.send"]
    assert sends == ["step_up", "allow"]


async def test_the_page_leads_to_the_sign_in_that_is_wanted_and_the_request_goes_on(strict: FinPort) -> None:
    async with chromium() as browser, visit(browser, strict, "bob") as bob:
        turn = await bob.ask(HELD)
        await expect(turn.get_by_test_id("needs-you")).to_contain_text("stronger or fresher sign-in")
        await expect(bob("trail-hop").nth(2)).to_contain_text("asks for another sign-in")
        await turn.get_by_test_id("sign-in-for").click()
        assert origin(bob.page.url) == strict.urls["corporate_idp"]
        code = await bob.page.locator("#sample-code").inner_text()
        await bob.page.get_by_label("One-time code").fill(code)
        await bob.page.get_by_role("button", name="Continue").click()
        await expect(bob("turn").last.get_by_test_id("holdings-total")).to_be_visible()
