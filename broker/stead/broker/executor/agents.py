"""Calls of A2A agents, over the A2A SDK's client. What the SDK returns and raises becomes a `Reply` here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from a2a.client.client import ClientCallContext
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.client.transports.jsonrpc import JsonRpcTransport
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import A2AError, TaskNotCancelableError, TaskNotFoundError
from google.protobuf.json_format import ParseError

from stead.broker.executor.errands import Errand
from stead.broker.executor.reading import read_message, read_task, refusal_of
from stead.broker.executor.replies import SIGN_IN, Fault, Reply, failed, passed_on, stronger
from stead.broker.executor.subjects import Subjects
from stead.broker.registry.cards import IDENTITY_EXTENSION, IN_TASK_EXTENSION
from stead.broker.registry.entries import Entry
from stead.broker.structs import to_value
from stead.identity.egress import OpenHop
from stead.identity.errors import IdentityError, InvalidGrant, InvalidToken, ProviderUnavailable, StepUpRequired
from stead.identity.step_up import StepUp
from stead.identity.types import Json
from stead.identity.workload import Workload

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before another attempt. Repeating is safe: the callee knows the call by its message id."""

PATIENCE = 60.0
"""Seconds that one attempt waits for an answer."""

_VERSION = {"A2A-Version": "1.0", "A2A-Extensions": IDENTITY_EXTENSION}
_UNREACHABLE = Fault(code="temporarily_unavailable", description="It does not answer.", hint="Try again in a moment.")
_UNREADABLE = (ParseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What the SDK raises, uncaught, for an answer that is no JSON or none of the protocol's."""
_log = logging.getLogger(__name__)


class UnreachableError(Exception):
    """No usable answer came, and asking again may help."""


@dataclass(frozen=True)
class Agents:
    """The A2A client of the broker."""

    workload: Workload
    subjects: Subjects
    push_url: str

    async def call(self, errand: Errand, entry: Entry, inputs: Json) -> Reply:
        """The step's one call. It may be repeated: the agent answers a repeated message id with the same task."""
        skill = errand.step.skill.removeprefix(f"{entry.name}.")
        message = _message(errand.message, {"skill": skill, "input": inputs})
        message.extensions.append(IDENTITY_EXTENSION)
        if errand.within is not None:
            message.metadata[IN_TASK_EXTENSION] = {"answer_within": errand.within}
        configuration = SendMessageConfiguration()
        if entry.pushes:
            configuration.task_push_notification_config.CopyFrom(TaskPushNotificationConfig(url=self.push_url))
        request = SendMessageRequest(message=message, configuration=configuration)

        async def work() -> Reply:
            async with self.workload.hop(
                errand.target, operation="SendMessage", resource=errand.step.skill, task=errand.task
            ) as hop:
                reply = await _answered(lambda: _patiently(lambda: self._send(entry, request, skill)), entry, hop)
                if reply.state != "completed":
                    hop.outcome(_OUTCOMES[reply.state])
                return reply.model_copy(update={"hop": hop.hop_id if reply.waits else None})

        return await self._guarded(errand, entry, work)

    async def look(self, errand: Errand, entry: Entry, child: str) -> Reply | None:
        """How the agent's task is now; None when it cannot be said. Our fresher token renews what the agent keeps."""

        async def work() -> Reply:
            async with self.workload.detail(errand.target) as hop:
                return await _answered(lambda: self._get(entry, child, errand), entry, hop)

        reply = await self._guarded(errand, entry, work)
        gone = reply.fault is not None and reply.fault.code == _UNREACHABLE.code
        return None if gone else reply

    async def decline(self, errand: Errand, entry: Entry, child: str, challenge: str) -> Reply | None:
        """Tells the agent that the person said no. Declining twice is declining once."""
        message = _message(f"{errand.key}:declined", {"challenge": challenge, "answer": "declined"}, task_id=child)

        async def tell() -> Reply:
            try:
                return await self._send(entry, SendMessageRequest(message=message), _skill(errand, entry))
            except A2AError:
                return await self._get(entry, child, errand)

        async def work() -> Reply:
            async with self.workload.detail(errand.target) as hop:
                return await _answered(tell, entry, hop)

        reply = await self._guarded(errand, entry, work)
        gone = reply.fault is not None and reply.fault.code == _UNREACHABLE.code
        return None if gone else reply

    async def cancel(self, errand: Errand, entry: Entry, child: str) -> bool:
        """Cancels the agent's task. False when that should be tried again."""

        async def work() -> Reply:
            async with self.workload.detail(errand.target) as hop:
                return await _answered(lambda: self._end(entry, child), entry, hop)

        reply = await self._guarded(errand, entry, work)
        return reply.fault is None or reply.fault.code != _UNREACHABLE.code

    async def _guarded(self, errand: Errand, entry: Entry, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """`work` in the stead of the task's person; what it raises as the reply it amounts to."""
        title = entry.title or entry.name
        try:
            async with errand.acting(self.subjects):
                return await work()
        except (InvalidToken, InvalidGrant):
            return SIGN_IN
        except UnreachableError as error:
            _log.warning("%s: %s does not answer (%s)", errand.key, entry.name, type(error.__cause__ or error).__name__)
            return failed(_UNREACHABLE.code, f"{title} does not answer.", _UNREACHABLE.hint)
        except ProviderUnavailable as error:
            return failed(_UNREACHABLE.code, error.description, error.hint)
        except StepUpRequired as error:
            return stronger(Fault.of(error), StepUp.of(error))
        except IdentityError as error:
            return Reply(state="refused", text=error.description, fault=Fault.of(error))

    async def _send(self, entry: Entry, request: SendMessageRequest, skill: str) -> Reply:
        with _translated():
            response = await self._transport(entry).send_message(request, context=_context())
        return read_task(response.task, skill) if response.HasField("task") else read_message(response.message)

    async def _get(self, entry: Entry, child: str, errand: Errand) -> Reply:
        with _translated():
            task: Task = await self._transport(entry).get_task(GetTaskRequest(id=child), context=_context())
        return read_task(task, _skill(errand, entry))

    async def _end(self, entry: Entry, child: str) -> Reply:
        with suppress(TaskNotCancelableError, TaskNotFoundError), _translated():
            await self._transport(entry).cancel_task(CancelTaskRequest(id=child), context=_context())
        return Reply(state="canceled")

    def _transport(self, entry: Entry) -> JsonRpcTransport:
        return JsonRpcTransport(self.workload.http, AgentCard(), entry.endpoint, is_shared_httpx=True)


_OUTCOMES = {
    "refused": "refused",
    "failed": "failed",
    "canceled": "canceled",
    "working": "working",
    "parked": "auth-required",
    "sign_in": "auth-required",
}


def _skill(errand: Errand, entry: Entry) -> str:
    return errand.step.skill.removeprefix(f"{entry.name}.")


async def _answered(ask: Callable[[], Awaitable[Reply]], entry: Entry, hop: OpenHop) -> Reply:
    """The agent's answer, a refusal too, unless it holds the token that the call carried."""
    try:
        reply = await ask()
    except A2AError as error:
        reply = refusal_of(error, entry.title or entry.name)
    return passed_on(reply, hop)


async def _patiently(send: Callable[[], Awaitable[Reply]]) -> Reply:
    for pause in PAUSES:
        try:
            return await send()
        except UnreachableError:
            await asyncio.sleep(pause)
    return await send()


class _translated:  # noqa: N801  used like a function
    """Transport errors, and answers that say "later", raised as `UnreachableError`; what is no answer, as that."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TransportError) or (isinstance(error, A2AClientError) and _transient(error)):
            raise UnreachableError from error
        if isinstance(error, _UNREADABLE):
            # Its text quotes the answer, which is not for any log.
            raise ProviderUnavailable("It gave an answer that is none.") from None


def _transient(error: A2AClientError) -> bool:
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        return cause.response.status_code == 429 or cause.response.status_code >= 500
    return isinstance(error, A2AClientTimeoutError) or isinstance(cause, httpx.RequestError)


def _context() -> ClientCallContext:
    return ClientCallContext(timeout=PATIENCE, service_parameters=dict(_VERSION))


def _message(message_id: str, data: Any, task_id: str | None = None) -> Message:
    part = Part(data=to_value(data))
    return Message(message_id=message_id, role=Role.ROLE_USER, parts=[part], task_id=task_id)
