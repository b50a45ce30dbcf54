"""RFC 8693 as the network uses it: what an actor gets in a person's stead, and the attacks on it."""

import secrets
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt

from stead.identity.server.issued import record_token
from stead.identity.server.store import Store
from tests.server.issuers import ACCESS_TOKEN, BROKER, HOLDINGS, MARKET, PAYMENTS, PORTFOLIO, TRANSFER
from tests.server.parties import Login, claims_of
from tests.server.world import Bank, World, payment


def forged(world: World, **claims: Any) -> str:
    """A token that the issuer's own key signed: what an attacker cannot make, but a mistake could."""
    key, now = world.issuer.home.key("issuer-corporate"), int(time.time())
    said: dict[str, Any] = {
        "iss": world.issuer.url,
        "sub": "alice",
        "aud": BROKER,
        "client_id": "finport-web",
        "scope": "broker:ask",
        "iat": now,
        "exp": now + 300,
        "jti": secrets.token_hex(8),
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, said, key, algorithms=["ES256"])


def recorded(world: World, like: str, **claims: Any) -> str:
    """A forged token that the issuer's records know."""
    original = claims_of(like)
    token = forged(world, **{**original, "jti": secrets.token_hex(8), **claims})
    said, store = claims_of(token), Store(world.issuer.settings.path)
    with store.transaction():
        record_token(
            store, said["jti"], said["client_id"], said["exp"], parent=None, family=None, sid=original.get("sid")
        )
    store.close()
    return token


async def refusal(response: httpx.Response, error: str) -> dict[str, Any]:
    assert response.status_code == 400, response.text
    body: dict[str, Any] = response.json()
    assert body["error"] == error, body
    assert "eyJ" not in response.text
    return body


