"""Token exchange against a real authorization server: the first time, from the cache, and for a thousand at once."""

import asyncio
import statistics
import time

import httpx

from benchmarks.apps import SCOPE, link_name
from benchmarks.identity.town import Town, town
from benchmarks.measure import Effort, progress, report
from stead.identity.egress import Target
from stead.identity.values import Grant, Principal
from stead.identity.workload import Workload

CALLERS = 1_000


async def run(effort: Effort) -> None:
    """Cold, warm, and concurrent."""
    progress("token exchange")
    async with town(links=0) as place:
        alice = await place.alice()
        workload = Workload.open(link_name(1), url=place.links[0], home=place.home)
        async with workload:
            person = await workload.verifier.verify(await alice.token(place.links[0]))
            await _cold_and_warm(effort, place, workload, person)
            await _concurrent(effort, place, workload, person)
        await alice.close()


async def _cold_and_warm(effort: Effort, place: Town, workload: Workload, person: Principal) -> None:
    target = Target(place.links[1], (SCOPE,), Grant.OBO)
    cold, warm, server = [], [], []
    for _ in range(effort.calls(40)):
        workload.forget(person.owner)
        used, started = place.issuer.used(), time.perf_counter()
        await workload.exchange(target, person)
        cold.append(time.perf_counter() - started)
        server.append(place.issuer.used() - used)
        warm.append(await _warm(effort.calls(100), workload, target, person))
    report("identity.exchange.cold", statistics.median(cold) * 1_000, "ms")
    report("identity.exchange.cold_at_issuer", statistics.median(server) * 1_000_000, "us")
    report("identity.exchange.warm", statistics.median(warm) * 1_000_000, "us")
    report("identity.exchange.cold_over_warm", statistics.median(cold) / statistics.median(warm), "ratio", at_least=10)


async def _warm(times: int, workload: Workload, target: Target, person: Principal) -> float:
    started = time.process_time()
    for _ in range(times):
        await workload.exchange(target, person)
    return (time.process_time() - started) / times


async def _concurrent(effort: Effort, place: Town, workload: Workload, person: Principal) -> None:
    target, seconds, requests = Target(place.links[1], (SCOPE,), Grant.OBO), [], []
    for _ in range(effort.rounds):
        workload.forget(person.owner)
        before, started = await _counted(place), time.perf_counter()
        await asyncio.gather(*(workload.exchange(target, person) for _ in range(CALLERS)))
        seconds.append(time.perf_counter() - started)
        requests.append(await _counted(place) - before)
    report("identity.exchange.thousand_callers", statistics.median(seconds) * 1_000, "ms")
    report("identity.exchange.thousand_callers_requests", max(requests), "requests", at_most=1)


async def _counted(place: Town) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return int((await client.get(f"{place.issuer.url}/counted")).json()["token"])
