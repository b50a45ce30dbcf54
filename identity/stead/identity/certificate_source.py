"""A workload's certificate as its files have it now: whoever renews them need not restart anything.

New connections are made and taken with what the files say when they are. Files that cannot be used, such as halves of
a renewal under way, change nothing.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stead.identity.errors import ConfigurationError
from stead.identity.tls import TlsFiles, thumbprint

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in use: for who serves, for who calls, and its thumbprint (RFC 8705 s3.1)."""

    serving: ssl.SSLContext
    calling: ssl.SSLContext
    thumbprint: str


class CertificateSource:
    """Reads the files at once, and again whenever they have changed. Raises `ConfigurationError` at first only."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = _stamp(files)
        self._current = _read(files)

    def current(self) -> Credential:
        """What the files hold; what they held before, while they cannot be used."""
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        return self._current

    def server(self) -> ssl.SSLContext:
        """For one listener, for as long as it listens: each handshake is made with what is current."""
        listening = _read(self._files).serving
        listening.sni_callback = self._choose
        return listening

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext) -> None:
        connection.context = self.current().serving

    def _renew(self) -> None:
        try:
            self._current = _read(self._files)
        except ConfigurationError as unusable:
            log.warning("The renewed certificate %s is not used: %s", self._files.certificate, unusable.description)
        else:
            log.info("The certificate %s was renewed.", self._files.certificate)


def _read(files: TlsFiles) -> Credential:
    return Credential(files.server(), files.client(), _thumbprint(files.certificate))


def _thumbprint(path: Path) -> str:
    """Of the first certificate in a file, which is the workload's own."""
    return thumbprint(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER))


def _stamp(files: TlsFiles) -> Stamp:
    return tuple(_seen(path) for path in (files.certificate, files.key, files.authorities))


def _seen(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
