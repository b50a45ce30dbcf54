"""FinPort on a Keycloak, by the two files that `stead idp setup` writes and by nothing else."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import yaml

from stead.demo.idp import keycloak as realm
from stead.demo.idp.demand import demand_of
from stead.demo.network.addresses import network_of
from stead.identity.connections import connected
from stead.identity.home import Home, public_jwk
from stead.identity.settings import Settings
from stead.identity.types import Json
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.providers.desk import Desk
from tests.providers.keycloak import free_issuer, keycloak

SECOND_FACTOR = "a-secret-of-this-test"
NAMED = {"users": "username", "clients": "clientId", "clientScopes": "name"}


@dataclass
class Elsewhere:
    """A network whose people and workloads are known to somebody else's provider."""

    issuer: str
    finport: FinPort


def with_more(written: Json, home: Home) -> Json:
    """What FinPort's own network does not have: Carol has a second factor, and an assistant has to be consented to."""
    users, clients, scopes = ({one[key]: one for one in written[kind]} for kind, key in NAMED.items())
    factor = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}
    secret = {"secretData": json.dumps({"value": SECOND_FACTOR}), "credentialData": json.dumps(factor)}
    users["carol"]["credentials"].append({"type": "otp", **secret})
    scopes["portfolio:read"]["attributes"]["display.on.consent.screen"] = "true"
    heard = {**scopes["broker:ask"]["protocolMappers"][0], "name": "audience assistant"}
    heard["config"] = {**heard["config"], "included.client.audience": "assistant"}
    scopes["broker:ask"]["protocolMappers"].append(heard)
    broker = clients["broker"]
    keys = json.dumps({"keys": [public_jwk(home.key("assistant"))]})
    assistant = {
        **broker,
        "clientId": "assistant",
        "name": "An assistant",
        "consentRequired": True,
        "standardFlowEnabled": True,
        "redirectUris": [f"{home.network.web}/callback"],
        "attributes": {**broker["attributes"], "jwks.string": keys},
    }
    again = {"attributes": {**written["attributes"], "realmReusableOtpCode": "true"}, "otpPolicyCodeReusable": True}
    return {**written, **again, "clients": [*written["clients"], assistant]}


@pytest.fixture(scope="session")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("keycloak")
    home, issuer = Home(folder / "home"), free_issuer()
    network_of(home)
    demand = demand_of(home, issuer)
    (home.folder(".") / "stead.yaml").write_text(yaml.safe_dump(realm.settings_of(demand, issuer)))
    async with keycloak(issuer, json.dumps(with_more(realm.realm_of(demand, issuer), home)), folder):
        finport = start_network(home.path)
        try:
            yield Elsewhere(issuer, finport)
        finally:
            stop_network(finport)


@pytest.fixture
async def desk(elsewhere: Elsewhere) -> AsyncIterator[Desk]:
    home = elsewhere.finport.home
    settings = Settings.load(home)
    web = settings.described(elsewhere.issuer).client_named("finport-web", home)
    async with (
        httpx.AsyncClient(trust_env=False) as browser,
        connected(web, home.key("proof"), settings, time.time, lambda _: web) as open_,
    ):

        async def as_on_loopback(_: httpx.Response) -> None:
            """Browsers send secure cookies to loopback addresses without TLS; httpx does not."""
            for cookie in browser.cookies.jar:
                cookie.secure = False

        browser.event_hooks["response"].append(as_on_loopback)
        yield Desk(elsewhere, settings, await open_.providers.metadata(elsewhere.issuer), open_, browser)
