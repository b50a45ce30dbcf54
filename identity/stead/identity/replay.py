"""That a proof is used only once: what was spent, for as long as it could come again (RFC 9449 s11.1)."""

import sqlite3
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Protocol

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import InvalidProof, ProviderUnavailable

CAPACITY = 200_000
"""Proofs that can be live at once. Beyond that nobody is let in by proof until some have run out."""
CROWDED, SHARE = 2, 16
"""Where half of that is taken, a key that holds a sixteenth of it waits: one caller never keeps the others out."""
_SWEEP_EVERY = 30.0
_SWEEP_CROWDED_EVERY = 1.0
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
        self._held: Counter[str] = Counter()
        self._swept = clock()

    def spend(self, thumbprint: str, jti: str, until: float) -> None:
        """See `Replays`."""
        now = self._clock()
        if now - self._swept >= (_SWEEP_CROWDED_EVERY if self._is_crowded else _SWEEP_EVERY):
            self._sweep(now)
        if self._spent.get((thumbprint, jti), 0) > now:
            raise _used()
        if len(self._spent) >= self._capacity or (
            self._is_crowded and self._held[thumbprint] * SHARE >= self._capacity
        ):
            raise _full()
        self._held[thumbprint] += (thumbprint, jti) not in self._spent
        self._spent[thumbprint, jti] = until

    @property
    def _is_crowded(self) -> bool:
        return len(self._spent) * CROWDED >= self._capacity

    def _sweep(self, now: float) -> None:
        self._spent = OrderedDict((proof, ends) for proof, ends in self._spent.items() if ends > now)
        self._held = Counter(thumbprint for thumbprint, _ in self._spent)
        self._swept = now

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
        self._until_sweep = 0
        self._is_full = False
        self._waiting: frozenset[str] = frozenset()

    def spend(self, thumbprint: str, jti: str, until: float) -> None:
        """See `Replays`."""
        try:
            self._sweep()
            if self._is_full or thumbprint in self._waiting:
                raise _full()
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
        """In time, and before a sixteenth of the whole could have come in unnoticed."""
        now, self._until_sweep = time.monotonic(), self._until_sweep - 1
        if now < self._next_sweep and self._until_sweep > 0:
            return
        self._database.execute("DELETE FROM proofs WHERE ends <= ?", (self._clock(),))
        held: int = self._database.execute("SELECT count(*) FROM proofs").fetchone()[0]
        is_crowded = held * CROWDED >= self._capacity
        self._is_full, self._waiting = held >= self._capacity, self._greedy() if is_crowded else frozenset()
        self._next_sweep = now + (_SWEEP_CROWDED_EVERY if is_crowded else _SWEEP_EVERY)
        self._until_sweep = self._capacity // SHARE

    def _greedy(self) -> frozenset[str]:
        counted = "SELECT key FROM proofs GROUP BY key HAVING count(*) >= ?"
        return frozenset(key for (key,) in self._database.execute(counted, (self._capacity / SHARE,)))


def _used() -> InvalidProof:
    return InvalidProof("The DPoP proof was used before.", hint="Make a proof for each request.")


def _full() -> ProviderUnavailable:
    return ProviderUnavailable("Too many proofs arrived at once.", hint="Try again in a minute.")


def _unknown(why: str) -> ProviderUnavailable:
    return ProviderUnavailable("Whether the proof was used before cannot be told.", hint="Try again.", debug=why)
