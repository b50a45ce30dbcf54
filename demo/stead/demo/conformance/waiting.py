"""How a task waits: it asks in full, can be looked at, watched and taken back, and does not wait for ever."""

import asyncio

from stead.demo.conformance.agent import state_of
from stead.demo.conformance.errors import Fault, Refusal
from stead.demo.conformance.question import asked, words
from stead.demo.conformance.quoting import quoted
from stead.demo.conformance.trial import PARKED, TERMINAL, Parked, Trial
from stead.identity.errors import IdentityError

Told = str | Exception | None
"""A state that the stream shows, why there is none, or its end."""


async def park(trial: Trial) -> str:
    """The task asks in full: a sentence, the operation, the extension that says how to read it."""
    uri = trial.profile.question.extension
    declared = {one.uri for one in (await trial.agent.card()).capabilities.extensions}
    if uri not in declared:
        raise Fault(f"the agent card does not declare the extension {uri}")
    async with trial.parked() as parked:
        found = parked.asked
        if not found.text:
            raise Fault("the status message has no text: nobody is told what is asked")
        if uri not in found.extensions:
            raise Fault(f"the status message does not name the extension {uri}")
        if any(not isinstance(one, dict) or not one.get("type") for one in _listed(found.details)):
            raise Fault("an authorization detail has no type")
    return f"asks: {quoted(found.text)}"


def _listed(details: object) -> list[object]:
    return list(details) if isinstance(details, list) else [details]


async def get(trial: Trial) -> str:
    """Whoever looks at the task sees the same question."""
    async with trial.parked() as parked:
        seen = await trial.stays(parked.id, PARKED, "nothing")
        again = asked(seen, trial.profile.question)
        if (again.pinned, again.link) != (parked.asked.pinned, parked.asked.link):
            raise Fault("GetTask shows another question than the one that was asked")
    return "GetTask shows the same question for as long as it is open"


async def subscribe(trial: Trial) -> str:
    """Whoever watches the task sees that it waits, that it goes on, and how it ends."""
    if not (await trial.agent.card()).capabilities.streaming:
        return "the card offers no streaming, so there is nothing to watch"
    async with trial.parked() as parked:
        told: asyncio.Queue[Told] = asyncio.Queue()
        watching = asyncio.create_task(_watched(trial, parked, told))
        try:
            states = await _told(trial, parked, told)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return f"the stream showed {', '.join(dict.fromkeys(states))}, and closed"


async def _watched(trial: Trial, parked: Parked, told: "asyncio.Queue[Told]") -> None:
    try:
        async for state in trial.agent.watch(parked.id):
            told.put_nowait(state)
    except (Refusal, Fault, IdentityError) as failure:
        told.put_nowait(failure)
    else:
        told.put_nowait(None)


async def _told(trial: Trial, parked: Parked, told: "asyncio.Queue[Told]") -> list[str]:
    """What the stream says: first that the task waits, and after the yes how it ends."""
    first = await _next(trial, told, "the stream says nothing")
    if first != PARKED:
        raise Fault(f"the stream of a waiting task begins with {first or 'its end'}")
    await trial.approved(parked)
    states = [first]
    while (
        state := await _next(trial, told, f"after {states[-1]} the stream says no more, and stays open")
    ) is not None:
        states.append(state)
    if states[-1] not in TERMINAL:
        raise Fault(f"the stream closed at {states[-1]}, before the task had ended")
    return states


async def _next(trial: Trial, told: "asyncio.Queue[Told]", otherwise: str) -> str | None:
    try:
        said = await asyncio.wait_for(told.get(), trial.profile.times.finish)
    except TimeoutError:
        raise Fault(otherwise) from None
    if isinstance(said, Exception):
        raise Fault(f"SubscribeToTask of a waiting task: {said}")
    return said


async def cancel(trial: Trial) -> str:
    """A task that is taken back is over, and a later yes does not bring it back."""
    async with trial.nothing_done("after the task was taken back"), trial.parked() as parked:
        try:
            canceled = state_of(await trial.agent.cancel(parked.id))
        except Refusal as refusal:
            raise Fault(f"CancelTask of a waiting task: {refusal}") from None
        if canceled != "CANCELED":
            raise Fault(f"CancelTask leaves the task {canceled}")
        await trial.approved(parked)
        await trial.stays(parked.id, "CANCELED", "a yes that came too late")
    return "CancelTask ends it, and its link is dead"


async def expire(trial: Trial) -> str:
    """A question that nobody answers ends the task with a reason, and a later yes does not bring it back."""
    profile = trial.profile
    async with trial.nothing_done("though nobody answered"), trial.parked(profile.expiry.metadata) as parked:
        ends = parked.asked.expires_at
        if ends is None:
            raise Fault(f"the question does not say at {profile.question.expires_at} when it ends")
        task = await trial.over(parked, ends)
        if state_of(task) == "COMPLETED" or not words(task):
            raise Fault(f"when the time is over, the task is {state_of(task)}: {words(task) or 'without a word'}")
        await trial.approved(parked)
        await trial.stays(parked.id, state_of(task), "a yes that came too late")
    return f"{state_of(task)} at its time: {words(task)}"
