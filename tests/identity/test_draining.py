"""An early refusal is readable, however much the caller still has to send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from stead.identity.draining import Drained
from stead.identity.serving import listen
from stead.identity.types import Receive, Scope, Send


async def refuses_unread(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"too long"})


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    listener = listen("http://127.0.0.1:0")
    config = uvicorn.Config(Drained(refuses_unread), http="httptools", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def test_a_refusal_reaches_a_caller_that_still_sends() -> None:
    async with served() as url, httpx.AsyncClient(trust_env=False) as client:
        for _ in range(20):
            reply = await client.post(url, content=b"a" * 2_000_000)
            assert (reply.status_code, reply.text) == (413, "too long")
