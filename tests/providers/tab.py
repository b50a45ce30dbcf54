"""A person in a browser at a network whose provider, or bank, is somebody else's."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from stead.demo.cli.browser import Browser, Login, Page
from stead.identity.egress import shown
from stead.identity.samples import PERSONS
from stead.identity.values import AccessToken
from tests.providers.conftest import Elsewhere

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

    async def until_told(self, task: str, what: str) -> str:
        """The task as JSON, once it tells this."""
        async with asyncio.timeout(60):
            while True:
                seen = (await self.http.get(f"{self.web}/tasks/{task}/raw")).text
                if what in seen:
                    return json.dumps(json.loads(seen))
                await asyncio.sleep(0.1)

    async def trail(self, task: str, count: int) -> list[dict[str, Any]]:
        """The hops of a task, once so many are told by both their ends."""
        hops: list[dict[str, Any]] = []
        for _ in range(200):
            reply = await self.http.get(f"{self.web}/tasks/{task}/trail")
            assert reply.status_code == 200, reply.text
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
        yield Tab(elsewhere, http, browser, csrf_of(page.html))


def csrf_of(page: str) -> str:
    """The token that our page of who is signed in carries for its own requests."""
    found = re.search(r'name="csrf" content="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


async def taken(service: str, token: AccessToken) -> bool:
    """Whether an agent takes the token."""
    ask = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    headers = {**shown(token, "POST", f"{service}/a2a"), "a2a-version": "1.0"}
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(f"{service}/a2a", json=ask, headers=headers)).status_code == 200
