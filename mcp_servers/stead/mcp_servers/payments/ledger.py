"""Accounts, balances and payments in SQLite. A payment is one transaction, or it did not happen. Knows no token."""

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import AccessDenied, OutOfScope
from stead.identity.samples import PERSONS
from stead.mcp_servers.kit.database import Database
from stead.mcp_servers.payments.order import Order

_TABLES = (
    "CREATE TABLE IF NOT EXISTS accounts (iban TEXT PRIMARY KEY, subject TEXT NOT NULL, holder TEXT NOT NULL,"
    " name TEXT NOT NULL, currency TEXT NOT NULL, cents INTEGER NOT NULL CHECK (cents >= 0)) STRICT",
    "CREATE TABLE IF NOT EXISTS payments (payment_id TEXT PRIMARY KEY, subject TEXT NOT NULL,"
    " end_to_end_id TEXT NOT NULL UNIQUE, consent TEXT NOT NULL UNIQUE, amount TEXT NOT NULL, currency TEXT NOT NULL,"
    " creditor_name TEXT NOT NULL, creditor_iban TEXT NOT NULL, debtor_iban TEXT NOT NULL, remittance TEXT NOT NULL,"
    " executed_at REAL NOT NULL) STRICT",
)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that happened."""

    payment_id: str
    subject: str
    consent: str
    order: Order
    executed_at: float


class Ledger:
    """The one place where money moves."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def execute(self, order: Order, subject: str, consent: str) -> Payment:
        """Debits, credits and records, at most once for each consent and each end-to-end id.

        The same order again gives the first payment. Raises `OutOfScope` when the consent or the id was spent on
        another one, or the account is not the subject's; `AccessDenied` when there is not enough money.
        """
        return await self._database.write(
            lambda connection: (
                _known(connection, order, subject) or _pay(connection, order, subject, consent, self._clock())
            )
        )

    async def balance(self, iban: str) -> Decimal:
        """What lies on an account of this bank. Raises `OutOfScope` when it is not one."""
        return await self._database.read(lambda connection: Decimal(_account(connection, iban)["cents"]) / 100)

    async def payments(self) -> int:
        """How many payments there were."""
        count = "SELECT count(*) FROM payments"
        return await self._database.read(lambda connection: int(connection.execute(count).fetchone()[0]))


def seeded(path: Path, clock: Clock = system_clock) -> Ledger:
    """The ledger with the sample accounts; what is there already stays as it is."""
    return Ledger(Database(path, _prepare), clock)


def _known(connection: sqlite3.Connection, order: Order, subject: str) -> Payment | None:
    """The first outcome of the same order. An id that was used for anything else is refused."""
    row = connection.execute("SELECT * FROM payments WHERE end_to_end_id = ?", (order.end_to_end_id,)).fetchone()
    if row is None:
        return None
    payment = _payment(row)
    if payment.subject != subject or payment.order != order:
        raise OutOfScope("This payment id was used for another payment.", hint="Nothing was paid a second time.")
    return payment


def _pay(connection: sqlite3.Connection, order: Order, subject: str, consent: str, now: float) -> Payment:
    if connection.execute("SELECT 1 FROM payments WHERE consent = ?", (consent,)).fetchone():
        raise OutOfScope("This approval was already used.", hint="One approval is one payment: approve a new one.")
    _debit(connection, order, subject)
    _credit(connection, order)
    payment = Payment(f"pay-{secrets.token_hex(8)}", subject, consent, order, now)
    connection.execute(
        "INSERT INTO payments VALUES (:payment_id, :subject, :end_to_end_id, :consent, :amount, :currency,"
        " :creditor_name, :creditor_iban, :debtor_iban, :remittance, :executed_at)",
        {
            **asdict(order),
            "payment_id": payment.payment_id,
            "subject": subject,
            "consent": consent,
            "executed_at": now,
        },
    )
    return payment


def _debit(connection: sqlite3.Connection, order: Order, subject: str) -> None:
    account = _account(connection, order.debtor_iban)
    if account["subject"] != subject:
        raise OutOfScope("The account to pay from is not the payer's.")
    if account["currency"] != order.currency or order.creditor_iban == order.debtor_iban:
        raise OutOfScope("The account to pay from does not fit this payment.")
    if account["cents"] < order.cents:
        raise AccessDenied(
            f"There is not enough money on the account {account['name']} for {order.amount} {order.currency}.",
            hint="Nothing was paid. Choose another account, or a smaller amount.",
        )
    connection.execute("UPDATE accounts SET cents = cents - ? WHERE iban = ?", (order.cents, order.debtor_iban))


def _credit(connection: sqlite3.Connection, order: Order) -> None:
    """Credits a payee of this bank. Another bank is paid by the clearing, which is not part of the sample."""
    payee = connection.execute("SELECT currency FROM accounts WHERE iban = ?", (order.creditor_iban,)).fetchone()
    if payee is not None and payee["currency"] != order.currency:
        raise OutOfScope("The payee's account is in another currency.", hint="Nothing was paid.")
    connection.execute("UPDATE accounts SET cents = cents + ? WHERE iban = ?", (order.cents, order.creditor_iban))


def _account(connection: sqlite3.Connection, iban: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM accounts WHERE iban = ?", (iban,)).fetchone()
    if row is None:
        raise OutOfScope("The account to pay from is not at this bank.")
    return row


def _payment(row: sqlite3.Row) -> Payment:
    order = Order(**{name: row[name] for name in Order.__dataclass_fields__})
    return Payment(row["payment_id"], row["subject"], row["consent"], order, row["executed_at"])


def _prepare(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(table)
    connection.executemany("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?, ?, ?)", _samples())


def _samples() -> Iterable[tuple[str, str, str, str, str, int]]:
    for person in PERSONS:
        for each in person.accounts:
            yield each.iban, str(person.bank_subject), person.name, each.name, each.currency, int(each.balance * 100)
