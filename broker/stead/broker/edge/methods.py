"""The broker's A2A methods: what the SDK's dispatcher calls once a request is let in.

Stands in for the SDK's default handler: a task is a projection of its durable workflow, and needs no
listener to go on.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import (
    ExtendedAgentCardNotConfiguredError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.proto_utils import validate_proto_required_fields
from a2a.utils.task import apply_history_length, validate_history_length, validate_page_size

from stead.broker.edge.board import INTERRUPTED, STATES, TERMINAL, Event, TaskBoard, new_task, time_allowed
from stead.broker.edge.requests import MAX_KEY, Requests
from stead.broker.executor import durable
from stead.broker.executor.cancelling import cancel_children
from stead.broker.executor.errands import arrival_json
from stead.broker.executor.office import Office
from stead.broker.executor.planning import ANSWER
from stead.broker.executor.reading import data_of
from stead.broker.executor.tasks import run_task
from stead.identity.errors import InvalidRequest, ProviderUnavailable
from stead.identity.patience import telling_callers
from stead.identity.values import Principal, current_arrival, current_principal

ANSWERING = 10.0
"""Seconds that a message which declines waits for what comes of it."""
_INPUT = STATES["input_required"]


class Methods(RequestHandler):
    """Every task is looked up under its owner, so that nobody else's exists."""

    def __init__(self, office: Office, board: TaskBoard, requests: Requests) -> None:
        self._office = office
        self._board = board
        self._requests = requests

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task:
        """Starts a task, or goes on with one; answers when it is over or waits for the person, or at once if asked."""
        caller = _checked(params)
        configuration = params.configuration
        async with aclosing(self._conversation(params.message, caller)) as events:
            shown = await anext(events)
            task_id = shown.id if isinstance(shown, Task) else shown.task_id
            answering = bool(params.message.task_id)
            if not configuration.return_immediately and (answering or not _settled(shown)):
                await _until_settled(events, ANSWERING if answering and not _asked(shown) else None)
        return apply_history_length(await self._task(task_id, caller), configuration)

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """The same, telling what happens, also while an approval is waited for; until the caller's token ends."""
        caller = _checked(params)
        async with aclosing(self._conversation(params.message, caller)) as events:
            async for event in events:
                yield event
                if isinstance(event, TaskStatusUpdateEvent) and event.status.state == _INPUT:
                    return

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """What happens to a task, from how it is now."""
        caller = current_principal()
        task = await self._task(params.id, caller)
        if task.status.state in TERMINAL:
            raise UnsupportedOperationError("The task is over.")
        await self._renew(task, caller)
        async with aclosing(self._events(task.id, caller)) as events:
            async for event in events:
                yield event

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task:
        """The task. A fresher token of its owner takes the place of the one kept for it, and wakes what waits."""
        validate_proto_required_fields(params)
        validate_history_length(params)
        caller = current_principal()
        task = await self._task(params.id, caller)
        await self._renew(task, caller)
        return apply_history_length(task, params)

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """The caller's tasks."""
        validate_history_length(params)
        if params.HasField("page_size"):
            validate_page_size(params.page_size)
        page = await self._board.list(params, current_principal().owner)
        for task in page.tasks:
            if not params.include_artifacts:
                task.ClearField("artifacts")
            task.CopyFrom(apply_history_length(task, params))
        return page

    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task:
        """Stops a task where it is, and what waits at agents for it."""
        validate_proto_required_fields(params)
        caller = current_principal()
        task = await self._task(params.id, caller)
        if task.status.state in TERMINAL:
            raise TaskNotCancelableError("The task is over.")
        waiting = self._office.parked.of_task(task.id)
        if not await self._board.end(task.id, caller.owner, "canceled", "You cancelled this."):
            raise TaskNotCancelableError("The task is over.")
        self._office.parked.call_off(task.id)
        await durable.cancel(task.id)
        await self._office.parked.nudge(task.id)
        children = [
            {"step": each.errand.step.model_dump(mode="json"), "child": each.reply.child}
            for each in waiting
            if each.reply.child
        ]
        arguments = (task.id, caller.owner, arrival_json(current_arrival()), children)
        await durable.start(cancel_children, f"{task.id}:cancel", *arguments)
        return await self._task(task.id, caller)

    async def _conversation(self, message: Message, caller: Principal) -> AsyncGenerator[Event, None]:
        """The task that the message is about, then what happens to it because of the message."""
        task_id = message.task_id or await self._start(message, caller)
        async with aclosing(self._events(task_id, caller)) as events:
            shown = await anext(events, None)
            if shown is None:
                raise TaskNotFoundError("There is no such task.")
            # Before anything is told: who hears the first event may hang up, and has been heard by then.
            if message.task_id and isinstance(shown, Task):
                await self._answer(shown, message, caller)
            yield shown
            async for event in events:
                yield event

    async def _start(self, message: Message, caller: Principal) -> str:
        """Starts the task of a message, once: whatever a crash left undone of it, its repetition does."""
        goal, mode = _goal(message)
        task_id = await self._requests.claim(caller.owner, message.message_id, str(uuid4()))
        known = await self._board.get(task_id, caller.owner)
        if known is not None and known.status.state in TERMINAL:
            return task_id
        arrival = current_arrival()
        with telling_callers():
            await self._keep(task_id, caller)
        if await self._board.add(new_task(task_id, message), caller.owner) and arrival is not None:
            self._office.workload.journal.bind(arrival.hop, task_id)
        await durable.start(run_task, task_id, task_id, caller.owner, goal, mode, arrival_json(arrival))
        return task_id

    async def _answer(self, task: Task, message: Message, caller: Principal) -> None:
        """What the owner says to a task that waits: that they decline, or what they were asked for."""
        if message.context_id and message.context_id != task.context_id:
            raise InvalidParamsError("The task belongs to another context.")
        await self._renew(task, caller)
        data = data_of(message.parts)
        if isinstance(data, Mapping) and "challenge" in data:
            await self._decline(task, data)
        elif task.status.state == _INPUT:
            text = _text(message)
            await self._board.hear(task.id, caller.owner, message)
            await durable.send(task.id, {"text": text}, ANSWER, key=f"{task.id}:{message.message_id}")
        else:
            raise UnsupportedOperationError("The task waits for no message.")

    async def _decline(self, task: Task, data: Mapping[str, Any]) -> None:
        if data.get("answer") != "declined" or not isinstance(data["challenge"], str):
            raise InvalidParamsError(
                'Send {"challenge": id, "answer": "declined"}; a yes is given at the challenge\'s link.'
            )
        if not await self._office.parked.decline(task.id, data["challenge"]):
            raise InvalidParamsError("This task asks no such question.")

    async def _renew(self, task: Task, caller: Principal) -> None:
        # Whoever looks after a task is told of it all the same.
        with suppress(ProviderUnavailable):
            if task.status.state not in TERMINAL and await self._keep(task.id, caller):
                await self._office.parked.nudge(task.id)

    async def _keep(self, task_id: str, caller: Principal) -> bool:
        """Keeps the caller's token for a task, unless that has ended meanwhile. Whether it was needed."""
        kept = await self._office.subjects.keep(task_id, caller)
        task = await self._board.get(task_id, caller.owner)
        if task is None or task.status.state not in TERMINAL:
            return kept
        await self._office.subjects.forget(caller.owner, task_id)
        return False

    def _events(self, task_id: str, caller: Principal) -> AsyncGenerator[Event, None]:
        """Nobody is told anything beyond the life of their token."""
        left = max(0.0, caller.expires_at - self._office.workload.clock())
        return self._board.watch(task_id, caller.owner, left)

    async def _task(self, task_id: str, caller: Principal) -> Task:
        task = await self._board.get(task_id, caller.owner)
        if task is None:
            raise TaskNotFoundError("There is no such task.")
        return task

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """The broker pushes nothing."""
        raise PushNotificationNotSupportedError

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """The broker pushes nothing."""
        raise PushNotificationNotSupportedError

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        """The broker pushes nothing."""
        raise PushNotificationNotSupportedError

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """The broker pushes nothing."""
        raise PushNotificationNotSupportedError

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        """There is none: the public card says everything."""
        raise ExtendedAgentCardNotConfiguredError