async def test_the_requester_becomes_the_outermost_actor(world: World) -> None:
    subject = (await world.login())["access_token"]
    first = await world.obo(subject, PORTFOLIO, "portfolio:read")
    second = await world.obo(first["access_token"], HOLDINGS, "holdings:read", world.party("portfolio-agent"))
    claims = claims_of(second["access_token"])
    assert first["issued_token_type"] == ACCESS_TOKEN
    assert claims["sub"] == "alice"
    assert claims["aud"] == HOLDINGS
    assert claims["client_id"] == "portfolio-agent"
    assert claims["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    for name in ("sid", "auth_time", "acr", "amr", "name", "roles"):
        assert claims[name] == claims_of(subject)[name]


async def test_a_person_without_the_right_is_refused_with_a_clear_sentence(world: World) -> None:
    subject = (await world.login("bob"))["access_token"]
    response = await world.broker.exchange(subject, ("resource", TRANSFER), ("scope", "transfer:create"))
    body = await refusal(response, "invalid_scope")
    assert body["error_description"] == "Bob Lindqvist is not entitled to transfer:create."
    assert body["hint"] == "This needs the role payer."


async def test_an_actor_without_an_edge_is_refused(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(subject, ("resource", HOLDINGS), ("scope", "holdings:read"))
    assert "broker may not ask Holdings" in (await refusal(response, "invalid_scope"))["error_description"]


async def test_a_service_edge_is_not_good_for_a_person(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(subject, ("resource", MARKET), ("scope", "market:read"))
    await refusal(response, "invalid_scope")


async def test_a_scope_of_another_audience_is_refused(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", "transfer:create"))
    await refusal(response, "invalid_scope")


async def test_a_scope_has_to_be_named(world: World) -> None:
    subject = (await world.login())["access_token"]
    await refusal(await world.broker.exchange(subject, ("resource", PORTFOLIO)), "invalid_scope")


async def test_at_the_same_audience_a_scope_is_never_widened(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(subject, ("resource", BROKER), ("scope", "broker:ask task:notify"))
    await refusal(response, "invalid_scope")


@pytest.mark.parametrize(
    "target",
    [
        [],
        [("resource", "http://127.0.0.99:9000")],
        [("resource", PORTFOLIO), ("resource", HOLDINGS)],
        [("resource", PORTFOLIO), ("audience", HOLDINGS)],
        [("resource", f"{PORTFOLIO}/")],
        [("resource", "HTTP://127.0.0.11:9000")],
    ],
)
async def test_an_unknown_or_ambiguous_audience_is_refused(world: World, target: list[tuple[str, str]]) -> None:
    subject = (await world.login())["access_token"]
    await refusal(await world.broker.exchange(subject, *target, ("scope", "portfolio:read")), "invalid_target")


async def test_a_token_that_was_not_sent_to_the_requester_is_refused(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.party("portfolio-agent").exchange(
        subject, ("resource", HOLDINGS), ("scope", "holdings:read")
    )
    await refusal(response, "invalid_request")


async def test_a_service_token_cannot_become_a_persons(world: World) -> None:
    token = await world.service("transfer-agent", BROKER, "task:notify")
    response = await world.broker.exchange(token, ("resource", PORTFOLIO), ("scope", "portfolio:read"))
    await refusal(response, "invalid_request")


async def test_other_kinds_of_token_are_refused(world: World, northbank: Bank) -> None:
    tokens = await world.login()
    login = Login()
    bank_token = (await northbank.spend(login, (await northbank.approved(login, payment()))["code"])).json()
    for subject in (tokens["id_token"], tokens["refresh_token"], bank_token["access_token"], "junk", "a.b.c"):
        response = await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", "portfolio:read"))
        await refusal(response, "invalid_grant")


async def test_a_bank_token_cannot_be_exchanged_at_the_bank(northbank: Bank) -> None:
    login = Login()
    token = (await northbank.spend(login, (await northbank.approved(login, payment()))["code"])).json()["access_token"]
    response = await northbank.agent.exchange(token, ("resource", PAYMENTS), ("scope", "payments"))
    assert response.json()["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    "form",
    [
        [("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")],
        [("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
        [("actor_token", "x")],
        [("actor_token_type", ACCESS_TOKEN)],
        [("txn", "a b")],
        [("txn", "x" * 200)],
    ],
)
async def test_an_unusual_exchange_is_refused(world: World, form: list[tuple[str, str]]) -> None:
    subject = (await world.login())["access_token"]
    target = [("resource", PORTFOLIO), ("scope", "portfolio:read")]
    await refusal(await world.broker.exchange(subject, *target, *form), "invalid_request")


@pytest.mark.parametrize("form", [("act", '{"sub":"admin"}'), ("may_act", "{}"), ("sub", "bob"), ("acr", "gold")])
async def test_claims_sent_by_the_requester_change_nothing(world: World, form: tuple[str, str]) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", "portfolio:read"), form)
    claims = claims_of(response.json()["access_token"])
    assert claims["act"] == {"sub": "broker"}
    assert claims["sub"] == "alice"
    assert claims["acr"] == "urn:stead:acr:pwd"


async def test_a_token_without_a_record_is_refused(world: World) -> None:
    target = [("resource", PORTFOLIO), ("scope", "portfolio:read")]
    await refusal(await world.broker.exchange(forged(world), *target), "invalid_grant")


async def test_a_loop_of_actors_is_refused(world: World) -> None:
    subject = (await world.login())["access_token"]
    portfolio = await world.obo(subject, PORTFOLIO, "portfolio:read")
    back = await world.obo(portfolio["access_token"], BROKER, "broker:ask", world.party("portfolio-agent"))
    response = await world.broker.exchange(back["access_token"], ("resource", TRANSFER), ("scope", "transfer:create"))
    assert "already" in (await refusal(response, "invalid_request"))["error_description"]


async def test_a_chain_of_more_than_five_actors_is_refused(world: World) -> None:
    act: dict[str, Any] = {"sub": "a1"}
    for number in range(2, 6):
        act = {"sub": f"a{number}", "act": act}
    subject = recorded(world, (await world.login())["access_token"], act=act)
    response = await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", "portfolio:read"))
    assert "longer than 5" in (await refusal(response, "invalid_request"))["error_description"]


async def test_may_act_is_honoured(world: World) -> None:
    original = (await world.login())["access_token"]
    target = [("resource", PORTFOLIO), ("scope", "portfolio:read")]
    other = recorded(world, original, may_act={"sub": "portfolio-agent"})
    await refusal(await world.broker.exchange(other, *target), "invalid_request")
    mine = recorded(world, original, may_act={"sub": "broker"})
    assert (await world.broker.exchange(mine, *target)).status_code == 200


async def test_a_key_bound_token_does_not_become_a_bearer_token(world: World) -> None:
    bound = recorded(world, (await world.login())["access_token"], cnf={"jkt": "x"})
    response = await world.broker.exchange(bound, ("resource", PORTFOLIO), ("scope", "portfolio:read"))
    await refusal(response, "invalid_grant")


async def test_the_result_never_outlives_the_subject_token(world: World) -> None:
    subject = (await world.login())["access_token"]
    world.issuer.clock.ahead = 200
    result = await world.obo(subject, PORTFOLIO, "portfolio:read")
    assert claims_of(result["access_token"])["exp"] == claims_of(subject)["exp"]
    assert result["expires_in"] <= 100
    world.issuer.clock.ahead = 301
    response = await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", "portfolio:read"))
    await refusal(response, "invalid_grant")


async def test_the_task_is_set_once_and_never_changed(world: World) -> None:
    subject = (await world.login())["access_token"]
    first = await world.obo(subject, PORTFOLIO, "portfolio:read", txn="task-1")
    agent = world.party("portfolio-agent")
    second = await world.obo(first["access_token"], HOLDINGS, "holdings:read", agent)
    assert claims_of(second["access_token"])["txn"] == "task-1"
    target = [("resource", HOLDINGS), ("scope", "holdings:read")]
    response = await agent.exchange(first["access_token"], *target, ("txn", "task-2"))
    await refusal(response, "invalid_request")


async def test_after_logout_nothing_is_exchanged(world: World) -> None:
    tokens = await world.login()
    exchanged = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
    await world.http.get(world.issuer.url + "/logout", params={"id_token_hint": tokens["id_token"]})
    agent = world.party("portfolio-agent")
    for party, token, audience, scope in (
        (world.broker, tokens["access_token"], PORTFOLIO, "portfolio:read"),
        (agent, exchanged["access_token"], HOLDINGS, "holdings:read"),
    ):
        await refusal(await party.exchange(token, ("resource", audience), ("scope", scope)), "invalid_grant")


async def test_a_revoked_token_and_what_came_from_it_are_not_exchanged(world: World) -> None:
    subject = (await world.login())["access_token"]
    exchanged = await world.obo(subject, PORTFOLIO, "portfolio:read")
    assert (await world.web.post("/revoke", ("token", subject))).status_code == 200
    assert not await world.active(exchanged["access_token"], "portfolio-agent")
    response = await world.party("portfolio-agent").exchange(
        exchanged["access_token"], ("resource", HOLDINGS), ("scope", "holdings:read")
    )
    await refusal(response, "invalid_grant")


async def test_the_public_client_exchanges_nothing(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.party("stead-cli", public=True).exchange(
        subject, ("resource", PORTFOLIO), ("scope", "portfolio:read")
    )
    await refusal(response, "invalid_client")


async def test_a_service_gets_only_its_service_edges(world: World) -> None:
    claims = claims_of(await world.service("broker", MARKET, "market:read"))
    assert claims["sub"] == claims["client_id"] == "broker"
    assert not {"sid", "act", "name", "roles", "auth_time"} & set(claims)
    for form, error in (
        ([("resource", PORTFOLIO), ("scope", "portfolio:read")], "invalid_scope"),
        ([("resource", MARKET), ("scope", "market:read tools:list")], "invalid_scope"),
        ([("resource", "http://nowhere.example")], "invalid_target"),
        ([("scope", "market:read")], "invalid_target"),
        ([("resource", MARKET), ("resource", HOLDINGS)], "invalid_target"),
    ):
        response = await world.broker.token(("grant_type", "client_credentials"), *form)
        await refusal(response, error)
