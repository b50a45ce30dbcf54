"""The wire: both eras, lying headers, malformed bodies, and answers in the protocol's own form."""

import json
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from stead.identity.replies import REFUSED
from stead.mcp_servers.finport import MCP_SERVERS
from tests.mcp_servers.world import LEGACY, MODERN, Peer, World, message, nested, reason, structured

CALL = {"name": "list_holdings", "arguments": {}}


@pytest.fixture
async def holdings(world: World) -> Peer:
    return await world.start("holdings-mcp", MCP_SERVERS["holdings"])


@pytest.fixture
async def quotes(world: World) -> Peer:
    return await world.start("quotes-mcp", MCP_SERVERS["quotes"])


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
async def test_the_sdks_own_client_lists_and_calls_in_each_mode(world: World, holdings: Peer, mode: Any) -> None:
    token = world.person(holdings, "bob", "holdings:read")
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=20) as http,
        Client(streamable_http_client(f"{holdings.url}/mcp", http_client=http), mode=mode) as client,
    ):
        (tool,) = (await client.list_tools()).tools
        result = await client.call_tool("list_holdings", {"symbols": ["ASML"]})
    assert tool.name == "list_holdings"
    assert tool.input_schema["additionalProperties"] is False
    assert list(tool.input_schema["properties"]) == ["symbols"]
    assert tool.output_schema is not None
    assert set(tool.output_schema["properties"]) == {"positions", "as_of", "source"}
    assert result.structured_content is not None
    assert [position["symbol"] for position in result.structured_content["positions"]] == ["ASML"]


async def test_a_registry_sees_the_tools_but_cannot_call_them(world: World, holdings: Peer) -> None:
    token = world.service(holdings, "broker", "tools:list")
    tools = (await holdings.rpc("tools/list", token=token)).json()["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["list_holdings"]
    assert (await holdings.call("list_holdings", token=token)).status_code == 403


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_the_list_of_tools_shows_only_what_the_caller_may_call(world: World, quotes: Peer, era: str) -> None:
    entitled = world.service(quotes, "market-data-agent", "quotes:read")
    listed = (await quotes.rpc("tools/list", token=entitled, era=era)).json()["result"]["tools"]
    assert {tool["name"] for tool in listed} == {"get_quotes", "get_history"}
    person = world.person(quotes, "alice", "quotes:read tools:list")
    assert reason(await quotes.rpc("tools/list", token=person, era=era)) == "insufficient_scope"


async def test_the_list_of_tools_needs_a_token(quotes: Peer) -> None:
    assert (await quotes.rpc("tools/list")).status_code == 401


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_a_lying_tool_name_header_does_not_change_what_is_authorized(
    world: World, quotes: Peer, era: str
) -> None:
    token = world.person(quotes, "alice", "quotes:read")
    headers = {"mcp-name": "initialize", "mcp-method": "tools/list"}
    response = await quotes.call("get_quotes", {"symbols": ["AAPL"]}, token=token, era=era, headers=headers)
    assert response.status_code in {400, 403}
    assert "result" not in response.json()


async def test_a_lying_tool_name_header_in_the_legacy_era_runs_only_what_the_body_says(
    world: World, quotes: Peer
) -> None:
    token = world.service(quotes, "market-data-agent", "quotes:read")
    arguments = {"symbols": ["AAPL"], "days": 2}
    response = await quotes.call("get_history", arguments, token=token, era=LEGACY, headers={"mcp-name": "get_quotes"})
    assert "series" in structured(response)
    (event,) = [event for event in await quotes.journaled() if event["kind"] == "ingress"]
    assert event["resource"] == "quotes.get_history"


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_an_unknown_method_is_an_error_of_the_protocol(world: World, holdings: Peer, era: str) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.rpc("tools/steal", token=token, era=era)
    assert response.json()["error"]["code"] == -32601
    assert response.json()["id"] == 7


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_an_unknown_tool_is_an_error_of_the_protocol(world: World, holdings: Peer, era: str) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.call("list_everything", token=token, era=era)
    assert response.json()["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("params", "era"),
    [
        (value, era)
        for value in ({"name": 7}, {"name": ["list_holdings"]}, {}, {"name": "list_holdings", "arguments": []})
        for era in (MODERN, LEGACY)
    ],
)
async def test_malformed_parameters_are_an_error_of_the_protocol(
    world: World, holdings: Peer, params: dict[str, Any], era: str
) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.rpc("tools/call", params, token=token, era=era)
    assert response.json()["error"]["code"] in {-32602, -32020}


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"{", -32700, 400),
        (b"\xff\xfe", -32700, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}', None, 400),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, 400),
        (nested(100_000), None, 400),
        (message("tools/call", {**CALL, "arguments": {"symbols": ["A" * 1_000_000]}}), None, 413),
    ],
    ids=["malformed", "not utf-8", "repeated key", "batch", "100,000 brackets", "1 MB"],
)
async def test_a_bad_body_is_refused_in_the_protocols_own_form(
    world: World, holdings: Peer, body: bytes, code: int | None, status: int
) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.raw(body, token=token)
    assert response.status_code == status
    error = response.json()["error"]
    assert code is None or error["code"] == code
    assert response.json()["jsonrpc"] == "2.0"
    assert "Traceback" not in response.text
    assert structured(await holdings.call("list_holdings", token=token))["positions"]


async def test_another_content_type_is_refused(world: World, holdings: Peer) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.raw(message("tools/call", CALL), token=token, **{"content-type": "text/plain"})
    assert response.status_code == 415
    assert json.loads(response.text)["error"]


@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
async def test_a_foreign_host_or_origin_is_refused(world: World, holdings: Peer, header: dict[str, str]) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.raw(message("tools/call", CALL), token=token, **header)
    assert response.status_code in {403, 421}
    assert "positions" not in response.text


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_there_are_no_sessions_and_no_streams_to_hang_on(world: World, holdings: Peer, method: str) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.client.request(method, "/mcp", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 405


async def test_the_token_is_nowhere_in_the_sdks_reach_or_the_journal(world: World, holdings: Peer) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    await holdings.call("list_holdings", token=token)
    await holdings.journaled()
    for path in holdings.workload.home.path.rglob("*"):
        assert not path.is_file() or token.split(".")[2].encode() not in path.read_bytes()


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
async def test_a_refusal_reaches_the_sdks_client_with_its_reason(world: World, holdings: Peer, mode: Any) -> None:
    token = world.service(holdings, "broker", "tools:list")
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=20) as http,
        Client(streamable_http_client(f"{holdings.url}/mcp", http_client=http), mode=mode) as client,
    ):
        with pytest.raises(MCPError) as refused:
            await client.call_tool("list_holdings", {})
    assert refused.value.code == REFUSED
    assert refused.value.data[0]["reason"].lower() == "access_denied"


@pytest.mark.parametrize("path", ["/.well-known/agent-card.json", "/.well-known/nothing", "/"])
async def test_a_path_that_is_not_there_is_not_found(world: World, holdings: Peer, path: str) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    for headers in ({}, {"authorization": f"Bearer {token}"}):
        response = await holdings.client.get(path, headers=headers)
        assert response.status_code == (404 if headers or path != "/" else 401)
