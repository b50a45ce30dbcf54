"""From a bearer token to a principal: whom one trusts, with which keys, remembered for a short while.

Knows issuers and caches; how a token is checked is `verification`, how keys are kept is `jwks`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stead.identity.binding import Bindings
from stead.identity.clock import Clock, system_clock
from stead.identity.errors import ConfigurationError, InvalidToken
from stead.identity.jwks import Fetch, JwksCache
from stead.identity.nonces import Nonces
from stead.identity.presented import Presented
from stead.identity.reading import build_principal
from stead.identity.replay import MemoryReplays, Replays
from stead.identity.trust import TrustedIssuer
from stead.identity.values import AccessToken, Principal
from stead.identity.verification import MAX_TOKEN, Unverified, check, decode

__all__ = ["TrustedIssuer", "Verifier"]

REMEMBERED = 60.0
"""Seconds for which a verified token is believed without looking again; never longer than it lives."""
CAPACITY = 4096


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
        *,
        replays: Replays | None = None,
        nonces: Nonces | None = None,
        revoked: Callable[[Principal], bool] = lambda _: False,
    ) -> None:
        self.audience = audience
        self.issuers = tuple(issuers)
        self._trusted = {issuer.issuer: issuer for issuer in issuers}
        self._policies = {issuer.issuer: issuer.policy(audience) for issuer in issuers}
        if len(self._trusted) != len(self.issuers):
            raise ConfigurationError("An issuer is trusted twice.", hint="Name each issuer once.")
        self._clock = clock
        self._jwks = JwksCache(fetch, clock, on_removal=self._forget_issuer)
        self._revoked = revoked
        self._bindings = Bindings(replays or MemoryReplays(clock), clock, nonces)
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
        digest = token.digest
        known = self._verified.get(digest)
        if known is not None and self._clock() < known.until:
            self._verified.move_to_end(digest)
            return self._still_good(known.principal)
        principal = await self._verify_anew(token, decode(text))
        self._remember(digest, principal)
        return self._still_good(principal)

    def _still_good(self, principal: Principal) -> Principal:
        if self._revoked(principal):
            raise InvalidToken("The token has been revoked.", hint="Sign in again.")
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
