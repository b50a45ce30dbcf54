"""What an operator may set: by environment (`STEAD_…`, nested by `__`), else by `stead.yaml` in the state directory.

Read in one place, once per process. A key that is not known is an error, with the one that was probably meant.
"""

import ssl
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stead.identity.audit.segments import MAX_SEGMENT
from stead.identity.binding import Binding
from stead.identity.certificate_source import CertificateSource
from stead.identity.decision_settings import DecisionPointSettings
from stead.identity.driver import tls as roots
from stead.identity.errors import ConfigurationError
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.home import Home
from stead.identity.issuer_settings import (
    BY_CONNECTION,
    Algorithms,
    ClientAuth,
    IssuerSettings,
    Positive,
    Strict,
    identity_of,
)
from stead.identity.lifetime_settings import LifetimeSettings
from stead.identity.setting_places import inside
from stead.identity.telemetry.sdk import TelemetrySettings
from stead.identity.transport import Transport
from stead.identity.vaults import VaultSettings
from stead.identity.workload_settings import (
    ClientCertificateSettings,
    TlsSettings,
    WorkloadSettings,
    WorkloadTokenSettings,
)

FILE = "stead.yaml"
PREFIX = "STEAD_"

ClaimName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_:./-]{0,99}$")]
ClaimValue = Annotated[str, Field(max_length=500)]


class LoginSettings(Strict):
    """The provider at which people sign in to the web, when it is not the network's own."""

    issuer: str
    client_id: str
    client_secret_file: Path | None = None
    client_auth: ClientAuth | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    resource: str | None = None
    algorithms: Algorithms = ("ES256", "RS256")

    def client(self, home: Home) -> ClientIdentity:
        """The client as that provider knows it. Raises `ConfigurationError` when its secret cannot be read.

        Without a secret it signs with the key that the state directory keeps under its `client_id`.
        """
        how = self.client_auth or ("client_secret_basic" if self.client_secret_file else "private_key_jwt")
        return identity_of(
            self.client_id, self.issuer, how, home=home, name=self.client_id, secret_file=self.client_secret_file
        )


class AuditSettings(Strict):
    """How large a file of the audit grows before the next one is begun, in bytes."""

    segment_bytes: Annotated[int, Field(ge=65_536)] = MAX_SEGMENT


class TimeoutSettings(Strict):
    """Seconds: to connect, to wait for the next bytes of a callee, and for an answer of an identity provider."""

    connect: Positive = 5
    read: Positive = 300
    provider: Positive = 10


