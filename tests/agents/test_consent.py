"""A transfer waits for its person at the bank, and for nobody else."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from urllib.parse import urlencode

import httpx
import pytest

from stead.agents.transfer.directory import Directory, Payee
from stead.identity.errors import GrantRefused
from stead.identity.samples import ALICE, ALICE_BROKERAGE, BOB
from stead.identity.types import Json
from tests.agents.town import Town, challenge_of, error_of, result_of, state

GOAL = {"payee": "Bob's savings", "amount": "250"}


@pytest.fixture(scope="module")
async def here(place: Town) -> AsyncIterator[Town]:
    async with place.agent("transfer"):
        yield place


async def _parked(here: Town, given: Json = GOAL, name: str = "alice", **more: str) -> Json:
    task = await here.ask(name, "send", given, **more)
    assert state(task) == "AUTH_REQUIRED", task
    return task


def _everything_kept(here: Town) -> str:
    text = ""
    for path in (here.home.path / "data").glob("transfer*.db"):
        with closing(sqlite3.connect(path)) as database:
            text += "".join(database.iterdump())
    return text


async def test_money_moves_once_when_the_person_says_yes(here: Town) -> None:
    before = len(here.payments())
    task = await _parked(here)
    page = await here.authorize(challenge_of(task)["link"], here.browser("alice"))
    assert page.status == 200
    assert "Northbank confirmed" in page.words()
    assert here.home.network.web in page.html
    done = result_of(await here.until("alice", task["id"], "COMPLETED", "FAILED", "REJECTED"))
    assert (done["payee"], done["iban"], done["amount"]) == ("Bob's savings", BOB.accounts[0].iban, "250.00")
    assert done["debtor_iban"] == ALICE.accounts[0].iban
    assert here.payments()[before:] == [("250.00", BOB.name)]


async def test_the_challenge_pins_payee_and_amount_and_says_who_asks(here: Town) -> None:
    challenge = challenge_of(await _parked(here, {"payee": "my brokerage account", "amount": "12.5"}))
    pinned = challenge["authorization_details"][0]
    assert pinned["instructedAmount"] == {"currency": "EUR", "amount": "12.50"}
    assert pinned["creditorAccount"] == {"iban": ALICE_BROKERAGE}
    assert (challenge["asked_by"], challenge["through"]) == ("transfer-agent", ["broker"])
    assert challenge["subject"] == {"iss": here.home.network.corporate_idp, "sub": "alice"}
    assert challenge["provider"] == {"issuer": here.home.network.bank_idp, "name": "Northbank"}


async def test_a_no_at_the_bank_rejects_the_task(here: Town) -> None:
    before = len(here.payments())
    task = await _parked(here)
    page = await here.authorize(challenge_of(task)["link"], here.browser("alice"), "decline")
    assert "Declined" in page.words()
    ended = await here.until("alice", task["id"], "REJECTED")
    assert error_of(ended)["code"] == "declined"
    assert len(here.payments()) == before


async def test_a_no_to_the_agent_rejects_the_task(here: Town) -> None:
    task = await _parked(here)
    challenge = challenge_of(task)
    answer = {"challenge": challenge["id"], "answer": "declined"}
    message = {"messageId": "no", "role": "ROLE_USER", "taskId": task["id"], "parts": [{"data": answer}]}
    reply = await here.rpc("alice", "transfer", "SendMessage", {"message": message})
    assert state(reply["result"]["task"]) == "REJECTED"
    page = await here.authorize(challenge["link"], here.browser("alice"))
    assert "You said no" in page.words()


async def test_a_yes_in_a_message_is_no_answer(here: Town) -> None:
    task = await _parked(here)
    answer = {"challenge": challenge_of(task)["id"], "answer": "approved", "token": "eyJ"}
    message = {"messageId": "yes", "role": "ROLE_USER", "taskId": task["id"], "parts": [{"data": answer}]}
    reply = await here.rpc("alice", "transfer", "SendMessage", {"message": message})
    assert reply["error"]["code"] == -32602
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"


async def test_another_person_cannot_answer_for_the_owner(here: Town) -> None:
    task = await _parked(here)
    answer = {"challenge": challenge_of(task)["id"], "answer": "declined"}
    message = {"messageId": "foreign", "role": "ROLE_USER", "taskId": task["id"], "parts": [{"data": answer}]}
    reply = await here.rpc("carol", "transfer", "SendMessage", {"message": message})
    assert reply["error"]["code"] == -32001


async def test_a_task_taken_back_is_canceled_and_its_link_is_dead(here: Town) -> None:
    task = await _parked(here)
    reply = await here.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})
    assert state(reply["result"]) == "CANCELED"
    page = await here.authorize(challenge_of(task)["link"], here.browser("alice"))
    assert "taken back" in page.words()


async def test_a_forwarded_link_is_of_no_use_to_another_person(here: Town) -> None:
    task = await _parked(here)
    page = await here.authorize(challenge_of(task)["link"], here.browser("carol"))
    assert page.status == 403
    assert "not yours" in page.words()
    assert "Alice" not in page.words()
    assert "250" not in page.words()
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"


async def test_another_login_at_the_bank_completes_nothing(here: Town) -> None:
    before = len(here.payments())
    task = await _parked(here)
    link = challenge_of(task)["link"]
    browser = here.browser("alice", bank_username="bob")
    page = await here.authorize(link, browser)
    assert page.status in (400, 403)
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"
    assert len(here.payments()) == before
    page = await here.authorize(link, here.browser("alice"))
    assert "confirmed" in page.words()
    await here.until("alice", task["id"], "COMPLETED")


async def test_a_second_click_after_the_yes_says_so_and_pays_nothing(here: Town) -> None:
    task, browser = await _parked(here), here.browser("alice")
    link = challenge_of(task)["link"]
    first = await here.authorize(link, browser)
    await here.until("alice", task["id"], "COMPLETED")
    before = len(here.payments())
    assert "Already authorized" in (await here.authorize(link, browser)).words()
    assert "Already authorized" in (await browser.visit(first.url)).words()
    assert len(here.payments()) == before


async def test_a_replayed_callback_in_another_browser_is_refused(here: Town) -> None:
    task = await _parked(here)
    page = await here.authorize(challenge_of(task)["link"], here.browser("alice"))
    again = await here.browser("alice").visit(page.url)
    assert again.status == 400
    assert "not your answer" in again.words()


@pytest.mark.parametrize(
    "query",
    [
        {"state": "guessed", "code": "c"},
        {"code": "c"},
        {"state": "", "code": ""},
        {"error": "access_denied", "state": "guessed"},
    ],
)
async def test_a_callback_that_nobody_began_is_refused(here: Town, query: Json) -> None:
    page = await here.browser("alice").visit(f"{here.agents['transfer']}/callback?{urlencode(query)}")
    assert page.status == 400


async def test_a_callback_of_a_mixed_up_issuer_is_refused(here: Town) -> None:
    task, browser = await _parked(here), here.browser("alice")
    callback = f"{here.agents['transfer']}/callback"
    page = await browser.visit(challenge_of(task)["link"], until=f"{callback}?")
    mixed = page.url.replace(
        urlencode({"iss": here.home.network.corporate_idp}), urlencode({"iss": here.home.network.bank_idp})
    )
    assert mixed != page.url
    refused = await browser.visit(mixed)
    assert refused.status == 502
    assert state(await here.task("alice", task["id"])) == "AUTH_REQUIRED"


async def test_a_link_that_nobody_made_leads_nowhere(here: Town) -> None:
    page = await here.browser("alice").visit(f"{here.agents['transfer']}/authorize/{'x' * 32}")
    assert page.status == 404


async def test_the_pages_let_nothing_in(here: Town) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"{here.agents['transfer']}/authorize/none")
        style = await client.get(f"{here.agents['transfer']}/desk.css")
        task = await _parked(here)
        entered = await client.get(challenge_of(task)["link"])
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "script" not in reply.text
    assert style.headers["content-type"].startswith("text/css")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_loopjacking_a_payee_changed_after_the_yes_is_out_of_scope(here: Town) -> None:
    issuer = here.home.network.corporate_idp
    directory = Directory.of(here.home)
    task = await _parked(here, {"payee": "Carol", "amount": "30"})
    original = directory.payee(issuer, "alice", "Carol")
    directory.put(issuer, "alice", Payee("Carol", "Mallory", ALICE_BROKERAGE))
    try:
        await here.authorize(challenge_of(task)["link"], here.browser("alice"))
        ended = await here.until("alice", task["id"], "REJECTED", "COMPLETED", "FAILED")
    finally:
        directory.put(issuer, "alice", original)
    assert error_of(ended)["code"] == "out_of_scope"
    assert "creditorAccount" in error_of(ended)["description"]
    assert "30.00" not in {amount for amount, _ in here.payments()}


async def test_a_retried_step_is_one_task_and_one_payment(here: Town) -> None:
    before = len(here.payments())
    first, second = await asyncio.gather(*(_parked(here, key="root:s1") for _ in range(2)))
    assert first["id"] == second["id"]
    await here.authorize(challenge_of(first)["link"], here.browser("alice"))
    await here.until("alice", first["id"], "COMPLETED")
    third = await here.ask("alice", "send", GOAL, key="root:s1")
    assert state(third) == "COMPLETED"
    assert len(here.payments()) == before + 1


async def test_carol_is_told_her_limit(here: Town) -> None:
    reply = await here.ask("carol", "send", {"payee": "Alice", "amount": "1000.01"})
    assert reply["error"]["message"] == (
        "Carol Adeyemi may transfer up to 1,000.00 EUR by this sign-in; more needs a second factor."
    )
    assert state(await here.ask("carol", "send", {"payee": "Alice", "amount": "1000.00"})) == "AUTH_REQUIRED"


async def test_bob_may_not_transfer(here: Town) -> None:
    with pytest.raises(GrantRefused):
        await here.ask("bob", "send", {"payee": "Alice", "amount": "1"})


@pytest.mark.parametrize("amount", ["0", "-5", "1e9", "12.345", "NaN", "", "1 000", 250])
async def test_an_amount_that_is_none_is_refused(here: Town, amount: object) -> None:
    reply = await here.ask("alice", "send", {"payee": "Carol", "amount": amount})
    assert reply["error"]["code"] == -32602


async def test_an_unknown_payee_is_refused_before_anybody_is_asked(here: Town) -> None:
    task = await here.ask("alice", "send", {"payee": "DE89370400440532013000", "amount": "5"})
    assert state(task) == "REJECTED"
    assert "Bob's savings" in error_of(task)["hint"]


async def test_no_credential_lies_in_the_open_and_none_is_left_at_the_end(here: Town) -> None:
    task = await _parked(here)
    assert "eyJ" not in _everything_kept(here)
    await here.authorize(challenge_of(task)["link"], here.browser("alice"))
    await here.until("alice", task["id"], "COMPLETED")
    assert "eyJ" not in _everything_kept(here)


async def test_a_parked_task_costs_no_asyncio_task_of_its_watchers(here: Town) -> None:
    before = asyncio.all_tasks()
    parked = [await _parked(here, key=f"leak-{number}") for number in range(5)]

    def ours() -> int:
        return sum("uvicorn" not in repr(task.get_coro()) for task in asyncio.all_tasks() - before)

    async with asyncio.timeout(10):
        while ours() > len(parked):  # the workflow itself, and in the end nothing beside it
            await asyncio.sleep(0.02)
    for task in parked:
        await here.rpc("alice", "transfer", "CancelTask", {"id": task["id"]})


async def test_a_browser_whose_person_signed_out_at_the_provider_is_asked_who_it_is(here: Town) -> None:
    """What lies open on a shared desk is of no use there: the agent's own pages hear of the sign-out too."""
    task, browser = await _parked(here), here.browser("alice")
    link, network = challenge_of(task)["link"], here.home.network

    async def onward() -> str:
        return (await browser._client.get(link)).headers["location"].partition("?")[0]

    await browser.visit(link)
    assert (await onward()).startswith(network.bank_idp)
    form = (await browser.visit(f"{network.corporate_idp}/logout", decision="none of them")).forms()[0]
    done = await browser._client.post(
        f"{network.corporate_idp}/logout",
        data=form.fields | dict(form.buttons[:1]),
        headers={"origin": network.corporate_idp},
    )
    assert done.status_code < 400
    async with asyncio.timeout(5):
        while await onward() != f"{network.corporate_idp}/authorize":
            await asyncio.sleep(0.1)
