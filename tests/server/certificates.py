"""A certificate authority for one test: it vouches for a server on loopback, and for its clients."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stead.identity.tls import TlsFiles, thumbprint

DAY = datetime.timedelta(days=1)
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@dataclass
class Authority:
    """Signs certificates and writes them to files."""

    folder: Path
    name: str = "Test authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        extensions = [x509.BasicConstraints(ca=True, path_length=0)]
        self.certificate = self._sign(self.name, self.key, extensions)
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def files(self, name: str, authorities: Path | None = None, *names: x509.GeneralName) -> TlsFiles:
        """A new key and its certificate, for loopback and for more `names`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, [x509.SubjectAlternativeName([LOOPBACK, *names])])
        return _written(self.folder, name, certificate, key, authorities or self.file)

    def der(self, name: str, extensions: Sequence[x509.ExtensionType]) -> bytes:
        """A certificate for a key that nobody keeps."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(name, key, extensions).public_bytes(serialization.Encoding.DER)

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, extensions: Sequence[x509.ExtensionType]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())


def self_signed(
    folder: Path, name: str, believed: Path, *, authority: bool | None = False, signs: str | None = None
) -> TlsFiles:
    """A certificate that vouches for itself, as one that is no authority unless said; `signs` another in its place."""
    own = Authority(folder, f"{name} itself")
    says = [] if authority is None else [x509.BasicConstraints(ca=authority, path_length=None)]
    own.name = name
    certificate = own._sign(name, own.key, says)
    files = _written(folder, name, certificate, own.key, believed)
    if signs is None:
        return files
    key = ec.generate_private_key(ec.SECP256R1())
    made = _written(folder, signs, own._sign(signs, key, []), key, believed)
    made.certificate.write_bytes(made.certificate.read_bytes() + files.certificate.read_bytes())
    return made


def _written(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, believed: Path
) -> TlsFiles:
    files = TlsFiles(folder / f"{name}.crt", folder / f"{name}.key", believed)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def thumbprint_of(files: TlsFiles) -> str:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    return thumbprint(certificate.public_bytes(serialization.Encoding.DER))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
