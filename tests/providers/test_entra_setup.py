"""What `stead idp setup entra` writes is taken by Microsoft Graph, and a person's request crosses the network by it."""

import copy
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from stead.demo.cli import idp
from stead.demo.idp import entra
from stead.demo.idp.demand import demand_of
from stead.demo.network import addresses
from stead.demo.network.addresses import network_of
from stead.identity.certificates import certified
from stead.identity.clock import system_clock
from stead.identity.driver import drive
from stead.identity.egress import Target
from stead.identity.errors import AccessDenied, ConsentRequired, GrantRefused, IdentityError, InvalidRequest
from stead.identity.flows import begin, redeem, validate_callback
from stead.identity.flows.entra import SIGNING_IN, long_names, renew
from stead.identity.flows.wire import TokenSet
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import Grant
from stead.identity.workload import Workload
from tests.parts.vendors.entra import ALICE, TENANT
from tests.parts.vendors.entra_tenant import EntraTenant
from tests.parts.vendors.graph import Directory
from tests.parts.vendors.vendor import serving
from tests.providers.entra import applied, written
from tests.providers.settled import Settled


@dataclass
class Town(Settled):
    """A tenant that was set up by the script, and the workloads that live on it by the settings that it wrote."""

    tenant: EntraTenant
    folder: Path

    @property
    def issuer(self) -> str:
        return self.tenant.issuer

    def named(self, address: str, *scopes: str) -> tuple[str, ...]:
        return long_names(self.described.audiences[address], scopes)

    async def sign_in(self, *more: str) -> TokenSet:
        network, web = self.home.network, await self.of("finport-web")
        client, metadata = (
            self.described.client_named("finport-web", self.home),
            await web.providers.metadata(self.tenant.issuer),
        )
        broker = (*SIGNING_IN, *self.named(network.broker, "broker:ask"))
        pending = begin(client, metadata, redirect_uri=f"{network.web}/callback", scopes=(*broker, *more))
        back = await web.bare.get(pending.url, follow_redirects=False)
        assert back.status_code == 307, back.text
        code = validate_callback(pending, httpx.URL(back.headers["location"]).params.multi_items())
        flow = redeem(client, metadata, pending, code, now=system_clock(), scopes=broker, algorithms=("RS256",))
        return await drive(flow, web.bare)

    async def renewed(self, tokens: TokenSet, *scopes: str) -> TokenSet:
        web, client = await self.of("finport-web"), self.described.client_named("finport-web", self.home)
        assert tokens.refresh_token is not None
        metadata = await web.providers.metadata(self.tenant.issuer)
        return await drive(renew(client, metadata, tokens.refresh_token, scopes=scopes, now=time.time()), web.bare)

    def app(self, name: str) -> str:
        return str(self.described.clients[name].client_id)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Who signs people in is on 127.0.0.1, the only address to which Entra sends a browser without TLS."""
    home = Home(tmp_path_factory.mktemp("entra") / "home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(addresses._HOSTS, "agents.transfer", "127.0.0.1")
        network_of(home)
    return home


@pytest.fixture(scope="module")
async def first_run(settled: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[EntraTenant, Path]:
    """The script's first run, of which each test has a copy."""
    tenant, folder = EntraTenant(), tmp_path_factory.mktemp("first-run")
    async with serving(tenant):
        written(settled, tenant.issuer, folder)
        assert await applied(tenant, folder) == (0, "")
    return tenant, folder


@pytest.fixture
async def town(settled: Home, first_run: tuple[EntraTenant, Path], tmp_path: Path) -> AsyncIterator[Town]:
    former, folder = first_run
    tenant = EntraTenant(
        member_of=frozenset({"lunch-club", "finport-customer"}), directory=copy.deepcopy(former.directory)
    )
    async with serving(tenant), AsyncExitStack() as open_:
        for file in ("entra-setup.sh", "stead.yaml"):
            (tmp_path / file).write_text((folder / file).read_text().replace(former.origin, tenant.origin))
        settings = Settings(**yaml.safe_load((tmp_path / "stead.yaml").read_text()))
        yield Town(settled, settings, open_, tenant, tmp_path)


async def test_a_person_an_agent_an_agent_and_a_tool_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, (await town.sign_in()).access_token)
    at_agent = await town.hop("broker", network.agents["portfolio"], "portfolio:read", at_broker)
    at_tool = await town.hop("portfolio-agent", network.mcp_servers["holdings"], "holdings:read", at_agent)
    assert [(one.subject, one.client_id, one.grant) for one in (at_broker, at_agent, at_tool)] == [
        (ALICE, town.app("finport-web"), Grant.LOGIN),
        (ALICE, town.app("broker"), Grant.OBO),
        (ALICE, town.app("portfolio-agent"), Grant.OBO),
    ]
    assert [sorted(one.scopes) for one in (at_broker, at_agent, at_tool)] == [
        ["broker:ask"],
        ["portfolio:read"],
        ["holdings:read"],
    ]


