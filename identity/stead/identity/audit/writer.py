"""The one thread that writes a chain: it seals and writes events in groups, syncs once for each, tells who waited.

Telling and sealing in groups costs half of what it costs between the steps of a call, and none of a caller's time.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from stead.identity.audit.chain import ChainFile
from stead.identity.audit.errors import AuditUnavailable
from stead.identity.audit.segments import MAX_SEGMENT

GROUP = 0.02
"""Seconds that events wait for company before they are written, when nobody waits for them."""

MAX_BACKLOG = 50_000
"""Events held while the disk refuses them. Beyond that nothing is done any more that would have to be recorded."""

_RETRY = 0.5
_log = logging.getLogger(__name__)


E = TypeVar("E")

Seal = Callable[[Sequence[E], str], tuple[list[bytes], str]]
"""From a group and the hash before it to its lines and the new hash. Raises nothing."""


class Writer(Generic[E]):
    """Owns an open chain. Its thread starts with the first line, so that opening a journal starts none."""

    def __init__(self, file: ChainFile, seal: Seal[E], name: str, max_size: int = MAX_SEGMENT) -> None:
        self._file = file
        self._seal = seal
        self._max_size = max_size
        self._name = name
        self._durable = self._queued = file.seq
        self._wake = threading.Condition()
        self._pending: list[E] = []
        self._sealed: list[bytes] = []
        self._head = file.head
        self._waiting: list[tuple[int, Future[None]]] = []
        self._listeners: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def queue(self, numbered: Callable[[int], E]) -> E:
        """Takes the event that is made with the next number, and gives it back.

        Raises `AuditUnavailable` when a further event would be lost, or would wait for ever.
        """
        with self._wake:
            self._refuse_if_useless()
            event = numbered(self._queued + 1)
            self._queued += 1
            self._pending.append(event)
            if len(self._pending) == 1:
                self._start()
                self._wake.notify_all()
        return event

    def written(self, seq: int | None = None) -> Future[None]:
        """Done when event `seq` (else the newest) is on disk; `AuditUnavailable` when it could not be put there."""
        future: Future[None] = Future()
        with self._wake:
            seq = self._queued if seq is None else seq
            if seq <= self._durable:
                future.set_result(None)
            elif self._closed:
                future.set_exception(AuditUnavailable("The audit journal is closed."))
            else:
                self._waiting.append((seq, future))
                self._wake.notify_all()
        return future

    def on_durable(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called in the thread after each group. Returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close(self) -> None:
        """Writes what is queued and closes the file. Idempotent."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._file.close()

    def _refuse_if_useless(self) -> None:
        if self._closed:
            raise AuditUnavailable("The audit journal is closed.")
        if len(self._pending) + len(self._sealed) >= MAX_BACKLOG:
            raise AuditUnavailable("The audit journal cannot be written.", hint="Look at the disk's free space.")

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name=self._name, daemon=True)
            self._thread.start()

    def _write(self) -> None:
        while (group := self._next_group()) is not None:
            events, seq = group
            lines, self._head = self._seal(events, self._head)
            self._sealed += lines
            try:
                self._file.append(b"".join(self._sealed), seq, self._head)
            except OSError as error:
                self._refused(error)
            else:
                self._sealed.clear()
                self._rotate_if_full(seq)
                self._settle(seq)

    def _rotate_if_full(self, seq: int) -> None:
        if self._file.size < self._max_size:
            return
        try:
            self._file.rotate(seq)
        except OSError as error:
            _log.error("The audit journal %s cannot be rotated: %s", self._file.path.name, error.strerror)

    def _next_group(self) -> tuple[list[E], int] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._pending or self._sealed or self._closed)
            if not self._pending and not self._sealed:
                return None
            self._wake.wait_for(lambda: self._waiting or self._closed, GROUP)
            events, self._pending = self._pending, []
            return events, self._queued

    def _settle(self, seq: int) -> None:
        with self._wake:
            self._durable = seq
            settled = [future for wanted, future in self._waiting if wanted <= seq]
            self._waiting = [entry for entry in self._waiting if entry[0] > seq]
        for future in settled:
            _resolve(future)
        for listener in tuple(self._listeners):
            listener()

    def _refused(self, error: OSError) -> None:
        """What is sealed is kept, in order, so that the chain has no hole; who waits is told now."""
        _log.error("The audit journal %s cannot be written: %s", self._file.path.name, error.strerror)
        with self._wake:
            waiting, self._waiting = self._waiting, []
            for _, future in waiting:
                _resolve(future, AuditUnavailable("The audit journal cannot be written."))
            if self._closed:
                self._pending.clear()
                self._sealed.clear()
            else:
                self._wake.wait_for(lambda: self._closed, _RETRY)


def _resolve(future: Future[None], error: AuditUnavailable | None = None) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
