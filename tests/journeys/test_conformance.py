"""The broker relays an agent's question, and keeps every promise that goes with it, as the terminal's user meets it."""

import json

from tests.journeys.finport import FinPort


async def test_the_broker_passes_every_check_though_another_agent_asks(finport: FinPort) -> None:
    code, out, err = await finport.stead("conformance", "in-task", finport.urls["broker"], "--json")
    report = json.loads(out)
    assert [one for one in report["checks"] if not one["pass"]] == [], err
    assert (code, len(report["checks"])) == (0, 11)
    told = {one["name"]: one["why"] for one in report["checks"]}
    assert "creditorAccount differs" in told["tampered"]
    assert "This request is not yours" in told["wrong-user"]
    assert "in time" in told["expire"]
