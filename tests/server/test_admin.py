"""Audiences and edges are added by a person with the right, and questions about them are answered truly."""

from typing import Any

import httpx
import pytest

from tests.server.admission import HELLO, add, admin_token, metadata_of, register, remove
from tests.server.issuers import BROKER, HOLDINGS, MARKET, PORTFOLIO, TRANSFER
from tests.server.world import World


async def test_an_audience_that_joins_is_reachable_at_once_for_people_already_signed_in(world: World) -> None:
    subject = (await world.login())["access_token"]
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    token = await admin_token(world)
    for _ in range(2):
        assert (await add(world, token)).status_code == 201
    assert (await world.obo(subject, HELLO, "hello:say"))["scope"] == "hello:say"
    assert await remove(world, token, HELLO) == 204
    response = await world.broker.exchange(subject, ("resource", HELLO), ("scope", "hello:say"))
    assert response.json()["error"] == "invalid_target"
    assert await remove(world, token, HELLO) == 404


async def test_an_audience_may_bring_what_it_needs_and_takes_it_along_when_it_leaves(world: World) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    token = await admin_token(world)
    needs = [{"audience": HOLDINGS, "scopes": ["holdings:read"], "mode": "obo"}]
    assert (await add(world, token, needs=needs)).status_code == 201
    subject = (await world.login())["access_token"]
    hello = (await world.obo(subject, HELLO, "hello:say"))["access_token"]
    agent = world.party("hello-agent")
    assert (await world.obo(hello, HOLDINGS, "holdings:read", agent))["scope"] == "holdings:read"
    assert await remove(world, token, HELLO) == 204
    edges = await world.service("hello-agent", world.issuer.url, "edges:read")
    response = await world.http.get(world.issuer.url + "/edges", headers={"authorization": f"Bearer {edges}"})
    assert not any(edge["audience"] == HOLDINGS for edge in response.json()["edges"])


async def test_only_a_person_with_the_right_adds_audiences(world: World) -> None:
    broker_token = (await world.login())["access_token"]
    service = await world.service("broker", world.issuer.url, "edges:read")
    alice = await admin_token(world, "alice")
    for token, status in ((broker_token, 401), (service, 403), (alice, 403), ("junk", 401)):
        response = await add(world, token)
        assert response.status_code == status
        assert "www-authenticate" in response.headers


CALLER = {"client_id": "broker", "scopes": ["hello:say"]}
NEED = {"audience": HOLDINGS, "scopes": ["tools:list"]}


@pytest.mark.parametrize(
    ("changes", "for_people"),
    [
        ({"callers": [{**CALLER, "mode": "obo"}]}, True),
        ({"callers": [{**CALLER, "mode": "s2s"}, {**CALLER, "mode": "obo"}]}, True),
        ({"callers": [], "needs": [{**NEED, "mode": "obo"}]}, True),
        ({"callers": [{**CALLER, "mode": "s2s"}], "needs": [{**NEED, "mode": "s2s"}]}, False),
        ({"callers": []}, False),
    ],
)
async def test_letting_people_s_tokens_go_to_a_service_is_a_right_of_its_own(
    world: World, changes: dict[str, Any], for_people: bool
) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    token = await admin_token(world, scope="openid registry:admin")
    response = await add(world, token, **changes)
    assert response.status_code == (403 if for_people else 201), response.text
    if for_people:
        assert response.json()["error"] == "insufficient_scope"
        assert "registry:obo" in response.json()["hint"]
        assert await remove(world, token, HELLO) == 404
    else:
        assert (await add(world, token, callers=[{**CALLER, "mode": "obo"}])).status_code == 403
        assert await remove(world, token, HELLO) == 204


async def test_the_right_to_delegate_alone_adds_nothing(world: World) -> None:
    token = await admin_token(world, scope="openid registry:obo")
    assert (await add(world, token)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"audience": BROKER}, 409),
        ({"audience": f"{HELLO}/"}, 400),
        ({"audience": "javascript:x"}, 400),
        ({"audience": "http://169.254.169.254"}, 400),
        ({"audience": "http://0xa9fea9fe"}, 400),
        ({"audience": "http://2852039166"}, 400),
        ({"audience": "http://[::ffff:169.254.169.254]"}, 400),
        ({"audience": "http://metadata.google.internal"}, 400),
        ({"audience": "http://0.0.0.0"}, 400),
        ({"client_id": "nobody"}, 400),
        ({"callers": [{"client_id": "nobody", "scopes": ["hello:say"], "mode": "obo"}]}, 400),
        ({"callers": [{"client_id": "broker", "scopes": ["transfer:create"], "mode": "obo"}]}, 400),
        ({"callers": [{"client_id": "broker", "scopes": ["hello:say"], "mode": "login"}]}, 400),
        ({"scopes": {"two words": []}}, 400),
        ({"surprise": 1}, 400),
        ({"needs": [{"audience": HOLDINGS, "scopes": ["nothing"], "mode": "obo"}]}, 400),
        ({"needs": [{"audience": "http://nowhere.example", "scopes": ["x"], "mode": "s2s"}]}, 400),
        ({"client_id": None, "needs": [{"audience": HOLDINGS, "scopes": ["tools:list"], "mode": "s2s"}]}, 400),
    ],
)
async def test_an_unacceptable_audience_is_refused(world: World, changes: dict[str, Any], status: int) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    assert (await add(world, await admin_token(world), **changes)).status_code == status


