"""What `stead idp setup okta` writes is taken by Okta's API, and a person's request crosses the network by it alone."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from stead.demo.cli import idp
from stead.demo.idp import okta
from stead.demo.idp.demand import Demand, demand_of
from stead.demo.network.addresses import network_of
from stead.identity.clock import system_clock
from stead.identity.driver import drive
from stead.identity.errors import AccessDenied, InvalidRequest
from stead.identity.flows import begin, redeem, validate_callback
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Grant
from tests.parts.vendors.okta_org import OktaOrg
from tests.parts.vendors.vendor import serving
from tests.providers.settled import Settled


@dataclass
class Town(Settled):
    """An organization that was set up by the script, and the workloads that live on it by the settings."""

    org: OktaOrg
    demand: Demand

    @property
    def issuer(self) -> str:
        return self.org.issuer

    async def sign_in(self) -> AccessToken:
        login, web = self.settings.login, await self.of("finport-web")
        assert login is not None
        client, metadata = login.client(self.home), await web.providers.metadata(login.issuer)
        pending = begin(client, metadata, redirect_uri=f"{self.home.network.web}/callback", scopes=login.scopes)
        back = await web.bare.get(pending.url, follow_redirects=False)
        code = validate_callback(pending, httpx.URL(back.headers["location"]).params.multi_items())
        flow = redeem(client, metadata, pending, code, now=system_clock(), algorithms=login.algorithms)
        return (await drive(flow, web.bare)).access_token


async def applied(script: str, token: str, folder: Path) -> tuple[int, str]:
    """The script as an administrator runs it."""
    (folder / "token").write_text(token)
    (folder / "okta-setup.sh").write_text(script)
    ran = await asyncio.create_subprocess_exec(
        "sh",
        str(folder / "okta-setup.sh"),
        env={"PATH": "/usr/bin:/bin", "OKTA_TOKEN_FILE": str(folder / "token")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    return ran.returncode or 0, (out + err).decode()


@pytest.fixture(scope="module")
async def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, OktaOrg]:
    """The script's first run, of which each test has a copy."""
    folder = tmp_path_factory.mktemp("okta")
    org, home = OktaOrg(), Home(folder / "home")
    network_of(home)
    async with serving(org):
        script = okta.script_of(demand_of(home, org.issuer), org.issuer)
        assert await applied(script, org.token_of_admin, folder) == (0, "")
    return home, org


@pytest.fixture
async def town(first_run: tuple[Home, OktaOrg]) -> AsyncIterator[Town]:
    home, former = first_run
    org = OktaOrg(
        member_of=frozenset({"customer"}),
        made=copy.deepcopy(former.made),
        assigned=set(former.assigned),
        audiences=former.audiences,
    )
    async with serving(org), AsyncExitStack() as open_:
        demand = demand_of(home, org.issuer)
        settings = Settings(**yaml.safe_load(yaml.safe_dump(okta.settings_of(demand, org.issuer))))
        yield Town(home, settings, open_, org, demand)


async def test_a_person_an_agent_an_agent_and_a_tool_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, await town.sign_in())
    at_agent = await town.hop("broker", network.agents["portfolio"], "portfolio:read", at_broker)
    at_tool = await town.hop("portfolio-agent", network.mcp_servers["holdings"], "holdings:read", at_agent)
    assert [(one.subject, one.client_id, one.grant) for one in (at_broker, at_agent, at_tool)] == [
        ("alice@finport.example", "finport-web", Grant.LOGIN),
        ("alice@finport.example", "broker", Grant.OBO),
        ("alice@finport.example", "portfolio-agent", Grant.OBO),
    ]
    assert at_tool.actor is not None
    assert at_tool.actor.subject == "portfolio-agent"
    assert at_tool.scopes == {"holdings:read"}


async def test_services_go_as_themselves_by_what_was_written(town: Town) -> None:
    network = town.home.network
    at_agent = await town.hop("broker", network.agents["market_data"], "market:read", None)
    at_tool = await town.hop("market-data-agent", network.mcp_servers["quotes"], "quotes:read", None)
    assert (at_agent.is_service, at_tool.is_service) == (True, True)


async def test_a_person_outside_the_group_gets_no_token_for_the_right(town: Town) -> None:
    at_broker = await town.seen_at(town.home.network.broker, await town.sign_in())
    transfer = town.home.network.agents["transfer"]
    with pytest.raises(AccessDenied):
        await town.hop("broker", transfer, "transfer:create", at_broker)
    town.org.member_of = frozenset({"customer", "payer"})
    assert (await town.hop("broker", transfer, "transfer:create", at_broker)).scopes == {"transfer:create"}


