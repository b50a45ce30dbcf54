"""The doctor looks at what is there, and says what is wrong and how to mend it."""

import json
import os
from pathlib import Path
from typing import Any

from tests.journeys.finport import FinPort


async def findings(finport: FinPort, wanted: int = 0) -> dict[str, dict[str, Any]]:
    code, out, err = await finport.stead("doctor", "--json")
    assert code == wanted, out + err
    return {one["what"]: one for one in json.loads(out)["findings"]}


async def test_a_network_that_is_well_is_told_so(finport: FinPort) -> None:
    found = await findings(finport)
    assert all(one["good"] for one in found.values())
    issuer = finport.urls["corporate_idp"]
    assert "within 5 s" in found[f"{issuer}, a revoked token"]["told"]
    assert "rfc8693 is offered" in found[f"{issuer}, on behalf of people"]["told"]
    assert found["broker"]["told"].startswith("ready at ")


async def test_a_key_that_others_may_read_is_named_with_the_way_out(finport: FinPort) -> None:
    path = finport.home.path / "keys" / "broker.json"
    os.chmod(path, 0o644)
    try:
        found = await findings(finport, 1)
    finally:
        os.chmod(path, 0o600)
    (bad,) = [one for one in found.values() if not one["good"]]
    assert bad["what"].endswith("keys/broker.json")
    assert bad["hint"].startswith("chmod go-rwx ")


async def test_an_issuer_whose_keys_do_not_fit_and_one_that_is_not_there_are_told(finport: FinPort) -> None:
    settings = finport.home.path / "stead.yaml"
    issuer = finport.urls["corporate_idp"]
    settings.write_text(
        json.dumps({"issuers": [{"issuer": issuer, "algorithms": ["RS256"]}, {"issuer": "http://127.0.0.1:1"}]})
    )
    try:
        found = await findings(finport, 1)
    finally:
        settings.unlink()
    assert "0 of " in found[issuer]["told"]
    assert "`algorithms`" in found[issuer]["hint"]
    assert not found["http://127.0.0.1:1"]["good"]


async def test_a_setting_that_the_page_does_not_know_yet_is_told(finport: FinPort) -> None:
    settings, issuer = finport.home.path / "stead.yaml", finport.urls["corporate_idp"]
    settings.write_text(json.dumps({"issuers": [{"issuer": issuer, "backchannel_logout": True, "shared_signals": {}}]}))
    try:
        found = await findings(finport, 1)
    finally:
        settings.unlink()
    for what in ("logout tokens", "security events"):
        assert not found[f"{issuer}, {what}"]["good"]
        assert "again" in found[f"{issuer}, {what}"]["hint"]
    ways = found[f"{issuer}, a revoked token"]["told"]
    assert ways.count("within 5 s") == 3


async def test_a_place_where_nothing_was_ever_started_is_told_so(finport: FinPort, tmp_path: Path) -> None:
    elsewhere = FinPort(type(finport.home)(tmp_path / "nothing"), {}, finport.launcher)
    found = await findings(elsewhere, 1)
    assert not found["state directory"]["good"]
