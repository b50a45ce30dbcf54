"""What the kit says and hears in A2A messages: calls, answers to challenges, results, refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from a2a.types import Artifact, Message, Part, Role, SendMessageRequest, Task, TaskState, TaskStatus
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.struct_pb2 import Value

from stead.agents.kit.skill import Skill
from stead.identity.challenge import answer_within
from stead.identity.errors import IdentityError, InvalidRequest
from stead.identity.types import Json

IDENTITY_EXTENSION = "urn:stead:a2a:identity:v1"
IN_TASK_EXTENSION = "urn:stead:a2a:in-task:v1"

MAX_KEY = 128
"""Characters of a message id, which is a key in a database and in idempotency keys."""

TERMINAL = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)
PARKED = frozenset({TaskState.TASK_STATE_AUTH_REQUIRED, TaskState.TASK_STATE_INPUT_REQUIRED})
SETTLED = TERMINAL | PARKED


@dataclass(frozen=True, slots=True)
class Call:
    """A skill that is asked for, with input that was checked."""

    skill: Skill
    input: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """What the owner of a parked task says to its challenge here; a yes is said at the provider."""

    challenge: str
    answer: str


def send_request(params: Mapping[str, Any]) -> SendMessageRequest:
    """The parameters of a SendMessage, read as the SDK reads them. Raises `InvalidRequest`."""
    try:
        request = SendMessageRequest()
        ParseDict(dict(params), request, ignore_unknown_fields=True)
        return request
    except (ParseError, ValueError, TypeError):
        raise InvalidRequest("The message is not one of A2A 1.0.", hint="Its parts are text or data.") from None


def read_call(message: Message, skills: Mapping[str, Skill]) -> Call:
    """Which skill a message asks for, with what input. Raises `InvalidRequest` naming the skills, or the fields."""
    if not 0 < len(message.message_id) <= MAX_KEY:
        raise InvalidRequest("The message has no usable messageId.", hint=f"At most {MAX_KEY} characters.")
    time_allowed(message)
    data = data_of(message.parts)
    if data is None:
        return Call(*_spoken(skills))
    name, given = data.get("skill"), data.get("input", {})
    skill = skills.get(name) if isinstance(name, str) else None
    if skill is None:
        raise InvalidRequest(f"There is no such skill. {_offer(skills)}", hint='Send {"skill": …, "input": {…}}.')
    if not isinstance(given, dict):
        raise InvalidRequest(f"The input of {skill.id} is not an object.")
    return Call(skill, skill.read(given))


def time_allowed(message: Message) -> float | None:
    """The seconds that the caller allows for a person's answer, in the extension's metadata (A2A 1.0 s4.6).

    Raises `InvalidRequest` like `answer_within`.
    """
    return answer_within(MessageToDict(message.metadata).get(IN_TASK_EXTENSION))


def read_answer(message: Message) -> Answer:
    """What a message to a parked task answers. Raises `InvalidRequest`."""
    data = data_of(message.parts) or {}
    challenge, answer = data.get("challenge"), data.get("answer")
    if not isinstance(challenge, str) or answer != "declined":
        raise InvalidRequest(
            "This task takes no further message but an answer to its challenge.",
            hint='Send {"challenge": id, "answer": "declined"}; a yes is given at the link of the challenge.',
        )
    return Answer(challenge, answer)


def data_of(parts: Sequence[Part]) -> Json | None:
    """The one data part that is an object, if there is one."""
    found = [MessageToDict(part.data) for part in parts if part.WhichOneof("content") == "data"]
    return found[0] if len(found) == 1 and isinstance(found[0], dict) else None


def _spoken(skills: Mapping[str, Skill]) -> tuple[Skill, Json]:
    """Free text runs the one skill there is, if it needs no input: the kit does not guess what a sentence means."""
    only = next(iter(skills.values())) if len(skills) == 1 else None
    if only is None or only.needs_input:
        raise InvalidRequest(f"Name the skill. {_offer(skills)}", hint='Send a data part {"skill": …, "input": {…}}.')
    return only, only.read({})


def _offer(skills: Mapping[str, Skill]) -> str:
    return f"This agent has {', '.join(skills)}."


def text_part(text: str) -> Part:
    """A text part."""
    return Part(text=text)


def data_part(data: Any) -> Part:
    """A data part."""
    return Part(data=ParseDict(data, Value()))


def new_task(task_id: str, message: Message) -> Task:
    """The task that a message starts."""
    context = message.context_id if 0 < len(message.context_id) <= 36 else str(uuid4())
    first = Message()
    first.CopyFrom(message)
    first.task_id, first.context_id = task_id, context
    return Task(id=task_id, context_id=context, status=status(TaskState.TASK_STATE_SUBMITTED), history=[first])


def status(
    state: TaskState, task: Task | None = None, parts: Sequence[Part] = (), extensions: Sequence[str] = ()
) -> TaskStatus:
    """A task's status now, explained by a message when there are `parts`."""
    made = TaskStatus(state=state)
    made.timestamp.GetCurrentTime()
    if parts and task is not None:
        made.message.CopyFrom(
            Message(
                message_id=str(uuid4()),
                role=Role.ROLE_AGENT,
                task_id=task.id,
                context_id=task.context_id,
                parts=parts,
                extensions=extensions,
            )
        )
    return made


def artifact(name: str, text: str, data: Json) -> Artifact:
    """A result: one sentence, and the data."""
    return Artifact(artifact_id=name, name=name, parts=[text_part(text), data_part(data)])


def error_parts(error: IdentityError) -> list[Part]:
    """What went wrong, as a sentence and as data: `{"error": {"code", "description", "hint"}}`."""
    told = {"code": error.code, "description": error.description, "hint": error.hint}
    return [text_part(error.description), data_part({"error": told})]


def state_name(task: Task) -> str:
    """The state's name, as on the wire."""
    return str(TaskState.Name(task.status.state))
