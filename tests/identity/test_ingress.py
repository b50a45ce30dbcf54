"""Who is calling, and may they?"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from stead.identity.audit.event import unseal
from stead.identity.audit.journal import Journal
from stead.identity.errors import InvalidToken
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import STRANGERS_PER_MINUTE, Ingress, Operation, arrival_of
from stead.identity.metadata import health_routes, protected_resource
from stead.identity.policy import Outcome, Policy, Rule, declared
from stead.identity.replies import REFUSED, UNAUTHENTICATED, UNAVAILABLE
from stead.identity.types import Json, Receive, Scope, Send
from stead.identity.values import Grant, current_arrival, current_principal
from stead.identity.verifier import TrustedIssuer, Verifier

TRACE, HOP = "a" * 32, "b" * 16
READ, PAY = "portfolio.summary", "portfolio.pay"


class App:
    """Answers with who it thinks is calling, and keeps what it was given."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        try:
            caller, arrival = current_principal(), current_arrival()
        except InvalidToken:
            await JSONResponse({"caller": None})(scope, receive, send)
            return
        assert arrival is not None
        said = {"caller": caller.owner, "hop": arrival.hop, "trace": arrival.trace, "jti": arrival.jti}
        await JSONResponse(said)(scope, receive, send)


def describe(scope: Scope, document: Json) -> Operation | None:
    """`do` names the resource; a request without it is a poll."""
    resource = document.get("do")
    if not isinstance(resource, str):
        return None
    return Operation("SendMessage", resource, document, effects=resource == PAY)


