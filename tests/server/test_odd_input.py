"""Whatever anybody sends to any endpoint, the answer is one of the protocol, and never a 500."""

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tests.server.admission import metadata_of, register
from tests.server.issuers import ACCESS_TOKEN, EXCHANGE, MARKET, PORTFOLIO
from tests.server.parties import Form, Login
from tests.server.world import Bank, World, payment

TEXTS = [
    "", "x", "\0", "\n", "é", "\u202e", "😀", "a" * 600, "-1", "0", "9" * 30, "1e400", "NaN", "null", "[]", "{}",
    "[{}]", "http://[", "http://a:99999/", "https://u@h/", "urn:x", "..", "openid openid", "none login", "a.b.c", "..",
    "S256", "plain", "٣", "%00",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63, 10**30, 1.5, 1e300, "", "x", "\0", "é", "\u202e", "a" * 600, [], [1], [None], {},
    {"a": 1}, [{}], {"keys": []}, "http://[", ["execute_all"],
]  # fmt: skip
GRANTS = ["client_credentials", "authorization_code", "refresh_token", EXCHANGE, "password", "urn:x", ""]
NAMES = [
    "resource", "audience", "scope", "subject_token", "subject_token_type", "requested_token_type", "actor_token",
    "txn", "code", "redirect_uri", "code_verifier", "refresh_token", "assertion", "client_id", "token",
    "token_type_hint", "authorization_details", "code_challenge", "code_challenge_method", "response_type", "state",
    "nonce", "prompt", "max_age", "login_hint", "acr_values", "dpop_jkt", "request_uri", "request", "response_mode",
]  # fmt: skip
SEEDS = [1, 2]


@pytest.fixture(params=SEEDS)
def chance(request: Any) -> random.Random:
    return random.Random(request.param)


def sound(status: int, text: str) -> None:
    assert status < 500, text
    assert "Traceback" not in text


def changed(value: Any, chance: random.Random, depth: int = 0) -> Any:
    """The value with something in it left out, added or replaced."""
    if not isinstance(value, Mapping) or not value or depth > 3:
        return chance.choice(VALUES)
    name, what = chance.choice(list(value)), chance.random()
    if what < 0.2:
        return {one: each for one, each in value.items() if one != name}
    if what < 0.35:
        return {**value, chance.choice(["x", "type", "kid", "alg"]): chance.choice(VALUES)}
    return {**value, name: changed(value[name], chance, depth + 1)}


def forms(chance: random.Random, good: Mapping[str, str], count: int) -> Iterator[Form]:
    for _ in range(count):
        named = chance.sample(NAMES, chance.randint(0, 6))
        values = (good[name] if name in good and chance.random() < 0.5 else chance.choice(TEXTS) for name in named)
        yield [("grant_type", chance.choice(GRANTS)), *zip(named, values, strict=True)]


async def test_odd_forms_of_a_client_that_proved_itself_are_answered(world: World, chance: random.Random) -> None:
    tokens = await world.login()
    good = {
        "subject_token": tokens["access_token"], "subject_token_type": ACCESS_TOKEN, "resource": PORTFOLIO,
        "scope": "portfolio:read", "refresh_token": tokens["refresh_token"], "token": tokens["access_token"],
    }  # fmt: skip
    for form in forms(chance, good, 60):
        path = chance.choice(["/token", "/token", "/par", "/revoke", "/introspect"])
        answer = await chance.choice([world.broker, world.web]).post(path, *form)
        sound(answer.status_code, answer.text)


async def test_odd_authorization_requests_are_answered(world: World, chance: random.Random) -> None:
    for form in forms(chance, {}, 60):
        asked = {**dict(Login().parameters(world.web, "openid")), **dict(form)}
        answer = await world.http.get(world.issuer.url + "/authorize", params=asked, follow_redirects=False)
        sound(answer.status_code, answer.text)
        assert answer.headers.get("location", world.issuer.url).startswith((world.issuer.url, world.web.redirect_uri))


async def test_odd_assertions_are_answered(world: World, chance: random.Random) -> None:
    for _ in range(40):
        claims = {name: chance.choice(VALUES) for name in chance.sample(["iss", "sub", "aud", "jti", "exp", "iat"], 2)}
        form = [("grant_type", "client_credentials"), ("resource", MARKET), ("scope", "market:read")]
        answer = await world.broker.send("/token", [*form, *world.broker.authentication(**claims)])
        sound(answer.status_code, answer.text)


async def test_odd_operations_and_registrations_are_answered(
    world: World, northbank: Bank, chance: random.Random
) -> None:
    for _ in range(40):
        pushed = await northbank.push(Login(), json.dumps([changed(payment(), chance)]))
        sound(pushed.status_code, pushed.text)
        metadata = changed(metadata_of(ECKey.generate_key("P-256")), chance)
        registered = await register(world, metadata)
        sound(registered.status_code, registered.text)


async def test_odd_questions_are_answered(world: World, chance: random.Random) -> None:
    subject = {"type": "user", "id": "alice", "properties": {"subject_token": (await world.login())["access_token"]}}
    one: Any = {"subject": subject, "resource": {"type": "audience", "id": PORTFOLIO}, "action": {"name": "x"}}
    many = {**one, "evaluations": [{}], "options": {"evaluations_semantic": "execute_all"}}
    headers = {"authorization": f"Bearer {await world.service('broker', world.issuer.url, 'edges:read')}"}
    for _ in range(60):
        for path, body in (("evaluation", changed(one, chance)), ("evaluations", changed(many, chance))):
            answer = await world.http.post(f"{world.issuer.url}/access/v1/{path}", json=body, headers=headers)
            sound(answer.status_code, answer.text)
