"""FinPort whose vaults' keys a key service keeps: it goes away in the middle of a payment, and the money moves once."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from a2a.types import TaskState

from stead.demo.cli.broker import challenges
from stead.identity import vaults
from stead.identity.errors import ProviderUnavailable
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.processes import kill
from tests.journeys.test_waiting import ended, waiting
from tests.parts import transit


@pytest.fixture(scope="module")
def service() -> Iterator[transit.Transit]:
    with transit.serving() as service:
        yield service


@pytest.fixture(scope="module")
def own(service: transit.Transit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """A network of this file alone, whose settings name the service."""
    folder = tmp_path_factory.mktemp("key-service")
    (folder / "token").write_text(transit.TOKEN)
    (folder / "home").mkdir(mode=0o700)
    settings = {"keys": "transit", "transit_url": service.url, "transit_token_file": str(folder / "token")}
    (folder / "home" / "stead.yaml").write_text(json.dumps({"vault": settings}))
    network = start_network(folder / "home")
    yield network
    service.answers.set()
    stop_network(network)


def payments(home: Path) -> int:
    with closing(sqlite3.connect(home / "data" / "payments-mcp.db")) as database:
        return int(database.execute("SELECT count(*) FROM payments").fetchone()[0])


async def test_a_payment_outlasts_an_outage_of_the_key_service_and_a_restart_within(
    own: FinPort, service: transit.Transit
) -> None:
    async with waiting(own) as (session, broker, task):
        service.status = 503
        asked = len(service.requests)
        await kill(own, "broker")
        await kill(own, "agents.transfer")
        async with asyncio.timeout(60):
            while len(service.requests) < asked + 2:
                await asyncio.sleep(0.05)
        with pytest.raises(ProviderUnavailable):
            async for _ in broker.follow("Show my portfolio"):
                pass
        service.status = None
        await session.approve(challenges(task)[0]["link"])
        seen = await ended(broker, task.id)
        assert seen.status.state == TaskState.TASK_STATE_COMPLETED
    assert payments(own.home.path) == 1


async def test_its_key_is_rotated_under_the_running_network(own: FinPort, service: transit.Transit) -> None:
    service.rotate()
    code, out, err = await own.stead("vault", "rotate", "--json")
    assert code == 0, err
    assert {one["current"] for one in json.loads(out).values()} == {"stead:v2"}
    code, answer = await own.ask("Show my portfolio", "alice")
    assert (code, answer["state"]) == (0, "TASK_STATE_COMPLETED")


async def test_no_wrapping_key_of_ours_lies_on_the_machine_and_no_secret_is_left(own: FinPort) -> None:
    names = vaults.names(own.home)
    assert {"broker-vault", "transfer-agent-vault"} <= set(names)
    assert not [path.name for path in (own.home.path / "secrets").iterdir() if path.name.split(".")[0] in names]
    async with asyncio.timeout(20):
        for name in names:
            with closing(sqlite3.connect(own.home.database(name))) as database:
                while database.execute("SELECT count(*) FROM entries").fetchone()[0]:
                    await asyncio.sleep(0.1)
