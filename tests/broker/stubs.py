"""Small A2A agents behind a real ingress: their skills do what a test tells them; repeated messages are one call."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    Artifact,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskState,
    TaskStatus,
)
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from stead.broker.structs import to_json, to_value
from stead.identity.challenge import Challenge, Provider
from stead.identity.egress import Target
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import Grant, Principal, current_principal
from stead.identity.workload import Workload

IDENTITY = "urn:stead:a2a:identity:v1"
IN_TASK = "urn:stead:a2a:in-task:v1"
BANK = "http://127.0.0.1:1/bank"
DONE = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_REJECTED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
}


@dataclass
class Call:
    """One call that a stub got."""

    id: str
    message_id: str
    skill: str
    input: Json
    principal: Principal
    push: str
    task: Task
    metadata: Json
    settled: asyncio.Event = field(default_factory=asyncio.Event)


Skill = Callable[["Stub", Call], Coroutine[Any, Any, None]]


@dataclass
class Stub:
    """An agent. `calls` are those it took, `seen` every message, repetitions included."""

    name: str
    workload: Workload
    skills: dict[str, Json]
    run: Skill
    calls: list[Call] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    looks: list[Principal] = field(default_factory=list)
    lose_answers: int = 0
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> ASGIApp:
        methods = _Methods(self)
        inner = Starlette(
            routes=[*create_agent_card_routes(self.card()), *create_jsonrpc_routes(methods, "/a2a")],
            middleware=[Middleware(_Losing, stub=self)],
        )
        rules = [
            declared(
                f"{self.name}.{skill}",
                Grant.OBO if told["grant"] == "in-task" else Grant(told["grant"]),
                told["scopes"],
            )
            for skill, told in self.skills.items()
        ]
        scopes = tuple(scope for told in self.skills.values() for scope in told["scopes"])
        return self.workload.protect(
            inner, describe=self._describe, policy=Policy.load(rules), scopes=scopes, protocol="jsonrpc"
        )

    def _describe(self, scope: Scope, document: Json) -> Operation | None:
        message = (document.get("params") or {}).get("message") or {}
        if document.get("method") != "SendMessage" or message.get("taskId"):
            return None
        data = message["parts"][0]["data"]
        return Operation("SendMessage", f"{self.name}.{data['skill']}", data["input"])

    def card(self) -> AgentCard:
        params = {
            "skills": {
                name: {key: told[key] for key in told if key not in ("name", "examples", "description", "tags")}
                for name, told in self.skills.items()
            }
        }
        return AgentCard(
            name=self.name.replace("_", " ").title(),
            description=f"The {self.name} stub.",
            version="1.0.0",
            supported_interfaces=[
                AgentInterface(url=f"{self.workload.url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
            ],
            capabilities=AgentCapabilities(
                push_notifications=True, extensions=[AgentExtension(uri=IDENTITY, params=to_value(params).struct_value)]
            ),
            default_input_modes=["application/json"],
            default_output_modes=["application/json"],
            skills=[
                AgentSkill(
                    id=name,
                    name=told.get("name", name),
                    description=told.get("description", name),
                    tags=told.get("tags", [self.name]),
                    examples=told.get("examples", []),
                )
                for name, told in self.skills.items()
            ],
        )

    def complete(self, call: Call, text: str, data: Json) -> None:
        call.task.artifacts.append(
            Artifact(artifact_id=call.skill, name=call.skill, parts=[Part(text=text), _data(data)])
        )
        self.move(call, TaskState.TASK_STATE_COMPLETED)

    def refuse(
        self,
        call: Call,
        code: str,
        description: str,
        hint: str | None = None,
        *,
        state: Any = TaskState.TASK_STATE_REJECTED,
    ) -> None:
        self.move(
            call,
            state,
            Part(text=description),
            _data({"error": {"code": code, "description": description, "hint": hint}}),
        )

    def park(self, call: Call, link: str | None = None, subject: str | None = None) -> Challenge:
        challenge = Challenge(
            id=secrets.token_hex(8),
            link=link or f"{self.workload.url}/authorize/{call.id}",
            provider=Provider(BANK, "Northbank"),
            authorization_details=({"type": "payment_initiation", "amount": call.input.get("amount", "1")},),
            asked_by=self.workload.name,
            through=("broker",),
            subject_issuer=call.principal.issuer,
            subject=subject or call.principal.subject,
            task=call.id,
            expires_at=int(time.time()) + 600,
        )
        self.move(
            call,
            TaskState.TASK_STATE_AUTH_REQUIRED,
            Part(text="Approve it at Northbank."),
            _data({"challenge": challenge.as_json()}),
        )
        return challenge

    def move(self, call: Call, state: Any, *parts: Part) -> None:
        call.task.status.CopyFrom(TaskStatus(state=state))
        if parts:
            message = Message(message_id=secrets.token_hex(8), role=Role.ROLE_AGENT, task_id=call.id, parts=parts)
            call.task.status.message.CopyFrom(message)
        call.settled.set()

    async def push(self, call: Call) -> int:
        """Tells the broker that the call's task changed, as the kit does."""
        origin = call.push.removesuffix("/push")
        async with self.workload.detail(Target(origin, ("task:notify",), Grant.S2S)):
            response = await self.workload.http.post(call.push, json={"task": call.id, "state": "changed"})
        return response.status_code


