"""Processes die at random moments while transfers are under way: none is lost, none is paid twice.

A long run: `LONG=1 make test`.
"""

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from a2a.types import Task, TaskState

from stead.demo.cli.broker import ENDED, Broker, challenges
from stead.demo.cli.session import Session, signed_in
from stead.demo.network.addresses import addresses
from stead.identity.errors import IdentityError
from stead.identity.samples import ALICE
from stead.identity.serving import origin
from tests.journeys.finport import FinPort, start_network, stop_network

T = TypeVar("T")
ROUNDS = 40
KILLED = ("agents.transfer", "broker", "mcp_servers.payments", "bank_idp", "corporate_idp", "trail")
PATIENCE = 120

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[FinPort]:
    """A network of its own: what dies here is nobody else's."""
    running = start_network(tmp_path / "home")
    yield running
    stop_network(running)


async def test_random_deaths_lose_no_transfer_and_pay_none_twice(network: FinPort) -> None:
    chance = random.Random(20260)
    asked: list[Decimal] = []
    ended: Counter[str] = Counter()
    for number in range(ROUNDS):
        amount = Decimal(number + 1)
        victim, delay = chance.choice(KILLED), chance.uniform(0, 0.6)
        state = await _one(network, amount, victim, delay)
        ended[state] += 1
        asked.append(amount)
        assert state == "TASK_STATE_COMPLETED", (number, victim, delay, state)
    assert _paid(network) == {f"{amount:.2f}": 1 for amount in asked}, ended


async def _one(network: FinPort, amount: Decimal, victim: str, delay: float) -> str:
    """One transfer, during which one process dies; the person keeps trying as a person would."""
    killing = asyncio.create_task(_kill_after(network, victim, delay))
    async with asyncio.timeout(PATIENCE):
        task = await _again(lambda: _asked(network, f"Transfer {amount} EUR to Bob's savings"))
        while True:
            seen = await _again(lambda: _pressed(network, task))
            if seen.status.state in ENDED:
                break
    await killing
    return TaskState.Name(seen.status.state)


async def _asked(network: FinPort, goal: str) -> str:
    """Asks once; the task's id as soon as it is accepted. What was not accepted may be asked again."""
    session = await signed_in(network.home, "alice")
    broker = Broker(session)
    try:
        async for task in broker.send(goal):
            return task.id
    finally:
        await broker.close()
        await session.close()
    raise IdentityError("nothing came")


async def _pressed(network: FinPort, task: str) -> Task:
    """Looks at the task, and approves what it waits for."""
    session: Session = await signed_in(network.home, "alice")
    broker = Broker(session)
    try:
        seen = await broker.task(task)
        for challenge in challenges(seen):
            await session.approve(challenge["link"])
        if seen.status.state not in ENDED:
            await asyncio.sleep(0.1)
        return await broker.task(task)
    finally:
        await broker.close()
        await session.close()


async def _again(work: Callable[[], Awaitable[T]]) -> T:
    """Until it works: somebody is restarting."""
    while True:
        try:
            return await work()
        except Exception:
            await asyncio.sleep(0.2)


async def _kill_after(network: FinPort, place: str, delay: float) -> None:
    await asyncio.sleep(delay)
    address = origin(dict(addresses(network.home.network))[place])
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr == address and connection.pid:
            os.kill(connection.pid, signal.SIGKILL)
    await asyncio.sleep(0)


def _paid(network: FinPort) -> dict[str, int]:
    """How often each amount left Alice's accounts."""
    database = sqlite3.connect(network.home.database("payments-mcp"))
    rows = database.execute("SELECT amount FROM payments WHERE subject = ?", (ALICE.bank_subject,)).fetchall()
    database.close()
    return dict(Counter(amount for (amount,) in rows))
