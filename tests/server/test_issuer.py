"""What an issuer publishes, keeps, logs and refuses to do."""

import json
import logging
import re

import pytest

from stead.identity.errors import ConfigurationError
from stead.identity.server import ServerSettings, check_bind, seed
from tests.server.admission import HELLO, add, admin_token, metadata_of, register, remove
from tests.server.issuers import MARKET, PORTFOLIO, corporate_seed
from tests.server.parties import Login, Party
from tests.server.world import Bank, World, all_files, payment


async def test_metadata_is_the_same_under_both_names_and_cacheable(world: World) -> None:
    documents = []
    for name in ("openid-configuration", "oauth-authorization-server"):
        response = await world.http.get(f"{world.issuer.url}/.well-known/{name}")
        assert "max-age" in response.headers["cache-control"]
        documents.append(response.json())
    assert documents[0] == documents[1]
    assert documents[0]["issuer"] == world.issuer.url
    assert documents[0]["code_challenge_methods_supported"] == ["S256"]
    assert documents[0]["authorization_response_iss_parameter_supported"] is True


async def test_only_public_members_of_the_key_are_published(world: World) -> None:
    keys = (await world.http.get(world.issuer.url + "/jwks")).json()["keys"]
    assert [set(key) & {"d", "p", "q", "k"} for key in keys] == [set()]
    assert keys[0]["kid"]
    assert keys[0]["alg"] == "ES256"


async def test_the_two_issuers_have_keys_of_their_own(world: World, northbank: Bank) -> None:
    ours, theirs = [(await world.http.get(one.issuer.url + "/jwks")).json()["keys"][0] for one in (world, northbank)]
    assert ours["x"] != theirs["x"]


SIGNED = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}")
"""A signed token; `eyJ` alone stands by chance in as many random letters as all tests of an issuer leave behind."""


async def test_no_credential_is_logged_or_stored(
    world: World, northbank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        tokens = await world.login()
        exchanged = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
        refreshed = (
            await world.web.token(("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]))
        ).json()
        await world.service("broker", MARKET, "market:read")
        login = Login()
        done = await northbank.approved(login, payment())
        await northbank.spend(login, done["code"])
    secrets = [tokens["refresh_token"], refreshed["refresh_token"], done["code"], exchanged["access_token"]]
    ours = [record for record in caplog.records if record.name.startswith(("stead", "authlib"))]
    assert any(record.name.startswith("authlib") for record in ours)
    text = "\n".join(record.getMessage() for record in ours)
    assert not [secret for secret in secrets if secret in text]
    assert "eyJ" not in text
    databases = [path.read_bytes() for path in all_files(world.issuer.home) if ".db" in path.name]
    for stored in databases:
        assert not [secret for secret in secrets if secret.encode() in stored]
        assert not SIGNED.search(stored)


async def test_seeding_again_keeps_what_joined_and_drops_what_left(world: World) -> None:
    await register(world, metadata_of(world.issuer.home.key("hello-agent")))
    token = await admin_token(world)
    await add(world, token)
    seed(world.issuer.settings, corporate_seed(world.issuer.home, world.issuer.url))
    subject = (await world.login())["access_token"]
    assert await world.obo(subject, HELLO, "hello:say")
    assert await remove(world, token, HELLO) == 204


def test_a_public_address_is_refused_unless_told(caplog: pytest.LogCaptureFixture) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "example.com", "::"):
        with pytest.raises(ConfigurationError):
            check_bind(host)
    check_bind("127.0.0.2")
    check_bind("localhost")
    check_bind("0.0.0.0", allow=True)
    assert "DEVELOPMENT ISSUER on 0.0.0.0" in caplog.text


async def test_an_issuer_over_https_marks_its_cookie_secure(world: World) -> None:
    settings = ServerSettings("https://id.example", "X", "corporate", world.issuer.home, "x")
    assert settings.secure
    assert settings.cookie.startswith("__Host-")


async def test_names_outside_ascii_are_written_plainly_in_errors(world: World) -> None:
    party: Party = world.broker
    response = await party.token(("grant_type", "client_credentials"), ("resource", 'http://é"\\'))
    assert response.json()["error"] == "invalid_target"
    assert json.loads(response.text)["error_description"].isascii()
