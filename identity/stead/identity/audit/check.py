"""Whether the chains of a folder are whole: nothing changed, missing, reordered or torn.

Reads files only, so it needs no network, and may run beside the processes that write.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from joserfc.jwk import ECKey

from stead.identity.audit.chain import SEPARATOR, acknowledgement, hold
from stead.identity.audit.event import Event, genesis, unseal
from stead.identity.audit.heads import Head, read
from stead.identity.errors import InvalidRequest, InvalidToken


class Problem(StrEnum):
    """What can be wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    REPEATED = "repeated"
    TORN = "torn"
    FOREIGN = "foreign"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one chain, and where. `line` counts from 1; None when the place is no line."""

    chain: str
    problem: Problem
    line: int | None
    text: str

    def __str__(self) -> str:
        place = self.chain if self.line is None else f"{self.chain}:{self.line}"
        return f"{place}: {self.problem}: {self.text}"


def check(folder: Path, *, key: ECKey | None = None) -> list[Finding]:
    """All findings, by chain and line; empty when every chain is whole.

    With the collector's `key` the receipts are verified too, so that a chain cut short or written anew shows.
    """
    findings = [finding for path in sorted(folder.glob("*.jsonl")) for finding in _Chain(path, key).findings()]
    return [*findings, *_vanished(folder)]


def _vanished(folder: Path) -> Iterator[Finding]:
    for note in sorted(folder.glob("*.jsonl.ack")):
        name = note.name.removesuffix(".ack")
        if not (folder / name).exists():
            yield Finding(name, Problem.MISSING, None, "The whole chain is gone, yet events of it were collected.")


class _Chain:
    def __init__(self, path: Path, key: ECKey | None) -> None:
        self._path, self._key = path, key
        self._instance, self._replica = _named(path)
        self._hashes: dict[int, str] = {0: genesis(self._instance, self._replica)}
        self._unread = 0

    def findings(self) -> list[Finding]:
        found = [*self._lines(), *self._gaps(), *self._receipt()]
        return sorted(found, key=lambda finding: (finding.line is None, finding.line or 0))

    def _lines(self) -> Iterator[Finding]:
        with hold(self._path) as idle, self._path.open("rb") as file:
            newest = 0
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    # What a running process is just writing is not torn.
                    yield from [self._at(number, Problem.TORN, "The last line is not whole.")] if idle else []
                    return
                try:
                    event = unseal(line)
                except InvalidRequest as error:
                    self._unread += 1
                    yield self._at(number, Problem.CHANGED, error.description)
                    continue
                yield from self._placed(number, event, newest)
                newest = max(newest, event.seq)

    def _placed(self, number: int, event: Event, newest: int) -> Iterator[Finding]:
        if (event.instance, event.replica) != (self._instance, self._replica):
            yield self._at(number, Problem.FOREIGN, f"The event is of {event.instance}, replica {event.replica}.")
            return
        if event.seq in self._hashes:
            yield self._at(number, Problem.REPEATED, f"Event {event.seq} is there twice.")
            return
        if event.seq < newest:
            yield self._at(number, Problem.REORDERED, f"Event {event.seq} comes after event {newest}.")
        before = self._hashes.get(event.seq - 1)
        if before is not None and before != event.prev:
            yield self._at(number, Problem.CHANGED, f"Event {event.seq} follows another event than {event.seq - 1}.")
        self._hashes[event.seq] = event.hash

    def _gaps(self) -> Iterator[Finding]:
        there = sorted(self._hashes)
        gaps = [(low + 1, high - 1) for low, high in pairwise(there) if high > low + 1]
        # A line that cannot be read accounts for one number.
        if sum(last - first + 1 for first, last in gaps) > self._unread:
            absent = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in gaps)
            yield self._at(None, Problem.MISSING, f"Of {there[-1]} events not there: {absent}.")

    def _receipt(self) -> Iterator[Finding]:
        try:
            head = self._received()
        except InvalidToken as error:
            yield self._at(None, Problem.RECEIPT, error.description)
            return
        if head is None:
            return
        if head.seq > max(self._hashes):
            yield self._at(None, Problem.MISSING, f"The end is gone: event {head.seq} was collected.")
        elif self._hashes.get(head.seq) not in {None, head.hash}:
            yield self._at(None, Problem.CHANGED, f"Event {head.seq} is another than the one collected.")

    def _received(self) -> Head | None:
        note = acknowledgement(self._path)
        if self._key is None or not note.exists():
            return None
        try:
            receipt = json.loads(note.read_bytes())["receipt"]
        except (ValueError, TypeError, KeyError):
            raise InvalidToken("The receipt cannot be read.") from None
        if receipt is None:
            return None
        head = read(str(receipt), self._key)
        if (head.instance, head.replica) != (self._instance, self._replica):
            raise InvalidToken("The receipt is another chain's.")
        return head

    def _at(self, line: int | None, problem: Problem, text: str) -> Finding:
        return Finding(self._path.name, problem, line, text)


def _named(path: Path) -> tuple[str, int]:
    instance, _, replica = path.name.removesuffix(".jsonl").partition(SEPARATOR)
    return instance, int(replica) if replica.isdecimal() else 0
