"""Tokens that were obtained already, each for exactly the party it was obtained for.

Obtaining is single-flight, is done ahead of expiry, and is never remembered when it failed.
"""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import IdentityError, ProviderUnavailable
from stead.identity.flows.wire import TokenSet
from stead.identity.values import AccessToken, Actor

CAPACITY = 4096
AHEAD_SHARE, AHEAD_SECONDS = 0.2, 30.0
"""A token is renewed when less than this share of its life, or fewer than these seconds, are left."""
USABLE = 5.0
"""Seconds a token must have left to be handed out once more."""
PAUSE = 5.0
"""Seconds between attempts to renew ahead while the provider is unavailable."""

Obtain = Callable[[], Awaitable[TokenSet]]
IsOver = Callable[[object, Iterable[object], float], bool]
"""Whether what rests on the login of this session, by a person of these names, and was issued then, is over."""


@dataclass(frozen=True, slots=True)
class ExchangeKey:
    """Whom a token is for, and where. Two calls share a token only if all of this is the same.

    `login` tells one login of a person from another (session, time, strength), so that neither a step-up nor a logout
    is papered over by a token of an older one; `given`, what the person's token allows, that none is had by a better.
    """

    issuer: str
    owner: str
    actor: Actor | None
    audience: str
    scopes: frozenset[str]
    txn: str | None = None
    cnf: str | None = None
    login: tuple[str | int | None, ...] = ()
    given: frozenset[str] = frozenset()

    @property
    def sid(self) -> str | int | None:
        """The session of the login, where the person's token names one."""
        return self.login[1] if len(self.login) > 1 else None


@dataclass(slots=True)
class _Held:
    tokens: TokenSet
    renew_after: float
    since: float


class Exchanges:
    """A bounded cache in front of the token endpoint. One per workload; use it in one event loop, and close it."""

    def __init__(self, clock: Clock = system_clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._held: OrderedDict[ExchangeKey, _Held] = OrderedDict()
        self._flights: dict[ExchangeKey, asyncio.Task[TokenSet]] = {}

    async def get(self, key: ExchangeKey, obtain: Obtain) -> TokenSet:
        """The token for `key`: held, or by `obtain`, once for all who wait. Raises what `obtain` raises.

        `obtain` must ask for exactly what `key` says. It runs in a task of its own, so that one caller's cancellation
        is not everybody's.
        """
        now = self._clock()
        held = self._held.get(key)
        if held is None or held.tokens.expires_at - now <= USABLE:
            return await self._join(key, obtain)
        self._held.move_to_end(key)
        if now >= held.renew_after:
            self._fly(key, obtain)
        return held.tokens

    def forget(self, token: AccessToken) -> None:
        """Drops a token that somebody refused, so that the next call obtains another."""
        for key, held in self._held.items():
            if held.tokens.access_token is token:
                del self._held[key]
                return

    def forget_owner(self, owner: str) -> None:
        """Drops all tokens of one owner, for instance when they sign out."""
        for key in [key for key in self._held if key.owner == owner]:
            del self._held[key]

    def forget_revoked(self, issuer: str, is_over: IsOver) -> None:
        """Drops the tokens that `issuer` gave, or that rest on a login there, where `is_over` says so of the login."""
        for key, held in list(self._held.items()):
            there, _, subject = key.owner.rpartition("|")
            if issuer in (key.issuer, there) and is_over(key.sid, (subject,), held.since):
                del self._held[key]

    async def aclose(self) -> None:
        """Ends what is under way and forgets everything."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._held.clear()

    def __len__(self) -> int:
        return len(self._held)

    async def _join(self, key: ExchangeKey, obtain: Obtain) -> TokenSet:
        flight = self._flights.get(key)
        if flight is not None:
            try:
                return await asyncio.shield(flight)
            except IdentityError:
                pass  # It flew on somebody else's subject token, perhaps a staler one: ours decides for us.
        return await asyncio.shield(self._fly(key, obtain))

    def _fly(self, key: ExchangeKey, obtain: Obtain) -> asyncio.Task[TokenSet]:
        flight = self._flights.get(key)
        if flight is None:
            # A context of its own: the flight serves other callers than the one who happened to start it.
            flight = asyncio.create_task(self._obtain(key, obtain), context=contextvars.Context())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: ExchangeKey, flight: asyncio.Task[TokenSet]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # Seen, also when nobody waited: renewing ahead is an attempt.

    async def _obtain(self, key: ExchangeKey, obtain: Obtain) -> TokenSet:
        try:
            tokens = await obtain()
        except ProviderUnavailable:
            self._postpone(key)
            raise
        except IdentityError:
            # The right is gone, so what was granted while it was there is not used any longer.
            self._held.pop(key, None)
            raise
        self._hold(key, tokens)
        return tokens

    def _postpone(self, key: ExchangeKey) -> None:
        held = self._held.get(key)
        if held is not None:
            held.renew_after = self._clock() + PAUSE

    def _hold(self, key: ExchangeKey, tokens: TokenSet) -> None:
        now = self._clock()
        left = tokens.expires_at - now
        ahead = min(max(left * AHEAD_SHARE, AHEAD_SECONDS), left / 2)
        self._held[key] = _Held(tokens, tokens.expires_at - ahead, now)
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
