"""Quotes are for services: no person's token gets in, so nothing about a person can be kept."""

import pytest

from stead.mcp_servers.finport import MCP_SERVERS
from tests.mcp_servers.world import LEGACY, MODERN, Peer, World, structured


@pytest.fixture
async def quotes(world: World) -> Peer:
    return await world.start("quotes-mcp", MCP_SERVERS["quotes"])


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_a_service_gets_quotes_that_say_what_they_are(world: World, quotes: Peer, era: str) -> None:
    token = world.service(quotes, "market-data-agent", "quotes:read")
    answer = structured(await quotes.call("get_quotes", {"symbols": ["MSFT", "NOPE", "AAPL"]}, token=token, era=era))
    assert [(quote["symbol"], quote["price"]) for quote in answer["quotes"]] == [("MSFT", "508.15"), ("AAPL", "262.40")]
    assert answer["unknown"] == ["NOPE"]
    assert "invented" in answer["source"]


async def test_history_is_given_oldest_first(world: World, quotes: Peer) -> None:
    token = world.service(quotes, "market-data-agent", "quotes:read")
    answer = structured(await quotes.call("get_history", {"symbols": ["SAP"], "days": 30}, token=token))
    (series,) = answer["series"]
    assert len(series["closes"]) == 30
    assert series["closes"][-1] == {"day": "2026-11-24", "close": "238.10"}
    assert series["closes"][0]["day"] < series["closes"][1]["day"]


@pytest.mark.parametrize("tool", ["get_quotes", "get_history"])
async def test_a_persons_token_is_refused_and_reaches_no_data(world: World, quotes: Peer, tool: str) -> None:
    token = world.person(quotes, "alice", "quotes:read", client_id="market-data-agent")
    response = await quotes.call(tool, {"symbols": ["AAPL"]}, token=token)
    assert response.status_code == 403
    assert "alice" not in response.text
    assert not quotes.workload.home.database("quotes-mcp").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"symbols": []},
        {"symbols": ["'; DROP TABLE bars; --"]},
        {"symbols": "AAPL"},
        {"symbols": ["AAPL"], "days": 0},
    ],
)
async def test_bad_arguments_are_a_tool_error_in_one_sentence(
    world: World, quotes: Peer, arguments: dict[str, object]
) -> None:
    token = world.service(quotes, "market-data-agent", "quotes:read")
    response = await quotes.call("get_history", arguments, token=token)
    result = response.json()["result"]
    assert response.status_code == 200
    assert result["isError"]
    assert "pydantic" not in response.text
    assert "DROP" not in response.text
