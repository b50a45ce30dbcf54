"""With the real authorization servers: logins, exchanges, an approval at the bank, and a server that joins."""

import asyncio
import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from stead.identity.egress import Target
from stead.identity.errors import ConfigurationError, GrantRefused
from stead.identity.home import Home, Network
from stead.identity.joining import join, joined_url
from stead.identity.samples import ALICE, BOB
from stead.identity.serving import listen
from stead.identity.types import ASGIApp
from stead.identity.values import BoundToken, Grant
from stead.identity.workload import Workload
from stead.mcp_servers.finport import MCP_SERVERS
from stead.mcp_servers.kit import Server
from stead.mcp_servers.payments.ledger import Ledger, seeded
from stead.mcp_servers.payments.server import payments_server
from tests.mcp_servers.world import Peer, listening, reason, serving, structured
from tests.server import issuers
from tests.server.parties import Login, claims_of
from tests.server.world import Bank, payment
from tests.server.world import World as Company

EXAMPLE = Path(__file__).parents[2] / "examples/hello/tools.py"
Issuers = tuple[Company, Bank]


@pytest.fixture(scope="module")
def network_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("network") / "home")


@pytest.fixture(scope="module")
async def network(network_home: Home) -> AsyncIterator[Issuers]:
    home = network_home
    async with (
        issuers.issuer_of(home, "corporate", "FinPort", lambda url: issuers.corporate_seed(home, url)) as corporate,
        issuers.issuer_of(home, "bank", "Northbank", lambda url: issuers.bank_seed(home)) as bank,
        httpx.AsyncClient(timeout=20, trust_env=False) as http,
    ):
        home.record(Network("", "", "", corporate.url, bank.url))
        yield Company(corporate, http), Bank(bank, http)


@asynccontextmanager
async def reachable(app: ASGIApp, workload: Workload) -> AsyncIterator[Peer]:
    """The app on any port, called by the origin that the issuers know it by."""
    listener = listening()
    base, host = f"http://127.0.0.1:{listener.getsockname()[1]}", workload.url.removeprefix("http://")
    async with (
        serving(app, listener),
        httpx.AsyncClient(base_url=base, headers={"host": host}, timeout=20, trust_env=False) as client,
    ):
        yield Peer(workload.url, client, workload)


@pytest.fixture
async def holdings(network: Issuers, network_home: Home) -> AsyncIterator[Peer]:
    workload = Workload.open("holdings-mcp", url=issuers.HOLDINGS, home=network_home)
    async with reachable(MCP_SERVERS["holdings"](workload), workload) as peer:
        yield peer


async def through_portfolio(corporate: Company, person: str) -> str:
    """A token for holdings: login, exchanged by the broker, exchanged again by the portfolio agent."""
    login = await corporate.login(person)
    at_portfolio = await corporate.obo(login["access_token"], issuers.PORTFOLIO, "portfolio:read")
    agent = corporate.party("portfolio-agent")
    at_holdings = await corporate.obo(at_portfolio["access_token"], issuers.HOLDINGS, "holdings:read", agent)
    return str(at_holdings["access_token"])


