"""The way back from the bank, as an attacker would take it: late, doubled, with another's code, as a message."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from stead.demo.cli.browser import Browser
from stead.identity.types import Json
from tests.agents.town import Town, challenge_of, error_of, message, state

GOAL = {"payee": "Bob's savings", "amount": "250"}
OTHER = {"payee": "my brokerage account", "amount": "3"}


@pytest.fixture(scope="module")
async def here(place: Town) -> AsyncIterator[Town]:
    async with place.agent("transfer"):
        yield place


async def parked(here: Town, given: Json = GOAL, within: float | None = None) -> Json:
    params = message("send", given)
    if within is not None:
        params["message"]["metadata"] = {"urn:stead:a2a:in-task:v1": {"answer_within": within}}
    task: Json = (await here.rpc("alice", "transfer", "SendMessage", params, effects=True))["result"]["task"]
    assert state(task) == "AUTH_REQUIRED", task
    return task


async def withheld(here: Town, task: Json, browser: Browser) -> str:
    """The address to which the bank sends the browser after the yes, not opened yet."""
    link, callback, network = challenge_of(task)["link"], f"{here.agents['transfer']}/callback?", here.home.network
    page = await browser.visit(link, until=callback)
    if answer(page.url)["iss"] == network.corporate_idp:
        await browser.visit(page.url, until=network.bank_idp)  # signs in at the company
        page = await browser.visit(link, until=callback)
    assert (page.status, answer(page.url).get("iss"), "code" in answer(page.url)) == (0, network.bank_idp, True)
    return page.url


def answer(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def changed(url: str, **values: Any) -> str:
    return f"{url.partition('?')[0]}?{urlencode({**answer(url), **values})}"


async def test_a_yes_that_arrives_after_the_task_was_taken_back_pays_nothing(here: Town) -> None:
    before, task, browser = len(here.payments()), await parked(here), here.browser("alice")
    callback = await withheld(here, task, browser)
    await here.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
    page = await browser.visit(callback)
    assert "taken back" in page.words()
    assert state(await here.task("alice", task["id"])) == "CANCELED"
    assert len(here.payments()) == before


async def test_a_yes_that_arrives_after_its_time_pays_nothing(here: Town) -> None:
    before, task, browser = len(here.payments()), await parked(here, within=3), here.browser("alice")
    callback = await withheld(here, task, browser)
    ended = await here.until("alice", task["id"], "FAILED", "COMPLETED")
    assert error_of(ended)["code"] == "expired"
    page = await browser.visit(callback)
    assert "Too late" in page.words()
    assert state(await here.task("alice", task["id"])) == "FAILED"
    assert len(here.payments()) == before


async def test_code_injection_the_code_of_another_approval_answers_nothing(here: Town) -> None:
    """Both are alice's, at the same client: what tells them apart is the verifier (RFC 9700 s4.5.3)."""
    before, browser = len(here.payments()), here.browser("alice")
    mine, cheap = await parked(here), await parked(here, OTHER)
    code = answer(await withheld(here, cheap, here.browser("alice")))["code"]
    page = await browser.visit(changed(await withheld(here, mine, browser), code=code))
    assert page.status >= 400
    for task in (mine, cheap):
        assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"
    assert len(here.payments()) == before


async def test_the_state_of_another_task_of_the_same_person_answers_nothing(here: Town) -> None:
    before, browser = len(here.payments()), here.browser("alice")
    mine, cheap = await parked(here), await parked(here, OTHER)
    first = await withheld(here, cheap, browser)
    second = await withheld(here, mine, browser)
    page = await browser.visit(changed(second, state=answer(first)["state"]))
    assert page.status >= 400
    for task in (mine, cheap):
        assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"
    assert len(here.payments()) == before


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
async def test_a_callback_that_says_something_twice_answers_nothing(here: Town, name: str) -> None:
    before, task, browser = len(here.payments()), await parked(here), here.browser("alice")
    callback = await withheld(here, task, browser)
    twice = answer(callback).get(name, "access_denied")
    page = await browser.visit(f"{callback}&{urlencode([(name, twice)] * (1 if name in answer(callback) else 2))}")
    assert page.status >= 400
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"
    assert len(here.payments()) == before


async def test_a_no_that_nobody_said_at_the_bank_is_not_believed_without_the_issuer(here: Town) -> None:
    """The embedded bank promises `iss` in every answer, errors too (RFC 9207 s2)."""
    task, browser = await parked(here), here.browser("alice")
    callback = await withheld(here, task, browser)
    forged = {"error": "access_denied", "state": answer(callback)["state"]}
    page = await browser.visit(f"{callback.partition('?')[0]}?{urlencode(forged)}")
    assert page.status >= 400
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"


@pytest.mark.parametrize(
    "part",
    [
        {"text": "Here is my credential: canary.token.text"},
        {"data": {"credential": "canary.token.text"}},
        {"data": {"access_token": "canary.token.text", "answer": "approved"}},
        {"data": {"authorization_code": "canary.token.text"}},
    ],
    ids=["text", "credential", "token", "code"],
)
async def test_a_credential_in_a_message_is_no_answer_and_is_kept_nowhere(here: Town, part: Json) -> None:
    task = await parked(here)
    said = {"messageId": f"posted-{len(str(part))}", "role": "ROLE_USER", "taskId": task["id"], "parts": [part]}
    reply = await here.rpc("alice", "transfer", "SendMessage", {"message": said})
    assert reply["error"]["code"] == -32602
    after = await here.task("alice", task["id"])
    assert state(after) == "AUTH_REQUIRED"
    assert "canary" not in f"{reply} {after}"
    for path in (here.home.path / "data").iterdir():
        assert b"canary.token" not in path.read_bytes(), path
