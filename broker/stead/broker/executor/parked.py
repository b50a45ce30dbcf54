"""Which steps wait for somebody, and what wakes them: a push, a person's answer, a fresher sign-in, a sweep.

Kept in memory: a workflow that is taken up again after a restart parks its steps again.
"""

import asyncio
import logging
import random
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stead.broker.executor import durable
from stead.broker.executor.errands import Errand
from stead.broker.executor.replies import Reply
from stead.identity.types import Json

_log = logging.getLogger(__name__)

WAKE = "wake"
SWEEP = 30.0
"""Seconds between looks at a parked child whose push may have been lost."""
EARLY = 1000
"""Pushes remembered that came before their step waited."""
SETTLING = 10.0
"""Seconds after start in which a step that parks is looked at at once: it may have slept through its push."""


@dataclass
class Waiting:
    """One step that waits. `due` is when the sweep looks at it next."""

    errand: Errand
    reply: Reply
    due: float = 0.0


@dataclass
class Parked:
    """The waiting steps of this process, by the key of their errand."""

    _waiting: dict[str, Waiting] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _started: float = field(default_factory=time.monotonic)
    _calling: Counter[str] = field(default_factory=Counter)
    _called_off: set[str] = field(default_factory=set)
    _early: OrderedDict[str, None] = field(default_factory=OrderedDict)

    @property
    def _young(self) -> bool:
        return time.monotonic() - self._started < SETTLING

    @asynccontextmanager
    async def waiting(self, errand: Errand, reply: Reply) -> AsyncIterator[None]:
        """Registers the step for as long as it waits."""
        self._waiting[errand.key] = Waiting(errand, reply, time.monotonic() + (1.0 if self._young else _interval()))
        if reply.child is not None and reply.child in self._early:
            del self._early[reply.child]
            await wake(errand)
        await self._tell()
        try:
            yield
        finally:
            self._waiting.pop(errand.key, None)

    @asynccontextmanager
    async def calling(self, task: str) -> AsyncIterator[None]:
        """Marks a call of the task as under way."""
        self._calling[task] += 1
        try:
            yield
        finally:
            self._calling[task] -= 1
            if not self._calling[task]:
                del self._calling[task]
                self._called_off.discard(task)
            await self._tell()

    def call_off(self, task: str) -> None:
        """The task was cancelled: what its calls under way start is to be cancelled by them."""
        if task in self._calling:
            self._called_off.add(task)

    def called_off(self, task: str) -> bool:
        """True when the task was cancelled while its call was under way."""
        return task in self._called_off

    async def settled(self, task: str) -> bool:
        """Waits until no call of the task is under way."""
        async with self._changed:
            await self._changed.wait_for(lambda: task not in self._calling)
        return True

    def of_task(self, task: str) -> list[Waiting]:
        """The waiting steps of a task."""
        return [waiting for waiting in self._waiting.values() if waiting.errand.task == task]

    async def hint(self, child: str) -> None:
        """Somebody says that an agent's task changed: its step is to look, or will once it waits."""
        found = [waiting for waiting in self._waiting.values() if waiting.reply.child == child]
        for waiting in found:
            await wake(waiting.errand)
        if not found:
            self._early[child] = None
            if len(self._early) > EARLY:
                self._early.popitem(last=False)

    async def nudge(self, task: str) -> None:
        """The task's person is here with a fresher token: its steps are to look, which renews what the agents keep."""
        for waiting in self.of_task(task):
            await wake(waiting.errand)

    async def decline(self, task: str, challenge: str) -> bool:
        """The person says no. False when no step of the task waits for that challenge, nor begins to in a moment."""
        try:
            async with asyncio.timeout(SETTLING if self._young else 0.5), self._changed:
                while (waiting := self._challenged(task, challenge)) is None:
                    await self._changed.wait()
        except TimeoutError:
            return False
        key = f"{waiting.errand.key}:declined:{challenge}"
        await durable.send(waiting.errand.key, {"declined": challenge}, WAKE, key=key)
        return True

    async def sweep(self, look: Callable[[Errand, str], Awaitable[Reply | None]], pause: float = 1.0) -> None:
        """Looks at each waiting child now and then, and wakes the steps of those that went on."""
        while True:
            await asyncio.sleep(pause)
            now = time.monotonic()
            due = [waiting for waiting in self._waiting.values() if waiting.due <= now]
            for failure in await asyncio.gather(
                *(self._look(waiting, look) for waiting in due), return_exceptions=True
            ):
                if isinstance(failure, Exception):
                    _log.warning("a parked step could not be looked at: %s", type(failure).__name__)

    async def _look(self, waiting: Waiting, look: Callable[[Errand, str], Awaitable[Reply | None]]) -> None:
        waiting.due = time.monotonic() + _interval()
        child = waiting.reply.child
        if child is None:
            return
        seen = await look(waiting.errand, child)
        if seen is not None and waiting.reply.then(seen) != waiting.reply:
            await wake(waiting.errand)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _challenged(self, task: str, challenge: str) -> Waiting | None:
        for waiting in self.of_task(task):
            if any(each.get("id") == challenge for each in waiting.reply.challenges):
                return waiting
        return None


async def wake(errand: Errand) -> None:
    """Has a waiting step look."""
    message: Json = {"look": True}
    await durable.send(errand.key, message, WAKE)


def _interval() -> float:
    return SWEEP * random.uniform(0.8, 1.2)  # noqa: S311
