"""How long things last is the operator's word, inside bounds; renewing never prolongs what came of one sign-in."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.lifetime_settings import LifetimeSettings
from stead.identity.settings import Settings
from tests.server.issuers import BROKER, PORTFOLIO, corporate_seed, issuer_of
from tests.server.parties import claims_of
from tests.server.world import World

WANTED = LifetimeSettings(access=200, audiences={PORTFOLIO: 40}, refresh=1000, refresh_idle=400)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, http: httpx.AsyncClient) -> AsyncIterator[World]:
    home = Home(tmp_path_factory.mktemp("lifetimes") / "home")
    seeded = lambda url: corporate_seed(home, url)  # noqa: E731
    async with issuer_of(home, "corporate", "FinPort Identity", seeded, **WANTED.of_server()) as issuer:
        yield World(issuer, http)


@pytest.fixture(autouse=True)
def now(world: World) -> None:
    world.issuer.clock.ahead = 0


def seconds(token: str) -> int:
    claims = claims_of(token)
    return int(claims["exp"] - claims["iat"])


async def renewed(world: World, tokens: dict[str, Any]) -> httpx.Response:
    form = ("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"])
    return await world.web.token(*form)


async def test_an_access_token_lasts_as_its_audience_says(world: World) -> None:
    tokens = await world.login()
    hop = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
    assert (seconds(tokens["access_token"]), seconds(hop["access_token"])) == (200, 40)
    assert hop["expires_in"] == 40


async def test_a_refresh_token_that_nobody_used_is_void(world: World) -> None:
    tokens = await world.login()
    world.issuer.clock.ahead = WANTED.refresh_idle + 1
    assert (await renewed(world, tokens)).json()["error"] == "invalid_grant"


async def test_renewing_keeps_a_sign_in_alive_but_never_past_its_end(world: World) -> None:
    tokens = await world.login()
    end = WANTED.refresh + WANTED.code
    for ahead in range(300, 3000, 300):
        world.issuer.clock.ahead = ahead
        answer = await renewed(world, tokens)
        if answer.status_code != 200:
            break
        tokens = answer.json()
    assert answer.json()["error"] == "invalid_grant"
    assert end - 300 < ahead - 300 <= end < ahead


@pytest.mark.parametrize(
    "lifetimes",
    [
        {"access": 901},
        {"access": 0},
        {"audiences": {BROKER: 3600}},
        {"code": 3600},
        {"consent": 86_400},
        {"refresh": 10**9},
        {"refresh_idle": -1},
        {"acess": 300},
    ],
    ids=str,
)
def test_a_lifetime_that_is_not_safe_is_refused(lifetimes: dict[str, Any], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    (home.path / "stead.yaml").write_text(f"lifetimes: {lifetimes}")
    with pytest.raises(ConfigurationError, match="lifetimes"):
        Settings.load(home)
