"""Attacks on token exchange, over the wire. Beside `test_token_exchange`, whose forged and recorded tokens it uses."""

import asyncio
import time
from typing import Any

import pytest

from tests.server.issuers import ACCESS_TOKEN, BROKER, HOLDINGS, MARKET, PORTFOLIO, TRANSFER
from tests.server.parties import claims_of
from tests.server.test_token_exchange import forged, recorded, refusal
from tests.server.world import World

TARGET = [("resource", PORTFOLIO), ("scope", "portfolio:read")]
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
REFRESH_TOKEN = "urn:ietf:params:oauth:token-type:refresh_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


# --- the subject token ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.3:9001"},
        {"iss": None},
        {"aud": [BROKER]},
        {"aud": [BROKER, PORTFOLIO]},
        {"aud": None},
        {"exp": 1},
        {"exp": int(time.time()) + 10**9},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"jti": None},
        {"sub": None},
        {"act": {"sub": ""}},
        {"act": "broker"},
    ],
)
async def test_a_subject_token_that_is_not_true_here_and_now_is_refused(world: World, changes: dict[str, Any]) -> None:
    await refusal(await world.broker.exchange(forged(world, **changes), *TARGET), "invalid_grant")


@pytest.mark.parametrize("kind", [ID_TOKEN, REFRESH_TOKEN, JWT, "urn:ietf:params:oauth:token-type:saml2", "x", ""])
async def test_the_type_that_is_claimed_is_the_one_that_is_taken(world: World, kind: str) -> None:
    tokens = await world.login()
    for token in (tokens["access_token"], tokens["id_token"], tokens["refresh_token"]):
        response = await world.broker.exchange(token, ("subject_token_type", kind), *TARGET)
        await refusal(response, "invalid_request")


CANARIES = {"sub": "canary-sub", "name": "canary-name", "client_id": "canary-client", "txn": "canary-txn"}


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({"iss": "http://canary-issuer"}, TARGET),
        ({"aud": "http://canary-audience"}, TARGET),
        ({"exp": 1}, TARGET),
        ({"jti": "canary-jti"}, TARGET),
        ({"act": {"sub": "canary-actor"}}, [("resource", HOLDINGS), ("scope", "holdings:read")]),
        ({"cnf": {"jkt": "canary"}}, TARGET),
        ({}, [*TARGET, ("actor_token", "canary-actor-token")]),
        ({}, [("resource", PORTFOLIO), ("scope", "broker:ask")]),
        ({}, [("subject_token_type", "canary-type"), *TARGET]),
    ],
)
async def test_no_refusal_quotes_the_token_that_it_refuses(world: World, changes: Any, form: Any) -> None:
    """Who may not have the person's token may not learn from an error what stands in it."""
    known = (await world.login())["access_token"]
    token = forged(world, **{**CANARIES, **changes}) if changes else recorded(world, known, name="canary-name")
    response = await world.broker.exchange(token, *form)
    assert response.status_code == 400, response.text
    assert "canary" not in response.text
    assert not any(part in response.text for part in token.split("."))


async def test_a_token_that_one_obtained_by_exchange_is_not_one_s_to_exchange(world: World) -> None:
    """The broker's token for Portfolio is Portfolio's: going on with it would leave Portfolio out of the chain."""
    subject = (await world.login())["access_token"]
    mine = (await world.obo(subject, PORTFOLIO, "portfolio:read"))["access_token"]
    for target in (TARGET, [("resource", HOLDINGS), ("scope", "holdings:read")]):
        body = await refusal(await world.broker.exchange(mine, *target), "invalid_request")
        assert "not sent to broker" in body["error_description"]


