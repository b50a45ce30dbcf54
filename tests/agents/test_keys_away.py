"""An agent whose vault's key service is away: who asks is told so, and what waits goes on when it is back."""

import asyncio
from collections.abc import Iterator

import pytest

from stead.identity.types import Json
from stead.identity.vaults import open_vault
from tests.agents.town import Town, message, state
from tests.parts import transit

GOAL = {"payee": "Bob's savings", "amount": "250"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[transit.Transit]:
    """One for the file: what it wrapped for one test lies in the agent's vault at the next."""
    token = tmp_path_factory.mktemp("keys") / "token"
    token.write_text(transit.TOKEN)
    with transit.serving() as service, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STEAD_VAULT__KEYS", "transit")
        environment.setenv("STEAD_VAULT__TRANSIT_URL", service.url)
        environment.setenv("STEAD_VAULT__TRANSIT_TOKEN_FILE", str(token))
        yield service


async def test_a_call_that_cannot_be_kept_is_refused_as_unavailable_and_may_be_repeated(
    place: Town, service: transit.Transit
) -> None:
    async with place.agent("transfer") as workload:
        service.status = 503
        params = message("send", GOAL)
        refused = await place.rpc("alice", "transfer", "SendMessage", params, effects=True)
        assert refused["error"]["code"] == -32053
        assert refused["error"]["data"][0]["reason"] == "TEMPORARILY_UNAVAILABLE"
        assert "Traceback" not in str(refused)
        service.status = None
        again = await place.rpc("alice", "transfer", "SendMessage", params, effects=True)
        task = again["result"]["task"]
        assert state(task) == "AUTH_REQUIRED"
        await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
        assert await _ended(place, task["id"])
        vault = open_vault(place.home, workload.settings.vault, "transfer-agent-vault")
        assert vault.get((await place.person("alice")).owner, task["id"], "subject") is None
        vault.close()


async def test_a_call_that_waits_for_the_keys_keeps_no_other_waiting(place: Town, service: transit.Transit) -> None:
    async with place.agent("transfer"):
        known = message("send", GOAL)
        first = (await place.rpc("alice", "transfer", "SendMessage", known, effects=True))["result"]["task"]
        service.answers.clear()
        before = len(service.requests)
        hanging = asyncio.create_task(
            place.rpc("alice", "transfer", "SendMessage", message("send", GOAL), effects=True)
        )
        while len(service.requests) == before:
            await asyncio.sleep(0.005)
        again = (await place.rpc("alice", "transfer", "SendMessage", known, effects=True))["result"]["task"]
        assert again["id"] == first["id"]
        assert not hanging.done()
        service.answers.set()
        second = (await hanging)["result"]["task"]
        for task in (first, second):
            await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})


async def test_a_task_that_waits_is_taken_up_when_the_keys_are_back(place: Town, service: transit.Transit) -> None:
    async with place.agent("transfer"):
        task = await place.ask("alice", "send", GOAL)
    service.status = 503
    before = len(service.requests)
    async with place.agent("transfer"):
        while len(service.requests) < before + 2:
            await asyncio.sleep(0.01)
        shown = await place.task("alice", task["id"])
        assert state(shown) == "AUTH_REQUIRED"
        service.status = None
        await place.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
        assert await _ended(place, task["id"])


async def _ended(place: Town, task: str) -> Json:
    return await place.until("alice", task, "CANCELED")
