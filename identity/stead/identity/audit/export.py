"""The events of a folder's chains, one after the other, as lines for another system; one line is held at a time."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from stead.identity.audit.chain import acknowledgement, chain_named
from stead.identity.audit.ecs import as_ecs
from stead.identity.audit.event import Event, unseal
from stead.identity.audit.findings import Finding, Problem
from stead.identity.audit.heads import Head
from stead.identity.audit.ocsf import as_ocsf
from stead.identity.audit.segments import files, tombstone
from stead.identity.audit.signers import Signers
from stead.identity.audit.walk import Walk
from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.types import Json

FORMS: Mapping[str, Callable[[Event], Json]] = MappingProxyType({"ocsf": as_ocsf, "ecs": as_ecs})

MAX_LINE = 65_536
"""Bytes of a line of an exported file; an event is far smaller."""


def events(folder: Path, *, since: float = 0.0) -> Iterator[Event]:
    """Every event that can be read, chain by chain, in order. What cannot be read is for `check` to report."""
    for line in _lines(folder):
        try:
            event = unseal(line)
        except InvalidRequest:
            continue
        if event.time >= since:
            yield event


def converted(folder: Path, form: str, *, since: float = 0.0) -> Iterator[str]:
    """A line of JSON for each event, in one of `FORMS`."""
    convert = FORMS[form]
    return (json.dumps(convert(event), separators=(",", ":")) for event in events(folder, since=since))


def raw(folder: Path) -> Iterator[str]:
    """The chains as they were written, each between its tombstone and its receipt, for `check_export` elsewhere."""
    for path in sorted(folder.glob("*.jsonl")):
        if tombstone(path).exists():
            yield json.dumps({"tombstone": tombstone(path).read_text(errors="replace"), "of": chain_named(path)[0]})
        yield from (line.decode("utf-8", "replace").rstrip("\n") for line in _lines_of(path))
        receipt = _receipt(path)
        if receipt is not None:
            yield json.dumps({"receipt": receipt})


def check_export(name: str, lines: Iterable[bytes], signers: Signers, now: float | None = None) -> list[Finding]:
    """What is wrong with an exported journal; `name` is what its findings call it."""
    return list(_Export(name, signers, now).findings(lines))


class _Export:
    def __init__(self, name: str, signers: Signers, now: float | None) -> None:
        self._name, self._signers, self._now = name, signers, now
        self._walks: dict[tuple[str, int], Walk] = {}
        self._receipts: list[tuple[int, str]] = []

    def findings(self, lines: Iterable[bytes]) -> Iterator[Finding]:
        for number, line in enumerate(lines, start=1):
            yield from self._line(number, line)
        for walk in self._walks.values():
            yield from walk.gaps()
        yield from self._signed()

    def _line(self, number: int, line: bytes) -> Iterator[Finding]:
        try:
            value = json.loads(line) if len(line) <= MAX_LINE else None
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and isinstance(value.get("receipt"), str):
            self._receipts.append((number, value["receipt"]))
        elif isinstance(value, dict) and isinstance(value.get("tombstone"), str):
            yield from self._pruned(number, value["tombstone"], str(value.get("of")))
        elif isinstance(value, dict) and isinstance(value.get("instance"), str):
            walk = self._walk(value["instance"], value.get("replica", 0))
            yield from walk.line(self._name, number, line if line.endswith(b"\n") else line + b"\n")
        else:
            yield Finding(self._name, Problem.CHANGED, number, "The line is neither an event nor a receipt.")

    def _pruned(self, number: int, text: str, instance: str) -> Iterator[Finding]:
        try:
            head = self._signers.tombstone(text, instance)
            if head.instance != instance:
                raise InvalidToken("The tombstone is another chain's.")
        except InvalidToken as error:
            yield Finding(self._name, Problem.RECEIPT, number, error.description)
            return
        self._walk(head.instance, head.replica).begin_after(head.seq, head.hash)

    def _walk(self, instance: str, replica: object) -> Walk:
        place = (instance, replica if isinstance(replica, int) else 0)
        name = f"{self._name}({instance}~{place[1]})" if place[1] else f"{self._name}({instance})"
        return self._walks.setdefault(place, Walk(*place, name))

    def _signed(self) -> Iterator[Finding]:
        if self._signers.collector is None:
            return
        heads: dict[tuple[str, int], Head] = {}
        for number, text in self._receipts:
            try:
                head = self._signers.any_receipt(text)
            except InvalidToken as error:
                yield Finding(self._name, Problem.RECEIPT, number, error.description)
                continue
            place = (head.instance, head.replica)
            if place not in heads or heads[place].seq < head.seq:
                heads[place] = head
        for place, head in heads.items():
            yield from self._walk(*place).against(head)
        for place, walk in self._walks.items():
            yield from walk.overdone(heads.get(place))
            yield from walk.uncollected(heads.get(place), float("inf") if self._now is None else self._now)


def _lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("*.jsonl")):
        yield from _lines_of(path)


def _lines_of(path: Path) -> Iterator[bytes]:
    for each in files(path):
        with each.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def _receipt(path: Path) -> str | None:
    try:
        receipt = json.loads(acknowledgement(path).read_bytes())["receipt"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return receipt if isinstance(receipt, str) else None
