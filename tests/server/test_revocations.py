"""The feed stays whole and bounded, however much is revoked at once: no revocation falls off its end."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from stead.identity.driver import drive, fetch
from stead.identity.flows.discovery import discover
from stead.identity.home import Home
from stead.identity.jwks import JwksCache
from stead.identity.server import revocations, schema
from stead.identity.server.store import Store
from stead.identity.signals.feed import Reading, fetch_feed, place_of, read_feed
from stead.identity.signals.revoked import Revoked
from stead.identity.trust import TrustedIssuer
from stead.identity.values import AccessToken
from stead.identity.verification import decode
from stead.identity.verifier import Verifier
from tests.server.issuers import BROKER, Issuer, corporate_seed, issuer_of
from tests.server.world import World


@pytest.fixture
async def own(tmp_path: Any, http: httpx.AsyncClient) -> AsyncIterator[World]:
    """An issuer that no other test revokes at."""
    home = Home(tmp_path / "home")
    async with issuer_of(home, "corporate", "FinPort Identity", lambda url: corporate_seed(home, url)) as issuer:
        yield World(issuer, http)


async def heard(world: World) -> Revoked:
    """What a service knows after one reading."""
    issuer, http = world.issuer.url, world.http
    place = place_of(await drive(discover(issuer), http))
    assert place is not None
    reading = await drive(fetch_feed(place, None), http)
    assert isinstance(reading, Reading)
    keys = await JwksCache(lambda url: fetch(url, http), world.issuer.clock, on_removal=lambda _: None).keys(
        issuer, decode(reading.event).kid
    )
    return read_feed(reading, keys, issuer, place, now=world.issuer.clock())


async def is_covered(world: World, token: str) -> bool:
    verifier = Verifier(
        [TrustedIssuer(world.issuer.url)], BROKER, lambda url: fetch(url, world.http), world.issuer.clock
    )
    return (await heard(world)).covers(await verifier.verify(AccessToken(token)))


async def taken_back(world: World, number: int) -> list[str]:
    tokens = [await world.login() for _ in range(number)]
    for one in tokens:
        assert (await world.web.post("/revoke", ("token", one["refresh_token"]))).status_code == 200
    return [one["access_token"] for one in tokens]


async def test_what_is_one_too_many_to_be_named_is_still_revoked(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MAX_LISTED", 2)
    tokens = await taken_back(own, 4)
    assert len((await heard(own)).tokens) == 2
    assert [await is_covered(own, one) for one in tokens] == [True] * 4


async def test_who_signs_in_after_a_mass_revocation_is_let_in(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MAX_LISTED", 1)
    await taken_back(own, 3)
    own.issuer.clock.ahead = 2
    assert not await is_covered(own, (await own.login())["access_token"])


async def test_as_many_as_are_named_need_no_moment(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MAX_LISTED", 2)
    bystander = (await own.login())["access_token"]
    tokens = await taken_back(own, 2)
    assert (await heard(own)).before is None
    assert [await is_covered(own, one) for one in (*tokens, bystander)] == [True, True, False]


async def test_mass_revocation_ten_thousand_at_once_fit_one_reading_that_covers_them_all(own: World) -> None:
    now = own.issuer.clock()
    ends = {f"s-{number:020}": now - number / 1000 for number in range(10_000)}
    write_ended(own.issuer, ends)
    revoked = await heard(own)
    assert len(revoked.sessions) == len(revoked.tokens) == revocations.MAX_LISTED
    assert all(revoked.covers_login(sid, (), at) for sid, at in ends.items())
    assert not revoked.covers_login("s-another", (), now)


async def test_a_token_s_own_revocation_and_its_family_s_are_one_entry(own: World) -> None:
    tokens = await own.login()
    for name in ("access_token", "refresh_token"):
        assert (await own.web.post("/revoke", ("token", tokens[name]))).status_code == 200
    listed = json.loads((await own.http.get(f"{own.issuer.url}/revocations")).json()["revoked"])
    assert listed["tokens"] == [decode(tokens["access_token"]).claims["jti"]]


def write_ended(issuer: Issuer, ends: dict[str, float]) -> None:
    """Sessions that ended, each with a token that was taken back then."""
    live = issuer.clock() + 300
    sessions = [
        {"digest": sid, "sid": sid, "subject": "x", "auth_time": 1, "expires": live, "ended": at}
        for sid, at in ends.items()
    ]
    tokens = [{"jti": f"t{sid}", "client_id": "x", "expires": live, "revoked": at} for sid, at in ends.items()]
    store = Store(issuer.settings.path)
    with store.transaction():
        store._within.execute(insert(schema.sessions), sessions)
        store._within.execute(insert(schema.tokens), tokens)
    store.close()
