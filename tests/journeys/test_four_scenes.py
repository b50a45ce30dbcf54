"""The four scenes, asked for by the `stead` command and checked on the trail."""

import re
from typing import Any

from tests.journeys.finport import FinPort

PERSONS = {"alice", "bob", "carol"}


def _hop(hops: list[dict[str, Any]], caller: str, resource: str) -> dict[str, Any]:
    found = [hop for hop in hops if hop["caller"] == caller and hop["resource"] == resource]
    assert len(found) == 1, [(hop["caller"], hop["resource"]) for hop in hops]
    return found[0]


async def test_a_portfolio_is_read_on_behalf_of_its_owner_through_two_actors(finport: FinPort) -> None:
    code, asked = await finport.ask("Show my portfolio", "alice")
    assert (code, asked["state"]) == (0, "TASK_STATE_COMPLETED")
    hops = await finport.trail(asked["task"])
    login = _hop(hops, "stead-cli", "broker.ask")
    agent = _hop(hops, "broker", "portfolio.summary")
    tool = _hop(hops, "portfolio-agent", "holdings.list_holdings")
    assert len(hops) == 3
    assert [hop["grant"] for hop in (login, agent, tool)] == ["login", "obo", "obo"]
    assert {hop["sub"] for hop in hops} == {"alice"}
    assert login["act"] is None
    assert agent["act"] == {"sub": "broker"}
    assert tool["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    assert (agent["aud"], agent["scope"]) == (finport.urls["agents"]["portfolio"], "portfolio:read")
    assert (tool["aud"], tool["scope"]) == (finport.urls["mcp_servers"]["holdings"], "holdings:read")
    assert agent["parent_jti"] == login["jti"]
    assert tool["parent_jti"] == agent["jti"]
    assert all(hop["decision"] == "allow" and hop["confirmed"] for hop in hops)
    assert len({hop["jti"] for hop in hops}) == 3
    assert {hop["cnf"] for hop in hops} == {None}


async def test_market_data_is_asked_by_services_that_name_no_person(finport: FinPort) -> None:
    code, asked = await finport.ask("How will AAPL and MSFT trend, and what are they worth in my portfolio?", "alice")
    assert code == 0, asked
    assert {step["skill"] for step in asked["plan"]["steps"]} == {"market_data.trend", "portfolio.summary"}
    hops = await finport.trail(asked["task"])
    service = [_hop(hops, "broker", "market_data.trend")]
    service += [hop for hop in hops if hop["caller"] == "market-data-agent"]
    assert len(service) >= 2
    for hop in service:
        assert hop["grant"] == "s2s"
        assert (hop["act"], hop["parent_jti"], hop["consent_id"]) == (None, None, None)
        assert not _named_in(str(hop))
    assert len(hops) == len({hop["hop"] for hop in hops})


async def test_nothing_of_market_data_ever_knew_who_asked(finport: FinPort) -> None:
    await finport.ask("How will AAPL trend?", "alice")
    held = [path for path in finport.home.path.rglob("*") if path.is_file() and _of_market_data(path.name)]
    assert held
    for path in held:
        assert not _named_in(path.read_text("latin-1")), path.name


def _named_in(text: str) -> bool:
    """A word of its own: three letters in a row are in any random text sooner or later."""
    return any(re.search(rf"(?<![A-Za-z0-9]){person}(?![A-Za-z0-9])", text, re.IGNORECASE) for person in PERSONS)


def _of_market_data(name: str) -> bool:
    return any(word in name for word in ("market-data", "market_data", "quotes"))


async def test_a_transfer_waits_for_the_bank_and_moves_money_once(finport: FinPort) -> None:
    code, asked = await finport.ask("Transfer 250 EUR to Bob's savings", "alice", "--approve")
    assert (code, asked["state"]) == (0, "TASK_STATE_COMPLETED"), asked
    hops = await finport.trail(asked["task"])
    agent = _hop(hops, "broker", "transfer.send")
    paid = _hop(hops, "transfer-agent", "payments.execute_payment")
    assert (agent["grant"], paid["grant"]) == ("obo", "in-task")
    assert (agent["sub"], paid["sub"]) == ("alice", "nb-1001")
    assert all(hop["cnf"].startswith("jkt:") for hop in (agent, paid))
    assert agent["cnf"] != paid["cnf"]
    assert paid["consent_id"]
    assert paid["aud"] == finport.urls["mcp_servers"]["payments"]


async def test_the_same_transfer_by_a_person_without_the_right_is_refused_in_words(finport: FinPort) -> None:
    code, asked = await finport.ask("Transfer 250 EUR to Bob's savings", "bob")
    assert code == 1
    assert asked["state"] == "TASK_STATE_REJECTED"
    assert "transfer" in asked["answer"].lower()
    hops = await finport.trail(asked["task"])
    refused = _hop(hops, "broker", "transfer.send")
    assert refused["decision"] == "deny"
    assert refused["code"] == "invalid_scope"


async def test_a_person_with_a_limit_signs_in_once_more_for_a_transfer_above_it(finport: FinPort) -> None:
    for amount, decisions in (("1500", ["step_up", "allow"]), ("900", ["allow"])):
        code, asked = await finport.ask(f"Transfer {amount} EUR to Bob's savings", "carol", "--approve")
        assert code == 0, asked
        hops = await finport.trail(asked["task"])
        assert [hop["decision"] for hop in hops if hop["resource"] == "transfer.send"] == decisions
        refused = [hop for hop in hops if hop["decision"] == "step_up"]
        assert all("1,000.00 EUR by this sign-in" in hop["description"] for hop in refused)


async def test_the_broker_says_what_it_cannot_do_instead_of_guessing(finport: FinPort) -> None:
    code, asked = await finport.ask("Book a flight to Paris", "alice")
    assert code == 1
    assert asked["plan"]["steps"] == []
    assert asked["plan"]["refused"]
