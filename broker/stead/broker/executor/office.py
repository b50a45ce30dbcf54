"""What the workflows of this process work with. DBOS calls plain functions, so the one office is found by `current`."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from stead.broker.executor.agents import Agents
from stead.broker.executor.parked import Parked
from stead.broker.executor.subjects import Subjects
from stead.broker.executor.tools import Tools
from stead.broker.planner import Planner
from stead.broker.registry import Registry
from stead.identity.errors import ConfigurationError
from stead.identity.types import Json
from stead.identity.workload import Workload


@dataclass(frozen=True, slots=True)
class At:
    """Where a change belongs: its task, the task's owner, and its number within the task."""

    task: str
    owner: str
    number: int


class Board(Protocol):
    """Where a task is shown. Each change has a number within its task, and is shown once, however often it is told."""

    async def artifact(self, at: At, name: str, data: Json, text: str = "") -> None:
        """Shows an artifact, in place of an earlier one of the same name."""

    async def time_allowed(self, task: str, owner: str) -> float | None:
        """The seconds that the task's caller allows a person for an answer, if it said so."""

    async def status(self, at: At, state: str, text: str = "", data: Any = None) -> None:
        """Shows a state: "working", "auth_required", "input_required", "completed", "rejected" or "failed"."""


@dataclass
class Office:
    """The parts of the broker, put together."""

    workload: Workload
    registry: Registry
    planner: Planner
    subjects: Subjects
    agents: Agents
    tools: Tools
    board: Board
    parked: Parked = field(default_factory=Parked)


_offices: list[Office] = []


def open_office(office: Office) -> None:
    """Makes `office` the one of this process. Raises `ConfigurationError` when there is one."""
    if _offices:
        raise ConfigurationError("This process already runs a broker.", hint="One per process.")
    _offices.append(office)


def close_office() -> None:
    """Closes the office."""
    _offices.clear()


def current() -> Office:
    """The office of this process."""
    return _offices[-1]
