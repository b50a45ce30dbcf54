"""An A2A agent as one person meets it, over whichever binding its card offers. All that it says is kept."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.client.client import Client
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
)
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message as Protobuf

from stead.demo.conformance.errors import Fault, Refusal
from stead.demo.conformance.quoting import quoted
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json

Said = TypeVar("Said", bound=Protobuf)
BINDINGS = ["JSONRPC", "HTTP+JSON"]


class Agent:
    """One person's connection to the agent at `url`. `http` carries their token."""

    def __init__(self, url: str, http: httpx.AsyncClient, extension: str) -> None:
        self.url = url
        self.heard: list[Json] = []
        self._http = http
        self._http.headers["A2A-Extensions"] = extension
        self._extension = extension
        self._card: AgentCard | None = None
        self._calling: Client | None = None
        self._watching: Client | None = None

    async def card(self) -> AgentCard:
        """The agent's card. Raises `ProviderUnavailable`."""
        if self._card is None:
            with _told(self.url):
                self._card = await A2ACardResolver(self._http, self.url).get_agent_card()
        return self._card

    async def send(
        self, parts: Sequence[Mapping[str, Any]], key: str, *, task: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Task:
        """Sends a message and waits for its answer: the task as it is then. Raises `Refusal`.

        `key` is the message's id; with `task` the message goes to a task that is there already.
        """
        said: Json = {"messageId": key, "role": "ROLE_USER", "parts": [dict(one) for one in parts]}
        said |= {"metadata": dict(metadata or {}), "extensions": [self._extension]}
        request = SendMessageRequest(message=_message({**said, **({"taskId": task} if task else {})}))
        client = await self._client(streaming=False)
        with _told(self.url):
            async for event in client.send_message(request):
                self._hear(event)
                if event.WhichOneof("payload") == "task":
                    return event.task
        raise Refusal("it answered with a message instead of a task")

    async def get(self, task: str) -> Task:
        """The task as it is. Raises `Refusal`."""
        client = await self._client(streaming=False)
        with _told(self.url):
            return self._hear(await client.get_task(GetTaskRequest(id=task)))

    async def cancel(self, task: str) -> Task:
        """Takes the task back. Raises `Refusal`."""
        client = await self._client(streaming=False)
        with _told(self.url):
            return self._hear(await client.cancel_task(CancelTaskRequest(id=task)))

    async def watch(self, task: str) -> AsyncGenerator[str, None]:
        """The task's state now, and whenever it changes, until the stream closes. Raises `Refusal`."""
        client = await self._client(streaming=True)
        with _told(self.url):
            async for event in client.subscribe(SubscribeToTaskRequest(id=task)):
                self._hear(event)
                kind = event.WhichOneof("payload")
                if kind == "task":
                    yield state_of(event.task)
                elif kind == "status_update":
                    yield _state(MessageToDict(event.status_update))

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def _client(self, *, streaming: bool) -> Client:
        card = await self.card()
        if self._calling is None or self._watching is None:
            try:
                self._calling, self._watching = [
                    await create_client(card, self._config(each)) for each in (False, True)
                ]
            except ValueError:
                offered = ", ".join(one.protocol_binding for one in card.supported_interfaces)
                raise ConfigurationError(
                    f"{self.url} offers {offered or 'no binding'}; the kit speaks JSONRPC."
                ) from None
        return self._watching if streaming else self._calling

    def _config(self, streaming: bool) -> ClientConfig:
        return ClientConfig(streaming=streaming, httpx_client=self._http, supported_protocol_bindings=BINDINGS)

    def _hear(self, said: Said) -> Said:
        self.heard.append(as_json(said))
        return said


def as_json(said: Protobuf) -> Json:
    """What was said, in the wire's own form."""
    told: Json = MessageToDict(said)
    return told


def state_of(task: Task) -> str:
    """The last word of a task's state: AUTH_REQUIRED, COMPLETED, …"""
    return _state(as_json(task))


def _state(said: Json) -> str:
    return str(said.get("status", {}).get("state", "")).removeprefix("TASK_STATE_")


def _message(said: Json) -> Message:
    try:
        return ParseDict(said, Message())
    except ParseError:
        raise ConfigurationError("The profile's parts are no parts of an A2A 1.0 message.") from None


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What the SDK makes of a failed call, as what the agent said; or as its silence."""
    try:
        yield
    except (A2AError, httpx.HTTPError, ValueError) as failure:
        cause = failure if isinstance(failure, httpx.HTTPError) else failure.__cause__
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code < 500:
            raise Refusal(f"it answered with status {cause.response.status_code}") from None
        if isinstance(cause, httpx.ReadTimeout):
            raise Fault("it kept a call open and said nothing, though a task that waits is an answer") from None
        if isinstance(cause, httpx.HTTPError):
            raise ProviderUnavailable(f"{url} gives no answer.", hint="Does the agent run?") from None
        raise Refusal(f"it answered: {quoted(str(failure))}") from None
