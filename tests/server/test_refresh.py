"""Refresh tokens rotate; a copy that comes back ends the family; nothing grows on the way."""

import asyncio
from typing import Any

import httpx

from tests.server.issuers import BROKER, PORTFOLIO
from tests.server.parties import Login, Party, claims_of
from tests.server.world import World


async def refresh(party: Party, token: str, *form: tuple[str, str]) -> httpx.Response:
    return await party.token(("grant_type", "refresh_token"), ("refresh_token", token), *form)


async def both(world: World) -> dict[str, Any]:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask portfolio:read", BROKER, PORTFOLIO)
    return dict((await world.redeem(login, code)).json())


async def test_a_refresh_rotates_and_carries_the_login_unchanged(world: World) -> None:
    first = await world.login()
    world.issuer.clock.ahead = 100
    second = (await refresh(world.web, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    before, after = claims_of(first["access_token"]), claims_of(second["access_token"])
    assert after["exp"] > before["exp"]
    assert {name: after[name] for name in ("sub", "aud", "scope", "sid", "auth_time", "acr", "amr")} == {
        name: before[name] for name in ("sub", "aud", "scope", "sid", "auth_time", "acr", "amr")
    }


async def test_the_resource_selects_the_audience(world: World) -> None:
    tokens = await both(world)
    other = (await refresh(world.web, tokens["refresh_token"], ("resource", PORTFOLIO))).json()
    assert claims_of(other["access_token"])["aud"] == PORTFOLIO
    assert other["scope"] == "portfolio:read"
    back = (await refresh(world.web, other["refresh_token"], ("resource", BROKER))).json()
    assert back["scope"] == "broker:ask"


async def test_a_reused_refresh_token_ends_the_family(world: World) -> None:
    first = await world.login()
    second = (await refresh(world.web, first["refresh_token"])).json()
    assert (await refresh(world.web, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await refresh(world.web, second["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.active(second["access_token"], "broker")


async def test_of_parallel_uses_one_wins_and_the_family_ends(world: World) -> None:
    first = await world.login()
    responses = await asyncio.gather(*(refresh(world.web, first["refresh_token"]) for _ in range(4)))
    assert sorted(response.status_code for response in responses) == [200, 400, 400, 400]


async def test_a_widened_scope_is_refused(world: World) -> None:
    tokens = await world.login()
    response = await refresh(world.web, tokens["refresh_token"], ("scope", "broker:ask registry:admin"))
    assert response.json()["error"] == "invalid_scope"


async def test_a_resource_that_the_login_did_not_cover_is_refused(world: World) -> None:
    tokens = await world.login()
    response = await refresh(world.web, tokens["refresh_token"], ("resource", PORTFOLIO))
    assert response.json()["error"] == "invalid_target"


async def test_another_client_cannot_use_it(world: World) -> None:
    tokens = await world.login()
    response = await refresh(world.party("stead-cli", public=True), tokens["refresh_token"])
    assert response.json()["error"] == "invalid_grant"
    assert (await refresh(world.web, tokens["refresh_token"])).status_code == 200


async def test_it_expires(world: World) -> None:
    tokens = await world.login()
    world.issuer.clock.ahead = world.issuer.settings.refresh_token_lifetime + 1
    assert (await refresh(world.web, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_it_is_no_good_after_logout(world: World) -> None:
    tokens = await world.login()
    await world.http.get(world.issuer.url + "/logout", params={"id_token_hint": tokens["id_token"]})
    response = await refresh(world.web, tokens["refresh_token"])
    assert response.json()["error"] == "invalid_grant"
    assert response.json()["hint"] == "Sign in again."