class Settings(BaseSettings):
    """All that can be set. `issuer` is where workloads get their tokens, `issuers` whose tokens they accept.

    `issuer_claims` is for the embedded issuers: what each of their tokens says besides, such as `{"tenant": "acme"}`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    issuer: str | None = None
    issuers: tuple[IssuerSettings, ...] = ()
    bank: str | None = None
    issuer_claims: Mapping[ClaimName, ClaimValue] = {}
    lifetimes: LifetimeSettings = LifetimeSettings()
    login: LoginSettings | None = None
    dpop: Binding = "effects"
    dpop_nonce: bool = False
    tls: TlsSettings | None = None
    listen: str | None = None
    workload_token: WorkloadTokenSettings | None = None
    workloads: Mapping[str, WorkloadSettings] = {}
    client_certificates: Mapping[str, ClientCertificateSettings] = {}
    decision_point: DecisionPointSettings | None = None
    plain_http: bool = False
    planner: str = "rules"
    planner_base_url: str | None = None
    planner_seconds: Positive = 30
    timeouts: TimeoutSettings = TimeoutSettings()
    vault: VaultSettings = VaultSettings()
    audit: AuditSettings = AuditSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _has_a_certificate_where_one_is_shown(self) -> Self:
        asking = any(each.asks_by_connection for each in self.issuers)
        if self.tls is None and (asking or (self.login is not None and self.login.client_auth in BY_CONNECTION)):
            raise ValueError("`client_auth` by the certificate of a connection needs `tls`")
        return self

    @model_validator(mode="after")
    def _binds_where_it_must(self) -> Self:
        if self.dpop == "always" and any(not each.binds for each in self.issuers):
            raise ValueError("`dpop: always` takes bound tokens only, and an issuer with `binds: false` has none")
        return self

    def described(self, issuer: str) -> IssuerSettings:
        """What is said of an issuer; for one that nothing is said of, our own profile."""
        return next((each for each in self.issuers if each.issuer == issuer), IssuerSettings(issuer=issuer))

    def transport(self, name: str) -> Transport:
        """How the workload `name` meets its callers. Raises `ConfigurationError`."""
        if self.tls is None:
            return Transport(listen=self.listen)
        proxies = tuple(each.known() for each in self.tls.proxies)
        clients = [each.known() for each in self.client_certificates.values()]
        own_word = [each for each in (*clients, *proxies) if each.file is not None]
        return Transport(CertificateSource(self.tls.files(name), own_word).server(), self.listen, proxies)

    def believed(self) -> ssl.SSLContext:
        """Whose servers a person's own client believes. Raises `ConfigurationError`."""
        return roots() if self.tls is None else self.tls.believed()

    @property
    def accepted(self) -> tuple[IssuerSettings, ...]:
        """The issuers whose tokens count: not those of other domains, which are only gone to, nor the bank's.

        The bank is trusted by its own payments alone, which name it.
        """
        return tuple(each for each in self.issuers if each.dialect != "id-jag" and each.issuer != self.bank)

    @property
    def telling(self) -> tuple[IssuerSettings, ...]:
        """The issuers that may tell services of this network who signed out."""
        return tuple(each for each in self.issuers if each.backchannel_logout or each.shared_signals is not None)

    @property
    def domains(self) -> Mapping[str, IssuerSettings]:
        """By resource, the issuer of another domain that gives its tokens."""
        return {resource: each for each in self.issuers for resource in each.resources}

    @property
    def binds_certificate(self) -> bool:
        """Whether tokens are bound to this workload's certificate instead of a key of its own."""
        return self.tls is not None and self.tls.binds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @classmethod
    def load(cls, home: Home) -> Self:
        """The settings of this process. Raises `ConfigurationError` that names the key."""
        try:
            return cls(**read_file(home.path / FILE))
        except ValidationError as invalid:
            raise _explained(invalid) from None
        except ValueError as malformed:
            # pydantic-settings: an environment variable that should be JSON and is not.
            raise ConfigurationError("A STEAD_ variable is malformed.", hint=str(malformed)) from None


def read_file(path: Path) -> dict[str, Any]:
    """What the file says, not yet checked; nothing where there is none. Raises `ConfigurationError`."""
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise ConfigurationError(f"{FILE} is not readable YAML.", hint="Mend it, or remove it.") from None
    if document is None:
        return {}
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        raise ConfigurationError(f"{FILE} is not a mapping of keys.", hint="Such as `planner: rules`.")
    return dict(document)


def _explained(invalid: ValidationError) -> ConfigurationError:
    first = invalid.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        return ConfigurationError(f"There is no setting {place!r}.", hint=nearest_of(str(first["loc"][-1]), known))
    return ConfigurationError(f"The setting {place!r} is wrong: {first['msg']}.")


def nearest_of(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Which of the known names was probably meant, as a hint."""
    close = get_close_matches(name, known := sorted(known), 1, 0.5)
    named = ", ".join(f"{prefix}{each}" for each in known)
    return f"Did you mean {prefix + close[0]!r}?" if close else f"There are: {named}."


def _keys_at(place: tuple[int | str, ...]) -> Iterable[str]:
    model: type[BaseModel] = Settings
    for part in place:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        within = None if field is None else inside(field.annotation)
        model = model if within is None else within.model
    return model.model_fields