async def test_services_go_as_themselves_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_agent = await town.hop("broker", network.agents["market_data"], "market:read", None)
    at_tool = await town.hop("market-data-agent", network.mcp_servers["quotes"], "quotes:read", None)
    assert (at_agent.is_service, at_tool.is_service) == (True, True)
    assert [sorted(one.scopes) for one in (at_agent, at_tool)] == [["market:read"], ["quotes:read"]]


async def test_one_login_is_renewed_for_the_trail_too(town: Town) -> None:
    trail = town.home.network.trail
    wanted = town.named(trail, "trail:read")
    second = await town.renewed(await town.sign_in(*wanted), *wanted)
    assert second.scope == {"trail:read"}
    seen = await town.seen_at(trail, second.access_token)
    assert (seen.subject, sorted(seen.scopes), seen.grant) == (ALICE, ["trail:read"], Grant.LOGIN)


async def test_run_again_it_changes_nothing(town: Town) -> None:
    before, text = copy.deepcopy(town.tenant.directory), (town.folder / "stead.yaml").read_text()
    assert await applied(town.tenant, town.folder) == (0, "")
    after = town.tenant.directory
    for kind in ("applications", "principals", "groups", "grants", "assignments"):
        assert getattr(after, kind) == getattr(before, kind), kind
    assert (town.folder / "stead.yaml").read_text() == text


async def test_run_again_it_mends_what_somebody_changed(town: Town) -> None:
    directory = town.tenant.directory
    directory.applications["finport-broker"]["web"] = {"redirectUris": ["https://evil.example/"]}
    grant = next(one for one in directory.grants.values() if one["scope"].startswith("broker:ask"))
    grant["scope"] = "broker:ask"
    taken = next(key for key, one in directory.assignments.items() if one["principalType"] == "User")
    del directory.assignments[taken]
    assert await applied(town.tenant, town.folder) == (0, "")
    assert directory.applications["finport-broker"]["web"] == {"redirectUris": []}
    assert grant["scope"] == "broker:ask registry:admin"
    assert await town.seen_at(town.home.network.broker, (await town.sign_in()).access_token)


async def test_a_person_without_the_role_gets_no_token_and_one_with_it_does(town: Town) -> None:
    transfer = town.home.network.agents["transfer"]
    at_broker = await town.seen_at(town.home.network.broker, (await town.sign_in()).access_token)
    with pytest.raises(AccessDenied):
        await town.hop("broker", transfer, "transfer:create", at_broker)
    town.tenant.member_of |= {"finport-payer"}
    assert (await town.hop("broker", transfer, "transfer:create", at_broker)).scopes == {"transfer:create"}


async def test_what_everybody_consented_to_is_worth_nothing_without_the_role(town: Town) -> None:
    """Assignment is one lock, ours the other: with Entra's off, the scope is in the token and counts for nothing."""
    broker = town.home.network.broker
    town.tenant.directory.principals[town.app("broker")]["appRoleAssignmentRequired"] = False
    town.tenant.member_of = frozenset({"lunch-club"})
    seen = await town.seen_at(broker, (await town.sign_in()).access_token)
    assert seen.claims["scp"] == "broker:ask"
    assert not seen.scopes


async def test_an_agent_that_has_no_edge_to_a_service_is_not_consented_to(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, (await town.sign_in()).access_token)
    with pytest.raises(ConsentRequired):
        await town.hop("broker", network.mcp_servers["holdings"], "holdings:read", at_broker)
    with pytest.raises(AccessDenied):
        await town.hop("portfolio-agent", network.agents["market_data"], "market:read", None)


async def test_a_certificate_that_is_not_registered_proves_nothing(town: Town, tmp_path: Path) -> None:
    town.home, trail = Home(tmp_path / "thief"), town.home.network.trail
    with pytest.raises(GrantRefused):
        await town.hop("broker", trail, "audit:write", None)


