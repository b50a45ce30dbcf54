"""Who is calling?"""

import re
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from stead.identity.errors import InvalidToken
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import Ingress, arrival_of, read_credential
from stead.identity.values import current_principal
from stead.identity.verification import MAX_TOKEN

TRACE, HOP = "a" * 32, "b" * 16
READ = "portfolio.summary"


async def test_a_valid_token_makes_its_bearer_the_current_principal(door: Any) -> None:
    answer = await door.ask(traceparent=f"00-{TRACE}-{HOP}-01")
    assert answer.json() == {"caller": f"{door.issuer.name}|alice", "hop": HOP, "trace": TRACE, "jti": "j-1"}
    scope = door.app.scopes[0]
    assert scope["user"].subject == "alice"
    assert scope["auth"].scopes == ["portfolio:read"]


async def test_outside_a_request_nobody_is_signed_in(door: Any) -> None:
    await door.ask()
    with pytest.raises(InvalidToken):
        current_principal()


async def test_the_app_never_sees_the_token_nor_headers_of_pretended_identity(door: Any) -> None:
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


@pytest.mark.parametrize(
    "name",
    [
        "X_Forwarded_For", "x_user_id", "x-forwarded_user", "remote_user", "proxy_authorization",
        "X-MS-Client-Principal", "X-MS-CLIENT-PRINCIPAL-ID", "X-Amzn-Oidc-Data", "X-Goog-Authenticated-User-Email",
        "Cf-Access-Jwt-Assertion", "X-Consumer-Username", "X-Client-Cert", "SSL-Client-Verify", "X-WebAuth-User",
        "X-Original-URL", "X-Rewrite-URL", "stead_receipts", "Client-Cert",
    ],
)  # fmt: skip
async def test_a_forged_word_of_a_gateway_reaches_no_app(door: Any, name: str) -> None:
    """An app may believe such a header, and one that runs as CGI does takes `_` for `-`."""
    headers = {"authorization": f"Bearer {door.issuer.token()}", name: "admin"}
    answer = await door.client().post("/", json={"do": READ}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert b"admin" not in dict(door.app.scopes[0]["headers"]).values()


async def test_without_a_token_the_answer_says_where_to_get_one(door: Any) -> None:
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
async def test_what_is_no_bearer_token_is_refused(door: Any, value: str) -> None:
    headers = [(b"authorization", value.encode("latin-1"))]
    answer = await door.client().post("/", json={"do": READ}, headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert door.app.scopes == []


async def test_a_flood_of_immense_credentials_is_not_remembered(door: Any) -> None:
    """Whoever holds no token fills no memory with what looks like one."""
    before = read_credential.cache_info().currsize
    for size in (MAX_TOKEN + 1, 60_000):
        answer = await door.client().post("/", json={"do": READ}, headers={"authorization": f"Bearer {'a' * size}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert read_credential.cache_info().currsize == before
    assert door.app.scopes == []


async def test_two_authorization_headers_are_refused(door: Any) -> None:
    good = f"Bearer {door.issuer.token()}"
    for pair in ([good, good], [good, "Bearer x"], ["Basic x", good]):
        answer = await door.client().post("/", json={"do": READ}, headers=[("authorization", value) for value in pair])
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]
    assert door.app.scopes == []


@pytest.mark.parametrize("name", ["access_token", "access%5Ftoken", "%61ccess_token"])
async def test_a_token_in_the_address_is_refused(door: Any, name: str) -> None:
    token = door.issuer.token()
    for headers in ({}, {"authorization": f"Bearer {token}"}):
        answer = await door.client().post(f"/?a=1&{name}={token}", json={"do": READ}, headers=headers)
        assert answer.status_code == 400
        assert token not in answer.text + str(answer.headers)


async def test_a_token_in_the_body_is_not_looked_for(door: Any) -> None:
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
    door: Any, changes: dict[str, Any], sentence: str
) -> None:
    answer = await door.ask(token=door.issuer.token(**changes))
    assert answer.status_code == 401
    assert answer.json()["error_description"] == sentence
    assert f'error="invalid_token", error_description="{sentence}"' in answer.headers["www-authenticate"]


async def test_no_quote_or_line_break_gets_into_the_challenge(door: Any) -> None:
    door.more["scopes"] = ('a" evil="1', "b\r\nx: y")
    answer = await door.client().post("/", json={"do": READ})
    assert re.fullmatch(r'Bearer( \w+="[^"]*",?)+', answer.headers["www-authenticate"])
    assert "x" not in answer.headers


async def test_unreachable_keys_are_no_fault_of_the_caller(door: Any, web: Any) -> None:
    web.pages = {}
    answer = await door.ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# --- paths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/agent-card.json", "/open/page"])
async def test_public_paths_need_no_token_and_know_nobody(door: Any, path: str) -> None:
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
async def test_what_only_looks_public_needs_a_token(door: Any, path: str) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    out: list[Any] = []

    async def send(message: Any) -> None:
        out.append(message)

    ingress = Ingress(
        door.app, verifier=door.verifier, journal=door.journal, policy=door.policy, describe=door.describe,
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


async def test_the_whole_door_on_a_real_socket(door: Any, serve: Any) -> None:
    async def whoami(request: Request) -> JSONResponse:
        return JSONResponse({"caller": request.user.subject})

    ingress = Ingress(
        Router([Route("/", whoami)]), verifier=door.verifier, journal=door.journal, policy=door.policy,
        describe=door.describe, audience=door.issuer.audience, scopes=["portfolio:read"],
    )  # fmt: skip
    origin = await serve(EdgeGuard(ingress))
    async with httpx.AsyncClient() as http:
        assert (await http.get(origin)).status_code == 401
        answer = await http.get(origin, headers={"authorization": f"bearer {door.issuer.token()}"})
        assert answer.json() == {"caller": "alice"}
