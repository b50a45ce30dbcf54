"""Money moves once, whole, and only from the payer's own account."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stead.identity.errors import AccessDenied, OutOfScope
from stead.identity.samples import ALICE, BOB, CAROL
from stead.mcp_servers.payments.ledger import Ledger, seeded
from stead.mcp_servers.payments.order import Order

CHECKING, SAVINGS = (account.iban for account in ALICE.accounts)
PAYEE = BOB.accounts[0].iban
ORDER = Order("e2e-00000001", "250.00", "EUR", "Bob Lindqvist", PAYEE, CHECKING)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return seeded(tmp_path / "payments.db", clock=lambda: 1_800_000_000.0)


async def test_a_payment_debits_the_payer_and_credits_a_payee_of_the_bank(ledger: Ledger) -> None:
    payment = await ledger.execute(ORDER, "nb-1001", "consent-1")
    assert payment.order == ORDER
    assert payment.executed_at == 1_800_000_000.0
    assert await ledger.balance(CHECKING) == Decimal("12230.00")
    assert await ledger.balance(PAYEE) == Decimal("3400.00")


async def test_the_same_order_again_returns_the_first_outcome_and_moves_nothing(ledger: Ledger) -> None:
    first = await ledger.execute(ORDER, "nb-1001", "consent-1")
    assert await ledger.execute(ORDER, "nb-1001", "consent-1") == first
    assert await ledger.execute(ORDER, "nb-1001", "a-renewed-consent") == first
    assert await ledger.balance(CHECKING) == Decimal("12230.00")


@pytest.mark.parametrize("change", [{"amount": "251.00"}, {"creditor_iban": SAVINGS}, {"remittance": "x"}])
async def test_a_spent_payment_id_with_other_details_is_out_of_scope(ledger: Ledger, change: dict[str, str]) -> None:
    await ledger.execute(ORDER, "nb-1001", "consent-1")
    with pytest.raises(OutOfScope):
        await ledger.execute(replace(ORDER, **change), "nb-1001", "consent-2")
    assert await ledger.payments() == 1


async def test_a_spent_consent_does_not_pay_a_second_order(ledger: Ledger) -> None:
    await ledger.execute(ORDER, "nb-1001", "consent-1")
    with pytest.raises(OutOfScope, match="already used"):
        await ledger.execute(replace(ORDER, end_to_end_id="e2e-00000002"), "nb-1001", "consent-1")
    assert await ledger.balance(CHECKING) == Decimal("12230.00")


async def test_parallel_double_spend_by_two_processes_debits_once(ledger: Ledger, tmp_path: Path) -> None:
    other = seeded(tmp_path / "payments.db")
    payments = await asyncio.gather(
        *(each.execute(ORDER, "nb-1001", f"consent-{n % 3}") for n in range(12) for each in (ledger, other))
    )
    assert len({payment.payment_id for payment in payments}) == 1
    assert await other.balance(CHECKING) == Decimal("12230.00")


async def test_parallel_orders_never_overdraw_the_account(ledger: Ledger, tmp_path: Path) -> None:
    other = seeded(tmp_path / "payments.db")
    orders = [replace(ORDER, end_to_end_id=f"e2e-1000000{n}", amount="5000.00") for n in range(6)]
    outcomes = await asyncio.gather(
        *((ledger, other)[n % 2].execute(order, "nb-1001", f"consent-{n}") for n, order in enumerate(orders)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, AccessDenied) for outcome in outcomes) == 4
    assert await ledger.balance(CHECKING) == Decimal("2480.00")
    assert await ledger.balance(PAYEE) == Decimal("13150.00")


async def test_insufficient_funds_are_refused_clearly_and_leave_the_consent_unspent(ledger: Ledger) -> None:
    with pytest.raises(AccessDenied, match="not enough money on the account Checking"):
        await ledger.execute(replace(ORDER, amount="12480.01"), "nb-1001", "consent-1")
    assert await ledger.balance(PAYEE) == Decimal("3150.00")
    await ledger.execute(replace(ORDER, amount="12480.00"), "nb-1001", "consent-1")


@pytest.mark.parametrize(
    "change",
    [
        {"debtor_iban": CAROL.accounts[0].iban},
        {"debtor_iban": "DE00000000000000000000"},
        {"creditor_iban": CHECKING},
        {"currency": "USD"},
    ],
)
async def test_another_account_or_currency_is_refused(ledger: Ledger, change: dict[str, str]) -> None:
    with pytest.raises(OutOfScope):
        await ledger.execute(replace(ORDER, **change), "nb-1001", "consent-1")
    assert await ledger.payments() == 0


async def test_a_restart_keeps_balances_and_payments(ledger: Ledger, tmp_path: Path) -> None:
    first = await ledger.execute(ORDER, "nb-1001", "consent-1")
    restarted = seeded(tmp_path / "payments.db")
    assert await restarted.execute(ORDER, "nb-1001", "consent-1") == first
    assert await restarted.balance(CHECKING) == Decimal("12230.00")


@pytest.mark.parametrize("amount", ["0.00", "-1.00", "1.001", "NaN", "Infinity", "1e400", "ten"])
def test_an_amount_that_is_no_positive_number_of_cents_is_refused(amount: str) -> None:
    with pytest.raises(OutOfScope):
        _ = replace(ORDER, amount=amount).cents