def _checked(params: SendMessageRequest) -> Principal:
    validate_proto_required_fields(params)
    validate_history_length(params.configuration)
    if len(params.message.message_id) > MAX_KEY:
        raise InvalidParamsError(f"The messageId is longer than {MAX_KEY} characters.")
    return current_principal()


async def _until_settled(events: AsyncGenerator[Event, None], within: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            async for event in events:
                if _settled(event):
                    return


def _asked(event: Event) -> bool:
    return isinstance(event, Task) and event.status.state == _INPUT


def _settled(event: Event) -> bool:
    if not isinstance(event, Task | TaskStatusUpdateEvent):
        return False
    return event.status.state in TERMINAL | INTERRUPTED


def _goal(message: Message) -> tuple[str, str]:
    """The goal, and the mode: "run", or "plan" for a plan that is only shown."""
    data = data_of(message.parts)
    mode = data.get("mode", "run") if isinstance(data, Mapping) else "run"
    if mode not in ("run", "plan"):
        raise InvalidParamsError('The mode is "run" or "plan".')
    try:
        time_allowed(message)
    except InvalidRequest as error:
        raise InvalidParamsError(error.description) from None
    return _text(message), mode


def _text(message: Message) -> str:
    text = " ".join(part.text.strip() for part in message.parts if part.WhichOneof("content") == "text").strip()
    if not text:
        raise InvalidParamsError("Say what you want, in a text part.")
    return text
