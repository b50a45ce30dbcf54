"""The Transfer agent passes every check, by real logins over HTTP, as the command says."""

import asyncio
import json
import os
import sys

from stead.demo.conformance.checks import CHECKS
from tests.agents.town import Town


async def _stead(place: Town, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stead.demo", *words),
        env={**os.environ, "STEAD_HOME": str(place.home.path), "NO_COLOR": "1", "COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_transfer_agent_passes_every_check(place: Town) -> None:
    async with place.agent("transfer"):
        code, out, err = await _stead(place, "conformance", "in-task", place.agents["transfer"], "--json")
    report = json.loads(out)
    assert [one for one in report["checks"] if not one["pass"]] == [], err
    assert [one["name"] for one in report["checks"]] == [one.name for one in CHECKS]
    assert all(one["why"] and one["spec"] for one in report["checks"])
    assert (code, report["pass"]) == (0, True)
