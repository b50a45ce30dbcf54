"""Approving one payment at the bank (RFC 9126, RFC 9396): pinned, shown, chosen, spent once."""

import asyncio
from typing import Any

import pytest

from stead.identity.samples import ALICE, BOB
from tests.server.issuers import PAYMENTS, TRANSFER
from tests.server.parties import Login, answered, claims_of
from tests.server.world import Bank, payment

CHECKING, SAVINGS = (account.iban for account in ALICE.accounts)


async def test_the_page_shows_amount_payee_account_and_who_asks(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment(remittanceInformationUnstructured="Rent"))
    text = page.text.replace("\u00a0", " ").replace("\u202f", " ")
    grouped = " ".join(BOB.accounts[0].iban[at : at + 4] for at in range(0, 22, 4))
    for shown in ("1 250", ".00", "Bob Lindqvist", grouped, "FinPort Transfer", "127.0.0.14:9000", "5 minutes", "Rent"):
        assert shown in text
    assert text.count('type="radio"') == 2


async def test_the_token_carries_exactly_what_was_approved_and_the_chosen_account(northbank: Bank) -> None:
    login, details = Login(), payment()
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, login, details)
        done = answered(await browser.submit(page, decision="approve", debtor=SAVINGS))
    assert done["state"] == login.state
    assert done["iss"] == northbank.issuer.url
    tokens = (await northbank.spend(login, done["code"])).json()
    access, identity = claims_of(tokens["access_token"]), claims_of(tokens["id_token"])
    enriched = {**details, "debtorAccount": {"iban": SAVINGS}}
    assert tokens["authorization_details"] == access["authorization_details"] == [enriched]
    assert access["aud"] == PAYMENTS
    assert access["sub"] == identity["sub"] == "nb-1001"
    assert identity["nonce"] == login.nonce
    assert tokens["consent_id"] == access["consent_id"] == identity["consent_id"]
    assert "refresh_token" not in tokens


async def test_declining_is_an_answer(northbank: Bank) -> None:
    login = Login()
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, login, payment())
        done = answered(await browser.submit(page, decision="decline"))
        again = await browser.submit(page, decision="approve", debtor=CHECKING)
    assert done["error"] == "access_denied"
    assert (done["state"], done["iss"]) == (login.state, northbank.issuer.url)
    assert again.status_code == 400


async def test_an_approval_is_answered_once(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment())
        responses = await asyncio.gather(*(browser.submit(page, decision="approve", debtor=CHECKING) for _ in range(4)))
    assert sorted(response.status_code for response in responses) == [303, 400, 400, 400]


@pytest.mark.parametrize("debtor", [BOB.accounts[0].iban, "DE00", None])
async def test_an_account_that_is_not_the_persons_is_refused(northbank: Bank, debtor: str | None) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment())
        response = await browser.submit(page, decision="approve", debtor=debtor)
    assert response.status_code == 400
    assert "Choose one of your accounts." in response.text


async def test_approving_from_another_site_is_refused(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment())
        for origin in ("https://evil.example", "null", None, northbank.issuer.url + "/"):
            response = await browser.submit(page, origin, decision="approve", debtor=CHECKING)
            assert response.status_code == 403


async def test_approving_without_the_forms_token_is_refused(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment())
        for csrf in (None, "", "0" * 64):
            response = await browser.submit(page, decision="approve", debtor=CHECKING, csrf=csrf)
            assert response.status_code == 403


