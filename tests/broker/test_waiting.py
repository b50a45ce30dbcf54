"""A step that waits for its person: relayed, approved, declined, cancelled, renewed, never answered for another."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from stead.broker.executor.office import current
from stead.broker.structs import to_json
from tests.broker.stubs import Call, Stub
from tests.broker.world import Person, World, answer, artifact, data, message, state

TRANSFER = "Transfer 250 EUR to Bob's savings"


class Waits:
    """A skill that parks, and finishes when the test approves."""

    def __init__(self, **park: Any) -> None:
        self.parked = asyncio.Event()
        self.call: Call
        self._park = park

    async def __call__(self, stub: Stub, call: Call) -> None:
        self.call = call
        stub.park(call, **self._park)
        self.parked.set()

    def approve(self, stub: Stub) -> None:
        stub.complete(self.call, "250.00 EUR went to Bob.", {"payment_id": "p-1"})


@pytest.fixture
def waits(world: World) -> Waits:
    skill = Waits()
    world.agents["transfer"].run = skill
    return skill


def ended(task: dict[str, Any]) -> bool:
    return state(task) in ("COMPLETED", "REJECTED", "FAILED", "CANCELED")


async def test_a_challenge_is_relayed_untouched(alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    assert state(task) == "AUTH_REQUIRED"
    (challenge,) = data(task)["challenges"]
    assert challenge["task"] == waits.call.id
    assert challenge["subject"]["sub"] == "alice"
    assert task["status"]["message"]["extensions"] == ["urn:stead:a2a:in-task:v1"]
    assert artifact(task, "progress")["steps"][0]["state"] == "parked"


async def test_the_time_that_a_caller_allows_for_an_answer_reaches_the_agent(alice: Person, waits: Waits) -> None:
    params = message(TRANSFER)
    params["message"]["metadata"] = {"urn:stead:a2a:in-task:v1": {"answer_within": 30}, "urn:other": {"answer": 42}}
    task = (await alice.rpc("SendMessage", params))["result"]["task"]
    assert state(task) == "AUTH_REQUIRED"
    assert waits.call.metadata == {"urn:stead:a2a:in-task:v1": {"answer_within": 30}}
    await alice.rpc("CancelTask", {"id": task["id"]})
    await alice.ask(TRANSFER)
    assert waits.call.metadata == {}


async def test_a_time_for_an_answer_that_is_none_is_refused(alice: Person) -> None:
    params = message(TRANSFER)
    params["message"]["metadata"] = {"urn:stead:a2a:in-task:v1": {"answer_within": "soon"}}
    assert (await alice.rpc("SendMessage", params))["error"]["code"] == -32602


async def test_a_push_wakes_the_task(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    waits.approve(world.agents["transfer"])
    assert await world.agents["transfer"].push(waits.call) == 202
    task = await alice.until(task["id"], ended)
    assert state(task) == "COMPLETED"
    assert answer(task) == "250.00 EUR went to Bob."
    assert len(world.agents["transfer"].calls) == 1


async def test_a_push_is_a_hint_and_proves_nothing(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    looks = len(world.agents["transfer"].looks)
    await world.agents["transfer"].push(waits.call)
    async with asyncio.timeout(5):
        while len(world.agents["transfer"].looks) == looks:
            await asyncio.sleep(0.01)
    look = world.agents["transfer"].looks[-1]
    assert (look.subject, look.chain) == ("alice", ("broker",))
    assert state(await alice.task(task["id"])) == "AUTH_REQUIRED"


async def test_a_push_without_the_scope_for_it_is_refused(world: World, alice: Person) -> None:
    response = await alice.http.post(
        f"{world.network.broker}/push", json={"task": "t", "state": "x"}, headers=alice.headers
    )
    assert response.status_code == 403
    assert "insufficient_scope" in response.headers["www-authenticate"]
    assert (await alice.http.post(f"{world.network.broker}/push", json={"task": "t"})).status_code == 401


async def test_the_sweep_finds_what_a_lost_push_left(alice: Person, world: World, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    waits.approve(world.agents["transfer"])
    for waiting in current().parked.of_task(task["id"]):
        waiting.due = 0.0
    assert state(await alice.until(task["id"], ended)) == "COMPLETED"


async def test_a_stream_stays_open_while_the_person_is_asked(world: World, alice: Person, waits: Waits) -> None:
    states = []
    async for event in alice.stream("SendStreamingMessage", message(TRANSFER)):
        if "statusUpdate" in event["result"]:
            states.append(event["result"]["statusUpdate"]["status"]["state"].removeprefix("TASK_STATE_"))
            if states[-1] == "AUTH_REQUIRED":
                waits.approve(world.agents["transfer"])
                await world.agents["transfer"].push(waits.call)
    assert states == ["WORKING", "AUTH_REQUIRED", "WORKING", "COMPLETED"] or states == [
        "WORKING",
        "AUTH_REQUIRED",
        "COMPLETED",
    ]


async def test_other_steps_go_on_while_one_waits(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(f"Show my portfolio and {TRANSFER.lower()}")
    task = await alice.until(task["id"], lambda seen: artifact(seen, "progress")["steps"][0]["state"] == "done")
    assert state(task) == "AUTH_REQUIRED"
    waits.approve(world.agents["transfer"])
    await world.agents["transfer"].push(waits.call)
    task = await alice.until(task["id"], ended)
    assert [result["skill"] for result in artifact(task, "answer")["results"]] == ["portfolio.summary", "transfer.send"]


async def decline(person: Person, task: dict[str, Any], challenge: str, said: str = "declined") -> dict[str, Any]:
    made = message("no", task=task["id"])
    made["message"]["parts"] = [{"data": {"challenge": challenge, "answer": said}}]
    return await person.rpc("SendMessage", made)


async def test_declining_is_told_to_the_agent_and_ends_the_task(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    answered = await decline(alice, task, data(task)["challenges"][0]["id"])
    assert state(answered["result"]["task"]) == "REJECTED"
    assert "You declined it." in answer(answered["result"]["task"])
    assert waits.call.task.status.state == 7


async def test_nobody_else_can_decline(world: World, alice: Person, bob: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    answered = await decline(bob, task, data(task)["challenges"][0]["id"])
    assert answered["error"]["code"] == -32001
    assert state(await alice.task(task["id"])) == "AUTH_REQUIRED"


async def test_a_yes_is_never_taken_here(alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    answered = await decline(alice, task, data(task)["challenges"][0]["id"], "approved")
    assert answered["error"]["code"] == -32602
    assert state(await alice.task(task["id"])) == "AUTH_REQUIRED"


async def test_cancelling_cancels_the_agents_task_too(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    answered = await alice.rpc("CancelTask", {"id": task["id"]})
    assert state(answered["result"]) == "CANCELED"
    async with asyncio.timeout(10):
        while waits.call.task.status.state != 5:
            await asyncio.sleep(0.02)
    assert (await alice.rpc("CancelTask", {"id": task["id"]}))["error"]["code"] == -32002
    waits.approve(world.agents["transfer"])
    await world.agents["transfer"].push(waits.call)
    assert state(await alice.task(task["id"])) == "CANCELED"


async def test_cancelling_in_the_midst_of_a_call_cancels_what_it_started(world: World, alice: Person) -> None:
    called, go = asyncio.Event(), asyncio.Event()
    calls: list[Call] = []

    async def slow(stub: Stub, call: Call) -> None:
        calls.append(call)
        called.set()
        await go.wait()
        stub.park(call)

    world.agents["transfer"].run = slow
    request = message(TRANSFER)
    request["configuration"] = {"returnImmediately": True}
    task = (await alice.rpc("SendMessage", request))["result"]["task"]
    async with asyncio.timeout(10):
        await called.wait()
    assert state((await alice.rpc("CancelTask", {"id": task["id"]}))["result"]) == "CANCELED"
    go.set()
    async with asyncio.timeout(10):
        while calls[0].task.status.state != 5:
            await asyncio.sleep(0.02)


async def test_a_fresher_token_renews_the_task_and_the_agents(world: World, alice: Person, waits: Waits) -> None:
    task = await alice.ask(TRANSFER)
    await asyncio.sleep(1.1)  # an expiry has whole seconds: a token of the same second is not fresher
    looks = world.agents["transfer"].looks
    old = {look.jti for look in looks} | {waits.call.principal.jti}
    alice.token = await world.token("alice", fresh=True)
    await alice.task(task["id"])
    async with asyncio.timeout(5):
        # The sweep looks too, by the token it has: only a look by another token shows the renewal.
        while all(look.jti in old for look in looks):
            await asyncio.sleep(0.01)
    assert state(await alice.task(task["id"])) == "AUTH_REQUIRED"


async def test_without_a_sign_in_the_task_waits_and_a_sign_in_ends_the_wait(
    world: World, alice: Person, waits: Waits
) -> None:
    task = await alice.ask(TRANSFER)
    await current().subjects.forget(f"{world.network.corporate_idp}|alice", task["id"])
    waits.approve(world.agents["transfer"])
    await world.agents["transfer"].push(waits.call)
    waiting = await alice_without_renewal(alice, task["id"])
    assert waiting["sign_in"]["issuer"] == world.network.corporate_idp
    task = await alice.until(task["id"], ended)
    assert state(task) == "COMPLETED"


async def alice_without_renewal(alice: Person, task: str) -> Any:
    """What the task asks for, read from where the broker keeps it: a call of hers would renew its token."""
    async with asyncio.timeout(5):
        while not any(waiting.reply.sign_in for waiting in current().parked.of_task(task)):
            await asyncio.sleep(0.02)
        while True:
            shown = await current().board.get(task, f"{alice.world.network.corporate_idp}|alice")  # type: ignore[attr-defined]
            told = data(to_json(shown))
            if "sign_in" in told:
                return told
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("park", "why"),
    [
        ({"link": "http://evil.example/authorize/1"}, "its link leads to no registered agent"),
        ({"subject": "bob"}, "it is for somebody else"),
    ],
)
async def test_a_challenge_that_is_not_in_order_is_not_put_to_the_person(
    world: World, alice: Person, park: dict[str, str], why: str
) -> None:
    world.agents["transfer"].run = Waits(**park)
    task = await alice.ask(TRANSFER)
    assert state(task) == "FAILED"
    assert why in answer(task)
    assert "evil.example" not in json.dumps(task)


async def test_a_reading_agent_cannot_ask_for_an_approval(world: World, alice: Person) -> None:
    world.agents["portfolio"].run = Waits()
    task = await alice.ask("Show my portfolio")
    assert state(task) == "FAILED"
    assert "its provider is not the one of this skill" in answer(task)


async def test_two_waiting_steps_are_both_asked_for(world: World, alice: Person) -> None:
    calls: list[Call] = []

    async def wait(stub: Stub, call: Call) -> None:
        calls.append(call)
        stub.park(call)

    transfer = world.agents["transfer"]
    transfer.run = wait
    task = await alice.ask("Transfer 5 EUR to Carol and transfer 6 EUR to Carol")
    task = await alice.until(task["id"], lambda seen: len(data(seen)["challenges"]) == 2)
    for call in calls:
        transfer.complete(call, "sent.", {})
        await transfer.push(call)
    assert state(await alice.until(task["id"], ended)) == "COMPLETED"


async def test_a_challenge_of_another_task_cannot_be_declined_here(alice: Person, waits: Waits) -> None:
    one, two = await alice.ask(TRANSFER), await alice.ask("Transfer 7 EUR to Carol")
    answered = await decline(alice, one, "0" * 16)
    assert answered["error"]["code"] == -32602
    assert state(await alice.task(two["id"])) == "AUTH_REQUIRED"


async def test_the_bearer_of_the_link_is_never_the_broker(world: World, alice: Person, waits: Waits) -> None:
    """The broker relays the link and never opens it."""
    task = await alice.ask(TRANSFER)
    link = data(task)["challenges"][0]["link"]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(link)).status_code == 401
    assert state(await alice.task(task["id"])) == "AUTH_REQUIRED"
