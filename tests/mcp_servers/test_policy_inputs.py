"""Each input that rules decide by, from a real token to a real refusal; each outcome as the caller sees it."""

import json
import time
from typing import Any

import pytest

from stead.identity.values import Grant, Principal
from stead.mcp_servers.kit import Server
from tests.mcp_servers.world import Peer, World, structured

SETTINGS = {
    "claims": {
        "groups": "cognito:groups",
        "risk": "https://idp.example/risk",
        "location": "geo.country",
        "device": "device_state",
    }
}
CLAIMS: dict[str, Any] = {
    "cognito:groups": ["treasury"],
    "https://idp.example/risk": "low",
    "geo": {"country": "CH"},
    "device_state": {"managed": True},
    "acr": "mfa",
    "amr": ["pwd", "otp"],
}
ASKED = {"payee": "bob", "amount": "100.00"}

server = Server("bank", "Moves money.")


@server.tool(grant=Grant.OBO, scopes=("bank:pay",))
async def pay(user: Principal, *, payee: str, amount: str) -> str:
    """Pays somebody."""
    return f"{amount} for {payee}"


async def started(world: World, rule: str) -> Peer:
    """The server with one rule of the operator's, at an issuer whose claims have names of their own."""
    issuers = [{"issuer": world.corporate.url, **SETTINGS}]
    (world.home.path / "stead.yaml").write_text(json.dumps({"issuers": issuers}))
    (world.home.folder("policies") / "bank-mcp.yaml").write_text(f"- {{id: r, resource: bank.pay, {rule}}}")
    return await world.start("bank-mcp", server.app)


async def call(world: World, peer: Peer, arguments: dict[str, str], **claims: Any) -> Any:
    return await peer.call("pay", arguments, token=world.person(peer, "alice", "bank:pay", **{**CLAIMS, **claims}))


@pytest.mark.parametrize(
    ("when", "claims", "arguments"),
    [
        ('principal.actor != "portfolio-agent"', {"act": {"sub": "stranger"}, "client_id": "stranger"}, {}),
        ('principal.chain.size() < 2 || principal.chain[1] != "broker"', {"act": {"sub": "portfolio-agent"}}, {}),
        ('!("customer" in principal.roles)', {"roles": ["guest"]}, {}),
        ('!("treasury" in principal.groups)', {"cognito:groups": ["kitchen"]}, {}),
        ('principal.claims.risk in ["high", "severe"]', {"https://idp.example/risk": "high"}, {}),
        ('principal.acr != "mfa"', {"acr": "pwd"}, {}),
        ('!("otp" in principal.amr)', {"amr": ["pwd"]}, {}),
        ("now - principal.auth_time > 900", {"auth_time": int(time.time()) - 901}, {}),
        ('principal.claims.location != "CH"', {"geo": {"country": "XX"}}, {}),
        ("!principal.claims.device.managed", {"device_state": {"managed": False}}, {}),
        ('decimal(input.amount) > decimal("500")', {}, {"amount": "500.01"}),
        ('input.payee.startsWith("mal")', {}, {"payee": "mallory"}),
    ],
)
async def test_a_rule_decides_by_each_input(
    world: World, when: str, claims: dict[str, Any], arguments: dict[str, str]
) -> None:
    peer = await started(world, f"when: {json.dumps(when)}, outcome: deny, reason: Not so.")
    assert structured(await call(world, peer, ASKED)) == {"result": "100.00 for bob"}
    refused = await call(world, peer, {**ASKED, **arguments}, **claims)
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, "Not so.")


@pytest.mark.parametrize("hours", ["== hour(now, 'UTC')", "!= hour(now, 'UTC')"])
async def test_a_rule_decides_by_the_time(world: World, hours: str) -> None:
    when = f"hour(now, 'UTC') {hours} && weekday(now, 'Europe/Zurich') in [1, 2, 3, 4, 5, 6, 7]"
    peer = await started(world, f'when: "{when}", outcome: deny')
    answer = await call(world, peer, ASKED)
    assert answer.status_code == (403 if hours.startswith("==") else 200)


@pytest.mark.parametrize(
    ("claim", "when"),
    [
        ("https://idp.example/risk", "principal.claims.risk == 'high'"),
        ("geo", "principal.claims.location != 'CH'"),
        ("device_state", "!principal.claims.device.managed"),
    ],
)
async def test_where_a_token_does_not_say_the_rule_cannot_be_evaluated_and_denies_and_says_why(
    world: World, claim: str, when: str
) -> None:
    peer = await started(world, f'when: "{when}", outcome: step_up, hint: Ask the operator.')
    token = {**CLAIMS}
    del token[claim]
    refused = await peer.call("pay", ASKED, token=world.person(peer, "alice", "bank:pay", **token))
    error = refused.json()["error"]
    assert (refused.status_code, error["data"]) == (403, [{"reason": "ACCESS_DENIED", "hint": "Ask the operator."}])
    assert error["message"].startswith("The rule r could not be evaluated: ")
    assert "is missing" in error["message"]


async def test_a_claim_of_our_name_that_the_issuer_does_not_vouch_for_does_not_count(world: World) -> None:
    peer = await started(world, "when: '!(\"treasury\" in principal.groups)', outcome: deny")
    forged = {"cognito:groups": [], "groups": ["treasury"]}
    assert (await call(world, peer, ASKED, **forged)).status_code == 403


@pytest.mark.parametrize(
    ("rule", "status", "data", "challenge"),
    [
        ("outcome: deny, hint: Ask for less.", 403, {"reason": "ACCESS_DENIED", "hint": "Ask for less."}, ""),
        ("outcome: deny, params: {scope: 'bank:pay bank:much'}", 403, {"reason": "INSUFFICIENT_SCOPE"}, "bank:much"),
        (
            "outcome: step_up, params: {acr_values: phr, max_age: 60}",
            401,
            {"reason": "INSUFFICIENT_USER_AUTHENTICATION", "acr_values": "phr", "max_age": 60},
            'acr_values="phr", max_age="60"',
        ),
        (
            "outcome: consent, params: {provider: 'https://bank.example'}",
            403,
            {"reason": "CONSENT_REQUIRED", "provider": "https://bank.example"},
            "",
        ),
    ],
)
async def test_each_outcome_tells_the_caller_what_would_help(
    world: World, rule: str, status: int, data: dict[str, object], challenge: str
) -> None:
    refused = await call(world, await started(world, rule), ASKED)
    assert (refused.status_code, refused.json()["error"]["data"]) == (status, [data])
    assert challenge in refused.headers.get("www-authenticate", "")
