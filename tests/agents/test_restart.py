"""The process is killed while a call waits, or while it pays: nothing is lost, and nothing happens twice."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx

from stead.identity.home import Home
from stead.identity.workload import Workload
from stead.mcp_servers.finport import MCP_SERVERS
from tests.agents.town import Town, challenge_of, error_of, serving, state, town

GOAL = {"payee": "Bob's savings", "amount": "250"}
PROGRAM = "from stead.agents.transfer.agent import transfer; transfer.serve()"


@asynccontextmanager
async def process(made: Town) -> AsyncIterator[asyncio.subprocess.Process]:
    """The Transfer agent in a process of its own, killed without warning at the end."""
    environment = {**os.environ, "STEAD_HOME": str(made.home.path)}
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=environment)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            while not await _ready(client, made.agents["transfer"]):
                assert running.returncode is None
                await asyncio.sleep(0.05)
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def _ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_killed_while_a_person_thinks_nothing_is_lost_and_nothing_happens_twice(place: Town) -> None:
    async with process(place):
        task = await place.ask("alice", "send", GOAL, key="kill:s1")
        other = await place.ask("alice", "send", GOAL, key="kill:s2")
        assert state(task) == state(other) == "AUTH_REQUIRED"
    # An answer that was recorded, but had not yet reached the call when the process died.
    with closing(sqlite3.connect(place.home.database("transfer-agent"))) as database, database:
        database.execute("UPDATE challenges SET state = 'declined' WHERE task = ?", (other["id"],))
    async with process(place):
        assert challenge_of(await place.task("alice", task["id"])) == challenge_of(task)
        assert (await place.ask("alice", "send", GOAL, key="kill:s1"))["id"] == task["id"]
        await place.authorize(challenge_of(task)["link"], place.browser("alice"))
        await place.until("alice", task["id"], "COMPLETED")
        assert error_of(await place.until("alice", other["id"], "REJECTED"))["code"] == "declined"
    assert len(place.payments()) == 1


async def test_killed_while_it_pays_the_money_moves_once(tmp_path: Path) -> None:
    async with town(Home(tmp_path / "home"), without=["payments"]) as made:
        async with process(made):
            task = await made.ask("alice", "send", GOAL)
            await made.authorize(challenge_of(task)["link"], made.browser("alice"))
            await made.until("alice", task["id"], "WORKING")
        url = made.home.network.mcp_servers["payments"]
        payments = MCP_SERVERS["payments"](Workload.open("payments-mcp", url=url, home=made.home))
        async with serving(payments, url), process(made):
            await made.until("alice", task["id"], "COMPLETED")
        assert len(made.payments()) == 1
