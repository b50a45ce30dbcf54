"""Attacks on the second factor, on the page that asks for it, and on what a raised sign-in is worth."""

from collections.abc import Iterator

import httpx
import pytest

from stead.identity.samples import ALICE, CAROL
from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD
from stead.identity.server.guessing import FOR_A_CODE, WINDOW
from tests.server.issuers import Issuer
from tests.server.parties import Browser, Login, answered, claims_of
from tests.server.stepping_up import another_than, asked, forget, shown, signed_in, tokens
from tests.server.world import World


@pytest.fixture(autouse=True)
def forgotten(corporate_issuer: Issuer) -> Iterator[None]:
    yield
    forget(corporate_issuer)


async def is_raised(world: World, browser: Browser) -> bool:
    """Whether whoever has this browser's cookie gets a code for a stronger sign-in without doing anything."""
    return "code" in answered(await asked(world, browser, Login(), prompt="none"))


async def planted(world: World, browser: Browser, mallory: Browser) -> None:
    """Mallory has what is in the other browser's jar at this moment."""
    mallory.http.cookies.clear()
    mallory.http.cookies.update(browser.http.cookies)


async def test_code_replay_a_code_counts_once(world: World) -> None:
    code = shown(world.issuer, ALICE)
    async with world.browser() as browser, world.browser() as mallory:
        assert (await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=code)).is_redirect
        again = await mallory.submit(await signed_in(world, mallory, ALICE, ACR_MFA), code=code)
        assert again.status_code == 403
        assert "used before" in again.text
        assert not await is_raised(world, mallory)


async def test_code_replay_one_seen_earlier_is_spent_by_the_one_after_it(world: World) -> None:
    seen, later = shown(world.issuer, ALICE), shown(world.issuer, ALICE, 30)
    async with world.browser() as browser, world.browser() as mallory:
        assert (await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=later)).is_redirect
        again = await mallory.submit(await signed_in(world, mallory, ALICE, ACR_MFA), code=seen)
    assert again.status_code == 403


async def test_guessed_codes_after_so_many_the_right_one_has_to_wait_too(world: World) -> None:
    async with world.browser() as browser, world.browser() as another:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        for _ in range(FOR_A_CODE):
            assert (await browser.submit(page, code=another_than(shown(world.issuer, ALICE)))).status_code == 403
        for one, asking in ((browser, page), (another, await signed_in(world, another, ALICE, ACR_MFA))):
            waiting = await one.submit(asking, code=shown(world.issuer, ALICE))
            assert (waiting.status_code, waiting.headers["retry-after"]) == (429, str(int(WINDOW)))
            assert "Too many wrong codes" in waiting.text
        world.issuer.clock.ahead = WINDOW + 1
        assert (await browser.submit(page, code=shown(world.issuer, ALICE))).is_redirect


async def test_guessed_codes_keep_nobody_else_waiting(world: World) -> None:
    async with world.browser() as browser, world.browser() as another:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        for _ in range(FOR_A_CODE):
            await browser.submit(page, code=another_than(shown(world.issuer, ALICE)))
        done = await another.submit(await signed_in(world, another, CAROL, ACR_MFA), code=shown(world.issuer, CAROL))
    assert done.is_redirect


@pytest.mark.parametrize("code", [None, "", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "%00"])
async def test_guessed_codes_of_other_forms_are_wrong_codes(world: World, code: str | None) -> None:
    async with world.browser() as browser:
        tried = await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=code)
    assert tried.status_code == 403


async def test_the_code_of_another_person_raises_nobody(world: World) -> None:
    async with world.browser() as browser:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        assert (await browser.submit(page, code=shown(world.issuer, CAROL))).status_code == 403
        assert not await is_raised(world, browser)


async def test_another_person_cannot_raise_somebody_else_s_session(world: World) -> None:
    """Mallory, who is Carol here, opens and sends the page of Alice's browser in her own."""
    async with world.browser() as browser, world.browser() as mallory:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        await signed_in(world, mallory, CAROL)
        assert (await mallory.get(str(page.url))).status_code == 400
        for person in (ALICE, CAROL):
            assert (await mallory.submit(page, code=shown(world.issuer, person))).status_code == 400
        assert not await is_raised(world, browser)
        assert not await is_raised(world, mallory)


