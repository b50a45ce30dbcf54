"""One agent on trial: what the checks are made of."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from a2a.types import Task

from stead.demo.conformance.agent import Agent, state_of
from stead.demo.conformance.answering import Answer
from stead.demo.conformance.errors import Fault, Refusal
from stead.demo.conformance.people import People, Person
from stead.demo.conformance.profile import Profile
from stead.demo.conformance.question import Asked, asked, differing, words
from stead.identity.errors import IdentityError

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELED", "REJECTED"})
PARKED = "AUTH_REQUIRED"
_POLL = 0.1


class Backstage(Protocol):
    """What is done and seen behind the agent's back."""

    async def change(self) -> bool:
        """Changes what the agent is about to do. False where nobody said how."""

    async def undo(self) -> None:
        """Puts it back."""

    async def executions(self) -> str | None:
        """A word for how much was executed so far, the same while nothing was; None where nobody said how to know."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A task that waits for its owner."""

    task: Task
    asked: Asked
    key: str

    @property
    def id(self) -> str:
        return self.task.id


@dataclass(slots=True)
class Trial:
    """An agent, its people, and what was learnt so far."""

    profile: Profile
    people: People
    backstage: Backstage
    codes: set[str] = field(default_factory=set, repr=False)
    callback: str | None = None

    @property
    def agent(self) -> Agent:
        """The agent as the owner meets it."""
        return self.people.calling

    @asynccontextmanager
    async def parked(self, metadata: Mapping[str, Any] | None = None) -> AsyncGenerator[Parked, None]:
        """A new task that waits, taken back at the end if it still does. Raises `Fault` when it does not wait."""
        trigger, key = self.profile.trigger, str(uuid4())
        task = await self.agent.send(trigger.parts, key, metadata={**trigger.metadata, **(metadata or {})})
        try:
            task = await self.until(task.id, lambda state: state == PARKED or state in TERMINAL, first=task)
            if state_of(task) != PARKED:
                raise Fault(
                    f"the task is {state_of(task)} and never was AUTH_REQUIRED: {words(task) or 'no reason given'}"
                )
            yield Parked(task, asked(task, self.profile.question), key)
        finally:
            await self._taken_back(task.id)

    async def _taken_back(self, task: str) -> None:
        with suppress(Refusal, IdentityError):
            await self.agent.cancel(task)

    async def until(
        self, task: str, wanted: Callable[[str], bool], *, first: Task | None = None, within: float | None = None
    ) -> Task:
        """The task once its state is as wanted. Raises `Fault` when it never is."""
        seconds = within or self.profile.times.finish
        deadline = time.monotonic() + seconds
        seen = first or await self.agent.get(task)
        while not wanted(state_of(seen)):
            if time.monotonic() > deadline:
                raise Fault(f"after {seconds:.0f} s the task still is {state_of(seen)}")
            await asyncio.sleep(_POLL)
            seen = await self.agent.get(task)
        return seen

    async def ended(self, task: str) -> Task:
        """The task once it is over. Raises `Fault` when it never is."""
        return await self.until(task, TERMINAL.__contains__)

    async def over(self, parked: Parked, expires_at: float) -> Task:
        """The task once its time is over. Raises `Fault` when it goes on waiting."""
        left = max(0.0, expires_at - time.time()) + self.profile.expiry.grace
        return await self.until(parked.id, TERMINAL.__contains__, within=left)

    async def stays(self, task: str, state: str, after: str) -> Task:
        """The task, which must not leave its state for a while. Raises `Fault` when it does."""
        deadline = time.monotonic() + self.profile.times.settle
        while True:
            seen = await self.agent.get(task)
            if state_of(seen) != state:
                raise Fault(f"after {after} the task went from {state} to {state_of(seen)}")
            if time.monotonic() > deadline:
                return seen
            await asyncio.sleep(_POLL)

    async def approved(self, parked: Parked, by: Person | None = None) -> Answer:
        """The answer of a person, the owner if nobody is named, who says yes."""
        answer = await (by or self.people.owner).approve(parked.asked.link)
        self.codes |= answer.secrets
        self.callback = answer.callback or self.callback
        return answer

    async def withheld(self, parked: Parked) -> str | None:
        """The callback that the owner's yes leads to, not opened; None where it is not known where that is."""
        if self.callback is None:
            return None
        return await self.people.owner.answering.withheld(parked.asked.link, self.callback)

    async def count(self) -> int | None:
        """How much was executed so far, where that is a number."""
        said = await self.backstage.executions()
        return int(said) if said is not None and said.isdecimal() else None

    async def completed(self, parked: Parked) -> tuple[Task, Answer]:
        """The task after its owner said yes, done as asked. Raises `Fault` when it is anything else."""
        answer = await self.approved(parked)
        try:
            task = await self.ended(parked.id)
        except Fault as fault:
            raise Fault(f"{fault} though its owner approved and was told: {answer.told}") from None
        if state_of(task) != "COMPLETED":
            raise Fault(f"its owner approved, and the task is {state_of(task)}: {words(task) or answer.told}")
        self.require_pinned(task, parked)
        return task, answer

    def require_pinned(self, task: Task, parked: Parked) -> None:
        """Raises `Fault` when a completed task's result is not what was approved."""
        if others := differing(task, parked.asked.details, self.profile):
            raise Fault(f"what was done is not what was approved: {', '.join(others)} differs in the result")

    @asynccontextmanager
    async def nothing_done(self, what: str) -> AsyncGenerator[None, None]:
        """Raises `Fault` when something was executed within the block."""
        before = await self.backstage.executions()
        yield
        if await self.backstage.executions() != before:
            raise Fault(f"{what}, something was executed")


Check = Callable[[Trial], Awaitable[str]]
"""Says in a sentence what was seen to be right. Raises `Fault` for what was not."""
