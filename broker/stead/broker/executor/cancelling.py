"""The workflow that tidies up after a cancelled task: what it left waiting at agents is cancelled too."""

from dbos import DBOS

from stead.broker.errors import UnknownEntry
from stead.broker.executor import durable
from stead.broker.executor.errands import Errand, arrival_of
from stead.broker.executor.office import current
from stead.broker.plans import Step
from stead.identity.patience import patient
from stead.identity.types import Json

ATTEMPTS, PAUSE = 10, 5.0


@DBOS.workflow(name="stead.broker.cancel", max_recovery_attempts=1_000_000)
async def cancel_children(task: str, owner: str, arrival: Json | None, children: list[Json]) -> None:
    """Cancels each child at its agent, then forgets the person's token."""
    for child in children:
        errand = Errand(task, owner, arrival_of(arrival), Step.model_validate(child["step"]))
        await _cancel(errand, child["child"])
    if arrival is not None:
        current().workload.journal.outcome(hop=arrival["hop"], outcome="canceled")
    await durable.once("settle", lambda: current().parked.settled(task))
    await durable.once("forget", lambda: forget(task, owner))


async def forget(task: str, owner: str) -> bool:
    """Deletes the person's token: the task is over."""
    await patient(lambda: current().subjects.forget(owner, task))
    return True


async def _cancel(errand: Errand, child: str) -> None:
    office = current()

    async def attempt() -> bool:
        try:
            entry = office.registry.entry(errand.step.agent)
        except UnknownEntry:
            return True
        return await office.agents.cancel(errand, entry, child)

    for _ in range(ATTEMPTS):
        if await durable.once("cancel", attempt):
            return
        await durable.pause(PAUSE)
