"""The trail of a task: walked from its root hop over egress records, never selected by a trace id.

Knows events and joins them. What a caller can forge (trace, hop id, parent) proves nothing by itself: a hop belongs
where its token id says so, and only below a hop that its own caller had received.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from stead.identity.audit.event import Event, Kind
from stead.identity.audit.hops import Hop, Trail
from stead.identity.types import Json
from stead.identity.values import Grant

__all__ = ["ROOT", "Hop", "Trail", "assemble", "calls"]

ROOT = "broker"
"""The workload at which tasks begin: it alone can say which call began one."""


def assemble(events: Iterable[Event], task: str, *, root: str = ROOT, names: Mapping[str, str] | None = None) -> Trail:
    """Joins the events into the trail of `task`; without hops when none of them began it.

    Events of other tasks may be among them. `names` are clients by audience, for callees that did not confirm.
    """
    return _Walk(events, task, root, names or {}).trail()


def calls(events: Iterable[Event], *, names: Mapping[str, str] | None = None) -> tuple[Hop, ...]:
    """The calls that the events tell of, by time, each joined from its two sides; of whatever task, or of none."""
    return _Walk(events, "", "", names or {}).calls()


@dataclass(frozen=True, slots=True)
class _Joined:
    egress: Event | None
    ingress: Event | None
    parent: "_Joined | None"
    evidence: tuple[Event, ...]
    started: float

    @property
    def hop(self) -> str:
        return self.first.hop

    @property
    def first(self) -> Event:
        event = self.egress or self.ingress
        assert event is not None  # noqa: S101 - one of the two is why it was joined
        return event

    @property
    def order(self) -> tuple[float, int, str]:
        depth, above = 0, self.parent
        while above is not None:
            depth, above = depth + 1, above.parent
        return self.started, depth, self.hop


class _Walk:
    def __init__(self, events: Iterable[Event], task: str, root: str, names: Mapping[str, str]) -> None:
        self._task, self._root, self._names = task, root, dict(names)
        self._by_hop: dict[tuple[Kind, str], list[Event]] = defaultdict(list)
        self._below: dict[str, list[Event]] = defaultdict(list)
        unique = {(event.instance, event.replica, event.seq): event for event in events}
        for event in sorted(unique.values(), key=_when):
            self._by_hop[event.kind, event.hop].append(event)
            if event.kind is Kind.EGRESS and event.parent_hop is not None:
                self._below[event.parent_hop].append(event)

    def trail(self) -> Trail:
        joined = sorted(self._joined(), key=lambda each: each.order)
        self._learn_names(joined)
        version = sum(len(each.evidence) for each in joined)
        return Trail(task=self._task, version=version, hops=tuple(self._export(each) for each in joined))

    def calls(self) -> tuple[Hop, ...]:
        sent = [each for (kind, _), events in self._by_hop.items() if kind is Kind.EGRESS for each in events]
        joined = [self._join(each, self._confirmation(each, each.hop), None, []) for each in sent]
        told = {(each.ingress.hop, each.ingress.jti) for each in joined if each.ingress is not None}
        arrived = [each for (kind, _), events in self._by_hop.items() if kind is Kind.INGRESS for each in events]
        joined += [self._join(None, each, None, []) for each in arrived if (each.hop, each.jti) not in told]
        self._learn_names(joined)
        return tuple(self._export(each) for each in sorted(joined, key=lambda each: each.order))

    def _joined(self) -> list[_Joined]:
        found: dict[str, _Joined] = {}
        frontier = list(self._roots())
        while frontier:
            new = [each for each in frontier if each.hop not in found]
            for each in new:
                found.setdefault(each.hop, each)
            frontier = [child for each in new if found[each.hop] is each for child in self._children(each)]
        return list(found.values())

    def _roots(self) -> Iterator[_Joined]:
        """The calls which the root instance bound to the task; later ones only from the person who began it."""
        owner = None
        for ingress, bindings in self._bound():
            owner = owner or (ingress.iss, ingress.sub)
            if (ingress.iss, ingress.sub) == owner:
                yield self._join_root(ingress, bindings)

    def _bound(self) -> Iterator[tuple[Event, list[Event]]]:
        calls: dict[tuple[str, int, int], tuple[Event, list[Event]]] = {}
        for (_, hop), events in list(self._by_hop.items()):
            for event in events:
                if event.task == self._task and event.instance == self._root:
                    ingress = self._ingress_of(event, hop)
                    if ingress is not None:
                        place = (ingress.instance, ingress.replica, ingress.seq)
                        calls.setdefault(place, (ingress, []))[1].append(event)
        yield from sorted(calls.values(), key=lambda call: _when(call[0]))

    def _ingress_of(self, event: Event, hop: str) -> Event | None:
        if event.kind is Kind.INGRESS:
            return event
        if event.kind is not Kind.TASK:
            return None
        arrived = [each for each in self._by_hop[Kind.INGRESS, hop] if each.instance == self._root]
        if event.jti is not None:
            return next((each for each in arrived if each.jti == event.jti), None)
        # Without a token id the hop must be beyond doubt: its id is the caller's to choose.
        return arrived[0] if len({each.jti for each in arrived}) == 1 else None

    def _join_root(self, ingress: Event, bindings: list[Event]) -> _Joined:
        sent = [
            each
            for each in self._by_hop[Kind.EGRESS, ingress.hop]
            if each.instance != ingress.instance and each.jti is not None and each.jti == ingress.jti
        ]
        egress = sent[-1] if len({each.instance for each in sent}) == 1 else None
        return self._join(egress, ingress, None, [*sent, *(each for each in bindings if each is not ingress)])

    def _children(self, parent: _Joined) -> Iterator[_Joined]:
        arrived = parent.ingress
        if arrived is None or arrived.jti is None:
            return
        ours = (event for event in self._below[arrived.hop] if self._descends(event, arrived, parent))
        by_hop = sorted(ours, key=lambda event: (event.hop, *_when(event)))
        for hop, sent in groupby(by_hop, key=lambda event: event.hop):
            attempts = list(sent)
            yield self._join(attempts[-1], self._confirmation(attempts[-1], hop), parent, attempts)

    def _descends(self, event: Event, arrived: Event, parent: _Joined) -> bool:
        made_there = event.instance == arrived.instance
        by_its_right = (event.parent_jti or event.cause_jti) == arrived.jti
        # One person may send the same hop and token twice; the root says itself which task it acted for.
        of_this_task = parent.parent is not None or event.task in {None, self._task}
        return made_there and by_its_right and of_this_task

    def _confirmation(self, egress: Event, hop: str) -> Event | None:
        """What the callee recorded. Two who claim to be the callee leave it unconfirmed, as does the caller itself."""
        claims = [
            event
            for event in self._by_hop[Kind.INGRESS, hop]
            if egress.jti is not None and event.jti == egress.jti and event.aud == egress.aud
        ]
        claimants = {event.instance for event in claims}
        return claims[0] if len(claimants) == 1 and egress.instance not in claimants else None

    def _join(
        self, egress: Event | None, ingress: Event | None, parent: _Joined | None, others: list[Event]
    ) -> _Joined:
        told = [event for event in (egress, ingress) if event is not None]
        # A caller knows how its call ended; how a task ended is known where it began.
        may_end = {event.instance for event in (told if parent is None else told[:1])}
        ends = [event for event in self._by_hop[Kind.OUTCOME, told[0].hop] if event.instance in may_end]
        evidence = {(event.instance, event.replica, event.seq): event for event in (*told, *others, *ends)}
        started = min(event.time for event in told)
        if parent is not None:
            started = max(started, parent.started)
        return _Joined(egress, ingress, parent, tuple(sorted(evidence.values(), key=_when)), started)

    def _learn_names(self, joined: list[_Joined]) -> None:
        for each in joined:
            if each.ingress is not None and each.ingress.aud is not None:
                self._names[each.ingress.aud] = each.ingress.instance

    def _export(self, joined: _Joined) -> Hop:
        egress, ingress, first = joined.egress, joined.ingress, joined.first
        token = ingress or first  # what was verified goes before what was sent
        decided = ingress or first
        end = next((event for event in reversed(joined.evidence) if event.kind is Kind.OUTCOME), None)
        said = _said(egress, ingress, end)
        service = token.grant == Grant.S2S
        return Hop(
            hop=joined.hop,
            parent=None if joined.parent is None else joined.parent.hop,
            caller=first.caller,
            callee=first.callee,
            callee_name=self._callee_name(joined),
            operation=first.operation,
            resource=decided.resource or first.resource,
            grant=token.grant,
            iss=token.iss,
            sub=token.sub,
            name=None if service else token.name or first.name,
            act=None if service or token.act is None else dict(token.act),
            aud=token.aud,
            scope=token.scope,
            exp=token.exp,
            jti=token.jti,
            cnf=token.cnf,
            parent_jti=egress.parent_jti if egress is not None and _derived(token, joined) else None,
            consent_id=next((event.consent_id for event in (ingress, egress) if event and event.consent_id), None),
            decision=decided.decision,
            rule=decided.rule,
            code=None if said is None else said.code,
            description=None if said is None else said.description,
            hint=None if said is None else said.hint,
            chain_from=None if ingress is None else ingress.chain_from,
            confirmed=ingress is not None,
            started=joined.started,
            **_ending(decided, end),
        )

    def _callee_name(self, joined: _Joined) -> str | None:
        if joined.ingress is not None:
            return joined.ingress.instance
        callee, resource = joined.first.callee, joined.first.resource
        if callee in self._names:
            return self._names[callee]
        return resource.partition(".")[0] if resource and "." in resource else callee


def _derived(token: Event, joined: _Joined) -> bool:
    """Only an exchanged token descends from another; one that the person approved at the bank does not."""
    return token.grant == Grant.OBO and joined.parent is not None


def _when(event: Event) -> tuple[float, str, int, int]:
    return event.time, event.instance, event.replica, event.seq


def _ending(decided: Event, end: Event | None) -> Json:
    if end is not None:
        return {"ended": end.time, "outcome": end.outcome}
    refused = decided.decision != "allow"
    return {"ended": decided.time if refused else None, "outcome": "refused" if refused else None}


def _said(*events: Event | None) -> Event | None:
    return next((event for event in events if event is not None and event.code is not None), None)
