"""Servers to be measured, each a process of its own that ends with the measurement."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from benchmarks.measure import processor_seconds
from stead.identity.serving import listen, origin
from stead.identity.types import ASGIApp

ROOT = Path(__file__).parents[1]
READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running process and where it listens."""

    url: str
    pid: int

    def used(self) -> float:
        """Seconds of processor time that it has used."""
        return processor_seconds(self.pid)


def free(host: str = "127.0.0.1") -> str:
    """An origin at which nobody listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"http://{host}:{probe.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A server of `benchmarks.served`, and what it is told."""

    kind: str
    given: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@asynccontextmanager
async def served(home: Path, *wanted: Wanted) -> AsyncIterator[list[Server]]:
    """Servers, started together and ready inside the block. Raises `RuntimeError` when one does not start."""
    urls = [each.url or free() for each in wanted]
    processes = [_start(each, url, home) for each, url in zip(wanted, urls, strict=True)]
    try:
        await asyncio.gather(*(_ready(*pair) for pair in zip(processes, urls, strict=True)))
        yield [Server(url, process.pid) for url, process in zip(urls, processes, strict=True)]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait)


def _start(wanted: Wanted, url: str, home: Path) -> "subprocess.Popen[bytes]":
    # The same seed for every process: their dictionaries are then alike, and so is what they cost.
    environment = {**os.environ, "STEAD_HOME": str(home), "PYTHONHASHSEED": "0"}
    words = [wanted.kind, url, *(f"{name}={value}" for name, value in wanted.given.items())]
    command = [sys.executable, "-m", "benchmarks.served", *words]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)


async def _ready(process: subprocess.Popen[bytes], url: str) -> None:
    async with asyncio.timeout(READY_WITHIN):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection(*origin(url))
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise RuntimeError(f"The server ended with {process.returncode}.")


@asynccontextmanager
async def serving(apps: Mapping[str, ASGIApp]) -> AsyncIterator[None]:
    """Apps in this process, by their origins: for what is not measured."""
    async with AsyncExitStack() as stack:
        for url, app in apps.items():
            server = uvicorn.Server(uvicorn.Config(app, http="httptools", log_level="error", server_header=False))
            running = asyncio.create_task(server._serve([listen(url)]))
            stack.push_async_callback(_stopped, server, running)
            while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.01)
        yield


async def _stopped(server: uvicorn.Server, running: "asyncio.Task[None]") -> None:
    server.should_exit = True
    await running
