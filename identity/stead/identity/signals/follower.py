"""Follows the feeds of the issuers that have one, for as long as a workload is at work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stead.identity.clock import Clock
from stead.identity.errors import IdentityError, ProviderUnavailable
from stead.identity.flows.discovery import Metadata
from stead.identity.jwks import Fetch, JwksCache
from stead.identity.signals.feed import Reading, fetch_feed, place_of, read_feed
from stead.identity.signals.revoked import Revoked
from stead.identity.types import Flow
from stead.identity.verification import decode

EVERY = 2.0
"""Seconds between two readings: a revocation is known everywhere within five."""
AGAIN = 60.0
"""Seconds after which an issuer that had no feed is asked again."""
_log = logging.getLogger(__name__)

Run = Callable[[Flow[Reading | None]], Awaitable[Reading | None]]


class Follower:
    """One issuer's feed. While it cannot be read, what was revoked stays so, and tokens last at most their own life."""

    def __init__(
        self,
        issuer: str,
        *,
        metadata: Callable[[str], Awaitable[Metadata]],
        run: Run,
        fetch: Fetch,
        clock: Clock,
        told: Callable[[str, Revoked], None],
    ) -> None:
        self.issuer = issuer
        self._metadata = metadata
        self._run = run
        self._clock = clock
        self._told = told
        self._jwks = JwksCache(fetch, clock, on_removal=lambda _: None)
        self._etag: str | None = None
        self._failing = False

    async def follow(self) -> None:
        """Never returns."""
        while True:
            try:
                place = place_of(await self._metadata(self.issuer))
                if place is None:
                    await asyncio.sleep(AGAIN)
                    continue
                await self.read(place)
                self._failing = False
            except IdentityError as failure:
                self._failed(failure)
            await asyncio.sleep(EVERY)

    async def read(self, place: str) -> None:
        """Reads once, and tells what is revoked if that changed. Raises `ProviderUnavailable`."""
        reading = await self._run(fetch_feed(place, self._etag))
        if reading is None:
            return
        try:
            kid = decode(reading.event).kid
        except IdentityError:
            raise ProviderUnavailable("The feed of revocations is not signed.") from None
        keys = await self._jwks.keys(self.issuer, kid)
        self._told(self.issuer, read_feed(reading, keys, self.issuer, place, now=self._clock()))
        self._etag = reading.etag

    def _failed(self, failure: IdentityError) -> None:
        if not self._failing:
            _log.warning(
                "the revocations of %s cannot be read, and count at a token's end only: %s",
                self.issuer,
                failure.description,
            )
        self._failing = True
