"""What comes in is bounded and well-formed; no exception's text goes out."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stead.identity.errors import AccessDenied, ConfigurationError
from stead.identity.guard import EdgeGuard
from stead.identity.replies import Protocol
from stead.identity.types import ASGIApp, Message, Receive, Scope, Send

SECRET = "postgres://user:hunter2@db /srv/app.py"
CALL = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {}}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    body = await request.body()
    parsed = scope["state"]["stead.json"]
    assert parsed is None or json.loads(body) == parsed
    await JSONResponse({"body": body.decode(), "parsed": parsed is not None}, headers={"server": "x"})(
        scope, receive, send
    )


def client(app: ASGIApp, protocol: Protocol = "http", **limits: int) -> httpx.AsyncClient:
    guarded = EdgeGuard(app, protocol=protocol, **limits)
    return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://here")


async def test_a_good_body_arrives_unchanged_and_parsed() -> None:
    answer = await client(echo, "jsonrpc").post("/", json=CALL)
    assert answer.json() == {"body": json.dumps(CALL, separators=(",", ":")), "parsed": True}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("protocol", ["http", "jsonrpc", "form"])
async def test_a_request_without_a_body_passes(method: str, protocol: Protocol) -> None:
    assert (await client(echo, protocol).request(method, "/")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_body_where_none_belongs_is_refused(method: str) -> None:
    assert (await client(echo).request(method, "/", content=b"{}")).status_code == 400


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"", 400, -32700),
        (b"\xff", 400, -32700),
        (b"[" * 100_000, 400, -32700),
        (b'{"a":' * 40_000, 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"x"}', 400, -32700),
        (b"[]", 400, -32600),
        (json.dumps([CALL]).encode(), 400, -32600),
        (b"{}", 400, -32600),
        (b'{"jsonrpc":"1.0","method":"x"}', 400, -32600),
        (b'{"jsonrpc":2.0,"method":"x"}', 400, -32600),
        (b'{"jsonrpc":"2.0","method":1}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"x"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', 400, -32600),
        (b'{"jsonrpc":"2.0","method":"x","params":"y"}', 400, -32600),
        (b"x" * 1_000_000, 413, -32600),
    ],
)
async def test_a_bad_json_rpc_body_is_refused_in_its_own_form(raw: bytes, status: int, code: int) -> None:
    answer = await client(echo, "jsonrpc").post("/", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == status
    body = answer.json()
    assert (body["jsonrpc"], body["id"], body["error"]["code"]) == ("2.0", None, code)
    assert body["error"]["message"].endswith(".")
    assert body["error"]["data"][0]["reason"] == "INVALID_REQUEST"


@pytest.mark.parametrize("protocol", ["http", "form"])
async def test_a_bad_body_is_refused_in_plain_form(protocol: Protocol) -> None:
    answer = await client(echo, protocol).post("/", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonx"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_another_content_type_is_refused(headers: dict[str, str]) -> None:
    for protocol in ("http", "jsonrpc"):
        answer = await client(echo, protocol).post("/", content=b'{"a": 1}', headers=headers)
        assert answer.status_code == 415


async def test_two_content_types_are_refused() -> None:
    headers = [("content-type", "application/json"), ("content-type", "text/plain")]
    assert (await client(echo).post("/", content=b"{}", headers=headers)).status_code == 400


async def test_forms_are_admitted_only_where_forms_are_spoken() -> None:
    assert (await client(echo, "form").post("/", data={"a": "1"})).json() == {"body": "a=1", "parsed": False}
    assert (await client(echo, "form").post("/", json={"a": 1})).json()["parsed"] is True
    assert (await client(echo, "http").post("/", data={"a": "1"})).status_code == 415


async def test_the_protocol_may_depend_on_the_request() -> None:
    guarded = EdgeGuard(echo, protocol=lambda scope: "jsonrpc" if scope["path"] == "/a2a" else "form")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://here") as http:
        assert (await http.post("/a2a", json={})).json()["error"]["code"] == -32600
        assert (await http.post("/page", data={"a": "1"})).status_code == 200


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    at_limit = b'{"a":"' + b"x" * 92 + b'"}'
    assert len(at_limit) == 100
    headers = {"content-type": "application/json"}
    async with client(echo, max_body=100) as http:
        assert (await http.post("/", content=at_limit, headers=headers)).status_code == 200
        assert (await http.post("/", content=at_limit + b" ", headers=headers)).status_code == 413


@pytest.mark.parametrize("digits", [20, 4_301, 60_000])
async def test_a_length_that_is_no_number_there_is_is_too_much(digits: int) -> None:
    headers = {"content-type": "application/json", "content-length": "9" * digits}
    async with client(echo) as http:
        assert (await http.post("/", content=b"{}", headers=headers)).status_code == 413


async def test_a_body_of_unstated_length_is_bounded_as_it_comes() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 65_536

    guarded = EdgeGuard(echo)
    produced = endless()

    async def receive() -> Message:
        return {"type": "http.request", "body": await anext(produced), "more_body": True}

    started = await _call(guarded, receive)
    assert started["status"] == 413
    assert sent <= 6


async def _call(app: ASGIApp, receive: Receive, method: str = "POST") -> Message:
    out: list[Message] = []

    async def send(message: Message) -> None:
        out.append(message)

    headers = [(b"content-type", b"application/json")]
    await app({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": headers}, receive, send)
    return out[0] if out else {}


async def test_a_client_that_hangs_up_is_not_answered() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    assert await _call(EdgeGuard(echo), receive) == {}


async def test_the_app_still_learns_that_the_client_hung_up() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
    incoming = iter(messages)
    heard: list[str] = []

    async def receive() -> Message:
        return next(incoming)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    await _call(EdgeGuard(app), receive)
    assert heard == ["http.request", "http.disconnect"]


async def test_websockets_are_refused() -> None:
    out: list[Message] = []

    async def send(message: Message) -> None:
        out.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await EdgeGuard(echo)({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert out == [{"type": "websocket.close", "code": 1008}]


# --- what goes out -------------------------------------------------------------------------------------------------


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(SECRET)


def framework(handler: Any) -> Starlette:
    return Starlette(routes=[Route("/", handler, methods=["GET", "POST"])])


async def broken_handler(_: Request) -> Response:
    raise RuntimeError(SECRET)


async def plain_handler(_: Request) -> Response:
    return PlainTextResponse(SECRET, status_code=500)


@pytest.mark.parametrize("app", [broken, framework(broken_handler), framework(plain_handler)])
async def test_an_exception_becomes_an_error_without_text(app: ASGIApp, caplog: Any) -> None:
    with caplog.at_level(logging.ERROR, "stead"):
        answer = await client(app, "jsonrpc").post("/", json=CALL)
    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["id"]) == (500, 7)
    assert (error["code"], error["message"]) == (-32603, "Internal error")
    assert "hunter2" not in answer.text
    number = error["data"][0]["hint"].rpartition(" ")[2].rstrip(".")
    assert number in caplog.text
    assert (await client(app).post("/", json={})).json()["error"] == "server_error"


async def test_an_error_of_ours_is_told_with_its_sentence() -> None:
    async def refusing(_: Request) -> Response:
        raise AccessDenied("This is not yours.", hint="Ask its owner.", debug=SECRET)

    for app in (framework(refusing), refusing_app):
        answer = await client(app).post("/", json={})
        assert answer.status_code == 403
        told = {"error": "access_denied", "error_description": "This is not yours.", "hint": "Ask its owner."}
        assert answer.json() == told


async def refusing_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AccessDenied("This is not yours.", hint="Ask its owner.")


async def test_a_configuration_error_is_for_the_operator_only() -> None:
    async def misconfigured(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConfigurationError(SECRET)

    answer = await client(misconfigured).post("/", json={})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text


def rpc_error(code: int = -32603) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "error": {"code": code, "message": SECRET, "data": [{"trace": SECRET}]}}


async def test_the_text_of_an_internal_error_is_taken_out() -> None:
    async def handler(_: Request) -> Response:
        return JSONResponse(rpc_error())

    answer = await client(framework(handler), "jsonrpc").post("/", json=CALL)
    assert "hunter2" not in answer.text
    assert (answer.json()["id"], answer.json()["error"]["message"]) == (7, "Internal error")
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_other_errors_and_results_pass_byte_for_byte() -> None:
    result = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"text": "code -32603", "code": -32603}}, indent=1)
    for text in (json.dumps(rpc_error(-32602)), result, '{"half": -32603', "[-32603]"):

        async def handler(_: Request, text: str = text) -> Response:
            return Response(text, media_type="application/json")

        answer = await client(framework(handler), "jsonrpc").post("/", json=CALL)
        assert answer.text == text


async def test_a_long_json_reply_is_not_held_back() -> None:
    pieces = [b'{"a": "' + b"x" * 70_000, b"y" * 10, b'"}']
    out: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": pieces[0], "more_body": True})
        assert len(out) == 2
        await send({"type": "http.response.body", "body": pieces[1], "more_body": True})
        await send({"type": "http.response.body", "body": pieces[2]})

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(CALL).encode()}

    async def send(message: Message) -> None:
        out.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    await EdgeGuard(app, protocol="jsonrpc")(scope, receive, send)
    assert b"".join(message["body"] for message in out[1:]) == b"".join(pieces)


async def test_internal_errors_are_taken_out_of_event_streams() -> None:
    async def events() -> AsyncIterator[str]:
        yield f"data: {json.dumps({'result': 1})}\r\n\r\n"
        yield f"event: error\r\ndata: {json.dumps(rpc_error())}\r\n\r\n"

    async def handler(_: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    answer = await client(framework(handler), "jsonrpc").post("/", json=CALL)
    first, second = answer.text.split("\r\n\r\n")[:2]
    assert first == 'data: {"result": 1}'
    assert "hunter2" not in answer.text
    assert second.startswith("event: error\r\ndata: {")
    assert json.loads(second.rpartition("data: ")[2])["error"]["message"] == "Internal error"


# --- on a real socket ----------------------------------------------------------------------------------------------


class Streaming:
    """Sends one event, and the next only when told to; notes when its client is gone."""

    def __init__(self) -> None:
        self.go_on, self.gone, self.lived = asyncio.Event(), asyncio.Event(), [""]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                self.lived.append((await receive())["type"])
                await send({"type": f"lifespan.{word}.complete"})
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        going, gone = (asyncio.ensure_future(each) for each in (self.go_on.wait(), receive()))
        await asyncio.wait({going, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.gone.set()
            going.cancel()
            return
        gone.cancel()
        await send({"type": "http.response.body", "body": b"data: 2\n\n"})


async def test_events_arrive_as_they_are_sent_and_the_lifespan_passes(serve: Any) -> None:
    app = Streaming()
    origin = await serve(EdgeGuard(app, protocol="jsonrpc"))
    assert app.lived[1:] == ["lifespan.startup"]
    async with httpx.AsyncClient() as http, http.stream("POST", origin, json=CALL) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: 1"
        app.go_on.set()
        assert [line async for line in lines if line] == ["data: 2"]


async def test_a_stream_ends_when_its_client_leaves(serve: Any) -> None:
    app = Streaming()
    origin = await serve(EdgeGuard(app, protocol="jsonrpc"))
    async with httpx.AsyncClient() as http, http.stream("GET", origin) as answer:
        assert await anext(answer.aiter_lines()) == "data: 1"
    await asyncio.wait_for(app.gone.wait(), 5)


async def test_a_reply_that_breaks_off_is_not_mistaken_for_a_whole_one(serve: Any) -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError(SECRET)

    origin = await serve(EdgeGuard(_without_lifespan(breaking)))
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(origin)


def _without_lifespan(app: ASGIApp) -> ASGIApp:
    async def only_http(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await app(scope, receive, send)

    return only_http


async def test_a_megabyte_is_refused_on_the_wire_and_the_server_lives_on(serve: Any) -> None:
    origin = await serve(EdgeGuard(_without_lifespan(echo), protocol="jsonrpc"))
    async with httpx.AsyncClient() as http:
        headers = {"content-type": "application/json"}
        assert (await http.post(origin, content=b"[" * 1_000_000, headers=headers)).status_code == 413
        assert (await http.post(origin, content=b"[" * 200_000, headers=headers)).status_code == 400
        assert (await http.post(origin, json=CALL)).status_code == 200
