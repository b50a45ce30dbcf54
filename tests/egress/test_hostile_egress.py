"""Attacks on the token that goes out: places it must not reach, headers it must not travel with, calls it must not mix.

Beside `test_egress`; through both SDKs' clients.
"""

import asyncio
import logging
import secrets
from typing import Any

import httpx
import httpx2
import pytest

from stead.identity.egress import OpenHop, Target, a2a_client, mcp_client, new_span, new_trace, opened
from stead.identity.errors import AccessDenied, IdentityError, InvalidTarget
from stead.identity.values import AccessToken, Grant, acting_for
from stead.identity.workload import Workload

REFUSED = (AccessDenied, httpx.InvalidURL, httpx2.InvalidURL, httpx.HTTPError, httpx2.HTTPError, ValueError)


def hop_to(audience: str, token: str = "canary-token") -> OpenHop:
    return OpenHop(audience, AccessToken(token), new_trace(), new_span())


@pytest.fixture(params=[a2a_client, mcp_client], ids=["httpx", "httpx2"])
async def client(request: Any) -> Any:
    async with request.param() as built:
        yield built


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "elsewhere",
    ["http://0x7f.1:{port}/", "http://0177.0.0.1:{port}/", "http://0x7f000001:{port}/", "http://127.0.1:{port}/",
     "http://[::1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
     "http://xn--127-0-0-1:{port}/", "http://１２７.0.0.2:{port}/", "http://127.0.0.1.nip.example:{port}/",
     "http://{place}\\@127.0.0.1:1/", "http://127.0.0.1:1\\@{place}/", "http://127.0.0.1:1#@{place}/",
     "http://127.0.0.1:1?@{place}/", "http:\\\\{place}/", "http:///{place}/", "//127.0.0.1:1/", "ws://{place}/",
     "ftp://{place}/", "file:///etc/passwd", "http://:x@{place}/", "http://{place}:80/",
     "http://127.0.0.1:{port}0/", "http://127.0.0.1/", "https://127.0.0.1/"],
)  # fmt: skip
async def test_no_spelling_of_another_place_gets_the_token(client: Any, callee: Any, elsewhere: str) -> None:
    app, url = callee
    place = url.removeprefix("http://")
    target = elsewhere.format(place=place, port=place.partition(":")[2])
    with opened(hop_to(url)), pytest.raises(REFUSED):
        await client.get(target)
    assert app.seen == []


@pytest.mark.parametrize(
    "path",
    ["/mcp/../admin", "/mcp/%2e%2e/admin", "/mcp/%2E%2e/admin", "/mcp/.%2e/admin", "/mcp/..%2fadmin",
     "/mcp/%5c..%5cadmin", "/mcp/..", "/%6dcp", "/MCP", "//mcp", "/mcp%2f..%2fadmin", "/mcp;/../admin",
     "/mcp/..;/admin", "/mcp/..;x=1/admin", "/mcp/%2e%2e;/admin", "/mcp/..%3b/admin", "/mcp/.;/admin"],
)  # fmt: skip
async def test_no_step_upward_leaves_the_path_of_the_audience(client: Any, callee: Any, path: str) -> None:
    app, url = callee
    with opened(hop_to(f"{url}/mcp")), pytest.raises(AccessDenied):
        await client.get(f"{url}{path}")
    assert app.seen == []


