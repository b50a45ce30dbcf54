"""What the pages allow, and from whom a change is taken."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stead.demo.web.pages import FOLDER
from tests.web import samples
from tests.web.conftest import Tab
from tests.web.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alice(world: World) -> AsyncIterator[Tab]:
    """Alice's browser, for all tests of this page: none of them changes anything."""
    tab = await Tab(world).sign_in("alice")
    yield tab
    await tab.http.aclose()


POSTS = ("/ask", "/logout", "/tasks/t-1/answer", "/tasks/t-1/cancel", "/cheats/nobody")


async def test_the_policy_allows_our_own_scripts_and_nothing_else(world: World, alice: Tab) -> None:
    for path in ("/", "/state", "/nowhere", "/static/app.js"):
        policy = dict(
            part.split(" ", 1) for part in (await alice.http.get(path)).headers["content-security-policy"].split("; ")
        )
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": f"'self' {world.home.network.corporate_idp}",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }


def test_no_page_has_inline_script_or_style_or_an_external_url() -> None:
    for path in [*(FOLDER / "templates").iterdir(), *(FOLDER / "static").iterdir()]:
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=\"", text), path.name
        urls = re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}", text)
        assert [url for url in urls if "www.w3.org" not in url] == [], path.name


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", POSTS)
async def test_csrf_a_change_from_another_origin_is_refused(alice: Tab, path: str, origin: str | None) -> None:
    reply = await alice.post(path, {}, origin=origin or "")
    assert reply.status_code == 403
    assert "FinPort's own page" in reply.json()["error_description"]


async def test_csrf_two_origins_are_as_good_as_none(world: World, alice: Tab) -> None:
    headers = [("origin", world.url), ("origin", "http://evil.example"), ("x-csrf-token", alice.csrf)]
    reply = await alice.http.post("/ask", json={}, headers=headers)
    assert reply.status_code in (400, 403)


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/logout"])
async def test_csrf_a_change_without_the_sessions_token_is_refused(alice: Tab, path: str) -> None:
    reply = await alice.post(path, {}, **{"x-csrf-token": "0" * 64})
    assert reply.status_code == 403
    assert "another session" in reply.json()["error_description"]


async def test_csrf_the_token_of_another_session_is_refused(world: World, alice: Tab) -> None:
    bob = await Tab(world).sign_in("bob")
    reply = await alice.post("/ask", {}, **{"x-csrf-token": bob.csrf})
    await bob.http.aclose()
    assert reply.status_code == 403


async def test_dns_rebinding_another_hosts_name_is_refused(alice: Tab) -> None:
    reply = await alice.http.get("/state", headers={"host": "evil.example"})
    assert reply.status_code == 421


@pytest.mark.parametrize("path", ["/state", "/events", "/network", "/session", "/tasks/t/trail", "/tasks/t/raw"])
async def test_nothing_is_told_without_a_session(tab: Tab, path: str) -> None:
    reply = await tab.http.get(path)
    assert reply.status_code == 401
    assert reply.json()["hint"] == "Sign in again."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b'{"text": 1}',
        b'{"text": "hi", "text": "ho"}',
        b'{"text": "' + b"x" * 20_000 + b'"}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"text": "hi", "message_id": "../../../etc"}',
        b'{"text": "hi", "message_id": "message-1", "task": "../x"}',
        b'{"text": "hi", "message_id": "message-1", "mode": "root"}',
    ],
)
async def test_malformed_requests_get_a_sentence(world: World, alice: Tab, body: bytes) -> None:
    headers = {"origin": world.url, "x-csrf-token": alice.csrf, "content-type": "application/json"}
    reply = await alice.http.post("/ask", content=body, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["error_description"]
    assert "Traceback" not in reply.text


async def test_what_is_said_must_be_json(world: World, alice: Tab) -> None:
    headers = {"origin": world.url, "x-csrf-token": alice.csrf, "content-type": "text/plain"}
    assert (await alice.http.post("/ask", content=b"{}", headers=headers)).status_code == 400


async def test_markup_in_what_agents_say_stays_text(world: World, alice: Tab) -> None:
    evil = '<img src=x onerror="alert(1)">'
    made = samples.task(
        "t-evil", evil, "COMPLETED", answer=(evil, {"results": [{"skill": evil, "output": {evil: evil}}]})
    )
    world.broker.put(made)
    shown = next(turn for turn in (await alice.http.get("/state")).json()["turns"] if turn["task"] == "t-evil")
    assert "<img" not in "".join(shown["parts"].values())
    del world.broker.tasks["t-evil"]


async def test_an_unknown_page_and_a_wrong_method_are_answered_in_words(alice: Tab) -> None:
    assert (await alice.http.get("/nowhere")).json()["error_description"] == "There is no such page."
    assert (await alice.http.get("/ask")).status_code == 405
    assert (await alice.http.get("/static/../app.py")).status_code == 404
