"""Every benchmark runs, and says what it measured in the form that is promised. What it measured is not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import report

ROOT = Path(__file__).parents[2]
GOALS = {
    "identity.hop.warm": 70,
    "identity.policy.rules_1000": 20,
    "identity.a2a.bearer_of_off": 0.95,
    "identity.a2a.dpop_of_off": 0.85,
    "identity.mcp.bearer_costs": 70,
    "identity.mcp.dpop_costs": 300,
    "identity.exchange.thousand_callers_requests": 1,
    "identity.memory.tokens": 256,
    "identity.memory.persons": 256,
    "identity.memory.proofs": 256,
}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "benchmarks", "identity", "--tiny"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STEAD_")}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_line_is_one_figure_with_its_goal_and_whether_it_holds(lines: list[dict[str, Any]]) -> None:
    assert len({line["name"] for line in lines}) == len(lines) > 40
    for line in lines:
        assert set(line) == {"name", "value", "unit", "goal", "holds"}
        assert isinstance(line["value"], int | float)
        assert line["unit"] in {"us", "ms", "ratio", "MB", "requests", "tokens"}
        assert isinstance(line["holds"], bool)


def test_the_goals_are_those_that_were_set(lines: list[dict[str, Any]]) -> None:
    told = {line["name"]: line["goal"] for line in lines}
    assert {name: told.get(name) for name in GOALS} == GOALS


@pytest.mark.parametrize("hops", range(1, 6))
def test_a_chain_of_each_length_was_walked(hops: int, lines: list[dict[str, Any]]) -> None:
    (line,) = [line for line in lines if line["name"] == f"identity.chain.hops_{hops}"]
    assert line["value"] > 0


def test_a_thousand_callers_made_one_request(lines: list[dict[str, Any]]) -> None:
    (line,) = [line for line in lines if line["name"] == "identity.exchange.thousand_callers_requests"]
    assert (line["value"], line["holds"]) == (1, True)


@pytest.mark.parametrize(
    ("value", "goal", "holds"),
    [(69, {"at_most": 70}, True), (71, {"at_most": 70}, False), (0.9, {"at_least": 0.95}, False), (5, {}, True)],
)
def test_a_goal_that_is_missed_is_told_as_missed(value: float, goal: Any, holds: bool, capsys: Any) -> None:
    report("x", value, "us", **goal)
    assert json.loads(capsys.readouterr().out)["holds"] is holds
