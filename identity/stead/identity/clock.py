"""The one clock. Seconds since the epoch, UTC; injectable, so that no test has to wait."""

import time
from collections.abc import Callable

Clock = Callable[[], float]

SKEW = 30.0
"""Seconds by which another party's clock may differ from ours."""


def system_clock() -> float:
    """The system's time, seconds since the epoch."""
    return time.time()
