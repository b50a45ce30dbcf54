"""Signing in and out, and what a session is worth to somebody else."""

import sqlite3
from dataclasses import replace
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stead.demo.cli.browser import Browser, Login
from stead.demo.web.session import Session
from tests.web.conftest import Tab
from tests.web.world import World


async def test_without_a_session_the_front_page_offers_to_sign_in(tab: Tab) -> None:
    page = await tab.http.get("/")
    assert page.status_code == 200
    assert 'data-testid="sign-in"' in page.text
    assert "Sign in with FinPort Identity" in page.text


async def test_signing_in_shows_the_person_and_puts_no_token_into_the_browser(alice: Tab) -> None:
    page = await alice.http.get("/")
    assert "Alice Moreau" in page.text
    held = [page.text, *(f"{cookie.name}={cookie.value}" for cookie in alice.http.cookies.jar)]
    assert not [text for text in held if "eyJ" in text]


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_sites(world: World, tab: Tab) -> None:
    login = Login("alice", "alice-demo")
    browser = Browser(tab.http, {world.home.network.corporate_idp: login})
    back = await browser.visit(f"{world.url}/login", until=f"{world.url}/callback")
    reply = await tab.http.get(back.url, follow_redirects=False)
    morsel = SimpleCookie(reply.headers.get_list("set-cookie")[0])["finport"]
    assert morsel["httponly"]
    assert morsel["samesite"] == "lax"
    assert morsel["domain"] == ""
    assert morsel["path"] == "/"


async def test_the_request_asks_for_pkce_state_nonce_and_the_two_services(world: World, tab: Tab) -> None:
    reply = await tab.http.get("/login")
    asked = parse_qs(urlsplit(reply.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["resource"] == [world.home.network.broker, world.home.network.trail]
    assert len(asked["state"][0]) >= 32
    assert len(asked["nonce"][0]) >= 32


async def test_session_fixation_a_planted_cookie_is_not_the_session_after_signing_in(world: World, tab: Tab) -> None:
    tab.http.cookies.set("finport", "planted", domain="127.0.0.1")
    await tab.sign_in("alice")
    values = [cookie.value for cookie in tab.http.cookies.jar if cookie.name == "finport"]
    assert "planted" not in values
    tab.http.cookies.clear()
    tab.http.cookies.set("finport", "planted", domain="127.0.0.1")
    assert (await tab.http.get("/session")).status_code == 401


async def test_signing_in_anew_ends_the_session_that_the_browser_had(alice: Tab) -> None:
    before = next(cookie.value for cookie in alice.http.cookies.jar if cookie.name == "finport")
    await alice.sign_in("alice")
    alice.http.cookies.clear()
    alice.http.cookies.set("finport", str(before), domain="127.0.0.1")
    assert (await alice.http.get("/session")).status_code == 401


async def test_login_csrf_a_callback_of_another_browser_is_refused(world: World, tab: Tab) -> None:
    browser = Browser(tab.http, {world.home.network.corporate_idp: Login("alice", "alice-demo")})
    back = await browser.visit(f"{world.url}/login", until=f"{world.url}/callback")
    other = Tab(world)
    reply = await other.http.get(back.url)
    await other.http.aclose()
    assert reply.status_code == 400
    assert "was not begun in this browser" in reply.text
    assert "finport=" not in reply.headers.get("set-cookie", "").replace('finport-login=""', "")


async def test_a_replayed_callback_opens_no_second_session(world: World, tab: Tab) -> None:
    browser = Browser(tab.http, {world.home.network.corporate_idp: Login("alice", "alice-demo")})
    back = await browser.visit(f"{world.url}/login", until=f"{world.url}/callback")
    first = await tab.http.get(back.url)
    opened = next(cookie.value for cookie in tab.http.cookies.jar if cookie.name == "finport")
    second = await tab.http.get(back.url)
    assert (first.status_code, second.status_code) == (303, 303)
    assert [cookie.value for cookie in tab.http.cookies.jar if cookie.name == "finport"] == [opened]
    assert not [text for text in second.headers.get_list("set-cookie") if text.startswith("finport=")]


async def test_a_state_that_was_changed_is_refused(world: World, tab: Tab) -> None:
    browser = Browser(tab.http, {world.home.network.corporate_idp: Login("alice", "alice-demo")})
    back = await browser.visit(f"{world.url}/login", until=f"{world.url}/callback")
    reply = await tab.http.get(back.url.replace("state=", "state=x"))
    assert reply.status_code == 400
    assert "set-cookie" not in reply.headers or "finport=" not in reply.headers["set-cookie"].split(";")[0]


async def test_signing_out_ends_the_session_and_gives_the_refresh_token_back(world: World, alice: Tab) -> None:
    cookie = next(one.value for one in alice.http.cookies.jar if one.name == "finport")
    form = {"csrf": alice.csrf}
    reply = await alice.http.post("/logout", data=form, headers={"origin": world.url})
    assert reply.status_code == 303
    alice.http.cookies.set("finport", str(cookie), domain="127.0.0.1")
    assert (await alice.http.get("/session")).status_code == 401
    page = await alice.http.get("/?signed-out")
    assert "You are signed out" in page.text
    assert "/login?anew" in page.text


async def test_signing_out_needs_the_sessions_own_token(world: World, alice: Tab) -> None:
    reply = await alice.http.post("/logout", data={"csrf": "x"}, headers={"origin": world.url})
    assert reply.status_code == 403
    assert (await alice.http.get("/session")).status_code == 200


async def test_a_dump_of_the_databases_opens_no_session_and_shows_no_token(world: World, alice: Tab) -> None:
    cookie = next(str(one.value) for one in alice.http.cookies.jar if one.name == "finport")
    for name in ("web", "web-vault"):
        with sqlite3.connect(world.home.database(name)) as database:
            dump = "\n".join(database.iterdump())
        database.close()
        assert cookie not in dump
        assert alice.csrf not in dump
        assert "eyJ" not in dump


async def test_a_person_without_any_right_here_is_told_so(world: World, tab: Tab) -> None:
    reply = await tab.sign_in("admin")
    assert reply.csrf
    asked = await tab.post("/ask", {"text": "Show my portfolio", "message_id": "m-admin-0001"})
    assert asked.status_code == 403
    assert "Ada Okafor has no right to broker:ask" in asked.json()["error_description"]


@pytest.mark.parametrize(
    ("other", "goes_on"),
    [({}, True), ({"key": "k2"}, True), ({"sid": "s2"}, False), ({"sid": None}, False), ({"subject": "bob"}, False)],
)
def test_only_the_same_persons_same_session_of_the_provider_goes_on(other: dict[str, Any], goes_on: bool) -> None:
    """What is taken back of it there would end it as a whole, at some."""
    former = Session("k1", "https://idp.example", "alice", "Alice", "csrf", sid="s1")
    assert replace(former, **other).continues(former) is goes_on
    assert not replace(former, sid=None).continues(replace(former, sid=None))
