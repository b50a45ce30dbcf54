"""One town for the kit: our own agents, on real addresses."""

from collections.abc import AsyncIterator

import pytest

from stead.identity.home import Home
from tests.agents.town import Town, town


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Both issuers, the MCP servers and the trail; no agent yet."""
    async with town(Home(tmp_path_factory.mktemp("town") / "home")) as made:
        yield made
