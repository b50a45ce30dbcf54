"""The tasks as callers see them: stored per owner, changed in one place, watched by whoever is there.

A terminal state is final, whatever comes later. Watching costs nothing when nobody watches.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from a2a.auth.user import User
from a2a.server.context import ServerCallContext
from a2a.server.tasks.database_task_store import DatabaseTaskStore
from a2a.types import (
    Artifact,
    ListTasksRequest,
    ListTasksResponse,
    Part,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatusUpdateEvent,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.agents.kit.wire import SETTLED, TERMINAL, status

Event = Task | TaskStatusUpdateEvent | TaskArtifactUpdateEvent


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


class Board:
    """All tasks of one agent."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._store = DatabaseTaskStore(engine, owner_resolver=lambda context: context.user.user_name)
        self._watchers: defaultdict[str, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Makes the table."""
        await self._store.initialize()

    async def add(self, task: Task, owner: str) -> None:
        """Stores a new task."""
        await self._store.save(task, _context(owner))

    async def get(self, task_id: str, owner: str) -> Task | None:
        """The owner's task of this id. Somebody else's does not exist."""
        return await self._store.get(task_id, _context(owner))

    async def list(self, request: ListTasksRequest, owner: str) -> ListTasksResponse:
        """The owner's tasks."""
        return await self._store.list(request, _context(owner))

    async def move(
        self,
        task_id: str,
        owner: str,
        state: TaskState,
        parts: Sequence[Part] = (),
        *,
        extensions: Sequence[str] = (),
        artifact: Artifact | None = None,
    ) -> bool:
        """Puts the task into a state, with a message and perhaps a result. False when it was over already."""
        async with self._changing:
            task = await self._store.get(task_id, _context(owner))
            if task is None or task.status.state in TERMINAL:
                return False
            if task.status.state in SETTLED and task.status.HasField("message"):
                task.history.append(task.status.message)
            if artifact is not None:
                task.artifacts.append(artifact)
            task.status.CopyFrom(status(state, task, parts, extensions))
            await self._store.save(task, _context(owner))
        self._tell(task, artifact)
        return True

    async def settled(self, task_id: str, owner: str, within: float) -> Task | None:
        """The task once it is over or parked, or as it is after `within` seconds."""
        async with aclosing(self.watch(task_id, owner, within)) as events:
            async for event in events:
                if not isinstance(event, TaskArtifactUpdateEvent) and event.status.state in SETTLED:
                    break
        return await self.get(task_id, owner)

    async def watch(self, task_id: str, owner: str, within: float) -> AsyncGenerator[Event, None]:
        """The task now, then what happens to it, until it is over or `within` seconds have passed."""
        deadline = asyncio.get_running_loop().time() + within
        with self._watching(task_id) as news:
            task = await self.get(task_id, owner)
            if task is None:
                return
            yield task
            over = task.status.state in TERMINAL
            while not over:
                event = await _before(deadline, news)
                if event is None:
                    return
                yield event
                over = isinstance(event, TaskStatusUpdateEvent) and event.status.state in TERMINAL

    def _tell(self, task: Task, artifact: Artifact | None) -> None:
        for queue in self._watchers.get(task.id, ()):
            if artifact is not None:
                queue.put_nowait(
                    TaskArtifactUpdateEvent(
                        task_id=task.id, context_id=task.context_id, artifact=artifact, last_chunk=True
                    )
                )
            queue.put_nowait(TaskStatusUpdateEvent(task_id=task.id, context_id=task.context_id, status=task.status))

    @contextmanager
    def _watching(self, task_id: str) -> Iterator[asyncio.Queue[Event]]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watchers[task_id].add(queue)
        try:
            yield queue
        finally:
            self._watchers[task_id].discard(queue)
            if not self._watchers[task_id]:
                del self._watchers[task_id]


async def _before(deadline: float, news: asyncio.Queue[Event]) -> Event | None:
    # The generator is resumed by whichever task reads the stream, so no time-out may span its yields.
    try:
        return await asyncio.wait_for(news.get(), deadline - asyncio.get_running_loop().time())
    except TimeoutError:
        return None


def _context(owner: str) -> ServerCallContext:
    return ServerCallContext(user=Owner(owner))
