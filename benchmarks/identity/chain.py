"""One to five services in a row, each a process, each calling the next in Alice's stead with a token of its own."""

import statistics
import time
from collections.abc import Sequence

from benchmarks.apps import LINKS, passing
from benchmarks.identity.town import Town, town
from benchmarks.measure import Effort, medians, progress, report
from benchmarks.wire import Wire, post
from stead.demo.cli.session import Session


async def run(effort: Effort) -> None:
    """Cold at full length, then warm at each length."""
    progress(f"a chain of 1 to {LINKS} hops")
    async with town(links=LINKS) as place:
        cold = [await _cold(place) for _ in range(effort.calls(3))]
        alice = await place.alice()
        await _passed(place, alice, LINKS)
        rounds = [[await _passed(place, alice, hops) for hops in range(1, LINKS + 1)] for _ in range(effort.calls(30))]
        await alice.close()
    _tell(medians(rounds), statistics.median(cold[1:]))


def _tell(warm: Sequence[float], cold: float) -> None:
    for hops, seconds in enumerate(warm, 1):
        report(f"identity.chain.hops_{hops}", seconds * 1_000, "ms")
    report("identity.chain.added_hop", (warm[-1] - warm[0]) / (LINKS - 1) * 1_000, "ms")
    report(f"identity.chain.hops_{LINKS}_cold", cold * 1_000, "ms")
    report("identity.chain.added_hop_cold", (cold - warm[-1]) / (LINKS - 1) * 1_000, "ms")


async def _cold(place: Town) -> float:
    """A new sign-in shares no token with the one before."""
    alice = await place.alice()
    try:
        return await _passed(place, alice, LINKS)
    finally:
        await alice.close()


async def _passed(place: Town, alice: Session, hops: int) -> float:
    first = place.links[0]
    request = post(first, "/pass", passing(hops), await alice.headers("POST", f"{first}/pass", first))
    async with Wire(first, connections=1) as wire:
        started = time.perf_counter()
        await wire.send([request])
        return time.perf_counter() - started
