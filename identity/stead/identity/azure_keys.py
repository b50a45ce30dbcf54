"""Data keys wrapped by a key of Azure Key Vault or of a Managed HSM, over its REST interface.

The wrapping key never leaves the service. Its wrapping binds nothing, and with an RSA key whoever has the public half
can do it. So what it wraps is a key for one use; from that one and a secret of the state directory comes the key under
which the data key is sealed, bound to its vault and its place.
"""

import base64
import binascii
import os
import re
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stead.identity.azure_token import AzureToken
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_wire import Wire

NAME = r"^https?://[A-Za-z0-9.:-]{1,255}/keys/[A-Za-z0-9-]{1,127}$"
"""A key, by its address without a version."""

VERSION = "7.4"
"""The version of the interface."""

Algorithm = Literal["RSA-OAEP-256", "A256KW"]

_NONCE, _LENGTH, _ONCE = 12, 2, 32


class AzureKeys:
    """The key at this address; its newest version wraps. Versions, and other keys of the same vault, still open.

    `local` is the secret without which what was wrapped cannot be made up by whoever writes the vault's file.
    """

    def __init__(
        self, key: str, purpose: str, *, token: AzureToken, local: bytes, algorithm: Algorithm = "RSA-OAEP-256"
    ) -> None:
        self._key = key
        self._purpose = purpose.encode()
        self._token = token
        self._local = local
        self._algorithm = algorithm
        self._wire = Wire("vault.azure_key")
        ours = re.escape(key.rpartition("/")[0])
        self._versions = re.compile(rf"{ours}/[A-Za-z0-9-]{{1,127}}/[0-9a-f]{{32}}")

    def current(self) -> str:
        key = self._ask("GET", self._key).get("key")
        return self._ours(key.get("kid") if isinstance(key, dict) else None)

    def knows(self, by: str) -> bool:
        return self._versions.fullmatch(by) is not None

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        once, nonce = os.urandom(_ONCE), os.urandom(_NONCE)
        by, sealed = self._wrapped(self.current(), once)
        inner = nonce + AESGCM(self._derived(once)).encrypt(nonce, key, self._bound(context))
        return Wrapped(by, len(sealed).to_bytes(_LENGTH, "big") + sealed + inner)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        if not self.knows(wrapped.by):
            # A file that somebody altered must not lead us to a key of theirs.
            raise ConfigurationError(
                f"The vault was sealed by the key {wrapped.by}, not by one of the vault of vault.azure_key.",
                hint="Name in vault.former what sealed it, and run `stead vault rotate`.",
            )
        until = _LENGTH + int.from_bytes(wrapped.sealed[:_LENGTH], "big")
        once = self._unwrapped(wrapped.by, wrapped.sealed[_LENGTH:until])
        inner = wrapped.sealed[until:]
        try:
            return AESGCM(self._derived(once)).decrypt(inner[:_NONCE], inner[_NONCE:], self._bound(context))
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"A key in the vault cannot be unwrapped by the key {wrapped.by}.",
                hint="The file was altered, or the state directory's secret is another; sign in and authorize again.",
            ) from None

    def _wrapped(self, by: str, once: bytes) -> tuple[str, bytes]:
        answer = self._ask("POST", f"{by}/wrapkey", alg=self._algorithm, value=_encoded(once))
        return self._ours(answer.get("kid")), _decoded(answer)

    def _unwrapped(self, by: str, sealed: bytes) -> bytes:
        answer = self._ask("POST", f"{by}/unwrapkey", alg=self._algorithm, value=_encoded(sealed))
        once = _decoded(answer)
        if answer.get("kid") != by or len(once) != _ONCE:
            raise ProviderUnavailable("Key Vault gave no key, or another one's.")
        return once

    def _derived(self, once: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"stead vault azure|" + self._purpose).derive(once + self._local)

    def _bound(self, context: bytes) -> bytes:
        return b"stead vault|" + self._purpose + b"|" + context

    def _ours(self, kid: object) -> str:
        if not isinstance(kid, str) or not kid.startswith(f"{self._key}/") or not self.knows(kid):
            raise ProviderUnavailable("Key Vault does not say which version of our key it is.")
        return kid

    def _ask(self, method: str, url: str, **members: str) -> Json:
        headers = {"authorization": f"Bearer {self._token.current()}"}
        return self._wire.ask(method, f"{url}?api-version={VERSION}", headers, members or None)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(answer: Json) -> bytes:
    text = str(answer.get("value"))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ProviderUnavailable("Key Vault gave no usable answer.") from None
