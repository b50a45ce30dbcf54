"""What a finished task says: one sentence for each step, the results, and what was refused with a way out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stead.broker.executor.replies import Reply
from stead.broker.plans import Plan
from stead.identity.types import Json

End = Literal["completed", "rejected", "failed"]

_REFUSED = ("refused",)


def outcome(plan: Plan, replies: Mapping[str, Reply]) -> End:
    """Completed when every step is; rejected when every failure is a refusal, or there is no step; else failed."""
    if not plan.steps:
        return "rejected"
    missed = [replies[step.id] for step in plan.steps if replies[step.id].state != "completed"]
    if not missed:
        return "completed"
    return "rejected" if all(reply.state in _REFUSED for reply in missed) else "failed"


def text(plan: Plan, replies: Mapping[str, Reply]) -> str:
    """The answer as sentences, the steps' in their order, then what was not planned."""
    said = [_sentence(step.skill, replies[step.id]) for step in plan.steps if step.id in replies]
    return " ".join([*said, *(_with_hint(refusal.text, refusal.hint) for refusal in plan.refused)])


def data(plan: Plan, replies: Mapping[str, Reply]) -> Json:
    """`{"results": [...], "refused": [...]}`."""
    results = [
        {"step": step.id, "skill": step.skill, "output": replies[step.id].output}
        for step in plan.steps
        if replies[step.id].state == "completed"
    ]
    return {"results": results, "refused": [*refusals(plan), *_missed(plan, replies)]}


def refusals(plan: Plan) -> list[Json]:
    """What was not planned."""
    return [refusal.model_dump(mode="json") for refusal in plan.refused]


def fault(plan: Plan, replies: Mapping[str, Reply]) -> Json | None:
    """The first thing that went wrong, for the final status."""
    for refusal in [*_missed(plan, replies), *refusals(plan)]:
        return {"code": refusal["reason"], "description": refusal["text"], "hint": refusal["hint"]}
    return None


def _missed(plan: Plan, replies: Mapping[str, Reply]) -> list[Json]:
    missed = [(step, replies[step.id]) for step in plan.steps if replies[step.id].state != "completed"]
    return [
        {"text": told.description, "reason": told.code, "hint": told.hint, "step": step.id, "skill": step.skill}
        for step, reply in missed
        if (told := reply.fault) is not None
    ]


def _sentence(skill: str, reply: Reply) -> str:
    if reply.state == "completed":
        return _ended(reply.text or f"{skill} is done.")
    if reply.fault is None:
        return _ended(reply.text or f"{skill} was not done.")
    return _with_hint(reply.fault.description, reply.fault.hint)


def _with_hint(sentence: str, hint: str | None) -> str:
    return _ended(sentence) if not hint else f"{_ended(sentence)} {_ended(hint)}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def challenges(replies: Sequence[Reply]) -> list[Any]:
    """Everything that a person must still answer."""
    return [challenge for reply in replies if reply.state == "parked" for challenge in reply.challenges]


def sign_in(replies: Sequence[Reply]) -> Mapping[str, Any] | None:
    """The sign-in that a person must repeat: any, or the first that has to be stronger or fresher; None for none."""
    wanted = [reply.step_up or {} for reply in replies if reply.sign_in]
    return next(filter(None, wanted), wanted[0]) if wanted else None
