"""A call that lives as long as its process: enough for whatever changes nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from a2a.types import TaskState

from stead.agents.kit.ask import Consent
from stead.agents.kit.board import Board
from stead.agents.kit.calls import Record
from stead.agents.kit.wire import text_part
from stead.identity.challenge import PinnedOperation
from stead.identity.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InMemoryAsk:
    """An `Ask` that keeps nothing."""

    record: Record
    board: Board

    @property
    def task(self) -> str:
        return self.record.task

    @property
    def txn(self) -> str | None:
        return self.record.principal.txn

    @property
    def key(self) -> str:
        return self.record.key

    async def progress(self, text: str) -> None:
        state = TaskState.TASK_STATE_WORKING
        await self.board.move(self.record.task, self.record.principal.owner, state, [text_part(text)])

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        return await work()

    async def authorize(self, operation: PinnedOperation) -> Consent:
        raise ConfigurationError(f"The skill {self.record.skill} has no provider, so it cannot ask a person.")
