"""One trail, four renderings: JSON, Mermaid, a tree for the terminal, and a picture. Pure: same trail, same bytes."""

import json
from collections.abc import Mapping

from rich.style import Style
from rich.text import Text
from rich.tree import Tree

from stead.identity.audit.hops import Hop, Trail
from stead.identity.audit.mermaid import as_mermaid
from stead.identity.audit.svg import as_svg
from stead.identity.audit.wording import LINES, REFUSED, Wording, callee, caller, plain

__all__ = ["as_json", "as_mermaid", "as_svg", "as_tree"]

_COLOURS = {"login": "default", "obo": "blue", "s2s": "cyan", "in-task": "yellow", REFUSED: "red"}


def as_json(trail: Trail) -> str:
    """The export: `{"task", "version", "hops": [...]}`, indented."""
    return json.dumps(trail.as_json(), indent=2, ensure_ascii=False) + "\n"


def as_tree(trail: Trail, names: Mapping[str, str] | None = None) -> Tree:
    """The trail for a terminal: each hop below the one it was made for. Lines tell grants apart without colour too."""
    wording = Wording(trail, names)
    if trail.root is None:
        return Tree(Text("No hop of this task is known yet.", "dim"))
    heading = Text.assemble(
        (wording.person or wording.title(caller(trail.root)), "bold"), (f"  task {trail.task}", "dim")
    )
    tree = Tree(heading, guide_style="dim")
    branches: dict[str | None, Tree] = {None: tree}
    for hop in trail.hops:
        branches[hop.hop] = branches.get(hop.parent, tree).add(_label(hop, wording))
    return tree


def _label(hop: Hop, wording: Wording) -> Text:
    style = Style(color=_COLOURS.get(hop.line, "red"))
    label = Text.assemble(
        (LINES.get(hop.line, LINES[REFUSED]).strokes, style),
        (f" {wording.title(callee(hop))}", "bold"),
        f"  {plain(hop.resource or hop.operation or '')}",
        (f"  {wording.state(hop)}", style),
        (_ending(hop), "dim"),
    )
    for line in _details(hop, wording):
        label.append(f"\n    {line}", "dim")
    return label


def _details(hop: Hop, wording: Wording) -> list[str]:
    token = wording.token(hop)
    why = wording.reason(hop) if hop.refused or hop.code else ""
    return [line for line in (token, why, plain(hop.hint or "") if why else "") if line]


def _ending(hop: Hop) -> str:
    if hop.ended is None:
        return "  …"
    took = f"  {max(0.0, hop.ended - hop.started) * 1000:.0f} ms"
    return took if hop.outcome in {None, "completed", "refused"} else f"  {plain(str(hop.outcome))}{took}"
