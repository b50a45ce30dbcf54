"""Which keys a vault of the state directory is opened with, as the settings say; and their rotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stead.identity.addresses import is_confidential
from stead.identity.aws_keys import NAME as AWS_KEY
from stead.identity.aws_keys import AwsKeys
from stead.identity.azure_keys import NAME as AZURE_KEY
from stead.identity.azure_keys import Algorithm, AzureKeys
from stead.identity.azure_token import LOGIN, AzureToken
from stead.identity.errors import ConfigurationError
from stead.identity.google_keys import NAME as GOOGLE_KEY
from stead.identity.google_keys import GoogleKeys
from stead.identity.home import Home, vault_keys_of_environment
from stead.identity.issuer_settings import Strict
from stead.identity.transit import TransitKeys
from stead.identity.vault import Rotation, Vault
from stead.identity.vault_keys import KeyService, LocalKeys, SucceedingKeys, decoded, keys_of_file

SUFFIX = "-vault"
"""What the databases and secrets of vaults are called behind their workload's name."""


def _confidential(url: str) -> str:
    if not is_confidential(url):
        raise ValueError("it has to be https: data keys travel there")
    return url


ServiceUrl = Annotated[str, AfterValidator(_confidential)]
AwsKey = Annotated[str, Field(pattern=AWS_KEY)]
AzureKey = Annotated[str, AfterValidator(_confidential), Field(pattern=AZURE_KEY)]
GoogleKey = Annotated[str, Field(pattern=GOOGLE_KEY)]
TransitKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


Kind = Literal["home", "file", "environment", "transit", "aws", "google", "azure"]
_NEEDED: Mapping[Kind, tuple[str, ...]] = {
    "file": ("key_file",),
    "transit": ("transit_url", "transit_token_file"),
    "aws": ("aws_key",),
    "google": ("google_key",),
    "azure": ("azure_key",),
}


class VaultSettings(Strict):
    """Where the keys are that secrets at rest are wrapped by."""

    keys: Kind = "home"
    former: tuple[Kind, ...] = ()
    key_file: Path | None = None
    transit_url: ServiceUrl | None = None
    transit_key: TransitKey = "stead"
    transit_token_file: Path | None = None
    aws_key: AwsKey | None = None
    aws_endpoint: ServiceUrl | None = None
    google_key: GoogleKey | None = None
    google_endpoint: ServiceUrl | None = None
    google_credentials_file: Path | None = None
    azure_key: AzureKey | None = None
    azure_algorithm: Algorithm = "RSA-OAEP-256"
    azure_resource: ServiceUrl = "https://vault.azure.net"
    azure_tenant: str | None = None
    azure_client: str | None = None
    azure_token_file: Path | None = None
    azure_login: ServiceUrl = LOGIN

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind in (self.keys, *self.former):
            missing = [name for name in _NEEDED.get(kind, ()) if getattr(self, name) is None]
            if missing:
                raise ValueError(f"keys of the kind {kind} need {' and '.join(missing)}")
        if self.azure_token_file is not None and (self.azure_tenant is None or self.azure_client is None):
            raise ValueError("azure_token_file needs azure_tenant and azure_client")
        return self

    def service(self, home: Home, name: str) -> KeyService:
        """What wraps the data keys of the vault `name`, and opens what its former keys wrapped."""
        newest = self._service(self.keys, home, name)
        former = [self._service(kind, home, name, former=True) for kind in self.former]
        return SucceedingKeys([newest, *former]) if former else newest

    def _service(self, kind: Kind, home: Home, name: str, *, former: bool = False) -> KeyService:
        match kind:
            case "transit":
                return TransitKeys(str(self.transit_url), self.transit_key, self.transit_token_file or Path(), name)
            case "aws":
                return AwsKeys(str(self.aws_key), name, endpoint=self.aws_endpoint)
            case "google":
                file, endpoint = self.google_credentials_file, self.google_endpoint
                return GoogleKeys(str(self.google_key), name, endpoint=endpoint, credentials_file=file)
            case "azure":
                return self._azure(home, name)
            case "file":
                return LocalKeys(keys_of_file(self.key_file or Path()), name)
            case "environment":
                return LocalKeys(lambda: decoded(vault_keys_of_environment()), name)
        return LocalKeys(lambda: home.kept_secrets(name) if former else home.secrets(name), name)

    def _azure(self, home: Home, name: str) -> KeyService:
        token = AzureToken(
            self.azure_resource,
            tenant=self.azure_tenant,
            client=self.azure_client,
            token_file=self.azure_token_file,
            login=self.azure_login,
        )
        local = home.secret(f"{name}-binding")
        return AzureKeys(str(self.azure_key), name, token=token, local=local, algorithm=self.azure_algorithm)


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
