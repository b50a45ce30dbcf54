"""What a connection may cost before anybody knows who is calling, and that its requests have nothing in common."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from stead.identity import bounded_http
from stead.identity.bounded_http import MAX_HEAD
from stead.identity.serving import _config, listen
from stead.identity.types import Receive, Scope, Send
from stead.identity.values import Arrival, acting_for, current_arrival


async def says_who_arrived(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the hop that it finds in its context, from within a hop of its own."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    found = current_arrival()
    with acting_for(None, Arrival("1" * 16, "2" * 32, "jti")):
        while (await receive()).get("more_body"):
            pass
        body = b"nobody" if found is None else found.hop.encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = listen("http://127.0.0.1:0")
    server = uvicorn.Server(_config(says_who_arrived, "warning"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


async def sent_until_cut_off(writer: asyncio.StreamWriter, piece: bytes, most: int) -> int:
    """Bytes that were taken before the connection was closed."""
    sent = 0
    try:
        while sent < most:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    return sent


async def test_a_header_that_never_ends_is_cut_off() -> None:
    async with connected() as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-endless: ")
        # What the kernel buffers on both sides comes on top of what the process takes in.
        assert await sent_until_cut_off(writer, b"a" * 65_536, 200_000_000) < 50_000_000


async def test_headers_without_end_are_cut_off() -> None:
    async with connected() as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert await sent_until_cut_off(writer, b"x-more: and more\r\n" * 4096, 200_000_000) < 50_000_000


@pytest.mark.parametrize("head", ["x-large: {}", "cookie: a={}"])
async def test_a_head_that_is_too_large_is_refused_in_words(head: str) -> None:
    async with connected() as (reader, writer):
        writer.write(f"GET / HTTP/1.1\r\nhost: x\r\n{head.format('a' * MAX_HEAD)}\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_an_address_that_is_too_long_is_refused_in_words() -> None:
    async with connected() as (reader, writer):
        writer.write(f"GET /{'a' * MAX_HEAD} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_many_requests_on_one_connection_are_each_measured_alone() -> None:
    async with connected() as (reader, writer):
        for _ in range(20):
            writer.write(f"GET / HTTP/1.1\r\nhost: x\r\nx-large: {'a' * 30_000}\r\n\r\n".encode())
            assert b"nobody" in await asyncio.wait_for(reader.readuntil(b"nobody"), 5)


@pytest.mark.parametrize("slow", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nslow"])
async def test_a_request_that_never_arrives_whole_loses_its_connection(
    slow: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "PATIENCE", 0.1)
    async with connected() as (reader, writer):
        writer.write(slow)
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_an_answered_request_does_not_count_against_the_time_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "PATIENCE", 0.1)
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"nobody")
        await asyncio.sleep(0.2)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"nobody" in await asyncio.wait_for(reader.readuntil(b"nobody"), 5)


async def test_a_pipelined_request_does_not_begin_as_the_caller_of_the_one_before() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        for _ in range(3):
            assert b"nobody" in await asyncio.wait_for(reader.readuntil(b"nobody"), 5)


async def test_a_request_after_one_that_paused_reading_does_not_begin_as_its_caller() -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000)
            assert b"nobody" in await asyncio.wait_for(reader.readuntil(b"nobody"), 5)
