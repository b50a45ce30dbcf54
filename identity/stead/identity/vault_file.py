"""The SQLite file of a vault: sealed entries, and beside them the data keys that open them, wrapped.

Each (owner, task) has a data key of its own. What a call needs of the wrapping keys it yields (`vault_steps`), outside
every lock and transaction; what it wrote down meanwhile is written only where nothing has changed since.
"""

import hashlib
import hmac
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_older import Older
from stead.identity.vault_steps import DATA_KEY, Steps, Unwrap, Wrap

_NONCE, _REMEMBERED, _MOST_ROTATIONS = 12, 256, 2**31 - 1
_NAMING = b"naming"
"""Where the key lies that turns owner and task into a place; it is wrapped like all others."""

_TABLES = """
CREATE TABLE IF NOT EXISTS data_keys (place BLOB PRIMARY KEY, wrapped_by TEXT NOT NULL, wrapped BLOB NOT NULL)
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    place BLOB NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (place, name)
) WITHOUT ROWID;
"""

Write = Callable[[sqlite3.Connection, bytes, bytes], bool]
"""Writes under a data key, which is given with its place; False where there was nothing to write."""


@dataclass(frozen=True, slots=True)
class _DataKey:
    """A data key in the clear, and how it lies in the file; `made` is the rotation it was made in, if it is new."""

    plain: bytes = field(repr=False)
    wrapped: Wrapped
    made: int | None = None


