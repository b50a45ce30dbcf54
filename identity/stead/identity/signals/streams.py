"""Answers that go on for as long as their caller watches: they end when the token that opened them is revoked.

The app is not broken off, since it may be in the middle of something. It is told that its caller went away, as when a
connection breaks, and nothing more of what it says goes out.
"""

import asyncio
from collections.abc import Callable

from stead.identity.types import ASGIApp, Message, Receive, Scope, Send
from stead.identity.values import Principal

_LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_GONE: Message = {"type": "http.disconnect"}


class Streams:
    """The open streams of one service. For one event loop."""

    def __init__(self, is_revoked: Callable[[Principal], bool]) -> None:
        self._is_revoked = is_revoked
        self._open: set[_Call] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def serve(self, principal: Principal, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Has `app` answer; should the answer be a stream, for as long as the principal's token is good."""
        call = _Call(principal, receive, send, self._opened)
        try:
            await app(scope, call.receive, call.send)
        finally:
            self._open.discard(call)

    def look(self) -> None:
        """Ends the streams whose token is revoked by now."""
        for call in [call for call in self._open if self._is_revoked(call.principal)]:
            self._end(call)

    def _opened(self, call: "_Call") -> None:
        if self._is_revoked(call.principal):
            self._end(call)
        else:
            self._open.add(call)

    def _end(self, call: "_Call") -> None:
        self._open.discard(call)
        ending = asyncio.create_task(call.end(), name="end of a stream")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    @property
    def number(self) -> int:
        """How many are open."""
        return len(self._open)


class _Call:
    """One request, whose answer may turn out to be a stream."""

    __slots__ = ("_has_body", "_is_over", "_opened", "_receive", "_send", "_waiting", "principal")

    def __init__(self, principal: Principal, receive: Receive, send: Send, opened: Callable[["_Call"], None]) -> None:
        self.principal = principal
        self._receive = receive
        self._send = send
        self._opened = opened
        self._waiting: asyncio.Timeout | None = None
        self._has_body = False
        self._is_over = False

    async def receive(self) -> Message:
        if self._is_over:
            return _GONE
        if not self._has_body:
            message = await self._receive()
            self._has_body = not message.get("more_body", False)
            return message
        return await self._until_gone()

    async def _until_gone(self) -> Message:
        """There is nothing to wait for any more but the caller's end, or that of the stream."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await self._receive()
        except TimeoutError:
            if not self._is_over:
                raise
            return _GONE
        finally:
            self._waiting = None

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_over = True
        await self._send(message)
        if message["type"] == "http.response.start" and _is_stream(message):
            self._opened(self)

    async def end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
        await self._send(_LAST)


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"]
    )
