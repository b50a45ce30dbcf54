"""An RSA key with a certificate that it signed itself: what a provider is given that takes no bare key.

Nobody chains to the certificate; it is the envelope in which the public key is registered, and its digest is the name
by which an assertion says which one signed it.
"""

import datetime
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.tls import thumbprint

BITS = 2048
LIFETIME = datetime.timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Certified:
    """A key pair and its certificate, which is the DER encoding."""

    key: RSAKey = field(repr=False)
    certificate: bytes

    @property
    def thumbprint(self) -> str:
        """`x5t#S256` (RFC 7515 s4.1.8)."""
        return thumbprint(self.certificate)


def certified(home: Home, name: str) -> Certified:
    """The one of a workload, made at the first call. Raises `ConfigurationError` where its file is not readable."""
    return _loaded(home.made_once(f"keys/{name}.pem", lambda: _new(name)), name)


@lru_cache(maxsize=64)
def _loaded(pem: bytes, name: str) -> Certified:
    try:
        key, certificate = load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError):
        raise _unreadable(name) from None
    if not isinstance(key, RSAPrivateKey) or certificate.public_key() != key.public_key():
        raise _unreadable(name)
    return Certified(RSAKey.import_key(pem), certificate.public_bytes(Encoding.DER))


def _unreadable(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The certificate of {name} in the state directory is not readable.",
        hint="The file holds an RSA key and its certificate, as PEM. Put it back, or start anew.",
    )


def _new(name: str) -> bytes:
    key = generate_private_key(65537, BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + _self_signed(name, key).public_bytes(Encoding.PEM)


def _self_signed(name: str, key: RSAPrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.datetime.now(datetime.UTC)
    draft = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(minutes=5),
        not_valid_after=now + LIFETIME,
    )
    return draft.sign(key, hashes.SHA256())
