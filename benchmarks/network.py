"""What a person waits for: the network's start, and a question through all hops."""

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Effort, progress, report, side_by_side
from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import signed_in
from stead.demo.network.launcher import running
from stead.identity.home import Home

READY_WITHIN = 8.0


async def run(effort: Effort) -> None:
    """All figures of this group."""
    progress("a network starts")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        started = time.perf_counter()
        with running(home):
            report("network.ready", time.perf_counter() - started, "s", at_most=READY_WITHIN)
            # The launcher is synchronous, by design: it forks. The questions run beside it.
            await asyncio.to_thread(asyncio.run, _questions(home, effort))


async def _questions(home: Home, effort: Effort) -> None:
    progress("questions through all hops")
    alice = await signed_in(home, "alice")

    async def read() -> None:
        await ask_as(alice, "Show my portfolio")

    await read()
    (read_us,) = await side_by_side(effort, 3, read, clock=time.perf_counter)
    report("network.ask.three_hops", read_us / 1_000, "ms")
    await alice.close()
