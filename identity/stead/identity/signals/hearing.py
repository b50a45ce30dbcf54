"""What a workload has heard of the issuers that it trusts: which tokens are good no longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from stead.identity.signals.follower import Follower
from stead.identity.signals.revoked import Revoked
from stead.identity.signals.streams import Streams
from stead.identity.values import Principal

Told = Callable[[str, Revoked], None]


class Hearing:
    """Follows each issuer once, while it is entered, and remembers its last word."""

    def __init__(self, follower: Callable[[str, Told], Follower], told: Told) -> None:
        self._make = follower
        self._told = told
        self._followers: dict[str, Follower] = {}
        self._revoked: dict[str, Revoked] = {}
        self.streams = Streams(self.is_revoked)

    def follow(self, issuer: str) -> None:
        """Has the issuer followed, from the next entering on."""
        if issuer not in self._followers:
            self._followers[issuer] = self._make(issuer, self._hear)

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the principal's issuer said that its token, or its session, is over."""
        known = self._revoked.get(principal.issuer)
        return known is not None and known.covers(principal)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Listens inside the block."""
        listening = [
            asyncio.create_task(follower.follow(), name=f"revocations of {issuer}")
            for issuer, follower in self._followers.items()
        ]
        try:
            yield
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    def _hear(self, issuer: str, revoked: Revoked) -> None:
        self._revoked[issuer] = revoked
        self._told(issuer, revoked)
        self.streams.look()
