"""Data keys wrapped by a key of Google Cloud KMS, over its REST interface.

The wrapping key never leaves the service, which sees data keys only. What goes there and comes back is summed (CRC32C),
so that a bit that fell over on the way loses no secret. Tokens are Google's, by google-auth: the extra `google`, which
is imported only where this is chosen.
"""

import base64
import binascii
import json
import re
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_wire import Wire

NAME = (
    r"^projects/[a-z0-9:.-]{1,64}/locations/[a-z0-9-]{1,32}"
    r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}$"
)
"""A key, by its resource name."""

SCOPE = "https://www.googleapis.com/auth/cloudkms"
ENDPOINT = "https://cloudkms.googleapis.com"

_VERSION = re.compile(rf"({NAME[1:-1]})/cryptoKeyVersions/[1-9][0-9]{{0,8}}")


class GoogleKeys:
    """The key of Cloud KMS with this resource name; its primary version wraps.

    Wrapped keys are bound to `purpose` and to their place by additional authenticated data. A key opens what it wrapped
    by whichever of its versions, and so does any other key of its key ring.
    """

    def __init__(
        self, key: str, purpose: str, *, endpoint: str | None = None, credentials_file: Path | None = None
    ) -> None:
        self._key = key
        self._purpose = purpose.encode()
        self._credentials_file = credentials_file
        self._base = f"{(endpoint or ENDPOINT).rstrip('/')}/v1"
        self._wire = Wire("vault.google_key")
        self._renewing = Lock()

    def current(self) -> str:
        primary = self._ask("GET", self._key).get("primary")
        return self._ours(primary.get("name") if isinstance(primary, dict) else None)

    def knows(self, by: str) -> bool:
        match = _VERSION.fullmatch(by)
        return match is not None and _ring(match[1]) == _ring(self._key)

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        answer = self._ask("POST", f"{self._key}:encrypt", **_summed(plaintext=key, **self._bound(context)))
        sealed = _content(answer, "ciphertext")
        if not answer.get("verifiedPlaintextCrc32c") or not answer.get("verifiedAdditionalAuthenticatedDataCrc32c"):
            raise ProviderUnavailable("Cloud KMS did not get what it was sent.", hint="Try again in a moment.")
        return Wrapped(self._ours(answer.get("name")), sealed)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        match = _VERSION.fullmatch(wrapped.by)
        if match is None or not self.knows(wrapped.by):
            # A file that somebody altered must not lead us to a key of theirs.
            raise ConfigurationError(
                f"The vault was sealed by the key {wrapped.by}, not by one of the key ring of vault.google_key.",
                hint="Name in vault.former what sealed it, and run `stead vault rotate`.",
            )
        members = _summed(ciphertext=wrapped.sealed, **self._bound(context))
        return _content(self._ask("POST", f"{match[1]}:decrypt", **members), "plaintext")

    def _bound(self, context: bytes) -> dict[str, bytes]:
        return {"additionalAuthenticatedData": b"stead vault|" + self._purpose + b"|" + context}

    def _ours(self, name: object) -> str:
        if not isinstance(name, str) or not name.startswith(f"{self._key}/") or not self.knows(name):
            raise ProviderUnavailable("Cloud KMS does not say which version of our key it is.")
        return name

    def _ask(self, method: str, path: str, **members: str) -> Json:
        headers = {"authorization": f"Bearer {self._token()}"}
        return self._wire.ask(method, f"{self._base}/{path}", headers, members or None)

    def _token(self) -> str:
        """An access token of ours at Google; one thread at a time renews it."""
        credentials, transport = self._credentials
        from google.auth.exceptions import GoogleAuthError

        with self._renewing:
            try:
                if not credentials.valid:
                    credentials.refresh(transport)
            except GoogleAuthError:
                # Its text may quote the answer.
                raise ProviderUnavailable(
                    "Google gave us no token for Cloud KMS.", hint="Check vault.google_credentials_file."
                ) from None
            return str(credentials.token)

    @cached_property
    def _credentials(self) -> tuple[Any, Any]:
        """Google's credentials of this process, and what fetches them."""
        try:
            from google.auth.transport.requests import Request
            from requests import Session
        except ModuleNotFoundError:
            raise ConfigurationError(
                "vault.keys is google, but google-auth is not installed.", hint="Install `stead[google]`."
            ) from None
        session = Session()
        session.trust_env = False
        return _credentials(self._credentials_file), Request(session)


def _credentials(file: Path | None) -> Any:
    """What a file says that Google's tools write for a workload; without one, what the machine is to Google."""
    from google.auth import compute_engine, identity_pool
    from google.oauth2 import service_account

    machine: Any = compute_engine.Credentials
    if file is None:
        return machine(scopes=[SCOPE])
    kinds: dict[object, Any] = {
        "external_account": identity_pool.Credentials.from_info,
        "service_account": service_account.Credentials.from_service_account_info,
    }
    try:
        info = json.loads(file.read_text())
        return kinds[info["type"]](info, scopes=[SCOPE])
    except (OSError, ValueError, LookupError, TypeError):
        raise ConfigurationError(
            "vault.google_credentials_file is not to be used.",
            hint="It is the configuration of a workload identity (`external_account`) or a service account's key.",
        ) from None


def _summed(**contents: bytes) -> dict[str, str]:
    """Members of a request with their sums, as JSON has them: bytes in base64, 64 bit integers as text."""
    members = {name: base64.b64encode(content).decode() for name, content in contents.items()}
    return members | {f"{name}Crc32c": str(crc32c(content)) for name, content in contents.items()}


def _content(answer: Json, name: str) -> bytes:
    """A member of an answer. Raises `ProviderUnavailable` where it is not what its sum says."""
    try:
        content = base64.b64decode(str(answer.get(name)), validate=True)
    except binascii.Error:
        content = b""
    if not content or str(answer.get(f"{name}Crc32c")) != str(crc32c(content)):
        raise ProviderUnavailable("The answer of Cloud KMS was damaged on its way.", hint="Try again in a moment.")
    return content


def _ring(key: str) -> str:
    return key.rpartition("/cryptoKeys/")[0]


def crc32c(data: bytes) -> int:
    """The sum that Google's services use (Castagnoli's polynomial, RFC 3720 s12.1)."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)
