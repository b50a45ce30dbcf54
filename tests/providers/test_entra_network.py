"""All of FinPort on the wire format of Entra, process by process, by what `stead idp setup entra` writes."""

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from stead.agents.transfer.directory import Directory, Payee
from stead.demo.network import addresses
from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from stead.identity.samples import ALICE as SAMPLE
from stead.identity.samples import BOB
from stead.mcp_servers.holdings.positions import seeded
from tests.journeys.finport import start_network, stop_network
from tests.parts.vendors.entra import ALICE
from tests.parts.vendors.entra_tenant import EntraTenant
from tests.parts.vendors.vendor import serving
from tests.providers.conftest import Elsewhere
from tests.providers.entra import applied, written
from tests.providers.tab import ENDED, Tab, signed_in

pytestmark = pytest.mark.timeout(120)


async def alices_data(home: Home, issuer: str) -> None:
    """People are told by a number there, so that data of one's own is brought."""
    assert await seeded(home.database("holdings-mcp"), issuer).positions(issuer, "alice")
    with closing(sqlite3.connect(home.database("holdings-mcp"))) as database, database:
        database.execute("UPDATE positions SET subject = ? WHERE subject = 'alice'", (ALICE,))
    directory = Directory(home.database("transfer-directory"))
    directory.put(issuer, ALICE, Payee("Bob's savings", BOB.name, BOB.accounts[0].iban))
    directory.link(issuer, ALICE, home.network.bank_idp, str(SAMPLE.bank_subject))


@asynccontextmanager
async def network(folder: Path, *groups: str) -> AsyncIterator[tuple[Elsewhere, EntraTenant]]:
    """Set up by the script, and started by the settings that it wrote."""
    tenant, home = EntraTenant(member_of=frozenset(groups)), Home(folder / "home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(addresses, "separate_hosts", lambda: False)
        network_of(home)
    async with serving(tenant):
        written(home, tenant.issuer, folder)
        assert await applied(tenant, folder) == (0, "")
        shutil.copy(folder / "stead.yaml", home.path / "stead.yaml")
        await alices_data(home, tenant.issuer)
        finport = await asyncio.to_thread(start_network, home.path)
        try:
            yield Elsewhere(tenant.issuer, finport), tenant
        finally:
            await asyncio.to_thread(stop_network, finport)


def chain_of(hop: dict[str, Any], names: dict[str, str]) -> list[str]:
    """The actors of a hop, newest first, by the names that we know them by."""
    chain, actor = [], hop["act"]
    while actor:
        chain.append(names[actor["sub"]])
        actor = actor.get("act")
    return chain


async def paid(tab: Tab, elsewhere: Elsewhere) -> list[tuple[str]]:
    task = await tab.ask("Transfer 4 EUR to Bob's savings", "TASK_STATE_AUTH_REQUIRED")
    link = re.search(r'"link": "([^"]+)"', json.dumps(task))
    assert link, task
    page = await tab.authorize(link[1])
    done = await tab.until(task["id"], *ENDED)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED", page.words()
    with closing(sqlite3.connect(elsewhere.finport.home.database("payments-mcp"))) as database:
        return database.execute("SELECT amount FROM payments").fetchall()


async def test_a_network_on_entra_keeps_the_person_the_whole_chain_and_pays_once(tmp_path: Path) -> None:
    async with network(tmp_path, "finport-customer") as (elsewhere, tenant):
        names = {one["appId"]: name.removeprefix("finport-") for name, one in tenant.directory.applications.items()}
        async with signed_in(elsewhere, "alice") as tab:
            mine = await tab.ask("Show my portfolio")
            hops = await tab.trail(mine["id"], 3)
            market = await tab.ask("How will AAPL trend?")
            nobodys = await tab.trail(market["id"], 3)
            refused = await tab.ask("Transfer 4 EUR to Bob's savings")
            tenant.member_of |= {"finport-payer"}
            assert await paid(tab, elsewhere) == [("4.00",)]
    assert mine["status"]["state"] == market["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [(hop["caller"], hop["grant"], hop["sub"], chain_of(hop, names)) for hop in hops] == [
        ("finport-web", "login", ALICE, []),
        ("broker", "obo", ALICE, ["broker"]),
        ("portfolio-agent", "obo", ALICE, ["portfolio-agent", "broker"]),
    ]
    assert hops[2]["chain_from"] == "receipts"
    assert {hop["grant"] for hop in nobodys if hop["caller"] == "market-data-agent"} == {"s2s"}
    assert refused["status"]["state"] == "TASK_STATE_REJECTED"
    assert "transfer:create" in json.dumps(refused["status"])
