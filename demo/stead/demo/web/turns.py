"""One turn of the conversation, read from the broker's task: what was asked, the plan, what it waits for, the answer.

Reads the wire leniently, because a page must also show a task that it half understands; believes nothing in it that
leads somewhere: where an approval leads is settled by `approvals`, from the registry.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stead.demo.web.typeset import tidy
from stead.identity.types import Json

State = Literal["working", "approval", "question", "done", "refused", "failed", "canceled"]

_STATES: Mapping[str, State] = {
    "TASK_STATE_AUTH_REQUIRED": "approval",
    "TASK_STATE_INPUT_REQUIRED": "question",
    "TASK_STATE_COMPLETED": "done",
    "TASK_STATE_REJECTED": "refused",
    "TASK_STATE_FAILED": "failed",
    "TASK_STATE_CANCELED": "canceled",
}
OPEN: frozenset[State] = frozenset({"working", "approval", "question"})

_STEP_WORDS = {
    "waiting": "to do",
    "running": "running",
    "done": "done",
    "needs-you": "needs you",
    "refused": "refused",
    "failed": "failed",
    "skipped": "not run",
    "canceled": "stopped",
}
_STEP_STATES = {
    "pending": "waiting",
    "queued": "waiting",
    "working": "running",
    "started": "running",
    "completed": "done",
    "auth-required": "needs-you",
    "auth_required": "needs-you",
    "authorization": "needs-you",
    "parked": "needs-you",
    "rejected": "refused",
    "denied": "refused",
    "declined": "refused",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the plan with its progress."""

    id: str
    skill: str
    agent: str
    why: str
    grant: str
    audience: str
    scopes: tuple[str, ...]
    provider: str | None
    needs: tuple[str, ...]
    inputs: Mapping[str, Any]
    state: str
    note: str | None

    @property
    def state_words(self) -> str:
        return _STEP_WORDS.get(self.state, self.state)


@dataclass(frozen=True, slots=True)
class Turn:
    """A task as the page shows it."""

    task: str
    context: str
    state: State
    goal: str
    planner: str = ""
    plan_only: bool = False
    steps: tuple[Step, ...] = ()
    cannot: tuple[Mapping[str, Any], ...] = ()
    questions: tuple[str, ...] = ()
    challenges: tuple[Mapping[str, Any], ...] = ()
    sign_in: Mapping[str, Any] | None = None
    text: str = ""
    results: tuple[Mapping[str, Any], ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    hint: str = ""
    updated: str = ""
    raw: Json = field(default_factory=dict, repr=False)

    @property
    def is_open(self) -> bool:
        """True while something may still happen."""
        return self.state in OPEN

    @property
    def declined(self) -> bool:
        """True where the person said no, which is an answer and no fault."""
        return any(one.get("reason") == "declined" for one in self.refused)


def read_turn(task: Json) -> Turn:
    """The turn that a task, in the A2A JSON form, stands for."""
    status = _object(task.get("status"))
    message = _object(status.get("message"))
    plan, progress, answer = (_artifact(task, name) for name in ("plan", "progress", "answer"))
    plan_data, answer_data, status_data = _data(plan), _data(answer), _data(message)
    error = _object(status_data.get("error"))
    state = _STATES.get(str(status.get("state")), "working")
    return Turn(
        task=str(task.get("id", "")),
        context=str(task.get("contextId", "")),
        state=state,
        goal=_goal(task) or str(plan_data.get("goal", "")),
        planner=str(plan_data.get("planner", "")),
        plan_only=_is_plan_only(task),
        steps=_steps(plan_data, _data(progress), state),
        cannot=tuple(_objects(plan_data.get("refused"))),
        questions=tuple(str(one.get("text", "")) for one in _objects(plan_data.get("questions"))),
        challenges=tuple(_objects(status_data.get("challenges"))) if state == "approval" else (),
        sign_in=_object(status_data["sign_in"]) if state == "approval" and "sign_in" in status_data else None,
        text=_text(answer),
        results=tuple(_objects(answer_data.get("results"))),
        refused=tuple(_objects(answer_data.get("refused"))),
        message=str(error.get("description") or _text(message)),
        hint=str(error.get("hint") or ""),
        updated=str(status.get("timestamp", "")),
        raw=task,
    )


def _goal(task: Json) -> str:
    spoken = [message for message in _objects(task.get("history")) if message.get("role") == "ROLE_USER"]
    return _text(spoken[0]) if spoken else ""


def _is_plan_only(task: Json) -> bool:
    spoken = [message for message in _objects(task.get("history")) if message.get("role") == "ROLE_USER"]
    return bool(spoken) and _data(spoken[0]).get("mode") == "plan"


def _steps(plan: Json, progress: Json, state: State) -> tuple[Step, ...]:
    known = {str(one.get("id")): one for one in _objects(progress.get("steps"))}
    return tuple(_step(one, known.get(str(one.get("id")), {}), state) for one in _objects(plan.get("steps")))


def _step(step: Json, progress: Mapping[str, Any], state: State) -> Step:
    identity = _object(step.get("identity"))
    provider = _object(identity.get("in_task"))
    said = str(progress.get("state", "waiting")).lower().replace("task_state_", "")
    now = _STEP_STATES.get(said, said)
    if state not in OPEN and now in ("waiting", "running", "needs-you"):
        now = "canceled" if state == "canceled" else "skipped"
    note = progress.get("note")
    return Step(
        id=str(step.get("id", "")),
        skill=str(step.get("skill", "")),
        agent=tidy(str(step.get("agent", ""))),
        why=str(step.get("why", "")),
        grant=str(identity.get("grant", "")),
        audience=str(identity.get("audience", "")),
        scopes=tuple(str(scope) for scope in _list(identity.get("scopes"))),
        provider=str(provider["name"]) if provider.get("name") else None,
        needs=tuple(str(one) for one in _list(step.get("needs"))),
        inputs=_object(step.get("inputs")),
        state=now,
        note=str(note) if note else None,
    )


def _artifact(task: Json, name: str) -> Json:
    """The latest artifact of that name."""
    found = [one for one in _objects(task.get("artifacts")) if name in (one.get("name"), one.get("artifactId"))]
    return found[-1] if found else {}


def _text(holder: Mapping[str, Any]) -> str:
    return "\n".join(str(part["text"]) for part in _objects(holder.get("parts")) if part.get("text"))


def _data(holder: Mapping[str, Any]) -> Json:
    """All data parts of a message or artifact, as one object."""
    merged: Json = {}
    for part in _objects(holder.get("parts")):
        merged.update(_object(part.get("data")))
    return merged


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> Iterable[Json]:
    return [one for one in _list(value) if isinstance(one, dict)]
