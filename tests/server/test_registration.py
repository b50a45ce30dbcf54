"""RFC 7591: a name and a key for holders of the initial access token, and nothing more."""

from typing import Any

import pytest
from joserfc.jwk import ECKey

from stead.identity.workload_keys import CLIENT_KEYS
from tests.server.admission import metadata_of, register
from tests.server.issuers import MARKET, TRAIL
from tests.server.parties import Login, answered
from tests.server.world import Bank, World


async def test_a_client_registers_under_its_own_name_and_again_as_the_same(world: World) -> None:
    key = world.issuer.home.key("hello-agent")
    first, second = await register(world, metadata_of(key)), await register(world, metadata_of(key))
    assert first.status_code == second.status_code == 201
    assert first.json()["client_id"] == second.json()["client_id"] == "hello-agent"
    assert await world.service("hello-agent", world.issuer.url, "edges:read")


async def test_a_registered_client_may_ask_for_nothing_yet(world: World) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    response = await world.party("hello-agent").token(
        ("grant_type", "client_credentials"), ("resource", MARKET), ("scope", "market:read")
    )
    assert response.json()["error"] == "invalid_scope"


async def test_a_registered_client_may_do_what_every_workload_may(world: World) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    assert await world.service("hello-agent", TRAIL, "audit:write")
    public = world.party("stead-cli", public=True)
    form = [("grant_type", "client_credentials"), ("resource", TRAIL), ("scope", "audit:write")]
    assert (await public.token(*form)).json()["error"] == "invalid_client"


async def test_a_name_that_is_taken_is_not_taken_over(world: World) -> None:
    response = await register(world, metadata_of(ECKey.generate_key("P-256"), client_name="broker"))
    assert response.json()["client_id"] not in ("broker", "")


@pytest.mark.parametrize("token", ["", "x", "0" * 64])
async def test_registration_needs_the_initial_access_token(world: World, token: str) -> None:
    response = await register(world, metadata_of(ECKey.generate_key("P-256")), token or "none")
    assert response.status_code == 401


async def test_the_bank_registers_nobody(northbank: Bank) -> None:
    assert (await register(northbank, metadata_of(ECKey.generate_key("P-256")))).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}},
        {"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}},
        {"jwks": None},
        {"jwks_uri": "http://169.254.169.254/"},
        {"token_endpoint_auth_method": "none"},
        {"grant_types": ["password"]},
        {"client_name": ""},
        {"client_name": "<b>"},
        {"redirect_uris": ["http://evil.example/"]},
        {"redirect_uris": ["http://127.0.0.1@evil.example/"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["https://a.example/#x"]},
        {"redirect_uris": ["https://169.254.169.254/cb"]},
        {"redirect_uris": ["https://0xa9fea9fe/cb"]},
        {"redirect_uris": ["https://[::ffff:169.254.169.254]/cb"]},
        {"redirect_uris": ["https://metadata.google.internal/cb"]},
    ],
)
async def test_unacceptable_metadata_is_refused(world: World, changes: dict[str, Any]) -> None:
    response = await register(world, metadata_of(ECKey.generate_key("P-256"), **changes))
    assert response.status_code == 400, response.text


async def test_a_registered_web_client_asks_for_consent_once(world: World) -> None:
    key = world.issuer.home.key("third-party")
    uri = "http://127.0.0.50:9000/cb"
    metadata = metadata_of(key, client_name="third-party", grant_types=["authorization_code"], redirect_uris=[uri])
    assert (await register(world, metadata)).json()["client_id"] == "third-party"
    party = world.party("third-party", redirect_uri=uri)
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(party, "openid profile"))
        consent = await browser.sign_in(page, "alice", "alice-demo")
        assert "Allow third-party?" in consent.text
        assert "code" in answered(await browser.submit(consent, decision="approve"))
        assert "code" in answered(await browser.get("/authorize", Login().parameters(party, "openid profile")))


async def test_what_a_client_signed_can_be_checked_with_its_registered_key(world: World) -> None:
    key = world.issuer.home.key("hello-agent")
    await register(world, metadata_of(key))
    place = (await world.http.get(f"{world.issuer.url}/.well-known/oauth-authorization-server")).json()[CLIENT_KEYS]
    [published] = (await world.http.get(place, params={"client_id": "hello-agent"})).json()["keys"]
    assert (published["kid"], published["use"]) == (key.kid or key.thumbprint(), "sig")
    assert "d" not in published
    for nobody in ("", "alice", "stead-cli", "x'; DROP TABLE clients; --"):
        assert (await world.http.get(place, params={"client_id": nobody})).json() == {"keys": []}