async def test_a_form_about_other_details_is_refused(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        small = await northbank.consent_page(
            browser, Login(), payment(instructedAmount={"currency": "EUR", "amount": "1"})
        )
        link = await northbank.link(Login(), payment(instructedAmount={"currency": "EUR", "amount": "999"}))
        large = await browser.get("/authorize", link)
        assert "999" in large.text
        swapped = small.text.split('name="csrf" value="')[1].split('"')[0]
        response = await browser.submit(large, decision="approve", debtor=CHECKING, csrf=swapped)
    assert response.status_code == 403


async def test_another_browser_cannot_open_or_answer_the_page(northbank: Bank) -> None:
    async with northbank.browser() as alice, northbank.browser() as mallory:
        page = await northbank.consent_page(alice, Login(), payment())
        await northbank.consent_page(mallory, Login(), payment(), "bob")
        assert (await mallory.get(str(page.url))).status_code == 400
        assert (await mallory.submit(page, decision="approve", debtor=CHECKING)).status_code == 400


async def test_a_bank_login_of_another_person_is_asked_for_when_hinted(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        await northbank.consent_page(browser, Login(), payment(), "bob")
        page = await browser.get("/authorize", await northbank.link(Login(), payment(), login_hint="nb-1001"))
    assert 'action="/login"' in page.text
    assert 'value="alice"' in page.text


async def test_a_pushed_request_is_used_once(northbank: Bank) -> None:
    link = await northbank.link(Login(), payment())
    async with northbank.browser() as browser:
        assert (await browser.get("/authorize", link)).status_code == 200
        again = await browser.get("/authorize", link)
    assert again.status_code == 400
    assert "location" not in again.headers


async def test_a_pushed_request_expires(northbank: Bank) -> None:
    link = await northbank.link(Login(), payment())
    northbank.issuer.clock.ahead = 91
    async with northbank.browser() as browser:
        assert (await browser.get("/authorize", link)).status_code == 400


async def test_a_pushed_request_belongs_to_its_client(northbank: Bank) -> None:
    link = await northbank.link(Login(), payment())
    async with northbank.browser() as browser:
        stolen = await browser.get("/authorize", [("client_id", "other-agent"), link[1]])
        assert stolen.status_code == 400
        assert (await browser.get("/authorize", link)).status_code == 200


async def test_parameters_beside_a_pushed_request_change_nothing(northbank: Bank) -> None:
    link = await northbank.link(Login(), payment())
    beside = [("redirect_uri", "https://evil.example/"), ("scope", "openid"), ("authorization_details", "[]")]
    async with northbank.browser() as browser:
        page = await browser.get("/authorize", [*link, *beside])
        consent = await browser.sign_in(page, "alice", "alice-bank")
        done = await browser.submit(consent, decision="approve", debtor=CHECKING)
    assert done.headers["location"].startswith(f"{TRANSFER}/callback?code=")


async def test_the_agent_has_to_push(northbank: Bank) -> None:
    login = Login()
    async with northbank.browser() as browser:
        response = await browser.get("/authorize", login.parameters(northbank.agent, "openid payments", PAYMENTS))
    assert answered(response)["error"] == "invalid_request"


async def test_pushing_needs_the_clients_key_and_tells_the_client_not_the_browser(northbank: Bank) -> None:
    unauthenticated = await northbank.agent.send("/par", [("client_id", "transfer-agent"), ("scope", "payments")])
    assert unauthenticated.json()["error"] == "invalid_client"
    for change in ({"redirect_uri": "https://evil.example/"}, {"code_challenge_method": "plain"}, {"request_uri": "x"}):
        response = await northbank.push(Login(), payment(), **change)
        assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "account_information"},
        {"actions": ["initiate", "cancel"]},
        {"actions": []},
        {"locations": ["https://evil.example"]},
        {"locations": [PAYMENTS, PAYMENTS]},
        {"instructedAmount": {"currency": "EUR", "amount": 1250.0}},
        {"instructedAmount": {"currency": "EUR", "amount": "1250.001"}},
        {"instructedAmount": {"currency": "EUR", "amount": "-1"}},
        {"instructedAmount": {"currency": "EUR", "amount": "0.00"}},
        {"instructedAmount": {"currency": "EUR", "amount": "1e9"}},
        {"instructedAmount": {"currency": "EUR", "amount": "１２"}},
        {"instructedAmount": {"currency": "eur", "amount": "1"}},
        {"instructedAmount": {"currency": "EUR", "amount": "1", "tip": "5"}},
        {"creditorAccount": {"iban": "DE00100100000000200201"}},
        {"creditorAccount": {"iban": BOB.accounts[0].iban.lower()}},
        {"creditorName": "Bob\u202etsivqdniL"},
        {"creditorName": ""},
        {"creditorName": "<b>Bob</b>"},
        {"debtorAccount": {"iban": CHECKING}},
        {"endToEndId": ""},
        {"endToEndId": None},
        {"surprise": True},
    ],
)
async def test_details_outside_the_closed_schema_are_refused(northbank: Bank, change: dict[str, Any]) -> None:
    response = await northbank.push(Login(), payment(**change))
    assert response.status_code == 400, response.text
    assert response.json()["error"] in {"invalid_authorization_details", "invalid_target"}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[[]]", "nonsense", '[],"x":1', "[" * 4_000 + "]" * 4_000, '[{"a":1,"a":2}]']
)
async def test_unreadable_details_are_refused(northbank: Bank, text: str) -> None:
    response = await northbank.push(Login(), text)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_authorization_details", "invalid_request"}


