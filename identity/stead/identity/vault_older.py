"""A vault's file from before there were data keys: entries under a key derived from one secret.

Read for moving what lies there, and never written. A file without such entries has none of this.
"""

import hashlib
import sqlite3
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stead.identity.errors import ConfigurationError

_NONCE = 12


class Older:
    """The entries of the table `secrets`, by (owner, task)."""

    def __init__(self, database: sqlite3.Connection, secret: bytes) -> None:
        self._database = database
        self._secret = secret

    @classmethod
    def within(cls, database: sqlite3.Connection, secret: bytes) -> Self | None:
        """None where the database has no such table."""
        there = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'secrets'").fetchone()
        return None if there is None else cls(database, secret)

    @staticmethod
    def count(database: sqlite3.Connection) -> int:
        """How many entries are left."""
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'secrets'").fetchone() is None:
            return 0
        return int(database.execute("SELECT count(*) FROM secrets").fetchone()[0])

    def has(self, owner: str, task: str) -> bool:
        """Whether something of (owner, task) still lies there."""
        _, place = self._derive(owner, task)
        return self._database.execute("SELECT 1 FROM secrets WHERE place = ? LIMIT 1", (place,)).fetchone() is not None

    def take(self, owner: str, task: str) -> list[tuple[str, bytes]]:
        """All of (owner, task), which is deleted here: within a transaction that keeps it elsewhere."""
        key, place = self._derive(owner, task)
        rows = self._database.execute("SELECT name, sealed FROM secrets WHERE place = ?", (place,)).fetchall()
        taken = [(str(name), _unseal(key, name, sealed)) for name, sealed in rows]
        if taken:
            self._database.execute("DELETE FROM secrets WHERE place = ?", (place,))
        return taken

    def forget(self, owner: str, task: str, name: str | None) -> None:
        """Deletes without reading."""
        _, place = self._derive(owner, task)
        if name is None:
            self._database.execute("DELETE FROM secrets WHERE place = ?", (place,))
        else:
            self._database.execute("DELETE FROM secrets WHERE place = ? AND name = ?", (place, name))

    def _derive(self, owner: str, task: str) -> tuple[bytes, bytes]:
        framed = b"".join(hashlib.sha256(text.encode()).digest() for text in (owner, task))
        derived = HKDF(SHA256(), 64, salt=None, info=b"stead vault|" + framed).derive(self._secret)
        return derived[:32], derived[32:]


def _unseal(key: bytes, name: str, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
    except (InvalidTag, ValueError):
        raise ConfigurationError(
            "A secret in the vault cannot be unsealed.", hint="The file was altered; sign in and authorize again."
        ) from None
