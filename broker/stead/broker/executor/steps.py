"""The workflow of one step: one call, and while it waits for somebody, another look whenever something wakes it."""

import logging
from dataclasses import replace

from dbos import DBOS

from stead.broker.errors import UnknownEntry
from stead.broker.executor import durable
from stead.broker.executor.errands import Errand, arrival_of
from stead.broker.executor.office import current
from stead.broker.executor.parked import WAKE
from stead.broker.executor.relay import checked
from stead.broker.executor.replies import Reply, bounded, failed
from stead.broker.plans import Step
from stead.identity.errors import InvalidToken
from stead.identity.step_up import StepUp
from stead.identity.types import Json

_log = logging.getLogger(__name__)

NEWS = "news"
DAY = 86_400.0
DAYS = 7
"""How long a step waits for a person at most; a challenge mostly expires much earlier, and its agent says so."""
WORKING_PAUSE = 2.0


@DBOS.workflow(name="stead.broker.step", max_recovery_attempts=1_000_000)
async def run_step(task: str, owner: str, arrival: Json | None, step: Json, inputs: Json) -> None:
    """Calls the step's skill and tells the task's workflow what came of it, first and last and in between."""
    errand = Errand(task, owner, arrival_of(arrival), Step.model_validate(step))
    try:
        reply = await _run(errand, inputs)
    except Exception:  # whatever it is, the task must not wait for this step
        _log.exception("step %s broke", errand.key)
        reply = failed("server_error", "Something broke in the broker.", "Its log says what.")
    await _tell(errand, reply)


async def _run(errand: Errand, inputs: Json) -> Reply:
    reply, told, days = await _call(errand, inputs), None, 0
    while reply.waits and days < DAYS:
        if reply != told:
            await _tell(errand, reply)
        told = reply
        news = await _news(errand, reply)
        if news is None:
            days += 1
        elif reply.child is not None:
            seen = await _look(errand, reply.child, news.get("declined"))
            reply = reply if seen is None else bounded(reply.then(seen), errand)
        elif await _signed_in(errand, reply):
            # It was not carried out: the person's token had run out before, or their sign-in was not what it takes.
            errand = errand if reply.step_up is None else replace(errand, sign_ins=errand.sign_ins + 1)
            reply = await _call(errand, inputs)
    if reply.waits:
        return failed("expired", "Nobody answered in time.", "Ask again.")
    if reply.hop is not None:
        current().workload.journal.outcome(hop=reply.hop, outcome=reply.state)
    return reply


async def _call(errand: Errand, inputs: Json) -> Reply:
    """The step's one call. A token is obtained within, used, and not returned."""
    office = current()

    async def work() -> Json:
        try:
            entry = office.registry.entry(errand.step.agent)
        except UnknownEntry as unknown:
            return failed(unknown.code, unknown.description, unknown.hint).model_dump(mode="json")
        client = office.agents if entry.kind == "agent" else office.tools
        async with office.parked.calling(errand.task):
            within = await office.board.time_allowed(errand.task, errand.owner)
            reply = bounded(await client.call(replace(errand, within=within), entry, inputs), errand)
            if reply.child is not None and office.parked.called_off(errand.task):
                await office.agents.cancel(errand, entry, reply.child)
        return checked(reply, errand, office.registry).model_dump(mode="json")

    return Reply.model_validate(await durable.once("call", work))


async def _news(errand: Errand, reply: Reply) -> Json | None:
    """What wakes the step next; None when nothing did for a day."""
    working = reply.state == "working"
    async with current().parked.waiting(errand, reply):
        message = await durable.receive(WAKE, WORKING_PAUSE if working else DAY)
    return {} if message is None and working else message


async def _signed_in(errand: Errand, reply: Reply) -> bool:
    """Whether the person's sign-in is now what the refused call takes, as far as that can be told here."""
    if reply.step_up is None:
        return True
    wanted, office = StepUp.from_json(reply.step_up), current()

    async def work() -> bool:
        try:
            principal = await office.subjects.principal(errand.owner, errand.task)
        except InvalidToken:
            return False
        return wanted.is_met_by(principal, office.workload.clock())

    return await durable.once("signed in", work)


async def _look(errand: Errand, child: str, declined: str | None) -> Reply | None:
    office = current()

    async def work() -> Json | None:
        entry = office.registry.entry(errand.step.agent)
        if declined is None:
            later = await office.agents.look(errand, entry, child)
        else:
            later = await office.agents.decline(errand, entry, child, declined)
        return None if later is None else checked(later, errand, office.registry).model_dump(mode="json")

    seen = await durable.once("look" if declined is None else "decline", work)
    return None if seen is None else Reply.model_validate(seen)


async def _tell(errand: Errand, reply: Reply) -> None:
    await durable.tell(errand.task, {"step": errand.step.id, "reply": reply.model_dump(mode="json")}, NEWS)
