"""A transfer that is approved at a bank which is not ours, npm's oidc-provider: by `stead.yaml` alone."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml
from joserfc.jwk import ECKey

from stead.demo.network.addresses import network_of
from stead.identity.home import Home, public_jwk
from stead.identity.samples import ALICE, BOB
from tests.journeys.finport import start_network, stop_network
from tests.providers.conftest import Elsewhere
from tests.providers.oidc_provider import available, free_issuer, oidc_provider, walk
from tests.providers.tab import ENDED, signed_in

pytestmark = [
    pytest.mark.skipif(not available(), reason="oidc-provider is not installed: run `make test`"),
    pytest.mark.timeout(120),
]
PARKED = "TASK_STATE_AUTH_REQUIRED"


@dataclass
class Abroad(Elsewhere):
    """A network whose bank is somebody else's. `issuer` is where people sign in, `bank` where they approve."""

    bank: str = ""


@pytest.fixture(scope="module")
async def abroad(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Abroad]:
    folder = tmp_path_factory.mktemp("bank")
    home, bank = Home(folder / "home"), free_issuer("127.0.0.14")
    network = network_of(home)
    key = ECKey.generate_key("P-256", {"kid": "bank-1", "alg": "ES256", "use": "sig"})
    told = {
        "issuer": bank,
        "keys": {"keys": [key.as_dict(private=True)]},
        "client_id": "transfer-agent",
        "jwks": {"keys": [public_jwk(home.key("transfer-agent"))]},
        "redirect_uri": f"{network.agents['transfer']}/callback",
        "resource": network.mcp_servers["payments"],
        "accounts": {str(ALICE.bank_subject): ALICE.accounts[0].iban, str(BOB.bank_subject): BOB.accounts[0].iban},
    }
    (home.path / "stead.yaml").write_text(yaml.safe_dump({"bank": bank}))
    async with oidc_provider("bank.mjs", told, folder / "bank.log"):
        finport = start_network(home.path)
        try:
            yield Abroad(network.corporate_idp, finport, bank)
        finally:
            stop_network(finport)


def link_of(task: dict[str, Any]) -> str:
    found = re.search(r'"link": "([^"]+)"', json.dumps(task))
    assert found, task
    return found[1]


def paid(home: Home) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(home.database("payments-mcp"))) as database:
        return database.execute("SELECT amount, debtor_iban FROM payments").fetchall()


async def test_a_transfer_is_approved_at_a_foreign_bank_and_paid_once(abroad: Abroad) -> None:
    async with signed_in(abroad, "alice") as tab:
        task = await tab.ask("Transfer 4 EUR to Bob's savings", PARKED)
        await walk(tab.http, link_of(task), str(ALICE.bank_subject))
        done = await tab.until(task["id"], *ENDED)
        hops = await tab.trail(task["id"], 3)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED", json.dumps(done["status"])
    assert paid(abroad.finport.home) == [("4.00", ALICE.accounts[0].iban)]
    (payment,) = [hop for hop in hops if hop["resource"] == "payments.execute_payment"]
    assert (payment["grant"], payment["iss"], payment["sub"]) == ("in-task", abroad.bank, ALICE.bank_subject)


async def test_another_customer_of_the_foreign_bank_approves_nothing_for_alice(abroad: Abroad) -> None:
    before = paid(abroad.finport.home)
    async with signed_in(abroad, "alice") as tab:
        task = await tab.ask("Transfer 5 EUR to Bob's savings", PARKED)
        page = await walk(tab.http, link_of(task), str(BOB.bank_subject))
        still = await tab.until(task["id"], PARKED)
    assert still["status"]["state"] == PARKED, page.text
    assert paid(abroad.finport.home) == before


async def test_the_foreign_banks_tokens_open_nothing_but_payments(abroad: Abroad) -> None:
    """It is trusted where it approves, and by no other service."""
    async with httpx.AsyncClient(trust_env=False) as http:
        for name in ("broker", "agents.portfolio", "mcp_servers.holdings"):
            group, _, inner = name.partition(".")
            network: Any = abroad.finport.home.network
            url = getattr(network, group)[inner] if inner else getattr(network, group)
            told = (await http.get(f"{url}/.well-known/oauth-protected-resource")).json()
            assert told["authorization_servers"] == [abroad.issuer]
        payments = abroad.finport.home.network.mcp_servers["payments"]
        told = (await http.get(f"{payments}/.well-known/oauth-protected-resource")).json()
    assert told["authorization_servers"] == [abroad.bank]
