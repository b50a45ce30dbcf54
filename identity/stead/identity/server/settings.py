"""What one issuer is told at its start. Knows no request."""

import ipaddress
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stead.identity.client_certificates import KnownCertificate
from stead.identity.clock import Clock, system_clock
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.platform_tokens import TrustedWorkload
from stead.identity.server.domains import GrantIssuer, ResourceServer

log = logging.getLogger(__name__)

Theme = Literal["corporate", "bank"]

# fmt: off
OWN_CLAIMS = frozenset((
    "iss", "sub", "aud", "client_id", "scope", "iat", "exp", "nbf", "jti", "sid", "auth_time", "acr", "amr", "azp",
    "nonce", "at_hash", "c_hash", "name", "preferred_username", "roles", "transfer_limit", "act", "may_act", "txn",
    "cnf", "authorization_details", "consent_id",
))
# fmt: on
"""What a token says by itself, or what changes what it is good for: nobody sets these from outside."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One issuer. `issuer` is its origin, `key_name` names its signing key in the state directory.

    `development` shows the sample logins on the login page; `registration` opens RFC 7591 to holders of the initial
    access token. `extra_claims` stand in every access and ID token, such as the tenant; they cannot replace a claim
    that this issuer makes itself (`ConfigurationError`). `workloads` are the clients that prove themselves by their
    platform's token, by client id; `certificates` says that it is served where clients can show one (RFC 8705), and
    `client_certificates` which clients are known by that alone.
    `resource_servers` are those elsewhere that it gives grants for, `grant_issuers` those whose grants it takes, by
    name; it is neither of them itself (`ConfigurationError`). With `proof_nonces` a DPoP proof has to carry a nonce of
    this issuer. Lifetimes are seconds; of an access token that of its audience, where that has one of its own.
    `trust` is what clients' certificates are checked by where it calls them.
    """

    issuer: str
    name: str
    theme: Theme
    home: Home
    key_name: str
    database: Path | None = None
    development: bool = True
    registration: bool = True
    extra_claims: Mapping[str, str] = field(default_factory=dict)
    workloads: Mapping[str, TrustedWorkload] = field(default_factory=dict)
    resource_servers: Mapping[str, ResourceServer] = field(default_factory=dict)
    grant_issuers: Mapping[str, GrantIssuer] = field(default_factory=dict)
    certificates: bool = False
    client_certificates: Mapping[str, KnownCertificate] = field(default_factory=dict)
    proof_nonces: bool = False
    access_token_lifetime: int = 300
    audience_lifetimes: Mapping[str, int] = field(default_factory=dict)
    refresh_token_lifetime: int = 8 * 3600
    refresh_idle_lifetime: int = 8 * 3600
    session_lifetime: int = 8 * 3600
    interaction_lifetime: int = 600
    code_lifetime: int = 60
    request_uri_lifetime: int = 90
    consent_lifetime: int = 300
    trust: ssl.SSLContext | None = None
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        taken = sorted(OWN_CLAIMS & self.extra_claims.keys())
        if taken:
            raise ConfigurationError(
                f"The claim {taken[0]!r} is {self.name}'s own to make.", hint="Choose another name in issuer_claims."
            )

        if self.issuer in {**self.resource_servers, **self.grant_issuers}:
            raise ConfigurationError(f"{self.name} gives no grants to itself.", hint="Name servers elsewhere only.")
        if self.client_certificates and not self.certificates:
            raise ConfigurationError(
                f"{self.name} sees no certificate of a client: it is not on TLS.",
                hint="Set tls, or take client_certificates out of the settings.",
            )
        both = sorted(self.client_certificates.keys() & self.workloads.keys())
        if both:
            raise ConfigurationError(f"{both[0]} is to be known in two ways.", hint="Name each client once.")

    @property
    def path(self) -> Path:
        """Where this issuer's database lies."""
        return self.database or self.home.database(f"issuer-{self.theme}")

    @property
    def secure(self) -> bool:
        """True where cookies can be marked Secure."""
        return self.issuer.startswith("https://")

    @property
    def cookie(self) -> str:
        """The session cookie's name; host-only by its prefix where the transport allows (RFC 6265bis s4.1.3.2)."""
        name = f"{self.theme}-issuer-session"
        return f"__Host-{name}" if self.secure else name

    def access_lifetime(self, audience: str) -> int:
        """How long an access token for that audience lasts."""
        return self.audience_lifetimes.get(audience, self.access_token_lifetime)

    @property
    def longest_access(self) -> int:
        """How long any access token lasts at most."""
        return max(self.access_token_lifetime, *self.audience_lifetimes.values(), 0)

    def url(self, path: str) -> str:
        """An endpoint of this issuer."""
        return f"{self.issuer}{path}"


def check_bind(host: str, allow: bool = False) -> None:
    """Refuses to listen beyond loopback unless `allow`, and says loudly what kind of issuer this is.

    Raises `ConfigurationError`: sample passwords stand on this issuer's login page.
    """
    if not _is_loopback(host) and not allow:
        raise ConfigurationError(
            f"A development issuer does not listen on {host}.",
            hint="It knows sample passwords. Bind a loopback address, or allow it explicitly.",
        )
    log.warning("DEVELOPMENT ISSUER on %s: sample people, sample passwords. Never for production.", host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
