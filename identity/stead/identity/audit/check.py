"""Whether the chains of a folder are whole: nothing changed, missing, inserted, reordered or torn, each head signed.

Reads files only, so it needs no network, and may run beside the processes that write.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement, chain_named, watch
from stead.identity.audit.findings import Finding, Problem
from stead.identity.audit.heads import Head
from stead.identity.audit.segments import last_of, sealed, tombstone
from stead.identity.audit.signers import Signers
from stead.identity.audit.walk import Walk
from stead.identity.errors import InvalidToken

__all__ = ["Finding", "Problem", "check", "check_against"]


def check(
    folder: Path, *, key: ECKey | None = None, signers: Signers | None = None, now: float | None = None
) -> list[Finding]:
    """All findings, by chain and line; empty when every chain is whole.

    With `signers` (or the collector's `key` alone) the receipts are verified too, so that a chain cut short or written
    anew shows. With the time `now`, so do events that nobody countersigned in time.
    """
    signers = signers or Signers(key)
    chains = [_Chain(path, signers, now) for path in sorted(folder.glob("*.jsonl"))]
    return [*(finding for chain in chains for finding in chain.findings()), *_vanished(folder)]


def check_against(folder: Path, held: Sequence[Mapping[str, Any]], signers: Signers) -> list[Finding]:
    """What is wrong with the files in the light of what a collector holds: see `GET /chains`.

    `held` is no authority by itself: its receipts are verified first, and one that is false is a finding.
    """
    found: list[Finding] = []
    paths = {chain_named(path): path for path in folder.glob("*.jsonl")}
    for chain in held:
        found += _held(chain, paths, signers)
    return found


def _held(chain: Mapping[str, Any], paths: Mapping[tuple[str, int], Path], signers: Signers) -> Iterator[Finding]:
    instance, replica = str(chain.get("instance")), chain.get("replica", 0)
    replica = replica if isinstance(replica, int) else 0
    name = f"{instance}~{replica}" if replica else instance
    receipt = chain.get("receipt")
    if receipt is None:
        return
    try:
        head = signers.receipt(str(receipt), instance, replica)
    except InvalidToken as error:
        yield Finding(name, Problem.RECEIPT, None, f"The collector's receipt is no good: {error.description}")
        return
    if head is None:
        return
    if (chain.get("seq"), chain.get("hash")) != (head.seq, head.hash):
        yield Finding(
            name, Problem.CHANGED, None, f"The collector holds event {chain.get('seq')}, signed is {head.seq}."
        )
    path = paths.get((instance, replica))
    if path is None:
        yield Finding(name, Problem.MISSING, None, f"The whole chain is gone: {head.seq} events of it were collected.")
        return
    walk = _Chain(path, signers, None).walked()
    yield from walk.against(head)


def _vanished(folder: Path) -> Iterator[Finding]:
    for note in sorted(folder.glob("*.jsonl.ack")):
        name = note.name.removesuffix(".ack")
        if not (folder / name).exists():
            yield Finding(name, Problem.MISSING, None, "The whole chain is gone, yet events of it were collected.")


class _Chain:
    def __init__(self, path: Path, signers: Signers, now: float | None) -> None:
        self._path, self._signers, self._now = path, signers, now
        self._instance, self._replica = chain_named(path)
        self._walk = Walk(self._instance, self._replica, path.name)

    def walked(self) -> Walk:
        """The chain walked, whatever was found."""
        list(self.findings())
        return self._walk

    def findings(self) -> list[Finding]:
        while True:
            there = sealed(self._path)
            found = self._found()
            if sealed(self._path) == there:
                break
            # The file was sealed off while it was read.
            self._walk = Walk(self._instance, self._replica, self._path.name)
        return sorted(found, key=lambda finding: (finding.line is None, finding.line or 0))

    def _found(self) -> list[Finding]:
        pruned = [*self._pruned()]
        after = self._walk.last
        return [*pruned, *_lines(self._path, self._walk, after), *self._walk.gaps(), *self._receipt()]

    def _receipt(self) -> Iterator[Finding]:
        if self._signers.collector is None:
            return
        try:
            head = self._received()
        except InvalidToken as error:
            yield Finding(self._path.name, Problem.RECEIPT, None, error.description)
            return
        yield from self._walk.overdone(head)
        if head is not None:
            yield from self._walk.against(head)
        if self._now is not None:
            yield from self._walk.uncollected(head, self._now)

    def _pruned(self) -> Iterator[Finding]:
        """What was deleted by right, if its tombstone is signed by the workload."""
        note = tombstone(self._path)
        if not note.exists():
            return
        try:
            head = self._signers.tombstone(note.read_text(errors="replace").strip(), self._instance)
            if (head.instance, head.replica) != (self._instance, self._replica):
                raise InvalidToken("The tombstone is another chain's.")
        except InvalidToken as error:
            yield Finding(note.name, Problem.RECEIPT, None, error.description)
            return
        self._walk.begin_after(head.seq, head.hash)

    def _received(self) -> Head | None:
        note = acknowledgement(self._path)
        if not note.exists():
            return None
        try:
            receipt = json.loads(note.read_bytes())["receipt"]
        except (ValueError, TypeError, KeyError):
            raise InvalidToken("The receipt cannot be read.") from None
        return None if receipt is None else self._signers.receipt(str(receipt), self._instance, self._replica)


def _lines(path: Path, walk: Walk, after: int = 0) -> Iterator[Finding]:
    """Walks all files of a chain but those that end before event `after` + 1."""
    for full in sealed(path):
        if last_of(full) > after:
            yield from _file(full, walk)
    yield from _file(path, walk)


def _file(path: Path, walk: Walk) -> Iterator[Finding]:
    with watch(path) as idle, path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield from walk.line(path.name, number, line)
            elif idle:
                # What a running process is just writing is not torn.
                yield Finding(path.name, Problem.TORN, number, "The last line is not whole.")
