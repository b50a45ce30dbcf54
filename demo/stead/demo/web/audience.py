"""Who watches a session's page, and what they have been told. Knows nothing of tasks."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from stead.identity.types import Json

KEPT = 120
"""Events kept for those who come later: the latest of each kind and key, the oldest dropped."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something for the browser. `number` grows over all events of this process."""

    number: int
    kind: str
    data: Json


class Audiences:
    """The audiences of all sessions. `epoch` tells one process's numbers from those of the one before."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._by_session: dict[str, Audience] = {}

    def of(self, session: str) -> "Audience":
        """The session's audience."""
        return self._by_session.setdefault(session, Audience(self))

    def drop(self, session: str) -> None:
        """Forgets what was told; those who still watch keep what they hold."""
        self._by_session.pop(session, None)

    def next_number(self) -> int:
        """A number greater than all before."""
        return next(self._numbers)


class Audience:
    """One session's watchers: its open tabs."""

    def __init__(self, audiences: Audiences) -> None:
        self._audiences = audiences
        self._latest: dict[tuple[str, str], Event] = {}
        self._news = asyncio.Condition()
        self.watchers = 0

    def data(self, kind: str, key: str) -> Json | None:
        """What was last told of this."""
        event = self._latest.get((kind, key))
        return None if event is None else event.data

    async def tell(self, kind: str, key: str, data: Json) -> None:
        """Hands an event to all watchers, and keeps it in place of the one before."""
        async with self._news:
            self._latest.pop((kind, key), None)
            self._latest[kind, key] = Event(self._audiences.next_number(), kind, data)
            while len(self._latest) > KEPT:
                self._latest.pop(next(iter(self._latest)))
            self._news.notify_all()

    async def events(self, after: int, idle: float) -> AsyncIterator[Event | None]:
        """Every event after number `after`, in order; None after `idle` seconds without one."""
        await self._count(1)
        try:
            while True:
                for event in self._newer(after):
                    after = event.number
                    yield event
                if not await self._wait(partial(self._newer, after), idle):
                    yield None
        finally:
            self.watchers -= 1

    async def wait_for_watcher(self, seconds: float) -> None:
        """Until somebody watches, or the time is over."""
        await self._wait(lambda: self.watchers > 0, seconds)

    def _newer(self, after: int) -> list[Event]:
        return [event for event in list(self._latest.values()) if event.number > after]

    async def _count(self, change: int) -> None:
        async with self._news:
            self.watchers += change
            self._news.notify_all()

    async def _wait(self, reason: Callable[[], object], seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: bool(reason()))
                return True
        return False
