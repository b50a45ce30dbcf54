"""Two people at once through all hops: nobody ever sees the other's data or token."""

import asyncio
import json
from typing import Any

from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import signed_in
from tests.journeys.finport import FinPort

REQUESTS = 200
AT_ONCE = 8


async def test_two_hundred_interleaved_requests_never_cross(finport: FinPort) -> None:
    sessions = {person: await signed_in(finport.home, person) for person in ("alice", "bob")}
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> tuple[str, dict[str, Any]]:
        person = ("alice", "bob")[number % 2]
        async with gate:
            return person, await ask_as(sessions[person], "Show my portfolio")

    answers = await asyncio.gather(*(ask(number) for number in range(REQUESTS)))
    seen = {person: {_content(answer) for who, answer in answers if who == person} for person in sessions}
    assert {person: len(contents) for person, contents in seen.items()} == {"alice": 1, "bob": 1}
    assert seen["alice"] != seen["bob"]
    _never_crossed(answers)
    for session in sessions.values():
        await session.close()


def _content(answer: dict[str, Any]) -> str:
    assert answer["state"] == "TASK_STATE_COMPLETED", answer
    return json.dumps([result["output"] for result in answer["results"]], sort_keys=True)


def _never_crossed(answers: list[tuple[str, dict[str, Any]]]) -> None:
    owners: dict[str, set[str]] = {}
    for person, answer in answers:
        assert len(answer["hops"]) == 3
        for hop in answer["hops"]:
            assert hop["sub"] == person
            owners.setdefault(hop["jti"], set()).add(person)
    assert all(len(people) == 1 for people in owners.values())
