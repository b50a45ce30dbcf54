"""A transfer that waits for its person: declined, expired, clicked twice, and through the death of any process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from a2a.types import Task, TaskState
from a2a.utils.errors import TaskNotFoundError

from stead.demo.cli.broker import ENDED, Broker, challenges, text
from stead.demo.cli.session import Session, signed_in
from stead.identity.errors import IdentityError
from stead.identity.serving import origin
from tests.journeys.finport import FinPort

GOAL = "Transfer 3 EUR to Bob's savings"


@asynccontextmanager
async def waiting(finport: FinPort, person: str = "alice") -> AsyncIterator[tuple[Session, Broker, Task]]:
    """A task that waits for the person at the bank."""
    session = await signed_in(finport.home, person)
    broker = Broker(session)
    async for task in broker.follow(GOAL):
        if challenges(task):
            break
    try:
        yield session, broker, task
    finally:
        await broker.close()
        await session.close()


async def ended(broker: Broker, task: str) -> Task:
    """The task, once it has ended."""
    async with asyncio.timeout(60):
        while (seen := await broker.task(task)).status.state not in ENDED:
            async for _ in broker.watch(task):
                pass
    return seen


async def test_declining_is_a_real_answer(finport: FinPort) -> None:
    async with waiting(finport) as (_, broker, task):
        await broker.decline(task.id, challenges(task)[0]["id"])
        seen = await ended(broker, task.id)
        assert seen.status.state == TaskState.TASK_STATE_REJECTED
        assert "declined" in text(seen).lower()


async def test_declining_at_the_bank_ends_the_task_too(finport: FinPort) -> None:
    async with waiting(finport) as (session, broker, task):
        await session.approve(challenges(task)[0]["link"], decision="decline")
        assert (await ended(broker, task.id)).status.state == TaskState.TASK_STATE_REJECTED


async def test_a_second_click_on_the_link_pays_nothing_and_says_so(finport: FinPort) -> None:
    async with waiting(finport) as (session, broker, task):
        link = challenges(task)[0]["link"]
        await session.approve(link)
        assert (await ended(broker, task.id)).status.state == TaskState.TASK_STATE_COMPLETED
        again = await session.approve(link)
        assert again.status < 500
        assert not again.forms() or "password" not in again.forms()[0].fields
        assert (await broker.task(task.id)).status.state == TaskState.TASK_STATE_COMPLETED


async def test_a_forwarded_link_is_refused_to_another_person_in_words(finport: FinPort) -> None:
    async with waiting(finport) as (_, broker, task):
        carol = await signed_in(finport.home, "carol")
        page = await carol.approve(challenges(task)[0]["link"])
        assert 400 <= page.status < 500
        assert "Carol Adeyemi" in page.words()
        assert (await broker.task(task.id)).status.state == TaskState.TASK_STATE_AUTH_REQUIRED
        await carol.close()
        await broker.cancel(task.id)


async def test_a_cancelled_task_cannot_be_approved_any_more(finport: FinPort) -> None:
    async with waiting(finport) as (session, broker, task):
        cancelled = await broker.cancel(task.id)
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        page = await session.approve(challenges(task)[0]["link"])
        assert page.status < 500
        assert (await broker.task(task.id)).status.state == TaskState.TASK_STATE_CANCELED


async def test_nobody_else_sees_or_ends_the_task(finport: FinPort) -> None:
    async with waiting(finport) as (_, broker, task):
        carol = await signed_in(finport.home, "carol")
        foreign = Broker(carol)
        for attempt in (foreign.task, foreign.cancel):
            with pytest.raises(TaskNotFoundError):
                await attempt(task.id)
        await foreign.close()
        await carol.close()
        await broker.cancel(task.id)


@pytest.mark.parametrize(
    "killed", ["agents.transfer", "broker", "bank_idp", "corporate_idp", "mcp_servers.payments", "trail", "web"]
)
async def test_a_process_killed_while_the_task_waits_loses_nothing(finport: FinPort, killed: str) -> None:
    async with waiting(finport) as (session, broker, task):
        await _kill_and_await_return(finport, killed)
        await session.approve(challenges(task)[0]["link"])
        seen = await ended(broker, task.id)
        assert seen.status.state == TaskState.TASK_STATE_COMPLETED, text(seen)


async def _kill_and_await_return(finport: FinPort, place: str) -> None:
    from stead.demo.network.addresses import addresses

    url = dict(addresses(finport.home.network))[place]
    pid = _listener(url)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while not await _answers(url, not_pid=pid):
            await asyncio.sleep(0.05)


def _listener(url: str) -> int:
    host, port = origin(url)
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr == (host, port) and connection.pid:
            return connection.pid
    raise IdentityError(f"Nobody listens at {url}.")


async def _answers(url: str, *, not_pid: int) -> bool:
    import httpx

    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            ready = (await client.get(f"{url}/readyz")).status_code == 200
        return ready and _listener(url) != not_pid
    except (httpx.HTTPError, IdentityError):
        return False