class VaultFile:
    """The file, for as long as it is open. Safe from any thread; several processes may share it."""

    def __init__(self, path: Path, older: bytes | None) -> None:
        self._lock = threading.Lock()
        self._unwrapped: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()
        _make_private(path)
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            with _typed():
                self._prepare()
                self._older = None if older is None else Older.within(self._database, older)
        except BaseException:
            self._database.close()
            raise

    def put(self, owner: str, task: str, name: str, content: bytes) -> Steps[None]:
        """Keeps an entry, in place of an earlier one."""
        place = yield from self._place(owner, task)
        yield from self._move_older(owner, task, place)
        yield from self._write(place, _sealing(owner, task, {name: content}))

    def replace(self, owner: str, task: str, name: str, content: bytes) -> Steps[bool]:
        """Keeps an entry in place of an earlier one, and not where there is none."""
        place = yield from self._place(owner, task)
        yield from self._move_older(owner, task, place)
        seal = _sealing(owner, task, {name: content})
        if self._row(place, name) is None:
            return False
        return (yield from self._write(place, lambda *at: _has(at[0], place, name) and seal(*at)))

    def get(self, owner: str, task: str, name: str) -> Steps[bytes | None]:
        """An entry, unsealed."""
        place = yield from self._place(owner, task)
        yield from self._move_older(owner, task, place)
        row = self._row(place, name)
        return None if row is None else (yield from self._open(place, row, _bound(owner, task, name)))

    def take(self, owner: str, task: str, name: str) -> Steps[bytes | None]:
        """An entry, unsealed and deleted: to one caller only, of all processes."""
        place = yield from self._place(owner, task)
        yield from self._move_older(owner, task, place)
        row = self._row(place, name)
        if row is None:
            return None
        content = yield from self._open(place, row, _bound(owner, task, name))
        with self.writing() as database:
            gone = database.execute(
                "DELETE FROM entries WHERE place = ? AND name = ? AND sealed = ?", (place, name, row[0])
            )
            _drop_empty(database, place)
        self.settle()
        return content if gone.rowcount == 1 else None

    def forget(self, owner: str, task: str, name: str | None) -> Steps[None]:
        """Deletes the entry, or all of (owner, task); with the last one its data key."""
        place = yield from self._place(owner, task)
        with self.writing() as database:
            if self._older is not None:
                self._older.forget(owner, task, name)
            if name is None:
                database.execute("DELETE FROM entries WHERE place = ?", (place,))
            else:
                database.execute("DELETE FROM entries WHERE place = ? AND name = ?", (place, name))
            _drop_empty(database, place)
        self.settle()

    def begin_rotation(self) -> None:
        """From here on no data key is written that was wrapped before."""
        with self.writing() as database:
            database.execute(f"PRAGMA user_version = {_rotation(database) % _MOST_ROTATIONS + 1}")

    def places(self, *, wrapped_otherwise_than: str) -> list[bytes]:
        """Where the data keys lie that another key wrapped."""
        with self.reading() as database:
            query = "SELECT place FROM data_keys WHERE wrapped_by != ?"
            return [place for (place,) in database.execute(query, (wrapped_otherwise_than,))]

    def rewrap(self, place: bytes, current: str) -> Steps[int]:
        """Wraps one data key by the current key. 0 where it is so already, is gone, or was replaced meanwhile."""
        with self.reading() as database:
            wrapped = _wrapped(database, place)
        if wrapped is None or wrapped.by == current:
            return 0
        plain = yield from self._plain(wrapped, place)
        anew: Wrapped = yield Wrap(plain, place)
        change = "UPDATE data_keys SET wrapped_by = ?, wrapped = ? WHERE place = ? AND wrapped = ?"
        with self.writing() as database:
            return database.execute(change, (anew.by, anew.sealed, place, wrapped.sealed)).rowcount

    def wrapped_by(self) -> dict[str, int]:
        """How many data keys there are, by the wrapping key."""
        with self.reading() as database:
            query = "SELECT wrapped_by, count(*) FROM data_keys GROUP BY wrapped_by ORDER BY wrapped_by"
            return {str(by): int(count) for by, count in database.execute(query)}

    def older(self) -> int:
        """How many entries lie in the form from before there were data keys."""
        with self.reading() as database:
            return Older.count(database)

    def settle(self) -> None:
        """What was deleted or replaced leaves the log too, unless another process is just reading it."""
        with self.reading() as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        with self._lock:
            self._unwrapped.clear()
            self._database.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _typed():
            yield self._database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, across processes, all or nothing."""
        with self._lock, _typed():
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def _prepare(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_TABLES)

    def _place(self, owner: str, task: str) -> Steps[bytes]:
        """The name under which the rows of (owner, task) lie, which tells neither."""
        naming = yield from self._kept(_NAMING)
        if naming is None:
            yield from self._write(_NAMING, lambda *_: True)
            return (yield from self._place(owner, task))
        return hmac.digest(naming.plain, _framed(owner) + _framed(task), "sha256")

    def _row(self, place: bytes, name: str) -> tuple[bytes, str | None, bytes] | None:
        """An entry and the key that opens it, as both were at one moment."""
        query = (
            "SELECT sealed, wrapped_by, wrapped FROM entries LEFT JOIN data_keys USING (place) "
            "WHERE place = ? AND name = ?"
        )
        with self.reading() as database:
            row: tuple[bytes, str | None, bytes] | None = database.execute(query, (place, name)).fetchone()
            return row

    def _open(self, place: bytes, row: tuple[bytes, str | None, bytes], bound: bytes) -> Steps[bytes]:
        sealed, by, wrapped = row
        if by is None:
            raise ConfigurationError("An entry of the vault has lost its key.", hint="Sign in and authorize again.")
        return _unseal((yield from self._plain(Wrapped(by, wrapped), place)), bound, sealed)

    def _write(self, place: bytes, write: Write) -> Steps[bool]:
        """Writes under the data key of a place, which is made if there is none."""
        while True:
            key = (yield from self._kept(place)) or (yield from self._fresh(place))
            with self.writing() as database:
                # Otherwise another process was faster, or the keys were rotated: one of the two has come further.
                if _is_current(database, place, key):
                    wrote = write(database, place, key.plain)
                    if wrote and key.made is not None:
                        row = (place, key.wrapped.by, key.wrapped.sealed)
                        database.execute("INSERT INTO data_keys VALUES (?, ?, ?)", row)
                    return wrote

    def _kept(self, place: bytes) -> Steps[_DataKey | None]:
        """The data key that lies at a place."""
        with self.reading() as database:
            wrapped = _wrapped(database, place)
        return None if wrapped is None else _DataKey((yield from self._plain(wrapped, place)), wrapped)

    def _fresh(self, place: bytes) -> Steps[_DataKey]:
        """A data key that is not kept yet."""
        with self.reading() as database:
            rotation = _rotation(database)
        plain = os.urandom(DATA_KEY)
        wrapped: Wrapped = yield Wrap(plain, place)
        self.remember(wrapped.sealed, place, plain)
        return _DataKey(plain, wrapped, rotation)

    def _plain(self, wrapped: Wrapped, place: bytes) -> Steps[bytes]:
        # By the wrapped bytes, which the database was just asked for: a key that was deleted is remembered in vain.
        known = self.remembered(wrapped.sealed, place)
        if known is None:
            known = yield Unwrap(wrapped, place)
            self.remember(wrapped.sealed, place, known)
        return known

    def remembered(self, sealed: bytes, place: bytes) -> bytes | None:
        """The data key that lies wrapped like this at that place, if it was unwrapped before: elsewhere it is none."""
        with self._lock:
            if (sealed, place) in self._unwrapped:
                self._unwrapped.move_to_end((sealed, place))
            return self._unwrapped.get((sealed, place))

    def remember(self, sealed: bytes, place: bytes, key: bytes) -> None:
        """Remembers an unwrapped data key, in place of those that were longest in no use."""
        with self._lock:
            self._unwrapped[sealed, place] = key
            while len(self._unwrapped) > _REMEMBERED:
                self._unwrapped.popitem(last=False)

    def _move_older(self, owner: str, task: str, place: bytes) -> Steps[None]:
        older = self._older
        if older is None:
            return
        with self.reading():
            there = older.has(owner, task)
        if there:
            yield from self._write(place, _moving(older, owner, task))


def _sealing(owner: str, task: str, contents: dict[str, bytes]) -> Write:
    def seal(database: sqlite3.Connection, place: bytes, key: bytes) -> bool:
        for name, content in contents.items():
            nonce = os.urandom(_NONCE)
            sealed = nonce + AESGCM(key).encrypt(nonce, content, _bound(owner, task, name))
            database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (place, name, sealed))
        return bool(contents)

    return seal


def _moving(older: Older, owner: str, task: str) -> Write:
    def move(database: sqlite3.Connection, place: bytes, key: bytes) -> bool:
        return _sealing(owner, task, dict(older.take(owner, task)))(database, place, key)

    return move


def _is_current(database: sqlite3.Connection, place: bytes, key: _DataKey) -> bool:
    """Whether the key lies at its place as it did; a new one, whether none lies there and no rotation began."""
    kept = _wrapped(database, place)
    if key.made is None:
        return kept == key.wrapped
    return kept is None and _rotation(database) == key.made


def _wrapped(database: sqlite3.Connection, place: bytes) -> Wrapped | None:
    row = database.execute("SELECT wrapped_by, wrapped FROM data_keys WHERE place = ?", (place,)).fetchone()
    return None if row is None else Wrapped(*row)


def _rotation(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _has(database: sqlite3.Connection, place: bytes, name: str) -> bool:
    row = database.execute("SELECT 1 FROM entries WHERE place = ? AND name = ?", (place, name)).fetchone()
    return row is not None


def _drop_empty(database: sqlite3.Connection, place: bytes) -> None:
    """The data key of a place goes with its last entry, so that a copy made later opens none of them."""
    if database.execute("SELECT 1 FROM entries WHERE place = ? LIMIT 1", (place,)).fetchone() is None:
        database.execute("DELETE FROM data_keys WHERE place = ?", (place,))


def _framed(text: str) -> bytes:
    """Hashed, so that no owner ending in a task's beginning can equal another pair."""
    return hashlib.sha256(text.encode()).digest()


def _bound(owner: str, task: str, name: str) -> bytes:
    return b"stead vault entry|" + _framed(owner) + _framed(task) + _framed(name)


def _unseal(key: bytes, bound: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
    except (InvalidTag, ValueError):
        raise ConfigurationError(
            "A secret in the vault cannot be unsealed.", hint="The file was altered; sign in and authorize again."
        ) from None


@contextmanager
def _typed() -> Iterator[None]:
    """What SQLite says of its file, as errors of ours: its texts name the file."""
    try:
        yield
    except sqlite3.OperationalError:
        raise ProviderUnavailable(
            "The vault's file is busy, or cannot be written.", hint="Try again in a moment."
        ) from None
    except sqlite3.DatabaseError:
        raise ConfigurationError("The vault's file is damaged or closed.", hint="Put a copy of it back.") from None


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
