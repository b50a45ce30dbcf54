"""The two issuers, running for the whole session, and what a test does with them."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from stead.identity.home import Home
from tests.server.issuers import Issuer, bank_seed, corporate_seed, issuer_of
from tests.server.world import Bank, World


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("issuers") / "home")


@pytest.fixture(scope="session")
async def corporate_issuer(server_home: Home) -> AsyncIterator[Issuer]:
    async with issuer_of(
        server_home, "corporate", "FinPort Identity", lambda url: corporate_seed(server_home, url)
    ) as one:
        yield one


@pytest.fixture(scope="session")
async def bank_issuer(server_home: Home) -> AsyncIterator[Issuer]:
    async with issuer_of(server_home, "bank", "Northbank", lambda url: bank_seed(server_home)) as one:
        yield one


@pytest.fixture
def corporate(corporate_issuer: Issuer) -> Iterator[Issuer]:
    yield corporate_issuer
    corporate_issuer.clock.ahead = 0


@pytest.fixture
def bank(bank_issuer: Issuer) -> Iterator[Issuer]:
    yield bank_issuer
    bank_issuer.clock.ahead = 0


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def world(corporate: Issuer, http: httpx.AsyncClient) -> World:
    return World(corporate, http)


@pytest.fixture
def northbank(bank: Issuer, http: httpx.AsyncClient) -> Bank:
    return Bank(bank, http)
