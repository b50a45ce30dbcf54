"""Secrets at rest: the subject tokens of parked tasks, refresh tokens, a bank's tokens.

Envelope encryption: each (owner, task) has a data key of its own, which lies beside its entries wrapped by a key that
does not (`vault_keys`). So neither the file nor an entry moved to another place gives anything away, a wrapping key is
replaced without touching an entry, and deleting one small row makes all of a task's secrets unreadable for good.
"""

import hashlib
import hmac
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stead.identity.errors import ConfigurationError
from stead.identity.telemetry import happened, names
from stead.identity.values import Secret
from stead.identity.vault_keys import MIN_KEY, KeyService, LocalKeys, Wrapped
from stead.identity.vault_older import Older

_NONCE, _KEY, _REMEMBERED = 12, 32, 256
_NAMING = b"naming"
"""Where the key lies that turns owner and task into a place; it is wrapped like all others."""

_TABLES = """
CREATE TABLE IF NOT EXISTS data_keys (place BLOB PRIMARY KEY, wrapped_by TEXT NOT NULL, wrapped BLOB NOT NULL)
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    place BLOB NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (place, name)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: data keys wrapped anew, and those of other keys that are left (0 unless interrupted)."""

    current: str
    moved: int
    left: int


class Vault:
    """A SQLite file of sealed entries. Safe from any thread; several processes may share the file.

    `keys` wraps data keys; bytes are one key at hand. `older` is the secret of a file from before there were data
    keys: what lies in it is moved when it is next asked for.
    """

    def __init__(self, path: Path, keys: KeyService | bytes, *, older: bytes | None = None) -> None:
        if isinstance(keys, bytes):
            older = older or keys
        self._keys = _one_key(keys) if isinstance(keys, bytes) else keys
        self._lock = threading.Lock()
        self._unwrapped: OrderedDict[bytes, bytes] = OrderedDict()
        _make_private(path)
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_TABLES)
        self._older = None if older is None else Older.within(self._database, older)

    def put(self, owner: str, task: str, name: str, value: Secret | bytes) -> None:
        """Keeps `value` under its name, in place of an earlier one. Durable on return."""
        happened(names.VAULT_PUT)
        content = value.reveal().encode() if isinstance(value, Secret) else value
        with self._writing() as database:
            place = self._place(database, owner, task)
            self._move_older(database, owner, task, place)
            self._seal(database, place, _bound(owner, task, name), name, content)

    def get(self, owner: str, task: str, name: str) -> bytes | None:
        """The value, or None when there is none. Raises `ConfigurationError` when it cannot be unsealed."""
        happened(names.VAULT_GET)
        with self._writing() if self._has_older(owner, task) else self._reading() as database:
            place = self._place(database, owner, task)
            self._move_older(database, owner, task, place)
            row = database.execute("SELECT sealed FROM entries WHERE place = ? AND name = ?", (place, name)).fetchone()
            if row is None:
                return None
            key = self._data_key(database, place)
            if key is None:
                raise ConfigurationError("An entry of the vault has lost its key.", hint="Sign in and authorize again.")
            return _unseal(key, _bound(owner, task, name), row[0])

    def forget(self, owner: str, task: str, name: str | None = None) -> None:
        """Deletes all of a task's secrets (at its end), or the one named. What is not there is no error.

        With the last entry goes its data key, so that a copy of the file made later opens none of them.
        """
        happened(names.VAULT_FORGET)
        with self._writing() as database:
            place = self._place(database, owner, task)
            if self._older is not None:
                self._older.forget(owner, task, name)
            if name is None:
                database.execute("DELETE FROM entries WHERE place = ?", (place,))
            else:
                database.execute("DELETE FROM entries WHERE place = ? AND name = ?", (place, name))
            left = database.execute("SELECT 1 FROM entries WHERE place = ? LIMIT 1", (place,)).fetchone()
            if left is None:
                database.execute("DELETE FROM data_keys WHERE place = ?", (place,))
        self._settle()

    def rotate(self) -> Rotation:
        """Wraps every data key by the current wrapping key; entries stay as they are. Online, and safe to interrupt.

        Each key is moved by itself, and says by what it is wrapped: a crash leaves some moved and none unreadable.
        """
        with self._writing() as database:  # whoever wrote before has ended, whoever writes later sees the new key
            current = self._keys.current()
            rows = database.execute("SELECT place FROM data_keys WHERE wrapped_by != ?", (current,)).fetchall()
        moved = sum(self._rewrap(place, current) for (place,) in rows)
        self._settle()
        with self._reading() as database:
            left = database.execute("SELECT count(*) FROM data_keys WHERE wrapped_by != ?", (current,)).fetchone()[0]
        return Rotation(current, moved, left)

    def wrapped_by(self) -> dict[str, int]:
        """How many data keys there are, by the wrapping key."""
        with self._reading() as database:
            query = "SELECT wrapped_by, count(*) FROM data_keys GROUP BY wrapped_by ORDER BY wrapped_by"
            return {str(by): int(count) for by, count in database.execute(query)}

    @property
    def older(self) -> int:
        """How many entries lie in the form from before there were data keys, and need the first secret."""
        with self._reading() as database:
            return Older.count(database)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._unwrapped.clear()
            self._database.close()

    def _rewrap(self, place: bytes, current: str) -> int:
        with self._writing() as database:
            wrapped = _wrapped(database, place)
            if wrapped is None or wrapped.by == current:
                return 0
            anew = self._keys.wrap(self._keys.unwrap(wrapped, place), place)
            database.execute(
                "UPDATE data_keys SET wrapped_by = ?, wrapped = ? WHERE place = ?", (anew.by, anew.sealed, place)
            )
            return 1

    def _place(self, database: sqlite3.Connection, owner: str, task: str) -> bytes:
        """The name under which the rows of (owner, task) lie, which tells neither."""
        key = self._data_key(database, _NAMING) or self._new_key(database, _NAMING)
        return hmac.digest(key, _framed(owner) + _framed(task), "sha256")

    def _seal(self, database: sqlite3.Connection, place: bytes, bound: bytes, name: str, content: bytes) -> None:
        key = self._data_key(database, place) or self._new_key(database, place)
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, content, bound)
        database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (place, name, sealed))

    def _data_key(self, database: sqlite3.Connection, place: bytes) -> bytes | None:
        wrapped = _wrapped(database, place)
        if wrapped is None:
            return None
        # By the wrapped bytes, which the database was just asked for: a key that was deleted is remembered in vain.
        known = self._unwrapped.get(wrapped.sealed)
        return known or self._remember(wrapped.sealed, self._keys.unwrap(wrapped, place))

    def _new_key(self, database: sqlite3.Connection, place: bytes) -> bytes:
        key = os.urandom(_KEY)
        wrapped = self._keys.wrap(key, place)
        database.execute("INSERT OR IGNORE INTO data_keys VALUES (?, ?, ?)", (place, wrapped.by, wrapped.sealed))
        kept = self._data_key(database, place)  # another process may have been first
        return key if kept is None else kept

    def _remember(self, sealed: bytes, key: bytes) -> bytes:
        self._unwrapped[sealed] = key
        while len(self._unwrapped) > _REMEMBERED:
            self._unwrapped.popitem(last=False)
        return key

    def _has_older(self, owner: str, task: str) -> bool:
        with self._lock:
            return self._older is not None and self._older.has(owner, task)

    def _move_older(self, database: sqlite3.Connection, owner: str, task: str, place: bytes) -> None:
        for name, content in () if self._older is None else self._older.take(owner, task):
            self._seal(database, place, _bound(owner, task, name), name, content)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, across processes, all or nothing."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _settle(self) -> None:
        """What was deleted or replaced leaves the log too, unless another process is just reading it."""
        with self._lock:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _wrapped(database: sqlite3.Connection, place: bytes) -> Wrapped | None:
    row = database.execute("SELECT wrapped_by, wrapped FROM data_keys WHERE place = ?", (place,)).fetchone()
    return None if row is None else Wrapped(*row)


def _one_key(key: bytes) -> LocalKeys:
    if len(key) < MIN_KEY:
        raise ConfigurationError("The vault's secret is shorter than 32 bytes.")
    return LocalKeys(lambda: (key,), "vault")


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


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
