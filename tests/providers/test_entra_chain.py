"""A person, an agent, an agent and a tool on the wire format of Entra: each hop is got with the token before it."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from stead.identity.connections import connected
from stead.identity.egress import Target
from stead.identity.errors import ConsentRequired, InvalidGrant
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import Grant, Principal
from tests.parts.vendors.entra import ALICE, TENANT, Entra
from tests.parts.vendors.vendor import serving
from tests.providers.test_vendors import Town

NAMES = ("broker", "portfolio", "holdings")
ADDRESS = {name: f"https://{name}.example.com" for name in NAMES}
SCOPES = {"broker:ask": "Broker.Ask", "portfolio:read": "Portfolio.Read", "holdings:read": "Holdings.Read"}


def settings_of(issuer: str, folder: Path) -> Settings:
    """Three services and a web, each an application with a secret of its own."""

    def secret(name: str) -> dict[str, object]:
        (folder / name).write_text(f"{name}-secret")
        file = str(folder / name)
        return {"client_id": f"{name}-app", "client_auth": "client_secret_post", "client_secret_file": file}

    described = {
        "issuer": issuer,
        "preset": "entra",
        "required_claims": {"ver": "2.0", "tid": TENANT},
        "login_clients": ["web-app"],
        "audiences": {ADDRESS[name]: f"{name}-app" for name in NAMES},
        "scope_names": SCOPES,
        "clients": {name: secret(name) for name in NAMES},
    }
    scopes = ["openid", "api://broker-app/Broker.Ask"]
    login = {"issuer": issuer, **secret("web"), "scopes": scopes, "algorithms": ["RS256"]}
    return Settings.model_validate({"issuer": issuer, "login": login, "issuers": [described]})


@dataclass
class Chain:
    """The tenant, and whoever goes out."""

    entra: Entra
    settings: Settings
    home: Home
    open_: AsyncExitStack

    async def at(self, name: str) -> Town:
        """The town as this workload sees it."""
        me = self.settings.described(self.entra.issuer).client_named(name, self.home)
        opened = connected(me, self.home.key("proof"), self.settings, time.time, lambda _: me)
        return Town(self.entra, self.settings, self.home, await self.open_.enter_async_context(opened))

    async def hop(self, caller: str, callee: str, scope: str, person: Principal) -> Principal:
        """What the callee sees."""
        town = await self.at(caller)
        target = Target(ADDRESS[callee], (scope,), Grant.OBO)
        return await town.seen_at(ADDRESS[callee], await town.connections.tokens.obtain(target, person))


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    entra = Entra(secrets={f"{name}-app": f"{name}-secret" for name in (*NAMES, "web")})
    async with serving(entra), AsyncExitStack() as open_:
        yield Chain(entra, settings_of(entra.issuer, tmp_path), Home(tmp_path / "home"), open_)


async def signed_in(chain: Chain) -> Principal:
    town = await chain.at("broker")
    return await town.seen_at(ADDRESS["broker"], await town.sign_in())


async def test_the_person_stays_the_person_from_the_web_to_the_tool(chain: Chain) -> None:
    at_broker = await signed_in(chain)
    at_agent = await chain.hop("broker", "portfolio", "portfolio:read", at_broker)
    at_tool = await chain.hop("portfolio", "holdings", "holdings:read", at_agent)
    assert [(one.subject, one.client_id, one.grant, set(one.scopes)) for one in (at_broker, at_agent, at_tool)] == [
        (ALICE, "web-app", Grant.LOGIN, {"broker:ask"}),
        (ALICE, "broker-app", Grant.OBO, {"portfolio:read"}),
        (ALICE, "portfolio-app", Grant.OBO, {"holdings:read"}),
    ]


async def test_an_agent_cannot_go_on_with_a_token_that_was_meant_for_another(chain: Chain) -> None:
    at_broker = await signed_in(chain)
    with pytest.raises(InvalidGrant):
        await chain.hop("portfolio", "holdings", "holdings:read", at_broker)


async def test_consent_that_is_missing_two_hops_down_is_told_as_that(chain: Chain) -> None:
    at_agent = await chain.hop("broker", "portfolio", "portfolio:read", await signed_in(chain))
    chain.entra.trouble = {"Holdings.Read": "consent"}
    with pytest.raises(ConsentRequired):
        await chain.hop("portfolio", "holdings", "holdings:read", at_agent)
