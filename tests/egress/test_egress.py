"""Outgoing identity: the open hop's token, to its audience and nowhere else, whoever builds the request."""

import asyncio
import secrets
from typing import Any

import httpx
import httpx2
import pytest
from joserfc.jwk import ECKey

from stead.identity.clock import system_clock
from stead.identity.dpop import check_proof
from stead.identity.egress import OpenHop, a2a_client, mcp_client, new_span, new_trace, opened
from stead.identity.errors import AccessDenied, InvalidRequest
from stead.identity.values import AccessToken, BoundToken


def hop_to(audience: Any, token: Any = "canary-token") -> Any:
    return OpenHop(audience, AccessToken(token), new_trace(), new_span())


@pytest.fixture(params=[a2a_client, mcp_client], ids=["httpx", "httpx2"])
async def client(request: Any) -> Any:
    async with request.param() as built:
        yield built


async def test_a_request_carries_the_token_and_the_mark_of_its_hop(client: Any, callee: Any) -> None:
    app, url = callee
    with opened(hop_to(url)) as hop:
        await client.post(f"{url}/a2a", json={})
    assert app.seen[0]["authorization"] == "Bearer canary-token"
    assert app.seen[0]["traceparent"] == f"00-{hop.trace}-{hop.hop_id}-01"
    assert hop.status == 200


async def test_every_request_of_a_bound_hop_has_a_proof_of_its_own(client: Any, callee: Any) -> None:
    app, url = callee
    key = ECKey.generate_key("P-256")
    token = BoundToken("a.b.c", key)
    with opened(OpenHop(url, token, new_trace(), new_span())):
        for method, path in (("POST", "/a2a"), ("POST", "/a2a"), ("GET", "/mcp?x=1"), ("DELETE", "/mcp")):
            await client.request(method, f"{url}{path}")
        async with client.stream("POST", f"{url}/a2a", json={}, headers={"accept": "text/event-stream"}) as stream:
            await stream.aread()
    spent = set()
    methods = ("POST", "POST", "GET", "DELETE", "POST")
    for method, path, seen in zip(methods, app.paths, app.seen, strict=True):
        assert seen["authorization"] == "DPoP a.b.c"
        proof = check_proof(seen["dpop"], method, f"{url}{path}", system_clock(), token=token)
        assert proof.thumbprint == key.thumbprint()
        spent.add(proof.jti)
    assert len(spent) == len(app.seen)


async def test_nothing_is_sent_without_an_open_hop(client: Any, callee: Any) -> None:
    app, url = callee
    with pytest.raises(AccessDenied, match="no hop is open"):
        await client.get(url)
    assert app.seen == []


async def test_a_hop_is_closed_when_its_block_ends(client: Any, callee: Any) -> None:
    _, url = callee
    with opened(hop_to(url)):
        await client.get(url)
    with pytest.raises(AccessDenied):
        await client.get(url)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:1/",
        "https://{place}/",
        "http://localhost:{port}/",
        "http://127.0.0.2:{port}/",
        "http://{place}@127.0.0.1:1/",
        "http://user@{place}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://{place}.evil.example/",
    ],
)
async def test_a_token_never_leaves_for_another_origin(client: Any, callee: Any, elsewhere: Any) -> None:
    app, url = callee
    place = url.removeprefix("http://")
    target = elsewhere.format(place=place, port=place.partition(":")[2])
    with opened(hop_to(url)), pytest.raises((AccessDenied, httpx.InvalidURL, httpx2.InvalidURL)):
        await client.get(target)
    assert app.seen == []


async def test_a_host_header_cannot_point_the_token_to_another_virtual_host(client: Any, callee: Any) -> None:
    app, url = callee
    with opened(hop_to(url)), pytest.raises(AccessDenied):
        await client.get(url, headers={"host": "evil.example"})
    assert app.seen == []


@pytest.mark.parametrize("path", ["/", "/mcp2", "/mc", "/other/mcp"])
async def test_an_audience_with_a_path_is_reached_below_that_path_only(client: Any, callee: Any, path: Any) -> None:
    _, url = callee
    with opened(hop_to(f"{url}/mcp")):
        await client.get(f"{url}/mcp")
        await client.get(f"{url}/mcp/x")
        with pytest.raises(AccessDenied):
            await client.get(f"{url}{path}")


