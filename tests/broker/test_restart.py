"""The broker's process is killed at the worst moments, and another goes on: nothing is lost, nothing is done twice."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from stead.identity.home import Home
from tests.broker.stubs import Call, Stub
from tests.broker.world import Person, World, answer, answering, data, message, network_of, state

ROOT = Path(__file__).parents[2]


@dataclass
class Aftermath:
    """What was under way when the broker was killed, seen by its person with another broker running."""

    world: World
    alice: Person
    approved: str
    declined: dict[str, Any]
    asked: str
    cut_off: str

    def calls(self, task: str) -> list[Call]:
        return [call for call in self.world.agents["transfer"].calls if call.message_id.startswith(task)]


@pytest.fixture(scope="module")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    async with network_of(Home(tmp_path_factory.mktemp("killed") / "home"), broker=False) as world:
        alice, transfer, go = await world.person("alice"), world.agents["transfer"], asyncio.Event()
        called = asyncio.Event()

        async def behave(stub: Stub, call: Call) -> None:
            if call.input["amount"] != "3.00":
                stub.park(call)
                return
            called.set()
            await go.wait()
            stub.complete(call, "Sent 3.00.", {})

        transfer.run = behave
        async with broker(world) as process:
            approved, declined = await alice.ask("Transfer 1 EUR to Carol"), await alice.ask("Transfer 2 EUR to Carol")
            asked = await alice.ask("Transfer money")
            cut_off = await begun(alice, "Show my portfolio and transfer 3 EUR to Carol")
            async with asyncio.timeout(20):
                await called.wait()
            await kill(process)
        assert [state(each) for each in (approved, declined, asked)] == [
            "AUTH_REQUIRED",
            "AUTH_REQUIRED",
            "INPUT_REQUIRED",
        ]
        go.set()
        transfer.complete(transfer.calls[0], "Sent 1.00.", {})
        transfer.run = answering
        async with broker(world):
            yield Aftermath(world, alice, approved["id"], declined, asked["id"], cut_off)


@asynccontextmanager
async def broker(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """A broker's process; killed at the end if a test has not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.broker.process", str(world.home.path), cwd=ROOT
    )
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    await http.get(f"{world.network.broker}/healthz", timeout=20)
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
        yield process
    finally:
        await kill(process)


async def kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


async def begun(alice: Person, goal: str) -> str:
    request = message(goal)
    request["configuration"] = {"returnImmediately": True}
    return str((await alice.rpc("SendMessage", request))["result"]["task"]["id"])


def ended(task: dict[str, object]) -> bool:
    return state(task) in ("COMPLETED", "REJECTED", "FAILED", "CANCELED")


async def test_a_parked_task_survives_and_money_moves_once(aftermath: Aftermath) -> None:
    seen = await aftermath.alice.until(aftermath.approved, ended)
    assert state(seen) == "COMPLETED"
    assert answer(seen) == "Sent 1.00."
    assert len(aftermath.calls(aftermath.approved)) == 1


async def test_a_call_cut_off_by_death_is_repeated_as_the_same_call(aftermath: Aftermath) -> None:
    seen = await aftermath.alice.until(aftermath.cut_off, ended)
    assert state(seen) == "COMPLETED", seen
    assert len(aftermath.calls(aftermath.cut_off)) == 1
    assert aftermath.world.agents["transfer"].seen.count(f"{aftermath.cut_off}:s2") == 2
    assert len(aftermath.world.agents["portfolio"].calls) == 1


async def test_declining_works_after_a_restart(aftermath: Aftermath) -> None:
    task = aftermath.declined
    no = message("no", task=task["id"])
    no["message"]["parts"] = [{"data": {"challenge": data(task)["challenges"][0]["id"], "answer": "declined"}}]
    answered = await aftermath.alice.rpc("SendMessage", no)
    assert state(answered["result"]["task"]) == "REJECTED", answered


async def test_a_question_survives_and_can_be_answered(aftermath: Aftermath) -> None:
    task = await aftermath.alice.ask("4 EUR to Bob's savings", task=aftermath.asked)
    assert state(task) == "COMPLETED"
    assert len(aftermath.calls(aftermath.asked)) == 1
