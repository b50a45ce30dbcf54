"""FinPort on the wire format of Okta, by the two files that `stead idp setup okta` writes, process by process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from stead.demo.cli.browser import Browser
from stead.demo.idp import okta
from stead.demo.idp.demand import demand_of
from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from tests.journeys.finport import start_network, stop_network
from tests.parts.vendors.okta_org import OktaOrg
from tests.parts.vendors.vendor import serving
from tests.providers.conftest import Elsewhere
from tests.providers.tab import Tab, csrf_of
from tests.providers.test_okta_setup import applied

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def network(folder: Path, *groups: str) -> AsyncIterator[Elsewhere]:
    """Set up by the script, and started by the settings."""
    org, home = OktaOrg(login="alice", member_of=frozenset({"lunch-club", *groups})), Home(folder / "home")
    network_of(home)
    async with serving(org):
        demand = demand_of(home, org.issuer)
        assert await applied(okta.script_of(demand, org.issuer), org.token_of_admin, folder) == (0, "")
        (home.path / "stead.yaml").write_text(yaml.safe_dump(okta.settings_of(demand, org.issuer)))
        finport = await asyncio.to_thread(start_network, home.path)
        try:
            yield Elsewhere(org.issuer, finport)
        finally:
            await asyncio.to_thread(stop_network, finport)


@asynccontextmanager
async def alice_at(elsewhere: Elsewhere) -> AsyncIterator[Tab]:
    """A browser that is signed in at Okta already."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:

        async def as_on_loopback(_: httpx.Response) -> None:
            for cookie in http.cookies.jar:
                cookie.secure = False

        http.event_hooks["response"].append(as_on_loopback)
        browser = Browser(http, {})
        page = await browser.visit(f"{elsewhere.finport.urls['web']}/login")
        yield Tab(elsewhere, http, browser, csrf_of(page.html))


async def test_a_network_on_okta_keeps_the_person_and_the_whole_chain(tmp_path: Path) -> None:
    async with network(tmp_path, "customer") as elsewhere, alice_at(elsewhere) as tab:
        mine = await tab.ask("Show my portfolio")
        hops = await tab.trail(mine["id"], 3)
        market = await tab.ask("How will AAPL trend?")
        nobodys = await tab.trail(market["id"], 3)
        refused = await tab.ask("Transfer 4 EUR to Bob's savings")
    assert mine["status"]["state"] == market["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [(hop["caller"], hop["grant"], hop["sub"], hop["act"]) for hop in hops] == [
        ("finport-web", "login", "alice", None),
        ("broker", "obo", "alice", {"sub": "broker"}),
        ("portfolio-agent", "obo", "alice", {"sub": "portfolio-agent", "act": {"sub": "broker"}}),
    ]
    assert {hop["grant"] for hop in nobodys if hop["caller"] == "market-data-agent"} == {"s2s"}
    assert refused["status"]["state"] == "TASK_STATE_REJECTED", json.dumps(refused["status"])
