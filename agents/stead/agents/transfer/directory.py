"""Whom a person may pay, and who that person is at the bank. Both are the company's knowledge, never a caller's.

Payees are known by the aliases that their owner gave them; there is no payment to a free-text account.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home
from stead.identity.samples import ALICE, ALICE_BROKERAGE, BOB, CAROL, PERSONS
from stead.identity.settings import Settings

_TABLES = (
    "CREATE TABLE IF NOT EXISTS payees (issuer TEXT NOT NULL, subject TEXT NOT NULL, alias TEXT NOT NULL,"
    " name TEXT NOT NULL, iban TEXT NOT NULL, PRIMARY KEY (issuer, subject, alias)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS links (issuer TEXT NOT NULL, subject TEXT NOT NULL, provider TEXT NOT NULL,"
    " provider_subject TEXT NOT NULL, PRIMARY KEY (issuer, subject, provider),"
    " UNIQUE (provider, provider_subject)) STRICT, WITHOUT ROWID",
)
_NOISE = re.compile(r"['’]s?\b|[^\w\s]")
_FILLERS = frozenset({"my", "the", "to", "account"})


@dataclass(frozen=True, slots=True)
class Payee:
    """Somebody who may be paid: what their payer calls them, whose account it is, and which."""

    alias: str
    name: str
    iban: str


_BOB = Payee("Bob's savings", BOB.name, BOB.accounts[0].iban)
_PAYEES = {
    ALICE.username: (
        _BOB,
        Payee("Carol", CAROL.name, CAROL.accounts[0].iban),
        Payee("my brokerage account", ALICE.name, ALICE_BROKERAGE),
    ),
    CAROL.username: (Payee("Alice", ALICE.name, ALICE.accounts[0].iban), _BOB),
}


class Directory:
    """Payees and account links, in a SQLite file of the agent's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            for table in _TABLES:
                database.execute(table)

    @classmethod
    def of(cls, home: Home) -> "Directory":
        """The directory in a state directory, with the samples of its network; what is there already stays."""
        directory, network = cls(home.database("transfer-directory")), home.network
        settings = Settings.load(home)
        company, bank = settings.issuer or network.corporate_idp, settings.bank or network.bank_idp
        with directory._open() as database:
            database.executemany(
                "INSERT OR IGNORE INTO payees VALUES (?, ?, ?, ?, ?)",
                [
                    (company, payer, one.alias, one.name, one.iban)
                    for payer, payees in _PAYEES.items()
                    for one in payees
                ],
            )
            database.executemany(
                "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
                [(company, person.username, bank, person.bank_subject) for person in PERSONS if person.bank_subject],
            )
        return directory

    def payee(self, issuer: str, subject: str, alias: str) -> Payee:
        """The person's payee of that alias, however it is spelled. Raises `InvalidRequest` naming those there are."""
        known = self.payees(issuer, subject)
        wanted = spelling(alias)
        found = [one for one in known if spelling(one.alias) == wanted]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"“{one.alias}”" for one in known)
        raise InvalidRequest(
            f"There is no payee “{alias[:70]}”.", hint=f"Payees: {names}." if names else "No payees are set up."
        )

    def payees(self, issuer: str, subject: str) -> list[Payee]:
        """Everybody this person may pay."""
        with self._open() as database:
            rows = database.execute(
                "SELECT alias, name, iban FROM payees WHERE issuer = ? AND subject = ? ORDER BY alias",
                (issuer, subject),
            ).fetchall()
        return [Payee(*row) for row in rows]

    def put(self, issuer: str, subject: str, payee: Payee) -> None:
        """Adds a payee, or changes the one of that alias."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO payees VALUES (?, ?, ?, ?, ?)",
                (issuer, subject, payee.alias, payee.name, payee.iban),
            )

    def remove(self, issuer: str, subject: str, alias: str) -> None:
        """Takes the payee of that alias out."""
        with self._open() as database:
            database.execute(
                "DELETE FROM payees WHERE issuer = ? AND subject = ? AND alias = ?", (issuer, subject, alias)
            )

    def linked(self, issuer: str, subject: str, provider: str) -> str | None:
        """Who this person is at `provider`."""
        with self._open() as database:
            row = database.execute(
                "SELECT provider_subject FROM links WHERE issuer = ? AND subject = ? AND provider = ?",
                (issuer, subject, provider),
            ).fetchone()
        return None if row is None else str(row[0])

    def link(self, issuer: str, subject: str, provider: str, provider_subject: str) -> None:
        """Notes who a person is at a provider. Raises `ConfigurationError` when somebody else is that already."""
        try:
            with self._open() as database:
                database.execute(
                    "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?)", (issuer, subject, provider, provider_subject)
                )
        except sqlite3.IntegrityError:
            raise ConfigurationError("That login belongs to somebody else already.") from None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            yield database


def spelling(alias: str) -> tuple[str, ...]:
    """An alias without case, possessives and filler: “to Bobs Savings account” is “Bob's savings”."""
    words = _NOISE.sub("", alias.casefold()).split()
    return tuple(word.removesuffix("s") for word in words if word not in _FILLERS) or tuple(words)
