"""The sample provider: an invented history of 250 trading days, the same on every machine.

Made by a random walk in logarithms, seeded with the symbol: each weekday moves by drift/250 + volatility/sqrt(250) * z,
where z is the sum of twelve uniform draws minus six (mean 0, variance 1). The walk is then scaled so that it ends at
the invented last price. Weekends are left out, holidays are not. It resembles a price and predicts nothing.
"""

import math
import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate, islice
from pathlib import Path

from stead.mcp_servers.kit.database import Database
from stead.mcp_servers.quotes.provider import Bar, Listing
from stead.mcp_servers.samples import AS_OF, LABEL, SECURITIES, Security

TRADING_DAYS = 250

_TABLES = (
    "CREATE TABLE IF NOT EXISTS listings (symbol TEXT PRIMARY KEY, name TEXT NOT NULL, currency TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS bars (symbol TEXT NOT NULL, day TEXT NOT NULL, close TEXT NOT NULL,"
    " PRIMARY KEY (symbol, day)) STRICT, WITHOUT ROWID",
)


class SampleProvider:
    """Reads what the generator wrote. Implements `QuoteProvider`."""

    source = LABEL

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _prepare)

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        """The listings by symbol, without the unknown ones."""
        return await self._database.read(lambda connection: _listings(connection, symbols))

    async def bars(self, symbol: str, days: int) -> Sequence[Bar]:
        """The last `days` bars of a symbol, oldest first."""
        return await self._database.read(lambda connection: _bars(connection, symbol, days))


def history(security: Security) -> list[Bar]:
    """The invented history of a security, oldest first."""
    draw = random.Random(security.symbol)  # noqa: S311  sample data, not a secret
    step, spread = security.drift / TRADING_DAYS, security.volatility / math.sqrt(TRADING_DAYS)
    walk = list(accumulate(step + spread * _normal(draw) for _ in range(TRADING_DAYS)))
    last = float(security.price)
    closes = [Decimal(f"{last * math.exp(level - walk[-1]):.2f}") for level in walk]
    days = sorted(islice(_weekdays_back(AS_OF), TRADING_DAYS))
    return [Bar(day, close) for day, close in zip(days, closes, strict=True)]


def _normal(draw: random.Random) -> float:
    return sum(draw.random() for _ in range(12)) - 6


def _weekdays_back(day: date) -> Iterator[date]:
    while True:
        if day.weekday() < 5:
            yield day
        day -= timedelta(days=1)


def _prepare(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(table)
    if connection.execute("SELECT 1 FROM listings LIMIT 1").fetchone() is None:
        for security in SECURITIES.values():
            _write(connection, security)


def _write(connection: sqlite3.Connection, security: Security) -> None:
    connection.execute("INSERT INTO listings VALUES (?, ?, ?)", (security.symbol, security.name, security.currency))
    rows = [(security.symbol, bar.day.isoformat(), str(bar.close)) for bar in history(security)]
    connection.executemany("INSERT INTO bars VALUES (?, ?, ?)", rows)


def _listings(connection: sqlite3.Connection, symbols: Sequence[str]) -> Mapping[str, Listing]:
    rows = connection.execute("SELECT symbol, name, currency FROM listings").fetchall()
    return {row["symbol"]: Listing(*row) for row in rows if row["symbol"] in symbols}


def _bars(connection: sqlite3.Connection, symbol: str, days: int) -> list[Bar]:
    rows = connection.execute(
        "SELECT day, close FROM bars WHERE symbol = ? ORDER BY day DESC LIMIT ?", (symbol, days)
    ).fetchall()
    return [Bar(date.fromisoformat(row["day"]), Decimal(row["close"])) for row in reversed(rows)]
