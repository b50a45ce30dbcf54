"""The broker as the command line meets it: an A2A agent that streams a task."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.client.client import Client
from a2a.client.errors import A2AClientError
from a2a.helpers import get_data_parts, get_text_parts, new_data_part, new_text_part
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import UnsupportedOperationError

from stead.demo.cli.session import Session
from stead.identity.errors import AccessDenied, IdentityError, ProviderUnavailable
from stead.identity.settings import Settings
from stead.identity.step_up import StepUp

TERMINAL = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_REJECTED,
}
ENDED = TERMINAL | {TaskState.TASK_STATE_INPUT_REQUIRED}


class Broker:
    """One person's conversation with the broker."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._http = httpx.AsyncClient(
            auth=session.auth(session.home.network.broker),
            timeout=httpx.Timeout(20, read=None),
            trust_env=False,
            verify=Settings.load(session.home).believed(),
            follow_redirects=False,
        )
        self._client: Client | None = None

    async def _connected(self) -> Client:
        if self._client is None:
            with _told():
                card = await A2ACardResolver(self._http, self._session.home.network.broker).get_agent_card()
            self._client = await create_client(card, ClientConfig(httpx_client=self._http))
        return self._client

    async def follow(self, text: str) -> AsyncGenerator[Task, None]:
        """Asks, and yields the task as it stands whenever something of it changed, until it has ended.

        A stream closes when the task waits for its person, and at its token's expiry; following goes on with another.
        """
        task = Task()
        async for task in self.send(text):
            yield task
        while task.status.state not in ENDED:
            async for seen in self.watch(task.id):
                yield seen
            task = await self.task(task.id)
            yield task

    async def send(self, text: str, *, plan_only: bool = False) -> AsyncGenerator[Task, None]:
        """Asks, and yields the task as it stands whenever something of it changed, while the stream lasts."""
        parts = [new_text_part(text), *([new_data_part({"mode": "plan"})] if plan_only else [])]
        async for task in self._message(Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=parts)):
            yield task

    async def decline(self, task: str, challenge: str) -> Task:
        """Says no to a challenge of a task; the task as it stands then."""
        part = new_data_part({"challenge": challenge, "answer": "declined"})
        message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, task_id=task, parts=[part])
        async for _ in self._message(message):
            break
        return await self.task(task)

    async def _message(self, message: Message) -> AsyncGenerator[Task, None]:
        client = await self._connected()
        task = Task()
        with _told():
            async for event in client.send_message(SendMessageRequest(message=message)):
                task = _applied(task, event)
                yield task

    async def watch(self, task: str) -> AsyncGenerator[Task, None]:
        """Follows a task that is there already; nothing when it has ended meanwhile (A2A s3.1.6)."""
        client = await self._connected()
        seen = Task()
        with _told(), suppress(UnsupportedOperationError):
            async for event in client.subscribe(SubscribeToTaskRequest(id=task)):
                seen = _applied(seen, event)
                yield seen

    async def task(self, task: str) -> Task:
        """A task as it stands."""
        client = await self._connected()
        with _told():
            return await client.get_task(GetTaskRequest(id=task))

    async def cancel(self, task: str) -> Task:
        """Ends a task."""
        client = await self._connected()
        with _told():
            return await client.cancel_task(CancelTaskRequest(id=task))

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()


@contextmanager
def _told() -> Iterator[None]:
    """What the SDK makes of a failed call, as what the broker said; or as its silence."""
    try:
        yield
    except (A2AClientError, httpx.HTTPError) as failure:
        cause = failure if isinstance(failure, httpx.HTTPError) else failure.__cause__
        if isinstance(cause, httpx.HTTPStatusError):
            raise _refusal(cause.response) from None
        raise ProviderUnavailable("The broker cannot be reached.", hint="Does the demo run?") from failure


def _refusal(reply: httpx.Response) -> IdentityError:
    """Its own words, where it gives any."""
    kind = ProviderUnavailable if reply.status_code >= 500 else AccessDenied
    try:
        error = reply.json()["error"]
        details = error.get("data") or [{}]
        return kind(str(error["message"]), hint=details[0].get("hint"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return kind(f"The broker answered {reply.status_code}.", hint=reply.headers.get("www-authenticate"))


def _applied(task: Task, event: StreamResponse) -> Task:
    """The task after an event."""
    after = Task()
    after.CopyFrom(task)
    kind = event.WhichOneof("payload")
    if kind == "task":
        after.CopyFrom(event.task)
    elif kind == "status_update":
        after.id, after.context_id = event.status_update.task_id, event.status_update.context_id
        after.status.CopyFrom(event.status_update.status)
    elif kind == "artifact_update":
        kept = [one for one in after.artifacts if one.artifact_id != event.artifact_update.artifact.artifact_id]
        del after.artifacts[:]
        after.artifacts.extend([*kept, event.artifact_update.artifact])
    return after


def data(task: Task, artifact: str) -> dict[str, Any]:
    """The data of a task's artifact of that name; empty when it has none yet."""
    found = next((one for one in task.artifacts if one.name == artifact), None)
    parts = get_data_parts(found.parts) if found else []
    return dict(parts[0]) if parts else {}


def text(task: Task) -> str:
    """What the task says in the end: the answer, else its last status message."""
    answer = next((one for one in task.artifacts if one.name == "answer"), None)
    parts = answer.parts if answer else task.status.message.parts
    return "\n".join(get_text_parts(parts)).strip()


def challenges(task: Task) -> list[dict[str, Any]]:
    """What the task waits for the person to authorize."""
    return [one for said in _required(task) for one in said.get("challenges", [])]


def sign_in(task: Task) -> StepUp | None:
    """The sign-in that the task waits for, if it does."""
    wanted = [said["sign_in"] for said in _required(task) if isinstance(said.get("sign_in"), dict)]
    return StepUp.from_json(wanted[0]) if wanted else None


def _required(task: Task) -> list[dict[str, Any]]:
    waits = task.status.state == TaskState.TASK_STATE_AUTH_REQUIRED
    return get_data_parts(task.status.message.parts) if waits else []
