"""The keys that a vault's data keys are wrapped by: from files, from the environment, or by a key service.

A data key never leaves the process but wrapped; a wrapping key never lies in the database. Each wrapped key says which
key wrapped it, so that an old and a new one can be in use side by side.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stead.identity.errors import ConfigurationError

MIN_KEY = 32
"""Bytes of a key at least."""

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a wrapping key: which one (never the key itself), and the sealed bytes."""

    by: str
    sealed: bytes = field(repr=False)


class KeyService(Protocol):
    """What wraps and unwraps data keys: keys at hand, or a key management service.

    `context` is bound to the wrapped key (additional authenticated data): unwrapping with another one fails. Both
    raise `ConfigurationError` for a key that is not at hand or not this one, `ProviderUnavailable` for a service away.
    """

    def current(self) -> str:
        """The id of the key that wraps from now on."""
        ...

    def knows(self, by: str) -> bool:
        """Whether it may be one of these keys that wrapped, by its id. Asks nobody."""
        ...

    def wrap(self, key: bytes, context: bytes) -> Wrapped: ...

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes: ...


class LocalKeys:
    """Wrapping by AES-256-GCM under keys at hand, newest first. Looks anew each time, so that a new key is seen.

    `purpose` keeps vaults apart that are given the same keys.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]], purpose: str) -> None:
        self._keys = keys
        self._purpose = purpose

    def current(self) -> str:
        return self._ring()[0][0]

    def knows(self, by: str) -> bool:
        return bool(self._keys()) and by in dict(self._ring())

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        name, own = self._ring()[0]
        nonce = os.urandom(_NONCE)
        return Wrapped(name, nonce + AESGCM(own).encrypt(nonce, key, context))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        own = dict(self._ring()).get(wrapped.by)
        if own is None:
            raise ConfigurationError(
                f"The vault was sealed by the key {wrapped.by}, which is not at hand.",
                hint="Put that key back behind the newest one (see `stead vault status`), or say in vault.former where "
                "it is.",
            )
        try:
            return AESGCM(own).decrypt(wrapped.sealed[:_NONCE], wrapped.sealed[_NONCE:], context)
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"A key in the vault cannot be unwrapped by the key {wrapped.by}.",
                hint="The file was altered; sign in and authorize again.",
            ) from None

    def _ring(self) -> list[tuple[str, bytes]]:
        keys = self._keys()
        if not keys:
            raise ConfigurationError("The vault has no key.", hint="See the setting vault.keys.")
        if min(map(len, keys)) < MIN_KEY:
            raise ConfigurationError(f"A key of the vault is shorter than {MIN_KEY} bytes.")
        return [(key_id(own), own) for own in (self._derived(key) for key in keys)]

    def _derived(self, key: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"stead vault wrapping|" + self._purpose.encode()).derive(key)


class SucceedingKeys:
    """Keys of several kinds, newest first: the first wraps from now on, and each opens what it wrapped."""

    def __init__(self, kinds: Sequence[KeyService]) -> None:
        self._newest = kinds[0]
        self._kinds = kinds

    def current(self) -> str:
        return self._newest.current()

    def knows(self, by: str) -> bool:
        return any(keys.knows(by) for keys in self._kinds)

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        return self._newest.wrap(key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        # What none knows the newest refuses, by its own words.
        keys = next((keys for keys in self._kinds if keys.knows(wrapped.by)), self._newest)
        return keys.unwrap(wrapped, context)


def key_id(key: bytes) -> str:
    """A name for a wrapping key by which nobody learns it."""
    return hashlib.sha256(b"stead vault key id|" + key).hexdigest()[:12]


def keys_of_file(path: Path) -> Callable[[], Sequence[bytes]]:
    """The keys of a file: one a line, base64, newest first. Read at each use."""

    def read() -> Sequence[bytes]:
        try:
            return decoded(path.read_text().split())
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                "The file of vault.key_file cannot be read.", hint="One key of 32 random bytes a line, in base64."
            ) from None

    return read


def decoded(texts: Sequence[str]) -> Sequence[bytes]:
    """Keys from base64. Raises `ConfigurationError`, which does not quote them."""
    try:
        return [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            "A key of the vault is not base64.", hint="Such as `head -c 32 /dev/urandom | base64` prints."
        ) from None
