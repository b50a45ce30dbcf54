"""A stream ends when the token that opened it is revoked; other answers, and other people's streams, do not."""

import asyncio
from collections.abc import Callable

import pytest

from stead.identity.signals.streams import Streams
from stead.identity.types import Message, Receive, Scope, Send
from stead.identity.values import Grant, Principal

START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")],
}
PLAIN: Message = {**START, "headers": [(b"content-type", b"application/json")]}
LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}
SCOPE: Scope = {"type": "http"}


def bearer(jti: str) -> Principal:
    return Principal("https://as", "alice", "a", "web", frozenset(), jti, 9, Grant.LOGIN)


def part(text: bytes) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": True}


class Caller:
    """One end of a connection that stays open."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.body: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]
        self.over = asyncio.Event()

    async def receive(self) -> Message:
        return self.body.pop() if self.body else await asyncio.Future()

    async def send(self, message: Message) -> None:
        self.heard.append(message)
        if message == LAST:
            self.over.set()


class Door:
    """A service whose answer goes on until its caller is gone."""

    def __init__(self, start: Message = START) -> None:
        self.revoked: set[str] = set()
        self.streams = Streams(lambda principal: principal.jti in self.revoked)
        self.start = start
        self.gone = asyncio.Event()
        self.answering = asyncio.Event()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"{}"
        await send(self.start)
        await send(part(b"one"))
        self.answering.set()
        assert (await receive())["type"] == "http.disconnect"
        self.gone.set()
        await send(part(b"too late"))

    def answer(self, caller: Caller, jti: str = "t-1") -> "asyncio.Task[None]":
        return asyncio.create_task(self.streams.serve(bearer(jti), self.app, SCOPE, caller.receive, caller.send))

    def revoke(self, jti: str) -> None:
        self.revoked.add(jti)
        self.streams.look()


@pytest.fixture
def door() -> Door:
    return Door()


async def test_a_stream_ends_with_its_token_and_the_app_is_told_that_its_caller_went(door: Door) -> None:
    caller = Caller()
    answering = door.answer(caller)
    await door.answering.wait()
    door.revoke("t-1")
    await asyncio.gather(door.gone.wait(), caller.over.wait(), answering)
    assert caller.heard == [START, part(b"one"), LAST]
    assert door.streams.number == 0


async def test_somebody_else_s_stream_goes_on(door: Door) -> None:
    caller = Caller()
    answering = door.answer(caller, "t-2")
    await door.answering.wait()
    door.revoke("t-1")
    assert door.streams.number == 1
    door.revoke("t-2")
    await answering


async def test_a_token_that_was_revoked_while_the_answer_was_made_opens_no_stream(door: Door) -> None:
    caller = Caller()
    door.revoked.add("t-1")
    await asyncio.gather(door.answer(caller), caller.over.wait())
    assert door.streams.number == 0
    assert part(b"too late") not in caller.heard


async def test_an_answer_that_is_no_stream_is_not_broken_off() -> None:
    door, caller = Door(PLAIN), Caller()
    answering = door.answer(caller)
    await door.answering.wait()
    door.revoke("t-1")
    assert door.streams.number == 0
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert caller.heard == [PLAIN, part(b"one")]


async def test_an_app_that_ends_its_stream_itself_is_not_ended_twice(door: Door) -> None:
    caller = Caller()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (START, part(b"one"), LAST):
            await send(message)
        door.revoke("t-1")

    await door.streams.serve(bearer("t-1"), app, SCOPE, caller.receive, caller.send)
    assert caller.heard == [START, part(b"one"), LAST]


@pytest.mark.parametrize("error", [TimeoutError, RuntimeError])
async def test_what_goes_wrong_is_not_taken_for_the_end_of_a_stream(door: Door, error: Callable[[], Exception]) -> None:
    caller = Caller()

    async def broken() -> Message:
        if caller.body:
            return caller.body.pop()
        raise error()

    with pytest.raises(type(error())):
        await door.streams.serve(bearer("t-1"), door.app, SCOPE, broken, caller.send)