async def test_a_client_without_the_grant_exchanges_nothing(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.web.exchange(subject, *TARGET)
    assert response.json()["error"] == "unauthorized_client"


async def test_a_person_who_is_not_known_any_more_is_nobody(world: World) -> None:
    subject = recorded(world, (await world.login())["access_token"], sub="somebody-who-left")
    await refusal(await world.broker.exchange(subject, *TARGET), "invalid_grant")


async def test_a_subject_that_is_the_actor_itself_is_no_person(world: World) -> None:
    subject = recorded(world, (await world.login())["access_token"], sub="broker", client_id="broker")
    response = await world.broker.exchange(subject, *TARGET)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_request", "invalid_grant"}


async def test_a_token_of_another_session_than_its_record_is_refused(world: World) -> None:
    subject = recorded(world, (await world.login())["access_token"], sid="another")
    await refusal(await world.broker.exchange(subject, *TARGET), "invalid_request")


# --- the actor -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        [("actor_token_type", ACCESS_TOKEN)],
        [("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)],
        [("actor_token", "a.b.c"), ("actor_token_type", JWT)],
    ],
)
async def test_no_actor_token_is_taken_not_even_a_true_one(world: World, form: list[tuple[str, str]]) -> None:
    """The authenticated client is the actor: there is nothing to forge, and nobody else's token to borrow."""
    subject = (await world.login())["access_token"]
    others = await world.service("portfolio-agent", world.issuer.url, "edges:read")
    for actor in (form, [("actor_token", others), ("actor_token_type", ACCESS_TOKEN)]):
        await refusal(await world.broker.exchange(subject, *TARGET, *actor), "invalid_request")


async def test_the_history_of_actors_gives_no_right(world: World) -> None:
    """Portfolio may ask Holdings; a token that Portfolio once acted with does not let the broker do so."""
    subject = recorded(world, (await world.login())["access_token"], act={"sub": "portfolio-agent"})
    response = await world.broker.exchange(subject, ("resource", HOLDINGS), ("scope", "holdings:read"))
    body = await refusal(response, "invalid_scope")
    assert "broker may not ask Holdings" in body["error_description"]


async def test_the_actors_before_are_kept_and_none_is_added(world: World) -> None:
    history = {"sub": "first", "iss": "https://elsewhere.example", "act": {"sub": "second"}}
    subject = recorded(world, (await world.login())["access_token"], act=history)
    result = claims_of((await world.obo(subject, PORTFOLIO, "portfolio:read"))["access_token"])
    assert result["act"] == {"sub": "broker", "act": history}


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
async def test_a_loop_is_found_however_far_back_it_began(world: World, depth: int) -> None:
    act: dict[str, Any] = {"sub": "broker"}
    for number in range(depth - 1):
        act = {"sub": f"a{number}", "act": act}
    subject = recorded(world, (await world.login())["access_token"], act=act)
    body = await refusal(await world.broker.exchange(subject, *TARGET), "invalid_request")
    assert "acts in this call already" in body["error_description"]


@pytest.mark.parametrize(
    "may_act", ["broker", ["broker"], {}, {"sub": ["broker"]}, {"sub": "BROKER"}, {"client_id": "broker"}]
)
async def test_a_may_act_that_does_not_name_the_requester_is_a_refusal(world: World, may_act: object) -> None:
    subject = recorded(world, (await world.login())["access_token"], may_act=may_act)
    await refusal(await world.broker.exchange(subject, *TARGET), "invalid_request")


# --- what comes out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    ["transfer:create", "portfolio:read transfer:create", "portfolio", "portfolio:rea", "PORTFOLIO:READ", "portfolio:*",
     "*", "openid", "pоrtfolio:read", "portfolio:read registry:admin", "holdings:read"],
)  # fmt: skip
async def test_no_spelling_of_a_scope_widens_it(world: World, scope: str) -> None:
    subject = (await world.login())["access_token"]
    await refusal(await world.broker.exchange(subject, ("resource", PORTFOLIO), ("scope", scope)), "invalid_scope")


async def test_the_scope_of_the_subject_token_gives_nothing_elsewhere(world: World) -> None:
    everything = "broker:ask transfer:create holdings:read registry:admin"
    subject = recorded(world, (await world.login("bob"))["access_token"], scope=everything, roles=["payer", "customer"])
    response = await world.broker.exchange(subject, ("resource", TRANSFER), ("scope", "transfer:create"))
    assert "not entitled" in (await refusal(response, "invalid_scope"))["error_description"]


@pytest.mark.parametrize("name", ["acr", "amr", "auth_time", "roles", "name", "transfer_limit", "exp", "jti"])
async def test_no_claim_can_be_asked_for(world: World, name: str) -> None:
    subject = (await world.login())["access_token"]
    plain = claims_of((await world.broker.exchange(subject, *TARGET)).json()["access_token"])
    asked = await world.broker.exchange(subject, *TARGET, (name, "gold"))
    claims = claims_of(asked.json()["access_token"])
    volatile = {"jti", "iat", "exp"}
    assert {key: claims[key] for key in claims.keys() - volatile} == {
        key: plain[key] for key in plain.keys() - volatile
    }
    assert claims["exp"] <= claims_of(subject)["exp"]


