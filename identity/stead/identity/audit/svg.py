"""A trail as a standalone picture: a sequence diagram that is read by its lines and letters before its words.

Participants are columns, hops are rows. Where a person's authority travels, their initial travels along the arrow;
a service hop carries none. Light and dark follow the viewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from stead.identity.audit.hops import Hop, Trail
from stead.identity.audit.wording import LINES, REFUSED, Participant, Wording, callee, caller, plain

_WIDTH, _COLUMN = 900, 104
_LEFT, _RIGHT = 92, 74
_HEAD, _FIRST, _ROW = 132, 196, 76
_SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif'
_MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "Liberation Mono", monospace'

_STYLE = """
svg { color-scheme: light dark; %(light)s }
@media (prefers-color-scheme: dark) { svg { %(dark)s } }
text { font-family: %(sans)s; font-size: 12.5px; fill: var(--ink); }
.title { font-size: 19px; font-weight: 650; letter-spacing: -0.01em; }
.under { fill: var(--soft); font-size: 13px; }
.name { font-weight: 650; font-size: 13.5px; text-anchor: middle; }
.kind { fill: var(--faint); font-size: 11.5px; text-anchor: middle; }
.life { stroke: var(--hair); stroke-width: 1; }
.number { fill: var(--faint); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.hop text { paint-order: stroke; stroke: var(--ground); stroke-width: 5px; stroke-linejoin: round; }
.what { font-weight: 650; }
.right { font-weight: 500; fill: var(--line); }
.claims { font-family: %(mono)s; font-size: 11px; fill: var(--soft); }
.claim { fill: var(--faint); font-family: %(sans)s; }
.why { fill: var(--soft); font-size: 12px; }
.arrow { stroke: var(--line); fill: none; }
.tip { fill: var(--line); }
.hollow { fill: var(--ground); stroke: var(--line); stroke-width: 1.5; }
.cross { stroke: var(--line); stroke-width: 2.5; stroke-linecap: round; }
.busy { fill: var(--line); fill-opacity: 0.22; }
.face { fill: var(--obo); }
.carried { fill: var(--line); stroke: var(--ground); stroke-width: 3; }
text.letter { fill: var(--ground); stroke: none; font-size: 11px; font-weight: 700; text-anchor: middle; }
.legend text { fill: var(--soft); font-size: 12px; }
"""


_LIGHT = {"ground": "#fafaf7", "ink": "#15181c", "soft": "#4e5660", "faint": "#666e78", "hair": "#c8cac4"}
_DARK = {"ground": "#101214", "ink": "#e8eaed", "soft": "#a9b1bb", "faint": "#8b939d", "hair": "#40464d"}


def as_svg(trail: Trail, names: Mapping[str, str] | None = None) -> str:
    """The picture. `names` gives display names for client ids and issuers."""
    return _Picture(trail, Wording(trail, names)).text()


@dataclass(frozen=True, slots=True)
class _Row:
    hop: Hop
    number: int
    y: float
    start: float
    end: float

    @property
    def way(self) -> int:
        return 1 if self.end >= self.start else -1


@dataclass(frozen=True, slots=True)
class _Under:
    """The line below an arrow, and about how wide it is."""

    kind: str
    markup: str
    room: float


class _Picture:
    def __init__(self, trail: Trail, wording: Wording) -> None:
        self._trail, self._wording = trail, wording
        self._who = wording.participants()
        self._width = max(_WIDTH, _LEFT + _RIGHT + _COLUMN * (len(self._who) - 1))
        gap = (self._width - _LEFT - _RIGHT) / max(1, len(self._who) - 1)
        self._at = {each.key: _LEFT + gap * number for number, each in enumerate(self._who)}
        self._rows = [
            _Row(hop, number + 1, _FIRST + number * _ROW, self._at[caller(hop)], self._at[callee(hop)])
            for number, hop in enumerate(trail.hops)
        ]
        self._until = self._last_below()
        self._foot = _FIRST + len(self._rows) * _ROW - 22

    def text(self) -> str:
        legend, bottom = self._legend()
        height = bottom + 30
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width:g} {height:g}" '
            f'width="{self._width:g}" height="{height:g}" role="img" aria-labelledby="title described">',
            f'<title id="title">{_text(self._heading())}</title>',
            f'<desc id="described">{_text(self._described())}</desc>',
            f"<style>{_style()}</style>",
            f'<rect width="{self._width:g}" height="{height:g}" rx="12" fill="var(--ground)"/>',
            f'<text class="title" x="32" y="46">{_text(self._heading())}</text>',
            f'<text class="under" x="32" y="68">{_text(self._summary())}</text>',
            *(self._column(each) for each in self._who),
            *(self._busy(row) for row in self._rows),
            *(self._hop(row) for row in self._rows),
            *legend,
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _heading(self) -> str:
        if self._wording.person is None:
            return "Who called whom, and by what right"
        return f"What was done for {self._wording.person}, and by what right"

    def _summary(self) -> str:
        hops, refused = len(self._rows), sum(row.hop.refused for row in self._rows)
        counted = f"{hops} hop{'' if hops == 1 else 's'}, each with a token of its own"
        return f"{counted}; {refused} refused" if refused else counted

    def _described(self) -> str:
        said = (
            f"{row.number}. {self._wording.title(caller(row.hop))} to {self._wording.title(callee(row.hop))}: "
            f"{_what(row.hop)}, {self._wording.state(row.hop)}."
            for row in self._rows
        )
        return " ".join(said)

    def _column(self, who: Participant) -> str:
        x, face = self._at[who.key], ""
        if who.initial is not None:
            face = (
                f'<circle class="face" cx="{x:g}" cy="{_HEAD - 30}" r="13"/>'
                f'<text class="letter" x="{x:g}" y="{_HEAD - 26}">{_text(who.initial)}</text>'
            )
        return (
            f'<g>{face}<line class="life" x1="{x:g}" y1="{_HEAD + 26}" x2="{x:g}" y2="{self._foot:g}"/>'
            f'<text class="name" x="{x:g}" y="{_HEAD}">{_text(_short(who.title, 18))}</text>'
            f'<text class="kind" x="{x:g}" y="{_HEAD + 16}">{_text(_short(who.kind, 20))}</text></g>'
        )

    def _busy(self, row: _Row) -> str:
        """The callee at work: from the hop's arrival to the last thing that was done for it."""
        if row.hop.refused:
            return ""
        height = self._until[row.hop.hop] - row.y + 22
        place = f'x="{row.end - 3:g}" y="{row.y:g}" width="6" height="{height:g}" rx="3"'
        return f'<rect class="busy" style="{_line(row.hop)}" {place}/>'

    def _last_below(self) -> dict[str, float]:
        parents = {row.hop.hop: row.hop.parent for row in self._rows}
        until: dict[str, float] = {}
        for row in self._rows:
            above, seen = row.hop.hop, set[str]()
            while above in parents and above not in seen:
                seen.add(above)
                until[above] = row.y
                above = parents[above] or ""
        return until

    def _hop(self, row: _Row) -> str:
        return (
            f'<g class="hop" style="{_line(row.hop)}">'
            f'<text class="number" x="32" y="{row.y + 4:g}">{row.number}</text>'
            f"{self._labels(row)}{_arrow(row)}{self._carried(row)}</g>"
        )

    def _labels(self, row: _Row) -> str:
        what, state = _what(row.hop), self._wording.state(row.hop)
        room = len(what) * 7 + 10 + len(state) * 6.3
        low, high = min(row.start, row.end) + 12, max(row.start, row.end) - 12
        under = self._refusal(row.hop, low) if row.hop.refused else self._claims(row.hop)
        rightwards = low < self._width / 2 or low + max(room, under.room) <= self._width - 24
        x, side = (low, "") if rightwards else (high, ' text-anchor="end"')
        return (
            f'<text x="{x:g}" y="{row.y - 12:g}"{side}><tspan class="what">{_text(what)}</tspan>'
            f'<tspan class="right" dx="10">{_text(state)}</tspan></text>'
            f'<text class="{under.kind}" x="{x:g}" y="{row.y + 20:g}"{side}>{under.markup}</text>'
        )

    def _claims(self, hop: Hop) -> _Under:
        claims = [(name, _short(text, 60)) for name, text in self._wording.claims(hop)]
        spans = (
            f'<tspan class="claim"{_gap(number)}>{name}</tspan><tspan dx="5">{_text(text)}</tspan>'
            for number, (name, text) in enumerate(claims)
        )
        room = sum(len(name) * 6 + len(text) * 6.65 + 17 for name, text in claims)
        return _Under("claims", "".join(spans), room)

    def _refusal(self, hop: Hop, x: float) -> _Under:
        """The reason, and the hint where there is room for it."""
        room = int((self._width - 24 - (x if x < self._width / 2 else 60)) / 6.3)
        reason = _short(self._wording.reason(hop), room)
        full = f"{reason} {plain(hop.hint or '')}".strip()
        why = full if len(full) <= room else reason
        return _Under("why", _text(why), len(why) * 6.3)

    def _carried(self, row: _Row) -> str:
        letter = self._wording.initial(row.hop)
        if letter is None:
            return ""
        x = (row.start + _reach(row)) / 2
        return (
            f'<circle class="carried" cx="{x:g}" cy="{row.y:g}" r="10"/>'
            f'<text class="letter" x="{x:g}" y="{row.y + 4:g}">{_text(letter)}</text>'
        )

    def _legend(self) -> tuple[list[str], float]:
        used = {row.hop.line for row in self._rows}
        x, y, parts = 32.0, self._foot + 40, []
        for key, line in LINES.items():
            if key not in used:
                continue
            room = 44 + len(line.meaning) * 6.4
            if x + room > self._width - 24:
                x, y = 32.0, y + 24
            parts.append(
                f'<g class="legend" style="--line: var(--{key})"><path class="arrow" d="M{x:g} {y - 4:g}h34" '
                f'stroke-width="{line.weight:g}" stroke-dasharray="{line.dashes}"/>'
                f'<text x="{x + 44:g}" y="{y:g}">{line.meaning}</text></g>'
            )
            x += room + 28
        return parts, y


def _arrow(row: _Row) -> str:
    line = LINES.get(row.hop.line, LINES[REFUSED])
    start, end = row.start + row.way * 3, _reach(row)
    stroke = f'stroke-width="{line.weight:g}" stroke-dasharray="{line.dashes}"'
    if row.hop.refused:
        cross = f'<path class="cross" d="M{end - row.way * 8 - 5:g} {row.y - 5:g}l10 10m0 -10l-10 10"/>'
        return f'<path class="arrow" {stroke} d="M{start:g} {row.y:g}H{end - row.way * 18:g}"/>{cross}'
    tip = "tip" if row.hop.confirmed else "hollow"
    return (
        f'<path class="arrow" {stroke} d="M{start:g} {row.y:g}H{end - row.way * 10:g}"/>'
        f'<path class="{tip}" d="M{end:g} {row.y:g}l{-row.way * 11} -5.5v11z"/>'
    )


def _reach(row: _Row) -> float:
    """How far a hop came: refused a token, it never left; refused at the door, it came as far as the callee."""
    never_left = row.hop.refused and row.hop.jti is None
    return row.end - row.way * (0.28 * abs(row.end - row.start) if never_left else 3)


def _gap(number: int) -> str:
    return ' dx="12"' if number else ""


def _style() -> str:
    light = _LIGHT | {key: line.light for key, line in LINES.items()}
    dark = _DARK | {key: line.dark for key, line in LINES.items()}
    return _STYLE % {"light": _variables(light), "dark": _variables(dark), "sans": _SANS, "mono": _MONO}


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _line(hop: Hop) -> str:
    return f"--line: var(--{hop.line if hop.line in LINES else REFUSED})"


def _what(hop: Hop) -> str:
    return _short(plain(hop.resource or hop.operation or "call"), 44)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(1, length - 1)].rstrip()}…"


def _text(text: str) -> str:
    return escape(plain(text))
