"""Which keys a vault of the state directory is opened with, as the settings say; and their rotation."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stead.identity import aws_keys, google_keys
from stead.identity.addresses import is_confidential
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home, vault_keys_of_environment
from stead.identity.issuer_settings import Strict
from stead.identity.transit import TransitKeys
from stead.identity.vault import Rotation, Vault
from stead.identity.vault_keys import KeyService, LocalKeys, decoded, keys_of_file

SUFFIX = "-vault"
"""What the databases and secrets of vaults are called behind their workload's name."""


def _confidential(url: str) -> str:
    if not is_confidential(url):
        raise ValueError("it has to be https: data keys travel there")
    return url


ServiceUrl = Annotated[str, AfterValidator(_confidential)]
AwsKey = Annotated[str, Field(pattern=aws_keys.NAME)]
GoogleKey = Annotated[str, Field(pattern=google_keys.NAME)]
TransitKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class VaultSettings(Strict):
    """Where the keys are that secrets at rest are wrapped by."""

    keys: Literal["home", "file", "environment", "transit", "aws", "google"] = "home"
    key_file: Path | None = None
    transit_url: ServiceUrl | None = None
    transit_key: TransitKey = "stead"
    transit_token_file: Path | None = None
    aws_key: AwsKey | None = None
    aws_endpoint: ServiceUrl | None = None
    google_key: GoogleKey | None = None
    google_endpoint: ServiceUrl | None = None
    google_credentials_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.keys == "file" and self.key_file is None:
            raise ValueError("keys: file needs key_file")
        if self.keys == "transit" and (self.transit_url is None or self.transit_token_file is None):
            raise ValueError("keys: transit needs transit_url and transit_token_file")
        if self.keys == "aws" and self.aws_key is None:
            raise ValueError("keys: aws needs aws_key")
        if self.keys == "google" and self.google_key is None:
            raise ValueError("keys: google needs google_key")
        return self

    def service(self, home: Home, name: str) -> KeyService:
        """What wraps the data keys of the vault `name`."""
        if self.keys == "transit":
            return TransitKeys(str(self.transit_url), self.transit_key, self.transit_token_file or Path(), name)
        if self.keys == "aws":
            return aws_keys.AwsKeys(str(self.aws_key), name, endpoint=self.aws_endpoint)
        if self.keys == "google":
            return google_keys.GoogleKeys(
                str(self.google_key),
                name,
                endpoint=self.google_endpoint,
                credentials_file=self.google_credentials_file,
            )
        return LocalKeys(self._at_hand(home, name), name)

    def _at_hand(self, home: Home, name: str) -> Callable[[], Sequence[bytes]]:
        if self.keys == "file":
            return keys_of_file(self.key_file or Path())
        if self.keys == "environment":
            return lambda: decoded(vault_keys_of_environment())
        return lambda: home.secrets(name)


def open_vault(home: Home, settings: VaultSettings, name: str) -> Vault:
    """The vault `name` of a state directory: `broker-vault`. Close it. Raises `ConfigurationError`."""
    return Vault(home.database(name), settings.service(home, name), older=home.first_secret(name))


def names(home: Home) -> list[str]:
    """The vaults that a state directory has."""
    return sorted(path.stem for path in home.folder("data").glob(f"*{SUFFIX}.db"))


def rotate(home: Home, settings: VaultSettings, name: str, *, fresh: bool = True) -> Rotation:
    """Moves a vault to a new key, while its processes go on, and retires the old ones.

    With the state directory's own keys a new one is made first (unless not `fresh`, as when one was interrupted);
    elsewhere whoever keeps the keys has made it. An old key of the state directory is deleted once nothing needs it.
    """
    if settings.keys == "home" and fresh:
        home.renew_secret(name)
    vault = open_vault(home, settings, name)
    try:
        done = vault.rotate()
        if settings.keys == "home" and done.left == 0 and vault.older == 0:
            home.retire_secrets(name)
        return done
    finally:
        vault.close()


def require(home: Home, name: str) -> str:
    """The name of a vault that there is. Raises `ConfigurationError` naming those."""
    there = names(home)
    wanted = name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"
    if wanted not in there:
        raise ConfigurationError(f"There is no vault {name!r}.", hint=f"There are: {', '.join(there) or 'none'}.")
    return wanted