class Door:
    """A guarded app, its journal, and a client at it."""

    def __init__(self, issuer: Any, web: Any, clock: Any, folder: Path, **more: Any) -> None:
        self.issuer, self.app = issuer, App()
        self.journal = Journal(folder, "portfolio-agent", clock)
        self.verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
        self.policy = Policy(
            [
                declared(READ, Grant.LOGIN, ["portfolio:read"]),
                declared(PAY, Grant.LOGIN, ["portfolio:read"]),
                declared("portfolio.write", Grant.LOGIN, ["portfolio:write"]),
                declared("portfolio.agent", Grant.OBO, ["portfolio:read"]),
                Rule("step", ("portfolio.step",), Outcome.STEP_UP, params={"acr_values": "mfa", "max_age": 300}),
                Rule("ask", ("portfolio.ask",), Outcome.CONSENT, params={"provider": "http://bank"}),
            ]
        )
        self.more = more

    def client(self, protocol: str = "http") -> httpx.AsyncClient:
        settings: dict[str, Any] = {
            "verifier": self.verifier,
            "journal": self.journal,
            "policy": self.policy,
            "describe": describe,
            "audience": self.issuer.audience,
            "scopes": ("portfolio:read",),
            "protocol": protocol,
            **self.more,
        }
        guarded = EdgeGuard(Ingress(self.app, **settings), protocol=protocol)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://here")

    async def ask(self, resource: str | None = READ, token: str | None = None, **headers: str) -> httpx.Response:
        token = token or self.issuer.token()
        sent = {"authorization": f"Bearer {token}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await self.client().post("/", json={} if resource is None else {"do": resource}, headers=sent)

    def events(self) -> list[Json]:
        self.journal.flush()
        return [unseal(line).as_json() for line in self.journal.path.read_bytes().splitlines(keepends=True)]


@pytest.fixture
def door(issuer: Any, web: Any, clock: Any, tmp_path: Path) -> Any:
    door = Door(issuer, web, clock, tmp_path)
    yield door
    door.journal.close()


# --- credentials ---------------------------------------------------------------------------------------------------


async def test_a_valid_token_makes_its_bearer_the_current_principal(door: Door) -> None:
    answer = await door.ask(traceparent=f"00-{TRACE}-{HOP}-01")
    assert answer.json() == {"caller": f"{door.issuer.name}|alice", "hop": HOP, "trace": TRACE, "jti": "j-1"}
    scope = door.app.scopes[0]
    assert scope["user"].subject == "alice"
    assert scope["auth"].scopes == ["portfolio:read"]


async def test_outside_a_request_nobody_is_signed_in(door: Door) -> None:
    await door.ask()
    with pytest.raises(InvalidToken):
        current_principal()


async def test_the_app_never_sees_the_token_nor_headers_of_pretended_identity(door: Door) -> None:
    token = door.issuer.token()
    await door.ask(
        token=token, x_forwarded_for="1.1.1.1", x_forwarded_user="admin", x_user_id="admin", x_auth_request_user="x",
        x_remote_user="x", x_real_ip="1.1.1.1", forwarded="for=1.1.1.1", remote_user="x",
        proxy_authorization="Bearer y", a2a_version="1.0",
    )  # fmt: skip
    names = {name.decode() for name, _ in door.app.scopes[0]["headers"]}
    assert names.isdisjoint({"authorization", "proxy-authorization", "forwarded", "remote-user", "x-real-ip"})
    assert not [name for name in names if name.startswith(("x-forwarded", "x-user", "x-auth", "x-remote"))]
    assert "a2a-version" in names
    assert token not in repr(door.app.scopes[0])


async def test_without_a_token_the_answer_says_where_to_get_one(door: Door) -> None:
    answer = await door.client().post("/", json={"do": READ})
    audience = door.issuer.audience
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="{audience}", scope="portfolio:read", '
        f'resource_metadata="{audience}/.well-known/oauth-protected-resource"'
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error_description"] == "This needs an access token."


@pytest.mark.parametrize(
    "value", ["Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "Bearer é", "DPoP abc", "", "Token x"]
)
async def test_what_is_no_bearer_token_is_refused(door: Door, value: str) -> None:
    headers = [(b"authorization", value.encode("latin-1"))]
    answer = await door.client().post("/", json={"do": READ}, headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert door.app.scopes == []


async def test_two_authorization_headers_are_refused(door: Door) -> None:
    good = f"Bearer {door.issuer.token()}"
    for pair in ([good, good], [good, "Bearer x"], ["Basic x", good]):
        answer = await door.client().post("/", json={"do": READ}, headers=[("authorization", value) for value in pair])
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]
    assert door.app.scopes == []


@pytest.mark.parametrize("name", ["access_token", "access%5Ftoken", "%61ccess_token"])
async def test_a_token_in_the_address_is_refused(door: Door, name: str) -> None:
    token = door.issuer.token()
    for headers in ({}, {"authorization": f"Bearer {token}"}):
        answer = await door.client().post(f"/?a=1&{name}={token}", json={"do": READ}, headers=headers)
        assert answer.status_code == 400
        assert token not in answer.text + str(answer.headers)


async def test_a_token_in_the_body_is_not_looked_for(door: Door) -> None:
    answer = await door.client("form").post("/", data={"access_token": door.issuer.token()})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exp": 1_799_999_900, "iat": 1_799_999_800}, "The token expired at 2027-01-15T07:58:20Z."),
        ({"aud": "http://127.0.0.6:1"}, "The token is for another service."),
        ({"iss": "http://127.0.0.3:1"}, "The token comes from an issuer that this service does not trust."),
        ({"act": {"sub": ""}}, "The act claim names no actor."),
    ],
)
async def test_a_false_token_is_refused_in_one_sentence_with_a_hint(
    door: Door, changes: dict[str, Any], sentence: str
) -> None:
    answer = await door.ask(token=door.issuer.token(**changes))
    assert answer.status_code == 401
    assert answer.json()["error_description"] == sentence
    assert f'error="invalid_token", error_description="{sentence}"' in answer.headers["www-authenticate"]


async def test_no_quote_or_line_break_gets_into_the_challenge(door: Door) -> None:
    door.more["scopes"] = ('a" evil="1', "b\r\nx: y")
    answer = await door.client().post("/", json={"do": READ})
    assert re.fullmatch(r'Bearer( \w+="[^"]*",?)+', answer.headers["www-authenticate"])
    assert "x" not in answer.headers


async def test_unreachable_keys_are_no_fault_of_the_caller(door: Door, web: Any) -> None:
    web.pages = {}
    answer = await door.ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# --- paths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/agent-card.json", "/open/page"])
async def test_public_paths_need_no_token_and_know_nobody(door: Door, path: str) -> None:
    door.more["public"] = lambda scope: scope["path"].startswith("/open/")
    async with door.client() as http:
        for headers in ({}, {"authorization": f"Bearer {door.issuer.token()}", "x-user": "admin"}):
            answer = await http.get(path, headers=headers)
            assert answer.json() == {"caller": None}
    assert all("user" not in scope for scope in door.app.scopes)
    assert all(name not in (b"authorization", b"x-user") for scope in door.app.scopes for name, _ in scope["headers"])


