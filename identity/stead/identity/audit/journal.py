"""An instance's own record of what it did and let be done: append-only, hash-chained, written by one thread.

`append` costs microseconds and is safe from any thread; a group of events shares one fsync. `durable` (and `commit`)
return after that fsync: a decision that allows a side effect is awaited, everything else is not.
"""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from stead.identity.audit.chain import open_chain
from stead.identity.audit.errors import AuditUnavailable
from stead.identity.audit.event import Event, Kind, clean, seal
from stead.identity.clock import Clock, system_clock
from stead.identity.errors import IdentityError
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, Principal, current_arrival

GROUP = 0.005
"""Seconds that events wait for company before they are written, when nobody waits for them."""

MAX_BACKLOG = 50_000
"""Events held while the disk refuses them. Beyond that nothing is done any more that would have to be recorded."""

_RETRY = 0.5
_CLAIMS = ("iss", "sub", "name", "act", "aud", "scope", "exp", "jti")
_log = logging.getLogger(__name__)


class Journal:
    """The one writer of one chain.

    Opening takes the chain's lock, and mends a torn last line; the thread starts with the first event. Close it, or
    leave it to the end of the process.
    """

    def __init__(self, folder: Path, instance: str, clock: Clock = system_clock) -> None:
        self.instance = instance
        self._clock = clock
        self._file = open_chain(folder, instance)
        self._seq, self._head = self._file.seq, self._file.head
        self._durable = self._seq
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._pending: list[bytes] = []
        self._waiting: list[tuple[int, Future[None]]] = []
        self._listeners: list[Callable[[], None]] = []
        self._writer: threading.Thread | None = None
        self._closed = False
        atexit.register(self.close)

    @property
    def path(self) -> Path:
        """The chain's file."""
        return self._file.path

    @property
    def replica(self) -> int:
        """Which of the instance's chains this is."""
        return self._file.replica

    @property
    def size(self) -> int:
        """Bytes of the file that are durable: what may be read and shipped."""
        return self._file.size

    @property
    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the newest event, durable or not."""
        with self._lock:
            return self._seq, self._head

    def append(self, **values: Any) -> Event:
        """Seals an event into the chain and queues it. Never blocks on the disk.

        Raises `AuditUnavailable` when the journal is closed or the disk has refused for too long.
        """
        values = {name: clean(value) if type(value) is str else value for name, value in values.items()}
        with self._wake:
            self._refuse_if_useless()
            event, line = seal(
                {
                    **values,
                    "instance": self.instance,
                    "replica": self.replica,
                    "seq": self._seq + 1,
                    "time": round(self._clock(), 6),
                    "prev": self._head,
                }
            )
            self._seq, self._head = event.seq, event.hash
            self._pending.append(line)
            if len(self._pending) == 1:
                self._start()
                self._wake.notify_all()
        return event

    async def commit(self, **values: Any) -> Event:
        """Appends, and returns when the event is on disk. Raises `AuditUnavailable` when it cannot be."""
        event = self.append(**values)
        await self.durable(event)
        return event

    async def durable(self, event: Event) -> None:
        """Returns when this event (and so all before it) is on disk. Raises `AuditUnavailable`."""
        await asyncio.wrap_future(self._written(event.seq))

    def flush(self, timeout: float | None = 10.0) -> None:
        """Blocks until everything appended so far is on disk. For code outside an event loop."""
        self._written(self.head[0]).result(timeout)

    def close(self) -> None:
        """Writes what is queued and gives the chain up. Idempotent."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._wake.notify_all()
        if self._writer is not None:
            self._writer.join()
        self._file.close()
        atexit.unregister(self.close)

    def on_durable(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called, in the writer's thread, after each group. Returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def egress(
        self,
        *,
        hop: str,
        trace: str,
        callee: str,
        grant: Grant,
        operation: str,
        resource: str,
        claims: Mapping[str, Any],
        parent: Arrival | None = None,
        task: str | None = None,
        consent_id: str | None = None,
        rule: str | None = None,
        error: IdentityError | None = None,
    ) -> Event:
        """A call that this workload makes, or (with `error`) would have made and was refused the token for.

        `claims` are the token's (iss sub name act aud scope exp jti), or as much as is known of them; `parent` is the
        hop that this one is made for; `task` is the root task, given by the broker alone.
        """
        service = grant is Grant.S2S
        lineage = {} if parent is None else _lineage(parent, service=service)
        return self.append(
            kind=Kind.EGRESS,
            hop=hop,
            trace=trace,
            task=task,
            operation=operation,
            resource=resource,
            caller=self.instance,
            callee=callee,
            grant=grant.value,
            consent_id=consent_id,
            decision="allow" if error is None else "deny",
            rule=rule,
            **lineage,
            **_told(claims, service=service),
            **_why(error),
        )

    def ingress(
        self,
        *,
        arrival: Arrival,
        principal: Principal,
        operation: str,
        resource: str,
        decision: str,
        rule: str | None = None,
        code: str | None = None,
        description: str | None = None,
        hint: str | None = None,
        task: str | None = None,
        consent_id: str | None = None,
    ) -> Event:
        """A call that arrived with a true token, and what policy said (`allow`, `deny`, `step_up`, `consent`)."""
        claims = {**principal.claims, **_verified(principal)}
        return self.append(
            kind=Kind.INGRESS,
            hop=arrival.hop,
            trace=arrival.trace,
            task=task,
            operation=operation,
            resource=resource,
            caller=principal.client_id if principal.actor is None else principal.actor.subject,
            callee=principal.audience,
            grant=principal.grant.value,
            consent_id=consent_id,
            decision=decision,
            rule=rule,
            code=code,
            description=description,
            hint=hint,
            **_told(claims, service=principal.is_service),
        )

    def outcome(self, *, hop: str, outcome: str, error: IdentityError | None = None) -> Event:
        """How a hop that this workload made ended: `completed`, `failed`, `refused`, `auth-required` and the like."""
        return self.append(kind=Kind.OUTCOME, hop=hop, outcome=outcome, **_why(error))

    def bind(self, hop: str, task: str, *, jti: str | None = None) -> Event:
        """Says that the call which arrived as `hop` is about `task`.

        `jti` is that call's token, known by itself inside the call: a hop id is the caller's to forge, a token is not.
        """
        arrival = current_arrival()
        if jti is None and arrival is not None and arrival.hop == hop:
            jti = arrival.jti
        return self.append(kind=Kind.TASK, hop=hop, task=task, jti=jti)

    def _refuse_if_useless(self) -> None:
        if self._closed:
            raise AuditUnavailable("The audit journal is closed.")
        if len(self._pending) >= MAX_BACKLOG:
            raise AuditUnavailable("The audit journal cannot be written.", hint="Look at the disk's free space.")

    def _start(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name=f"audit-{self.instance}", daemon=True)
            self._writer.start()

    def _written(self, seq: int) -> Future[None]:
        future: Future[None] = Future()
        with self._wake:
            if seq <= self._durable:
                future.set_result(None)
            else:
                self._waiting.append((seq, future))
                self._wake.notify_all()
        return future

    def _write(self) -> None:
        while (group := self._next_group()) is not None:
            lines, seq = group
            try:
                self._file.append(b"".join(lines))
            except OSError as error:
                self._refused(lines, error)
            else:
                self._settle(seq)

    def _next_group(self) -> tuple[list[bytes], int] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._pending or self._closed)
            if not self._pending:
                return None
            self._wake.wait_for(lambda: self._waiting or self._closed, GROUP)
            lines, self._pending = self._pending, []
            return lines, self._seq

    def _settle(self, seq: int) -> None:
        with self._wake:
            self._durable = seq
            settled = [future for wanted, future in self._waiting if wanted <= seq]
            self._waiting = [entry for entry in self._waiting if entry[0] > seq]
        for future in settled:
            _resolve(future, None)
        for listener in tuple(self._listeners):
            listener()

    def _refused(self, lines: list[bytes], error: OSError) -> None:
        """The lines stay queued, in order, so that the chain has no hole; who waits is told now."""
        _log.error("The audit journal %s cannot be written: %s", self.path.name, error.strerror)
        with self._wake:
            self._pending[:0] = lines
            waiting, self._waiting = self._waiting, []
            for _, future in waiting:
                _resolve(future, AuditUnavailable("The audit journal cannot be written."))
            if self._closed:
                self._pending.clear()
            else:
                self._wake.wait_for(lambda: self._closed, _RETRY)


def _resolve(future: Future[None], error: AuditUnavailable | None) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _lineage(parent: Arrival, *, service: bool) -> Json:
    """A service's token descends from no other: what moved it to call is its cause, and only its own record says so."""
    return {"parent_hop": parent.hop, "cause_jti" if service else "parent_jti": parent.jti}


def _verified(principal: Principal) -> Json:
    return {
        "iss": principal.issuer,
        "sub": principal.subject,
        "act": None if principal.actor is None else principal.actor.as_claim(),
        "aud": principal.audience,
        "scope": " ".join(sorted(principal.scopes)),
        "exp": principal.expires_at,
        "jti": principal.jti,
    }


def _told(claims: Mapping[str, Any], *, service: bool) -> Json:
    """The claims that an event keeps. A service hop knows no person, whatever its token may say."""
    told = {name: claims.get(name) for name in _CLAIMS}
    if service:
        told["name"] = told["act"] = None
    return {**told, "exp": None if told["exp"] is None else int(told["exp"])}


def _why(error: IdentityError | None) -> Json:
    return {} if error is None else {"code": error.code, "description": error.description, "hint": error.hint}
