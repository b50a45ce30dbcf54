"""Everything a test needs at one issuer, and at the bank."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stead.identity.home import Home
from stead.identity.samples import ALICE, BOB
from tests.server.issuers import BROKER, PAYMENTS, TRANSFER, Issuer
from tests.server.parties import Browser, Form, Login, Party, answered


@dataclass
class World:
    """Everything a test needs at one issuer."""

    issuer: Issuer
    http: httpx.AsyncClient

    def party(self, client_id: str, **more: Any) -> Party:
        return Party(self.issuer, self.http, client_id, **more)

    @property
    def web(self) -> Party:
        return self.party("finport-web")

    @property
    def broker(self) -> Party:
        return self.party("broker")

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        # Nothing here is TLS; reading the system's certificates takes longer than a login.
        async with httpx.AsyncClient(timeout=10, trust_env=False, verify=False) as client:
            yield Browser(self.issuer, client)

    async def code(self, login: Login, username: str, scope: str, *resources: str, **more: Any) -> str:
        party = more.pop("party", self.web)
        async with self.browser() as browser:
            page = await browser.get("/authorize", login.parameters(party, scope, *resources, **more))
            done = await browser.sign_in(page, username, f"{username}-demo")
            return answered(done)["code"]

    async def redeem(
        self, login: Login, code: str, *form: tuple[str, str], party: Party | None = None
    ) -> httpx.Response:
        party = party or self.web
        base = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", party.redirect_uri),
            ("code_verifier", login.verifier),
        ]
        names = {name for name, _ in form}
        return await party.token(*(pair for pair in base if pair[0] not in names), *form)

    async def login(self, username: str = "alice", scope: str = "openid profile broker:ask") -> dict[str, Any]:
        """A person signed in at the web, with a token for the broker."""
        login = Login()
        code = await self.code(login, username, scope, BROKER)
        response = await self.redeem(login, code)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def obo(
        self, token: str, audience: str, scope: str, party: Party | None = None, **more: str
    ) -> dict[str, Any]:
        response = await (party or self.broker).exchange(token, ("resource", audience), ("scope", scope), *more.items())
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def service(self, client_id: str, audience: str, scope: str) -> str:
        response = await self.party(client_id).token(
            ("grant_type", "client_credentials"), ("resource", audience), ("scope", scope)
        )
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def active(self, token: str, client_id: str) -> bool:
        response = await self.party(client_id).post("/introspect", ("token", token))
        return bool(response.json()["active"])


PAYMENT: Mapping[str, Any] = {
    "type": "payment_initiation",
    "actions": ["initiate"],
    "locations": [PAYMENTS],
    "instructedAmount": {"currency": "EUR", "amount": "1250.00"},
    "creditorName": "Bob Lindqvist",
    "creditorAccount": {"iban": BOB.accounts[0].iban},
    "endToEndId": "e2e-1",
    "task_id": "task-1",
}


def payment(**changes: Any) -> dict[str, Any]:
    return {**PAYMENT, "endToEndId": secrets.token_hex(6), "task_id": secrets.token_hex(6), **changes}


@dataclass
class Bank(World):
    """The bank, with the agent that asks for payments."""

    @property
    def agent(self) -> Party:
        return self.party("transfer-agent", redirect_uri=f"{TRANSFER}/callback")

    async def push(self, login: Login, details: Any, **more: Any) -> httpx.Response:
        party: Party = more.pop("party", self.agent)
        text = details if isinstance(details, str) else json.dumps([details])
        form = login.parameters(party, "openid payments", PAYMENTS, authorization_details=text, **more)
        return await party.post("/par", *form)

    async def link(self, login: Login, details: Any, **more: Any) -> Form:
        response = await self.push(login, details, **more)
        assert response.status_code == 201, response.text
        return [("client_id", "transfer-agent"), ("request_uri", response.json()["request_uri"])]

    async def consent_page(
        self, browser: Browser, login: Login, details: Any, username: str = "alice"
    ) -> httpx.Response:
        page = await browser.get("/authorize", await self.link(login, details))
        return await browser.sign_in(page, username, f"{username}-bank")

    async def approved(self, login: Login, details: Any) -> dict[str, str]:
        async with self.browser() as browser:
            page = await self.consent_page(browser, login, details)
            return answered(await browser.submit(page, decision="approve", debtor=ALICE.accounts[0].iban))

    async def spend(self, login: Login, code: str) -> httpx.Response:
        return await self.redeem(login, code, party=self.agent)


def all_files(home: Home) -> list[Path]:
    return [path for path in home.path.rglob("*") if path.is_file()]
