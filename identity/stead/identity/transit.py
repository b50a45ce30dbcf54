"""Data keys wrapped by a key service: HashiCorp Vault's and OpenBao's transit engine, over HTTP.

The wrapping key never leaves the service, which sees data keys only, never a secret of anybody.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, Self

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_wire import Wire

_CIPHERTEXT = re.compile(r"vault:(v[1-9][0-9]{0,8}):[A-Za-z0-9+/=]{1,8192}")


class TransitKeys:
    """One key of a transit engine. `token_file` is read at each call, because agents renew it in place.

    Wrapped keys are bound to `purpose` and to their place by the service's `associated_data` (AEAD keys only).
    """

    def __init__(self, url: str, key: str, token_file: Path, purpose: str) -> None:
        self._base = f"{url.rstrip('/')}/v1/transit"
        self._key = key
        self._token_file = token_file
        self._purpose = purpose.encode()
        self._wire = Wire("vault.transit_url and vault.transit_key")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()

    def current(self) -> str:
        version = self._ask("GET", f"keys/{self._key}").get("latest_version")
        if type(version) is not int or version < 1:
            raise ProviderUnavailable("The key service does not say which version of its key is the newest.")
        return self._named(f"v{version}")

    def knows(self, by: str) -> bool:
        return re.fullmatch(rf"{re.escape(self._key)}:v[0-9]+", by) is not None

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        plain = base64.b64encode(key).decode()
        answer = self._ask("POST", f"encrypt/{self._key}", plaintext=plain, associated_data=self._bound(context))
        match = _CIPHERTEXT.fullmatch(str(answer.get("ciphertext")))
        if match is None:
            raise ProviderUnavailable("The key service gave no wrapped key.")
        return Wrapped(self._named(match[1]), match[0].encode())

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        if not self.knows(wrapped.by):
            raise ConfigurationError(
                f"The vault was sealed by the key {wrapped.by}, not by {self._key} of the key service.",
                hint="Name in vault.former what sealed it, and run `stead vault rotate`.",
            )
        text = wrapped.sealed.decode("ascii", "replace")
        answer = self._ask("POST", f"decrypt/{self._key}", ciphertext=text, associated_data=self._bound(context))
        try:
            return base64.b64decode(str(answer.get("plaintext")), validate=True)
        except binascii.Error:
            raise ProviderUnavailable("The key service gave no key.") from None

    def _named(self, version: str) -> str:
        return f"{self._key}:{version}"

    def _bound(self, context: bytes) -> str:
        return base64.b64encode(b"stead vault|" + self._purpose + b"|" + context).decode()

    def _ask(self, method: str, path: str, **members: str) -> Json:
        headers = {"x-vault-token": self._token(), "x-vault-request": "true"}
        data: Any = self._wire.ask(method, f"{self._base}/{path}", headers, members or None).get("data")
        if not isinstance(data, dict):
            raise ProviderUnavailable("The key service gave no usable answer.")
        return data

    def _token(self) -> str:
        try:
            return self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError("The file of vault.transit_token_file cannot be read.") from None