async def test_the_strength_of_the_login_is_neither_inflated_nor_lost(world: World) -> None:
    weak = {"acr": "urn:stead:acr:weak", "amr": ["sms"], "auth_time": 1_000}
    subject = recorded(world, (await world.login())["access_token"], **weak)
    result = claims_of((await world.obo(subject, PORTFOLIO, "portfolio:read"))["access_token"])
    assert {name: result[name] for name in weak} == weak


async def test_a_token_for_one_operation_is_not_exchanged_for_anything(world: World) -> None:
    details = [{"type": "payment_initiation", "instructedAmount": {"currency": "EUR", "amount": "1.00"}}]
    subject = recorded(world, (await world.login())["access_token"], authorization_details=details)
    await refusal(await world.broker.exchange(subject, *TARGET), "invalid_request")


async def test_details_sent_along_are_in_no_token(world: World) -> None:
    subject = (await world.login())["access_token"]
    response = await world.broker.exchange(
        subject, *TARGET, ("authorization_details", '[{"type":"payment_initiation"}]')
    )
    if response.status_code == 200:
        assert "authorization_details" not in claims_of(response.json()["access_token"])
    else:
        await refusal(response, "invalid_request")


async def test_the_task_of_a_token_is_not_dropped_by_saying_nothing(world: World) -> None:
    subject = (await world.login())["access_token"]
    first = (await world.obo(subject, PORTFOLIO, "portfolio:read", txn="task-1"))["access_token"]
    agent = world.party("portfolio-agent")
    for form in ([], [("txn", "")], [("txn", "task-1")]):
        response = await agent.exchange(first, ("resource", HOLDINGS), ("scope", "holdings:read"), *form)
        assert claims_of(response.json()["access_token"])["txn"] == "task-1"
    for other in ("task-2", "TASK-1", "task-1 ", "task-1\t"):
        response = await agent.exchange(first, ("resource", HOLDINGS), ("scope", "holdings:read"), ("txn", other))
        await refusal(response, "invalid_request")


# --- load ----------------------------------------------------------------------------------------------------------


async def test_a_hundred_exchanges_at_once_give_everybody_their_own(world: World) -> None:
    """The same exchange again is allowed, and is a token of its own each time: nothing is shared between callers."""
    people = ("alice", "bob", "carol")
    subjects = {name: (await world.login(name))["access_token"] for name in people}

    async def ask(number: int) -> tuple[str, dict[str, Any]]:
        name = people[number % len(people)]
        token = (await world.obo(subjects[name], PORTFOLIO, "portfolio:read", txn=f"task-{number}"))["access_token"]
        return f"{name} task-{number}", claims_of(token)

    answers = await asyncio.gather(*(ask(number) for number in range(99)))
    assert [f"{claims['sub']} {claims['txn']}" for _, claims in answers] == [asked for asked, _ in answers]
    assert len({claims["jti"] for _, claims in answers}) == len(answers)


async def test_a_revocation_amid_a_hundred_exchanges_ends_every_one_of_them(world: World) -> None:
    subject = (await world.login())["access_token"]
    exchanges = [world.broker.exchange(subject, *TARGET) for _ in range(40)]
    *responses, revoked = await asyncio.gather(*exchanges, world.web.post("/revoke", ("token", subject)))
    assert revoked.status_code == 200
    given = [response.json()["access_token"] for response in responses if response.status_code == 200]
    assert {response.json()["error"] for response in responses if response.status_code != 200} <= {"invalid_grant"}
    assert not any([await world.active(token, "portfolio-agent") for token in given])
    await refusal(await world.broker.exchange(subject, *TARGET), "invalid_grant")


async def test_a_service_edge_and_a_person_s_edge_are_never_mixed(world: World) -> None:
    subject = (await world.login())["access_token"]
    for audience, scope in ((MARKET, "market:read"), (HOLDINGS, "tools:list"), (BROKER, "task:notify")):
        response = await world.broker.exchange(subject, ("resource", audience), ("scope", scope))
        await refusal(response, "invalid_scope")
