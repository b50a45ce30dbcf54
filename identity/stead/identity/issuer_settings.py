"""An issuer as an operator describes it: how its tokens read, what they are good for here, and how it is asked.

`preset` fills in what a product always does; whatever is said beside it counts more.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stead.identity.certificates import certified
from stead.identity.errors import ConfigurationError
from stead.identity.flows.certificate_assertion import CertificateAssertion
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.dialects import Dialect
from stead.identity.flows.wire import TargetBy
from stead.identity.home import Home
from stead.identity.trust import OWN_MEANING, ActorBy, Receipts, Subjects, TrustedIssuer
from stead.identity.values import Secret


def _mappable(name: str) -> str:
    if name in OWN_MEANING | {"roles"}:
        raise ValueError(f"{name} is not read from another claim by a mapping")
    return name


Positive = Annotated[float, Field(gt=0)]
Algorithm = Literal["ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
"""By public key only: a shared secret cannot tell who signed, and no key document may hold one."""
Algorithms = Annotated[tuple[Algorithm, ...], Field(min_length=1)]
Values = Annotated[tuple[str, ...], BeforeValidator(lambda said: (said,) if isinstance(said, str) else said)]
ClientAuth = Literal[
    "private_key_jwt",
    "certificate_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "client_secret_basic",
    "client_secret_post",
    "none",
]
"""`certificate_jwt` is `private_key_jwt` for a provider that registers certificates: RSA, told by `x5t#S256`."""
BY_CONNECTION = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})
"""The certificate of the connection says who the client is (RFC 8705 s2); which kind, its provider knows."""
OurClaim = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"), AfterValidator(_mappable)]
Preset = Literal["stead", "keycloak", "entra", "okta", "auth0"]

_KEYCLOAK: Mapping[str, Any] = {
    "algorithms": ("RS256", "ES256", "PS256"),
    "client": "azp",
    "roles": "realm_access.roles",
    "typ": "JWT",
    "audience_list": True,
    "required_claims": {"typ": ("Bearer", "DPoP")},
    "services": {"preferred_username": "service-account-{client}"},
    "actor": "client",
    "receipts": "kept",
    "target_by": "audience",
}
_ENTRA: Mapping[str, Any] = {
    "algorithms": ("RS256",),
    "subject": "oid",
    "client": "azp",
    "scopes": "scp",
    "identifier": "uti",
    "typ": "JWT",
    "max_lifetime": 86_400,
    "tolerated_headers": frozenset({"x5t"}),
    "required_claims": {"ver": ("2.0",)},
    "services": {"idtyp": "app"},
    "actor": "client",
    "receipts": "kept",
    "dialect": "entra",
    "target_by": "scope",
}
_OKTA: Mapping[str, Any] = {
    "algorithms": ("RS256",),
    "client": "cid",
    "scopes": "scp",
    "typ": "JWT",
    "actor": "client",
    "receipts": "kept",
    "target_by": "audience",
}
_AUTH0: Mapping[str, Any] = {
    "algorithms": ("RS256",),
    "audience_list": True,
    "max_lifetime": 86_400,
    "services": {"sub": "{client}@clients"},
    "target_by": "audience",
    "sign_in_by": "audience",
}
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"stead": {}, "keycloak": _KEYCLOAK, "entra": _ENTRA, "okta": _OKTA, "auth0": _AUTH0}
)
"""What each product does that differs from our own profile (RFC 9068, one audience, `act`)."""


class Strict(BaseModel):
    """A section in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClientSettings(Strict):
    """What a workload is called at an issuer, and how it proves itself when not by the issuer's usual way."""

    client_id: str | None = None
    client_auth: ClientAuth | None = None
    client_secret_file: Path | None = None


class LevelSettings(Strict):
    """What a level of authentication is called here, and for how many seconds it counts once it was reached."""

    acr: str
    lasts: Positive = 900


class SharedSignalsSettings(Strict):
    """Who may tell what happened to an issuer's people: by default the issuer itself, addressing the service."""

    transmitter: str | None = None
    audience: str | None = None
    algorithms: Algorithms | None = None
    jwks_uri: str | None = None
    authorization_file: Path | None = None
    poll: str | None = None
    poll_by: str = "finport-web"

    def authorization(self) -> Secret | None:
        """What its requests have to carry, or ours to it. Raises `ConfigurationError` when the file cannot be read."""
        if self.authorization_file is None:
            return None
        try:
            return Secret(self.authorization_file.read_text().strip())
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                "The authorization_file of shared_signals cannot be read.",
                hint="Name a file that holds what the Authorization header says, and nothing else.",
            ) from None


