"""Access tokens of this issuer that come back to it: verified like anybody's, and looked up, since here we know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.identity.confirmation import X5T, Confirmation
from stead.identity.errors import InvalidToken
from stead.identity.server.browser import session_is_live
from stead.identity.server.calls import Call
from stead.identity.server.errors import Refused, invalid_token
from stead.identity.server.issued import Issued, find_issued
from stead.identity.server.issuer import Issuer
from stead.identity.server.proofs import proven_key
from stead.identity.values import AccessToken, Grant
from stead.identity.verification import TokenPolicy, Unverified, check, decode


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A true token of ours that is still good, with its record."""

    claims: Mapping[str, Any] = field(repr=False)
    issued: Issued

    @property
    def audience(self) -> str:
        return str(self.claims["aud"])

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(str(self.claims.get("scope", "")).split())

    @property
    def grant(self) -> Grant:
        """By what right it goes: the same reading as everywhere in the network."""
        if "authorization_details" in self.claims:
            return Grant.IN_TASK
        if "act" in self.claims:
            return Grant.OBO
        return Grant.S2S if self.claims["sub"] == self.claims["client_id"] else Grant.LOGIN


def read_own(issuer: Issuer, token: str) -> OwnToken:
    """The token, whatever its audience. Raises `InvalidToken` when it is not true, or not good any more."""
    unverified = decode(token)
    claims = check(unverified, issuer.keys, _policy(issuer, unverified), issuer.now())
    issued = find_issued(issuer.store, claims["jti"])
    if issued is None or issued.revoked:
        raise InvalidToken("The token has been revoked.", hint="Sign in again.")
    if issued.sid is not None and not session_is_live(issuer.store, issued.sid, issuer.now()):
        raise InvalidToken("The session of this token has ended.", hint="Sign in again.")
    return OwnToken(claims, issued)


def require_bearer(issuer: Issuer, call: Call, scope: str) -> OwnToken:
    """The bearer of a call to this issuer itself. Raises `Refused` (RFC 6750 s3.1), with status 401 or 403."""
    scheme, _, text = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "dpop") or not text:
        raise invalid_token("The call needs a token of this issuer.")
    try:
        own = read_own(issuer, text.strip())
    except InvalidToken as error:
        raise invalid_token(error.description, hint=error.hint) from None
    _require_proof(issuer, call, own, scheme.lower(), AccessToken(text.strip()))
    if own.audience != issuer.name:
        raise invalid_token("The token is for another audience.", hint=f"Ask for one for {issuer.name}.")
    if scope not in own.scopes:
        raise Refused("insufficient_scope", f"This needs the scope {scope}.", status=403)
    return own


def _require_proof(issuer: Issuer, call: Call, own: OwnToken, scheme: str, token: AccessToken) -> None:
    """A bound token comes with proof of its key, under its own scheme (RFC 9449 s7, RFC 8705 s3)."""
    try:
        key = proven_key(issuer, call, token)
    except Refused as refused:
        refused.status_code = 401  # RFC 9449 s7.1 and s9: a resource is asked for here, and no token
        raise
    claim = own.claims.get("cnf")
    bound = None if claim is None else Confirmation.from_claim(claim)
    if bound is not None and bound.method == X5T:
        is_proven = scheme == "bearer" and key is None and call.certificate == bound.thumbprint
    else:
        is_proven = (scheme == "dpop") == (bound is not None) and (bound is None or bound.thumbprint == key)
    if not is_proven:
        raise invalid_token("The token is bound to a key, or is not, and was not sent so.", hint="RFC 9449, section 7.")


def _policy(issuer: Issuer, unverified: Unverified) -> TokenPolicy:
    """Our own clock made the times, so nothing is forgiven; the audience is for the caller of this module to judge."""
    audience = unverified.claims.get("aud")
    if not isinstance(audience, str):
        raise InvalidToken("The token has no single audience.")
    return TokenPolicy(issuer.name, audience, leeway=0, bound=True)
