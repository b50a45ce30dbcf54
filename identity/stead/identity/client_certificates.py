"""Clients that are known by the certificate of their connection (RFC 8705 s2).

By a name that an authority vouches for (`tls_client_auth`), or as the very certificate that a client signed itself
(`self_signed_tls_client_auth`). Nothing is fetched: both stand in the settings.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from stead.identity.errors import ConfigurationError, InvalidToken

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate raises that is none, or an odd one."""

_SAN = x509.SubjectAlternativeName


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """What a client's certificate must be: exactly one of these members is set (RFC 8705 s2.1.2, s2.2.2).

    `file` holds the PEM of certificates that the client signed itself; more than one while it changes over.
    """

    subject_dn: str | None = None
    san_dns: str | None = None
    san_uri: str | None = None
    san_ip: str | None = None
    san_email: str | None = None
    file: Path | None = None

    def check(self, pem: str | None) -> None:
        """Raises `InvalidToken` unless the certificate that a connection proved to have is this client's."""
        shown = None if pem is None else _read(pem)
        if shown is None:
            raise InvalidToken("This client is known by its certificate, and the connection shows none.")
        if shown.certificate not in self.own() and not self._is_named(shown):
            raise InvalidToken("The certificate of the connection is not this client's.")

    def own(self) -> tuple[bytes, ...]:
        """What is in `file`, as DER. Raises `ConfigurationError` for a certificate that could vouch for others."""
        return () if self.file is None else _self_signed(self.file, _changed(self.file))

    def _is_named(self, shown: "_Shown") -> bool:
        # One that vouches for itself may call itself anything.
        return not shown.vouches_for_itself and (
            (self.subject_dn is not None and shown.subject == _name(self.subject_dn))
            or (self.san_dns is not None and self.san_dns.lower() in shown.dns)
            or (self.san_uri is not None and self.san_uri in shown.uris)
            or (self.san_ip is not None and str(ip_address(self.san_ip)) in shown.addresses)
            or (self.san_email is not None and self.san_email in shown.emails)
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a certificate says of whose it is."""

    certificate: bytes
    subject: x509.Name
    vouches_for_itself: bool
    dns: frozenset[str] = field(default=frozenset())
    uris: frozenset[str] = field(default=frozenset())
    addresses: frozenset[str] = field(default=frozenset())
    emails: frozenset[str] = field(default=frozenset())


@lru_cache(maxsize=1024)
def _read(pem: str) -> _Shown | None:
    try:
        return _shown(x509.load_pem_x509_certificate(pem.encode()))
    except UNREADABLE:
        return None


def _shown(certificate: x509.Certificate) -> _Shown:
    named = _names(certificate)
    return _Shown(
        certificate.public_bytes(Encoding.DER),
        certificate.subject,
        vouches_for_itself=certificate.subject == certificate.issuer,
        dns=frozenset(name.lower() for name in named.get_values_for_type(x509.DNSName)),
        uris=frozenset(named.get_values_for_type(x509.UniformResourceIdentifier)),
        addresses=frozenset(str(address) for address in named.get_values_for_type(x509.IPAddress)),
        emails=frozenset(named.get_values_for_type(x509.RFC822Name)),
    )


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(_SAN).value
    except x509.ExtensionNotFound:
        return _SAN([])


@lru_cache(maxsize=1024)
def _name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(text)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _self_signed(path: Path, _changed: int) -> tuple[bytes, ...]:
    """Whoever believes a certificate believes what it signs: so each must be one that signs itself and nothing else."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, *UNREADABLE):
        found = []
    if not found or not all(_signs_itself_alone(each) for each in found):
        raise ConfigurationError(
            f"{path} holds no certificates that a client signed itself.",
            hint="They are PEM, and each says that it is no authority (basicConstraints: critical, CA:FALSE).",
        )
    return tuple(each.public_bytes(Encoding.DER) for each in found)


def _signs_itself_alone(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
        return not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*UNREADABLE, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
