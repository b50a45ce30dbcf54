"""How a benchmark measures and reports: medians over rounds, one JSON object a line on stdout, progress on stderr."""

import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

ROUNDS = 15 if os.environ.get("LONG") else 5

Work = Callable[[], Awaitable[object]]


def report(name: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> None:
    """One line. `holds` says whether the goal is met; a figure without a goal always holds."""
    goal = at_most if at_most is not None else at_least
    holds = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    line = {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "holds": holds}
    print(json.dumps(line), flush=True)


def progress(text: str) -> None:
    """What is being measured now."""
    print(text, file=sys.stderr, flush=True)


async def side_by_side(times: int, *works: Work) -> list[float]:
    """Microseconds of one call of each work: the median of interleaved rounds, so that drift hits all alike."""
    rounds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for figures, work in zip(rounds, works, strict=True):
            figures.append(await _one(times, work))
    return [statistics.median(figures) for figures in rounds]


async def _one(times: int, work: Work) -> float:
    started = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - started) / times * 1_000_000
