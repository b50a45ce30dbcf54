"""How a process meets its callers: by which TLS, at which address, behind which proxies. A value, from settings."""

import ssl
from dataclasses import dataclass

from stead.identity.client_certificates import KnownCertificate


@dataclass(frozen=True, slots=True)
class Transport:
    """`tls` for an https address; `listen` where that is another than the service's own, which a proxy answers at.

    `proxies` are those whose word counts for which certificate a client showed them (RFC 9440).
    """

    tls: ssl.SSLContext | None = None
    listen: str | None = None
    proxies: tuple[KnownCertificate, ...] = ()
