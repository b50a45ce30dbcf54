"""RFC 7009 with cascade, and RFC 7662 for entitled services only."""

from tests.server.issuers import PORTFOLIO
from tests.server.world import World


async def test_revoking_a_refresh_token_ends_all_that_came_from_the_login(world: World) -> None:
    tokens = await world.login()
    exchanged = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
    assert (await world.web.post("/revoke", ("token", tokens["refresh_token"]))).status_code == 200
    assert not await world.active(tokens["access_token"], "broker")
    assert not await world.active(exchanged["access_token"], "portfolio-agent")


async def test_another_client_cannot_revoke(world: World) -> None:
    tokens = await world.login()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await world.broker.post("/revoke", ("token", token))).status_code == 200
    assert await world.active(tokens["access_token"], "broker")


async def test_an_unknown_token_is_revoked_without_a_word(world: World) -> None:
    for token in ("junk", "a.b.c", "x" * 5_000):
        assert (await world.web.post("/revoke", ("token", token))).status_code == 200


async def test_introspection_answers_only_the_service_that_the_token_is_for(world: World) -> None:
    token = (await world.login())["access_token"]
    answer = (await world.broker.post("/introspect", ("token", token))).json()
    assert answer["active"] is True
    assert answer["sub"] == "alice"
    other = (await world.party("portfolio-agent").post("/introspect", ("token", token))).json()
    assert other == {"active": False}
    unauthenticated = await world.broker.send("/introspect", [("token", token), ("client_id", "broker")])
    assert unauthenticated.json()["error"] == "invalid_client"
