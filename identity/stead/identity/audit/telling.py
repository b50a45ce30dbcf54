"""A trail in words: who asked, through whom, by what right, and what was decided. A sentence and a row for each hop."""

from collections.abc import Iterable, Mapping

from stead.identity.audit.hops import Hop, Trail
from stead.identity.audit.wording import Wording, callee, caller, chain, plain

TITLES = ("Hop", "Who", "Through", "Right", "What", "Decision", "Rule", "Outcome")
"""The columns of `rows`."""

_DECISIONS = {"allow": "allowed", "deny": "refused", "step_up": "a stronger login asked", "consent": "approval asked"}
_NOTHING = "–"


def sentences(trail: Trail, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One sentence for each hop, in the order of the trail."""
    wording = Wording(trail, names)
    return tuple(_sentence(hop, wording) for hop in trail.hops)


def rows(trail: Trail, names: Mapping[str, str] | None = None) -> tuple[tuple[str, ...], ...]:
    """One row for each hop, under `TITLES`."""
    wording = Wording(trail, names)
    return tuple(_row(number, hop, wording) for number, hop in enumerate(trail.hops, start=1))


def _sentence(hop: Hop, wording: Wording) -> str:
    who = wording.title(caller(hop))
    what = plain(hop.resource or hop.operation or "something")
    said = f"{who}, {wording.right(hop)}{_through(hop, wording)}, asked {wording.title(callee(hop))} for {what}"
    return f"{said}{_with(hop)}: {_decision(hop)}{_reason(hop, wording)}{_end(hop)}."


def _through(hop: Hop, wording: Wording) -> str:
    """The actors before the current one, who is the caller."""
    earlier = [wording.title(actor) for actor in chain(hop)[1:]]
    return f" through {_listed(earlier)}" if earlier else ""


def _with(hop: Hop) -> str:
    return f" with the scope {plain(hop.scope)}" if hop.scope else ""


def _decision(hop: Hop) -> str:
    word = _DECISIONS.get(hop.decision or "", "not decided")
    return f"{word} by {plain(hop.rule)}" if hop.rule else word


def _reason(hop: Hop, wording: Wording) -> str:
    return f" ({wording.reason(hop)})" if hop.code else ""


def _end(hop: Hop) -> str:
    confirmed = "" if hop.confirmed else ", which the callee does not confirm"
    ended = f", {plain(hop.outcome)}" if hop.outcome else ", not ended yet"
    return f"{ended}{confirmed}"


def _row(number: int, hop: Hop, wording: Wording) -> tuple[str, ...]:
    through = " ‹ ".join(wording.title(actor) for actor in chain(hop)[1:])
    return (
        str(number),
        f"{wording.title(caller(hop))} → {wording.title(callee(hop))}",
        through or _NOTHING,
        wording.right(hop),
        plain(hop.resource or hop.operation or _NOTHING),
        hop.decision or _NOTHING,
        plain(hop.rule or _NOTHING),
        plain(hop.outcome or "…"),
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
