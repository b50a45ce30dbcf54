"""The broker and the trail, as the web asks them: in the name of the session's person, with that person's own token.

The A2A SDK's types end here; what comes out is JSON. Every failure is an `IdentityError` with words for the person.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, cast
from urllib.parse import quote

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
)
from a2a.utils.errors import A2AError, TaskNotFoundError
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from stead.demo.web.credentials import FRESH, Credentials
from stead.demo.web.provider import BROKER_SCOPE, REGISTRY_SCOPE, TRAIL_SCOPE
from stead.demo.web.session import Session
from stead.identity.egress import Target
from stead.identity.errors import (
    AccessDenied,
    IdentityError,
    InvalidRequest,
    InvalidToken,
    ProviderUnavailable,
)
from stead.identity.flows.wire import parse_json, sentence
from stead.identity.types import Json, Response
from stead.identity.values import Grant
from stead.identity.workload import Workload

_HISTORY = 4
_LISTED = 20
_PATIENCE = 5.0
"""Seconds to listen for what comes of a message to a task under way."""
_REFUSALS: Mapping[int, type[IdentityError]] = {401: InvalidToken, 403: AccessDenied, 404: InvalidRequest}


class Broker:
    """Asks in a session's name. Only `ask` and `decline` are hops; the rest belongs to a hop already told."""

    def __init__(self, workload: Workload, credentials: Credentials) -> None:
        self._workload = workload
        self._credentials = credentials
        self._clients: dict[bool, Client] = {}
        self._finding = asyncio.Lock()

    async def ask(self, session: Session, text: str, message_id: str, *, plan_only: bool) -> Json:
        """Sends what the person said; returns the task it became, which goes on by itself."""
        parts = [Part(text=text), *([_data({"mode": "plan"})] if plan_only else [])]
        message = Message(message_id=message_id, role=Role.ROLE_USER, parts=parts)
        client = await self._client(streaming=False)
        async with self._hop(session, "SendMessage"):
            async for event in client.send_message(SendMessageRequest(message=message)):
                if event.HasField("task"):
                    return _json(event.task)
        raise ProviderUnavailable("The broker did not make a task of this.", hint="Try again.")

    async def say(self, session: Session, task: str, text: str, message_id: str) -> Json:
        """Answers a question of a task; returns the task as it is then."""
        return await self._reply(session, task, Part(text=text), message_id)

    async def decline(self, session: Session, task: str, challenge: str) -> Json:
        """Says no to a challenge; returns the task as it is then."""
        part = _data({"challenge": challenge, "answer": "declined"})
        return await self._reply(session, task, part, f"decline:{challenge}")

    async def task(self, session: Session, task: str, *, life: float = FRESH) -> Json:
        """The task as it is now, asked for with a token of at least this life.

        Raises `InvalidRequest` when it is nobody's or somebody else's.
        """
        client = await self._client(streaming=False)
        async with self._detail(session, life):
            with _translated():
                return _json(await client.get_task(GetTaskRequest(id=task, history_length=_HISTORY)))

    async def tasks(self, session: Session) -> list[Json]:
        """The person's latest tasks, oldest first."""
        client = await self._client(streaming=False)
        request = ListTasksRequest(page_size=_LISTED, history_length=_HISTORY, include_artifacts=True)
        async with self._detail(session):
            with _translated():
                listed = await client.list_tasks(request)
        return [_json(one) for one in reversed(listed.tasks)]

    async def cancel(self, session: Session, task: str) -> Json:
        """Stops a task; returns it."""
        client = await self._client(streaming=False)
        async with self._detail(session):
            with _translated():
                return _json(await client.cancel_task(CancelTaskRequest(id=task)))

    async def changes(self, session: Session, task: str) -> AsyncGenerator[None]:
        """Yields whenever something happened to the task, until its stream closes."""
        client = await self._client(streaming=True)
        async with self._detail(session):
            with _translated():
                async with aclosing(_generator(client.subscribe(SubscribeToTaskRequest(id=task)))) as events:
                    async for _ in events:
                        yield None

    async def registry(self, session: Session) -> Json:
        """The broker's registry as it answers it."""
        token, _ = await self._credentials.token(session, self._url, BROKER_SCOPE, REGISTRY_SCOPE)
        target = Target(self._url, (BROKER_SCOPE,), Grant.LOGIN, credential=token)
        async with self._workload.detail(target):
            return await self._get(f"{self._url}/registry", "The broker")

    async def trail(self, session: Session, task: str, *, after: int | None = None, wait: float = 0) -> Json:
        """The trail of a task, as soon as its version is not `after`, or after `wait` seconds."""
        trail = self._workload.home.network.trail
        token, _ = await self._credentials.token(session, trail, TRAIL_SCOPE)
        target = Target(trail, (TRAIL_SCOPE,), Grant.LOGIN, credential=token)
        query = {"wait": wait} if after is None else {"wait": wait, "after": after}
        async with self._workload.detail(target):
            return await self._get(f"{trail}/tasks/{quote(task, safe='')}/trail", "The trail", **query)

    @property
    def _url(self) -> str:
        return self._workload.home.network.broker

    async def _reply(self, session: Session, task: str, part: Part, message_id: str) -> Json:
        """A message to a task under way, listened to until something comes of it: a stream begins with how it was."""
        message = Message(message_id=message_id, role=Role.ROLE_USER, parts=[part], task_id=task)
        client = await self._client(streaming=True)
        async with self._hop(session, "SendStreamingMessage"):
            heard = 0
            with suppress(TimeoutError):
                events = _generator(client.send_message(SendMessageRequest(message=message)))
                async with asyncio.timeout(_PATIENCE), aclosing(events):
                    async for _ in events:
                        heard += 1
                        if heard > 1:
                            break
        return await self.task(session, task)

    @asynccontextmanager
    async def _hop(self, session: Session, operation: str) -> AsyncIterator[None]:
        target = await self._target(session)
        async with self._workload.hop(target, operation=operation, resource="broker.ask"):
            with _translated():
                yield

    async def _target(self, session: Session, life: float = FRESH) -> Target:
        token, _ = await self._credentials.token(session, self._url, BROKER_SCOPE, life=life)
        return Target(self._url, (BROKER_SCOPE,), Grant.LOGIN, credential=token)

    @asynccontextmanager
    async def _detail(self, session: Session, life: float = FRESH) -> AsyncIterator[None]:
        async with self._workload.detail(await self._target(session, life)):
            yield

    async def _client(self, *, streaming: bool) -> Client:
        """Made from the broker's card, which is public and is asked for once."""
        async with self._finding:
            if streaming not in self._clients:
                with _translated():
                    card = await A2ACardResolver(self._workload.bare, self._url).get_agent_card()
                config = ClientConfig(streaming=streaming, polling=not streaming, httpx_client=self._workload.http)
                self._clients[streaming] = ClientFactory(config).create(card)
        return self._clients[streaming]

    async def _get(self, url: str, who: str, **query: Any) -> Json:
        try:
            reply = await self._workload.http.get(url, params=query, timeout=40)
        except httpx.HTTPError as failure:
            raise _away(who, failure) from None
        if reply.status_code != 200:
            raise _refusal(reply, who)
        return parse_json(Response(200, dict(reply.headers), reply.content), url)


