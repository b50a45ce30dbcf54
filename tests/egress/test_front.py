"""A protected service as a whole: what is open, what is not, and that it lives as long as its app."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stead.identity.errors import ConfigurationError
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.settings import Settings
from stead.identity.values import Grant, current_principal
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload


@pytest.fixture
def build(home: Any, issuer: Any) -> Any:
    """A workload and its app; the lifespan notes when the app starts and ends."""

    def built(url: Any, settings: Any = None, **named: Any) -> Any:
        chosen = settings or Settings()
        workload = Workload.open("portfolio-agent", url=url, home=home, issuer=issuer.url, settings=chosen)
        lived = []

        @asynccontextmanager
        async def lifespan(_: Any) -> Any:
            lived.append(("started", workload.is_at_work))
            yield
            lived.append(("ended", workload.is_at_work))

        async def run(request: Any) -> Any:
            return PlainTextResponse(current_principal().name)

        app = workload.protect(
            Starlette(routes=[Route("/run", run, methods=["POST"])], lifespan=lifespan),
            describe=lambda scope, body: Operation("run", "portfolio.summary", body),
            policy=Policy.load([declared("portfolio.summary", Grant.OBO, ("portfolio:read",))]),
            scopes=("portfolio:read",),
            protocol="jsonrpc",
            **named,
        )
        return app, workload, lived

    return built


@asynccontextmanager
async def running(serve: Any, build: Any, **named: Any) -> Any:
    """The app must know its address before it has one, so it is built when the first message comes."""
    held = {}

    async def late(scope: Any, receive: Any, send: Any) -> None:
        if "app" not in held:
            held["app"] = build(named.pop("url", "http://portfolio.example"), **named)
        await held["app"][0](scope, receive, send)

    async with serve(late, lifespan="on") as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client, held["app"]


CALL = {"jsonrpc": "2.0", "id": 1, "method": "run"}


def token_of(issuer: Any, **changes: Any) -> Any:
    claims = {
        "sub": "alice",
        "name": "Alice Moreau",
        "aud": "http://portfolio.example",
        "client_id": "broker",
        "scope": "portfolio:read",
        "act": {"sub": "broker"},
        **changes,
    }
    return {"authorization": f"Bearer {issuer.sign(claims)}"}


async def test_the_workload_is_at_work_as_long_as_the_app_lives(serve: Any, build: Any) -> None:
    async with running(serve, build) as (_, (_, workload, lived)):
        assert workload.is_at_work
    assert lived == [("started", True), ("ended", True)]
    async with asyncio.timeout(5):
        while workload.is_at_work:  # it is left once the app has said that it ended
            await asyncio.sleep(0)


async def test_who_bears_a_true_token_is_let_in(serve: Any, build: Any, issuer: Any) -> None:
    async with running(serve, build) as (client, _):
        reply = await client.post("/run", json=CALL, headers=token_of(issuer))
    assert (reply.status_code, reply.text) == (200, "Alice Moreau")


async def test_without_a_token_the_answer_says_what_is_needed(serve: Any, build: Any) -> None:
    async with running(serve, build) as (client, _):
        reply = await client.post("/run", json=CALL)
    assert reply.status_code == 401
    assert 'scope="portfolio:read"' in reply.headers["www-authenticate"]
    assert reply.json()["id"] == 1


async def test_the_metadata_is_open_and_carries_what_the_app_adds(serve: Any, build: Any, issuer: Any) -> None:
    async with running(serve, build, extra={"stead_tools": {"x": {}}}) as (client, _):
        document = (await client.get("/.well-known/oauth-protected-resource")).json()
    assert document["authorization_servers"] == [issuer.url]
    assert document["scopes_supported"] == ["portfolio:read"]
    assert document["stead_tools"] == {"x": {}}


async def test_pages_of_its_own_take_forms_and_need_no_token(serve: Any, build: Any) -> Any:
    async def page(request: Any) -> Any:
        return PlainTextResponse(str((await request.form())["answer"]))

    async with running(serve, build, routes=[Route("/page", page, methods=["POST"])]) as (client, _):
        reply = await client.post("/page", data={"answer": "yes"})
        other = await client.post("/run", data={"answer": "yes"})
    assert reply.text == "yes"
    assert other.status_code == 415


async def test_a_service_that_is_not_ready_says_so_and_is_alive(serve: Any, build: Any) -> Any:
    async def soon() -> Any:
        return False

    for ready in (soon, lambda: False):
        async with running(serve, build, ready=ready) as (client, _):
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200


async def test_other_issuers_can_be_trusted_instead(serve: Any, build: Any, issuer: Any) -> None:
    issuers = (TrustedIssuer("https://bank.example"),)
    async with running(serve, build, issuers=issuers) as (client, _):
        assert (await client.post("/run", json=CALL, headers=token_of(issuer))).status_code == 401
        document = (await client.get("/.well-known/oauth-protected-resource")).json()
    assert document["authorization_servers"] == ["https://bank.example"]


async def test_an_exception_of_the_app_never_reaches_the_caller(serve: Any, build: Any, issuer: Any) -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("a secret in a text")

    async with running(serve, build, routes=[Route("/page", broken)]) as (client, _):
        reply = await client.get("/page")
    assert reply.status_code == 500
    assert "secret" not in reply.text


async def test_a_rule_in_the_state_directory_takes_away_what_the_service_allows(
    serve: Any, build: Any, issuer: Any, home: Any
) -> None:
    home.folder("policies").joinpath("portfolio-agent.yaml").write_text(
        "- {id: shut, resource: portfolio.summary, when: 'principal.sub == \"alice\"', outcome: deny, reason: Not now.}"
    )
    async with running(serve, build) as (client, _):
        alice = await client.post("/run", json=CALL, headers=token_of(issuer))
        carol = await client.post("/run", json=CALL, headers=token_of(issuer, sub="carol"))
    assert (alice.status_code, carol.status_code) == (403, 200)
    assert "Not now." in alice.text


def test_a_claim_that_no_issuer_gives_keeps_a_service_from_starting_until_settings_say_where_it_is(
    build: Any, home: Any
) -> None:
    path = home.folder("policies").joinpath("portfolio-agent.yaml")
    rule = "- {id: far, resource: portfolio.summary, when: has(principal.claims.department), outcome: deny}"
    path.write_text(rule)
    with pytest.raises(ConfigurationError, match="unknown claim: department") as mistake:
        build("http://portfolio.example")
    assert mistake.value.hint == "Say in `issuers.claims` where tokens have it."
    mapped = {"issuer": "https://idp.example", "claims": {"department": "https://idp.example/dept"}}
    settings = Settings.model_validate({"issuers": [mapped]})
    assert build("http://portfolio.example", settings=settings)
    path.write_text(rule.replace("department", "departmnet"))
    with pytest.raises(ConfigurationError, match="unknown claim: departmnet") as mistake:
        build("http://portfolio.example", settings=settings)
    assert mistake.value.hint == "Did you mean department?"


def test_a_service_does_not_start_on_a_policy_with_a_mistake(build: Any, home: Any) -> None:
    home.folder("policies").joinpath("portfolio-agent.yaml").write_text(
        "- {id: shut, resource: portfolio.sumary, outcome: deny}"
    )
    with pytest.raises(ConfigurationError, match=r"portfolio-agent\.yaml: .*portfolio\.sumary") as mistake:
        build("http://portfolio.example")
    assert mistake.value.hint == "Did you mean portfolio.summary?"
