"""One network, one provider after the other: what changes is one file, `stead.yaml`, and nothing else of ours.

Okta, Entra and Auth0 are set up by what `stead idp setup` writes. Keycloak is in `test_keycloak.py`, by the same file.
"""

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from stead.agents.transfer.directory import Directory, Payee
from stead.demo.idp import okta
from stead.demo.idp.demand import demand_of
from stead.demo.network import addresses
from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from stead.identity.samples import ALICE as SAMPLE
from stead.identity.samples import BOB
from stead.identity.settings import FILE, Settings
from stead.mcp_servers.holdings.positions import seeded
from tests.journeys.finport import start_network, stop_network
from tests.parts.vendors.auth0_tenant import PERSON, Auth0Tenant
from tests.parts.vendors.entra import ALICE
from tests.parts.vendors.entra_tenant import EntraTenant
from tests.parts.vendors.okta_org import OktaOrg
from tests.parts.vendors.vendor import serving
from tests.providers.auth0 import applied as applied_to_auth0
from tests.providers.auth0 import written as written_for_auth0
from tests.providers.conftest import Elsewhere
from tests.providers.entra import applied, written
from tests.providers.tab import ENDED, Tab, signed_in
from tests.providers.test_okta_setup import applied as applied_to_okta

pytestmark = pytest.mark.timeout(180)
RULE = """
- id: through-the-broker-and-the-portfolio-agent
  resource: "*"
  when: principal.grant == "obo" && principal.chain != ["portfolio-agent", "broker"]
  outcome: deny
"""
"""A rule of the operator's own that tells workloads by name."""


@dataclass
class Place:
    """A provider that is ready. `may_pay` lets Alice do what she could not before."""

    issuer: str
    subject: str
    may_pay: Callable[[], None] | None = None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Who signs people in is on 127.0.0.1, the only address to which Entra sends a browser without TLS."""
    made = Home(tmp_path_factory.mktemp("swapping") / "home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(addresses._HOSTS, "agents.transfer", "127.0.0.1")
        network_of(made)
    demand_of(made, made.network.corporate_idp)
    made.folder("policies")
    (made.policies / "holdings-mcp.yaml").write_text(RULE)
    return made


@asynccontextmanager
async def at_our_own(home: Home, _: Path) -> AsyncIterator[Place]:
    (home.path / FILE).unlink(missing_ok=True)
    yield Place(home.network.corporate_idp, "alice")


@asynccontextmanager
async def at_okta(home: Home, folder: Path) -> AsyncIterator[Place]:
    org = OktaOrg(login="alice", member_of=frozenset({"lunch-club", "customer"}))
    async with serving(org):
        demand = demand_of(home, org.issuer)
        ended = await applied_to_okta(okta.script_of(demand, org.issuer), org.token_of_admin, folder)
        assert ended == (0, "")
        (home.path / FILE).write_text(yaml.safe_dump(okta.settings_of(demand, org.issuer)))
        yield Place(org.issuer, "alice")


@asynccontextmanager
async def at_entra(home: Home, folder: Path) -> AsyncIterator[Place]:
    tenant = EntraTenant(member_of=frozenset({"lunch-club", "finport-customer"}))

    def may_pay() -> None:
        tenant.member_of |= {"finport-payer"}

    async with serving(tenant):
        written(home, tenant.issuer, folder)
        assert await applied(tenant, folder) == (0, "")
        shutil.copy(folder / FILE, home.path / FILE)
        await alices_data(home, tenant.issuer, ALICE)
        yield Place(tenant.issuer, ALICE, may_pay)


@asynccontextmanager
async def at_auth0(home: Home, folder: Path) -> AsyncIterator[Place]:
    tenant = Auth0Tenant(roles_of=frozenset({"finport-customer"}))

    def may_pay() -> None:
        tenant.roles_of |= {"finport-payer"}

    async with serving(tenant):
        written_for_auth0(home, tenant.issuer, folder)
        assert await applied_to_auth0(tenant, folder) == (0, "")
        shutil.copy(folder / FILE, home.path / FILE)
        await alices_data(home, tenant.issuer, PERSON)
        yield Place(tenant.issuer, PERSON, may_pay)


async def alices_data(home: Home, issuer: str, subject: str) -> None:
    """People are told by ids at Entra and Auth0, so that data of one's own is brought."""
    assert await seeded(home.database("holdings-mcp"), issuer).positions(issuer, "alice")
    with closing(sqlite3.connect(home.database("holdings-mcp"))) as database, database:
        database.execute("UPDATE positions SET subject = ? WHERE subject = 'alice' AND issuer = ?", (subject, issuer))
    directory = Directory(home.database("transfer-directory"))
    directory.put(issuer, subject, Payee("Bob's savings", BOB.name, BOB.accounts[0].iban))
    with closing(sqlite3.connect(home.database("transfer-directory"))) as database, database:
        database.execute("DELETE FROM links WHERE provider_subject = ?", (SAMPLE.bank_subject,))
    directory.link(issuer, subject, home.network.bank_idp, str(SAMPLE.bank_subject))


