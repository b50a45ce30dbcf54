"""How a trail is told: the words, the participants, and one colour with one line for each grant.

Every rendering takes these from here, so that a hop looks and reads the same in each.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from stead.identity.audit.hops import Hop, Trail
from stead.identity.values import Grant

REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Line:
    """How a grant is drawn: its colour on a light and on a dark ground, its dashes (SVG), its strokes (terminal)."""

    meaning: str
    light: str
    dark: str
    dashes: str
    weight: float
    strokes: str


LINES: Mapping[str, Line] = MappingProxyType(
    {
        Grant.LOGIN.value: Line("signed in", "#4a5361", "#b6bfca", "none", 1.5, "──▶"),
        Grant.OBO.value: Line("on behalf of the person", "#1f55c4", "#86aeff", "none", 2.5, "━━▶"),
        Grant.S2S.value: Line("as itself, for no person", "#0b6e63", "#5cc9b8", "7 5", 2.0, "╌╌▶"),
        Grant.IN_TASK.value: Line("authorized for this one operation", "#8f5200", "#f0b054", "12 4 2 4", 2.5, "━╍▶"),
        REFUSED: Line("refused", "#b3201a", "#ff8d84", "2 4", 2.5, "┄┄✕"),
    }
)


@dataclass(frozen=True, slots=True)
class Participant:
    """Who stands over a column. `key` is what hops name it by; a person stands for the client they signed in with."""

    key: str
    title: str
    kind: str
    initial: str | None = None


class Wording:
    """The words for one trail. `names` gives display names for client ids and issuers; others are made from the ids."""

    def __init__(self, trail: Trail, names: Mapping[str, str] | None = None) -> None:
        self._names = names or {}
        self._trail = trail
        root = trail.root
        self.person = None if root is None or root.grant == Grant.S2S else plain(root.name or root.sub or "") or None

    @property
    def first(self) -> str:
        """The person's first name."""
        return (self.person or "the person").split()[0]

    def participants(self) -> tuple[Participant, ...]:
        """Everybody who calls or is called; a service next to the one that calls it."""
        keys: dict[str, None] = {}
        for hop in (*self._branches(None, set()), *self._trail.hops):
            keys |= {caller(hop): None, callee(hop): None}
        return tuple(self._participant(key) for key in keys)

    def title(self, key: str) -> str:
        """What a client, or an issuer, is called."""
        if key in self._names:
            return plain(self._names[key])
        bare = re.sub(r"-(agent|mcp)$", "", urlsplit(key).netloc or key)
        spaced = re.sub(r"[-_]+", " ", plain(bare)).strip() or "Unknown"
        return spaced[0].upper() + spaced[1:]

    def right(self, hop: Hop) -> str:
        """By what right: "on behalf of Alice", "as itself"."""
        person = plain(hop.name).split()[0] if hop.name and plain(hop.name).split() else self.first
        if hop.grant == Grant.LOGIN:
            return f"{person}, signed in"
        if hop.grant == Grant.OBO:
            return f"on behalf of {person}"
        if hop.grant == Grant.IN_TASK:
            # The bank may know the person by another name; who may approve was checked against the task's owner.
            return f"authorized by {self.first} at {self.title(hop.iss or 'its provider')}"
        return "as itself"

    def state(self, hop: Hop) -> str:
        """The right, and what became of it: "on behalf of Bob, refused"."""
        special = {"step_up": "needs a stronger login", "consent": f"needs {self.first}'s approval"}
        if hop.decision in special:
            return f"{self.right(hop)}, {special[hop.decision]}"
        if hop.refused:
            return f"{self.right(hop)}, refused"
        return self.right(hop) if hop.confirmed else f"{self.right(hop)}, unconfirmed"

    def claims(self, hop: Hop) -> tuple[tuple[str, str], ...]:
        """The claims that tell hops apart: whose authority, through whom, for what."""
        parts = {"sub": hop.sub, "act": " ‹ ".join(chain(hop)), "scope": hop.scope}
        return tuple((name, plain(text)) for name, text in parts.items() if text)

    def token(self, hop: Hop) -> str:
        """The claims in one line: `sub alice  act portfolio-agent ‹ broker  scope holdings:read`."""
        return "  ".join(f"{name} {text}" for name, text in self.claims(hop))

    def reason(self, hop: Hop) -> str:
        """Why not: `invalid_scope: Bob is not entitled to this.`"""
        return ": ".join(plain(text) for text in (hop.code or hop.decision, hop.description) if text)

    def initial(self, hop: Hop) -> str | None:
        """The letter that travels along the arrow: the person's, and none where a service acts as itself."""
        return None if hop.grant == Grant.S2S or self.person is None else self.first[0].upper()

    def _branches(self, parent: str | None, seen: set[str]) -> list[Hop]:
        found: list[Hop] = []
        for hop in self._trail.hops:
            if hop.parent == parent and hop.hop not in seen:
                seen.add(hop.hop)
                found += [hop, *self._branches(hop.hop, seen)]
        return found

    def _participant(self, key: str) -> Participant:
        root = self._trail.root
        if self.person is not None and root is not None and key == caller(root):
            return Participant(key, self.person, f"at {self.title(key)}", self.first[0].upper())
        kind = "agent" if key.endswith("-agent") else "MCP server" if key.endswith("-mcp") else "service"
        return Participant(key, self.title(key), kind)


def caller(hop: Hop) -> str:
    """The participant that makes a hop."""
    return hop.caller or "unknown"


def callee(hop: Hop) -> str:
    """The participant that a hop is made to."""
    return hop.callee_name or hop.callee or "unknown"


def chain(hop: Hop) -> tuple[str, ...]:
    """The actors, current one first."""
    found, act = [], hop.act
    while isinstance(act, dict):
        found.append(str(act.get("sub")))
        act = act.get("act")
    return tuple(found)


def plain(text: str) -> str:
    """Text without anything that moves a cursor, turns the reading direction, or breaks a line."""
    return "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
