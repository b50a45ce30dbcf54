"""What `stead idp setup auth0` writes is taken by Auth0's Management API, and a request crosses the network by it."""

import copy
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from stead.demo.cli import idp
from stead.demo.idp import auth0
from stead.demo.idp.demand import demand_of
from stead.demo.network.addresses import network_of
from stead.identity.certificates import certified
from stead.identity.clock import system_clock
from stead.identity.driver import drive
from stead.identity.errors import AccessDenied, InvalidGrant, InvalidRequest, InvalidScope
from stead.identity.flows import TokenSet, begin, redeem, renew, validate_callback
from stead.identity.flows.entra import SIGNING_IN
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import Grant
from tests.parts.vendors.auth0_tenant import PERSON, Auth0Tenant
from tests.parts.vendors.vendor import serving
from tests.providers.auth0 import applied, written
from tests.providers.settled import Settled


@dataclass
class Town(Settled):
    """A tenant that was set up by the script, and the workloads that live on it by the settings that it wrote."""

    tenant: Auth0Tenant
    folder: Path

    @property
    def issuer(self) -> str:
        return self.tenant.issuer

    def app(self, name: str) -> str:
        return str(self.described.clients[name].client_id)

    async def sign_in(self) -> TokenSet:
        network, web = self.home.network, await self.of("finport-web")
        client = self.described.client_named("finport-web", self.home)
        metadata = await web.providers.metadata(self.tenant.issuer)
        scopes, extra = (*SIGNING_IN, "broker:ask", "registry:admin"), {"audience": network.broker}
        pending = begin(client, metadata, redirect_uri=f"{network.web}/callback", scopes=scopes, extra=extra)
        back = await web.bare.get(pending.url, follow_redirects=False)
        assert back.status_code == 307, back.text
        code = validate_callback(pending, httpx.URL(back.headers["location"]).params.multi_items())
        flow = redeem(client, metadata, pending, code, now=system_clock(), algorithms=("RS256",))
        return await drive(flow, web.bare)

    async def renewed(self, tokens: TokenSet, audience: str) -> TokenSet:
        web = await self.of("finport-web")
        client = self.described.client_named("finport-web", self.home)
        assert tokens.refresh_token is not None
        metadata = await web.providers.metadata(self.tenant.issuer)
        flow = renew(client, metadata, tokens.refresh_token, now=time.time(), resource=audience, target_by="audience")
        return await drive(flow, web.bare)


@pytest.fixture(scope="module")
async def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Auth0Tenant, Path]:
    """The script's first run, of which each test has a copy."""
    folder = tmp_path_factory.mktemp("auth0")
    tenant, home = Auth0Tenant(), Home(folder / "home")
    network_of(home)
    async with serving(tenant):
        written(home, tenant.issuer, folder)
        assert await applied(tenant, folder) == (0, "")
    return home, tenant, folder


@pytest.fixture
async def town(first_run: tuple[Home, Auth0Tenant, Path], tmp_path: Path) -> AsyncIterator[Town]:
    home, former, folder = first_run
    tenant = Auth0Tenant(
        roles_of=frozenset({"finport-customer"}),
        made=copy.deepcopy(former.made),
        permissions=copy.deepcopy(former.permissions),
    )
    async with serving(tenant), AsyncExitStack() as open_:
        for file in ("auth0-setup.sh", "stead.yaml"):
            (tmp_path / file).write_text((folder / file).read_text().replace(former.origin, tenant.origin))
        settings = Settings(**yaml.safe_load((tmp_path / "stead.yaml").read_text()))
        yield Town(home, settings, open_, tenant, tmp_path)


async def test_a_person_an_agent_an_agent_and_a_tool_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, (await town.sign_in()).access_token)
    at_agent = await town.hop("broker", network.agents["portfolio"], "portfolio:read", at_broker)
    at_tool = await town.hop("portfolio-agent", network.mcp_servers["holdings"], "holdings:read", at_agent)
    assert [(one.subject, one.client_id, one.grant, one.chain) for one in (at_broker, at_agent, at_tool)] == [
        (PERSON, town.app("finport-web"), Grant.LOGIN, ()),
        (PERSON, town.app("broker"), Grant.OBO, (town.app("broker"),)),
        (PERSON, town.app("portfolio-agent"), Grant.OBO, (town.app("portfolio-agent"), town.app("broker"))),
    ]
    assert at_tool.chain_from == "token"
    assert "registry:admin" not in at_broker.scopes


async def test_services_go_as_themselves_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_agent = await town.hop("broker", network.agents["market_data"], "market:read", None)
    at_tool = await town.hop("market-data-agent", network.mcp_servers["quotes"], "quotes:read", None)
    assert (at_agent.is_service, at_tool.is_service) == (True, True)


