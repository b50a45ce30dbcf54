"""Signing keys change while the issuer runs: nobody is turned away for it, and a lost key is worth nothing at once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stead.demo.cli.app import app
from stead.identity.errors import ConfigurationError, InvalidToken
from stead.identity.home import Home
from stead.identity.jwks import FRESH, load_keys
from stead.identity.server.keyring import AHEAD, LIVES, KeyRing
from stead.identity.verification import TokenPolicy, verify
from tests.server.issuers import BROKER
from tests.server.parties import Login, header_of
from tests.server.world import World


@pytest.fixture
def ring(world: World) -> Iterator[KeyRing]:
    """The issuer's ring; afterwards it is as before, for the other tests."""
    ring = KeyRing(world.issuer.home, world.issuer.settings.key_name)
    yield ring
    world.issuer.home.write(
        f"keys/{world.issuer.settings.key_name}.ring", FIRST % world.issuer.settings.key_name.encode()
    )


FIRST = b'[{"name": "%s", "since": 0.0, "until": null, "trusted": true}]'


async def jwks(world: World) -> dict[str, Any]:
    return dict((await world.http.get(f"{world.issuer.url}/jwks")).json())


async def kid(world: World) -> str:
    return str(header_of((await world.login())["access_token"])["kid"])


async def test_the_next_key_is_published_before_it_signs(world: World, ring: KeyRing) -> None:
    before = await kid(world)
    ring.rotate(world.issuer.clock())
    published = load_keys(await jwks(world))
    assert len(published) == 2
    assert await kid(world) == before
    assert AHEAD > FRESH
    world.issuer.clock.ahead += AHEAD + 1
    after = await kid(world)
    assert after != before
    assert after in published


async def test_the_last_key_stays_until_nothing_that_it_signed_is_alive(world: World, ring: KeyRing) -> None:
    token = (await world.login())["access_token"]
    ring.rotate(world.issuer.clock())
    world.issuer.clock.ahead += AHEAD + 1
    assert header_of(token)["kid"] in load_keys(await jwks(world))
    world.issuer.clock.ahead += LIVES + 1
    assert header_of(token)["kid"] not in load_keys(await jwks(world))


async def test_a_lost_key_is_withdrawn_at_once_and_what_it_signed_is_worth_nothing(world: World, ring: KeyRing) -> None:
    token = (await world.login())["access_token"]
    ring.rotate(world.issuer.clock(), at_once=True)
    assert header_of(token)["kid"] not in load_keys(await jwks(world))
    assert not await world.active(token, "broker")
    fresh = (await world.login())["access_token"]
    assert await world.active(fresh, "broker")
    policy = TokenPolicy(world.issuer.url, BROKER)
    assert verify(fresh, await jwks(world), policy, world.issuer.clock())
    with pytest.raises(InvalidToken):
        verify(token, await jwks(world), policy, world.issuer.clock())


async def test_a_sign_in_from_before_goes_on(world: World, ring: KeyRing) -> None:
    body = await world.login()
    ring.rotate(world.issuer.clock())
    world.issuer.clock.ahead += AHEAD + 1
    answer = await world.web.token(("grant_type", "refresh_token"), ("refresh_token", body["refresh_token"]))
    assert answer.status_code == 200, answer.text
    assert header_of(answer.json()["access_token"])["kid"] != header_of(body["access_token"])["kid"]


async def test_an_old_id_token_still_says_who_signs_out(world: World, ring: KeyRing) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid profile broker:ask", BROKER)
    body = (await world.redeem(login, code)).json()
    ring.rotate(world.issuer.clock())
    world.issuer.clock.ahead += AHEAD + LIVES + 2
    page = await world.http.get(f"{world.issuer.url}/logout", params={"id_token_hint": body["id_token"]})
    assert "signed out" in page.text.lower()


def test_many_rotations_leave_one_key(world: World, ring: KeyRing) -> None:
    now, apart = world.issuer.clock(), AHEAD + LIVES + 10
    for step in range(3):
        ring.rotate(now + step * apart)
    (left,) = ring.published(now + 3 * apart)["keys"]
    assert left["kid"] == ring.signing(now + 3 * apart).kid
    assert len(ring.own()) == 4


def test_a_ring_that_is_damaged_is_named(world: World, ring: KeyRing) -> None:
    for content in (b"", b"{}", b"[]", b'[{"key": 1}]', b"\xff"):
        world.issuer.home.write(f"keys/{world.issuer.settings.key_name}.ring", content)
        with pytest.raises(ConfigurationError, match=r"\.ring"):
            _ = KeyRing(world.issuer.home, world.issuer.settings.key_name).entries


def test_the_command_makes_the_next_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["idp", "rotate-keys", "bank", "--json"])
    assert json.loads(result.output)["key"] == "issuer-bank-2"
    assert [entry.name for entry in KeyRing(Home(tmp_path), "issuer-bank").entries] == ["issuer-bank", "issuer-bank-2"]
    assert CliRunner().invoke(app, ["idp", "rotate-keys", "treasury"]).exit_code != 0
