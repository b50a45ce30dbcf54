"""That a proof is used only once: what was spent, for as long as it could come again (RFC 9449 s11.1)."""

import sqlite3
import time
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import InvalidProof, ProviderUnavailable

CAPACITY = 200_000
"""Proofs that can be live at once. Beyond that nobody is let in by proof until some have run out."""
_SWEEP_EVERY = 30.0
_SWEEP_FULL_EVERY = 1.0
"""Seconds. Looking through a full store for what has run out takes long, and must not be had for each refused proof."""
_PATIENCE = 1.0


class Replays(Protocol):
    """Where proofs are spent."""

    def spend(self, thumbprint: str, jti: str, until: float) -> None:
        """Raises `InvalidProof` for one that was spent before, `ProviderUnavailable` where that cannot be told."""


class MemoryReplays:
    """For one process. What it forgets at its end is good for a minute and a half more."""

    def __init__(self, clock: Clock = system_clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._spent: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._swept = clock()

    def spend(self, thumbprint: str, jti: str, until: float) -> None:
        """See `Replays`."""
        now = self._clock()
        if now - self._swept >= (_SWEEP_EVERY if len(self._spent) < self._capacity else _SWEEP_FULL_EVERY):
            self._spent = OrderedDict((proof, ends) for proof, ends in self._spent.items() if ends > now)
            self._swept = now
        if self._spent.get((thumbprint, jti), 0) > now:
            raise _used()
        if len(self._spent) >= self._capacity:
            raise _full()
        self._spent[thumbprint, jti] = until

    def __len__(self) -> int:
        return len(self._spent)


class SharedReplays:
    """For the replicas of one workload, in a file that survives them. Its calls are short enough for the event loop."""

    def __init__(self, path: Path, clock: Clock = system_clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # a machine that lost power is down longer than proofs live
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS proofs (key TEXT, jti TEXT, ends REAL, PRIMARY KEY (key, jti)) WITHOUT ROWID"
        )
        self._next_sweep = 0.0
        self._is_full = False

    def spend(self, thumbprint: str, jti: str, until: float) -> None:
        """See `Replays`."""
        try:
            self._sweep()
            row = (thumbprint, jti, until)
            done = self._database.execute("INSERT INTO proofs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
        except sqlite3.Error as error:
            raise _unknown(type(error).__name__) from None
        if done.rowcount != 1:
            raise _used()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        if now >= self._next_sweep:
            self._database.execute("DELETE FROM proofs WHERE ends <= ?", (self._clock(),))
            held: int = self._database.execute("SELECT count(*) FROM proofs").fetchone()[0]
            self._is_full = held >= self._capacity
            self._next_sweep = now + (_SWEEP_FULL_EVERY if self._is_full else _SWEEP_EVERY)
        if self._is_full:
            raise _full()


def _used() -> InvalidProof:
    return InvalidProof("The DPoP proof was used before.", hint="Make a proof for each request.")


def _full() -> ProviderUnavailable:
    return ProviderUnavailable("Too many proofs arrived at once.", hint="Try again in a minute.")


def _unknown(why: str) -> ProviderUnavailable:
    return ProviderUnavailable("Whether the proof was used before cannot be told.", hint="Try again.", debug=why)