async def test_an_agent_that_has_no_edge_to_a_service_gets_no_token_for_it(town: Town) -> None:
    network = town.home.network
    at_broker = await town.seen_at(network.broker, await town.sign_in())
    with pytest.raises(AccessDenied):
        await town.hop("broker", network.mcp_servers["holdings"], "holdings:read", at_broker)


async def test_run_again_it_makes_nothing_and_changes_nothing(town: Town, tmp_path: Path) -> None:
    before = copy.deepcopy((town.org.made, town.org.assigned))
    town.org.asked.clear()
    assert await applied(okta.script_of(town.demand, town.org.issuer), town.org.token_of_admin, tmp_path) == (0, "")
    assert not [one for one in town.org.asked if one.startswith("POST")]
    assert (town.org.made, town.org.assigned) == before


async def test_run_again_it_mends_what_somebody_changed_and_makes_what_is_gone(town: Town, tmp_path: Path) -> None:
    made = town.org.made
    next(iter(made["claims"].values()))["value"] = ".*"
    rule = next(key for key, one in made["rules"].items() if "portfolio:read" in one["conditions"]["scopes"]["include"])
    del made["rules"][rule]
    web = next(one for one in made["apps"].values() if one["as"] == "finport-web")
    web["settings"]["oauthClient"]["redirect_uris"].append("https://evil.example/")
    assert await applied(okta.script_of(town.demand, town.org.issuer), town.org.token_of_admin, tmp_path) == (0, "")
    assert next(iter(made["claims"].values()))["value"].startswith("^(")
    assert "https://evil.example/" not in json.dumps(made)
    await test_a_person_an_agent_an_agent_and_a_tool_by_what_was_written(town)


async def test_somebody_elses_things_of_a_similar_name_are_left_alone(town: Town, tmp_path: Path) -> None:
    own = next(iter(town.org.made["groups"].values()))
    theirs = {**own, "profile": {**own["profile"], "name": own["as"] + "s"}, "as": own["as"] + "s"}
    town.org.made["groups"] = {"00gtheirs": {**theirs, "title": theirs["as"]}, **town.org.made["groups"]}
    before = copy.deepcopy(town.org.made)
    assert await applied(okta.script_of(town.demand, town.org.issuer), town.org.token_of_admin, tmp_path) == (0, "")
    assert town.org.made == before


async def test_a_script_that_is_refused_stops_there_and_says_where(town: Town, tmp_path: Path) -> None:
    script = okta.script_of(town.demand, town.org.issuer).replace('"consent": "IMPLICIT"', '"consent": "ALWAYS"', 1)
    status, said = await applied(script, town.org.token_of_admin, tmp_path)
    assert status != 0
    assert "PUT authorizationServers/" in said
    assert "Api validation failed: scope" in said
    status, said = await applied(script, "00-nobody", tmp_path)
    assert status != 0
    assert "Invalid token provided" in said
    assert "00-nobody" not in said


async def test_what_is_written_is_the_same_each_time_and_holds_no_private_key(town: Town) -> None:
    script, settings = okta.script_of(town.demand, town.org.issuer), okta.settings_of(town.demand, town.org.issuer)
    again = demand_of(town.home, town.org.issuer)
    assert (okta.script_of(again, town.org.issuer), okta.settings_of(again, town.org.issuer)) == (script, settings)
    private = [str(town.home.key(one.client_id).as_dict(private=True)["d"]) for one in town.demand.clients if one.key]
    assert private
    assert not [one for one in private if one in script or one in json.dumps(settings)]


@pytest.mark.parametrize("issuer", ["https://acme.okta.com", "https://acme.okta.com/oauth2/a';id;'", "/oauth2/aus1"])
def test_an_issuer_that_is_no_custom_authorization_server_is_refused(issuer: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    network_of(home)
    with pytest.raises(InvalidRequest):
        okta.script_of(demand_of(home, issuer), issuer)


def test_the_command_writes_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_HOME", str(tmp_path / "home"))
    issuer, out = "https://acme.okta.com/oauth2/aus1", tmp_path / "okta"
    idp.setup("okta", issuer, out, json=True)
    assert sorted(file.name for file in out.iterdir()) == ["okta-setup.sh", "stead.yaml"]
    assert Settings.model_validate(yaml.safe_load((out / "stead.yaml").read_text())).issuer == issuer
    assert "ORG=https://acme.okta.com\nSERVER=aus1\n" in (out / "okta-setup.sh").read_text()