async def test_a_page_that_named_one_person_raises_no_other_who_signed_in_meanwhile(world: World) -> None:
    async with world.browser() as browser:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        await browser.sign_in(await asked(world, browser, Login(), None, prompt="login"), "carol", "carol-demo")
        for person in (ALICE, CAROL):
            assert (await browser.submit(page, code=shown(world.issuer, person))).status_code in (400, 403)
        assert not await is_raised(world, browser)


async def test_session_fixation_a_planted_cookie_is_not_raised_with_its_victim(world: World) -> None:
    async with world.browser() as browser, world.browser() as mallory:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        await planted(world, browser, mallory)
        assert (await browser.submit(page, code=shown(world.issuer, ALICE))).is_redirect
        assert await is_raised(world, browser)
        assert answered(await asked(world, mallory, Login(), prompt="none"))["error"] == "login_required"


async def test_downgrade_a_cookie_of_before_opens_nothing_after_the_next_sign_in(world: World) -> None:
    async with world.browser() as browser, world.browser() as mallory:
        await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=shown(world.issuer, ALICE))
        await planted(world, browser, mallory)
        await browser.sign_in(await asked(world, browser, Login(), None, prompt="login"), "alice", "alice-demo")
        assert answered(await asked(world, mallory, Login(), prompt="none"))["error"] == "login_required"
        assert not await is_raised(world, browser)


async def test_acr_not_granted_although_asked_no_way_around_the_code_page_leads_to_a_code(world: World) -> None:
    async with world.browser() as browser:
        page = await asked(world, browser, Login(), prompt="consent")
        page = await browser.sign_in(page, "alice", "alice-demo")
        interaction = page.url.params["interaction"]
        around = await browser.get("/consent", [("interaction", interaction)])
        assert around.url.path == "/second-factor"
        headers = {"origin": world.issuer.url}
        for path in ("/consent", "/login", "/second-factor"):
            form = {"interaction": interaction, "csrf": "x", "decision": "approve"}
            tried = await browser.http.post(world.issuer.url + path, data=form, headers=headers)
            assert tried.status_code == 403
        assert not await is_raised(world, browser)


async def test_acr_not_granted_although_asked_a_consent_given_before_is_no_second_factor(world: World) -> None:
    """The consent page was open; another tab signed in by password alone; the first tab is sent."""
    login = Login()
    async with world.browser() as browser:
        page = await browser.sign_in(await asked(world, browser, login, prompt="consent"), "alice", "alice-demo")
        consent = await browser.submit(page, code=shown(world.issuer, ALICE))
        assert consent.url.path == "/consent"
        await browser.sign_in(await asked(world, browser, Login(), None, prompt="login"), "alice", "alice-demo")
        assert (await browser.submit(consent, decision="approve")).status_code == 403
        again = await browser.get(str(consent.url))
        assert again.url.path == "/second-factor"


async def test_downgrade_leaving_acr_values_out_gets_what_the_session_is_and_says_so(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        await signed_in(world, browser, ALICE, ACR_MFA)
        got = await tokens(world, login, await asked(world, browser, login, None))
    assert claims_of(got["id_token"])["acr"] == claims_of(got["access_token"])["acr"] == ACR_PASSWORD


async def test_downgrade_no_refresh_or_exchange_can_ask_for_a_class(world: World) -> None:
    got = await world.login()
    wish = [("acr_values", ACR_MFA), ("acr", ACR_MFA), ("amr", "mfa"), ("auth_time", "9999999999")]
    renewed = await world.web.token(("grant_type", "refresh_token"), ("refresh_token", got["refresh_token"]), *wish)
    said = claims_of(renewed.json()["access_token"])
    assert (said["acr"], said["amr"]) == (ACR_PASSWORD, ["pwd"])
    assert said["auth_time"] == claims_of(got["access_token"])["auth_time"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_code_sent_from_another_site_is_refused(world: World, origin: str | None) -> None:
    async with world.browser() as browser:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        sent: httpx.Response = await browser.submit(page, origin, code=shown(world.issuer, ALICE))
        assert sent.status_code == 403
        assert (await browser.submit(page, origin, decision="decline")).status_code == 403
        assert not await is_raised(world, browser)


async def test_a_code_page_of_before_is_of_no_use_once_the_session_was_raised(world: World) -> None:
    async with world.browser() as browser:
        page = await signed_in(world, browser, ALICE, ACR_MFA)
        assert (await browser.submit(page, code=shown(world.issuer, ALICE))).is_redirect
        assert (await browser.submit(page, code=shown(world.issuer, ALICE, 30))).status_code == 400
