"""Plans carried out over real HTTP, by the right authority: in parallel, once, refused with a sentence."""

import asyncio
import json
from pathlib import Path

import pytest

from stead.identity.values import Grant
from tests.broker.notes import PINNED
from tests.broker.stubs import Call, Stub
from tests.broker.world import Person, World, answer, artifact, data, message, state

BOTH = "How will AAPL and MSFT trend, and what are they worth in my portfolio?"
TRANSFER = "Transfer 250 EUR to Bob's savings"


async def test_a_question_is_answered_in_the_persons_stead(world: World, alice: Person) -> None:
    task = await alice.ask("Show my portfolio")
    assert state(task) == "COMPLETED"
    assert answer(task) == "portfolio did summary."
    (call,) = world.agents["portfolio"].calls
    assert (call.principal.subject, call.principal.grant, call.principal.chain) == ("alice", Grant.OBO, ("broker",))
    assert call.principal.txn is None
    assert artifact(task, "answer")["results"][0]["output"]["total"] == "42.00"


async def test_a_service_step_tells_the_agent_of_no_person(world: World, alice: Person) -> None:
    await alice.ask("How will AAPL trend?")
    (call,) = world.agents["market_data"].calls
    assert (call.principal.subject, call.principal.grant) == ("broker", Grant.S2S)
    assert "alice" not in json.dumps(dict(call.principal.claims), default=str)
    assert call.input == {"symbols": ["AAPL"]}


async def test_a_step_with_effects_carries_the_task_as_transaction(world: World, alice: Person) -> None:
    task = await alice.ask(TRANSFER)
    (call,) = world.agents["transfer"].calls
    assert call.principal.txn == task["id"]
    assert call.message_id == f"{task['id']}:s1"
    assert call.input == {"payee": "Bob's savings", "amount": "250.00", "currency": "EUR"}


async def test_independent_steps_run_at_once(world: World, alice: Person) -> None:
    meeting = asyncio.Barrier(2)

    async def meet(stub: Stub, call: Call) -> None:
        async with asyncio.timeout(5):
            await meeting.wait()
        stub.complete(call, "met", {})

    world.agents["market_data"].run = world.agents["portfolio"].run = meet
    assert state(await alice.ask(BOTH)) == "COMPLETED"


async def test_a_step_waits_for_the_one_it_needs(world: World, alice: Person) -> None:
    async def refuse(stub: Stub, call: Call) -> None:
        stub.refuse(call, "access_denied", "Not today.")

    world.agents["portfolio"].run = refuse
    task = await alice.ask("Show my portfolio, then transfer 5 EUR to Carol")
    assert state(task) == "REJECTED"
    assert not world.agents["transfer"].calls
    assert "was not tried" in answer(task)


async def test_a_lost_answer_is_asked_for_again_and_the_work_done_once(world: World, alice: Person) -> None:
    world.agents["transfer"].lose_answers = 2
    assert state(await alice.ask(TRANSFER)) == "COMPLETED"
    transfer = world.agents["transfer"]
    assert len(transfer.calls) == 1
    assert len(transfer.seen) == 3
    assert len(set(transfer.seen)) == 1


async def test_who_may_not_transfer_is_refused_with_a_sentence(world: World, bob: Person) -> None:
    task = await bob.ask(TRANSFER)
    assert state(task) == "REJECTED"
    assert not world.agents["transfer"].calls
    assert "transfer:create" in answer(task)
    assert data(task)["error"]["code"] == "invalid_scope"


async def test_a_refusal_beside_a_result_keeps_the_result(world: World, bob: Person) -> None:
    task = await bob.ask("Show my portfolio and transfer 5 EUR to Carol")
    assert state(task) == "REJECTED"
    assert artifact(task, "answer")["results"][0]["skill"] == "portfolio.summary"
    assert artifact(task, "answer")["refused"][0]["skill"] == "transfer.send"
    assert {step["state"] for step in artifact(task, "progress")["steps"]} == {"done", "refused"}


async def test_an_agents_refusal_keeps_its_code_and_hint(world: World, alice: Person) -> None:
    async def refuse(stub: Stub, call: Call) -> None:
        stub.refuse(call, "limit_exceeded", "That is above your limit.", "Send less.")

    world.agents["transfer"].run = refuse
    task = await alice.ask(TRANSFER)
    assert state(task) == "REJECTED"
    assert answer(task) == "That is above your limit. Send less."
    assert data(task)["error"] == {
        "code": "limit_exceeded",
        "description": "That is above your limit.",
        "hint": "Send less.",
    }


