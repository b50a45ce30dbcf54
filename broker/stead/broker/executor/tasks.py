"""The workflow of one task: plan, show the plan, run its steps side by side where they can, and answer.

Everything here between the durable calls is deterministic: it runs again after a restart, and shows the same changes
under the same numbers, which the board then knows already.
"""

import logging

from dbos import DBOS

from stead.broker.executor import answers, durable
from stead.broker.executor.cancelling import forget
from stead.broker.executor.course import Course, Progress
from stead.broker.executor.errands import Errand, arrival_of
from stead.broker.executor.office import current
from stead.broker.executor.planning import make_plan
from stead.broker.executor.replies import Reply, failed, refused
from stead.broker.executor.steps import DAY, DAYS, NEWS, run_step
from stead.broker.plans import Plan, Step, resolve
from stead.identity.types import Json

_log = logging.getLogger(__name__)


@DBOS.workflow(name="stead.broker.task", max_recovery_attempts=1_000_000)
async def run_task(task: str, owner: str, goal: str, mode: str, arrival: Json | None) -> None:
    """Does what `goal` asks, or with mode "plan" only says how it would be done."""
    course = Course(current(), task, owner, arrival)
    try:
        await _do(course, goal, mode)
    except Exception:  # whatever it is, the person is told that it is over
        _log.exception("task %s broke", task)
        await _break(course)
    await durable.once("forget", lambda: forget(task, owner))


async def _do(course: Course, goal: str, mode: str) -> None:
    await course.status("working")
    plan = await make_plan(course, goal, asks=mode != "plan")
    if mode == "plan":
        await _finish_planning(course, plan)
    elif plan.questions:
        await course.status("failed", "Nobody answered what I asked, so I did nothing.")
    else:
        await _finish(course, await _run(course, plan))


async def _break(course: Course) -> None:
    said = "Something broke in the broker. Its log says what."
    data = {"error": {"code": "server_error", "description": said, "hint": None}}
    await course.status("failed", said, data)


async def _finish_planning(course: Course, plan: Plan) -> None:
    possible, count = bool(plan.steps or plan.questions), len(plan.steps)
    asked = " ".join(question.text for question in plan.questions)
    said = f"A plan of {count} step{'' if count == 1 else 's'}. {asked}".strip() if possible else answers.text(plan, {})
    await course.artifact("answer", {"results": [], "refused": answers.refusals(plan)}, said)
    await course.status("completed" if possible else "rejected", said)


async def _run(course: Course, plan: Plan) -> Progress:
    """Starts what can start, and takes the steps' news as they come, until all are over."""
    progress, silent = Progress(plan), 0
    shown: Shown = None
    while True:
        await _start(course, progress)
        await course.artifact("progress", progress.as_json())
        if progress.over:
            return progress
        shown = await _show_state(course, progress, shown)
        news = await durable.receive(NEWS, DAY)
        silent = 0 if news is not None else silent + 1
        if news is not None:
            progress.replies[news["step"]] = Reply.model_validate(news["reply"])
        elif silent > DAYS:
            raise TimeoutError("no step has any news")


async def _start(course: Course, progress: Progress) -> None:
    for step in progress.ready():
        progress.started.add(step.id)
        await _start_step(course, progress, step)
    while doomed := progress.doomed():
        for step in doomed:
            progress.started.add(step.id)
            progress.replies[step.id] = _skipped(step, progress)


async def _start_step(course: Course, progress: Progress, step: Step) -> None:
    try:
        inputs = resolve(step.inputs, progress.outputs())
    except LookupError as missing:
        why = f"{step.skill} needs {missing.args[0]}, which was not given."
        progress.replies[step.id] = failed("missing_value", why)
        return
    errand = Errand(course.task, course.owner, arrival_of(course.arrival), step)
    arguments = (course.task, course.owner, course.arrival, step.model_dump(mode="json"), inputs)
    await durable.start_child(run_step, errand.key, *arguments)


def _skipped(step: Step, progress: Progress) -> Reply:
    """A step whose need was refused is refused with it, else it fails with it."""
    why = f"{step.skill} was not tried, because what it builds on was not done."
    all_refused = all(reply.state == "refused" for reply in progress.missed(step))
    return refused("skipped", why) if all_refused else failed("skipped", why)


Shown = tuple[str, Json] | None
"""What a person is asked for now: text and data; None while they are asked for nothing."""


async def _show_state(course: Course, progress: Progress, shown: Shown) -> Shown:
    """AUTH_REQUIRED as soon as one step waits for the person, with everything they must answer; WORKING else.

    Returns what is shown now; what is shown already is not shown again.
    """
    waiting = progress.waiting()
    if not waiting:
        if shown is not None:
            await course.status("working")
        return None
    data: Json = {"challenges": answers.challenges(waiting)}
    wanted = answers.sign_in(waiting)
    if wanted is not None:
        data["sign_in"] = {"issuer": course.office.workload.issuer, **wanted}
    text = " ".join(dict.fromkeys(reply.text for reply in waiting if reply.text))
    if shown != (text, data):
        await course.status("auth_required", text, data)
    return text, data


async def _finish(course: Course, progress: Progress) -> None:
    plan, replies = progress.plan, progress.replies
    said, end = answers.text(plan, replies), answers.outcome(plan, replies)
    await course.artifact("answer", answers.data(plan, replies), said)
    error = None if end == "completed" else answers.fault(plan, replies)
    await course.status(end, said, None if error is None else {"error": error})