async def test_two_people_see_their_own_holdings_through_two_exchanges(network: Issuers, holdings: Peer) -> None:
    quantities = {}
    for person in ("alice", "bob"):
        token = await through_portfolio(network[0], person)
        answer = structured(await holdings.call("list_holdings", {"symbols": ["MSFT"]}, token=token))
        quantities[person] = answer["positions"][0]["quantity"]
    assert quantities == {"alice": "25", "bob": "8"}
    event = (await holdings.journaled())[-1]
    assert event["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}


async def test_a_token_for_the_portfolio_agent_is_refused_at_holdings(network: Issuers, holdings: Peer) -> None:
    corporate, _ = network
    login = await corporate.login("alice")
    token = (await corporate.obo(login["access_token"], issuers.PORTFOLIO, "portfolio:read"))["access_token"]
    assert (await holdings.call("list_holdings", token=token)).status_code == 401


async def test_the_brokers_own_token_lists_and_cannot_call(network: Issuers, holdings: Peer) -> None:
    token = await network[0].service("broker", issuers.HOLDINGS, "tools:list")
    listed = (await holdings.rpc("tools/list", token=token)).json()["result"]["tools"]
    assert [tool["name"] for tool in listed] == ["list_holdings"]
    assert (await holdings.call("list_holdings", token=token)).status_code == 403


class Payments:
    """Payments with Northbank's own tokens."""

    def __init__(self, northbank: Bank, ledger: Ledger, peer: Peer) -> None:
        self.northbank = northbank
        self.ledger = ledger
        self.peer = peer

    async def approved(self, details: dict[str, Any]) -> BoundToken:
        login, key = Login(), ECKey.generate_key("P-256")
        answer = await self.northbank.approved(login, details)
        agent = replace(self.northbank.agent, proof_key=key)
        spent = await self.northbank.redeem(login, answer["code"], party=agent)
        assert spent.json()["token_type"] == "DPoP", spent.text
        return BoundToken(spent.json()["access_token"], key)


@pytest.fixture
async def payments(network: Issuers, network_home: Home, tmp_path: Path) -> AsyncIterator[Payments]:
    workload = Workload.open("payments-mcp", url=issuers.PAYMENTS, home=network_home)
    ledger = seeded(tmp_path / "payments.db")
    async with reachable(payments_server(ledger).app(workload), workload) as peer:
        yield Payments(network[1], ledger, peer)


def order_of(details: dict[str, Any], **changes: str) -> dict[str, str]:
    return {
        "end_to_end_id": details["endToEndId"],
        "amount": details["instructedAmount"]["amount"],
        "currency": details["instructedAmount"]["currency"],
        "creditor_name": details["creditorName"],
        "creditor_iban": details["creditorAccount"]["iban"],
        "debtor_iban": ALICE.accounts[0].iban,
        **changes,
    }


async def test_what_was_approved_at_the_bank_is_paid_once(payments: Payments) -> None:
    details = payment()
    token = await payments.approved(details)
    executed = structured(await payments.peer.call("execute_payment", order_of(details), token=token))
    assert structured(await payments.peer.call("execute_payment", order_of(details), token=token)) == executed
    assert await payments.ledger.balance(ALICE.accounts[0].iban) == Decimal("11230.00")
    assert await payments.ledger.balance(BOB.accounts[0].iban) == Decimal("4400.00")
    event = (await payments.peer.journaled())[-1]
    assert event["consent_id"] == executed["consent_id"]


@pytest.mark.parametrize(
    "change", [{"amount": "1251.00"}, {"creditor_name": "Eve"}, {"debtor_iban": ALICE.accounts[1].iban}], ids=str
)
async def test_what_was_not_approved_at_the_bank_is_not_paid(payments: Payments, change: dict[str, str]) -> None:
    details = payment()
    token = await payments.approved(details)
    response = await payments.peer.call("execute_payment", order_of(details, **change), token=token)
    assert reason(response) == "out_of_scope"
    assert await payments.ledger.payments() == 0
    (*_, event) = await payments.peer.journaled()
    assert (event["decision"], event["code"]) == ("deny", "out_of_scope")


async def test_an_approval_that_was_taken_back_at_the_bank_moves_no_money(payments: Payments) -> None:
    details = payment()
    token = await payments.approved(details)
    await payments.northbank.agent.post("/revoke", ("token", token.reveal()))
    hearing, claims = payments.peer.workload.hearing, claims_of(token.reveal())
    async with asyncio.timeout(10):
        while not hearing.covers(payments.northbank.issuer.url, claims):
            await asyncio.sleep(0.05)
    response = await payments.peer.call("execute_payment", order_of(details), token=token)
    assert response.status_code == 401
    assert await payments.ledger.payments() == 0


async def test_the_companys_token_moves_no_money(network: Issuers, payments: Payments) -> None:
    login = await network[0].login("alice")
    response = await payments.peer.call("execute_payment", order_of(payment()), token=login["access_token"])
    assert response.status_code == 401


async def test_a_server_joins_and_is_called_after_an_administrator_let_it_in(
    network: Issuers, network_home: Home
) -> None:
    corporate, _ = network
    joined = await join("fx", "mcp", network_home)
    assert joined == await join("fx", "mcp", network_home)
    assert joined_url(network_home, "fx-mcp") == joined.url
    server: Server = runpy.run_path(str(EXAMPLE))["server"]
    app = server.app(Workload.open(joined.client_id, url=joined.url, home=network_home))
    async with serving(app, listen(joined.url)), Workload.open("broker", home=network_home) as broker:
        await let_in(corporate, joined.url)
        target = Target(joined.url, ("fx:read",), Grant.S2S)
        async with (
            broker.hop(target, operation="tools/call", resource="fx.convert"),
            Client(streamable_http_client(f"{joined.url}/mcp", http_client=broker.http2)) as client,
        ):
            result = await client.call_tool("convert", {"amount": "100.00", "source": "EUR", "target": "USD"})
    assert result.structured_content == {"result": "116.00"}


async def let_in(corporate: Company, url: str) -> None:
    """What `stead registry add URL --as admin` does at the authorization server."""
    issuer = corporate.issuer.url
    login = Login()
    code = await corporate.code(login, "admin", "openid registry:admin", issuer)
    token = (await corporate.redeem(login, code)).json()["access_token"]
    asked = {
        "audience": url,
        "name": "fx",
        "scopes": {"fx:read": [], "tools:list": []},
        "callers": [{"client_id": "broker", "scopes": ["fx:read", "tools:list"], "mode": "s2s"}],
    }
    headers = {"authorization": f"Bearer {token}"}
    response = await corporate.http.post(f"{issuer}/admin/audiences", json=asked, headers=headers)
    assert response.status_code == 201, response.text


async def test_joining_without_the_networks_initial_access_token_is_refused(network: Issuers, tmp_path: Path) -> None:
    stranger = Home(tmp_path / "elsewhere")
    stranger.record(Network("", "", "", network[0].issuer.url, ""))
    with pytest.raises(GrantRefused, match=r"initial access token"):
        await join("holdings", "mcp", stranger)


async def test_joining_needs_a_running_network(home: Home) -> None:
    with pytest.raises(ConfigurationError, match="No network"):
        await join("fx", "mcp", home)
