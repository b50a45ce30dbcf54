"""A callee that gives the token back, by carelessness or to have it shown, stored or read by a model."""

import json
from typing import Any

import pytest

from stead.agents.kit.ask import Consent
from stead.agents.kit.mcp_client import McpClient
from stead.broker.executor.replies import Fault, Reply, passed_on
from stead.identity.egress import OpenHop, new_span, new_trace
from stead.identity.errors import ProviderUnavailable
from stead.identity.types import Receive, Scope, Send
from stead.identity.values import AccessToken, Grant, acting_for
from stead.identity.workload import Workload
from tests.egress.conftest import read_body, reply


class Echo:
    """An MCP server that answers every call with the header it came with, in one of the places where that fits."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = dict(scope["headers"])[b"authorization"].decode().partition(" ")[2]
        self.seen.append(said)
        document = json.loads(await read_body(receive))
        await reply(send, 200, {"jsonrpc": "2.0", "id": document["id"], **self._answer(said)})

    def _answer(self, said: str) -> dict[str, Any]:
        text = [{"type": "text", "text": f"I was called with {said}" if self.place in ("text", "error text") else "ok"}]
        if self.place == "error":
            return {"error": {"code": -32002, "message": f"No: {said}", "data": [{"reason": "ACCESS_DENIED"}]}}
        if self.place == "hint":
            return {"error": {"code": -32002, "message": "No", "data": [{"reason": "ACCESS_DENIED", "hint": said}]}}
        structured: Any = {"deep": [{"header": said}]} if self.place == "result" else {"ok": True}
        kind = {} if self.place == "nonsense" else {"resultType": "complete"}
        structured = said if self.place == "nonsense" else structured
        return {
            "result": {**kind, "content": text, "structuredContent": structured, "isError": self.place == "error text"}
        }


async def once(_: str, work: Any) -> Any:
    return await work()


async def revealed(_: Consent) -> AccessToken:
    return AccessToken("x")


@pytest.mark.parametrize("place", ["text", "error text", "result", "error", "hint"])
async def test_a_tool_that_gives_the_token_back_has_its_answer_kept_from_everybody(
    workload: Workload, issuer: Any, places: Any, place: str
) -> None:
    echo = Echo(place)
    places[0].app = echo
    client = McpClient(workload, "echo", places[0].url, ("x",), Grant.OBO, once, revealed)
    with acting_for(issuer.principal(), None), pytest.raises(ProviderUnavailable) as refused:
        await client.call("say")
    assert echo.seen[0].startswith("ey")
    told = f"{refused.value} {refused.value.as_json()} {refused.value.details}"
    assert "not passed on" in told
    assert echo.seen[0] not in told


async def test_an_answer_that_is_none_is_quoted_nowhere(
    workload: Workload, issuer: Any, places: Any, caplog: pytest.LogCaptureFixture
) -> None:
    places[0].app = echo = Echo("nonsense")
    client = McpClient(workload, "echo", places[0].url, ("x",), Grant.OBO, once, revealed)
    with acting_for(issuer.principal(), None), pytest.raises(ProviderUnavailable) as refused:
        await client.call("say")
    assert echo.seen[0] not in f"{caplog.text} {refused.value} {refused.value.__cause__} {refused.value.debug}"


async def test_a_tool_that_does_not_is_answered_with(workload: Workload, issuer: Any, places: Any) -> None:
    places[0].app = Echo("nowhere")
    client = McpClient(workload, "echo", places[0].url, ("x",), Grant.OBO, once, revealed)
    with acting_for(issuer.principal(), None):
        assert await client.call("say") == {"ok": True}


def hop(token: str) -> OpenHop:
    return OpenHop("http://127.0.0.1:1", AccessToken(token), new_trace(), new_span())


@pytest.mark.parametrize(
    "answer",
    [
        Reply(state="completed", text="your token is {}"),
        Reply(state="completed", output={"deep": ["{}"]}),
        Reply(state="failed", fault=Fault(code="x", description="{}")),
        Reply(state="parked", child="c", challenges=({"link": "http://a/{}"},)),
    ],
)
@pytest.mark.parametrize("token", ["a.b." + "c" * 86, "opaque-token"])
def test_an_agents_reply_that_holds_the_token_is_not_passed_on(answer: Reply, token: str) -> None:
    echoed = Reply.model_validate_json(answer.model_dump_json().replace("{}", token))
    assert passed_on(answer, hop(token)) == answer
    refused = passed_on(echoed, hop(token))
    assert (refused.state, refused.fault and refused.fault.code) == ("failed", "invalid_answer")
    assert token not in refused.model_dump_json()


def test_the_signature_alone_is_enough_to_be_found() -> None:
    assert hop("a.b." + "c" * 86).is_echoed_in(f"…{'c' * 86}…")
    assert not hop("a.b." + "c" * 86).is_echoed_in("a.b.")
    assert not hop("a.b.c").is_echoed_in("c")