async def test_no_redirect_takes_the_token_along(client: Any, callee: Any) -> None:
    app, url = callee
    app.status, app.headers = 307, {"location": "http://127.0.0.1:1/"}
    with opened(hop_to(url)):
        assert (await client.get(url)).status_code == 307
    assert len(app.seen) == 1


async def test_what_a_caller_adds_of_its_own_is_taken_off(client: Any, callee: Any) -> None:
    app, url = callee
    own = {
        "authorization": "Bearer of-the-caller",
        "cookie": "session=alice",
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        "tracestate": "vendor=alice",
        "baggage": "user=alice",
        "proxy-authorization": "Basic YWxpY2U6",
        "client-cert": ":AAAA:",
    }
    with opened(hop_to(url)):
        await client.get(url, headers=own)
    sent = app.seen[0]
    assert sent["authorization"] == "Bearer canary-token"
    assert not {"cookie", "tracestate", "baggage", "proxy-authorization", "client-cert"} & sent.keys()
    assert "1" * 32 not in sent["traceparent"]


async def test_no_cookie_of_one_call_travels_with_the_next(client: Any, callee: Any) -> None:
    app, url = callee
    app.headers = {"set-cookie": "session=alice; Path=/"}
    for _ in range(2):
        with opened(hop_to(url)):
            await client.get(url)
    assert all("cookie" not in seen for seen in app.seen)


async def test_two_hundred_calls_at_once_never_swap_tokens(client: Any, callee: Any) -> None:
    app, url = callee
    arrived = asyncio.Event()

    async def interleave(scope: Any) -> None:
        if len(app.seen) >= 20:
            arrived.set()
        await arrived.wait()

    app.answer = interleave

    async def call(user: Any) -> None:
        with opened(hop_to(url, f"token-of-{user}")):
            await client.get(url, headers={"x-user": user})

    users = [secrets.token_hex(4) for _ in range(200)]
    await asyncio.gather(*(call(user) for user in users))
    assert {(seen["x-user"], seen["authorization"]) for seen in app.seen} == {
        (user, f"Bearer token-of-{user}") for user in users
    }


async def test_hops_nest(client: Any, callee: Any) -> None:
    app, url = callee
    with opened(hop_to(url, "outer")):
        with opened(hop_to(url, "inner")):
            await client.get(url)
        await client.get(url)
    assert [seen["authorization"] for seen in app.seen] == ["Bearer inner", "Bearer outer"]


async def test_a_proxy_of_the_environment_never_sees_a_token(monkeypatch: Any, callee: Any) -> None:
    app, url = callee
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for make in (a2a_client, mcp_client):
        async with make() as client:
            with opened(hop_to(url)):
                await client.get(url)
    assert len(app.seen) == 2


async def test_a_transport_that_fails_is_an_answer_and_not_the_end_of_the_client() -> None:
    async with mcp_client() as client:
        with opened(hop_to("http://127.0.0.1:1")) as hop:
            response = await client.post("http://127.0.0.1:1/mcp", json={})
    assert (response.status_code, hop.status) == (503, 503)
    error = response.json()["error"]
    assert error["message"] == "127.0.0.1:1 cannot be reached."
    assert response.json()["id"] is None


async def test_a_body_that_breaks_off_fails_one_call_and_not_the_client(serve: Any) -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    async with serve(breaks) as url, mcp_client() as client:
        with opened(hop_to(url)):
            async with client.stream("POST", url, json={}) as response:
                with pytest.raises(httpx2.StreamError):
                    await response.aread()


@pytest.mark.parametrize("audience", ["", "broker", "ftp://a", "http://user@a"])
def test_an_audience_that_is_no_origin_opens_no_hop(audience: Any) -> None:
    with pytest.raises(InvalidRequest):
        hop_to(audience)


def test_marks_are_well_formed_and_never_zero() -> None:
    assert all(len(new_span()) == 16 and int(new_span(), 16) for _ in range(100))
    assert all(len(new_trace()) == 32 and int(new_trace(), 16) for _ in range(100))


def test_the_token_does_not_show_in_the_repr_of_a_hop() -> None:
    assert "canary-token" not in repr(hop_to("https://a.example"))
