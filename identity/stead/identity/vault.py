"""Secrets at rest: the subject tokens of parked tasks, refresh tokens, a bank's tokens.

Every entry is sealed with AES-256-GCM under a key of its own (owner, task), so that neither the file nor an entry
moved to another person's task gives anything away. Knows no token format, and never logs.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stead.identity.errors import ConfigurationError
from stead.identity.values import Secret

_NONCE = 12
_TABLE = """
CREATE TABLE IF NOT EXISTS secrets (
    place BLOB NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (place, name)
) WITHOUT ROWID
"""


class Vault:
    """A SQLite file of sealed entries. Safe from any thread; several processes may share the file."""

    def __init__(self, path: Path, secret: bytes) -> None:
        if len(secret) < 32:
            raise ConfigurationError("The vault's secret is shorter than 32 bytes.")
        self._secret = secret
        self._lock = threading.Lock()
        _make_private(path)
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(_TABLE)

    def put(self, owner: str, task: str, name: str, value: Secret | bytes) -> None:
        """Keeps `value` under its name, in place of an earlier one. Durable on return."""
        key, place = self._derive(owner, task)
        nonce = os.urandom(_NONCE)
        content = value.reveal().encode() if isinstance(value, Secret) else value
        sealed = nonce + AESGCM(key).encrypt(nonce, content, name.encode())
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", (place, name, sealed))

    def get(self, owner: str, task: str, name: str) -> bytes | None:
        """The value, or None when there is none. Raises `ConfigurationError` when it cannot be unsealed."""
        key, place = self._derive(owner, task)
        with self._open() as database:
            row = database.execute("SELECT sealed FROM secrets WHERE place = ? AND name = ?", (place, name)).fetchone()
        return None if row is None else _unseal(key, name, row[0])

    def forget(self, owner: str, task: str, name: str | None = None) -> None:
        """Deletes all of a task's secrets (at its end), or the one named. What is not there is no error."""
        _, place = self._derive(owner, task)
        with self._open() as database:
            if name is None:
                database.execute("DELETE FROM secrets WHERE place = ?", (place,))
            else:
                database.execute("DELETE FROM secrets WHERE place = ? AND name = ?", (place, name))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    def _derive(self, owner: str, task: str) -> tuple[bytes, bytes]:
        """The key of (owner, task), and the name under which their rows lie, which tells neither."""
        info = b"stead vault|" + _framed(owner) + _framed(task)
        derived = HKDF(SHA256(), 64, salt=None, info=info).derive(self._secret)
        return derived[:32], derived[32:]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database


def _framed(text: str) -> bytes:
    """Hashed, so that no owner ending in a task's beginning can equal another pair."""
    return hashlib.sha256(text.encode()).digest()


def _unseal(key: bytes, name: str, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
    except (InvalidTag, ValueError):
        raise ConfigurationError(
            "A secret in the vault cannot be unsealed.",
            hint="The state directory's secret was replaced, or the file was altered; sign in and authorize again.",
        ) from None


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
