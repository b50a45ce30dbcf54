"""What waiting for a person costs: how soon a task goes on after their yes, and what a parked one holds meanwhile."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import httpx
import psutil
from a2a.types import Task, TaskState

from benchmarks.measure import Effort, progress, report
from stead.demo.cli.broker import ENDED, Broker, challenges
from stead.demo.cli.session import Session, signed_in
from stead.demo.network.launcher import running
from stead.identity.home import Home

GOAL = "Transfer 1 EUR to Bob's savings"
RESUMED_WITHIN = 100.0
PARKED_COSTS = 40.0
AT_ONCE = 8
WARM = 0.1
"""The share of tasks that are parked before memory is looked at: whatever is allocated once is then there."""
SHARED = 0.1
"""Connections for each parked task: whoever looks after all of them now and then does so over a few."""
SETTLING = 10.0
"""Seconds that idle connections may take to close."""


async def run(effort: Effort) -> None:
    """All figures of this group."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        with running(home):
            # The launcher is synchronous, by design: it forks. The persons are beside it.
            await asyncio.to_thread(asyncio.run, _measured(home, effort))


async def _measured(home: Home, effort: Effort) -> None:
    network = psutil.Process().children(recursive=True)
    alice = await signed_in(home, "alice")
    broker = Broker(alice)
    try:
        await _resumed(alice, broker, effort)
        await _parked(broker, network, effort)
    finally:
        await broker.close()
        await alice.close()


async def _resumed(alice: Session, broker: Broker, effort: Effort) -> None:
    progress("a person approves, and the task goes on")
    approved = _approvals(alice.http, alice.home.network.bank_idp)
    waits = [await _resume(alice, broker, approved) for _ in range(effort.calls(15))][1:]
    report("in_task.resumed", statistics.median(waits) * 1_000, "ms", at_most=RESUMED_WITHIN)
    report("in_task.resumed.longest", max(waits) * 1_000, "ms")


def _approvals(http: httpx.AsyncClient, bank: str) -> list[float]:
    """When each form was sent to the bank: the last one before a task goes on is the consent itself."""
    sent: list[float] = []

    async def note(request: httpx.Request) -> None:
        if request.method == "POST" and str(request.url).startswith(bank):
            sent.append(time.perf_counter())

    http.event_hooks["request"].append(note)
    return sent


async def _resume(alice: Session, broker: Broker, approved: Sequence[float]) -> float:
    """Seconds from the consent until the broker says that the task works again, or is done."""
    parked = await _park(broker)
    seen = asyncio.create_task(_goes_on(broker, parked.id))
    await alice.approve(challenges(parked)[0]["link"])
    return await seen - approved[-1]


async def _park(broker: Broker) -> Task:
    """A task that waits for its person. Nobody watches it any more."""
    async with aclosing(broker.send(GOAL)) as changes:
        async for task in changes:
            if task.status.state == TaskState.TASK_STATE_AUTH_REQUIRED:
                return task
    raise RuntimeError("the transfer was not asked for")


async def _goes_on(broker: Broker, task: str) -> float:
    """When the task is seen to go on."""
    gone = {TaskState.TASK_STATE_WORKING, *ENDED}
    while True:
        async with aclosing(broker.watch(task)) as changes:
            async for seen in changes:
                if seen.status.state in gone:
                    return time.perf_counter()


async def _parked(broker: Broker, network: Sequence[psutil.Process], effort: Effort) -> None:
    number = effort.calls(500)
    progress(f"{number} tasks wait for their person")
    await _park_many(broker, max(2, round(number * WARM)))
    connections, before = await _settled(network, None), _held(network)
    await _park_many(broker, number)
    more = await _settled(network, connections) - connections
    report("in_task.parked.holds", (_held(network) - before) / number / 1_024, "kB", at_most=PARKED_COSTS)
    report("in_task.parked.connections", more / number, "ratio", at_most=SHARED)


async def _park_many(broker: Broker, number: int) -> None:
    """Parks so many, a few at once."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with at_once:
            await _park(broker)

    await asyncio.gather(*(one() for _ in range(number)))


def _held(network: Sequence[psutil.Process]) -> int:
    """Bytes that are each process's own, all together."""
    return sum(process.memory_full_info().uss for process in network)


async def _settled(network: Sequence[psutil.Process], expected: int | None) -> int:
    """Connections that are open once the idle ones had time to close; sooner where as few as expected are."""
    deadline = time.monotonic() + SETTLING
    while time.monotonic() < deadline:
        if expected is not None and _connections(network) <= expected:
            break
        await asyncio.sleep(0.2)
    return _connections(network)


def _connections(network: Sequence[psutil.Process]) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for each in network for one in each.net_connections("tcp"))
