"""Sessions and logins under way, in SQLite. Only digests of the cookies are kept, and no token: those are in the vault.

The rows are few and small, so that the calls are short enough to be made from the event loop.
"""

import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from stead.identity.clock import Clock
from stead.identity.sqlite import immediate

LONGEST = 12 * 3600.0
IDLE = 2 * 3600.0
LOGIN_TIME = 600.0
MOST_LOGINS = 2_000
"""Logins under way: anybody may begin one."""
_SEEN_EVERY = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    key TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL,
    ends REAL NOT NULL, seen REAL NOT NULL, sid TEXT, begun REAL NOT NULL DEFAULT 0, sub TEXT
);
CREATE TABLE IF NOT EXISTS logins (key TEXT PRIMARY KEY, ends REAL NOT NULL);
CREATE TABLE IF NOT EXISTS asked (
    session TEXT NOT NULL, message TEXT NOT NULL, task TEXT, open INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (session, message)
);
"""

_Row = tuple[str, str, str, str, float, float, str | None, float, str | None]


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in with one browser. `key` is the digest of the cookie, good for nothing in a browser."""

    key: str
    issuer: str
    subject: str
    name: str
    csrf: str
    sid: str | None = None
    """What the provider calls its own session, by which it may say that it has ended."""
    begun: float = 0.0
    sub: str | None = None
    """What the provider calls the person in what it says of them, where that is not `subject`."""

    @property
    def owner(self) -> str:
        """The person, as `Principal.owner` writes it."""
        return f"{self.issuer}|{self.subject}"

    def continues(self, former: "Session") -> bool:
        """Whether it is the same person's, in the same session of the provider: they were asked for more, say."""
        return self.sid is not None and (self.owner, self.sid) == (former.owner, former.sid)


class Sessions:
    """The store. `secret` makes the request tokens, so that none has to be kept."""

    def __init__(self, path: Path, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)
        self._add_columns()

    def begin_login(self) -> str:
        """The cookie of a browser that goes to the provider; it must come back with it."""
        cookie = secrets.token_urlsafe(32)
        self._database.execute("INSERT INTO logins VALUES (?, ?)", (digest(cookie), self._clock() + LOGIN_TIME))
        return cookie

    def take_login(self, cookie: str) -> bool:
        """Whether this browser began a login that is still good. It is taken: a second callback finds none."""
        row = self._database.execute("DELETE FROM logins WHERE key = ? RETURNING ends", (digest(cookie),)).fetchone()
        return row is not None and row[0] > self._clock()

    def begin(
        self, issuer: str, subject: str, name: str, *, sid: str | None = None, sub: str | None = None
    ) -> tuple[str, Session]:
        """A new session and its cookie: always a new one, whatever the browser held before the login."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        row = (digest(cookie), issuer, subject, name, now + LONGEST, now, sid, now, sub)
        self._database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return cookie, self._session(row)

    def find(self, cookie: str | None) -> Session | None:
        """The session that the cookie opens, unless it is over."""
        if not cookie:
            return None
        session = self.by_key(digest(cookie))
        if session is not None:
            now = self._clock()
            self._database.execute(
                "UPDATE sessions SET seen = ? WHERE key = ? AND seen < ?", (now, session.key, now - _SEEN_EVERY)
            )
        return session

    def by_key(self, key: str) -> Session | None:
        """The session of this digest, unless it is over."""
        row = self._database.execute("SELECT * FROM sessions WHERE key = ?", (key,)).fetchone()
        return None if row is None or self._over(row) else self._session(row)

    def end(self, session: Session) -> None:
        """Signed out: the cookie opens nothing any more."""
        with immediate(self._database):
            self._database.execute("DELETE FROM sessions WHERE key = ?", (session.key,))
            self._database.execute("DELETE FROM asked WHERE session = ?", (session.key,))

    def lapsed_logins(self) -> list[str]:
        """Ends the logins that nobody came back from, and the oldest where strangers begin too many; their digests."""
        rows = self._database.execute(
            "DELETE FROM logins WHERE ends < ? OR key IN"
            " (SELECT key FROM logins ORDER BY ends DESC LIMIT -1 OFFSET ?) RETURNING key",
            (self._clock(), MOST_LOGINS),
        ).fetchall()
        return [row[0] for row in rows]

    def of(self, issuer: str) -> list[Session]:
        """The sessions of people who signed in at that issuer."""
        rows = self._database.execute("SELECT * FROM sessions WHERE issuer = ?", (issuer,)).fetchall()
        return [self._session(row) for row in rows]

    def sweep(self) -> list[Session]:
        """Ends the sessions that are over, and returns them: their secrets must go too."""
        rows = self._database.execute("SELECT * FROM sessions").fetchall()
        over = [self._session(row) for row in rows if self._over(row)]
        for session in over:
            self.end(session)
        return over

    def asking(self, session: Session, message: str) -> bool:
        """Notes that a message is being sent. False when it was before: a double click asks once."""
        row = self._database.execute(
            "INSERT INTO asked (session, message) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING message",
            (session.key, message),
        ).fetchone()
        return row is not None

    def asked(self, session: Session, message: str, task: str) -> None:
        """Notes which task the message became: one to follow until it ends."""
        self._database.execute(
            "UPDATE asked SET task = ?, open = 1 WHERE session = ? AND message = ?", (task, session.key, message)
        )

    def not_asked(self, session: Session, message: str) -> None:
        """Forgets a message that was not delivered, so that it can be sent again."""
        self._database.execute(
            "DELETE FROM asked WHERE session = ? AND message = ? AND task IS NULL", (session.key, message)
        )

    def task_of(self, session: Session, message: str) -> str | None:
        """The task that the message became, if it is known."""
        row = self._database.execute(
            "SELECT task FROM asked WHERE session = ? AND message = ?", (session.key, message)
        ).fetchone()
        return None if row is None else row[0]

    def settled(self, session: Session, task: str) -> None:
        """Notes that a task has ended."""
        self._database.execute("UPDATE asked SET open = 0 WHERE session = ? AND task = ?", (session.key, task))

    def open_tasks(self) -> list[tuple[Session, str]]:
        """The tasks of living sessions that have not ended: what a restarted web goes on following."""
        rows = self._database.execute(
            "SELECT DISTINCT session, task FROM asked WHERE open AND task NOT NULL"
        ).fetchall()
        return [(session, task) for key, task in rows if (session := self.by_key(key)) is not None]

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _add_columns(self) -> None:
        """To a file from before sessions had them."""
        known = {row[1] for row in self._database.execute("PRAGMA table_info(sessions)")}
        for name, kind in (("sid", "TEXT"), ("begun", "REAL NOT NULL DEFAULT 0"), ("sub", "TEXT")):
            if name not in known:
                self._database.execute(f"ALTER TABLE sessions ADD COLUMN {name} {kind}")

    def _over(self, row: _Row) -> bool:
        now = self._clock()
        return row[4] <= now or row[5] + IDLE <= now

    def _session(self, row: _Row) -> Session:
        return Session(*row[:4], csrf=self._csrf(row[0]), sid=row[6], begun=row[7], sub=row[8])

    def _csrf(self, key: str) -> str:
        return hmac.new(self._secret, f"csrf|{key}".encode(), hashlib.sha256).hexdigest()


def digest(cookie: str) -> str:
    """What is kept of a cookie."""
    return hashlib.sha256(cookie.encode()).hexdigest()
