"""The driver against real servers: bounded, without redirects, without memory, and patient only where it is safe."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from stead.identity.driver import bare_client, drive, fetch
from stead.identity.errors import ProviderUnavailable
from stead.identity.types import Request, Response


def get(url: Any, method: Any = "GET", **parts: Any) -> Any:
    response = yield Request(method, url, **parts)
    return response


@pytest.fixture
async def client() -> Any:
    async with bare_client() as opened:
        yield opened


async def test_a_form_is_sent_as_a_form(client: Any, callee: Any) -> None:
    app, url = callee
    response = await drive(get(url, "POST", form=(("a", "1 2"), ("a", "&"), ("b", "ä"))), client)
    assert response.status == 200
    assert app.bodies == [b"a=1+2&a=%26&b=%C3%A4"]
    assert app.seen[0]["content-type"] == "application/x-www-form-urlencoded"


async def test_json_is_sent_as_json(client: Any, callee: Any) -> None:
    app, url = callee
    await drive(get(url, "POST", json={"a": 1}), client)
    assert (app.bodies, app.seen[0]["content-type"]) == ([b'{"a": 1}'], "application/json")


async def test_header_names_come_back_in_lower_case(client: Any, callee: Any) -> None:
    app, url = callee
    app.headers = {"X-Odd": "yes"}
    assert (await drive(get(url), client)).headers["x-odd"] == "yes"


async def test_no_redirect_is_followed(client: Any, callee: Any, serve: Any) -> None:
    app, url = callee
    app.status, app.headers = 307, {"location": "http://169.254.169.254/latest"}
    assert (await drive(get(url), client)).status == 307
    assert len(app.seen) == 1


async def test_no_cookie_is_kept(client: Any, callee: Any) -> None:
    app, url = callee
    app.headers = {"set-cookie": "session=alice; Path=/"}
    for _ in range(2):
        await drive(get(url), client)
    assert all("cookie" not in seen for seen in app.seen)


async def test_a_body_without_end_is_cut_off(client: Any, serve: Any) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serve(endless) as url:
        with pytest.raises(ProviderUnavailable, match="more than it may"):
            await drive(get(url), client)


async def test_a_server_that_never_answers_is_given_up(client: Any, serve: Any) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serve(silent) as url:
        with pytest.raises(ProviderUnavailable, match="in time"):
            await drive(get(url), client, timeout=0.1)


async def test_a_server_that_drips_is_given_up_as_a_whole(client: Any, serve: Any) -> None:
    async def drips(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        gone = asyncio.create_task(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.wait([gone], timeout=0.02)

    async with serve(drips) as url:
        with pytest.raises(ProviderUnavailable, match="in time"):
            await drive(get(url), client, timeout=0.2)


async def test_a_refused_connection_is_an_error_that_names_the_host_only(client: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ProviderUnavailable) as failure:
        await drive(get(f"http://{address}/token?secret=1"), client)
    assert failure.value.description == f"{address} cannot be reached."


async def test_a_server_that_is_just_starting_is_waited_for(client: Any, serve: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
        waiting = asyncio.create_task(drive(get(f"http://127.0.0.1:{address[1]}/"), client, patience=5))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        listener.listen()
        listener.setblocking(False)
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        with connection:
            await asyncio.get_running_loop().sock_sendall(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
            assert (await waiting).status == 204


async def test_a_connection_that_breaks_is_not_tried_again(client: Any) -> None:
    calls = 0

    async def hang_up(_: Any, writer: Any) -> None:
        nonlocal calls
        calls += 1
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        with pytest.raises(ProviderUnavailable, match="broke off"):
            await drive(get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"), client, patience=5)
    assert calls == 1


async def test_a_flow_may_catch_that_no_reply_came(client: Any) -> Any:
    def resilient() -> Any:
        try:
            yield Request("GET", "http://127.0.0.1:1/")
        except ProviderUnavailable:
            return "another way"

    assert await drive(resilient(), client) == "another way"


async def test_a_flow_that_asks_nothing_returns_at_once(client: Any) -> Any:
    def idle() -> Any:
        return 7
        yield Request("GET", "http://127.0.0.1:1/")

    assert await drive(idle(), client) == 7


async def test_the_credentials_of_the_environment_are_not_used(monkeypatch: Any, callee: Any) -> None:
    app, url = callee
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with bare_client() as client:
        await drive(get(url), client)
    assert len(app.seen) == 1


async def test_userinfo_in_a_url_is_not_turned_into_a_credential(client: Any, callee: Any) -> None:
    app, url = callee
    await drive(get(url.replace("http://", "http://user:pass@")), client)
    assert "authorization" not in app.seen[0]


async def test_a_document_that_is_not_there_is_an_error(client: Any, callee: Any) -> None:
    app, url = callee
    assert await fetch(url, client) == b'{"ok": true}'
    app.status = 404
    with pytest.raises(ProviderUnavailable, match="404"):
        await fetch(url, client)


async def test_an_impossible_url_is_an_error(client: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        await drive(get("http://[/"), client)


def test_a_response_does_not_show_its_body() -> None:
    assert "secret" not in repr(Response(200, {}, b"secret"))


def test_the_client_ignores_the_environment_and_redirects() -> None:
    client = bare_client()
    assert not client.trust_env
    assert not client.follow_redirects
    assert isinstance(client, httpx.AsyncClient)
