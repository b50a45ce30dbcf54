"""An answer that its caller can read: what is left of the request's body is taken in before the answer goes out.

A server that answers while the caller still sends closes on unread bytes, and the caller sees a reset connection
instead of the refusal (RFC 9112 s9.6).
"""

import asyncio

from stead.identity.types import ASGIApp, Message, Receive, Scope, Send

MAX_DRAINED = 8 * 1024 * 1024
PATIENCE = 5.0
"""Seconds that a caller may take to send what will be thrown away."""


class Drained:
    """Reads on, up to 8 MiB, when `app` answers early; keeps nothing of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
            await send(message)

        await self._app(scope, body.receive, answer)


class _Body:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = MAX_DRAINED
        self._more = True

    async def receive(self) -> Message:
        message = await self._receive()
        self._more = message["type"] == "http.request" and bool(message.get("more_body"))
        return message

    async def drain(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while self._more and self._left > 0:
                    self._left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
