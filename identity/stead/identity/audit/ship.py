"""Carries a journal to the collector: in batches, in order, as often as it takes.

What the collector has is remembered beside the chain (`<chain>.ack`), so a crash between writing and sending loses
nothing, and sending twice does no harm: the collector is idempotent on (instance, replica, seq). Knows no HTTP: `send`
does that.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement, hold, siblings, whole_size
from stead.identity.audit.errors import AuditUnavailable
from stead.identity.audit.heads import Head, sign
from stead.identity.audit.journal import Journal
from stead.identity.audit.segments import holding
from stead.identity.types import Json

Send = Callable[[Json], Awaitable[Mapping[str, Any]]]
"""Posts `{"instance", "replica", "events"}` to the collector, returns its reply, `{"seq", …}`; raises if it fails."""

MAX_BATCH = 128_000
"""Bytes of journal in one batch: half of what an edge guard lets through."""

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 15.0
_log = logging.getLogger(__name__)


class Outbox:
    """What of one chain's file the collector does not have yet."""

    def __init__(self, path: Path, instance: str, replica: int, key: ECKey | None = None) -> None:
        self._path, self._instance, self._replica, self._key = path, instance, replica, key
        self._ack = acknowledgement(path)
        self._seq, self._offset = self._remembered()
        self._before: int | None = None
        self._next = self._offset

    def batch(self, size: int) -> Json | None:
        """The next events of the first `size` bytes, or None when the collector has them all."""
        lines = self._read(size)
        if not lines:
            return None
        self._next = self._offset + len(lines)
        events = [json.loads(line) for line in lines.splitlines()]
        batch: Json = {"instance": self._instance, "replica": self._replica, "events": events}
        if self._key is not None:
            batch["head"] = sign(Head(self._instance, self._replica, events[-1]["seq"], events[-1]["hash"]), self._key)
        return batch

    def acknowledge(self, batch: Json, reply: Mapping[str, Any]) -> None:
        """Notes what the collector says it holds; goes back when that is less than was sent.

        Raises `AuditUnavailable` when the collector took none of what it had asked for.
        """
        first, last, held = batch["events"][0]["seq"], batch["events"][-1]["seq"], reply.get("seq")
        if held == first - 1:
            raise AuditUnavailable("The collector takes no event of this chain.")
        if not isinstance(held, int) or held >= last:
            self._seq, self._offset = last, self._next
        elif 0 <= held < last:
            self._seq, self._offset = held, self._offset_after(held)
            self._before = holding(self._path, held + 1)[1]
        self._remember(reply.get("receipt"))

    def _read(self, size: int) -> bytes:
        """The next whole lines of the file that has the next event; `size` bytes count where it is the current one."""
        path, before = holding(self._path, self._seq + 1)
        if before != self._before:
            # The file that was read was sealed off meanwhile, or is read to its end.
            self._before, self._offset = before, self._offset_after(self._seq)
        length = min(MAX_BATCH, (size if path == self._path else path.stat().st_size) - self._offset)
        if length <= 0:
            return b""
        with path.open("rb") as file:
            file.seek(self._offset)
            block = file.read(length)
            whole = block.rfind(b"\n") + 1
            return block[:whole] if whole else block + file.readline()

    def _offset_after(self, seq: int) -> int:
        """A chain has no holes, so that lines can be counted."""
        path, before = holding(self._path, seq + 1)
        with path.open("rb") as file:
            return sum(len(line) for _, line in zip(range(seq - before), file, strict=False))

    def _remembered(self) -> tuple[int, int]:
        try:
            noted = json.loads(self._ack.read_bytes())
            return int(noted["seq"]), int(noted["offset"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, 0

    def _remember(self, receipt: object) -> None:
        draft = self._ack.with_name(f".{self._ack.name}.{secrets.token_hex(4)}")
        draft.write_text(json.dumps({"seq": self._seq, "offset": self._offset, "receipt": receipt}))
        os.replace(draft, self._ack)


class Shipper:
    """Ships one journal, and what a crashed replica of the same instance left behind.

    With the workload's `key` each batch carries its chain's signed head, which the collector countersigns.
    """

    def __init__(self, journal: Journal, send: Send, *, key: ECKey | None = None, interval: float = 0.03) -> None:
        self._journal, self._send, self._key, self._interval = journal, send, key, interval
        self._outbox = Outbox(journal.path, journal.instance, journal.replica, key)
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Ships until cancelled. Never raises: a collector that is away is tried again, ever less often."""
        stirred = asyncio.Event()
        with self._stirring(stirred):
            await self._persist(self._ship)
            await self._adopt()
            while True:
                stirred.clear()
                await self._persist(self._ship)
                await stirred.wait()
                await asyncio.sleep(self._interval)

    async def drain(self, timeout: float = 2.0) -> bool:
        """Ships what is there, once; True if the collector now has it all. For a graceful end."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(self._journal.flush, timeout)
                await self._ship()
        except Exception as error:
            _log.info("The audit of %s is not shipped whole yet: %s", self._journal.instance, type(error).__name__)
            return False
        return True

    async def _ship(self) -> None:
        async with self._turn:
            await self._empty(self._outbox, lambda: self._journal.size)

    async def _empty(self, outbox: Outbox, size: Callable[[], int]) -> None:
        while (batch := outbox.batch(size())) is not None:
            outbox.acknowledge(batch, await self._send(batch))

    async def _adopt(self) -> None:
        folder, instance = self._journal.path.parent, self._journal.instance
        for path, replica in siblings(folder, instance):
            with hold(path) as free:
                if free:
                    await self._once(Outbox(path, instance, replica, self._key), whole_size(path))

    async def _once(self, outbox: Outbox, size: int) -> None:
        try:
            await self._empty(outbox, lambda: size)
        except Exception as error:
            _log.warning("An older chain of %s is not shipped: %s", self._journal.instance, _words(error))

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                return await work()
            except Exception as error:
                if pause == _FIRST_PAUSE:
                    _log.warning("The audit of %s waits for its collector: %s", self._journal.instance, _words(error))
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, _LAST_PAUSE)

    @contextlib.contextmanager
    def _stirring(self, stirred: asyncio.Event) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def stir() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is already gone
                loop.call_soon_threadsafe(stirred.set)

        end = self._journal.on_durable(stir)
        try:
            yield
        finally:
            end()


def _words(error: Exception) -> str:
    return getattr(error, "description", None) or type(error).__name__