async def test_an_agent_that_breaks_fails_the_task_without_its_text(world: World, alice: Person) -> None:
    world.agents["portfolio"].lose_answers = 99
    task = await alice.ask("Show my portfolio")
    assert state(task) == "FAILED"
    assert "does not answer" in answer(task)


async def test_a_plan_is_shown_and_not_run(world: World, alice: Person) -> None:
    task = await alice.ask(BOTH, mode="plan")
    assert state(task) == "COMPLETED"
    plan = artifact(task, "plan")
    assert [step["skill"] for step in plan["steps"]] == ["market_data.trend", "portfolio.summary"]
    assert plan["steps"][1]["identity"]["grant"] == "obo"
    assert not world.agents["portfolio"].calls


async def test_what_is_missing_is_asked_for_and_the_task_goes_on(world: World, alice: Person) -> None:
    task = await alice.ask("Transfer money")
    assert state(task) == "INPUT_REQUIRED"
    assert task["status"]["message"]["parts"][0]["text"] == "How much, and to whom?"
    task = await alice.ask("250 EUR to Bob's savings", task=task["id"])
    assert state(task) == "COMPLETED", task
    assert world.agents["transfer"].calls[0].input["payee"] == "Bob's savings"


async def test_nothing_plannable_is_rejected_with_a_hint(alice: Person) -> None:
    task = await alice.ask("Book a flight to Paris")
    assert state(task) == "REJECTED"
    assert answer(task).startswith("I can't book a flight to Paris: no agent in this network offers that. Try: ")


async def test_a_repeated_message_is_one_task(world: World, alice: Person) -> None:
    one, two = await asyncio.gather(*(alice.ask("Show my portfolio", key="same") for _ in range(2)))
    assert one["id"] == two["id"]
    assert len(world.agents["portfolio"].calls) == 1


async def test_somebody_elses_task_does_not_exist(alice: Person, bob: Person) -> None:
    task = await alice.ask("Show my portfolio")
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        answered = await bob.rpc(method, {"id": task["id"]})
        assert answered["error"]["code"] == -32001
    assert task["id"] not in json.dumps(await bob.rpc("ListTasks", {}))
    assert task["id"] in json.dumps(await alice.rpc("ListTasks", {}))


async def test_a_message_to_somebody_elses_task_is_refused(alice: Person, bob: Person) -> None:
    task = await alice.ask("Transfer money")
    answered = await bob.rpc("SendMessage", message("5 EUR to Bob", task=task["id"]))
    assert answered["error"]["code"] == -32001


async def test_a_stream_tells_plan_progress_and_answer(alice: Person) -> None:
    events = [event["result"] async for event in alice.stream("SendStreamingMessage", message(BOTH))]
    assert "task" in events[0]
    names = [event["artifactUpdate"]["artifact"]["name"] for event in events if "artifactUpdate" in event]
    assert names[0] == "plan"
    assert names[-1] == "answer"
    assert "progress" in names
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_tool_is_a_step_like_any_other(alice: Person) -> None:
    task = await alice.ask("Read my notes")
    assert state(task) == "COMPLETED", task
    assert artifact(task, "answer")["results"][0]["output"] == {"owner": "alice", "topic": "all"}


async def test_a_tool_with_effects_runs_once(alice: Person) -> None:
    task = await alice.ask('Pin a note "milk"')
    assert state(task) == "COMPLETED", task
    assert PINNED["milk"] == 1


async def test_a_tool_that_cannot_says_why(alice: Person) -> None:
    task = await alice.ask('Read my notes "broken"')
    assert state(task) == "FAILED"
    assert "The notes about that are lost." in answer(task)


async def test_no_store_of_the_broker_holds_a_token(world: World, alice: Person) -> None:
    await alice.ask(TRANSFER)
    secret = alice.token.split(".")[1].encode()
    for path in Path(world.home.path / "data").iterdir():
        assert secret not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    "parts", [[], [{"text": "   "}], [{"data": {"mode": "run"}}], [{"text": "x"}, {"data": {"mode": "fly"}}]]
)
async def test_a_message_without_a_goal_is_invalid(alice: Person, parts: list[object]) -> None:
    answered = await alice.rpc("SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER", "parts": parts}})
    assert answered["error"]["code"] == -32602
