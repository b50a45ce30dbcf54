"""What strangers and neighbours can do to the issuer's database: fill it, or hold it."""

import sqlite3
from collections.abc import AsyncIterator

import httpx
import pytest

from stead.identity.home import Home
from stead.identity.server import browser, store
from tests.server.issuers import BROKER, corporate_seed, issuer_of
from tests.server.parties import Login
from tests.server.world import World


@pytest.fixture
async def small_world(
    tmp_path_factory: pytest.TempPathFactory, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """An issuer of its own, impatient and with little room."""
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    monkeypatch.setattr(browser, "MOST_INTERACTIONS", 20)
    home = Home(tmp_path_factory.mktemp("small") / "home")
    async with issuer_of(home, "corporate", "Small", lambda url: corporate_seed(home, url)) as issuer:
        yield World(issuer, http)


async def test_a_locked_database_is_told_as_busy_and_nothing_is_lost(small_world: World) -> None:
    neighbour = sqlite3.connect(small_world.issuer.settings.path, isolation_level=None)
    neighbour.execute("BEGIN IMMEDIATE")
    form = [("grant_type", "client_credentials"), ("resource", small_world.issuer.url), ("scope", "edges:read")]
    form += small_world.broker.authentication()
    busy = await small_world.broker.send("/token", form)
    assert (busy.status_code, busy.json()["error"]) == (503, "temporarily_unavailable")
    assert busy.headers["retry-after"] == "1"
    neighbour.execute("ROLLBACK")
    neighbour.close()
    again = await small_world.broker.send("/token", form)
    # The same assertion: a call that did nothing did not spend it either.
    assert again.status_code == 200


async def test_requests_that_strangers_begin_are_bounded_and_the_newest_goes_on(small_world: World) -> None:
    for _ in range(60):
        parameters = dict(Login().parameters(small_world.web, "openid broker:ask", BROKER))
        await small_world.http.get(f"{small_world.issuer.url}/authorize", params=parameters, follow_redirects=False)
    reader = sqlite3.connect(small_world.issuer.settings.path)
    assert reader.execute("SELECT count(*) FROM interactions").fetchone()[0] <= 20
    reader.close()
    assert (await small_world.login())["access_token"]
