"""FinPort on a real Keycloak: logins, exchanges and services' own tokens, by one entry in the settings."""

import asyncio
import json
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from stead.demo.cli.browser import Browser, Login, Page
from stead.identity.samples import PERSONS
from tests.providers.conftest import Elsewhere
from tests.providers.keycloak import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="Keycloak is not installed: run `make test`"),
    pytest.mark.timeout(300),
]
ENDED = tuple(f"TASK_STATE_{state}" for state in ("COMPLETED", "REJECTED", "FAILED", "CANCELED"))


@dataclass
class Tab:
    """A browser in which somebody signed in at Keycloak."""

    elsewhere: Elsewhere
    http: httpx.AsyncClient
    browser: Browser
    csrf: str

    @property
    def web(self) -> str:
        return str(self.elsewhere.finport.urls["web"])

    async def ask(self, text: str, *until: str) -> dict[str, Any]:
        """Asks, and follows the task until it is in one of the states."""
        own = {"origin": self.web, "x-csrf-token": self.csrf}
        said = {"text": text, "message_id": secrets.token_hex(12)}
        asked = await self.http.post(f"{self.web}/ask", json=said, headers=own)
        assert asked.status_code == 202, asked.text
        return await self.until(asked.json()["task"], *(until or ENDED))

    async def until(self, task: str, *states: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                seen = (await self.http.get(f"{self.web}/tasks/{task}/raw")).json()
                seen = seen.get("task", seen)
                if seen["status"]["state"] in states:
                    return dict(seen)
                assert seen["status"]["state"] not in ENDED, json.dumps(seen["status"])
                await asyncio.sleep(0.1)

    async def trail(self, task: str, count: int) -> list[dict[str, Any]]:
        """The hops of a task, once so many are told by both their ends."""
        hops: list[dict[str, Any]] = []
        for _ in range(200):
            reply = await self.http.get(f"{self.web}/tasks/{task}/trail")
            hops = reply.json()["trail"]["hops"]
            if len(hops) >= count and all(hop["confirmed"] and hop["outcome"] for hop in hops):
                return hops
            await asyncio.sleep(0.1)
        raise AssertionError(json.dumps(hops, indent=1))

    async def authorize(self, link: str) -> Page:
        """Opens a challenge's link and says yes, as the pages say, until they say no more."""
        page = await self.browser.visit(link)
        while onward := re.search(r'<meta http-equiv="refresh" content="1; url=([^"]+)"', page.html):
            page = await self.browser.visit(onward[1])
        return page


@asynccontextmanager
async def signed_in(elsewhere: Elsewhere, name: str) -> AsyncIterator[Tab]:
    """From our front page through Keycloak's form and back."""
    person = next(one for one in PERSONS if one.username == name)
    urls = elsewhere.finport.urls
    logins = {
        elsewhere.issuer.partition("/realms/")[0]: Login(name, person.password),
        urls["bank_idp"]: Login(name, person.bank_password),
    }
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:

        async def as_on_loopback(_: httpx.Response) -> None:
            """Browsers send secure cookies to loopback addresses without TLS; httpx does not."""
            for cookie in http.cookies.jar:
                cookie.secure = False

        http.event_hooks["response"].append(as_on_loopback)
        browser = Browser(http, logins)
        page = await browser.visit(f"{urls['web']}/login")
        csrf = re.search(r'name="csrf" content="([^"]+)"', page.html)
        assert csrf, page.words()
        yield Tab(elsewhere, http, browser, csrf[1])


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
        assert database.execute("SELECT amount FROM payments").fetchall() == [("4.00",)]