async def test_a_workload_that_its_platform_vouches_for_needs_no_certificate(settled: Home, tmp_path: Path) -> None:
    tenant = EntraTenant()
    cluster, name = RSAKey.generate_key(2048, {"kid": "cluster"}), "system:serviceaccount:finport:market"
    tenant.platforms = {"https://cluster.example": KeySet([cluster])}
    home = Home(tmp_path / "home")
    home.record(settled.network)
    vouched = {"subject": name, "issuer": "https://cluster.example", "jwks_file": "/dev/null"}
    (home.path / "stead.yaml").write_text(yaml.safe_dump({"workloads": {"market-data-agent": vouched}}))
    async with serving(tenant):
        (tmp_path / "entra-setup.sh").write_text(entra.script_of(demand_of(home, tenant.issuer), tenant.issuer, {}))
        assert await applied(tenant, tmp_path) == (0, "")
        claims = {"iss": "https://cluster.example", "sub": name, "exp": int(time.time()) + 600}
        (tmp_path / "projected").write_text(
            jwt.encode({"alg": "RS256", "kid": "cluster"}, {**claims, "aud": ["api://AzureADTokenExchange"]}, cluster)
        )
        said = yaml.safe_load((tmp_path / "stead.yaml").read_text())
        platform = {"file": str(tmp_path / "projected"), "audience": "api://AzureADTokenExchange"}
        (home.path / "stead.yaml").write_text(yaml.safe_dump({**said, "workload_token": platform}))
        async with Workload.open("market-data-agent", home=home, url=home.network.agents["market_data"]) as market:
            quotes = home.network.mcp_servers["quotes"]
            assert await market.exchange(Target(quotes, ("quotes:read",), Grant.S2S), None)


async def test_a_script_that_is_refused_stops_there_and_says_where(town: Town) -> None:
    town.tenant.directory.token_of_admin = "another"
    (town.folder / "stead.yaml").unlink()
    script = town.folder / "entra-setup.sh"
    text = script.read_text()
    script.write_text(text.replace('"requestedAccessTokenVersion": 2', '"requestedAccessTokenVersions": 2'))
    status, said = await applied(town.tenant, town.folder)
    assert status != 0
    assert "PATCH applications(uniqueName='finport-broker') was refused" in said
    assert "Invalid property in api." in said
    assert not (town.folder / "stead.yaml").exists()


async def test_a_token_that_is_not_good_is_refused_and_not_shown(settled: Home, tmp_path: Path) -> None:
    tenant = EntraTenant(directory=Directory(token_of_admin="the-right-one"))
    async with serving(tenant):
        written(settled, tenant.issuer, tmp_path)
        (tmp_path / "wrong").write_text("the-wrong-one")
        status, said = await applied(tenant, tmp_path, GRAPH_TOKEN_FILE=str(tmp_path / "wrong"))
    assert status != 0
    assert "InvalidAuthenticationToken" in said
    assert "the-wrong-one" not in said


async def test_a_permission_that_is_not_wanted_any_more_has_to_be_disabled_by_hand(town: Town) -> None:
    """Entra refuses to drop what is enabled, so that no network loses a right by accident."""
    roles = town.tenant.directory.applications["finport-broker"]["appRoles"]
    roles.append({**roles[0], "id": "11111111-1111-1111-1111-111111111111", "value": "older"})
    status, said = await applied(town.tenant, town.folder)
    assert status != 0
    assert "CannotDeleteOrUpdateEnabledEntitlement" in said


def test_what_is_written_is_the_same_each_time_and_holds_no_private_key(settled: Home, tmp_path: Path) -> None:
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    written(settled, issuer, tmp_path)
    first = (tmp_path / "entra-setup.sh").read_text()
    written(settled, issuer, tmp_path)
    assert (tmp_path / "entra-setup.sh").read_text() == first
    assert "PRIVATE" not in first
    for name in ("broker", "finport-web"):
        assert str(certified(settled, name).key.as_dict(private=True)["d"]) not in first


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0",
        f"https://login.microsoftonline.com/{TENANT}",
        f"https://sts.windows.net/{TENANT}/",
        f"/{TENANT}/v2.0",
    ],
)
def test_an_issuer_that_is_no_tenants_is_refused(issuer: str) -> None:
    with pytest.raises(InvalidRequest):
        entra.tenant_of(issuer)


def test_the_command_writes_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_HOME", str(tmp_path / "home"))
    issuer, out = f"https://login.microsoftonline.com/{TENANT}/v2.0", tmp_path / "entra"
    idp.setup("entra", issuer, out, json=True)
    assert [file.name for file in out.iterdir()] == ["entra-setup.sh"]
    text = (out / "entra-setup.sh").read_text()
    assert f"issuer: {issuer}\n" in text
    assert "# Left out, as Entra sends nobody to another machine without https" in text


async def test_a_no_of_the_tenant_is_one_of_ours(town: Town) -> None:
    at_broker = await town.seen_at(town.home.network.broker, (await town.sign_in()).access_token)
    town.tenant.trouble = {"portfolio:read": "mfa"}
    with pytest.raises(IdentityError) as refused:
        await town.hop("broker", town.home.network.agents["portfolio"], "portfolio:read", at_broker)
    assert refused.value.code == "insufficient_user_authentication"
    assert "eyJ" not in str(refused.value)
