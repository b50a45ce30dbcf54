"""FinPort on a Keycloak, by the two files that `stead idp setup` writes and by nothing else."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import yaml

from stead.demo.idp import keycloak as realm
from stead.demo.idp.demand import demand_of
from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.providers.keycloak import free_issuer, keycloak


@dataclass
class Elsewhere:
    """A network whose people and workloads are known to somebody else's provider."""

    issuer: str
    finport: FinPort


@pytest.fixture(scope="session")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("keycloak")
    home, issuer = Home(folder / "home"), free_issuer()
    network_of(home)
    demand = demand_of(home, issuer)
    (home.folder(".") / "stead.yaml").write_text(yaml.safe_dump(realm.settings_of(demand, issuer)))
    async with keycloak(issuer, json.dumps(realm.realm_of(demand, issuer)), folder):
        finport = start_network(home.path)
        try:
            yield Elsewhere(issuer, finport)
        finally:
            stop_network(finport)
