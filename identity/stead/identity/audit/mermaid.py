"""A trail as a Mermaid sequence diagram, which forges and documentation tools draw."""

import re
from collections.abc import Mapping

from stead.identity.audit.hops import Hop, Trail
from stead.identity.audit.wording import LINES, REFUSED, Wording, callee, caller, plain
from stead.identity.values import Grant

_ARROWS = {Grant.LOGIN: "->>", Grant.OBO: "->>", Grant.S2S: "-->>", Grant.IN_TASK: "-)"}
_SAFE = re.compile(r"[^\w \-.,:/()’·‹+@=]")


def as_mermaid(trail: Trail, names: Mapping[str, str] | None = None) -> str:
    """The diagram's text: a participant per service, the person as an actor, a note per token."""
    wording = Wording(trail, names)
    who = wording.participants()
    letters = {participant.key: f"P{number}" for number, participant in enumerate(who)}
    lines = ["sequenceDiagram", "  autonumber"]
    for each in who:
        shape = "participant" if each.initial is None else "actor"
        lines.append(f"  {shape} {letters[each.key]} as {_text(each.title)}")
    for hop in trail.hops:
        lines += _hop(hop, wording, letters[caller(hop)], letters[callee(hop)])
    return "\n".join(lines) + "\n"


def _hop(hop: Hop, wording: Wording, left: str, right: str) -> list[str]:
    arrow = "-x" if hop.refused else _ARROWS.get(Grant(hop.grant), "->>") if hop.grant in set(Grant) else "->>"
    what = plain(hop.resource or hop.operation or "call")
    note = wording.token(hop) if not hop.refused else wording.reason(hop)
    place = f"over {left},{right}" if left != right else f"over {left}"
    return [
        f"  rect {_tint(hop)}",
        f"  {left}{arrow}{right}: {_text(f'{what} · {wording.state(hop)}')}",
        *([f"  Note {place}: {_text(note)}"] if note else []),
        "  end",
    ]


def _tint(hop: Hop) -> str:
    """The grant's colour, thin enough to be read upon in light and dark."""
    colour = LINES.get(hop.line, LINES[REFUSED]).light
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.12)"


def _text(text: str) -> str:
    """Mermaid has no quoting in messages: what it might take for syntax is written as an entity."""
    entities = _SAFE.sub(lambda match: f"#{ord(match[0])};", text)
    return re.sub(r"\bend\b", "#101;nd", entities, flags=re.IGNORECASE)
