"""`python -m benchmarks.remembering COUNT`: so many distinct tokens, persons and proofs, and the memory they leave.

Prints `{"tokens"|"persons"|"proofs": {"after", "second_half"}}`, in megabytes of resident memory of this process.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import psutil

from benchmarks.identity.tokens import token, verifier
from stead.identity.errors import ProviderUnavailable
from stead.identity.exchange import ExchangeKey, Exchanges
from stead.identity.flows.wire import TokenSet
from stead.identity.replay import CAPACITY, MemoryReplays
from stead.identity.values import AccessToken

ISSUER, AUDIENCE, OTHER = "http://127.0.0.2:9001", "http://127.0.0.5:9002", "http://127.0.0.6:9003"

ENOUGH = 3 * CAPACITY
"""Proofs of which half fill the store. They cost little, so the quick form has as many."""

One = Callable[[int], Awaitable[None]]


async def main(count: int) -> None:
    """Measures the three, one after the other, in one process."""
    verify, exchange = _verifying(), _exchanging()
    print(
        json.dumps(
            {
                "tokens": await _kept(count, verify),
                "persons": await _kept(count, exchange),
                "proofs": await _kept(max(count, ENOUGH) if count > 10_000 else count, _spending()),
            }
        )
    )


async def _kept(count: int, one: One) -> Mapping[str, float]:
    for number in range(count // 2):
        await one(number)
    half = _resident()
    for number in range(count // 2, count):
        await one(number)
    after = _resident()
    return {"after": round(after, 1), "second_half": round(after - half, 1)}


def _resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 1_048_576


def _verifying() -> One:
    checks = verifier(ISSUER, AUDIENCE)

    async def one(number: int) -> None:
        await checks.verify(AccessToken(token(ISSUER, AUDIENCE, sub=f"person-{number}", sid=f"session-{number}")))

    return one


def _exchanging() -> One:
    exchanges = Exchanges()

    async def one(number: int) -> None:
        async def obtain() -> TokenSet:
            return TokenSet(AccessToken(f"{number:>800}"), time.time() + 300, frozenset({"read"}))

        await exchanges.get(ExchangeKey(ISSUER, f"person-{number}", None, OTHER, frozenset({"read"})), obtain)

    return one


def _spending() -> One:
    replays = MemoryReplays()

    async def one(number: int) -> None:
        # Beyond its bound the store lets nobody in until some proofs have run out.
        with suppress(ProviderUnavailable):
            replays.spend("0" * 43, f"{number:022}", time.time() + 90)

    return one


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
