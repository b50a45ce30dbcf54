"""An instance's own record of what it did and let be done: append-only, hash-chained, written by one thread.

`append` costs microseconds and is safe from any thread; a group of events is sealed and synced at once, off the path of
the call. `durable` (and `commit`) return after that: a decision that allows a side effect is awaited, all else is not.
"""

import asyncio
import atexit
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from stead.identity.audit.chain import open_chain
from stead.identity.audit.event import Kind, actors, chained, cleaned, kept
from stead.identity.audit.segments import MAX_SEGMENT
from stead.identity.audit.writer import Writer
from stead.identity.clock import Clock, system_clock
from stead.identity.errors import IdentityError
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, Principal, current_arrival

UNTOLD = "0" * 16
"""The hop of an event that could not be told."""
BEARERS = 1024
"""Bearers of whom it is remembered what an event keeps of them: they call more than once."""
_log = logging.getLogger(__name__)
_CLAIMS = ("iss", "sub", "name", "aud", "scope", "jti", "cnf")


class Entry(NamedTuple):
    """An event on its way into the chain: its number there, when it was, and what tells the rest when it is written."""

    seq: int
    time: float
    tell: Callable[[], Json]


class Journal:
    """The one writer of one chain.

    Opening takes the chain's lock, and mends a torn last line; the thread starts with the first event. Close it, or
    leave it to the end of the process.
    """

    def __init__(
        self, folder: Path, instance: str, clock: Clock = system_clock, *, max_size: int = MAX_SEGMENT
    ) -> None:
        self.instance = instance
        self._clock = clock
        self._file = open_chain(folder, instance)
        self._writer = Writer(self._file, self._sealed, name=f"audit-{instance}", max_size=max_size)
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
        """Sequence number and hash of the newest event that is durable."""
        return self._file.seq, self._file.head

    def append(self, **values: Any) -> Entry:
        """Gives an event its place in the chain and queues it. Never blocks on the disk.

        Raises `InvalidRequest` for what is no event, `AuditUnavailable` when the journal is closed or the disk has
        refused for too long.
        """
        members = kept(values)
        return self._enter(lambda: members)

    def _enter(self, tell: Callable[[], Json]) -> Entry:
        return self._writer.queue(lambda seq: Entry(seq, round(self._clock(), 6), tell))

    async def commit(self, **values: Any) -> Entry:
        """Appends, and returns when the event is on disk. Raises `AuditUnavailable` when it cannot be."""
        entry = self.append(**values)
        await self.durable(entry)
        return entry

    async def durable(self, entry: Entry) -> None:
        """Returns when this event (and so all before it) is on disk. Raises as `append` does."""
        entry.tell()  # what cannot be told must not happen
        await asyncio.wrap_future(self._writer.written(entry.seq))

    def flush(self, timeout: float | None = 10.0) -> None:
        """Blocks until everything appended so far is on disk. For code outside an event loop."""
        self._writer.written().result(timeout)

    def close(self) -> None:
        """Writes what is queued and gives the chain up. Idempotent."""
        self._writer.close()
        atexit.unregister(self.close)

    def on_durable(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called, in the writer's thread, after each group. Returns what ends that."""
        return self._writer.on_durable(listener)

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
    ) -> Entry:
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
    ) -> Entry:
        """A call that arrived with a true token, and what policy said (`allow`, `deny`, `step_up`, `consent`)."""
        said = {
            "task": task,
            "operation": operation,
            "resource": resource,
            "consent_id": consent_id,
            "decision": decision,
            "rule": rule,
            "code": code,
            "description": description,
            "hint": hint,
        }
        return self._enter(partial(_arrived, arrival, principal, said))

    def outcome(self, *, hop: str, outcome: str, error: IdentityError | None = None) -> Entry:
        """How a hop that this workload made ended: `completed`, `failed`, `refused`, `auth-required` and the like."""
        return self.append(kind=Kind.OUTCOME, hop=hop, outcome=outcome, **_why(error))

    def bind(self, hop: str, task: str, *, jti: str | None = None) -> Entry:
        """Says that the call which arrived as `hop` is about `task`.

        `jti` is that call's token, known by itself inside the call: a hop id is the caller's to forge, a token is not.
        """
        arrival = current_arrival()
        if jti is None and arrival is not None and arrival.hop == hop:
            jti = arrival.jti
        return self.append(kind=Kind.TASK, hop=hop, task=task, jti=jti)

    def _sealed(self, entries: Sequence[Entry], head: str) -> tuple[list[bytes], str]:
        return chained((self._placed(entry) for entry in entries), head)

    def _placed(self, entry: Entry) -> Json:
        place = {"instance": self.instance, "replica": self.replica, "seq": entry.seq, "time": entry.time}
        return {**_told_by(entry), **place}


def _told_by(entry: Entry) -> Json:
    """A chain has no hole: an event that cannot be told is in it as that."""
    try:
        return entry.tell()
    except IdentityError as error:
        _log.error("event %d cannot be told: %s", entry.seq, error.description)
        return kept({"kind": Kind.OUTCOME, "hop": UNTOLD, "outcome": "failed", **_why(error)})


def _lineage(parent: Arrival, *, service: bool) -> Json:
    """A service's token descends from no other: what moved it to call is its cause, and only its own record says so."""
    return {"parent_hop": parent.hop, "cause_jti" if service else "parent_jti": parent.jti}


def _arrived(arrival: Arrival, principal: Principal, said: Json) -> Json:
    caller = principal.client_id if principal.actor is None else principal.actor.subject
    about = {"kind": Kind.INGRESS, "hop": arrival.hop, "trace": arrival.trace, "caller": caller}
    return {**kept({**about, **said}), **_verified(principal)}


@lru_cache(maxsize=BEARERS)
def _verified(principal: Principal) -> Json:
    """What an event keeps of a token that was verified. A service hop knows no person, whatever its token may say."""
    service = principal.is_service
    verified = {
        "name": None if service else _text(principal.claims.get("name")),
        "iss": principal.issuer,
        "sub": principal.subject,
        "act": None if service or principal.actor is None else principal.actor.as_claim(),
        "callee": principal.audience,
        "grant": principal.grant,
        "aud": principal.audience,
        "scope": " ".join(sorted(principal.scopes)),
        "exp": principal.expires_at,
        "jti": principal.jti,
        "chain_from": None if service or principal.actor is None else principal.chain_from,
        "cnf": None if principal.confirmation is None else str(principal.confirmation),
    }
    return cleaned(verified)


def _told(claims: Mapping[str, Any], *, service: bool) -> Json:
    """The claims that an event keeps. A service hop knows no person, whatever its token may say."""
    told: Json = {name: _text(claims.get(name)) for name in _CLAIMS}
    if service:
        told["name"] = None
    elif claims.get("act") is not None:
        told["act"] = actors(claims["act"])
    if isinstance(claims.get("exp"), int | float):
        told["exp"] = int(claims["exp"])
    return told


def _text(claim: object) -> str | None:
    """Some issuers write scope or aud as a list."""
    if isinstance(claim, list | tuple | set | frozenset):
        return " ".join(sorted(str(each) for each in claim))
    return claim if isinstance(claim, str) else None


def _why(error: IdentityError | None) -> Json:
    return {} if error is None else {"code": error.code, "description": error.description, "hint": error.hint}