async def test_two_operations_in_one_request_are_refused(northbank: Bank) -> None:
    import json

    response = await northbank.push(Login(), json.dumps([payment(), payment()]))
    assert response.json()["error"] == "invalid_authorization_details"


async def test_an_unspent_approval_answers_the_same_request_without_asking(northbank: Bank) -> None:
    details = payment()
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), details)
        await browser.submit(page, decision="approve", debtor=SAVINGS)
        login = Login()
        silent = answered(await browser.get("/authorize", await northbank.link(login, details)))
        tokens = (await northbank.spend(login, silent["code"])).json()
        assert tokens["authorization_details"][0]["debtorAccount"] == {"iban": SAVINGS}
        for other in (payment(), {**details, "task_id": "another"}, {**details, "creditorName": "Bob"}):
            assert (
                "Approve this payment?" in (await browser.get("/authorize", await northbank.link(Login(), other))).text
            )


async def test_a_lost_redemption_is_answered_once_more_and_its_token_ends(northbank: Bank) -> None:
    details, first = payment(), Login()
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, first, details)
        done = answered(await browser.submit(page, decision="approve", debtor=CHECKING))
        lost = (await northbank.spend(first, done["code"])).json()
        second = Login()
        silent = answered(await browser.get("/authorize", await northbank.link(second, details)))
        kept = (await northbank.spend(second, silent["code"])).json()
        asked = await browser.get("/authorize", await northbank.link(Login(), details))
    assert kept["consent_id"] == lost["consent_id"]
    assert "Approve this payment?" in asked.text


async def test_codes_of_one_approval_give_two_tokens_at_most(northbank: Bank) -> None:
    details, codes = payment(), []
    async with northbank.browser() as browser:
        first = Login()
        page = await northbank.consent_page(browser, first, details)
        codes.append((first, answered(await browser.submit(page, decision="approve", debtor=CHECKING))["code"]))
        for login in (Login(), Login(), Login()):
            silent = answered(await browser.get("/authorize", await northbank.link(login, details)))
            codes.append((login, silent["code"]))
    spent = [(await northbank.spend(login, code)).status_code for login, code in codes]
    assert spent == [200, 200, 400, 400]


async def test_an_approval_is_forgotten_after_its_life(northbank: Bank) -> None:
    details = payment()
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), details)
        await browser.submit(page, decision="approve", debtor=CHECKING)
        northbank.issuer.clock.ahead = 301
        asked = await browser.get("/authorize", await northbank.link(Login(), details))
    assert "Approve this payment?" in asked.text


async def test_silence_is_no_consent(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        await northbank.consent_page(browser, Login(), payment())
        response = await browser.get("/authorize", await northbank.link(Login(), payment(), prompt="none"))
    assert answered(response)["error"] == "consent_required"


async def test_logging_out_between_page_and_approval_asks_for_a_login(northbank: Bank) -> None:
    async with northbank.browser() as browser:
        page = await northbank.consent_page(browser, Login(), payment())
        await browser.submit(await browser.get("/logout"))
        response = await browser.submit(page, decision="approve", debtor=CHECKING)
    assert response.status_code == 400
