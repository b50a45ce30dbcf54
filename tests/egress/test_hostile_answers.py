"""Who is called may answer with anything: no answer fills the memory of who called."""

import gzip
from typing import Any

import httpx
import httpx2
import pytest

from stead.identity.bounded_answers import MAX_ANSWER
from stead.identity.driver import bare_client, drive
from stead.identity.egress import OpenHop, a2a_client, mcp_client, new_span, new_trace, opened
from stead.identity.errors import ProviderUnavailable
from stead.identity.types import Flow, Request, Response
from stead.identity.values import AccessToken
from tests.egress.conftest import reply

CUT_OFF = (httpx.ReadError, httpx2.StreamError)
PART = 65_536


@pytest.fixture(params=[a2a_client, mcp_client], ids=["httpx", "httpx2"])
async def client(request: Any) -> Any:
    async with request.param() as built:
        yield built


class Endless:
    """Sends one part again and again."""

    def __init__(self, kind: str, part: bytes, times: int) -> None:
        self.kind, self.part, self.times, self.sent = kind, part, times, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", self.kind.encode())]}
        await send(head)
        for _ in range(self.times):
            await send({"type": "http.response.body", "body": self.part, "more_body": True})
            self.sent += len(self.part)
        await send({"type": "http.response.body", "body": b""})


def hop_to(url: str) -> OpenHop:
    return OpenHop(url, AccessToken("canary-token"), new_trace(), new_span())


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("application/json", b" " * PART),
        ("application/json", b"\n\n" * (PART // 2)),
        ("text/event-stream", b"x" * PART),
        ("text/event-stream", b"data: x\n" * (PART // 8)),
        ("text/event-stream", b"data: x\r\n" * (PART // 9)),
    ],
    ids=["document", "document-of-lines", "event-without-line", "event-of-lines", "event-of-crlf-lines"],
)
async def test_an_answer_without_end_is_cut_off(client: Any, serve: Any, kind: str, part: bytes) -> None:
    app = Endless(kind, part, MAX_ANSWER // PART + 8)
    async with serve(app) as url:
        with opened(hop_to(url)), pytest.raises(CUT_OFF):
            await client.post(url, json={})


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"], ids=["lf", "crlf", "cr"])
async def test_a_stream_of_events_may_go_on_for_ever(client: Any, serve: Any, end: bytes) -> None:
    event = b"data: " + b"x" * (PART - 7) + end
    app = Endless("text/event-stream; charset=utf-8", event, MAX_ANSWER // PART + 8)
    async with serve(app) as url:
        with opened(hop_to(url)):
            response = await client.post(url, json={})
    assert len(response.content) == app.sent > MAX_ANSWER


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
async def test_a_bomb_is_not_unpacked(client: Any, callee: Any, encoding: str) -> None:
    app, url = callee
    app.headers = {"content-encoding": encoding}
    with opened(hop_to(url)):
        try:
            status = (await client.post(url, json={})).status_code
        except httpx.RemoteProtocolError:
            status = 503
    assert status == 503
    assert app.seen[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_what_is_not_encoded_may_say_so(client: Any, callee: Any, encoding: str) -> None:
    app, url = callee
    app.headers = {"content-encoding": encoding}
    with opened(hop_to(url)):
        assert (await client.post(url, json={})).json() == {"ok": True}


async def test_a_providers_bomb_is_not_unpacked_either(serve: Any) -> None:
    packed = gzip.compress(b" " * 50_000_000)

    async def bomb(scope: Any, receive: Any, send: Any) -> None:
        assert (b"accept-encoding", b"identity") in scope["headers"]
        await reply(send, 200, packed, {"content-encoding": "gzip"})

    def asking(url: str) -> Flow[Response]:
        response = yield Request("GET", url)
        return response

    async with serve(bomb) as url, bare_client() as bare:
        with pytest.raises(ProviderUnavailable, match="encoded"):
            await drive(asking(url), bare)
