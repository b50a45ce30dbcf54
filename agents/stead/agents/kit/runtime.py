"""One agent at work in one process: it takes calls, runs them in memory or as durable workflows, and ends them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from a2a.types import Message, TaskState

from stead.agents.kit import durable
from stead.agents.kit.ask import Ask
from stead.agents.kit.calls import Record, actor_of
from stead.agents.kit.ending import Ending, ending_of, interrupted, told
from stead.agents.kit.errors import Canceled
from stead.agents.kit.inmemory import InMemoryAsk
from stead.agents.kit.inworkflow import DurableAsk
from stead.agents.kit.mcp_client import McpClient
from stead.agents.kit.parking import Parking
from stead.agents.kit.skill import Skill
from stead.agents.kit.storage import Storage, opened
from stead.agents.kit.wire import Call, new_task
from stead.identity.errors import ConfigurationError, InvalidRequest, ProviderUnavailable
from stead.identity.patience import patient
from stead.identity.telemetry import happened, names
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, Principal, acting_for
from stead.identity.workload import Workload

Servers = Mapping[str, tuple[str, tuple[str, ...]]]
"""For each MCP client, its server's URL and the scopes to ask for there."""


class Runtime:
    """Runs the skills of one agent. Enter `lifespan` before the first call."""

    def __init__(
        self,
        workload: Workload,
        skills: Mapping[str, Skill],
        servers: Servers,
        gifts: Mapping[type, Any],
        patience: float,
    ) -> None:
        self.workload = workload
        self.skills = skills
        self._servers = servers
        self._gifts = gifts
        self._patience = patience
        self._parking: Parking | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._accepting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def parking(self) -> Parking:
        """Where calls wait. Raises `ConfigurationError` before `lifespan`."""
        if self._parking is None:
            raise ConfigurationError("The agent is not started.", hint="Its app needs the ASGI lifespan.")
        return self._parking

    @property
    def storage(self) -> Storage:
        """What is kept."""
        return self.parking.storage

    @property
    def ready(self) -> bool:
        """Whether calls can be taken."""
        return self._parking is not None

    @property
    def needs(self) -> list[Json]:
        """What the skills ask of MCP servers, and how: what this agent has to be given when it joins a network.

        A server that is called by a person's consent alone is not among them: that right is the person's to give.
        """
        found = {
            (url, scopes, "s2s" if skill.grant is Grant.S2S else "obo")
            for skill in self.skills.values()
            if skill.provider is None
            for url, scopes in (self._servers[name] for name in skill.clients)
        }
        return [{"audience": url, "scopes": list(scopes), "mode": mode} for url, scopes, mode in sorted(found)]

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None, None]:
        """Opens what is kept, takes up what the last process left, and at the end puts everything down again."""
        async with opened(self.workload.home, self.workload.name, self.workload.settings.vault) as storage:
            self._parking = Parking(self.workload, storage, self._patience)
            await self._take_up()
            try:
                yield
            finally:
                await self._put_down()
                self._parking = None

    async def accept(
        self, call: Call, message: Message, principal: Principal, arrival: Arrival | None, push: str | None
    ) -> str:
        """The task of this call: a new one, or the one it had when it was made before. Atomic.

        Raises `InvalidRequest` when the caller's key was used for another call.
        """
        task, made = str(uuid4()), self.workload.clock()
        record = Record(task, message.message_id, call.skill.id, call.input, principal, arrival, push, made)
        # By the call alone: what is kept of one may wait for the vault's keys, and no other waits with it.
        async with self._accepting.setdefault(record.key, asyncio.Lock()):
            known = await self.storage.calls.add(record)
            if known == task:
                await self._begin(record, message)
            else:
                await self._recognize(known, record, message)
        return known

    async def _begin(self, record: Record, message: Message) -> None:
        if self._durable(record):
            await self.parking.keep(record, record.principal)
        await self.storage.board.add(new_task(record.task, message), record.principal.owner)
        if record.arrival is not None:
            self.workload.journal.bind(record.arrival.hop, record.task)
        await self._start(record)

    async def _recognize(self, task: str, again: Record, message: Message) -> None:
        first = await self.storage.calls.get(task)
        if (first.skill, first.input) != (again.skill, again.input):
            raise InvalidRequest("This messageId was used for another call.", hint="Use a new one for each call.")
        if await self.storage.board.get(task, again.principal.owner) is None:
            await self._begin(replace(again, task=task), message)

    async def _start(self, record: Record) -> None:
        if self._durable(record):
            await durable.start(record.task)
            return
        running = asyncio.create_task(self._run_in_memory(record))
        self._running[record.task] = running
        running.add_done_callback(lambda _: self._running.pop(record.task, None))

    def _durable(self, record: Record) -> bool:
        return self.skills[record.skill].durable

    def _in_memory(self, record: Record) -> bool:
        """Unlike a call of a skill that is durable, or that this agent does not have any more."""
        return record.skill in self.skills and not self._durable(record)

    async def _run_in_memory(self, record: Record) -> None:
        await self._show_working(record)
        ask = InMemoryAsk(record, self.storage.board)
        with acting_for(record.principal, record.arrival):
            ending = await self._perform(record, ask, record.principal)
        await self._end(record, ending)

    async def run(self, task: str) -> None:
        """Runs a durable call to its end: the body of its workflow."""
        record = await self.storage.calls.get(task)
        principal = await patient(lambda: self.parking.principal(record))
        provider = self.skills[record.skill].provider
        where = None if provider is None else provider(self.workload.network)
        await durable.step("begin", lambda: self._show_working(record))
        with ExitStack() as identity:
            identity.enter_context(acting_for(principal, record.arrival))
            ask = DurableAsk(record, self.parking, where, identity)
            ending = await self._perform(record, ask, principal)
        await durable.step("end", lambda: patient(lambda: self._end(record, ending)))
        await self.parking.tell(task, TaskState.Name(ending.task_state))

    async def notify(self, task: str, url: str, state: str) -> None:
        """Tells a receiver that the task changed. Raises `ProviderUnavailable` when it should be tried again."""
        await self.parking.notify(task, url, state)

    async def _perform(self, record: Record, ask: Ask, principal: Principal) -> Ending:
        skill = self.skills[record.skill]
        clients = {name: self._client(name, skill, record, ask) for name in skill.clients}
        gifts = {**self._gifts, Ask: ask, Principal: principal}
        return await ending_of(skill, lambda: skill.call(record.input, gifts, clients))

    def _client(self, name: str, skill: Skill, record: Record, ask: Ask) -> McpClient:
        url, scopes = self._servers[name]
        parking = self.parking
        return McpClient(
            self.workload,
            name,
            url,
            scopes,
            skill.grant,
            once=ask.once,
            reveal=lambda consent: parking.reveal(record, consent),
        )

    async def _show_working(self, record: Record) -> None:
        await self.storage.board.move(record.task, record.principal.owner, TaskState.TASK_STATE_WORKING)

    async def _end(self, record: Record, ending: Ending) -> None:
        """Forgets every credential that the call had, and then shows how it ended. Repeatable."""
        owner, made = record.principal.owner, ending.artifact(record.skill)
        if not self._in_memory(record):  # which keeps none, so that none waits for the vault
            await self.storage.vault.forget(owner, record.task)
        await self.storage.board.move(record.task, owner, ending.task_state, ending.parts(), artifact=made)
        happened(names.ENDED, TASK=record.task)
        await self.storage.calls.end(record.task)

    async def cancel(self, task: str) -> bool:
        """Takes a call back, if nothing was done yet that lasts. False when it is too late."""
        running = self._running.get(task)
        if running is None:
            return await self.parking.withdraw(await self.storage.calls.get(task))
        running.cancel()
        record = await self.storage.calls.get(task)
        await self._end(record, told("CANCELED", Canceled(f"{record.principal.name} took the request back.")))
        return True

    async def open_to(self, caller: Principal, tasks: Sequence[str]) -> frozenset[str]:
        """Those of a person's tasks that the caller itself started for them, and has the right to start."""
        records = (await self.storage.calls.among(tasks)).values()
        return frozenset(record.task for record in records if self._is_open_to(caller, record))

    def _is_open_to(self, caller: Principal, record: Record) -> bool:
        skill = self.skills.get(record.skill)
        return actor_of(caller) == record.actor and skill is not None and caller.scopes.issuperset(skill.scopes)

    async def renew(self, task: str, caller: Principal) -> None:
        """Takes the caller's token for a call that waits, if it is fresher and of the same person and actors."""
        record = await self.storage.calls.get(task)
        if self._durable(record):
            # Whoever looks after a task is told of it all the same.
            with suppress(ProviderUnavailable):
                await self.parking.renew(record, caller)

    async def _take_up(self) -> None:
        if self.outlives:
            durable.launch(self, self.workload.name, self.workload.home.database(f"{self.workload.name}-workflows"))
        for record in await self.storage.calls.open():
            await self._resume(record)

    async def _resume(self, record: Record) -> None:
        """A durable call goes on. Any other was cut off before it had changed anything, so its caller may try again."""
        task = await self.storage.board.get(record.task, record.principal.owner)
        if task is not None and record.skill in self.skills and self._durable(record):
            await durable.start(record.task)
            await self.parking.remind(record.task)
            return
        if task is not None:
            await self._end(record, interrupted())
        await self.storage.calls.end(record.task, forget_key=True)

    async def _put_down(self) -> None:
        running = list(self._running.values())
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self.outlives:
            await durable.close()

    @property
    def outlives(self) -> bool:
        """Whether some skill's calls outlive the process."""
        return any(skill.durable for skill in self.skills.values())
