"""The tasks as their owners see them: stored, changed in one place, watched by whoever is there.

A change has a number within its task and is made once, however often a restarted workflow tells it. A terminal state is
final. Watching costs nothing when nobody watches.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from a2a.auth.user import User
from a2a.server.context import ServerCallContext
from a2a.server.tasks.database_task_store import DatabaseTaskStore
from a2a.types import (
    Artifact,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.broker.executor.office import At
from stead.broker.registry.cards import IN_TASK_EXTENSION
from stead.broker.structs import to_json, to_value
from stead.identity.challenge import answer_within
from stead.identity.types import Json

Event = Task | TaskStatusUpdateEvent | TaskArtifactUpdateEvent
_NUMBER = "seq"

STATES = {
    "working": TaskState.TASK_STATE_WORKING,
    "auth_required": TaskState.TASK_STATE_AUTH_REQUIRED,
    "input_required": TaskState.TASK_STATE_INPUT_REQUIRED,
    "completed": TaskState.TASK_STATE_COMPLETED,
    "rejected": TaskState.TASK_STATE_REJECTED,
    "failed": TaskState.TASK_STATE_FAILED,
    "canceled": TaskState.TASK_STATE_CANCELED,
}
TERMINAL = frozenset(STATES[name] for name in ("completed", "rejected", "failed", "canceled"))
INTERRUPTED = frozenset(STATES[name] for name in ("auth_required", "input_required"))


class Owner(User):
    """Whose tasks these are: issuer and subject."""

    def __init__(self, key: str) -> None:
        self._key = key

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self._key


class TaskBoard:
    """All tasks of the broker."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._store = DatabaseTaskStore(engine, owner_resolver=lambda context: context.user.user_name)
        self._watchers: defaultdict[str, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Makes the table."""
        await self._store.initialize()

    async def add(self, task: Task, owner: str) -> bool:
        """Stores a new task. False when it is there already."""
        async with self._changing:
            if await self.get(task.id, owner) is not None:
                return False
            await self._store.save(task, _context(owner))
        return True

    async def get(self, task: str, owner: str) -> Task | None:
        """The owner's task of this id. Somebody else's does not exist."""
        return await self._store.get(task, _context(owner))

    async def time_allowed(self, task: str, owner: str) -> float | None:
        """The seconds that the task's caller allows a person for an answer, if it said so."""
        shown = await self.get(task, owner)
        return time_allowed(shown.history[0]) if shown is not None and shown.history else None

    async def list(self, request: ListTasksRequest, owner: str) -> ListTasksResponse:
        """The owner's tasks."""
        return await self._store.list(request, _context(owner))

    async def artifact(self, at: At, name: str, data: Json, text: str = "") -> None:
        """Shows an artifact, in place of an earlier one of the same name."""
        made = Artifact(artifact_id=name, name=name, parts=[*_text(text), Part(data=to_value(data))])

        def change(shown: Task) -> Event:
            kept = [artifact for artifact in shown.artifacts if artifact.artifact_id != name]
            del shown.artifacts[:]
            shown.artifacts.extend([*kept, made])
            return TaskArtifactUpdateEvent(
                task_id=shown.id, context_id=shown.context_id, artifact=made, append=False, last_chunk=True
            )

        await self._change(at.task, at.owner, change, at.number)

    async def status(self, at: At, state: str, text: str = "", data: Any = None) -> None:
        """Shows a state, with its message."""
        await self._change(at.task, at.owner, lambda shown: _to_state(shown, state, text, data), at.number)

    async def end(self, task: str, owner: str, state: str, text: str) -> bool:
        """Ends a task from outside its workflow. False when it was over already."""
        return await self._change(task, owner, lambda shown: _to_state(shown, state, text, None))

    async def hear(self, task: str, owner: str, message: Message) -> None:
        """Adds a message of the owner to the task's history."""

        def change(shown: Task) -> None:
            shown.history.append(message)

        await self._change(task, owner, change)

    async def watch(self, task: str, owner: str, within: float) -> AsyncGenerator[Event, None]:
        """The task now, then what happens to it, until it is over or `within` seconds have passed."""
        until = asyncio.get_running_loop().time() + within
        with self._watching(task) as news:
            shown = await self.get(task, owner)
            if shown is None:
                return
            yield shown
            over = shown.status.state in TERMINAL
            while not over:
                try:
                    async with asyncio.timeout_at(until):
                        event = await news.get()
                except TimeoutError:
                    return
                yield event
                over = isinstance(event, TaskStatusUpdateEvent) and event.status.state in TERMINAL

    async def _change(self, task: str, owner: str, change: Any, number: int | None = None) -> bool:
        async with self._changing:
            shown = await self.get(task, owner)
            if shown is None or shown.status.state in TERMINAL:
                return False
            if number is not None:
                if number <= _number(shown):
                    return False
                shown.metadata[_NUMBER] = number
            event = change(shown)
            await self._store.save(shown, _context(owner))
            if event is not None:
                for queue in self._watchers.get(task, ()):
                    queue.put_nowait(event)
        return True

    @contextmanager
    def _watching(self, task: str) -> Iterator[asyncio.Queue[Event]]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watchers[task].add(queue)
        try:
            yield queue
        finally:
            self._watchers[task].discard(queue)
            if not self._watchers[task]:
                del self._watchers[task]


def new_task(task: str, message: Message) -> Task:
    """The task that a message starts."""
    context = message.context_id if 0 < len(message.context_id) <= 36 else str(uuid4())
    first = Message()
    first.CopyFrom(message)
    first.task_id, first.context_id = task, context
    status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
    status.timestamp.GetCurrentTime()
    return Task(id=task, context_id=context, status=status, history=[first])


def time_allowed(message: Message) -> float | None:
    """The same of a message. Raises `InvalidRequest` like `answer_within`."""
    return answer_within(to_json(message.metadata).get(IN_TASK_EXTENSION))


def _to_state(shown: Task, state: str, text: str, data: Any) -> TaskStatusUpdateEvent:
    if shown.status.HasField("message"):
        shown.history.append(shown.status.message)
    status = TaskStatus(state=STATES[state])
    status.timestamp.GetCurrentTime()
    parts = [*_text(text), *([] if data is None else [Part(data=to_value(data))])]
    if parts:
        status.message.CopyFrom(_message(shown, parts, state))
    shown.status.CopyFrom(status)
    return TaskStatusUpdateEvent(task_id=shown.id, context_id=shown.context_id, status=status)


def _message(shown: Task, parts: Sequence[Part], state: str) -> Message:
    extensions = [IN_TASK_EXTENSION] if state == "auth_required" else []
    return Message(
        message_id=str(uuid4()),
        role=Role.ROLE_AGENT,
        task_id=shown.id,
        context_id=shown.context_id,
        parts=parts,
        extensions=extensions,
    )


def _number(shown: Task) -> int:
    """The number of the last change."""
    kept = shown.metadata.fields.get(_NUMBER)
    return int(kept.number_value) if kept is not None else 0


def _text(text: str) -> list[Part]:
    return [Part(text=text)] if text else []


def _context(owner: str) -> ServerCallContext:
    return ServerCallContext(user=Owner(owner))
