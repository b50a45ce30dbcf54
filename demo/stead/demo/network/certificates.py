"""A certificate authority for development: it vouches for the services of one network, on this machine alone.

Its key lies in the state directory, beside those of the workloads. It can vouch for nothing but loopback addresses (RFC
5280 s4.2.1.10), so a browser that believes it is at no other risk.
"""

import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home

FOLDER = "tls"
AUTHORITY = "development-authority"
_LIVES, _AUTHORITY_LIVES = datetime.timedelta(days=90), datetime.timedelta(days=365)
_EARLIER = datetime.timedelta(minutes=5)
"""Clocks differ."""

_LOOPBACK = (
    x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
    x509.DNSName("localhost"),
)
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_CA_USES = ("key_cert_sign", "crl_sign")


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, home: Home) -> "Authority":
        """The one of the state directory, made if there is none, or none for much longer.

        Raises `ConfigurationError` where its files are not readable.
        """
        folder = home.folder(FOLDER)
        try:
            kept = cls(*_read(folder))
        except FileNotFoundError:
            return cls.new(home)
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"The certificate authority in {folder} is not readable.", hint="Remove the folder to have another."
            ) from None
        return kept if kept.certificate.not_valid_after_utc > _now() + _LIVES else cls.new(home)

    @classmethod
    def new(cls, home: Home) -> "Authority":
        """Another one, in the place of what was there."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("stead development authority")
        certificate = _certificate(
            name, name, key.public_key(), signer=key, extensions=_of_authority(key), lives=_AUTHORITY_LIVES
        )
        _write(home, AUTHORITY, certificate, key)
        return cls(certificate, key)

    def issue(self, home: Home, name: str, host: str) -> Path:
        """A certificate for the workload `name` at a loopback address, with a new key; where it lies."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = _of_workload(key, self.certificate, name, host)
        subject = self.certificate.subject
        certificate = _certificate(
            _named(name), subject, key.public_key(), signer=self.key, extensions=extensions, lives=_LIVES
        )
        return _write(home, name, certificate, key)


def settings_section(home: Home) -> Mapping[str, str | bool]:
    """The section `tls` of the settings by which every service finds its own files."""
    folder = home.folder(FOLDER)
    return {
        "certificate": f"{folder}/{{name}}.pem",
        "key": f"{folder}/{{name}}-key.pem",
        "authorities": f"{folder}/{AUTHORITY}.pem",
        "binds": True,
    }


def _read(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = x509.load_pem_x509_certificate((folder / f"{AUTHORITY}.pem").read_bytes())
    key = load_pem_private_key((folder / f"{AUTHORITY}-key.pem").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key of ours")
    return certificate, key


def _write(home: Home, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
    """The key first: who reads in between has a pair that does not fit, and goes on with what it has."""
    kept = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    home.write(f"{FOLDER}/{name}-key.pem", kept)
    home.write(f"{FOLDER}/{name}.pem", certificate.public_bytes(Encoding.PEM))
    return home.path / FOLDER / f"{name}.pem"


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    signer: ec.EllipticCurvePrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    lives: datetime.timedelta,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    builder = builder.not_valid_before(_now() - _EARLIER).not_valid_after(_now() + lives)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())


def _of_authority(key: ec.EllipticCurvePrivateKey) -> Sequence[tuple[x509.ExtensionType, bool]]:
    return (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage(_CA_USES), True),
        (x509.NameConstraints(permitted_subtrees=_LOOPBACK, excluded_subtrees=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )


def _of_workload(
    key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, name: str, host: str
) -> Sequence[tuple[x509.ExtensionType, bool]]:
    signer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [x509.IPAddress(ipaddress.ip_address(host)), x509.UniformResourceIdentifier(f"urn:stead:{name}")]
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(("digital_signature",)), True),
        (x509.ExtendedKeyUsage(both), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), False),
    )


def _key_usage(uses: Sequence[str]) -> x509.KeyUsage:
    said = {use: use in uses for use in (*_USES, *_CA_USES)}
    return x509.KeyUsage(**said, encipher_only=False, decipher_only=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
