"""A workload's certificate as its files have it now: whoever renews them need not restart anything.

New connections are made and taken with what the files say when they are. Files that cannot be used, such as halves of
a renewal under way, change nothing.
"""

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stead.identity.client_certificates import KnownCertificate
from stead.identity.errors import ConfigurationError
from stead.identity.tls import TlsFiles, thumbprint, unusable

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in use: for who serves, for who calls, and its thumbprint (RFC 8705 s3.1)."""

    serving: ssl.SSLContext
    calling: ssl.SSLContext
    thumbprint: str


class CertificateSource:
    """Reads the files at once, and again whenever they have changed. Raises `ConfigurationError` at first only.

    `clients` are those whose own word is taken for who they are, where the workload serves.
    """

    def __init__(self, files: TlsFiles, clients: Sequence[KnownCertificate] = ()) -> None:
        self._files = files
        self._clients = tuple(clients)
        self._stamp = self._seen()
        self._current = self._read()

    def current(self) -> Credential:
        """What the files hold; what they held before, while they cannot be used."""
        stamp = self._seen()
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        return self._current

    def server(self) -> ssl.SSLContext:
        """For one listener, for as long as it listens: each handshake is made with what is current."""
        listening = self._read().serving
        listening.sni_callback = self._choose
        return listening

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext) -> None:
        connection.context = self.current().serving

    def _renew(self) -> None:
        try:
            self._current = self._read()
        except ConfigurationError as unusable:
            log.warning("The renewed certificate %s is not used: %s", self._files.certificate, unusable.description)
        else:
            log.info("The certificate %s was renewed.", self._files.certificate)

    def _read(self) -> Credential:
        try:
            return self._loaded()
        except (OSError, ValueError) as error:  # changed while it is read
            raise unusable(error) from None

    def _loaded(self) -> Credential:
        serving = self._files.server()
        for client in self._clients:
            # Who serves believes it, so that the handshake succeeds; it speaks for this one client (RFC 8705 s2.2).
            serving.load_verify_locations(cadata=b"".join(client.own()))
        return Credential(serving, self._files.client(), _thumbprint(self._files.certificate))

    def _seen(self) -> Stamp:
        files, clients = self._files, [client.file for client in self._clients if client.file is not None]
        return tuple(_seen(path) for path in (files.certificate, files.key, files.authorities, *clients))


def _thumbprint(path: Path) -> str:
    """Of the first certificate in a file, which is the workload's own."""
    return thumbprint(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER))


def _seen(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
