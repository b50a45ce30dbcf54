"""What providers told any service of a network: which sessions and people are signed out, as long as tokens may live.

One file in the state directory, into which whoever is told writes, and at which everybody looks each second: so all
hops, replicas and restarts know what one of them heard. Its calls are short enough for the event loop.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from stead.identity.clock import Clock
from stead.identity.signals.revoked import Revoked
from stead.identity.sqlite import immediate

MAX_NAMED = 20_000
"""Of each issuer; beyond that the newest, and a moment stands for the others."""
_PATIENCE = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ended (issuer TEXT NOT NULL, sid TEXT, subject TEXT, at REAL NOT NULL, until REAL NOT NULL);
CREATE INDEX IF NOT EXISTS ended_of ON ended (issuer, at);
CREATE TABLE IF NOT EXISTS heard (message TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What an issuer says is over: one session, or without `sid` all of a person's, as of `at` by its own clock."""

    issuer: str
    at: float
    sid: str | None = None
    subject: str | None = None


class Notebook:
    """The notes of one state directory. Raises `sqlite3.Error` where the file cannot be used."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)

    def hear(self, message: str, ended: Ended, *, until: float, keep: float) -> bool:
        """Writes down what a message says, and its name. False where somebody here heard it before.

        `until` is how long the message could be shown again; what ended is kept for `keep` seconds: as long as a token
        may live that was issued before.
        """
        with immediate(self._database):
            if not self._is_first(message, until):
                return False
            self._write(ended, keep)
            return True

    def note(self, ended: Ended, *, keep: float) -> None:
        """Writes down what ended, for `keep` seconds."""
        with immediate(self._database):
            self._write(ended, keep)

    def _write(self, ended: Ended, keep: float) -> None:
        now = self._clock()
        self._database.execute("DELETE FROM ended WHERE until <= ?", (now,))
        row = (ended.issuer, ended.sid, ended.subject, ended.at, now + keep)
        self._database.execute("INSERT INTO ended VALUES (?, ?, ?, ?, ?)", row)

    def _is_first(self, message: str, until: float) -> bool:
        self._database.execute("DELETE FROM heard WHERE until <= ?", (self._clock(),))
        done = self._database.execute("INSERT INTO heard VALUES (?, ?) ON CONFLICT DO NOTHING", (message, until))
        return done.rowcount == 1

    @property
    def edition(self) -> int:
        """Another number than before, where another process wrote since."""
        found: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return found

    def revoked(self, issuer: str) -> Revoked:
        """What is noted of an issuer."""
        rows: list[tuple[str | None, str | None, float]] = self._database.execute(
            "SELECT sid, subject, at FROM ended WHERE issuer = ? AND until > ? ORDER BY at DESC LIMIT ?",
            (issuer, self._clock(), MAX_NAMED + 1),
        ).fetchall()
        named, oldest_first = rows[:MAX_NAMED], rows[MAX_NAMED - 1 :: -1]
        return Revoked(
            sessions=frozenset(sid for sid, _, _ in named if sid is not None),
            before=rows[-1][2] if len(rows) > MAX_NAMED else None,
            subjects={subject: at for sid, subject, at in oldest_first if subject is not None and sid is None},
            sessionless={subject: at for sid, subject, at in oldest_first if subject is not None and sid is not None},
        )

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
