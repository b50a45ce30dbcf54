"""One chain, walked line by line, from wherever its lines come: what is changed, missing, moved or foreign."""

from collections.abc import Iterator
from itertools import pairwise

from stead.identity.audit.event import Event, genesis, unseal
from stead.identity.audit.findings import Finding, Problem
from stead.identity.audit.heads import Head
from stead.identity.errors import InvalidRequest

GRACE = 60.0
"""Seconds in which an event may still be on its way to the collector."""


class Walk:
    """The state of checking one chain. Feed it each line, then ask for `gaps` and what a receipt proves."""

    def __init__(self, instance: str, replica: int, name: str) -> None:
        self._instance, self._replica, self.name = instance, replica, name
        self._hashes: dict[int, str] = {0: genesis(instance, replica)}
        self._times: dict[int, float] = {}
        self.began = 0
        """Up to which number events were deleted by right."""
        self._newest = 0
        self._unread = 0

    @property
    def last(self) -> int:
        """The highest number seen; 0 in an empty chain."""
        return max(self._hashes)

    def begin_after(self, seq: int, digest: str) -> None:
        """What lies before was deleted by right: the chain goes on from there."""
        self._hashes, self.began = {seq: digest}, seq

    def line(self, place: str, number: int, line: bytes) -> Iterator[Finding]:
        """What is wrong with the next line."""
        try:
            event = unseal(line)
        except InvalidRequest as error:
            self._unread += 1
            yield Finding(place, Problem.CHANGED, number, error.description)
            return
        for problem, text in self._placed(event):
            yield Finding(place, problem, number, text)

    def gaps(self) -> Iterator[Finding]:
        """Numbers that no line has."""
        there = sorted(self._hashes)
        gaps = [(low + 1, high - 1) for low, high in pairwise(there) if high > low + 1]
        # A line that cannot be read accounts for one number.
        if sum(last - first + 1 for first, last in gaps) > self._unread:
            absent = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in gaps)
            yield self._whole(Problem.MISSING, f"Of {there[-1]} events not there: {absent}.")

    def against(self, head: Head) -> Iterator[Finding]:
        """What is wrong in the light of a head that was signed for."""
        if head.seq > self.last:
            lost = f"{self.last + 1}-{head.seq}" if head.seq > self.last + 1 else str(head.seq)
            yield self._whole(Problem.MISSING, f"The end is gone: event {head.seq} was collected. Lost: {lost}.")
        elif self._hashes.get(head.seq) not in {None, head.hash}:
            yield self._whole(Problem.CHANGED, f"Event {head.seq} is another than the one collected.")

    def overdone(self, head: Head | None) -> Iterator[Finding]:
        """Whether more was deleted than was collected."""
        if self.began > (0 if head is None else head.seq):
            yield self._whole(Problem.MISSING, "Events were deleted that nobody had collected.")

    def uncollected(self, head: Head | None, now: float) -> Iterator[Finding]:
        """Events that nobody countersigned, though they had time to be collected: their loss would not show."""
        first = (0 if head is None else head.seq) + 1
        if first in self._times and now - self._times[first] > GRACE:
            which = str(first) if first == self.last else f"{first}-{self.last}"
            yield self._whole(Problem.UNSIGNED, f"No countersigned head covers event {which}.")

    def _placed(self, event: Event) -> Iterator[tuple[Problem, str]]:
        if (event.instance, event.replica) != (self._instance, self._replica):
            yield Problem.FOREIGN, f"The event is of {event.instance}, replica {event.replica}."
            return
        if event.seq <= self.began:
            return
        if event.seq in self._hashes:
            yield Problem.REPEATED, f"Event {event.seq} is there twice."
            return
        if event.seq < self._newest:
            yield Problem.REORDERED, f"Event {event.seq} comes after event {self._newest}."
        before = self._hashes.get(event.seq - 1)
        if before is not None and before != event.prev:
            yield Problem.CHANGED, f"Event {event.seq} follows another event than {event.seq - 1}."
        self._hashes[event.seq], self._times[event.seq] = event.hash, event.time
        self._newest = max(self._newest, event.seq)

    def _whole(self, problem: Problem, text: str) -> Finding:
        return Finding(self.name, problem, None, text)
