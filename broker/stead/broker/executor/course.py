"""One task under way: its numbered changes, its plan, and what its steps said so far."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stead.broker.executor.office import At, Office
from stead.broker.executor.replies import Reply
from stead.broker.plans import Plan, Step
from stead.identity.types import Json

_SHOWN = {
    "completed": "done",
    "refused": "refused",
    "failed": "failed",
    "canceled": "canceled",
    "working": "running",
    "parked": "parked",
    "sign_in": "parked",
}

_RESTS = {
    "completed": "completed",
    "rejected": "refused",
    "failed": "failed",
    "input_required": "input-required",
}


@dataclass
class Course:
    """Where a task is. It shows what changes, each change under the next number: the same again after a restart."""

    office: Office
    task: str
    owner: str
    arrival: Json | None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def artifact(self, name: str, data: Json, text: str = "") -> None:
        """Shows an artifact, in place of an earlier one of the same name."""
        await self.office.board.artifact(self._at(), name, data, text)

    async def status(self, state: str, text: str = "", data: Any = None) -> None:
        """Shows a state. One in which the task rests is also how the hop that brought it ended."""
        await self.office.board.status(self._at(), state, text, data)
        if state in _RESTS and self.arrival is not None:
            self.office.workload.journal.outcome(hop=self.arrival["hop"], outcome=_RESTS[state])

    def _at(self) -> At:
        return At(self.task, self.owner, next(self._numbers))


@dataclass
class Progress:
    """How far a plan has got."""

    plan: Plan
    replies: dict[str, Reply] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """True when every step has its last reply."""
        return all(step.id in self.replies and not self.replies[step.id].waits for step in self.plan.steps)

    def ready(self) -> list[Step]:
        """The steps that may start now: all that they need is done."""
        return [step for step in self.plan.steps if step.id not in self.started and self._served(step)]

    def doomed(self) -> list[Step]:
        """The steps that can never start: something that they need was not done."""
        return [step for step in self.plan.steps if step.id not in self.started and self.missed(step)]

    def missed(self, step: Step) -> list[Reply]:
        """What the step needs and will not get."""
        ended = [self.replies[need] for need in step.needs if need in self.replies]
        return [reply for reply in ended if not reply.waits and reply.state != "completed"]

    def outputs(self) -> Json:
        """What the finished steps gave."""
        return {step: reply.output for step, reply in self.replies.items() if reply.state == "completed"}

    def waiting(self) -> list[Reply]:
        """The steps that wait for the person."""
        return [reply for reply in self.replies.values() if reply.state in ("parked", "sign_in")]

    def as_json(self) -> Json:
        """The state of each step, and a note where there is something to say."""
        return {"steps": [self._step(step) for step in self.plan.steps]}

    def _step(self, step: Step) -> Json:
        reply = self.replies.get(step.id)
        if reply is None:
            return {"id": step.id, "state": "running" if step.id in self.started else "waiting", "note": ""}
        told = reply.fault.description if reply.fault else reply.text
        return {"id": step.id, "state": _SHOWN[reply.state], "note": "" if reply.state == "completed" else told}

    def _served(self, step: Step) -> bool:
        return all(need in self.replies and self.replies[need].state == "completed" for need in step.needs)