@pytest.mark.parametrize(
    "path", ["/", "/.well-known", "/.well-known/../a2a", "/x/.well-known/y", "/healthz/x", "/HEALTHZ", "//healthz"]
)
async def test_what_only_looks_public_needs_a_token(door: Door, path: str) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    out: list[Any] = []

    async def send(message: Any) -> None:
        out.append(message)

    ingress = Ingress(
        door.app, verifier=door.verifier, journal=door.journal, policy=door.policy, describe=describe,
        audience=door.issuer.audience,
    )  # fmt: skip
    await ingress({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}, receive, send)
    assert out[0]["status"] == 401


# --- the hop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"00-{'0' * 32}-{HOP}-01", f"00-{TRACE}-{'0' * 16}-01", f"01-{TRACE}-{HOP}-01", f"00-{TRACE}-{HOP}",
        f"00-{TRACE.upper()}-{HOP}-01", f"00-{TRACE}-{HOP}-01-x", f"00-{TRACE}x-{HOP}-01", "", "x" * 10_000,
        f"00-{TRACE}-{HOP}-01\n",
    ],
)  # fmt: skip
def test_a_malformed_trace_header_is_ignored(value: str) -> None:
    arrival = arrival_of([(b"traceparent", value.encode())], "j")
    assert arrival.trace != TRACE
    assert arrival.hop != HOP
    assert re.fullmatch("[0-9a-f]{32}", arrival.trace)
    assert re.fullmatch("[0-9a-f]{16}", arrival.hop)


def test_two_trace_headers_are_ignored() -> None:
    header = (b"traceparent", f"00-{TRACE}-{HOP}-01".encode())
    assert arrival_of([header, header], None).hop != HOP


# --- policy and record ---------------------------------------------------------------------------------------------


async def test_an_allowed_operation_is_on_record(door: Door) -> None:
    await door.ask(traceparent=f"00-{TRACE}-{HOP}-01")
    (event,) = door.events()
    expected = {
        "kind": "ingress", "hop": HOP, "trace": TRACE, "operation": "SendMessage", "resource": READ,
        "caller": "finport-web", "callee": door.issuer.audience, "grant": "login", "sub": "alice", "jti": "j-1",
        "decision": "allow", "rule": f"declared:{READ}",
    }  # fmt: skip
    assert expected.items() <= event.items()


async def test_a_poll_is_no_hop(door: Door) -> None:
    assert (await door.ask(None)).status_code == 200
    assert door.events() == []


async def test_an_operation_with_effects_is_on_disk_before_it_happens(door: Door) -> None:
    on_disk: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        on_disk.append(door.journal.path.read_bytes())
        await JSONResponse({})(scope, receive, send)

    door.app = app  # type: ignore[assignment]
    await door.ask(PAY)
    assert PAY.encode() in on_disk[0]


async def test_what_cannot_be_recorded_does_not_happen(door: Door) -> None:
    door.journal.close()
    answer = await door.ask(PAY)
    assert answer.status_code == 503
    assert door.app.scopes == []


async def test_a_missing_scope_is_refused_and_named(door: Door) -> None:
    answer = await door.ask("portfolio.write")
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="portfolio:write"' in challenge
    assert door.app.scopes == []
    (event,) = door.events()
    assert {"decision": "deny", "code": "insufficient_scope", "sub": "alice"}.items() <= event.items()
    assert event["description"] == answer.json()["error_description"]


async def test_a_denied_operation_is_refused_without_a_challenge(door: Door) -> None:
    answer = await door.ask("portfolio.agent")
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers
    assert answer.json()["error"] == "access_denied"


async def test_a_step_up_says_which_sign_in_is_needed(door: Door) -> None:
    answer = await door.ask("portfolio.step")
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="mfa", max_age="300"' in challenge
    assert door.events()[0]["decision"] == "step_up"


async def test_a_needed_consent_refuses(door: Door) -> None:
    answer = await door.ask("portfolio.ask")
    assert (answer.status_code, answer.json()["error"]) == (403, "consent_required")
    assert door.app.scopes == []


