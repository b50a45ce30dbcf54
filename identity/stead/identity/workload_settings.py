"""How workloads are known to each other without keys that they made themselves, as settings."""

import ssl
from pathlib import Path

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


class TlsSettings(Strict):
    """This workload's certificate, and whom it believes; see `TlsFiles`. `binds`: its tokens are bound to it.

    `{name}` in a path stands for the workload's name, so that one file of settings serves a whole network.
    """

    certificate: Path
    key: Path
    authorities: Path
    binds: bool = False

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
