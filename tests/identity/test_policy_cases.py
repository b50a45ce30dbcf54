"""A policy explains itself rule by rule, and is tested by cases in its own file."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stead.agents import transfer
from stead.demo.cli.app import app
from stead.identity.errors import ConfigurationError
from stead.identity.policy.cases import read_cases, try_cases

POLICY = """
- id: office-hours
  resource: ledger.post
  when: hour(now, "UTC") < 8
  outcome: deny
- id: large
  resource: ledger.post
  when: decimal(input.amount) > decimal("100")
  outcome: step_up
  params: {acr_values: mfa}
---
tests:
- name: a small sum by day
  principal: {sub: alice}
  resource: ledger.post
  input: {amount: "10"}
  now: 1800014400
  outcome: silent
- name: a large sum by day
  principal: {sub: alice}
  resource: ledger.post
  input: {amount: "101"}
  now: 1800014400
  outcome: step_up
  rule: large
"""


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["policy", *words])
    return result.exit_code, result.output


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def test_cases_that_hold_hold_and_an_untried_rule_is_named(policy: Path) -> None:
    code, said = run("test", str(policy), "--json")
    assert code == 0, said
    assert json.loads(said)[str(policy)] == {"cases": 2, "failed": [], "untried": ["office-hours"]}


def test_a_case_that_does_not_hold_says_what_came_instead(policy: Path) -> None:
    policy.write_text(POLICY.replace("outcome: step_up\n  rule: large", "outcome: deny"))
    code, said = run("test", str(policy))
    assert code == 1
    assert "a large sum by day: wanted deny, got step_up by large" in said


def test_a_policy_without_tests_does_not_pass(policy: Path) -> None:
    policy.write_text(POLICY.partition("---")[0])
    assert run("test", str(policy))[0] == 1


@pytest.mark.parametrize(
    "change",
    [
        ("outcome: silent", "outcome: maybe"),
        ("principal: {sub: alice}", "principal: {}"),
        ("input:", "inputs:"),
        ("tests:", "test:"),
        ("sub: alice", "sub: alice, scope: x"),
    ],
    ids=str,
)
def test_a_mistake_in_a_case_is_told(change: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="tests of the policy"):
        read_cases(POLICY.replace(*change, 1))


def test_a_decision_is_explained_rule_by_rule(policy: Path, tmp_path: Path) -> None:
    alice = tmp_path / "alice.json"
    alice.write_text('{"sub": "alice"}')
    asked: list[Any] = ["check", str(policy), "--principal", str(alice), "--resource", "ledger.post"]
    code, said = run(*asked, "--input", '{"amount": "much"}', "--json")
    explained = json.loads(said)
    assert (code, explained["outcome"], explained["rule"]) == (1, "deny", "large")
    assert explained["rules"][1]["applies"] is None
    code, said = run(*asked, "--input", '{"amount": "200"}')
    assert code == 1
    assert "large (step_up) applies" in said


def test_what_is_no_principal_is_refused(policy: Path, tmp_path: Path) -> None:
    for text in ("[]", "{", '{"name": "alice"}'):
        (tmp_path / "who.json").write_text(text)
        result = CliRunner().invoke(
            app, ["policy", "check", str(policy), "--principal", str(tmp_path / "who.json"), "--resource", "x"]
        )
        assert result.exit_code != 0


def test_finports_own_policy_passes_its_tests() -> None:
    path = Path(transfer.__file__).with_name("policy.yaml")
    tried = try_cases(*read_cases(path.read_text()))
    assert (tried.cases, tried.failed, tried.untried) == (5, (), ())
