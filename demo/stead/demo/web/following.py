"""Following tasks until they end, for those who watch and for those who closed the tab.

While somebody watches, the broker's stream and the trail are followed and every change is handed to the watchers. While
nobody does, the task is asked for now and then with a fresh token: that is how the agents that wait keep acting for a
person who is still signed in (a session that is over renews nothing).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress

from stead.demo.web.audience import Audience, Audiences, Event
from stead.demo.web.broker import Broker
from stead.demo.web.session import Session, Sessions
from stead.demo.web.turns import Turn, read_turn
from stead.identity.errors import IdentityError, InvalidRequest, InvalidToken
from stead.identity.types import Json

RENEW = 120.0
"""Seconds between renewals of a task that waits: well within the life of a token."""
LIFE = 180.0
"""Seconds that a token must still live to renew anything: more than until the next renewal."""
TRAIL_WAIT = 20
QUIET, ROUNDS = 3.0, 20
"""A trail may still grow after its task has ended, until so many seconds bring nothing new; and how often at most."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0

_log = logging.getLogger(__name__)


class Following:
    """All tasks under way of all sessions of this process. Use as a context manager."""

    def __init__(
        self, broker: Broker, sessions: Sessions, show: Callable[[Session, Turn, int], Awaitable[Json]]
    ) -> None:
        self.audiences = Audiences()
        self._broker = broker
        self._sessions = sessions
        self._show = show
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def __aenter__(self) -> "Following":
        for session, task in self._sessions.open_tasks():
            self.follow(session, task)
        return self

    async def __aexit__(self, *_: object) -> None:
        running = list(self._tasks.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def follow(self, session: Session, task: str) -> None:
        """Follows a task until it ends or the session does. Once is enough; again does nothing."""
        place = (session.key, task)
        if place not in self._tasks:
            self._tasks[place] = asyncio.create_task(self._until_end(session, task), name=f"follow {task}")
            self._tasks[place].add_done_callback(lambda _: self._tasks.pop(place, None))

    async def leave(self, session: Session) -> None:
        """Stops everything of a session that is over, and tells its open pages so."""
        for (key, _), running in list(self._tasks.items()):
            if key == session.key:
                running.cancel()
        await self._over(session)
        self.audiences.drop(session.key)

    async def told(self, session: Session, task: Json) -> Json:
        """A task that was just read: told to all tabs, and returned as the browser gets it."""
        turn, audience = read_turn(task), self.audiences.of(session.key)
        known = audience.data("turn", turn.task)
        if known is not None and turn.is_open and not known["open"]:
            return known  # read before it ended, arrived after
        shown = await self._show(session, turn, self.audiences.next_number())
        await audience.tell("turn", turn.task, shown)
        if turn.is_open:
            self.follow(session, turn.task)
        else:
            self._sessions.settled(session, turn.task)
        return shown

    async def events(self, session: Session, after: int, idle: float) -> AsyncIterator[Event | None]:
        """Every event after number `after`, the latest of each kind; None after `idle` seconds without one."""
        async for event in self.audiences.of(session.key).events(after, idle):
            yield event

    async def _until_end(self, session: Session, task: str) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                trail = group.create_task(self._follow_trail(session, task))
                await self._follow_task(session, task)
                trail.cancel()
            await self._settle(session, task)
        except* InvalidToken:
            await self._over(session)
        except* IdentityError as failures:
            _log.info("no longer following %s: %s", task, failures.exceptions[0])

    async def _over(self, session: Session) -> None:
        told = {"kind": "session", "text": "The session has ended."}
        await self.audiences.of(session.key).tell("notice", "session", told)

    async def _follow_task(self, session: Session, task: str) -> None:
        audience, pause = self.audiences.of(session.key), FIRST_PAUSE
        while True:
            try:
                if await self._look(session, task) or await self._watch(session, task, audience):
                    return
                pause = FIRST_PAUSE
            except (InvalidToken, InvalidRequest):
                raise
            except IdentityError as failure:
                await self._trouble(audience, failure)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _look(self, session: Session, task: str) -> bool:
        """Asks for the task with a fresh token, which renews those of the agents that wait. True when it has ended."""
        if self._sessions.by_key(session.key) is None:
            raise InvalidToken("The session has ended.")
        shown = await self.told(session, await self._broker.task(session, task, life=LIFE))
        await self._trouble(self.audiences.of(session.key), None)
        return not shown["open"]

    async def _watch(self, session: Session, task: str, audience: Audience) -> bool:
        """Looks at every change while somebody watches. Returns in time for a renewal; True when the task has ended."""
        if not audience.watchers:
            await audience.wait_for_watcher(RENEW)
            return False
        # A task that ended since it was looked at has no changes any more, and its next look says so.
        with suppress(TimeoutError, InvalidRequest):
            async with asyncio.timeout(RENEW), aclosing(self._broker.changes(session, task)) as changes:
                async for _ in changes:
                    if await self._look(session, task):
                        return True
            # A stream that closes at once, because the task waits or the broker has nothing more to say.
            await asyncio.sleep(FIRST_PAUSE)
        return False

    async def _trouble(self, audience: Audience, failure: IdentityError | None) -> None:
        """Says that the broker is away, or that it is back; each once."""
        text = " ".join(filter(None, (failure.description, failure.hint))) if failure else None
        known = audience.data("notice", "broker")
        if (known["text"] if known else None) != text:
            await audience.tell("notice", "broker", {"kind": "broker", "text": text})

    async def _follow_trail(self, session: Session, task: str) -> None:
        audience, pause = self.audiences.of(session.key), FIRST_PAUSE
        version: int | None = None
        while True:
            if not audience.watchers:
                await audience.wait_for_watcher(RENEW)
                continue
            try:
                version = await self._read_trail(session, task, version, TRAIL_WAIT)
                pause = FIRST_PAUSE
            except IdentityError as failure:
                _log.info("the trail of %s cannot be read yet: %s", task, failure)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _settle(self, session: Session, task: str) -> None:
        """The last hops arrive a moment after the task has ended."""
        known: int | None = None
        for _ in range(ROUNDS):
            with suppress(IdentityError):
                version = await self._read_trail(session, task, known, QUIET)
                if version == known:
                    return
                known = version

    async def _read_trail(self, session: Session, task: str, after: int | None, wait: float) -> int:
        trail = await self._broker.trail(session, task, after=after, wait=wait)
        version = int(trail.get("version", 0))
        if version != after:
            await self.audiences.of(session.key).tell("trail", task, trail)
        return version
