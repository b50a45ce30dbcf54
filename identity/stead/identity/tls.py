"""Both sides of a TLS connection: what is shown, who is believed, and which certificate a client came with.

A token may be bound to that certificate (RFC 8705 s3); the connection is the proof, and it is made once.
"""

import hashlib
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stead.identity.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A workload's own certificate (with its chain) and key, and the authorities by which it knows the others: PEM."""

    certificate: Path
    key: Path
    authorities: Path

    def server(self) -> ssl.SSLContext:
        """For who serves: a client may show a certificate, and one that no authority vouches for ends the handshake.

        Raises `ConfigurationError` where the files are not to be used.
        """
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        # Health and metadata need none; a token that is bound to one is not good without.
        context.verify_mode = ssl.CERT_OPTIONAL
        # A resumed session shows a certificate that may not be believed any more: TLS 1.2 keeps sessions, 1.3 need not.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        return context

    def client(self) -> ssl.SSLContext:
        """For who calls: the server must be whom its certificate names, and is shown ours when it asks."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    def _context(self, side: Any) -> ssl.SSLContext:
        context = _believing(side, self.authorities)
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except FileNotFoundError:
            missing = next((one for one in (self.certificate, self.key) if not one.exists()), self.certificate)
            raise ConfigurationError(
                f"The setting tls names {missing}, which is not there.", hint=f"`stead certs {missing.stem}` makes one."
            ) from None
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise unusable(error) from None
        return context


def believing(authorities: Path) -> ssl.SSLContext:
    """For who calls without a certificate of its own: servers that these authorities vouch for, and no others.

    Raises `ConfigurationError` where the file is not to be used.
    """
    return _believing(ssl.PROTOCOL_TLS_CLIENT, authorities)


def _believing(side: Any, authorities: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525 s6.3: a common name is no host.
    context.hostname_checks_common_name = False
    try:
        context.load_verify_locations(authorities)
    except (OSError, ValueError) as error:
        raise unusable(error) from None
    return context


def unusable(error: Exception) -> ConfigurationError:
    """The error for files that are not what the setting says; nothing of them is in it."""
    return ConfigurationError(
        "The files of the setting tls cannot be used.",
        hint="They are PEM; certificate and key belong together, and the key has no password.",
        debug=type(error).__name__,
    )


def thumbprint(certificate: bytes) -> str:
    """The `x5t#S256` of a DER certificate: its SHA-256 digest, base64url without padding (RFC 8705 s3.1)."""
    return urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def shown_certificate(scope: Mapping[str, Any]) -> str | None:
    """The thumbprint of the certificate that the client of this connection proved to have; None where it showed none.

    The server says so by the ASGI TLS extension. No header does: anybody writes headers (but see `Proxied`).
    """
    pem = shown_pem(scope)
    return None if pem is None else _of_pem(pem)


def shown_pem(scope: Mapping[str, Any]) -> str | None:
    """The same certificate itself."""
    extensions = scope.get("extensions")
    shown = extensions.get("tls") if extensions else None
    chain = shown.get("client_cert_chain") if shown and not shown.get("client_cert_error") else None
    return chain[0] if chain else None


def extension_of(connection: ssl.SSLObject) -> dict[str, Any]:
    """The ASGI TLS extension of an established connection; the chain is the client's own certificate."""
    certificate = connection.getpeercert(binary_form=True)
    chain = [] if certificate is None else [ssl.DER_cert_to_PEM_cert(certificate)]
    return {"server_cert": None, "client_cert_chain": chain, "client_cert_name": None, "client_cert_error": None}


@lru_cache(maxsize=1024)
def _of_pem(pem: str) -> str | None:
    try:
        return thumbprint(ssl.PEM_cert_to_DER_cert(pem.strip()))
    except ValueError:
        return None


def _no_password() -> str:
    """Asked for only when the key has one: then it is no key for a process that starts by itself."""
    raise ValueError
