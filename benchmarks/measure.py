"""How a benchmark measures and reports: medians over interleaved rounds, one JSON object a line on standard output.

Costs are processor time wherever the work is a process's own, so that a busy machine slows the run and not the result.
"""

import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import psutil

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds, the share of a benchmark's usual calls in each, and distinct tokens for memory."""

    rounds: int
    share: float
    tokens: int

    def calls(self, usual: int) -> int:
        """So many calls a round, of what is usual."""
        return max(2, round(usual * self.share))


TINY = Effort(rounds=1, share=0.01, tokens=300)
QUICK = Effort(rounds=7, share=1, tokens=16_000)
LONG = Effort(rounds=25, share=2, tokens=1_000_000)


def report(name: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> None:
    """One line. `holds` says whether the goal is met; a figure without a goal always holds."""
    goal = at_most if at_most is not None else at_least
    holds = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    line = {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "holds": holds}
    print(json.dumps(line), flush=True)


def progress(text: str) -> None:
    """What is being measured now."""
    print(text, file=sys.stderr, flush=True)


async def side_by_side(
    effort: Effort, usual: int, *works: Work, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Microseconds of one call of each work: the median of interleaved rounds, so that drift hits all alike.

    By default of this process's processor time, all its threads included.
    """
    times = effort.calls(usual)
    for work in works:
        await _one(max(2, times // 10), work, clock)
    return medians([[await _one(times, work, clock) for work in works] for _ in range(effort.rounds)])


async def _one(times: int, work: Work, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(times):
        await work()
    return (clock() - started) / times * 1_000_000


def medians(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column."""
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def processor_seconds(pid: int) -> float:
    """What a process has used, all its threads included; to the nanosecond where the system tells (POSIX clocks)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # CLOCK_PROCESS_CPUTIME_ID of another process
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
