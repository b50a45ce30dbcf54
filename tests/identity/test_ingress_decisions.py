"""May they? And is it on record?"""

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from stead.identity.ingress import STRANGERS_PER_MINUTE
from stead.identity.replies import REFUSED, UNAUTHENTICATED, UNAVAILABLE
from stead.identity.types import Receive, Scope, Send

TRACE, HOP = "a" * 32, "b" * 16
READ, PAY = "portfolio.summary", "portfolio.pay"


async def test_an_allowed_operation_is_on_record(door: Any) -> None:
    await door.ask(traceparent=f"00-{TRACE}-{HOP}-01")
    (event,) = door.events()
    expected = {
        "kind": "ingress", "hop": HOP, "trace": TRACE, "operation": "SendMessage", "resource": READ,
        "caller": "finport-web", "callee": door.issuer.audience, "grant": "login", "sub": "alice", "jti": "j-1",
        "decision": "allow", "rule": f"declared:{READ}",
    }  # fmt: skip
    assert expected.items() <= event.items()


async def test_a_poll_is_no_hop(door: Any) -> None:
    assert (await door.ask(None)).status_code == 200
    assert door.events() == []


async def test_an_operation_with_effects_is_on_disk_before_it_happens(door: Any) -> None:
    on_disk: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        on_disk.append(door.journal.path.read_bytes())
        await JSONResponse({})(scope, receive, send)

    door.app = app
    await door.ask(PAY)
    assert PAY.encode() in on_disk[0]


async def test_what_cannot_be_recorded_does_not_happen(door: Any) -> None:
    door.journal.close()
    answer = await door.ask(PAY)
    assert answer.status_code == 503
    assert door.app.scopes == []


async def test_a_missing_scope_is_refused_and_named(door: Any) -> None:
    answer = await door.ask("portfolio.write")
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="portfolio:write"' in challenge
    assert door.app.scopes == []
    (event,) = door.events()
    assert {"decision": "deny", "code": "insufficient_scope", "sub": "alice"}.items() <= event.items()
    assert event["description"] == answer.json()["error_description"]


async def test_a_denied_operation_is_refused_without_a_challenge(door: Any) -> None:
    answer = await door.ask("portfolio.agent")
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers
    assert answer.json()["error"] == "access_denied"


async def test_a_step_up_says_which_sign_in_is_needed(door: Any) -> None:
    answer = await door.ask("portfolio.step")
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="mfa", max_age="300"' in challenge
    assert door.events()[0]["decision"] == "step_up"


async def test_a_needed_consent_refuses(door: Any) -> None:
    answer = await door.ask("portfolio.ask")
    assert (answer.status_code, answer.json()["error"]) == (403, "consent_required")
    assert door.app.scopes == []


@pytest.mark.parametrize(
    ("resource", "status", "code", "reason"),
    [("portfolio.write", 403, REFUSED, "INSUFFICIENT_SCOPE"), ("portfolio.agent", 403, REFUSED, "ACCESS_DENIED"),
     ("portfolio.step", 401, UNAUTHENTICATED, "INSUFFICIENT_USER_AUTHENTICATION")],
)  # fmt: skip
async def test_json_rpc_is_refused_in_its_own_form(
    door: Any, resource: str, status: int, code: int, reason: str
) -> None:
    call = {"jsonrpc": "2.0", "id": "x-1", "method": "SendMessage", "do": resource}
    headers = {"authorization": f"Bearer {door.issuer.token()}"}
    answer = await door.client("jsonrpc").post("/", json=call, headers=headers)
    body = answer.json()
    assert (answer.status_code, body["id"], body["error"]["code"]) == (status, "x-1", code)
    assert body["error"]["data"][0]["reason"] == reason
    stranger = await door.client("jsonrpc").post("/", json=call)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, UNAUTHENTICATED)


async def test_json_rpc_says_when_keys_are_unreachable(door: Any, web: Any) -> None:
    web.pages = {}
    call = {"jsonrpc": "2.0", "id": 1, "method": "x", "do": READ}
    headers = {"authorization": f"Bearer {door.issuer.token()}"}
    answer = await door.client("jsonrpc").post("/", json=call, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, UNAVAILABLE)


async def test_a_strangers_operation_is_on_record_without_a_name(door: Any) -> None:
    token = door.issuer.token(aud="http://127.0.0.6:1", sub="mallory")
    await door.ask(token=token)
    (event,) = door.events()
    assert {"decision": "deny", "code": "invalid_token", "resource": READ}.items() <= event.items()
    assert "sub" not in event
    assert token not in json.dumps(event)
    assert "mallory" not in json.dumps(event)


async def test_a_stranger_without_an_operation_leaves_no_record(door: Any) -> None:
    assert (await door.client().get("/")).status_code == 401
    assert door.events() == []


async def test_strangers_cannot_fill_the_disk(door: Any) -> None:
    async with door.client() as http:
        for _ in range(STRANGERS_PER_MINUTE + 50):
            assert (await http.post("/", json={"do": READ})).status_code == 401
    assert len(door.events()) == STRANGERS_PER_MINUTE


async def test_two_callers_at_once_are_never_mixed_up(door: Any) -> None:
    tokens = {name: door.issuer.token(sub=name, jti=f"j-{name}") for name in ("alice", "bob", "carol")}
    async with door.client() as http:

        async def ask(name: str) -> None:
            headers = {"authorization": f"Bearer {tokens[name]}"}
            answer = await http.post("/", json={"do": READ}, headers=headers)
            assert answer.json()["caller"] == f"{door.issuer.name}|{name}"
            assert answer.json()["jti"] == f"j-{name}"

        await asyncio.gather(*(ask(name) for name in list(tokens) * 70))