async def test_one_login_is_renewed_for_the_trail_too(town: Town) -> None:
    trail = town.home.network.trail
    seen = await town.seen_at(trail, (await town.renewed(await town.sign_in(), trail)).access_token)
    assert (seen.subject, seen.grant) == (PERSON, Grant.LOGIN)
    assert "trail:read" in seen.scopes
    assert "audit:read" not in seen.scopes


async def test_a_person_without_the_role_gets_no_token_for_the_right(town: Town) -> None:
    transfer = town.home.network.agents["transfer"]
    at_broker = await town.seen_at(town.home.network.broker, (await town.sign_in()).access_token)
    with pytest.raises(InvalidScope):
        await town.hop("broker", transfer, "transfer:create", at_broker)
    town.tenant.roles_of |= {"finport-payer"}
    assert "transfer:create" in (await town.hop("broker", transfer, "transfer:create", at_broker)).scopes


async def test_a_workload_that_has_no_edge_to_a_service_gets_no_token_for_it(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, (await town.sign_in()).access_token)
    with pytest.raises(AccessDenied):
        await town.hop("broker", network.mcp_servers["holdings"], "holdings:read", at_broker)
    with pytest.raises(AccessDenied):
        await town.hop("portfolio-agent", network.agents["market_data"], "market:read", None)


async def test_an_agent_cannot_go_on_with_a_token_that_was_meant_for_another(town: Town) -> None:
    at_broker = await town.seen_at(town.home.network.broker, (await town.sign_in()).access_token)
    with pytest.raises(InvalidGrant):
        await town.hop("portfolio-agent", town.home.network.mcp_servers["holdings"], "holdings:read", at_broker)


async def test_a_key_that_is_not_registered_proves_nothing(town: Town, tmp_path: Path) -> None:
    trail, town.home = town.home.network.trail, Home(tmp_path / "thief")
    with pytest.raises(AccessDenied):
        await town.hop("broker", trail, "audit:write", None)


async def test_run_again_it_makes_nothing_and_changes_nothing(town: Town) -> None:
    before, text = copy.deepcopy(town.tenant.made), (town.folder / "stead.yaml").read_text()
    town.tenant.asked.clear()
    assert await applied(town.tenant, town.folder) == (0, "")
    made = [one for one in town.tenant.asked if one.startswith("POST") and not one.endswith("/permissions")]
    assert (made, town.tenant.made) == ([], before)
    assert (town.folder / "stead.yaml").read_text() == text


async def test_run_again_it_mends_what_somebody_changed(town: Town) -> None:
    web = town.tenant.made["clients"][town.app("finport-web")]
    web["callbacks"].append("https://evil.example/")
    grant = next(one for one in town.tenant.made["client-grants"].values() if one["scope"] == ["portfolio:read"])
    grant["scope"] = []
    assert await applied(town.tenant, town.folder) == (0, "")
    assert web["callbacks"] != town.tenant.made["clients"][town.app("finport-web")]["callbacks"]
    await test_a_person_an_agent_an_agent_and_a_tool_by_what_was_written(town)


async def test_a_script_that_is_refused_stops_there_and_says_where(town: Town) -> None:
    (town.folder / "stead.yaml").unlink()
    script = town.folder / "auth0-setup.sh"
    script.write_text(script.read_text().replace('"oidc_conformant": true', '"oidc_conformant": "yes"', 1))
    status, said = await applied(town.tenant, town.folder)
    assert status != 0
    assert "PATCH clients/" in said
    assert "oidc_conformant" in said
    assert not (town.folder / "stead.yaml").exists()


def test_what_is_written_holds_no_private_key(first_run: tuple[Home, Auth0Tenant, Path]) -> None:
    home, _, folder = first_run
    text = (folder / "auth0-setup.sh").read_text() + (folder / "stead.yaml").read_text()
    assert "PRIVATE" not in text
    for name in ("broker", "finport-web"):
        assert str(certified(home, name).key.as_dict(private=True)["d"]) not in text


@pytest.mark.parametrize("issuer", ["https://acme.auth0.com", "https://acme.auth0.com/v2/", "acme.auth0.com/"])
def test_an_issuer_that_is_no_tenants_is_refused(issuer: str, first_run: tuple[Home, Auth0Tenant, Path]) -> None:
    with pytest.raises(InvalidRequest):
        auth0.script_of(demand_of(first_run[0], issuer), issuer, {})


def test_the_command_writes_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_HOME", str(tmp_path / "home"))
    idp.setup("auth0", "https://acme.auth0.com/", tmp_path / "auth0", json=True)
    assert [file.name for file in (tmp_path / "auth0").iterdir()] == ["auth0-setup.sh"]
    assert "TENANT=https://acme.auth0.com\n" in (tmp_path / "auth0" / "auth0-setup.sh").read_text()
