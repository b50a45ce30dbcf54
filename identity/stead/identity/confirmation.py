"""How a token says which key its bearer must have (RFC 7800, RFC 9449 s6, RFC 8705 s3.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stead.identity.errors import InvalidToken

JKT, X5T = "jkt", "x5t#S256"
_METHODS = (JKT, X5T, "jwk", "jwe", "kid", "jku", "osc")
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The key that a token is bound to: the thumbprint of a JWK (DPoP), or of a client certificate (mutual TLS).

    `thumbprint` is the SHA-256 digest, base64url without padding.
    """

    method: str
    thumbprint: str

    @classmethod
    def from_claim(cls, claim: object) -> "Confirmation":
        """Reads a `cnf` claim. Raises `InvalidToken` for one that names no key, several, or in a way not known here.

        Members that name no key are passed over (RFC 7800 s3.1): Keycloak notes there how the key was shown.
        """
        named = {} if not isinstance(claim, Mapping) else {name: claim[name] for name in _METHODS if name in claim}
        if len(named) != 1 or not named.keys() <= {JKT, X5T}:
            raise InvalidToken("The token is bound to its bearer in a way that is not known here.")
        method, thumbprint = named.popitem()
        if not isinstance(thumbprint, str) or not _SHA256.fullmatch(thumbprint):
            raise InvalidToken("The token's cnf claim is malformed.")
        return cls(method, thumbprint)

    def __str__(self) -> str:
        """As records have it: `jkt:…`, `x5t#S256:…`."""
        return f"{self.method}:{self.thumbprint}"

    def as_claim(self) -> dict[str, str]:
        """The `cnf` claim."""
        return {self.method: self.thumbprint}
