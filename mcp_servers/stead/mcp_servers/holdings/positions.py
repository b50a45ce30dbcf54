"""Positions in SQLite, each belonging to one person: issuer and subject. There is no query that spans two."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stead.mcp_servers.kit.database import Database
from stead.mcp_servers.samples import SECURITIES

_TABLE = """
CREATE TABLE IF NOT EXISTS positions (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    symbol TEXT NOT NULL,
    name TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (issuer, subject, symbol)
) STRICT, WITHOUT ROWID
"""

_SAMPLES: Mapping[str, Mapping[str, str]] = {
    "alice": {"AAPL": "40", "MSFT": "25", "SAP": "60", "NVDA": "30", "NESN": "80"},
    "bob": {"AAPL": "12", "MSFT": "8", "ASML": "5", "SHEL": "150"},
    "carol": {"AAPL": "55", "MSFT": "18", "SIE": "40", "GOOGL": "22.5", "AIR": "35", "JPM": "10"},
}


class Custody:
    """Who holds what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def positions(self, issuer: str, subject: str) -> list[Mapping[str, Any]]:
        """The positions of one person, by symbol; empty for somebody unknown."""
        return await self._database.read(lambda connection: _select(connection, issuer, subject))


def seeded(path: Path, issuer: str) -> Custody:
    """Custody with the sample customers of `issuer`; what is there already stays as it is."""

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute(_TABLE)
        connection.executemany("INSERT OR IGNORE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?)", _samples(issuer))

    return Custody(Database(path, prepare))


def _select(connection: sqlite3.Connection, issuer: str, subject: str) -> list[Mapping[str, Any]]:
    rows = connection.execute(
        "SELECT symbol, name, quantity, price, currency FROM positions"
        " WHERE issuer = ? AND subject = ? ORDER BY symbol",
        (issuer, subject),
    )
    return [dict(row) for row in rows]


def _samples(issuer: str) -> Iterable[tuple[str, ...]]:
    for subject, quantities in _SAMPLES.items():
        for symbol, quantity in quantities.items():
            security = SECURITIES[symbol]
            yield issuer, subject, symbol, security.name, quantity, str(security.price), security.currency
