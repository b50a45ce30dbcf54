"""The agent's A2A methods, over the board of tasks: what the SDK's dispatcher calls once a request is in.

Stands in for the SDK's default handler, which does not recognize repeated messages, keeps four asyncio tasks per parked
task, waits for ever on an executor without events, and lets exception texts out.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

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
)
from a2a.utils.errors import (
    ExtendedAgentCardNotConfiguredError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.proto_utils import validate_proto_required_fields
from a2a.utils.task import apply_history_length, validate_history_length, validate_page_size

from stead.agents.kit.board import Event
from stead.agents.kit.caller import authorized_call, invalid, principal_of
from stead.agents.kit.challenges import Answered
from stead.agents.kit.parking import origin_of
from stead.agents.kit.runtime import Runtime
from stead.agents.kit.wire import PARKED, TERMINAL, read_answer
from stead.identity.errors import InvalidRequest
from stead.identity.patience import telling_callers
from stead.identity.values import Principal, current_arrival


class Methods(RequestHandler):
    """The methods of one agent.

    A task exists for its owner, and for the actor that started it in their stead with the scopes that its skill needs:
    neither for anybody else, nor for another agent that the same person trusts with less.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task:
        """Starts a task, or finds the one this message started; answers when it is over or parked, or at once."""
        task_id, caller = await self._accepted(params, context)
        if params.configuration.return_immediately:
            task = await self._task(task_id, caller)
        else:
            task = await self._settled(task_id, caller)
        return apply_history_length(task, params.configuration)

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """The same, telling what happens. Ends with the task, or with the caller's token."""
        task_id, caller = await self._accepted(params, context)
        async with aclosing(self._events(task_id, caller)) as events:
            async for event in events:
                yield event

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """What happens to a task, from how it is now."""
        caller = principal_of(context)
        task = await self._task(params.id, caller)
        if task.status.state in TERMINAL:
            raise UnsupportedOperationError("The task is over.")
        async with aclosing(self._events(task.id, caller)) as events:
            async for event in events:
                yield event

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task:
        """The task. A fresher token of the same caller is kept for a task that waits."""
        validate_proto_required_fields(params)
        validate_history_length(params)
        caller = principal_of(context)
        task = await self._task(params.id, caller)
        if task.status.state not in TERMINAL:
            await self._runtime.renew(task.id, caller)
        return apply_history_length(task, params)

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """The caller's tasks."""
        validate_history_length(params)
        if params.HasField("page_size"):
            validate_page_size(params.page_size)
        page = await self._listed(params, principal_of(context))
        for task in page.tasks:
            if not params.include_artifacts:
                task.ClearField("artifacts")
            task.CopyFrom(apply_history_length(task, params))
        return page

    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task:
        """Takes a task back, unless something that lasts was done already."""
        validate_proto_required_fields(params)
        caller = principal_of(context)
        task = await self._task(params.id, caller)
        if task.status.state in TERMINAL or not await self._runtime.cancel(task.id):
            raise TaskNotCancelableError("It is too late to take this task back.")
        return await self._over(task.id, caller)

    async def _accepted(self, params: SendMessageRequest, context: ServerCallContext) -> tuple[str, Principal]:
        validate_proto_required_fields(params)
        validate_history_length(params.configuration)
        caller = principal_of(context)
        if params.message.task_id:
            return (await self._answered(params.message, caller)).id, caller
        call, config = authorized_call(context), params.configuration.task_push_notification_config
        push = _receiver(config.url) if call.skill.durable else None
        try:
            with telling_callers():
                return await self._runtime.accept(call, params.message, caller, current_arrival(), push), caller
        except InvalidRequest as error:
            raise invalid(error) from None

    async def _answered(self, message: Message, caller: Principal) -> Task:
        """What the owner says to a parked task: only that they decline."""
        task = await self._task(message.task_id, caller)
        if message.context_id and message.context_id != task.context_id:
            raise invalid(InvalidRequest("The task belongs to another context."))
        if task.status.state not in PARKED:
            raise UnsupportedOperationError("The task waits for no message.")
        try:
            answer = read_answer(message)
        except InvalidRequest as error:
            raise invalid(error) from None
        question = await self._runtime.storage.challenges.get(answer.challenge)
        if question is None or question.challenge.task != task.id:
            raise invalid(InvalidRequest("This task asks no such question."))
        if not await self._runtime.parking.answer(question.challenge, Answered.DECLINED):
            raise UnsupportedOperationError("The question was answered already.")
        return await self._over(task.id, caller)

    async def _settled(self, task_id: str, caller: Principal) -> Task:
        board = self._runtime.storage.board
        return _found(await board.settled(task_id, caller.owner, self._left(caller)))

    async def _over(self, task_id: str, caller: Principal) -> Task:
        """The task once it has ended, which it is about to."""
        async with aclosing(self._events(task_id, caller)) as events:
            async for _ in events:
                pass
        return await self._task(task_id, caller)

    def _events(self, task_id: str, caller: Principal) -> AsyncGenerator[Event, None]:
        return self._runtime.storage.board.watch(task_id, caller.owner, self._left(caller))

    async def _task(self, task_id: str, caller: Principal) -> Task:
        task = await self._runtime.storage.board.get(task_id, caller.owner)
        if task is None or task_id not in await self._runtime.open_to(caller, [task_id]):
            raise TaskNotFoundError("There is no such task.")
        return task

    async def _listed(self, params: ListTasksRequest, caller: Principal) -> ListTasksResponse:
        page = await self._runtime.storage.board.list(params, caller.owner)
        seen = await self._runtime.open_to(caller, [task.id for task in page.tasks])
        shown = [task for task in page.tasks if task.id in seen]
        page.total_size -= len(page.tasks) - len(shown)
        del page.tasks[:]
        page.tasks.extend(shown)
        return page

    def _left(self, caller: Principal) -> float:
        """Seconds that the caller's token has left: nobody is told anything beyond that."""
        return max(0.0, caller.expires_at - self._runtime.workload.clock())

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Names the one receiver of a task's changes."""
        task = await self._pushing(params.task_id, context)
        await self._runtime.storage.calls.receiver(task.id, _receiver(params.url))
        return await self._config(task.id)

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """The receiver of a task's changes."""
        config = await self._config((await self._pushing(params.task_id, context)).id)
        if not config.url:
            raise TaskNotFoundError("The task has no receiver.")
        return config

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        """The receiver of a task's changes, as a list."""
        config = await self._config((await self._pushing(params.task_id, context)).id)
        return ListTaskPushNotificationConfigsResponse(configs=[config] if config.url else [])

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """Nobody is told any more."""
        task = await self._pushing(params.task_id, context)
        await self._runtime.storage.calls.receiver(task.id, None)

    async def _pushing(self, task_id: str, context: ServerCallContext) -> Task:
        if not self._runtime.outlives:
            raise PushNotificationNotSupportedError("This agent's tasks end while you wait.")
        return await self._task(task_id, principal_of(context))

    async def _config(self, task_id: str) -> TaskPushNotificationConfig:
        url = (await self._runtime.storage.calls.get(task_id)).push or ""
        return TaskPushNotificationConfig(id=task_id, task_id=task_id, url=url)

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        """There is none: the public card says everything."""
        raise ExtendedAgentCardNotConfiguredError


def _found(task: Task | None) -> Task:
    if task is None:
        raise TaskNotFoundError("There is no such task.")
    return task


def _receiver(url: str) -> str | None:
    """Where to tell of changes. Whether it may be told is the authorization server's to say: it mints the token."""
    if not url:
        return None
    try:
        origin_of(url)
    except InvalidRequest as error:
        raise invalid(error) from None
    return url
