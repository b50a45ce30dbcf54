"""What an agent's answer means: its tasks, messages and errors, read strictly. Nothing is trusted to be short."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
from a2a.types import Artifact, Message, Part, Task, TaskState
from a2a.utils.errors import A2AError, InvalidParamsError, InvalidRequestError, TaskNotFoundError

from stead.broker.executor.replies import Fault, Reply, failed, stronger
from stead.broker.structs import to_json
from stead.identity.errors import StepUpRequired
from stead.identity.replies import told_in
from stead.identity.step_up import StepUp

LONGEST = 2000


def read_task(task: Task, skill: str) -> Reply:
    """The reply that an agent's task is."""
    match task.status.state:
        case TaskState.TASK_STATE_COMPLETED:
            return _completed(task, skill)
        case TaskState.TASK_STATE_REJECTED:
            return _unfinished(task, "refused", "The agent refused.")
        case TaskState.TASK_STATE_CANCELED:
            return _unfinished(task, "canceled", "It was cancelled.")
        case TaskState.TASK_STATE_AUTH_REQUIRED:
            return _parked(task)
        case TaskState.TASK_STATE_INPUT_REQUIRED:
            return _unfinished(task, "failed", "The agent asks for more than it was given.")
        case TaskState.TASK_STATE_SUBMITTED | TaskState.TASK_STATE_WORKING:
            return Reply(state="working", child=task.id)
        case _:
            return _unfinished(task, "failed", "The agent failed.")


def read_message(message: Message) -> Reply:
    """The reply that a lone message is: an answer without a task."""
    return Reply(state="completed", text=text_of(message.parts), output=data_of(message.parts))


def refusal_of(error: A2AError, title: str) -> Reply:
    """The reply that an error of the A2A client is. An ingress's refusal keeps its sentence; others only fail."""
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in (400, 401, 403):
        told = _told_in(cause.response)
        if told is not None:
            return _refused(told)
    if isinstance(error, InvalidParamsError | InvalidRequestError):
        return failed("invalid_request", f"{title} does not accept that: {_short(error.message)}")
    if isinstance(error, TaskNotFoundError):
        return failed("task_not_found", f"{title} does not know of this any more.", "Ask again.")
    return failed("server_error", f"{title} failed.", "Its log says why.")


def text_of(parts: Iterable[Part]) -> str:
    """The text parts, as one text."""
    return _short(" ".join(part.text.strip() for part in parts if part.WhichOneof("content") == "text"))


def data_of(parts: Iterable[Part]) -> Any:
    """The first data part's value."""
    return next((to_json(part.data) for part in parts if part.WhichOneof("content") == "data"), None)


def _completed(task: Task, skill: str) -> Reply:
    artifact = _artifact(task.artifacts, skill)
    parts = [] if artifact is None else list(artifact.parts)
    text = text_of(parts) or text_of(task.status.message.parts)
    return Reply(state="completed", text=text, output=data_of(parts), child=task.id)


def _artifact(artifacts: Sequence[Artifact], skill: str) -> Artifact | None:
    named = [artifact for artifact in artifacts if artifact.name == skill]
    return (named or list(artifacts))[-1] if artifacts else None


def _unfinished(task: Task, state: Any, otherwise: str) -> Reply:
    parts = task.status.message.parts
    data = data_of(parts)
    text = text_of(parts) or otherwise
    told = data.get("error") if isinstance(data, Mapping) else None
    if isinstance(told, Mapping) and state == "refused" and told.get("code") == StepUpRequired.code:
        return _refused(told, task.id)
    fault = _fault(told, text) if isinstance(told, Mapping) else Fault(code=str(state), description=text)
    return Reply(state=state, text=text, fault=fault, child=task.id)


def _refused(told: Mapping[str, Any], child: str | None = None) -> Reply:
    fault = _fault(told, "The agent refused.")
    if fault.code == StepUpRequired.code:
        return stronger(fault, StepUp.from_json(told), child)
    return Reply(state="refused", text=fault.description, fault=fault)


def _parked(task: Task) -> Reply:
    data = data_of(task.status.message.parts)
    data = data if isinstance(data, Mapping) else {}
    one, many = data.get("challenge"), data.get("challenges")
    found = [one] if isinstance(one, Mapping) else [each for each in many or () if isinstance(each, Mapping)]
    text, wanted = text_of(task.status.message.parts), data.get("sign_in")
    step_up = StepUp.from_json(wanted).as_json() if isinstance(wanted, Mapping) else None
    again = step_up is not None
    return Reply(state="parked", text=text, child=task.id, challenges=tuple(found), sign_in=again, step_up=step_up)


def _told_in(response: httpx.Response) -> Mapping[str, Any] | None:
    """The refusal in an ingress's JSON-RPC error."""
    try:
        error = response.json().get("error")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    told = told_in(error.get("data"))
    return {**told.said, "code": told.reason or "server_error", "description": error["message"]}


def _fault(told: Mapping[str, Any], otherwise: str) -> Fault:
    hint = told.get("hint")
    return Fault(
        code=_short(str(told.get("code") or "server_error"))[:100],
        description=_short(str(told.get("description") or otherwise)),
        hint=_short(hint) if isinstance(hint, str) else None,
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
