"""Clients prove themselves by private_key_jwt, once, to this issuer alone; everything else is refused with a 4xx."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from stead.demo.network.addresses import network_of
from stead.demo.network.providers import bank_seed, corporate_seed
from stead.identity.home import Home
from stead.identity.workload import Workload
from tests.server.issuers import ASSERTION, MARKET
from tests.server.parties import Form
from tests.server.world import World

SERVICE: Form = [("grant_type", "client_credentials"), ("resource", MARKET), ("scope", "market:read")]


async def refused(world: World, form: Form) -> None:
    response = await world.broker.send("/token", form)
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["error"] == "invalid_client", response.text


def asserted(assertion: str) -> Form:
    return [*SERVICE, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)]


async def test_a_true_assertion_is_accepted_for_issuer_or_token_endpoint(world: World) -> None:
    for audience in (world.issuer.url, f"{world.issuer.url}/token"):
        response = await world.broker.send("/token", asserted(world.broker.assertion(aud=audience)))
        assert response.status_code == 200, response.text


async def test_an_assertion_may_say_what_it_is(world: World) -> None:
    for typ in ("JWT", "client-authentication+jwt"):
        response = await world.broker.send("/token", asserted(world.broker.assertion(typ=typ)))
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "typ", ["at+jwt", "dpop+jwt", "hop-receipt+jwt", "oauth-id-jag+jwt", "secevent+jwt", "jwt", ""]
)
async def test_confusion_what_a_client_signed_for_another_purpose_is_no_assertion(world: World, typ: str) -> None:
    await refused(world, asserted(world.broker.assertion(typ=typ)))


async def test_a_replayed_assertion_is_refused(world: World) -> None:
    form = asserted(world.broker.assertion())
    assert (await world.broker.send("/token", form)).status_code == 200
    await refused(world, form)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": ["https://other.example"]},
        {"aud": None},
        {"sub": "finport-web"},
        {"iss": "finport-web"},
        {"sub": "nobody", "iss": "nobody"},
        {"sub": None},
        {"sub": 7, "iss": 7},
        {"exp": int(time.time()) + 3600},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e300},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"jti": None},
        {"jti": "x" * 300},
        {"jti": ""},
    ],
)
async def test_an_assertion_with_wrong_claims_is_refused(world: World, claims: dict[str, Any]) -> None:
    await refused(world, asserted(world.broker.assertion(**claims)))


async def test_an_assertion_for_two_audiences_is_refused(world: World) -> None:
    await refused(world, asserted(world.broker.assertion(aud=[world.issuer.url, "https://other.example"])))


async def test_an_assertion_with_another_clients_key_is_refused(world: World) -> None:
    await refused(world, asserted(world.broker.assertion(world.issuer.home.key("finport-web"))))


async def test_an_assertion_with_a_stranger_key_under_the_right_kid_is_refused(world: World) -> None:
    stranger = ECKey.generate_key("P-256").as_dict(private=True)
    key = ECKey.import_key({**stranger, "kid": str(world.issuer.home.key("broker").kid)})
    await refused(world, asserted(world.broker.assertion(key)))


async def test_an_assertion_signed_with_the_public_key_as_a_secret_is_refused(world: World) -> None:
    key = world.issuer.home.key("broker")
    header = _segment(json.dumps({"alg": "HS256", "kid": key.kid}).encode())
    signed = f"{header}.{world.broker.assertion().split('.')[1]}"
    mac = hmac.new(key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    await refused(world, asserted(f"{signed}.{_segment(mac)}"))


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 900 + b"]" * 900,
        b'{"sub":"broker","x":' + b"[" * 1200 + b"]" * 1200 + b"}",
        b'{"sub":' * 250 + b"1" + b"}" * 250,
        b"\xff\xfe{}",
        b'{"sub":"broker","sub":"broker"}',
        b"[]",
        b"nonsense",
        b"",
    ],
)
async def test_a_deep_or_broken_assertion_is_a_client_error_not_a_crash(world: World, payload: bytes) -> None:
    header = _segment(json.dumps({"alg": "ES256", "kid": "x"}).encode())
    await refused(world, asserted(f"{header}.{_segment(payload)}.{_segment(b'x' * 64)}"))


async def test_an_unsigned_assertion_is_refused(world: World) -> None:
    header, payload, _ = world.broker.assertion().split(".")
    unsigned = _segment(json.dumps({"alg": "none", "kid": "x"}).encode())
    await refused(world, asserted(f"{unsigned}.{payload}."))
    await refused(world, asserted(f"{header}.{payload}.{_segment(bytes(64))}"))


async def test_a_huge_assertion_is_refused(world: World) -> None:
    deep = _segment(b'{"sub":"broker","act":' + b"[" * 5_000 + b"]" * 5_000 + b"}")
    for payload in ("b" * 20_000, deep):
        response = await world.broker.send("/token", asserted(f"a.{payload}.c"))
        assert response.status_code == 400
        assert response.json()["error"] == "invalid_request"


async def test_a_confidential_client_does_not_pass_as_public(world: World) -> None:
    await refused(world, [*SERVICE, ("client_id", "broker")])


async def test_no_client_at_all_is_refused(world: World) -> None:
    await refused(world, SERVICE)


async def test_client_id_and_assertion_must_agree(world: World) -> None:
    await refused(world, [*asserted(world.broker.assertion()), ("client_id", "finport-web")])


async def test_two_methods_at_once_are_refused(world: World) -> None:
    await refused(world, [*asserted(world.broker.assertion()), ("client_secret", "x")])
    response = await world.http.post(
        world.issuer.url + "/token",
        data=dict(asserted(world.broker.assertion())),
        headers={"authorization": "Basic eDp5"},
    )
    assert response.json()["error"] == "invalid_client"


async def test_the_public_client_gets_no_token_of_its_own(world: World) -> None:
    response = await world.broker.send("/token", [*SERVICE, ("client_id", "stead-cli")])
    assert response.json()["error"] == "invalid_client"


def test_every_workload_of_the_network_signs_and_none_has_a_secret(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    network = network_of(home)
    seeds = (corporate_seed(home, network, network.corporate_idp), bank_seed(home, network))
    public = {client.client_id for each in seeds for client in each.clients if client.key is None}
    assert public == {"stead-cli"}  # on people's own machines: PKCE, and a key of the session
    assert sum(len(each.clients) for each in seeds) > 9
    workload = Workload.open("broker", url=network.broker, home=home, issuer=network.corporate_idp)
    for client in (workload.client, workload.client_of(network.bank_idp)):
        assert client.key is not None
        assert (client.secret, client.asserting) == (None, None)
