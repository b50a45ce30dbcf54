"""Our access token at Azure: by the token with which a platform vouches for us, or by what the machine is there."""

import time
from pathlib import Path
from threading import Lock
from urllib.parse import urlencode

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json
from stead.identity.vault_wire import Wire

LOGIN = "https://login.microsoftonline.com"
MACHINE = "http://169.254.169.254"
"""Where a machine of Azure's asks for its own token; nobody beyond the machine sees it."""

SPARE = 120.0
"""Seconds that a token must still live to be used."""

_BY_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class AzureToken:
    """The token for one resource, renewed before it ends. Safe from any thread.

    With a `token_file` the platform's token in it is our client assertion (workload identity federation), read at each
    renewal; without one the machine's managed identity counts, `client` if it has several.
    """

    def __init__(
        self,
        resource: str,
        *,
        tenant: str | None,
        client: str | None,
        token_file: Path | None,
        login: str = LOGIN,
        machine: str = MACHINE,
    ) -> None:
        self._resource = resource
        self._tenant = tenant
        self._client = client
        self._token_file = token_file
        self._login = login.rstrip("/")
        self._machine = machine
        self._wire = Wire("vault.azure_tenant, vault.azure_client and vault.azure_token_file")
        self._lock = Lock()
        self._held, self._ends = "", 0.0

    def current(self) -> str:
        """The token. Raises `ConfigurationError` and `ProviderUnavailable`."""
        with self._lock:
            if time.monotonic() > self._ends - SPARE:
                asked = time.monotonic()
                answer = self._of_machine() if self._token_file is None else self._of_workload(self._token_file)
                self._held, seconds = _read(answer)
                self._ends = asked + seconds
            return self._held

    def _of_workload(self, file: Path) -> Json:
        try:
            assertion = file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError("The file of vault.azure_token_file cannot be read.") from None
        form = {
            "grant_type": "client_credentials",
            "client_id": str(self._client),
            "client_assertion_type": _BY_ASSERTION,
            "client_assertion": assertion,
            "scope": f"{self._resource}/.default",
        }
        return self._wire.ask("POST", f"{self._login}/{self._tenant}/oauth2/v2.0/token", {}, form=form)

    def _of_machine(self) -> Json:
        query = {"api-version": "2018-02-01", "resource": self._resource}
        named = query if self._client is None else query | {"client_id": self._client}
        url = f"{self._machine}/metadata/identity/oauth2/token?{urlencode(named)}"
        return self._wire.ask("GET", url, {"metadata": "true"})


def _read(answer: Json) -> tuple[str, float]:
    """The token and the seconds it lives; a machine's answer has those as text."""
    token, seconds = answer.get("access_token"), str(answer.get("expires_in"))
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not seconds.isdecimal():
        raise ProviderUnavailable("Azure gave us no token for the key service.")
    return token, float(seconds)
