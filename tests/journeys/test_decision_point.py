"""One entry in the settings, and nothing happens in the whole network that another party does not allow too."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.processes import ready

HOST = "127.0.0.31"
RULES = """
- {id: people, resource: "*", outcome: allow}
- {id: large, resource: transfer.send, outcome: deny, when: 'decimal(input.amount) > decimal("100")',
   reason: The risk desk allows no more than 100 EUR.}
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """A network that asks a decision point for everything. Nobody is there yet."""
    home = Home(tmp_path_factory.mktemp("watched") / "home")
    network_of(home)
    with socket.create_server((HOST, 0)) as probe:
        url = f"http://{HOST}:{probe.getsockname()[1]}"
    point = {"decision_point": {"url": url, "scopes": ["decisions:ask"]}}
    (home.path / "stead.yaml").write_text(yaml.safe_dump(point))
    network = start_network(home.path)
    network.urls["decisions"] = url
    yield network
    stop_network(network)


@asynccontextmanager
async def deciding(finport: FinPort, folder: Path) -> AsyncIterator[None]:
    """`stead policy serve`, for as long as the block lasts."""
    policy = folder / "risk.yaml"
    policy.write_text(RULES)
    words = (sys.executable, "-m", "stead.demo", "policy", "serve", str(policy))
    process = await asyncio.create_subprocess_exec(*words, env=finport.environment)
    try:
        async with asyncio.timeout(30):
            while not await ready(finport.urls["decisions"]):
                await asyncio.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


async def test_nothing_happens_while_nobody_decides(watched: FinPort) -> None:
    code, out, err = await watched.stead("ask", "Show my portfolio", "--as", "alice")
    assert (code, out) == (1, "")
    assert err.startswith("stead: The decision point does not answer.\n"), err


async def test_what_it_allows_happens_and_what_it_denies_does_not_and_says_why(
    watched: FinPort, tmp_path: Path
) -> None:
    async with deciding(watched, tmp_path):
        code, answer = await watched.ask("Show my portfolio", "alice")
        assert (code, answer["state"]) == (0, "TASK_STATE_COMPLETED")
        code, answer = await watched.ask("Transfer 90 EUR to Bob's savings", "alice", "--approve")
        assert answer["state"] == "TASK_STATE_COMPLETED", answer
        code, answer = await watched.ask("Transfer 250 EUR to Bob's savings", "alice", "--approve")
        assert answer["state"] != "TASK_STATE_COMPLETED"
        assert "The risk desk allows no more than 100 EUR." in str(answer)
