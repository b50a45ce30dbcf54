"""The pages: policy, cookies, forms, and what they never do."""

import re

import pytest

from tests.server.issuers import BROKER, TRANSFER, WEB
from tests.server.parties import Browser, Login, answered
from tests.server.world import Bank, World, payment


async def login_page(world: World, browser: Browser, **more: str) -> str:
    page = await browser.get("/authorize", Login().parameters(world.web, "openid broker:ask", BROKER, **more))
    return page.text


async def test_the_policy_lets_a_form_go_to_us_and_to_the_validated_client_only(world: World, northbank: Bank) -> None:
    async with world.browser() as browser, northbank.browser() as other:
        login = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        consent = await northbank.consent_page(other, Login(), payment())
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert login.headers["content-security-policy"] == policy.format(WEB)
    assert consent.headers["content-security-policy"] == policy.format(TRANSFER)
    for page in (login, consent):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "same-origin"
        assert "<script" not in page.text
        assert "style=" not in page.text
        assert not re.search(r"https?://(?!127\.)", page.text)


async def test_the_houses_look_different_and_both_say_what_they_are(world: World, northbank: Bank) -> None:
    async with world.browser() as browser, northbank.browser() as other:
        ours = await login_page(world, browser)
        theirs = (await other.get("/authorize", await northbank.link(Login(), payment()))).text
    assert "/static/corporate.css" in ours
    assert "FinPort Identity" in ours
    assert "/static/bank.css" in theirs
    assert "Northbank" in theirs
    assert "Development issuer" in ours
    assert "Development issuer" in theirs
    for name in ("base", "corporate", "bank"):
        response = await world.http.get(f"{world.issuer.url}/static/{name}.css")
        assert response.headers["content-type"].startswith("text/css")


async def test_a_development_login_page_lists_the_sample_people(world: World) -> None:
    async with world.browser() as browser:
        text = await login_page(world, browser)
    assert "alice-demo" in text
    assert "Ada Okafor" in text


async def test_a_wrong_password_is_told_without_saying_which_was_wrong(world: World) -> None:
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        for username, password in (("alice", "wrong"), ("nobody", "alice-demo"), ("", "")):
            again = await browser.submit(page, username=username, password=password)
            assert again.status_code == 403
            assert "That name and password do not match." in again.text


async def test_names_are_shown_as_text(world: World) -> None:
    async with world.browser() as browser:
        text = await login_page(world, browser, login_hint='"><script>alert(1)</script>')
    assert "<script" not in text


async def test_the_cookie_is_host_only_http_only_and_changes_at_login(world: World) -> None:
    async with world.browser() as browser:
        url = world.issuer.url + "/authorize"
        first = await browser.http.get(url, params=dict(Login().parameters(world.web, "openid", BROKER)))
        header = first.headers["set-cookie"]
        assert re.fullmatch(r"corporate-issuer-session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", header)
        before = dict(browser.http.cookies)
        page = await browser.get(first.headers["location"])
        done = await browser.sign_in(page, "alice", "alice-demo")
        assert done.status_code == 303
        assert dict(browser.http.cookies) != before
        # The old cookie opens nothing any more.
        browser.http.cookies.clear()
        browser.http.cookies.update(before)
        response = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER, prompt="none"))
        assert answered(response)["error"] == "login_required"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_login_from_another_site_is_refused(world: World, origin: str | None) -> None:
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        response = await browser.submit(page, origin, username="alice", password="alice-demo")
    assert response.status_code == 403


async def test_a_login_page_of_another_browser_is_not_opened(world: World) -> None:
    async with world.browser() as browser, world.browser() as mallory:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        assert (await mallory.get(str(page.url))).status_code == 400
        assert (await mallory.submit(page, username="bob", password="bob-demo")).status_code == 400


async def test_an_interaction_expires_and_says_what_to_do(world: World) -> None:
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        world.issuer.clock.ahead = 601
        late = await browser.sign_in(page, "alice", "alice-demo")
    assert late.status_code == 400
    assert "start again" in late.text


async def test_logout_asks_first_and_then_ends_the_session(world: World) -> None:
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        await browser.sign_in(page, "alice", "alice-demo")
        asking = await browser.get("/logout")
        assert "Alice Moreau" in asking.text
        assert (await browser.submit(asking, "https://evil.example")).status_code == 403
        assert "You are signed out" in (await browser.submit(asking)).text
        response = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER, prompt="none"))
    assert answered(response)["error"] == "login_required"


async def test_logout_goes_back_only_to_a_registered_address(world: World) -> None:
    tokens = await world.login()
    hint = {"id_token_hint": tokens["id_token"], "state": "s 1"}
    for target, location in ((f"{WEB}/", f"{WEB}/?state=s+1"), ("https://evil.example/", None)):
        response = await world.http.get(
            world.issuer.url + "/logout", params={**hint, "post_logout_redirect_uri": target}
        )
        assert response.headers.get("location") == location


async def test_logout_believes_no_foreign_hint(world: World) -> None:
    tokens = await world.login()
    header, payload, signature = tokens["id_token"].split(".")
    for hint in ("junk", f"{header}.{payload}.{signature[:-4]}AAAA", tokens["access_token"]):
        await world.http.get(world.issuer.url + "/logout", params={"id_token_hint": hint})
    assert await world.active(tokens["access_token"], "broker")
