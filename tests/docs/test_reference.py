"""The reference is complete: every error code, setting, option, hop member and named test that there is."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from docs.generate import commands
from docs.recording import readable
from stead.broker.plans import Plan, Refusal
from stead.broker.registry.entries import Entry
from stead.identity.audit.event import Event
from stead.identity.audit.hops import Hop, Trail
from stead.identity.challenge import Challenge
from stead.identity.server.admin import NewAudience

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCES = [
    path for part in ("identity", "broker", "agents", "mcp_servers", "demo") for path in (ROOT / part).rglob("*.py")
]
CODE_OF_A_CLASS = re.compile(r'^    code(?:: ClassVar\[str\])? = "([a-z_]+)"', re.MULTILINE)
CODE_OF_A_CALL = re.compile(r'\b(?:Refused|refused|failed)\(\s*"([a-z_]+)"')
CODE_OF_AN_ENDING = re.compile(r'\b_error\((?:FAILED|REJECTED|CANCELED), "([a-z_]+)"')
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(?:Test\w+::)?(test_\w+)`")


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def _json_blocks(name: str) -> list[Any]:
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", _page(name), re.MULTILINE | re.DOTALL)]


def test_every_error_code_has_a_row() -> None:
    patterns = (CODE_OF_A_CLASS, CODE_OF_A_CALL, CODE_OF_AN_ENDING)
    codes = {code for path in SOURCES for pattern in patterns for code in pattern.findall(path.read_text())}
    rows = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", _page("errors.md"), re.MULTILINE))))
    assert len(codes) > 25
    assert codes <= rows, sorted(codes - rows)


def test_every_json_rpc_code_of_ours_has_a_row() -> None:
    replies = (ROOT / "identity/stead/identity/replies.py").read_text()
    codes = re.findall(r"^[A-Z_]+ = (-32\d{3})$", replies, re.MULTILINE)
    assert len(codes) == 6
    for code in codes:
        assert re.search(rf"^\| {code} \|", _page("errors.md"), re.MULTILINE), code


def test_every_reason_of_a_refusal_is_listed() -> None:
    for reason in Refusal.model_fields["reason"].annotation.__args__:  # type: ignore[union-attr]
        assert f"`{reason}`" in _page("errors.md"), reason


def test_every_command_and_option_is_listed() -> None:
    page = _page("cli.md")
    for path, command in commands():
        section = page.partition(f"## `{path}`\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            names = (*parameter.opts, str(parameter.metavar))
            assert any(name in section for name in names), path


def _rows(page: str) -> set[str]:
    first_cells = re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_member_of_hops_and_events_has_a_row() -> None:
    rows = _rows(_page("trail.md"))
    named = {*Hop.model_fields, *(field.name for field in fields(Event))}
    assert named <= rows, sorted(named - rows)


def test_every_member_of_the_apis_is_described() -> None:
    broker, admin = _page("broker-api.md"), _page("admin-api.md")
    hidden = {"endpoint", "pushes", "seeded"}
    for name in {*Plan.model_fields, *Entry.model_fields} - hidden:
        assert f"`{name}`" in broker or f'"{name}"' in broker, name
    assert set(NewAudience.model_fields) <= _rows(admin)


def _challenge_and_schema() -> tuple[Any, Any]:
    blocks = [block for block in _json_blocks("in-task.md") if "type" in block]
    return blocks[0], blocks[1]


def test_the_challenge_in_the_docs_is_one() -> None:
    example, schema = _challenge_and_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(example)
    challenge = Challenge.from_json(example)
    assert challenge.as_json() == example
    assert set(example) == set(schema["properties"]) == set(schema["required"])


@pytest.mark.parametrize("member", ["digest", "subject", "link"])
def test_a_challenge_without_a_member_does_not_fit_the_schema(member: str) -> None:
    example, schema = _challenge_and_schema()
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({name: value for name, value in example.items() if name != member})


def test_the_examples_of_the_apis_are_read() -> None:
    plan = next(block for block in _json_blocks("broker-api.md") if "goal" in block)
    assert Plan.model_validate(plan).model_dump(mode="json") == plan
    NewAudience.model_validate(_json_blocks("admin-api.md")[0])


def test_the_recorded_trail_is_one_and_shows_every_grant() -> None:
    recorded = json.loads((ROOT / "docs" / "recorded-trail.json").read_text(encoding="utf-8"))
    trail = Trail.model_validate(recorded)
    assert {hop.grant for hop in trail.hops} == {"login", "obo", "s2s", "in-task"}
    assert all(hop.confirmed and hop.outcome == "completed" for hop in trail.hops)
    assert readable(recorded) == recorded


def _named_tests() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "docs").rglob("*.md"):
        yield from NAMED_TEST.findall(page.read_text(encoding="utf-8"))


def test_every_test_that_the_docs_name_exists() -> None:
    named = list(_named_tests())
    assert len(named) > 50
    for path, name in named:
        source = ROOT / path
        assert source.exists(), path
        assert re.search(rf"^ *(?:async )?def {name}\(", source.read_text(), re.MULTILINE), f"{path}::{name}"


def _threats() -> list[str]:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    return [row for row in re.findall(r"^\| .*\|$", page, re.MULTILINE) if not row.startswith("| Threat ")]


def test_every_threat_has_a_defence_and_a_test_that_shows_it() -> None:
    assert len(_threats()) > 80
    for row in _threats():
        threat, defence, shown = (cell.strip() for cell in row.strip("|").split(" | "))
        assert threat
        assert defence
        assert NAMED_TEST.search(shown), threat


@pytest.mark.parametrize("part", ["RFC 9700", "MCP", "ASI02", "ASI03", "ASI07", "ASI08", "ASI09", "ASI10"])
def test_every_list_of_threats_is_answered(part: str) -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    assert re.search(rf"^## .*{part}", page, re.MULTILINE)


def test_what_is_not_defended_is_said() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    assert page.partition("## Not defended yet")[2].count("\n- **") >= 5