@asynccontextmanager
async def started(home: Home, issuer: str) -> AsyncIterator[Elsewhere]:
    finport = await asyncio.to_thread(start_network, home.path)
    try:
        yield Elsewhere(issuer, finport)
    finally:
        await asyncio.to_thread(stop_network, finport)


def ours(home: Home) -> Mapping[str, bytes]:
    """What is ours and should stay as it is: addresses, keys, rules."""
    files = [home.path / "network.json", *(home.path / "keys").iterdir(), *home.policies.iterdir()]
    return {str(file.relative_to(home.path)): file.read_bytes() for file in files}


def chain_of(hop: dict[str, Any], home: Home, issuer: str) -> list[str]:
    """The actors of a hop, newest first, by our names."""
    names, chain, actor = Settings.load(home).described(issuer).names, [], hop["act"]
    while actor:
        chain.append(names.get(actor["sub"], actor["sub"]))
        actor = actor.get("act")
    return chain


async def pay(tab: Tab) -> None:
    task = await tab.ask("Transfer 4 EUR to Bob's savings", "TASK_STATE_AUTH_REQUIRED")
    link = re.search(r'"link": "([^"]+)"', json.dumps(task))
    assert link, task
    page = await tab.authorize(link[1])
    done = await tab.until(task["id"], *ENDED)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED", page.words()


def payments(elsewhere: Elsewhere) -> list[tuple[str]]:
    with closing(sqlite3.connect(elsewhere.finport.home.database("payments-mcp"))) as database:
        there = database.execute("SELECT name FROM sqlite_master WHERE name = 'payments'").fetchall()
        return database.execute("SELECT amount FROM payments").fetchall() if there else []


@pytest.mark.parametrize("at", [at_our_own, at_okta, at_entra, at_auth0])
async def test_the_provider_is_swapped_by_one_file(
    at: Callable[[Home, Path], AbstractAsyncContextManager[Place]], home: Home, tmp_path: Path
) -> None:
    before = ours(home)
    async with at(home, tmp_path) as place, started(home, place.issuer) as elsewhere:
        async with signed_in(elsewhere, "alice") as tab:
            mine = await tab.ask("Show my portfolio")
            hops = await tab.trail(mine["id"], 3)
            market = await tab.ask("How will AAPL trend?")
            nobodys = await tab.trail(market["id"], 3)
            if place.may_pay:
                refused = await tab.ask("Transfer 4 EUR to Bob's savings")
                place.may_pay()
                before_paying = payments(elsewhere)
                await pay(tab)
                assert payments(elsewhere) == [*before_paying, ("4.00",)]
                assert refused["status"]["state"] == "TASK_STATE_REJECTED"
                assert "transfer:create" in json.dumps(refused["status"])
        assert mine["status"]["state"] == market["status"]["state"] == "TASK_STATE_COMPLETED", mine
        told = [(hop["caller"], hop["grant"], hop["sub"], chain_of(hop, home, place.issuer)) for hop in hops]
    assert told == [
        ("finport-web", "login", place.subject, []),
        ("broker", "obo", place.subject, ["broker"]),
        ("portfolio-agent", "obo", place.subject, ["portfolio-agent", "broker"]),
    ]
    assert {hop["iss"] for hop in hops} == {place.issuer}
    assert {hop["grant"] for hop in nobodys if hop["caller"] == "market-data-agent"} == {"s2s"}
    assert {name: text for name, text in ours(home).items() if name in before} == before
