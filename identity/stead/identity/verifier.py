"""From a bearer token to a principal: whom one trusts, with which keys, remembered for a short while.

Knows issuers and caches; how a token is checked is `verification`, how keys are kept is `jwks`.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from stead.identity.binding import Bindings
from stead.identity.clock import Clock, system_clock
from stead.identity.confirmation import Confirmation
from stead.identity.errors import ConfigurationError, InvalidToken
from stead.identity.jwks import Fetch, JwksCache
from stead.identity.presented import Presented
from stead.identity.replay import MemoryReplays, Replays
from stead.identity.values import AccessToken, Actor, Grant, Principal
from stead.identity.verification import MAX_TOKEN, TokenPolicy, Unverified, check, decode

REMEMBERED = 60.0
"""Seconds for which a verified token is believed without looking again; never longer than it lives."""
CAPACITY = 4096


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer whose tokens are accepted, and where its claims say what ours say.

    `roles` may be a path (`realm_access.roles`). Without `jwks_uri` the issuer's metadata names the keys (RFC 8414).
    """

    issuer: str
    algorithms: tuple[str, ...] = ("ES256",)
    jwks_uri: str | None = None
    subject: str = "sub"
    client: str = "client_id"
    scopes: str = "scope"
    roles: str = "roles"
    identifier: str = "jti"
    typ: str = "at+jwt"
    max_lifetime: float = 3600
    audience_list: bool = False
    tolerated_headers: frozenset[str] = frozenset()

    def policy(self, audience: str) -> TokenPolicy:
        """What a token of this issuer must be at `audience`."""
        return TokenPolicy(
            self.issuer,
            audience,
            algorithms=self.algorithms,
            typ=self.typ,
            max_lifetime=self.max_lifetime,
            required=(self.subject, self.client, self.identifier),
            audience_list=self.audience_list,
            bound=True,
            tolerated_headers=self.tolerated_headers,
        )


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    until: float


class Verifier:
    """Turns tokens for `audience` into principals. For one event loop.

    A verified token is remembered by its digest: bounded, for at most a minute, and forgotten when its issuer
    withdraws a key or `forget` says so.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        audience: str,
        fetch: Fetch,
        clock: Clock = system_clock,
        replays: Replays | None = None,
    ) -> None:
        self.audience = audience
        self.issuers = tuple(issuers)
        self._trusted = {issuer.issuer: issuer for issuer in issuers}
        self._policies = {issuer.issuer: issuer.policy(audience) for issuer in issuers}
        if len(self._trusted) != len(self.issuers):
            raise ConfigurationError("An issuer is trusted twice.", hint="Name each issuer once.")
        self._clock = clock
        self._jwks = JwksCache(fetch, clock, on_removal=self._forget_issuer)
        self._bindings = Bindings(replays or MemoryReplays(clock), clock)
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: AccessToken, presented: Presented | None = None) -> Principal:
        """Who bears `token`. Raises `InvalidToken`, or `ProviderUnavailable` where no keys are to be had.

        `presented` is what the request shows beside it; a token that is bound to a key is good with its proof only.
        """
        principal = await self.recognize(token)
        self._bindings.check(principal.confirmation, token, presented)
        return principal

    async def recognize(self, token: AccessToken) -> Principal:
        """Who bears a token that was proven to this workload before, and kept by it. Raises as `verify` does."""
        text = token.reveal()
        if len(text) > MAX_TOKEN:
            raise InvalidToken(f"The token is longer than {MAX_TOKEN} characters.")
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and self._clock() < known.until:
            self._verified.move_to_end(digest)
            return known.principal
        principal = await self._verify_anew(token, decode(text))
        self._remember(digest, principal)
        return principal

    def forget(self, revoked: Callable[[Principal], bool]) -> None:
        """Stops believing the remembered tokens of which `revoked` is true."""
        for digest in [digest for digest, known in self._verified.items() if revoked(known.principal)]:
            del self._verified[digest]

    async def _verify_anew(self, token: AccessToken, unverified: Unverified) -> Principal:
        trusted = self._choose_issuer(unverified.issuer)
        keys = await self._jwks.keys(trusted.issuer, unverified.kid, jwks_uri=trusted.jwks_uri)
        claims = check(unverified, keys, self._policies[trusted.issuer], self._clock())
        return build_principal(claims, trusted, self.audience, token)

    def _choose_issuer(self, issuer: object) -> TrustedIssuer:
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise InvalidToken(
                "The token comes from an issuer that this service does not trust.",
                hint=f"Trusted here: {', '.join(self._trusted)}.",
            )
        return trusted

    def _remember(self, digest: bytes, principal: Principal) -> None:
        now = self._clock()
        until = min(now + REMEMBERED, principal.expires_at)
        if until <= now:
            return
        self._verified[digest] = _Verified(principal, until)
        self._verified.move_to_end(digest)
        if len(self._verified) > CAPACITY:
            self._verified.popitem(last=False)

    def _forget_issuer(self, issuer: str) -> None:
        self.forget(lambda principal: principal.issuer == issuer)


def build_principal(
    claims: Mapping[str, Any], trusted: TrustedIssuer, audience: str, token: AccessToken | None
) -> Principal:
    """The principal that verified `claims` describe, read as `trusted` writes them. Raises `InvalidToken`."""
    subject, client_id = str(claims[trusted.subject]), str(claims[trusted.client])
    actor = Actor.from_claim(claims["act"]) if "act" in claims else None
    return Principal(
        issuer=trusted.issuer,
        subject=subject,
        audience=audience,
        client_id=client_id,
        scopes=_scopes(claims.get(trusted.scopes)),
        jti=str(claims[trusted.identifier]),
        expires_at=int(claims["exp"]),
        grant=_grant(claims, subject, client_id, actor),
        actor=actor,
        txn=_optional_text(claims, "txn"),
        confirmation=Confirmation.from_claim(claims["cnf"]) if "cnf" in claims else None,
        claims=MappingProxyType({**claims, "roles": _roles(claims, trusted.roles)}),
        token=token,
    )


def _grant(claims: Mapping[str, Any], subject: str, client_id: str, actor: Actor | None) -> Grant:
    if "authorization_details" in claims:
        return Grant.IN_TASK
    if actor is not None:
        return Grant.OBO
    return Grant.S2S if subject == client_id else Grant.LOGIN


def _scopes(value: object) -> frozenset[str]:
    """A space-separated string (RFC 8693 s4.2), or a list of strings as some issuers write it."""
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(_texts(value, "scope"))


def _roles(claims: Mapping[str, Any], path: str) -> list[str]:
    value = claims.get(path)
    if value is None and "." in path:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return [] if value is None else _texts(value, "roles")


def _texts(value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidToken(f"The token's {what} claim is malformed.")
    return value


def _optional_text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidToken(f"The token's {name} claim is malformed.")
    return value
