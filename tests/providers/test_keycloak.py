"""FinPort on a real Keycloak: logins, exchanges and services' own tokens, by one entry in the settings."""

import json
import re
import sqlite3
from contextlib import closing

import pytest

from tests.providers.conftest import Elsewhere
from tests.providers.keycloak import available
from tests.providers.tab import ENDED, signed_in

pytestmark = [
    pytest.mark.skipif(not available(), reason="Keycloak is not installed: run `make test`"),
    pytest.mark.timeout(500),
]


async def test_a_person_signs_in_at_keycloak_and_sees_their_portfolio(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("Show my portfolio")
        hops = await tab.trail(task["id"], 3)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [(hop["caller"], hop["grant"], hop["sub"]) for hop in hops] == [
        ("finport-web", "login", "alice"),
        ("broker", "obo", "alice"),
        ("portfolio-agent", "obo", "alice"),
    ]
    assert all(hop["confirmed"] for hop in hops)


async def test_keycloak_drops_the_chain_and_the_trail_has_it_all_the_same(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("Show my portfolio")
        hops = await tab.trail(task["id"], 3)
    assert [hop["act"] for hop in hops] == [
        None,
        {"sub": "broker"},
        {"sub": "portfolio-agent", "act": {"sub": "broker"}},
    ]


async def test_services_answer_for_nobody_in_particular(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("How will AAPL trend?")
        hops = await tab.trail(task["id"], 3)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert {hop["grant"] for hop in hops if hop["caller"] == "market-data-agent"} == {"s2s"}


async def test_a_person_without_the_role_gets_no_token_for_it(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "bob") as tab:
        task = await tab.ask("Transfer 4 EUR to Bob's savings")
    assert task["status"]["state"] == "TASK_STATE_REJECTED"
    assert "transfer:create" in json.dumps(task["status"])


async def test_a_transfer_waits_for_the_bank_and_is_paid_once(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("Transfer 4 EUR to Bob's savings", "TASK_STATE_AUTH_REQUIRED")
        link = re.search(r'"link": "([^"]+)"', json.dumps(task))
        assert link, task
        page = await tab.authorize(link[1])
        done = await tab.until(task["id"], *ENDED)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED", page.words()
    with closing(sqlite3.connect(elsewhere.finport.home.database("payments-mcp"))) as database:
        assert database.execute("SELECT amount FROM payments").fetchall().count(("4.00",)) == 1
