"""One running FinPort for all journeys."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.journeys.finport import FinPort, start_network, stop_network


@pytest.fixture(scope="session")
def finport(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """The network that the journeys share."""
    network = start_network(tmp_path_factory.mktemp("finport") / "home")
    yield network
    stop_network(network)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client without any identity."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client
