"""FinPort's sample people and accounts: the one place they are written down.

Invented persons, invented bank, invented numbers; the IBAN check digits are computed, so that they are valid.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from decimal import Decimal

from stead.identity.home import Home


def iban(country: str, bban: str) -> str:
    """An IBAN with its check digits (ISO 13616, modulo 97)."""
    digits = "".join(str(int(letter, 36)) for letter in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account at the sample bank: what the bank's identity provider and its payments service both know."""

    iban: str
    name: str
    balance: Decimal
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Person:
    """A sample person: a login at the company, and perhaps one at the bank."""

    username: str
    name: str
    roles: tuple[str, ...]
    transfer_limit: Decimal | None = None
    bank_subject: str | None = None
    accounts: tuple[Account, ...] = field(default=())

    @property
    def password(self) -> str:
        """The development password at the company."""
        return f"{self.username}-demo"

    @property
    def bank_password(self) -> str:
        """The development password at the bank."""
        return f"{self.username}-bank"


def _account(number: str, name: str, balance: str) -> Account:
    return Account(iban("DE", f"10010000{number}"), name, Decimal(balance))


ALICE = Person(
    "alice",
    "Alice Moreau",
    ("customer", "payer"),
    bank_subject="nb-1001",
    accounts=(_account("0000100101", "Checking", "12480.00"), _account("0000100102", "Savings", "40000.00")),
)
BOB = Person(
    "bob",
    "Bob Lindqvist",
    ("customer",),
    bank_subject="nb-1002",
    accounts=(_account("0000200201", "Savings", "3150.00"),),
)
CAROL = Person(
    "carol",
    "Carol Adeyemi",
    ("customer", "payer"),
    transfer_limit=Decimal("1000.00"),
    bank_subject="nb-1003",
    accounts=(_account("0000300301", "Checking", "8900.00"),),
)
ADMIN = Person("admin", "Ada Okafor", ("registry-admin", "obo-admin", "auditor"))

PERSONS = (ALICE, BOB, CAROL, ADMIN)
ALICE_BROKERAGE = iban("DE", "200200000000990001")
BANK_NAME = "Northbank"


def authenticator(person: Person, home: Home) -> bytes:
    """The secret of the person's one-time codes at the company: the same in one state directory, another elsewhere."""
    return hmac.digest(home.secret("sample-authenticators"), person.username.encode(), hashlib.sha256)[:20]
