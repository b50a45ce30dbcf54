"""One network with a running broker for all tests that need one."""

from collections.abc import AsyncIterator

import pytest

from stead.identity.home import Home
from tests.broker.notes import notes_app
from tests.broker.world import Person, World, answering, network_of


@pytest.fixture(scope="session")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    home = Home(tmp_path_factory.mktemp("broker") / "home")
    async with network_of(home, notes=notes_app) as world:
        yield world


@pytest.fixture
async def world(network: World) -> AsyncIterator[World]:
    """The network, with agents that answer at once and have heard nothing yet."""
    for stub in network.agents.values():
        stub.run, stub.lose_answers = answering, 0
        for heard in (stub.calls, stub.seen, stub.looks):
            heard.clear()
    yield network
    for stub in network.agents.values():
        for task in list(stub.running):
            task.cancel()


@pytest.fixture
async def alice(world: World) -> Person:
    return await world.person("alice")


@pytest.fixture
async def bob(world: World) -> Person:
    return await world.person("bob")