class IssuerSettings(Strict):
    """An issuer whose access tokens are accepted, and at which they are obtained when `issuer` names it.

    See `TrustedIssuer` for what the verification members say. One with `dialect: id-jag` is another domain's: tokens
    for its `resources` are obtained there, and none of its tokens is accepted here.
    """

    issuer: str
    preset: Preset = "stead"
    algorithms: Algorithms = ("ES256",)
    jwks_uri: str | None = None
    subject: str = "sub"
    client: str = "client_id"
    scopes: str = "scope"
    roles: str = "roles"
    identifier: str = "jti"
    claims: Mapping[OurClaim, str] = {}
    levels: Mapping[str, LevelSettings] = {}
    levels_claim: str = "levels"
    typ: str = "at+jwt"
    max_lifetime: Positive = 3600
    audience_list: bool = False
    tolerated_headers: frozenset[str] = frozenset()
    required_claims: Mapping[str, Values] = {}
    audiences: Mapping[str, str] = {}
    scope_names: Mapping[str, str] = {}
    role_scopes: Mapping[str, str] = {}
    scope_roles: Mapping[str, Values] = {}
    allowed_scopes: frozenset[str] | None = None
    services: Mapping[str, str] = {}
    subjects: Subjects = "both"
    actor: ActorBy = "act"
    login_clients: frozenset[str] = frozenset({"finport-web", "stead-cli"})
    binds: bool = True
    receipts: Receipts = "off"
    first_actors: frozenset[str] | None = None
    senders: Mapping[str, str] = {}
    dialect: Dialect = "rfc8693"
    resources: tuple[str, ...] = ()
    target_by: TargetBy = "resource"
    sign_in_by: TargetBy | None = None
    backchannel_logout: bool = False
    shared_signals: SharedSignalsSettings | None = None
    client_auth: ClientAuth = "private_key_jwt"
    clients: Mapping[str, ClientSettings] = {}

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, said: Any) -> Any:
        if not isinstance(said, Mapping):
            return said
        name = said.get("preset", "stead")
        return {**PRESETS.get(name, {}), **said} if isinstance(name, str) else said

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "IssuerSettings":
        if (self.dialect == "id-jag") != bool(self.resources):
            raise ValueError("`dialect: id-jag` and `resources` need each other")
        return self

    @model_validator(mode="after")
    def _knows_its_senders(self) -> "IssuerSettings":
        names = list(self.audiences.values())
        if self.receipts != "off" and len(names) != len(set(names)) and not self.senders:
            raise ValueError("where services share one audience, `senders` has to say where each publishes its keys")
        return self

    @property
    def asks_by_connection(self) -> bool:
        """Whether any workload proves itself there by the certificate of its connection."""
        said = (self.client_auth, *(each.client_auth for each in self.clients.values()))
        return not BY_CONNECTION.isdisjoint(said)

    def trusted(self) -> TrustedIssuer:
        """The value the verifier takes."""
        return TrustedIssuer(**{name: getattr(self, name) for name in TrustedIssuer.__dataclass_fields__})

    @property
    def names(self) -> Mapping[str, str]:
        """The workloads by what they are called there, where that is something else."""
        return {own.client_id: name for name, own in self.clients.items() if own.client_id not in (None, name)}

    def client_named(self, name: str, home: Home) -> ClientIdentity:
        """The workload `name` as this issuer's client. Raises `ConfigurationError` when its secret cannot be read."""
        own = self.clients.get(name, ClientSettings())
        how = own.client_auth or ("client_secret_basic" if own.client_secret_file else self.client_auth)
        return identity_of(
            own.client_id or name, self.issuer, how, home=home, name=name, secret_file=own.client_secret_file
        )


def identity_of(
    client_id: str, issuer: str, how: ClientAuth, *, home: Home, name: str, secret_file: Path | None
) -> ClientIdentity:
    """A client that proves itself in one of these ways, with the keys of `name`. Raises `ConfigurationError`."""
    if how == "none" or how in BY_CONNECTION:
        return ClientIdentity(client_id, None, issuer, mutual_tls=how in BY_CONNECTION)
    if how == "private_key_jwt":
        return ClientIdentity(client_id, home.key(name), issuer)
    if how == "certificate_jwt":
        own = certified(home, name)
        return ClientIdentity(
            client_id, None, issuer, asserting=CertificateAssertion(client_id, issuer, own.key, own.thumbprint)
        )
    method: Literal["basic", "post"] = "post" if how == "client_secret_post" else "basic"
    return ClientIdentity(client_id, None, issuer, secret=_secret(client_id, secret_file), method=method)


def _secret(client_id: str, path: Path | None) -> Secret:
    try:
        return Secret((path or Path()).read_text().strip())
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"The client_secret_file of {client_id} cannot be read.", hint="Name a file that holds the secret alone."
        ) from None


def nearest(name: str, known: Any) -> str | None:
    """The known name that was probably meant."""
    close = get_close_matches(name, sorted(known), 1, 0.5)
    return close[0] if close else None
