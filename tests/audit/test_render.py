"""Renderings: the same bytes for the same trail, and nothing a caller wrote becomes markup."""

import io
import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from stead.identity.audit.hops import Trail
from stead.identity.audit.render import as_json, as_mermaid, as_svg, as_tree
from stead.identity.audit.trail import assemble
from stead.identity.audit.wording import LINES
from stead.identity.errors import InvalidScope
from stead.identity.values import Grant

Network = Any
NAMES = {"finport-web": "FinPort web", "http://127.0.0.3:8402": "Northbank"}
HOSTILE = "</text><script>alert(1)</script> end; #amp; %%{init}%% \x1b[31m \u202e \u2028 \x00 \"'&"


@pytest.fixture
def trail(network: Network, story: Callable[[Network], str]) -> Trail:
    task = story(network)
    return assemble(network.events(), task)


@pytest.fixture
def refused(network: Network) -> Trail:
    root = network.login("t", person="bob")
    network.refused(root, "transfer-agent", "transfer.send", "transfer:create", InvalidScope("No.", hint="Ask."), "bob")
    return assemble(network.events(), "t")


def terminal(trail: Trail, **more: Any) -> str:
    console = Console(file=io.StringIO(), width=160, **more)
    console.print(as_tree(trail, NAMES))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def hostile(trail: Trail) -> Trail:
    texts = dict.fromkeys(("resource", "operation", "sub", "name", "scope", "description", "hint", "code"), HOSTILE)
    changed = {**texts, "callee_name": HOSTILE, "caller": HOSTILE, "act": {"sub": HOSTILE}, "outcome": HOSTILE}
    return trail.model_copy(update={"hops": tuple(hop.model_copy(update=changed) for hop in trail.hops)})


def test_the_same_trail_gives_the_same_bytes(trail: Trail) -> None:
    again = Trail.model_validate_json(as_json(trail))
    for render in (as_json, as_mermaid, as_svg, terminal):
        assert render(trail) == render(again)


def test_the_export_has_every_member_of_every_hop(trail: Trail) -> None:
    exported = json.loads(as_json(trail))
    promised = {
        "hop",
        "sub",
        "act",
        "aud",
        "scope",
        "exp",
        "jti",
        "parent_jti",
        "grant",
        "decision",
        "confirmed",
        "parent",
    }
    assert len(exported["hops"]) == 7
    assert all(promised <= hop.keys() for hop in exported["hops"])


def test_mermaid_has_an_actor_the_services_and_one_arrow_for_each_hop(trail: Trail) -> None:
    text = as_mermaid(trail, NAMES)
    assert "actor P0 as Alice Moreau" in text
    assert text.count("participant ") == 7
    assert len(re.findall(r"^  P\d-+[>)x]", text, re.MULTILINE)) == 7
    assert "P1-->>P4: market_data.trend · as itself" in text
    assert "payments.execute_payment · authorized by Alice at Northbank" in text


def test_mermaid_draws_a_refusal_with_a_cross(refused: Trail) -> None:
    assert re.search(r"P\d-xP\d: transfer\.send · on behalf of Bob, refused", as_mermaid(refused))


def test_the_picture_is_well_formed_and_says_what_it_shows(trail: Trail) -> None:
    root = ElementTree.fromstring(as_svg(trail, NAMES))
    assert root.get("viewBox", "").startswith("0 0 900 ")
    text = " ".join(root.itertext())
    for words in ("on behalf of Alice", "as itself", "authorized by Alice at Northbank", "Alice, signed in"):
        assert words in text
    assert "prefers-color-scheme: dark" in text


def test_the_persons_initial_travels_with_her_authority_and_not_with_a_service(trail: Trail) -> None:
    root = ElementTree.fromstring(as_svg(trail))
    drawn = [group for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("class") == "hop"]
    carried = [any(child.get("class") == "carried" for child in group) for group in drawn]
    assert carried == [hop.grant != "s2s" for hop in trail.hops]


def test_each_grant_has_its_own_colour_and_its_own_line() -> None:
    for look in ("light", "dark", "strokes", "meaning"):
        assert len({getattr(line, look) for line in LINES.values()}) == len(LINES)
    assert len({(line.dashes, line.weight) for line in LINES.values()}) == len(LINES)
    assert set(LINES) == {*(grant.value for grant in Grant), "refused"}


def test_the_tree_tells_grants_apart_without_colour(
    trail: Trail, refused: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = terminal(trail, force_terminal=True) + terminal(refused, force_terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    assert all(line.strokes in text for line in LINES.values())
    assert "on behalf of Alice" in text
    assert "invalid_scope: No." in text


def test_hostile_text_becomes_neither_markup_nor_control(trail: Trail) -> None:
    bad = hostile(trail)
    picture = as_svg(bad)
    assert ElementTree.fromstring(picture).find(".//{http://www.w3.org/2000/svg}script") is None
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u2028]", picture + as_mermaid(bad) + terminal(bad))
    lines = as_mermaid(bad).splitlines()
    assert not any(re.search(r"<script|%%|;.*;\s*$(?<!\d;)", line) for line in lines)
    assert sum(line.strip() == "end" for line in lines) == len(bad.hops)


def test_an_empty_trail_is_drawn(trail: Trail) -> None:
    empty = Trail(task="t", version=0, hops=())
    ElementTree.fromstring(as_svg(empty))
    assert as_mermaid(empty).startswith("sequenceDiagram")
    assert "No hop" in terminal(empty)


def test_hops_in_a_circle_are_drawn(trail: Trail) -> None:
    circle = trail.model_copy(update={"hops": tuple(hop.model_copy(update={"parent": hop.hop}) for hop in trail.hops)})
    for render in (as_mermaid, as_svg, terminal):
        render(circle)
