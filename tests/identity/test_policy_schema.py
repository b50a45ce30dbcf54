"""The JSON Schema of policy files and their reader are of one mind, about good files and about broken ones."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from stead.demo.cli.app import app
from stead.identity.errors import ConfigurationError
from stead.identity.policy.cases import read_cases
from stead.identity.policy.schema import policy_schema

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(policy_schema())
RULE: dict[str, Any] = {
    "id": "large",
    "resource": ["ledger.post", "ledger.void"],
    "when": 'decimal(input.amount) > decimal("100")',
    "outcome": "step_up",
    "reason": "That is much.",
    "hint": "Post less.",
    "params": {"acr_values": "mfa", "max_age": 900},
}
CASE: dict[str, Any] = {
    "name": "a large sum",
    "principal": {
        "sub": "alice", "iss": "https://idp.example", "grant": "obo", "scopes": ["a"], "roles": ["b"],
        "chain": ["broker"], "chain_from": "receipts", "bound": True, "client_id": "web", "claims": {"acr": "pwd"},
    },
    "resource": "ledger.post",
    "action": "tools/call",
    "input": {"amount": "101"},
    "now": 1_800_000_000,
    "outcome": "step_up",
    "rule": "large",
}  # fmt: skip


def fits(rules: Any, tests: Any = None) -> bool:
    return bool(SCHEMA.is_valid(rules)) and (tests is None or bool(SCHEMA.is_valid(tests)))


def is_read(rules: Any, tests: Any = None) -> bool:
    text = yaml.safe_dump(rules) if tests is None else yaml.safe_dump_all([rules, tests])
    try:
        read_cases(text)
    except ConfigurationError:
        return False
    return True


def shipped() -> list[Path]:
    parts = ("agents", "broker", "demo", "examples", "mcp_servers")
    return [path for part in parts for path in sorted((ROOT / part).rglob("policy*.yaml"))]


def in_guides() -> Iterator[tuple[str, str]]:
    for page in sorted((ROOT / "docs").rglob("*.md")):
        blocks = page.read_text().split("```yaml\n")[1:]
        for block in (each.split("```")[0] for each in blocks):
            if block.startswith("- id:"):
                yield page.name, block


@pytest.mark.parametrize("path", shipped(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_policy_fits_and_is_read(path: Path) -> None:
    read_cases(path.read_text())
    for document in yaml.safe_load_all(path.read_text()):
        SCHEMA.validate(document)


def test_there_are_shipped_policies() -> None:
    assert shipped()


@pytest.mark.parametrize(("page", "block"), list(in_guides()))
def test_every_policy_of_the_guides_fits_and_is_read(page: str, block: str) -> None:
    read_cases(block)
    for document in yaml.safe_load_all(block):
        SCHEMA.validate(document)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"id": ""}, {"id": 7}, {"resource": None}, {"resource": ""}, {"resource": []},
        {"resource": [""]}, {"resource": [7]}, {"resource": {"a": 1}}, {"when": 1}, {"when": ["true"]}, {"when": None},
        {"outcome": None}, {"outcome": "alow"}, {"outcome": ["deny"]}, {"outcome": 1}, {"reason": 1}, {"hint": ["x"]},
        {"wehn": "true"}, {"params": [1]}, {"params": "mfa"}, {"params": {"acr": "mfa"}}, {"params": {"max_age": -1}},
        {"params": {"max_age": True}}, {"params": {"max_age": "60"}}, {"params": {"acr_values": ""}},
        {"params": {"acr_values": ["mfa"]}}, {"params": {"scope": "a"}}, {"outcome": "deny"}, {"outcome": "consent"},
        {"outcome": "allow"}, {"outcome": "consent", "params": {"provider": ["a"]}},
        {"outcome": "deny", "params": {"scope": 1}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_broken_rule_is_refused_by_both(change: Mapping[str, Any]) -> None:
    assert fits([RULE])
    assert is_read([RULE])
    broken = {**RULE, **change}
    assert not fits([broken])
    assert not is_read([broken])


@pytest.mark.parametrize("missing", ["id", "resource", "outcome"])
def test_a_rule_without_what_it_needs_is_refused_by_both(missing: str) -> None:
    broken = {name: value for name, value in RULE.items() if name != missing}
    assert not fits([broken])
    assert not is_read([broken])


@pytest.mark.parametrize("document", [{"id": "x"}, "rules", 7, [[RULE]], ["x"], True])
def test_what_is_no_list_of_rules_is_refused_by_both(document: Any) -> None:
    assert not fits(document)
    assert not is_read(document)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1}, {"name": None}, {"principal": None}, {"principal": {}}, {"principal": "alice"}, {"resource": 1},
        {"principal": {"sub": 1}}, {"principal": {"sub": "a", "scope": "x"}},
        {"principal": {"sub": "a", "grant": "ob0"}},
        {"principal": {"sub": "a", "scopes": "x"}}, {"principal": {"sub": "a", "scopes": [1]}},
        {"principal": {"sub": "a", "chain_from": "x"}}, {"principal": {"sub": "a", "claims": ["x"]}}, {"input": [1]},
        {"inputs": {}}, {"now": "1800000000"}, {"now": True}, {"outcome": "maybe"}, {"outcome": None}, {"rule": 1},
        {"action": None},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_broken_case_is_refused_by_both(change: Mapping[str, Any]) -> None:
    assert fits([RULE], {"tests": [CASE]})
    assert is_read([RULE], {"tests": [CASE]})
    broken = {"tests": [{**CASE, **change}]}
    assert not fits([RULE], broken)
    assert not is_read([RULE], broken)


@pytest.mark.parametrize("tests", [{"test": [CASE]}, {"tests": []}, {"tests": [CASE], "more": 1}, {"tests": CASE}])
def test_what_are_no_tests_is_refused_by_both(tests: Any) -> None:
    assert not fits([RULE], tests)
    assert not is_read([RULE], tests)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.sampled_from(["", "a", "deny", "allow", "mfa", "true"]),
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.sampled_from(["acr_values", "scope", "x"]), each),
    max_leaves=4,
)
PLACES: list[tuple[Any, ...]] = [
    *((name,) for name in (*RULE, "x")), ("params", "acr_values"), ("params", "max_age"), ("params", "x"),
    ("resource", 0),
]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(PLACES), VALUES)
def test_whatever_stands_anywhere_in_a_rule_both_say_the_same_of_it(place: tuple[Any, ...], value: Any) -> None:
    document = deepcopy(RULE)
    within: Any = document
    for part in place[:-1]:
        within = within[part]
    within[place[-1]] = value
    if isinstance(document["when"], str):
        document["when"] = "true"  # what a condition says, no schema knows
    assert fits([document]) == is_read([document])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*CASE, "x"]), VALUES)
def test_whatever_stands_anywhere_in_a_case_both_say_the_same_of_it(name: str, value: Any) -> None:
    tests = {"tests": [{**CASE, name: value}]}
    assert fits([RULE], tests) == is_read([RULE], tests)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: r, resource: a, outcome: allow, outcome: deny}", "not valid YAML. Look at line 1"),
        ("- id: r\n  resource: a\n  outcome: deny\n  when: false\n  when: true\n", "Look at line 5"),
        ("- {id: r, resource: a, outcome: deny}\n---\n- {id: s, resource: a, outcome: deny}", "second document"),
        ("- {id: r, resource: a, outcome: deny}\n---\nnull\n---\n- {id: s, resource: a, outcome: deny}", "more than"),
    ],
)
def test_what_would_be_passed_over_in_silence_is_a_mistake(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_cases(text)


def test_the_command_prints_what_the_reference_publishes() -> None:
    printed = json.loads(CliRunner().invoke(app, ["policy", "schema"]).output)
    assert printed == json.loads((ROOT / "docs" / "reference" / "policy.schema.json").read_text())
    Draft202012Validator.check_schema(printed)
