"""A step on its way: what is called, for which task and owner, and by what right."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stead.broker.executor.subjects import Subjects
from stead.broker.plans import Step
from stead.identity.egress import Target
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, acting_for


@dataclass(frozen=True, slots=True)
class Errand:
    """A step of a task. `key` is the idempotency key of its one call, the same after any restart.

    `within` is how many seconds the task's caller allows a person for an answer, if it said so; `sign_ins` how often
    the person signed in anew for this call, after it had been refused to a weaker sign-in.
    """

    task: str
    owner: str
    arrival: Arrival | None
    step: Step
    within: float | None = None
    sign_ins: int = 0

    @property
    def message(self) -> str:
        """What the callee knows the call by: a repeated one is the same. One that it refused is not made again."""
        return f"{self.key}:{self.sign_ins}" if self.sign_ins else self.key

    @property
    def key(self) -> str:
        """Also the id of the step's workflow."""
        return f"{self.task}:{self.step.id}"

    @property
    def target(self) -> Target:
        """Where the call goes and by what right; `txn` is the root task, on calls with effects only."""
        identity, step = self.step.identity, self.step
        txn = self.task if step.effects else None
        return Target(identity.audience, identity.scopes, identity.grant, txn=txn, effects=step.effects)

    @asynccontextmanager
    async def acting(self, subjects: Subjects) -> AsyncIterator[None]:
        """Makes the task's person current, where the call is in their stead. Raises `InvalidToken`."""
        if self.step.identity.grant is Grant.OBO:
            principal = await subjects.principal(self.owner, self.task)
        else:
            principal = None
        with acting_for(principal, self.arrival):
            yield


def arrival_json(arrival: Arrival | None) -> Json | None:
    """An arrival as a workflow keeps it: handles only."""
    return None if arrival is None else {"hop": arrival.hop, "trace": arrival.trace, "jti": arrival.jti}


def arrival_of(kept: Json | None) -> Arrival | None:
    """The arrival that was kept."""
    return None if kept is None else Arrival(kept["hop"], kept["trace"], kept["jti"])
