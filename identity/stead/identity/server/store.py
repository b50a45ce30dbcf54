"""SQLite through SQLAlchemy Core: one connection, used by one worker thread, one transaction for each call.

Whatever a call wrote is kept when it ends in an answer, also when the answer is a refusal: a code that was presented
wrongly stays spent. It is undone only when the call breaks.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, StaticPool, create_engine, delete, event

from stead.identity.server import schema
from stead.identity.server.upgrading import bring_up_to_date

PATIENCE = 5.0
"""Seconds that a call waits for another process that writes, such as one that seeds."""

_EXPIRING = (
    schema.interactions,
    schema.pushed,
    schema.approvals,
    schema.codes,
    schema.refresh_tokens,
    schema.tokens,
    schema.families,
    schema.sessions,
)
_SPENT = (schema.assertions, schema.proofs, schema.guesses, schema.participants, schema.notices)


def digest(credential: str) -> str:
    """How a credential is stored."""
    return hashlib.sha256(credential.encode()).hexdigest()


def fresh(bits: int = 256) -> str:
    """A new unguessable credential or identifier."""
    return secrets.token_urlsafe(bits // 8)


class Store:
    """The issuer's database. Made once for each process; every method belongs to the worker thread."""

    def __init__(self, path: Path) -> None:
        self._engine = _engine(path)
        bring_up_to_date(self._engine)
        self._connection: Connection | None = None
        self.has_news = False
        """Whether somebody has to be told of what was written; whoever sees to that sets it back."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within is kept together, or not at all when it raises."""
        with self._engine.begin() as connection:
            self._connection = connection
            try:
                yield
            finally:
                self._connection = None

    def row(self, statement: Executable, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The first row, or None."""
        found = self._within.execute(statement, values).mappings().first()
        return None if found is None else dict(found)

    def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Every row."""
        return [dict(row) for row in self._within.execute(statement, values).mappings()]

    def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> int:
        """Changes, and how many rows changed."""
        return int(getattr(self._within.execute(statement, values), "rowcount", 0))

    def purge(self, now: float, keep: float) -> None:
        """Forgets what expired `keep` seconds ago; what only marks something as spent, as soon as that expired."""
        for table in _EXPIRING:
            self.run(delete(table).where(table.c.expires < now - keep))
        for table in _SPENT:
            self.run(delete(table).where(table.c.expires < now))

    def close(self) -> None:
        """Ends the connection."""
        self._engine.dispose()

    @property
    def _within(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the store is used outside a transaction")
        return self._connection


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": PATIENCE},
        hide_parameters=True,  # an exception goes into the log, and people's names do not
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