@pytest.mark.parametrize(
    ("resource", "status", "code", "reason"),
    [("portfolio.write", 403, REFUSED, "INSUFFICIENT_SCOPE"), ("portfolio.agent", 403, REFUSED, "ACCESS_DENIED"),
     ("portfolio.step", 401, UNAUTHENTICATED, "INSUFFICIENT_USER_AUTHENTICATION")],
)  # fmt: skip
async def test_json_rpc_is_refused_in_its_own_form(
    door: Door, resource: str, status: int, code: int, reason: str
) -> None:
    call = {"jsonrpc": "2.0", "id": "x-1", "method": "SendMessage", "do": resource}
    headers = {"authorization": f"Bearer {door.issuer.token()}"}
    answer = await door.client("jsonrpc").post("/", json=call, headers=headers)
    body = answer.json()
    assert (answer.status_code, body["id"], body["error"]["code"]) == (status, "x-1", code)
    assert body["error"]["data"][0]["reason"] == reason
    stranger = await door.client("jsonrpc").post("/", json=call)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, UNAUTHENTICATED)


async def test_json_rpc_says_when_keys_are_unreachable(door: Door, web: Any) -> None:
    web.pages = {}
    call = {"jsonrpc": "2.0", "id": 1, "method": "x", "do": READ}
    headers = {"authorization": f"Bearer {door.issuer.token()}"}
    answer = await door.client("jsonrpc").post("/", json=call, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, UNAVAILABLE)


async def test_a_strangers_operation_is_on_record_without_a_name(door: Door) -> None:
    token = door.issuer.token(aud="http://127.0.0.6:1", sub="mallory")
    await door.ask(token=token)
    (event,) = door.events()
    assert {"decision": "deny", "code": "invalid_token", "resource": READ}.items() <= event.items()
    assert "sub" not in event
    assert token not in json.dumps(event)
    assert "mallory" not in json.dumps(event)


async def test_a_stranger_without_an_operation_leaves_no_record(door: Door) -> None:
    assert (await door.client().get("/")).status_code == 401
    assert door.events() == []


async def test_strangers_cannot_fill_the_disk(door: Door) -> None:
    async with door.client() as http:
        for _ in range(STRANGERS_PER_MINUTE + 50):
            assert (await http.post("/", json={"do": READ})).status_code == 401
    assert len(door.events()) == STRANGERS_PER_MINUTE


async def test_two_callers_at_once_are_never_mixed_up(door: Door) -> None:
    tokens = {name: door.issuer.token(sub=name, jti=f"j-{name}") for name in ("alice", "bob", "carol")}
    async with door.client() as http:

        async def ask(name: str) -> None:
            headers = {"authorization": f"Bearer {tokens[name]}"}
            answer = await http.post("/", json={"do": READ}, headers=headers)
            assert answer.json()["caller"] == f"{door.issuer.name}|{name}"
            assert answer.json()["jti"] == f"j-{name}"

        await asyncio.gather(*(ask(name) for name in list(tokens) * 70))


# --- metadata ------------------------------------------------------------------------------------------------------


async def test_a_service_says_whose_tokens_it_takes() -> None:
    route = protected_resource("http://here", ["http://idp"], ["a", "b"], "Here", stead_tools={"t": {"grant": "obo"}})
    async with _plain(route) as http:
        answer = await http.get("/.well-known/oauth-protected-resource")
        assert answer.json() == {
            "resource": "http://here",
            "resource_name": "Here",
            "authorization_servers": ["http://idp"],
            "scopes_supported": ["a", "b"],
            "bearer_methods_supported": ["header"],
            "stead_tools": {"t": {"grant": "obo"}},
        }
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "max-age" in answer.headers["cache-control"]
        preflight = await http.options("/.well-known/oauth-protected-resource")
        assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "*")


async def test_health_and_readiness_differ() -> None:
    is_ready = False

    async def ready() -> bool:
        return is_ready

    async with _plain(*health_routes(ready)) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        is_ready = True
        assert (await http.get("/readyz")).status_code == 200
    async with _plain(*health_routes()) as http:
        assert (await http.get("/readyz")).status_code == 200


def _plain(*routes: Route) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Router(routes)), base_url="http://here")


async def test_the_whole_door_on_a_real_socket(door: Door, serve: Any) -> None:
    async def whoami(request: Request) -> JSONResponse:
        return JSONResponse({"caller": request.user.subject})

    ingress = Ingress(
        Router([Route("/", whoami)]), verifier=door.verifier, journal=door.journal, policy=door.policy,
        describe=describe, audience=door.issuer.audience, scopes=["portfolio:read"],
    )  # fmt: skip
    origin = await serve(EdgeGuard(ingress))
    async with httpx.AsyncClient() as http:
        assert (await http.get(origin)).status_code == 401
        answer = await http.get(origin, headers={"authorization": f"bearer {door.issuer.token()}"})
        assert answer.json() == {"caller": "alice"}
