"""Questions to a decision point and its answers, in the form of the OpenID AuthZEN Authorization API 1.0. No I/O.

The subject is who calls, with what policy knows of them as properties (`conditions.describe`) and never their token.
The resource is the skill, tool or endpoint, the action the method by which it is called, and the context the input and
the time. An answer is a yes or a no; a no may say why, and which sign-in would change it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from stead.identity.flows.authzen import EVALUATION, EVALUATIONS
from stead.identity.flows.wire import sentence
from stead.identity.policy.conditions import describe
from stead.identity.policy.decision import UNAVAILABLE, Decision
from stead.identity.policy.explaining import Question
from stead.identity.policy.rules import Outcome
from stead.identity.types import Json

RULE = "decision-point"
"""The rule that a decision of another party goes by in the record."""
USER, CLIENT = "user", "client"

_TYPES: Mapping[str, str] = MappingProxyType(
    {"tools/call": "tool", **dict.fromkeys(("GET", "POST", "DELETE"), "endpoint")}
)
_NO = "The decision point does not allow this."
_ALLOWED = Decision(Outcome.ALLOW, RULE)


def evaluation(question: Question) -> Json:
    """One question (s6.1)."""
    principal = question.principal
    return {
        "subject": {
            "type": CLIENT if principal.is_service else USER,
            "id": principal.subject,
            "properties": describe(principal),
        },
        "action": {"name": question.action},
        "resource": {"type": _TYPES.get(question.action, "skill"), "id": question.resource},
        "context": {"input": dict(question.input), "now": int(question.now)},
    }


def evaluations(questions: Iterable[Question]) -> Json:
    """Several at once (s7.1), each of which is to be answered."""
    return {"evaluations": [evaluation(one) for one in questions], "options": {"evaluations_semantic": "execute_all"}}


def described(point: str) -> Json:
    """What a decision point says about itself (s9.1)."""
    return {
        "policy_decision_point": point,
        "access_evaluation_endpoint": f"{point}{EVALUATION}",
        "access_evaluations_endpoint": f"{point}{EVALUATIONS}",
    }


def decision(answer: object) -> Decision:
    """What an answer says (s6.2). Whatever is not a clear yes or no is no decision, and so nothing is allowed."""
    said = answer.get("decision") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(said, bool):
        return undecided("The decision point gave no decision.")
    return _ALLOWED if said else _denied(answer.get("context"))


def decisions(answer: Json, count: int) -> list[Decision]:
    """What the answer to `count` questions says (s7.2). An answer of another length is none to any of them."""
    given = answer.get("evaluations")
    if not isinstance(given, list) or len(given) != count:
        return [undecided("The decision point did not answer every question.")] * count
    return [decision(one) for one in given]


def undecided(reason: str) -> Decision:
    """No answer is no: but one that may be asked for again."""
    return Decision(Outcome.DENY, RULE, reason, "Try again in a moment.", MappingProxyType({UNAVAILABLE: True}))


def _denied(context: object) -> Decision:
    told: Mapping[str, Any] = context if isinstance(context, Mapping) else {}
    reason = _in_english(told.get("reason_user")) or _NO
    raised, hint = _sign_in(told), sentence(told.get("hint"))
    return Decision(Outcome.STEP_UP if raised else Outcome.DENY, RULE, reason, hint, MappingProxyType(raised))


def _in_english(reason: object) -> str | None:
    """One sentence, or one for each language and status, such as `en-403` (s6.2.1)."""
    if isinstance(reason, Mapping):
        english = (text for name, text in reason.items() if str(name).startswith("en"))
        return sentence(next(english, next(iter(reason.values()), None)))
    return sentence(reason)


def _sign_in(told: Mapping[str, Any]) -> dict[str, Any]:
    """The sign-in that would do, in the terms of RFC 9470 s3; nothing where no sign-in helps."""
    acr, age = sentence(told.get("acr_values")), told.get("max_age")
    is_age = isinstance(age, int) and not isinstance(age, bool) and age >= 0
    return {**({"acr_values": acr} if acr else {}), **({"max_age": age} if is_age else {})}
