"""A client asks for a stronger or fresher sign-in (RFC 9470), and gets one, or is told that it does not."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from stead.demo.cli.browser import Browser as Scripted
from stead.demo.cli.browser import Login as Typed
from stead.identity.home import Home
from stead.identity.samples import ALICE, BOB, CAROL
from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD
from tests.server.issuers import BROKER, PORTFOLIO, WEB, Issuer, corporate_seed, issuer_of
from tests.server.parties import Login, answered, claims_of
from tests.server.stepping_up import asked, forget, shown, signed_in, tokens
from tests.server.world import World

RAISED = {"acr": ACR_MFA, "amr": ["pwd", "otp", "mfa"]}
BY_PASSWORD = {"acr": ACR_PASSWORD, "amr": ["pwd"]}


@pytest.fixture(autouse=True)
def forgotten(corporate_issuer: Issuer) -> Iterator[None]:
    yield
    forget(corporate_issuer)


def strength(token: str) -> dict[str, Any]:
    return {name: claims_of(token)[name] for name in ("acr", "amr")}


def when(token: str) -> int:
    return int(claims_of(token)["auth_time"])


async def test_a_code_raises_the_sign_in_and_every_token_says_so(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        page = await browser.sign_in(await asked(world, browser, login), "alice", "alice-demo")
        assert "Confirm it is you" in page.text
        got = await tokens(world, login, await browser.submit(page, code=shown(world.issuer, ALICE)))
    renewed = await world.web.token(("grant_type", "refresh_token"), ("refresh_token", got["refresh_token"]))
    exchanged = await world.obo(got["access_token"], PORTFOLIO, "portfolio:read")
    said = [got["id_token"], got["access_token"], renewed.json()["access_token"], exchanged["access_token"]]
    assert [strength(token) for token in said] == [RAISED] * 4
    assert len({when(token) for token in said}) == 1


async def test_whoever_is_signed_in_is_asked_for_the_code_alone(world: World) -> None:
    first, second = Login(), Login()
    async with world.browser() as browser:
        page = await asked(world, browser, first, None)
        before = await tokens(world, first, await browser.sign_in(page, "alice", "alice-demo"))
        world.issuer.clock.ahead = 100
        page = await asked(world, browser, second)
        assert "Signed in as <strong>Alice Moreau</strong>" in page.text
        assert "<strong>FinPort</strong> asks for more than a password" in page.text
        after = await tokens(world, second, await browser.submit(page, code=shown(world.issuer, ALICE)))
    assert strength(before["id_token"]) == BY_PASSWORD
    assert strength(after["id_token"]) == RAISED
    assert when(after["id_token"]) >= when(before["id_token"]) + 99
    assert claims_of(after["id_token"])["sid"] == claims_of(before["id_token"])["sid"]


async def test_what_was_issued_before_is_not_raised_along(world: World) -> None:
    first = Login()
    async with world.browser() as browser:
        page = await asked(world, browser, first, None)
        before = await tokens(world, first, await browser.sign_in(page, "alice", "alice-demo"))
        world.issuer.clock.ahead = 100
        await browser.submit(await asked(world, browser, Login()), code=shown(world.issuer, ALICE))
    renewed = await world.web.token(("grant_type", "refresh_token"), ("refresh_token", before["refresh_token"]))
    exchanged = await world.obo(renewed.json()["access_token"], PORTFOLIO, "portfolio:read")
    for token in (renewed.json()["access_token"], exchanged["access_token"]):
        assert strength(token) == BY_PASSWORD
        assert when(token) == when(before["id_token"])


async def test_signing_out_ends_what_was_issued_before_the_session_was_raised_too(world: World) -> None:
    first, second = Login(), Login()
    async with world.browser() as browser:
        page = await asked(world, browser, first, None)
        before = await tokens(world, first, await browser.sign_in(page, "alice", "alice-demo"))
        page = await asked(world, browser, second)
        after = await tokens(world, second, await browser.submit(page, code=shown(world.issuer, ALICE)))
        await browser.get("/logout", [("id_token_hint", after["id_token"])])
    assert not await world.active(before["access_token"], "broker")
    assert not await world.active(after["access_token"], "broker")


async def test_a_raised_session_is_asked_for_nothing_more(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=shown(world.issuer, ALICE))
        for acr_values in (ACR_MFA, f"{ACR_PASSWORD} {ACR_MFA}", None):
            got = await tokens(world, login, await asked(world, browser, login, acr_values, prompt="none"))
            assert strength(got["access_token"]) == RAISED


async def test_whoever_asked_for_a_password_is_told_of_that_however_surely_the_person_is_known(world: World) -> None:
    login, stronger = Login(), Login()
    async with world.browser() as browser:
        await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=shown(world.issuer, ALICE))
        got = await tokens(world, login, await asked(world, browser, login, ACR_PASSWORD, prompt="none"))
        after = await tokens(world, stronger, await asked(world, browser, stronger, prompt="none"))
    assert strength(got["id_token"]) == {**RAISED, "acr": ACR_PASSWORD}
    assert strength(after["id_token"]) == RAISED


@pytest.mark.parametrize("acr_values", [f"{ACR_MFA} {ACR_PASSWORD}", f"urn:elsewhere:gold {ACR_PASSWORD}"])
async def test_where_a_password_is_named_too_it_suffices(world: World, acr_values: str) -> None:
    login = Login()
    async with world.browser() as browser:
        done = await browser.sign_in(await asked(world, browser, login, acr_values), "alice", "alice-demo")
        assert strength((await tokens(world, login, done))["id_token"]) == BY_PASSWORD


async def test_max_age_a_raised_session_that_is_too_old_is_raised_anew_from_the_password_on(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=shown(world.issuer, ALICE))
        world.issuer.clock.ahead = 120
        page = await asked(world, browser, login, max_age="60")
        page = await browser.sign_in(page, "alice", "alice-demo")
        assert "Confirm it is you" in page.text
        got = await tokens(world, login, await browser.submit(page, code=shown(world.issuer, ALICE)))
    assert strength(got["id_token"]) == RAISED
    assert when(got["id_token"]) >= int(world.issuer.clock()) - 5


@pytest.mark.parametrize("more", [{"max_age": "0"}, {"prompt": "login"}])
async def test_a_sign_in_that_has_to_be_new_is_asked_for_once(world: World, more: dict[str, str]) -> None:
    login = Login()
    async with world.browser() as browser:
        await signed_in(world, browser, ALICE)
        page = await browser.sign_in(await asked(world, browser, login, **more), "alice", "alice-demo")
        world.issuer.clock.ahead = 5
        done = await browser.submit(page, code=shown(world.issuer, ALICE))
        assert strength((await tokens(world, login, done))["id_token"]) == RAISED


async def test_a_password_typed_after_a_code_makes_a_sign_in_by_password_again(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        await browser.submit(await signed_in(world, browser, ALICE, ACR_MFA), code=shown(world.issuer, ALICE))
        page = await asked(world, browser, login, None, prompt="login")
        got = await tokens(world, login, await browser.sign_in(page, "alice", "alice-demo"))
    assert strength(got["access_token"]) == BY_PASSWORD


async def test_a_client_that_wants_no_page_is_told_which_one_it_would_take(world: World) -> None:
    async with world.browser() as browser:
        assert answered(await asked(world, browser, Login(), prompt="none"))["error"] == "login_required"
        await signed_in(world, browser, ALICE)
        assert answered(await asked(world, browser, Login(), prompt="none"))["error"] == "interaction_required"


async def test_a_person_without_a_second_factor_is_no_match_and_the_client_is_told(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        page = await asked(world, browser, login)
        for done in (
            await browser.sign_in(page, BOB.username, BOB.password),
            await asked(world, browser, login),
            await asked(world, browser, login, prompt="none"),
        ):
            told = answered(done)
            assert (told["error"], told["state"]) == ("unmet_authentication_requirements", login.state)


async def test_a_class_that_is_not_known_here_is_refused_at_the_client_and_when_it_is_pushed(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        told = answered(await asked(world, browser, login, "urn:elsewhere:gold 1"))
    assert (told["error"], told["state"]) == ("unmet_authentication_requirements", login.state)
    form = login.parameters(world.web, "openid", BROKER, acr_values="urn:elsewhere:gold")
    pushed = await world.web.post("/par", *form)
    assert (pushed.status_code, pushed.json()["error"]) == (400, "unmet_authentication_requirements")


async def test_cancelling_leads_back_to_the_client_and_raises_nothing(world: World) -> None:
    login = Login()
    async with world.browser() as browser:
        await signed_in(world, browser, ALICE)
        page = await asked(world, browser, login)
        told = answered(await browser.submit(page, decision="decline"))
        assert (told["error"], told["state"]) == ("access_denied", login.state)
        assert (await browser.submit(page, code=shown(world.issuer, ALICE))).status_code == 400
        assert answered(await asked(world, browser, login, prompt="none"))["error"] == "interaction_required"


async def test_discovery_names_both_classes(world: World) -> None:
    said = (await world.http.get(f"{world.issuer.url}/.well-known/openid-configuration")).json()
    assert said["acr_values_supported"] == [ACR_PASSWORD, ACR_MFA]


async def test_the_terminal_s_browser_types_the_code_that_a_development_page_shows(world: World) -> None:
    async with world.browser() as browser:
        scripted = Scripted(browser.http, {world.issuer.url: Typed(CAROL.username, CAROL.password)})
        wanted = Login().parameters(world.web, "openid broker:ask", BROKER, acr_values=ACR_MFA)
        page = await scripted.visit(f"{world.issuer.url}/authorize?{urlencode(wanted)}", until=WEB)
    assert "code=" in page.url


async def test_only_a_development_page_shows_a_code(server_home: Home, http: httpx.AsyncClient) -> None:
    async with issuer_of(
        server_home,
        "corporate",
        "Serious",
        lambda url: corporate_seed(server_home, url),
        development=False,
        database=server_home.database("serious"),
    ) as issuer:
        serious = World(issuer, http)
        async with serious.browser() as browser:
            page = await signed_in(serious, browser, ALICE, ACR_MFA)
    assert "Confirm it is you" in page.text
    assert "Development:" not in page.text
    assert shown(issuer, ALICE) not in page.text
