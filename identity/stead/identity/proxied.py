"""A proxy that ends TLS and tells which certificate the client showed it (RFC 9440).

Anybody writes headers, so the header counts only on a connection that itself shows the certificate of a proxy which the
settings name. That certificate is then nobody's: whoever comes through without one has none.
"""

import ssl
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from stead.identity.client_certificates import KnownCertificate
from stead.identity.errors import IdentityError
from stead.identity.tls import shown_pem
from stead.identity.types import ASGIApp, Receive, Scope, Send

HEADER = b"client-cert"
MAX_CERTIFICATE = 16_384


class Proxied:
    """Puts the client's certificate in the place of the proxy's, for the app behind it."""

    def __init__(self, app: ASGIApp, proxies: Sequence[KnownCertificate]) -> None:
        self._app = app
        self._proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and self._is_proxy(shown_pem(scope)):
            scope = {**scope, "extensions": {**scope["extensions"], "tls": _told(scope)}}
        await self._app(scope, receive, send)

    def _is_proxy(self, pem: str | None) -> bool:
        return pem is not None and any(_is(proxy, pem) for proxy in self._proxies)


def _is(proxy: KnownCertificate, pem: str) -> bool:
    try:
        proxy.check(pem)
    except IdentityError:
        return False
    return True


def _told(scope: Scope) -> Mapping[str, Any]:
    """The ASGI TLS extension as if the client had connected itself."""
    said = [value for name, value in scope["headers"] if name == HEADER]
    pem = _pem(said[0]) if len(said) == 1 else None
    return {**scope["extensions"]["tls"], "client_cert_chain": [] if pem is None else [pem]}


def _pem(value: bytes) -> str | None:
    """One structured byte sequence (RFC 8941 s3.3.5, RFC 9440 s2.1); anything else is no certificate."""
    text = value.strip()
    if not (2 < len(text) <= MAX_CERTIFICATE and text.startswith(b":") and text.endswith(b":")):
        return None
    try:
        return ssl.DER_cert_to_PEM_cert(b64decode(text[1:-1], validate=True))
    except ValueError:
        return None
