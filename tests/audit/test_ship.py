"""Shipping: everything arrives, once, in order, whatever fails in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement
from stead.identity.audit.heads import read
from stead.identity.audit.journal import Journal
from stead.identity.audit.ship import MAX_BATCH, Outbox, Shipper
from stead.identity.types import Json

HOP = "a" * 16


class Desk:
    """A collector's memory: takes what continues the chain and says what it holds."""

    def __init__(self) -> None:
        self.chains: dict[tuple[str, int], list[Json]] = {}
        self.batches: list[Json] = []
        self.stirred = asyncio.Event()
        self.fail: Callable[[], None] = lambda: None

    async def take(self, batch: Json) -> Mapping[str, Any]:
        self.batches.append(batch)
        held = self.chains.setdefault((batch["instance"], batch["replica"]), [])
        for event in batch["events"]:
            if event["seq"] == len(held) + 1:
                held.append(event)
        self.fail()
        self.stirred.set()
        return {"seq": len(held)}

    def tasks(self, instance: str = "broker", replica: int = 0) -> list[str]:
        return [event["task"] for event in self.chains.get((instance, replica), [])]

    async def until(self, count: int, instance: str = "broker", replica: int = 0) -> None:
        async with asyncio.timeout(5):
            while len(self.tasks(instance, replica)) < count:
                self.stirred.clear()
                await self.stirred.wait()


@asynccontextmanager
async def shipping(journal: Journal, desk: Desk, **more: Any) -> AsyncIterator[Shipper]:
    shipper = Shipper(journal, desk.take, interval=0.001, **more)
    running = asyncio.create_task(shipper.run())
    try:
        yield shipper
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def bind(journal: Journal, *tasks: str) -> None:
    for task in tasks:
        journal.bind(HOP, task, jti="j")


async def test_events_arrive_in_order_as_they_are_written(tmp_path: Path) -> None:
    journal, desk = Journal(tmp_path, "broker"), Desk()
    bind(journal, "t1", "t2")
    async with shipping(journal, desk):
        await desk.until(2)
        bind(journal, "t3")
        await desk.until(3)
    journal.close()
    assert desk.tasks() == ["t1", "t2", "t3"]


async def test_a_crash_between_append_and_ship_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    bind(journal, "t1", "t2")
    journal.close()
    journal, desk = Journal(tmp_path, "broker"), Desk()
    bind(journal, "t3")
    async with shipping(journal, desk):
        await desk.until(3)
    journal.close()
    assert desk.tasks() == ["t1", "t2", "t3"]


async def test_what_was_acknowledged_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    desk = Desk()
    for number in range(3):
        journal = Journal(tmp_path, "broker")
        bind(journal, f"t{number}")
        assert await Shipper(journal, desk.take).drain()
        journal.close()
    assert [[event["seq"] for event in batch["events"]] for batch in desk.batches] == [[1], [2], [3]]


async def test_a_lost_reply_sends_the_same_events_twice_and_they_count_once(tmp_path: Path) -> None:
    journal, desk = Journal(tmp_path, "broker"), Desk()
    lost = iter([True])

    def lose() -> None:
        if next(lost, False):
            raise ConnectionError

    desk.fail = lose
    bind(journal, "t1")
    async with shipping(journal, desk):
        async with asyncio.timeout(5):
            while len(desk.batches) < 2 or not acknowledgement(journal.path).exists():
                await asyncio.sleep(0.01)
    journal.close()
    assert desk.tasks() == ["t1"]
    assert desk.batches[0] == desk.batches[1]


async def test_a_collector_that_lost_its_memory_is_told_again(tmp_path: Path) -> None:
    journal, desk = Journal(tmp_path, "broker"), Desk()
    bind(journal, "t1", "t2", "t3")
    async with shipping(journal, desk):
        await desk.until(3)
        del desk.chains["broker", 0][1:]
        bind(journal, "t4")
        await desk.until(4)
    journal.close()
    assert desk.tasks() == ["t1", "t2", "t3", "t4"]


async def test_a_collector_that_takes_nothing_is_not_hammered(tmp_path: Path) -> None:
    journal, calls = Journal(tmp_path, "broker"), 0

    async def refuse(batch: Json) -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        return {"seq": 0}

    bind(journal, "t1")
    assert await Shipper(journal, refuse).drain() is False
    assert calls == 1
    journal.close()


async def test_long_journals_go_in_several_batches(tmp_path: Path) -> None:
    journal, desk = Journal(tmp_path, "broker"), Desk()
    bind(journal, *(f"{number}-{'x' * 400}" for number in range(600)))
    assert await Shipper(journal, desk.take).drain()
    journal.close()
    assert len(desk.batches) > 1
    assert all(len(json.dumps(batch)) < MAX_BATCH * 1.3 for batch in desk.batches)
    assert len(desk.tasks()) == 600


async def test_what_a_crashed_replica_left_is_shipped_by_its_sibling(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "broker"), Journal(tmp_path, "broker")
    bind(first, "t1")
    bind(second, "left behind")
    first.close()
    second.close()
    journal, desk = Journal(tmp_path, "broker"), Desk()
    async with shipping(journal, desk):
        await desk.until(1, replica=1)
    journal.close()
    assert desk.tasks(replica=1) == ["left behind"]


async def test_a_running_siblings_chain_is_left_to_it(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "broker"), Journal(tmp_path, "broker")
    bind(first, "t1")
    bind(second, "t2")
    desk = Desk()
    async with shipping(first, desk):
        await desk.until(1)
        bind(first, "t3")
        await desk.until(2)
    assert desk.tasks(replica=1) == []
    first.close()
    second.close()


async def test_a_batch_carries_the_signed_head_of_its_chain(tmp_path: Path) -> None:
    journal, desk, key = Journal(tmp_path, "broker"), Desk(), ECKey.generate_key("P-256", {"kid": "k"})
    bind(journal, "t1", "t2")
    assert await Shipper(journal, desk.take, key=key).drain()
    head = read(desk.batches[0]["head"], key)
    assert (head.instance, head.replica, head.seq, head.hash) == ("broker", 0, 2, journal.head[1])
    journal.close()


async def test_drain_says_when_the_collector_is_away(tmp_path: Path) -> None:
    journal, desk = Journal(tmp_path, "broker"), Desk()

    def away() -> None:
        raise ConnectionError

    desk.fail = away
    bind(journal, "t1")
    assert await Shipper(journal, desk.take).drain() is False
    journal.close()


def test_an_unreadable_acknowledgement_only_means_sending_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    bind(journal, "t1")
    journal.flush()
    acknowledgement(journal.path).write_text("nonsense")
    batch = Outbox(journal.path, "broker", 0).batch(journal.size)
    assert batch is not None
    assert [event["seq"] for event in batch["events"]] == [1]
    journal.close()