class _Losing:
    """Does the work and loses the answer, as a broken connection does."""

    def __init__(self, app: ASGIApp, stub: Stub) -> None:
        self._app = app
        self._stub = stub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/a2a" or self._stub.lose_answers <= 0:
            await self._app(scope, receive, send)
            return
        self._stub.lose_answers -= 1

        async def drop(message: Any) -> None: ...

        await self._app(scope, receive, drop)
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class _Methods(RequestHandler):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._known: dict[tuple[str, str], Call] = {}
        self._by_id: dict[str, Call] = {}

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task:
        message, principal = params.message, current_principal()
        if message.task_id:
            return self._declined(self._found(message.task_id, principal), message)
        self._stub.seen.append(message.message_id)
        key = (principal.owner, message.message_id)
        if key not in self._known:
            self._known[key] = call = self._accept(params, principal)
            working = asyncio.create_task(self._stub.run(self._stub, call))
            self._stub.running.add(working)
            working.add_done_callback(self._stub.running.discard)
        call = self._known[key]
        await call.settled.wait()
        return call.task

    def _accept(self, params: SendMessageRequest, principal: Principal) -> Call:
        data = to_json(params.message.parts[0].data)
        task = Task(id=secrets.token_hex(16), context_id="c", status=TaskStatus(state=TaskState.TASK_STATE_WORKING))
        url = params.configuration.task_push_notification_config.url
        said = to_json(params.message.metadata)
        call = Call(task.id, params.message.message_id, data["skill"], data["input"], principal, url, task, said)
        self._by_id[call.id] = call
        self._stub.calls.append(call)
        return call

    def _declined(self, call: Call, message: Message) -> Task:
        assert to_json(message.parts[0].data)["answer"] == "declined"
        if call.task.status.state != TaskState.TASK_STATE_AUTH_REQUIRED:
            raise UnsupportedOperationError("answered already")
        self._stub.refuse(call, "declined", "You declined it.")
        return call.task

    def _found(self, task_id: str, principal: Principal) -> Call:
        call = self._by_id.get(task_id)
        if call is None or call.principal.owner != principal.owner:
            raise TaskNotFoundError
        return call

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task:
        principal = current_principal()
        self._stub.looks.append(principal)
        return self._found(params.id, principal).task

    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task:
        call = self._found(params.id, current_principal())
        if call.task.status.state in DONE:
            raise TaskNotCancelableError
        self._stub.move(call, TaskState.TASK_STATE_CANCELED)
        return call.task

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        raise UnsupportedOperationError

    async def on_message_send_stream(self, params: Any, context: ServerCallContext) -> AsyncGenerator[Any, None]:
        raise UnsupportedOperationError
        yield

    async def on_subscribe_to_task(self, params: Any, context: ServerCallContext) -> AsyncGenerator[Any, None]:
        raise UnsupportedOperationError
        yield

    async def on_create_task_push_notification_config(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_get_task_push_notification_config(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_list_task_push_notification_configs(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_delete_task_push_notification_config(self, params: Any, context: ServerCallContext) -> None:
        raise UnsupportedOperationError

    async def on_get_extended_agent_card(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError


def _data(data: Any) -> Part:
    return Part(data=to_value(data))
