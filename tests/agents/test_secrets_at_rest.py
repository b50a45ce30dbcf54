"""What an agent keeps of a task: secrets in its vault while it goes on, and nothing anywhere once it is over."""

import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import pytest

from stead.agents.kit.challenges import Answered
from stead.agents.kit.consent import words
from stead.agents.kit.consent.browsers import Visitor
from stead.agents.kit.consent.desk import Desk, Links
from stead.agents.kit.parking import Parking
from stead.agents.kit.storage import opened
from stead.agents.transfer.agent import transfer
from stead.identity.challenge import Challenge, PinnedOperation, Provider
from stead.identity.flows import AuthorizationCode, AuthorizationRequest
from stead.identity.home import Home
from stead.identity.types import ASGIApp, Json
from stead.identity.values import Secret
from stead.identity.vaults import VaultSettings
from stead.identity.workload import Workload
from tests.agents.town import Town, challenge_of, message

CHALLENGE = Challenge(
    id="c" * 32,
    link="http://127.0.0.4:1/authorize/c",
    provider=Provider("http://127.0.0.3:1", "Northbank"),
    authorization_details=(),
    asked_by="transfer-agent",
    through=(),
    subject_issuer="http://i",
    subject="alice",
    task="t",
    expires_at=10**10,
)
GOAL = {"payee": "Bob's savings", "amount": "3"}

Ending = Callable[[Town, Json], Awaitable[object]]


async def _approved(place: Town, task: Json) -> object:
    return await place.authorize(challenge_of(task)["link"], place.browser("alice"))


async def _declined_at_the_bank(place: Town, task: Json) -> object:
    return await place.authorize(challenge_of(task)["link"], place.browser("alice"), "decline")


async def _declined_by_message(place: Town, task: Json) -> object:
    answer = {"challenge": challenge_of(task)["id"], "answer": "declined"}
    params = {
        "message": {"messageId": task["id"], "role": "ROLE_USER", "taskId": task["id"], "parts": [{"data": answer}]}
    }
    return await place.rpc("alice", "transfer", "SendMessage", params)


async def _canceled(place: Town, task: Json) -> object:
    return await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})


async def _waited(place: Town, task: Json) -> object:
    return None


def _hasty(workload: Workload) -> ASGIApp:
    return transfer.app(workload, patience=1.0)


def secrets_of_tasks(place: Town) -> int:
    """How many secrets the agent's vault holds."""
    with closing(sqlite3.connect(place.home.database("transfer-agent-vault"))) as database:
        return int(database.execute("SELECT count(*) FROM entries").fetchone()[0])


def dumped(place: Town) -> str:
    """All that the agent keeps: tasks, calls, questions, browsers, workflows with their steps, and the vault."""
    text = ""
    for path in sorted((place.home.path / "data").glob("transfer*.db")):
        with closing(sqlite3.connect(path)) as database:
            text += "".join(database.iterdump())
    return text


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (_approved, "COMPLETED"),
        (_declined_at_the_bank, "REJECTED"),
        (_declined_by_message, "REJECTED"),
        (_canceled, "CANCELED"),
        (_waited, "FAILED"),
    ],
)
async def test_whoever_sees_a_task_end_finds_no_secret_of_it_kept(place: Town, ending: Ending, state: str) -> None:
    async with place.agent("transfer", _hasty if ending is _waited else None):
        task = (await place.rpc("alice", "transfer", "SendMessage", message("send", GOAL), effects=True))["result"][
            "task"
        ]
        assert secrets_of_tasks(place) >= 1
        during = dumped(place)
        await ending(place, task)
        await place.until("alice", task["id"], state)
        assert secrets_of_tasks(place) == 0
        after = dumped(place)
    for dump in (during, after):
        assert task["id"] in dump, "the stores are those of the task"
        assert "eyJ" not in dump
        assert b"eyJ".hex().upper() not in dump


async def test_a_code_that_comes_when_its_task_has_just_ended_is_not_kept(home: Home) -> None:
    async with opened(home, "transfer-agent", VaultSettings()) as storage:
        parking = Parking(cast(Workload, SimpleNamespace(clock=time.time)), storage, 600)
        question = await storage.challenges.add(CHALLENGE, PinnedOperation({}, "http://p", (), "Pay?"), "alice")
        await storage.challenges.move(CHALLENGE.id, Answered.OPEN, Answered.CANCELED)
        desk = Desk(parking, cast(Links, None))
        request = AuthorizationRequest("u", "http://b", "c", "r", (), "state", "nonce", Secret("verifier"))
        page = await desk._agreed(question, Visitor("http://i", "alice", "Alice"), request, AuthorizationCode("code"))
        assert page == words.FOREIGN
        with closing(sqlite3.connect(home.database("transfer-agent-vault"))) as database:
            assert database.execute("SELECT count(*) FROM entries").fetchone() == (0,)
