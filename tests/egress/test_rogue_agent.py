"""Callees that answer with the token in a refusal, with what is no answer at all, or to what nobody asked."""

import asyncio
import json
from typing import Any

import pytest

from stead.agents.kit.ask import Consent
from stead.agents.kit.mcp_client import McpClient
from stead.broker.executor import tools
from stead.broker.executor.agents import Agents
from stead.broker.executor.errands import Errand
from stead.broker.executor.replies import Reply
from stead.broker.plans import Step, StepIdentity
from stead.broker.registry import servers
from stead.broker.registry.entries import Entry
from stead.identity.errors import ProviderUnavailable
from stead.identity.types import Receive, Scope, Send
from stead.identity.values import AccessToken, Grant
from stead.identity.workload import Workload
from tests.egress.conftest import read_body, reply
from tests.egress.test_echo import once

CANARY = "canary-in-an-answer"


class Rogue:
    """Answers every call with `status` and what `text` says, in which `{}` is the token that the call carried."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        self.seen.append(dict(scope["headers"])[b"authorization"].decode().partition(" ")[2])
        await reply(send, self.status, self.text.replace("{}", self.seen[-1]).encode())


def errand_to(url: str) -> Errand:
    identity = StepIdentity(grant=Grant.S2S, audience=url, scopes=("x",))
    return Errand("t-1", "o", None, Step(id="s1", skill="rogue.say", agent="rogue", why="", identity=identity))


async def called(workload: Workload, places: Any, rogue: Rogue) -> Reply:
    places[0].app, url = rogue, places[0].url
    agents = Agents(workload, None, f"{workload.url}/push")  # type: ignore[arg-type]  # no person, no subject
    entry = Entry(name="rogue", kind="agent", url=url, endpoint=f"{url}/a2a")
    return await agents.call(errand_to(url), entry, {})


def refusal(code: int, message: str, **more: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, **more}})


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, refusal(-32002, "No: {}", data=[{"reason": "ACCESS_DENIED"}])),
        (403, refusal(-32002, "No.", data=[{"reason": "ACCESS_DENIED", "hint": "Ask {}."}])),
        (401, refusal(-32001, "Not with {}.", data=[{"reason": "{}"}])),
        (200, refusal(-32602, "I do not take {}.")),
        (200, refusal(-32600, "{}")),
    ],
)
async def test_an_agents_refusal_that_holds_the_token_is_not_passed_on(
    workload: Workload, issuer: Any, places: Any, caplog: pytest.LogCaptureFixture, status: int, text: str
) -> None:
    rogue = Rogue(status, text)
    answer = await called(workload, places, rogue)
    assert (answer.state, answer.fault and answer.fault.code) == ("failed", "invalid_answer")
    assert rogue.seen[0].rpartition(".")[2] not in f"{answer.model_dump_json()} {caplog.text}"


async def test_an_agents_refusal_in_plain_words_is_told(workload: Workload, issuer: Any, places: Any) -> None:
    answer = await called(workload, places, Rogue(403, refusal(-32002, "No.", data=[{"reason": "ACCESS_DENIED"}])))
    assert (answer.state, answer.text) == ("refused", "No.")


TASK = '{"jsonrpc": "2.0", "id": 1, "result": {"task": {"id": "1", "contextId": "c", "status": {"state": %s}}}}'


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"jsonrpc": "2.0", "id": 1, "result": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
        '{"jsonrpc": "2.0", "id": 1, "result": ' + "9" * 5_000 + "}",
        '{"jsonrpc": "2.0", "id": 1, "result": null}',
        '{"jsonrpc": "2.0", "id": 1, "result": [1]}',
        TASK % f'"{CANARY}"',
        TASK % "[]",
        TASK % "NaN",
        TASK.replace('"1"', f'{{"{CANARY}": 1}}') % "1",
        TASK.replace('"c"', '"\\ud800"') % "1",
    ],
    ids=["list", "deep", "number", "null", "array", "word", "no-word", "nan", "object", "surrogate"],
)
async def test_what_is_no_answer_is_told_as_one_and_quoted_nowhere(
    workload: Workload, issuer: Any, places: Any, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    answer = await called(workload, places, Rogue(200, text))
    assert answer.state == "failed"
    assert CANARY not in f"{answer.model_dump_json()} {caplog.text}"


class Tool(Rogue):
    """An MCP server of the older kind, whose `{id}` is the one that was asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = json.loads(await read_body(receive))
        self.seen.append(dict(scope["headers"])[b"authorization"].decode().partition(" ")[2])
        is_older = said.get("method") == "server/discover"
        text = refusal(-32601, "Not known.").replace('"id": 1', '"id": {id}') if is_older else self.text
        whole = text.replace("{}", self.seen[-1]).replace("{id}", json.dumps(said.get("id")))
        await reply(send, self.status, whole.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc": "2.0", "id": 99999, "result": {"tools": []}}',
        '{"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {"messages": []}}',
    ],
    ids=["another id", "a question"],
)
async def test_a_server_that_answers_what_nobody_asked_holds_nobody_up(
    workload: Workload, issuer: Any, places: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    places[0].app, url = Tool(200, text), places[0].url
    monkeypatch.setattr(tools, "SECONDS", 0.2)
    monkeypatch.setattr(servers, "SECONDS", 0.2)
    entry = Entry(name="rogue", kind="mcp", url=url, endpoint=f"{url}/mcp")
    async with asyncio.timeout(10):
        answer = await tools.Tools(workload, None, None).call(errand_to(url), entry, {})  # type: ignore[arg-type]
        assert answer.state == "failed"
        with pytest.raises(Exception):  # noqa: B017, PT011  (the registry takes any: what answers cannot be read)
            await servers._list_tools(entry, workload)


def client_of(workload: Workload, url: str) -> McpClient:
    async def revealed(_: Consent) -> AccessToken:
        return AccessToken("x")

    return McpClient(workload, "rogue", url, ("x",), Grant.S2S, once, revealed)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_an_amount_that_is_no_number_is_no_result(
    workload: Workload, issuer: Any, places: Any, number: str
) -> None:
    result = f'{{"resultType": "complete", "content": [], "structuredContent": {{"rows": [{{"amount": {number}}}]}}}}'
    places[0].app = Tool(200, f'{{"jsonrpc": "2.0", "id": {{id}}, "result": {result}}}')
    with pytest.raises(ProviderUnavailable):
        await client_of(workload, places[0].url).call("say")


@pytest.mark.parametrize("text", ['{"id": "{}"', '["{}"]', "{}", '{"jsonrpc": "{}"}'])
async def test_an_answer_that_the_sdk_cannot_read_is_quoted_in_no_log(
    workload: Workload, issuer: Any, places: Any, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    places[0].app = rogue = Tool(200, text)
    with pytest.raises(ProviderUnavailable):
        await client_of(workload, places[0].url).call("say")
    assert "Traceback" not in caplog.text
    assert rogue.seen[0][:16] not in caplog.text
    assert rogue.seen[0][-16:] not in caplog.text
