"""The Transfer agent passes every check, by real logins over HTTP, as the command says."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from stead.agents.transfer.directory import Directory
from stead.demo.conformance.checks import CHECKS
from tests.agents.town import Town


async def _stead(home: Path, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stead.demo", "conformance", "in-task", *words),
        env={**os.environ, "STEAD_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture(scope="module")
async def report(place: Town) -> dict[str, Any]:
    """What `--json` prints."""
    async with place.agent("transfer"):
        code, out, err = await _stead(place.home.path, place.agents["transfer"], "--json")
    said: dict[str, Any] = json.loads(out)
    assert (code, said["pass"]) == (0, True), (out, err)
    return said


async def test_the_transfer_agent_passes_every_check(report: dict[str, Any]) -> None:
    assert [one["name"] for one in report["checks"]] == [one.name for one in CHECKS]
    for one in report["checks"]:
        assert set(one) == {"name", "pass", "why", "spec"}
        assert one["pass"] is True
        assert one["why"]
        assert one["spec"]


@pytest.mark.parametrize(
    ("check", "seen"),
    [
        ("wrong-user", "This request is not yours"),
        ("wrong-user", "somebody else at Northbank"),
        ("wrong-user", "and the owner's callback in their browsers"),
        ("replay", "the used link and the callback"),
        ("replay", "brought 3 times at once it counted once"),
        ("tampered", "creditorAccount differs"),
        ("subscribe", "AUTH_REQUIRED, WORKING, COMPLETED"),
        ("expire", "in time"),
        ("deny", "REJECTED: Alice Moreau declined."),
    ],
)
async def test_each_attack_was_really_made(report: dict[str, Any], check: str, seen: str) -> None:
    assert seen in {one["name"]: one["why"] for one in report["checks"]}[check]


async def test_what_was_paid_went_to_the_kits_own_payee_which_is_gone(place: Town, report: dict[str, Any]) -> None:
    paid = place.payments()
    assert paid
    assert set(paid) == {("1.00", "Conformance Kit")}
    known = Directory.of(place.home).payees(place.home.network.corporate_idp, "alice")
    assert report["pass"]
    assert "Conformance check" not in {payee.alias for payee in known}


async def test_the_report_for_the_terminal_says_what_was_seen_and_how_many_passed(place: Town) -> None:
    async with place.agent("transfer"):
        code, out, err = await _stead(place.home.path, place.agents["transfer"], "--only", "park", "--only", "deny")
    assert code == 0, err
    assert "2 of 2 checks passed" in out
    assert "REJECTED: Alice Moreau declined." in out
    assert "A2A 1.0 s7.6" in out
    assert err.split() == ["pass", "park", "pass", "deny"]


async def test_an_agent_that_does_not_run_fails_every_check_without_a_traceback(place: Town) -> None:
    code, out, err = await _stead(place.home.path, place.agents["transfer"], "--only", "park")
    assert code == 1
    assert "gives no answer" in out
    assert "Traceback" not in err


async def test_a_stranger_without_a_profile_is_not_guessed_at(place: Town) -> None:
    code, out, err = await _stead(place.home.path, "http://127.0.0.99:9")
    assert (code, out) == (2, "")
    assert "--profile" in err


async def test_a_check_that_there_is_not_is_named_with_those_there_are(place: Town) -> None:
    code, out, err = await _stead(place.home.path, place.agents["transfer"], "--only", "everything")
    assert (code, out) == (1, "")
    assert "wrong-user" in err