def _generator(events: AsyncIterator[StreamResponse]) -> AsyncGenerator[StreamResponse]:
    """The SDK calls its streams iterators; they are generators, and must be closed where they are left."""
    return cast(AsyncGenerator[StreamResponse], events)


def _data(value: Json) -> Part:
    return Part(data=json_format.ParseDict(value, Value()))


def _json(message: Any) -> Json:
    document: Json = json_format.MessageToDict(message)
    return document


@contextmanager
def _translated() -> Iterator[None]:
    """The SDK's failures, as ours: its messages quote what came over the wire, so none of them is shown."""
    try:
        yield
    except TaskNotFoundError:
        raise InvalidRequest("The broker does not know this request.", hint="Perhaps another person made it.") from None
    except (A2AError, httpx.HTTPError) as failure:
        response = getattr(failure.__cause__, "response", None)
        if isinstance(response, httpx.Response):
            raise _refusal(response, "The broker") from None
        if isinstance(failure, A2AClientError | httpx.HTTPError):
            raise _away("The broker", failure) from None
        words = sentence(str(getattr(failure, "message", "") or failure))
        raise InvalidRequest(words or "The broker refused this.") from None


def _away(who: str, failure: Exception) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{who} cannot be reached.", hint="This page goes on by itself when it is back.", debug=type(failure).__name__
    )


def _refusal(response: httpx.Response, who: str) -> IdentityError:
    """What a refusal says, in whichever of the two forms it came."""
    if response.status_code >= 500:
        return ProviderUnavailable(f"{who} cannot answer at the moment.", hint="This page tries again by itself.")
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    error = body.get("error")
    told, hint = body.get("error_description"), body.get("hint")
    if isinstance(error, dict):
        told = error.get("message")
        listed = error.get("data")
        hint = (
            next((one.get("hint") for one in listed or () if isinstance(one, dict)), None)
            if isinstance(listed, list)
            else None
        )
    make = _REFUSALS.get(response.status_code, InvalidRequest)
    return make(sentence(told) or f"{who} refused this.", hint=sentence(hint))
