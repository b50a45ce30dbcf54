"""A client assertion by a certificate: `private_key_jwt` where a provider registers certificates instead of keys.

RSA with PSS, and the digest of the certificate in the header, as Microsoft Entra has it.
"""

import secrets
import uuid
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.jwk import RSAKey

from stead.identity.flows.client_assertion import ASSERTION_LIFETIME, ASSERTION_TYPE


@dataclass(frozen=True, slots=True)
class CertificateAssertion:
    """Signs in the name of `client_id`, for `issuer` alone. `thumbprint` is the certificate's `x5t#S256`."""

    client_id: str
    issuer: str
    key: RSAKey = field(repr=False)
    thumbprint: str

    def __call__(self, now: float) -> tuple[str, str]:
        """The type of the assertion, and a new one, good once."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
            "nbf": int(now),
            "iat": int(now),
            "exp": int(now) + ASSERTION_LIFETIME,
        }
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint}
        return ASSERTION_TYPE, jwt.encode(header, claims, self.key, algorithms=["PS256"])
