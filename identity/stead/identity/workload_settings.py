"""How workloads are known to each other without keys that they made themselves, as settings."""

import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from pydantic import model_validator

from stead.identity.client_certificates import KnownCertificate
from stead.identity.flows.platform_token import Kind, PlatformToken
from stead.identity.issuer_settings import Algorithms, Positive, Strict
from stead.identity.platform_tokens import TrustedWorkload
from stead.identity.tls import TlsFiles, believing


class WorkloadTokenSettings(Strict):
    """Where the platform writes the token by which this workload is known; see `PlatformToken`."""

    file: Path
    kind: Kind = "jwt-bearer"
    audience: str | None = None

    def platform_token(self, issuer: str) -> PlatformToken:
        """The value a client takes."""
        return PlatformToken(self.file, self.audience or issuer, self.kind)


class ClientCertificateSettings(Strict):
    """By which certificate the embedded issuer knows a client; see `KnownCertificate`."""

    subject_dn: str | None = None
    san_dns: str | None = None
    san_uri: str | None = None
    san_ip: str | None = None
    san_email: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "ClientCertificateSettings":
        if sum(value is not None for value in dict(self).values()) != 1:
            raise ValueError("exactly one member says which certificate it is")
        if self.subject_dn is not None:
            _require_name(self.subject_dn)
        if self.san_ip is not None:
            ip_address(self.san_ip)
        return self

    def known(self) -> KnownCertificate:
        """The value the issuer takes."""
        return KnownCertificate(**dict(self))


def _require_name(text: str) -> None:
    try:
        x509.Name.from_rfc4514_string(text)
    except ValueError:
        raise ValueError("subject_dn is no distinguished name, such as CN=broker,O=FinPort (RFC 4514)") from None


class TlsSettings(Strict):
    """This workload's certificate, and whom it believes; see `TlsFiles`. `binds`: its tokens are bound to it.

    `{name}` in a path stands for the workload's name, so that one file of settings serves a whole network.
    """

    certificate: Path
    key: Path
    authorities: Path
    binds: bool = False
    proxies: tuple[ClientCertificateSettings, ...] = ()

    def files(self, name: str) -> TlsFiles:
        """What the connections of the workload `name` are made with."""
        return TlsFiles(*(_named(path, name) for path in (self.certificate, self.key, self.authorities)))

    def believed(self) -> ssl.SSLContext:
        """What a person's own client believes, which shows no certificate. Raises `ConfigurationError`."""
        return believing(self.authorities)


def _named(path: Path, name: str) -> Path:
    return Path(str(path).replace("{name}", name))


class WorkloadSettings(Strict):
    """A client of the embedded issuer that is known by its platform's token; see `TrustedWorkload`."""

    subject: str
    jwks_file: Path
    issuer: str | None = None
    kind: Kind = "jwt-bearer"
    audience: str | None = None
    algorithms: Algorithms = ("ES256", "RS256")
    max_lifetime: Positive = 7200

    def trusted(self) -> TrustedWorkload:
        """The value the issuer takes."""
        return TrustedWorkload(**dict(self))
