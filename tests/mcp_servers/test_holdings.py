"""Whoever calls sees their own rows, and there is no way to name anybody else's."""

import asyncio

import pytest

from stead.mcp_servers.finport import MCP_SERVERS
from stead.mcp_servers.samples import SECURITIES
from tests.mcp_servers.world import LEGACY, MODERN, Peer, World, reason, structured


@pytest.fixture
async def holdings(world: World) -> Peer:
    return await world.start("holdings-mcp", MCP_SERVERS["holdings"])


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_a_person_sees_their_positions_in_both_eras(world: World, holdings: Peer, era: str) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    answer = structured(await holdings.call("list_holdings", token=token, era=era))
    positions = {position["symbol"]: position for position in answer["positions"]}
    assert {"AAPL", "MSFT"} < positions.keys()
    assert positions["AAPL"] == {
        "symbol": "AAPL",
        "name": "Apple Inc.",
        "quantity": "40",
        "price": str(SECURITIES["AAPL"].price),
        "currency": "USD",
    }


async def test_two_people_at_once_never_see_each_others_rows(world: World, holdings: Peer) -> None:
    async def quantity(person: str, era: str) -> tuple[str, str]:
        token = world.person(holdings, person, "holdings:read")
        answer = structured(await holdings.call("list_holdings", {"symbols": ["AAPL"]}, token=token, era=era))
        (position,) = answer["positions"]
        return person, position["quantity"]

    people, eras = ("alice", "bob", "carol"), (MODERN, LEGACY)
    seen = await asyncio.gather(*(quantity(people[n % 3], eras[n % 2]) for n in range(60)))
    assert set(seen) == {("alice", "40"), ("bob", "12"), ("carol", "55")}


@pytest.mark.parametrize("extra", [{"user": "bob"}, {"subject": "bob"}, {"principal": {"subject": "bob"}}])
async def test_naming_another_person_in_the_arguments_is_refused(
    world: World, holdings: Peer, extra: dict[str, object]
) -> None:
    token = world.person(holdings, "alice", "holdings:read")
    response = await holdings.call("list_holdings", extra, token=token)
    assert response.json()["result"]["isError"]
    assert "not permitted" in response.json()["result"]["content"][0]["text"]
    assert "ASML" not in response.text


async def test_the_same_name_at_another_issuer_owns_nothing(world: World, holdings: Peer) -> None:
    claims = {"sub": "alice", "aud": holdings.url, "client_id": "portfolio-agent", "scope": "holdings:read"}
    token = world.bank.sign({**claims, "act": {"sub": "portfolio-agent"}})
    response = await holdings.call("list_holdings", token=token)
    assert response.status_code == 401


async def test_an_unknown_person_holds_nothing(world: World, holdings: Peer) -> None:
    token = world.person(holdings, "mallory", "holdings:read")
    assert structured(await holdings.call("list_holdings", token=token))["positions"] == []


async def test_a_service_token_is_refused(world: World, holdings: Peer) -> None:
    token = world.service(holdings, "broker", "holdings:read tools:list")
    response = await holdings.call("list_holdings", token=token)
    assert response.status_code == 403
    assert "positions" not in response.text


async def test_a_login_token_without_an_actor_is_refused(world: World, holdings: Peer) -> None:
    token = world.person(holdings, "alice", "holdings:read", act=None, client_id="stead-cli")
    response = await holdings.call("list_holdings", token=token)
    assert response.status_code in {401, 403}


async def test_a_token_without_the_scope_is_challenged_for_it(world: World, holdings: Peer) -> None:
    response = await holdings.call("list_holdings", token=world.person(holdings, "alice", "other:read"))
    assert response.status_code == 403
    assert reason(response) == "insufficient_scope"
    assert "holdings:read" in response.headers["www-authenticate"]


async def test_without_a_token_the_metadata_is_named(holdings: Peer) -> None:
    response = await holdings.call("list_holdings")
    assert response.status_code == 401
    assert (
        f'resource_metadata="{holdings.url}/.well-known/oauth-protected-resource"'
        in response.headers["www-authenticate"]
    )


async def test_a_token_for_another_audience_is_refused(world: World, holdings: Peer) -> None:
    token = world.person(holdings, "alice", "holdings:read", aud="http://127.0.0.1:1")
    assert (await holdings.call("list_holdings", token=token)).status_code == 401


async def test_the_metadata_tells_what_each_tool_needs(world: World, holdings: Peer) -> None:
    metadata = (await holdings.client.get("/.well-known/oauth-protected-resource")).json()
    assert metadata["resource"] == holdings.url
    assert metadata["authorization_servers"] == [world.corporate.url]
    assert set(metadata["scopes_supported"]) == {"holdings:read", "tools:list"}
    assert metadata["stead_tools"] == {
        "list_holdings": {"grant": "obo", "scopes": ["holdings:read"], "effects": False, "bound": False}
    }


async def test_a_call_is_journaled_for_the_person_through_the_actor(world: World, holdings: Peer) -> None:
    await holdings.call("list_holdings", token=world.person(holdings, "alice", "holdings:read"))
    await holdings.call("list_holdings", token=world.service(holdings, "broker", "tools:list"))
    allowed, denied = [event for event in await holdings.journaled() if event["kind"] == "ingress"]
    assert (allowed["resource"], allowed["sub"], allowed["decision"]) == ("holdings.list_holdings", "alice", "allow")
    assert allowed["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    assert (denied["sub"], denied["decision"]) == ("broker", "deny")