async def test_an_absolute_path_or_a_second_host_is_no_way_around(client: Any, callee: Any) -> None:
    app, url = callee
    with opened(hop_to(url)):
        await client.get(f"{url}/http://evil.example/x")
        for host in ("evil.example", "127.0.0.1:1", url.removeprefix("http://") + ".", ""):
            with pytest.raises(REFUSED):
                await client.get(url, headers={"Host": host})
        with pytest.raises(REFUSED):
            await client.get(url, headers=[("host", url.removeprefix("http://")), ("host", "evil.example")])
    assert [seen["host"] for seen in app.seen] == [url.removeprefix("http://")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_within_the_origin_or_out_of_it_is_the_caller_s_to_see(
    client: Any, callee: Any, status: int
) -> None:
    app, url = callee
    for location in ("/elsewhere", "https://evil.example/", f"{url.replace('127.0.0.1', '127.0.0.2')}/"):
        app.status, app.headers, app.paths = status, {"location": location}, []
        with opened(hop_to(url)):
            assert (await client.get(f"{url}/a")).status_code == status
        assert app.paths == ["/a"]


# --- headers -------------------------------------------------------------------------------------------------------


async def test_nothing_of_the_request_before_is_passed_on(client: Any, callee: Any) -> None:
    app, url = callee
    inbound = {
        "Authorization": "Bearer of-the-caller",
        "DPoP": "of-the-caller",
        "Cookie": "session=alice",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Access-Token": "of-the-caller",
        "X-Real-IP": "10.0.0.1",
        "X-Original-URL": "/admin",
        "Forwarded": "for=10.0.0.1",
        "Via": "1.1 alice",
        "Proxy-Authorization": "Basic x",
        "Baggage": "user=alice",
        "X_Forwarded_User": "alice",
        "Proxy_Authorization": "Basic x",
    }
    with opened(hop_to(url)):
        await client.post(url, headers=inbound, json={})
    sent = app.seen[0]
    assert sent["authorization"] == "Bearer canary-token"
    assert {name.lower() for name in inbound} & sent.keys() == {"authorization"}
    assert "of-the-caller" not in str(sent)


LINES = ["x\r\nauthorization: Bearer evil", "x\nhost: evil.example", "x\r\n\r\nGET / HTTP/1.1", "x\0y"]
NAMES = ["x\r\nhost", ":authority", "x y", "authorization ", ""]


@pytest.mark.parametrize(("name", "value"), [*(("x-note", line) for line in LINES), *((name, "x") for name in NAMES)])
async def test_a_header_that_is_none_splits_no_request(client: Any, callee: Any, name: str, value: str) -> None:
    app, url = callee
    with opened(hop_to(url)):
        try:
            failed = await client.get(url, headers={name: value})
        except REFUSED:
            failed = None
    # The MCP SDK's client is told of a failed transport by an answer.
    assert failed is None or failed.status_code == 503
    assert app.seen == []


async def test_a_line_break_in_a_url_splits_no_request(client: Any, callee: Any) -> None:
    app, url = callee
    with opened(hop_to(url)):
        for path in ("/a\r\nhost: evil.example", "/a b", "/a\tb"):
            try:
                await client.get(f"{url}{path}")
            except REFUSED:
                continue
    assert all(seen["host"] == url.removeprefix("http://") for seen in app.seen)


async def test_the_token_shows_in_no_log_however_loud(
    client: Any, callee: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _, url = callee
    with caplog.at_level(logging.DEBUG), opened(hop_to(url)) as hop:
        await client.get(url)
        with pytest.raises(AccessDenied) as refused:
            await client.get("http://127.0.0.1:1/")
    assert "canary-token" not in caplog.text
    assert "canary-token" not in f"{refused.value!r} {refused.value.as_json()} {hop!r}"


# --- mixing --------------------------------------------------------------------------------------------------------


async def test_a_thousand_calls_at_once_on_one_client_never_swap_people(callee: Any) -> None:
    app, url = callee
    async with a2a_client() as client:
        users = [secrets.token_hex(4) for _ in range(1_000)]
        gate = asyncio.Semaphore(20)

        async def call(user: str) -> None:
            with opened(hop_to(url, f"token-of-{user}")):
                async with gate:
                    await client.get(url, headers={"x-person": user})

        await asyncio.gather(*(call(user) for user in users))
    assert len(app.seen) == 1_000
    assert all(seen["authorization"] == f"Bearer token-of-{seen['x-person']}" for seen in app.seen)


async def test_one_tool_s_credential_is_not_used_for_another(
    client: Any, callee: Any, places: Any, issuer: Any
) -> None:
    """Two audiences, one pooled client, interleaved: each origin only ever sees the token that is for it."""
    app, first = callee
    second = places[1].url
    with opened(hop_to(first, "for-the-first")):
        await client.get(first)
        with pytest.raises(AccessDenied):
            await client.get(f"{second}/mcp")
        with opened(hop_to(second, "for-the-second")):
            await client.get(f"{second}/.well-known/oauth-authorization-server")
            with pytest.raises(AccessDenied):
                await client.get(first)
        await client.get(first)
    assert [seen["authorization"] for seen in app.seen] == ["Bearer for-the-first"] * 2


async def test_a_task_that_outlives_its_hop_keeps_only_what_it_was_started_with(client: Any, callee: Any) -> None:
    """A context is copied at the start of a task: what the parent opens afterwards is not the child's to use."""
    app, url = callee
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        await client.get(url)

    task = asyncio.create_task(later())
    with opened(hop_to(url)):
        go.set()
        with pytest.raises(AccessDenied, match="no hop is open"):
            await task
    assert app.seen == []


# --- targets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["invalid_target", "invalid_scope"])
async def test_a_target_that_the_registry_does_not_name_gets_no_token_and_no_request(
    workload: Workload, issuer: Any, callee: Any, error: str
) -> None:
    """The allow-list is the authorization server's, and its no is the end: nothing is sent to the target."""
    app, url = callee
    issuer.refuse = {"error": error, "error_description": "Not registered."}
    with acting_for(issuer.principal(), None), pytest.raises(IdentityError) as refused:
        async with workload.hop(Target(url, ("x",), Grant.OBO), operation="SendMessage", resource="x") as hop:
            await workload.http.get(hop.audience)
    assert isinstance(refused.value, InvalidTarget) == (error == "invalid_target")
    assert app.seen == []
    assert [form["resource"] for form in issuer.forms] == [url]
