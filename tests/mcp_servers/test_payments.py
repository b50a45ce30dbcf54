"""A payment happens exactly as approved, once; every variation of it is an attack and moves nothing."""

import asyncio
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from joserfc.jwk import ECKey

from stead.identity.samples import ALICE, BOB, CAROL
from stead.identity.types import ASGIApp
from stead.identity.values import AccessToken, BoundToken
from stead.identity.workload import Workload
from stead.mcp_servers.payments.ledger import Ledger, seeded
from stead.mcp_servers.payments.server import payments_server
from tests.mcp_servers.world import LEGACY, MODERN, Peer, World, reason, structured

CHECKING, SAVINGS = (account.iban for account in ALICE.accounts)
PAYEE = BOB.accounts[0].iban
AGENT_KEY = ECKey.generate_key("P-256")
ORDER = {
    "end_to_end_id": "e2e-00000001",
    "amount": "250.00",
    "currency": "EUR",
    "creditor_name": "Bob Lindqvist",
    "creditor_iban": PAYEE,
    "debtor_iban": CHECKING,
    "remittance": "Rent",
}


class Bank:
    """The payments server under test, its ledger, and the bank's tokens for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger: Ledger
        self.peer: Peer

    def app(self, workload: Workload) -> ASGIApp:
        self.ledger = seeded(workload.home.database("payments-mcp"))
        return payments_server(self.ledger).app(workload)

    def approved(self, order: Mapping[str, str], **changed: Any) -> dict[str, Any]:
        details = {
            "type": "payment_initiation",
            "actions": ["initiate"],
            "locations": [self.peer.url],
            "instructedAmount": {"currency": order["currency"], "amount": order["amount"]},
            "creditorName": order["creditor_name"],
            "creditorAccount": {"iban": order["creditor_iban"]},
            "debtorAccount": {"iban": order["debtor_iban"]},
            "endToEndId": order["end_to_end_id"],
            "remittanceInformationUnstructured": order["remittance"],
        }
        return {**details, **changed}

    def token(self, *details: Mapping[str, Any], **claims: Any) -> AccessToken:
        """Bound to the agent's key, as the bank makes them."""
        whole = {
            "sub": "nb-1001",
            "aud": self.peer.url,
            "client_id": "transfer-agent",
            "scope": "payments",
            "consent_id": f"consent-{secrets.token_hex(4)}",
            "authorization_details": list(details or (self.approved(ORDER),)),
            "cnf": {"jkt": AGENT_KEY.thumbprint()},
        }
        return BoundToken(self.world.bank.sign({**whole, **claims}), AGENT_KEY)

    async def pay(self, token: str | AccessToken, order: Mapping[str, Any] = ORDER, **options: Any) -> Any:
        return await self.peer.call("execute_payment", order, token=token, **options)

    async def assert_nothing_moved(self) -> None:
        assert await self.ledger.payments() == 0
        assert await self.ledger.balance(CHECKING) == Decimal("12480.00")


@pytest.fixture
async def bank(world: World) -> Bank:
    bank = Bank(world)
    bank.peer = await world.start("payments-mcp", bank.app)
    return bank


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_an_approved_payment_moves_the_money_once(bank: Bank, era: str) -> None:
    token = bank.token(consent_id="consent-1")
    executed = structured(await bank.pay(token, era=era))
    assert {**ORDER, **executed} == {**ORDER, **executed, "status": "executed", "consent_id": "consent-1"}
    assert structured(await bank.pay(token, era=era)) == executed
    assert await bank.ledger.balance(CHECKING) == Decimal("12230.00")
    assert await bank.ledger.balance(PAYEE) == Decimal("3400.00")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "250.01"},
        {"amount": "2500.00"},
        {"amount": "250.0"},
        {"amount": "250"},
        {"amount": "2.5e2"},
        {"amount": 250.00},
        {"currency": "USD"},
        {"currency": "eur"},
        {"creditor_name": "Bob Lindquist"},
        {"creditor_name": "bob lindqvist"},
        {"creditor_iban": CAROL.accounts[0].iban},
        {"creditor_iban": PAYEE.lower()},
        {"creditor_iban": f"{PAYEE[:4]} {PAYEE[4:]}"},
        {"debtor_iban": SAVINGS},
        {"debtor_iban": CAROL.accounts[0].iban},
        {"end_to_end_id": "e2e-00000002"},
        {"remittance": "Rent "},
        {"remittance": ""},
        {"second": dict(ORDER)},
    ],
    ids=str,
)
async def test_a_call_that_differs_from_the_approval_is_out_of_scope(bank: Bank, change: dict[str, Any]) -> None:
    response = await bank.pay(bank.token(), {**ORDER, **change})
    assert response.status_code == 403
    assert reason(response) == "out_of_scope"
    await bank.assert_nothing_moved()


@pytest.mark.parametrize("missing", sorted(ORDER))
async def test_a_call_that_leaves_a_member_out_moves_nothing(bank: Bank, missing: str) -> None:
    response = await bank.pay(bank.token(), {name: value for name, value in ORDER.items() if name != missing})
    assert response.status_code == 403
    await bank.assert_nothing_moved()


