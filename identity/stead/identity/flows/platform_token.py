"""A workload that is known by what its platform says of it: a token in a file (RFC 7523 s2.2).

Kubernetes projects one for a service account, SPIRE's agent writes a JWT-SVID. Whoever writes the file renews it, so it
is read anew for every request and never kept.
"""

import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stead.identity.errors import ProviderUnavailable
from stead.identity.peek import peek_claims
from stead.identity.values import AccessToken
from stead.identity.verification import MAX_TOKEN

Kind = Literal["jwt-bearer", "jwt-spiffe"]
"""What the token is: a JWT of the platform (RFC 7523), or a JWT-SVID (draft-ietf-oauth-spiffe-client-auth)."""
TYPES = {kind: f"urn:ietf:params:oauth:client-assertion-type:{kind}" for kind in ("jwt-bearer", "jwt-spiffe")}
REMAINING = 5.0
"""Seconds that it must have left to be worth sending."""


@dataclass(frozen=True, slots=True)
class PlatformToken:
    """Where the token lies, and for whom it must have been made: `audience`, the issuer it is sent to."""

    path: Path
    audience: str
    kind: Kind = "jwt-bearer"

    def __call__(self, now: float) -> tuple[str, str]:
        """The type of the assertion, and the assertion as it is in the file now.

        Raises `ProviderUnavailable` for one that is not there, ran out, or is for another audience: then it goes to
        nobody.
        """
        text = self._read()
        claims = peek_claims(AccessToken(text))
        expires, audience = claims.get("exp"), claims.get("aud")
        if not isinstance(expires, int | float) or not math.isfinite(expires) or expires <= now + REMAINING:
            raise _unusable("has run out", "Look whether the platform still renews it.")
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise _unusable("is for another audience", f"Have it made for {self.audience}.")
        if self.kind == "jwt-spiffe" and not str(claims.get("sub")).startswith("spiffe://"):
            raise _unusable("names no SPIFFE ID", "Have the agent write a JWT-SVID.")
        return TYPES[self.kind], text

    def _read(self) -> str:
        try:
            # Non-blocking: a pipe in its place would hold up everybody.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                raw = file.read(MAX_TOKEN + 1) if regular else b""
            text = raw.decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable("cannot be read", "See the file of workload_token.", type(error).__name__) from None
        if not 0 < len(text) <= MAX_TOKEN:
            raise _unusable("is empty, or too long to be one", "See the file of workload_token.")
        return text


def _unusable(why: str, hint: str, debug: str | None = None) -> ProviderUnavailable:
    return ProviderUnavailable(f"The token that this workload's platform gave it {why}.", hint=hint, debug=debug)
