"""The logout token: an issuer's signed word that somebody signed out (OpenID Connect Back-Channel Logout 1.0 s2.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stead.identity.errors import InvalidToken
from stead.identity.signals.notebook import Ended
from stead.identity.verification import MAX_NAME, KeySource, TokenPolicy, Unverified, check

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYP = "logout+jwt"
MAX_LIFETIME = 600.0
"""Seconds. s2.4 wants two minutes at most; some issuers take their ID tokens' five."""


@dataclass(frozen=True, slots=True)
class Logout:
    """What a logout token says, and the name by which a second one like it is known."""

    ended: Ended
    jti: str
    expires: float


def logout_policy(issuer: str, client_id: str, algorithms: tuple[str, ...], tolerated: frozenset[str]) -> TokenPolicy:
    """What a logout token for that client must be. Its type is required: no other kind of token is ever one (s2.4)."""
    return TokenPolicy(
        issuer,
        client_id,
        algorithms=algorithms,
        typ=TYP,
        max_lifetime=MAX_LIFETIME,
        required=("jti",),
        audience_list=True,
        tolerated_headers=tolerated,
    )


def read_logout(token: Unverified, keys: KeySource | Mapping[str, Any], policy: TokenPolicy, now: float) -> Logout:
    """What the token says, checked as s2.6 wants it. That it is the first of its `jti` is the caller's to see to.

    Raises `InvalidToken`.
    """
    claims = check(token, keys, policy, now)
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise InvalidToken("The logout token is of no logout.")
    if "nonce" in claims:
        # s2.4: so that no ID token is ever taken for one.
        raise InvalidToken("A logout token has no nonce.")
    sid, subject = _name(claims, "sid"), _name(claims, "sub")
    if sid is None and subject is None:
        raise InvalidToken("The logout token names neither a session nor a person.")
    return Logout(Ended(policy.issuer, claims["iat"], sid, subject), claims["jti"], claims["exp"] + policy.leeway)


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise InvalidToken(f"The logout token has no usable {name} claim.")
    return value