async def test_the_issuers_own_audience_cannot_be_rewritten(world: World) -> None:
    token = await admin_token(world)
    response = await add(world, token, audience=world.issuer.url, scopes={"registry:admin": ["customer"]}, callers=[])
    assert response.status_code == 409
    assert await remove(world, token, world.issuer.url) == 409


async def test_another_clients_audience_is_not_taken_over(world: World) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    token = await admin_token(world)
    assert (await add(world, token)).status_code == 201
    assert (await add(world, token, client_id="broker")).status_code == 409
    assert await remove(world, token, HELLO) == 204


async def test_a_client_reads_its_own_edges(world: World) -> None:
    token = await world.service("portfolio-agent", world.issuer.url, "edges:read")
    response = await world.http.get(world.issuer.url + "/edges", headers={"authorization": f"Bearer {token}"})
    assert {"audience": HOLDINGS, "scope": "holdings:read", "mode": "obo"} in response.json()["edges"]
    assert not any(edge["audience"] == MARKET for edge in response.json()["edges"])


async def evaluate(
    world: World, subject: str, username: str, *questions: tuple[str, str, str], semantic: object = "execute_all"
) -> httpx.Response:
    body = {
        "options": {"evaluations_semantic": semantic},
        "subject": {"type": "user", "id": username, "properties": {"subject_token": subject}},
        "evaluations": [
            {
                "resource": {"type": "audience", "id": audience},
                "action": {"name": scope, "properties": {"mode": mode}},
            }
            for audience, scope, mode in questions
        ],
    }
    return await post_question(world, "/access/v1/evaluations", body)


async def post_question(world: World, path: str, body: dict[str, Any], **more: str) -> httpx.Response:
    token = await world.service("broker", world.issuer.url, "edges:read")
    headers = {"authorization": f"Bearer {token}", **more}
    return await world.http.post(world.issuer.url + path, json=body, headers=headers)


async def test_evaluations_say_what_the_exchange_would(world: World) -> None:
    questions = (
        (PORTFOLIO, "portfolio:read", "obo"),
        (TRANSFER, "transfer:create", "obo"),
        (MARKET, "market:read", "s2s"),
        (HOLDINGS, "holdings:read", "obo"),
        ("http://nowhere.example", "x", "obo"),
    )
    for username, expected in (("alice", [True, True, True, False, False]), ("bob", [True, False, True, False, False])):
        subject = (await world.login(username))["access_token"]
        answers = (await evaluate(world, subject, username, *questions)).json()["evaluations"]
        assert [answer["decision"] for answer in answers] == expected
    assert answers[1]["context"]["hint"] == "This needs the role payer."


async def test_evaluations_are_about_people_who_called(world: World) -> None:
    question = (PORTFOLIO, "portfolio:read", "obo")
    subject = (await world.login("alice"))["access_token"]
    assert (await evaluate(world, subject, "bob", question)).status_code == 400
    exchanged = (await world.obo(subject, PORTFOLIO, "portfolio:read"))["access_token"]
    assert (await evaluate(world, exchanged, "alice", question)).status_code == 400
    assert (await evaluate(world, "junk", "alice", question)).status_code == 400


async def test_an_evaluation_answers_one_question(world: World) -> None:
    subject = (await world.login("bob"))["access_token"]
    question = {
        "subject": {"type": "user", "id": "bob", "properties": {"subject_token": subject}},
        "resource": {"type": "audience", "id": PORTFOLIO},
        "action": {"name": "portfolio:read"},
    }
    answer = await post_question(world, "/access/v1/evaluation", question, **{"x-request-id": "r-7"})
    assert (answer.status_code, answer.json(), answer.headers["x-request-id"]) == (200, {"decision": True}, "r-7")
    no = {**question, "resource": {"type": "audience", "id": TRANSFER}, "action": {"name": "transfer:create"}}
    assert (await post_question(world, "/access/v1/evaluation", no)).json()["decision"] is False
    for wrong in ({}, {**question, "action": "read"}, {**question, "subject": {"type": "user", "id": "bob"}}):
        assert (await post_question(world, "/access/v1/evaluation", wrong)).status_code == 400


async def test_evaluations_stop_where_their_semantic_says(world: World) -> None:
    yes, no = (PORTFOLIO, "portfolio:read", "obo"), (HOLDINGS, "holdings:read", "obo")
    subject = (await world.login("alice"))["access_token"]
    for semantic, expected in (
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ):
        answer = await evaluate(world, subject, "alice", yes, no, yes, semantic=semantic)
        assert [one["decision"] for one in answer.json()["evaluations"]] == expected
    odd: tuple[object, ...] = ("guess", [], {"execute_all": True}, None)
    for none in odd:
        assert (await evaluate(world, subject, "alice", yes, semantic=none)).status_code == 400


async def test_the_issuer_says_where_it_answers(world: World) -> None:
    document = (await world.http.get(world.issuer.url + "/.well-known/authzen-configuration")).json()
    assert document == {
        "policy_decision_point": world.issuer.url,
        "access_evaluation_endpoint": f"{world.issuer.url}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{world.issuer.url}/access/v1/evaluations",
    }
