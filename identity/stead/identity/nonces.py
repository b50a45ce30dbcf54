"""Nonces that a server wants to find in proofs (RFC 9449 s8 and s9): a proof cannot have been made long before.

Nothing is kept. A nonce is a time under a key, which the replicas of a workload share.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import NonceRequired

LIFETIME = 120
"""Seconds for which a nonce is good; every answer brings a new one."""


class Nonces:
    """Makes nonces and knows its own again."""

    def __init__(self, secret: bytes, clock: Clock = system_clock) -> None:
        self._secret = secret
        self._clock = clock

    def fresh(self) -> str:
        """A nonce as of now."""
        return self._made(int(self._clock()))

    def require(self, nonce: str | None) -> None:
        """Raises `NonceRequired`, with a fresh one, unless `nonce` is one of these and not old."""
        made = (nonce or "").partition(".")[0]
        now = int(self._clock())
        # A digit more than any time has would only cost time; the mac says the rest.
        when = int(made) if made.isascii() and made.isdecimal() and len(made) <= 12 else -1
        is_ours = nonce is not None and secrets.compare_digest(nonce.encode(), self._made(when).encode())
        if not is_ours or not now - LIFETIME < when <= now:
            raise NonceRequired(
                "The DPoP proof lacks this server's nonce.", hint="Use the one in DPoP-Nonce.", nonce=self.fresh()
            )

    def _made(self, when: int) -> str:
        mac = hmac.digest(self._secret, str(when).encode(), "sha256")[:16]
        return f"{when}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"
