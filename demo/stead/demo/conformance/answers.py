"""What a person's answer does: a yes lets the task go on by itself, a no ends it."""

from stead.demo.conformance.agent import state_of
from stead.demo.conformance.errors import Fault
from stead.demo.conformance.question import says_done, words
from stead.demo.conformance.trial import Trial


async def approve(trial: Trial) -> str:
    """After a yes, given elsewhere, the task goes on without another message and does what was asked."""
    async with trial.parked() as parked:
        _, answer = await trial.completed(parked)
    return f"went on by itself to COMPLETED, as approved; the owner was told: {answer.told}"


async def deny(trial: Trial) -> str:
    """After a no the task is over, says so, and has done nothing; a later yes does not bring it back."""
    async with trial.nothing_done("though the owner said no"), trial.parked() as parked:
        answer = await trial.people.owner.deny(parked.asked.link)
        try:
            task = await trial.ended(parked.id)
        except Fault as fault:
            raise Fault(f"{fault} though its owner said no and was told: {answer.told}") from None
        if state_of(task) == "COMPLETED" or says_done(task, trial.profile):
            raise Fault(f"its owner said no, and the task is {state_of(task)}, with a result that says it was done")
        if not words(task):
            raise Fault(f"its owner said no, and the task is {state_of(task)} without a word")
        await trial.approved(parked)
        await trial.stays(parked.id, state_of(task), "a yes that came after the no")
    return f"{state_of(task)}: {words(task)}"
