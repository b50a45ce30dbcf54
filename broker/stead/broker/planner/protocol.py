"""What a planner is."""

from collections.abc import Sequence
from typing import Protocol

from stead.broker.plans import Candidate, Plan
from stead.identity.values import Principal


class Planner(Protocol):
    """Turns a goal into a plan. Whoever made it, a plan is validated before it runs."""

    @property
    def name(self) -> str:
        """What the plan says made it."""

    async def plan(self, goal: str, principal: Principal | None, candidates: Sequence[Candidate]) -> Plan:
        """The plan for `goal` over `candidates`. Raises `PlannerUnavailable` where none could be made.

        `principal` is None where the person's token ran out before the plan was made.
        """
