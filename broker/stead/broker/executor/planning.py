"""The first part of a task: its plan, shown, and asked about where something is missing."""

from stead.broker.errors import BrokerError, PlanInvalid
from stead.broker.executor import durable
from stead.broker.executor.course import Course
from stead.broker.executor.office import Office
from stead.broker.executor.steps import DAY
from stead.broker.planner import validate
from stead.broker.plans import Plan, Refusal
from stead.identity.errors import IdentityError
from stead.identity.types import Json
from stead.identity.values import Principal

ANSWER = "answer"
TURNS = 5
"""How often a person is asked for what is missing."""


async def make_plan(course: Course, goal: str, *, asks: bool) -> Plan:
    """The plan, shown. With `asks` what is missing is asked for; a plan that still has questions is silence."""
    plan = await _next_plan(course, goal)
    for _ in range(TURNS):
        if not plan.questions or not asks:
            break
        answer = await _ask(course, plan)
        if answer is None:
            break
        goal = f"{goal.rstrip(' .!?')} {answer}"
        await course.status("working")
        plan = await _next_plan(course, goal)
    return plan


async def _next_plan(course: Course, goal: str) -> Plan:
    plan = Plan.model_validate(await durable.once("plan", lambda: _plan(course, goal)))
    await course.artifact("plan", plan.model_dump(mode="json"))
    return plan


async def _ask(course: Course, plan: Plan) -> str | None:
    asked = " ".join(question.text for question in plan.questions)
    data = {"questions": [question.model_dump(mode="json") for question in plan.questions]}
    await course.status("input_required", asked, data)
    message = await durable.receive(ANSWER, DAY)
    return None if message is None else str(message["text"])


async def _plan(course: Course, goal: str) -> Json:
    """The plan for `goal`, valid, or refused with reasons. A planner that fails refuses; it never fails the task."""
    office = course.office
    try:
        await office.registry.looked()
        candidates = await office.registry.candidates()
        principal = await _principal(course)
        plan = validate(await office.planner.plan(goal, principal, candidates), candidates)
    except PlanInvalid as invalid:
        refusal = Refusal(text="I can't do that. " + " ".join(invalid.reasons), reason="plan_invalid")
        plan = _no_plan(office, goal, refusal)
    except BrokerError as error:
        plan = _no_plan(office, goal, Refusal(text=error.description, reason="plan_invalid", hint=error.hint))
    return plan.model_dump(mode="json")


async def _principal(course: Course) -> Principal | None:
    try:
        return await course.office.subjects.principal(course.owner, course.task)
    except IdentityError:
        return None


def _no_plan(office: Office, goal: str, refusal: Refusal) -> Plan:
    return Plan(goal=goal, planner=office.planner.name, refused=(refusal,))
