"""Two issuers for all tests; for each test a network of its own that trusts them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from joserfc.jwk import ECKey

from stead.identity.home import Home, Network
from tests.mcp_servers.world import Issuer, World, listening, origin_of, serving


@pytest.fixture(scope="session")
async def issuers() -> AsyncIterator[tuple[Issuer, Issuer]]:
    """A company's provider and a bank's, both running."""
    listeners = listening(), listening()
    corporate, bank = (Issuer(origin_of(each), ECKey.generate_key("P-256")) for each in listeners)
    async with serving(corporate.app(), listeners[0]), serving(bank.app(), listeners[1]):
        yield corporate, bank


@pytest.fixture
async def world(home: Home, issuers: tuple[Issuer, Issuer]) -> AsyncIterator[World]:
    """A network whose record names the two issuers; no server runs yet."""
    corporate, bank = issuers
    home.record(Network("", "", "", corporate.url, bank.url))
    async with AsyncExitStack() as stack:
        yield World(home, corporate, bank, stack)