@pytest.mark.parametrize(
    "tampered",
    [
        {"type": "account_information"},
        {"actions": ["initiate", "cancel"]},
        {"locations": ["http://127.0.0.1:1"]},
        {"instructedAmount": {"currency": "EUR", "amount": "250.00", "max": "9999.00"}},
        {"debtorAccount": {"iban": CHECKING, "bic": "NBNKDEFF"}},
        {"expires": "2020-01-01T00:00:00Z"},
        {"frequency": "monthly"},
    ],
    ids=str,
)
async def test_an_approval_with_a_member_that_was_not_called_for_is_refused(
    bank: Bank, tampered: dict[str, Any]
) -> None:
    response = await bank.pay(bank.token(bank.approved(ORDER, **tampered)))
    assert response.status_code == 403
    assert reason(response) == "out_of_scope"
    await bank.assert_nothing_moved()


async def test_an_approval_for_two_payments_is_refused(bank: Bank) -> None:
    response = await bank.pay(bank.token(bank.approved(ORDER), bank.approved(ORDER, endToEndId="e2e-00000002")))
    assert reason(response) == "out_of_scope"
    await bank.assert_nothing_moved()


async def test_an_approved_payment_from_somebody_elses_account_is_refused(bank: Bank) -> None:
    order = {**ORDER, "debtor_iban": CAROL.accounts[0].iban}
    response = await bank.pay(bank.token(bank.approved(order)), order)
    assert reason(response) == "out_of_scope"
    await bank.assert_nothing_moved()


async def test_a_replayed_approval_with_a_new_payment_id_is_refused(bank: Bank) -> None:
    structured(await bank.pay(bank.token(consent_id="consent-1")))
    again = {**ORDER, "end_to_end_id": "e2e-00000002"}
    response = await bank.pay(bank.token(bank.approved(again), consent_id="consent-1"), again)
    assert reason(response) == "out_of_scope"
    assert await bank.ledger.payments() == 1


async def test_a_renewed_token_of_the_same_approval_returns_the_first_outcome(bank: Bank) -> None:
    first = structured(await bank.pay(bank.token(consent_id="consent-1")))
    assert structured(await bank.pay(bank.token(consent_id="consent-1"))) == first
    assert await bank.ledger.payments() == 1


async def test_parallel_double_spend_debits_once(bank: Bank) -> None:
    token = bank.token()
    responses = await asyncio.gather(*(bank.pay(token, era=(MODERN, LEGACY)[n % 2]) for n in range(20)))
    assert len({structured(response)["payment_id"] for response in responses}) == 1
    assert await bank.ledger.balance(CHECKING) == Decimal("12230.00")


async def test_insufficient_funds_are_refused_with_a_way_out(bank: Bank) -> None:
    order = {**ORDER, "amount": "99999.00"}
    response = await bank.pay(bank.token(bank.approved(order)), order)
    assert reason(response) == "access_denied"
    assert "not enough money" in response.json()["error"]["message"]
    await bank.assert_nothing_moved()


async def test_a_corporate_token_is_refused(bank: Bank) -> None:
    claims = {"sub": "alice", "aud": bank.peer.url, "client_id": "transfer-agent", "scope": "payments"}
    token = bank.world.corporate.sign({**claims, "authorization_details": [bank.approved(ORDER)]})
    assert (await bank.pay(token)).status_code == 401
    await bank.assert_nothing_moved()


@pytest.mark.parametrize("client", ["portfolio-agent", "finport-web", "Transfer-Agent"])
async def test_another_clients_token_is_refused(bank: Bank, client: str) -> None:
    response = await bank.pay(bank.token(client_id=client))
    assert response.status_code == 403
    assert reason(response) == "access_denied"
    await bank.assert_nothing_moved()


@pytest.mark.parametrize(
    "claims", [{"authorization_details": None}, {"scope": "openid"}, {"authorization_details": []}]
)
async def test_a_bank_token_without_an_approval_or_scope_is_refused(bank: Bank, claims: dict[str, Any]) -> None:
    present = {name: value for name, value in claims.items() if value is not None}
    base = {"sub": "nb-1001", "aud": bank.peer.url, "client_id": "transfer-agent", "scope": "payments"}
    token = bank.world.bank.sign({**base, **present})
    assert (await bank.pay(token)).status_code in {401, 403}
    await bank.assert_nothing_moved()


async def test_another_tool_cannot_be_called_with_the_payment_token(bank: Bank) -> None:
    for tool in ("execute_payments", "Execute_Payment", "refund", "payments.execute_payment"):
        response = await bank.peer.call(tool, ORDER, token=bank.token())
        assert "result" not in response.json()
    await bank.assert_nothing_moved()


async def test_the_decision_is_in_the_audit_before_the_money_moves(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    execute = bank.ledger.execute

    async def watched(*arguments: Any) -> Any:
        events = await bank.peer.journaled(settle=False)
        seen.append(any(event["kind"] == "ingress" and event["decision"] == "allow" for event in events))
        return await execute(*arguments)

    monkeypatch.setattr(bank.ledger, "execute", watched)
    structured(await bank.pay(bank.token(consent_id="consent-1")))
    assert seen == [True]


async def test_the_metadata_names_the_bank_alone(bank: Bank) -> None:
    metadata = (await bank.peer.client.get("/.well-known/oauth-protected-resource")).json()
    assert metadata["authorization_servers"] == [bank.world.bank.url]
    said = {"grant": "in-task", "scopes": ["payments"], "effects": True, "bound": True}
    assert metadata["stead_tools"]["execute_payment"] == said
