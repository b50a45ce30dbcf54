"""Issuers that are slow, huge, evasive, broken or lying, over real HTTP: what they cost, and what is believed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from stead.identity.driver import bare_client, fetch
from stead.identity.errors import InvalidToken, ProviderUnavailable
from stead.identity.jwks import COOL_DOWN, FRESH, RETRY, STALE
from stead.identity.types import Receive, Scope, Send
from stead.identity.values import AccessToken
from stead.identity.verifier import TrustedIssuer, Verifier
from tests.identity.flaws import b64

METADATA = "/.well-known/oauth-authorization-server"


@dataclass
class Provider:
    """An issuer on a socket whose every answer a test decides, and which notes what it was asked."""

    issuer: Any
    keys: Any = None
    asked: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[], Awaitable[Response]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.asked.append(path)
        response: Response = PlainTextResponse("nothing", 404)
        if path == METADATA:
            response = JSONResponse(
                {"issuer": self.issuer.name, "jwks_uri": f"{self.issuer.name}/jwks", **self.document}
            )
        elif path == "/jwks":
            response = await self.answer() if self.answer else JSONResponse(self.keys or self.issuer.jwks())
        await response(scope, receive, send)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with bare_client() as client:
        yield client


@pytest.fixture
async def provider(issuer: Any, serve: Any) -> Provider:
    app = Provider(issuer)
    issuer.name = await serve(app)
    return app


@pytest.fixture
def verifier(provider: Provider, http: httpx.AsyncClient, clock: Any) -> Verifier:
    trusted = TrustedIssuer(provider.issuer.name)
    return Verifier([trusted], provider.issuer.audience, partial(fetch, client=http), clock)


async def unavailable(verifier: Verifier, issuer: Any) -> None:
    with pytest.raises(ProviderUnavailable) as failed:
        await verifier.verify(AccessToken(issuer.token()))
    assert "eyJ" not in str(failed.value.as_json())


async def test_a_true_issuer_is_asked_twice_and_then_no_more(verifier: Verifier, provider: Provider) -> None:
    for number in range(5):
        await verifier.verify(AccessToken(provider.issuer.token(jti=f"j{number}")))
    assert provider.asked == [METADATA, "/jwks"]


async def test_ten_thousand_unknown_key_ids_cost_one_request(
    verifier: Verifier, provider: Provider, clock: Any
) -> None:
    await verifier.verify(AccessToken(provider.issuer.token()))
    clock.now += COOL_DOWN
    provider.asked.clear()
    head, claims = provider.issuer.header, provider.issuer.claims()
    forged = provider.issuer.sign(head(), claims).split(".")
    texts = [f"{_b64(head(kid=f'k-{number}'))}.{forged[1]}.{forged[2]}" for number in range(10_000)]
    results = await asyncio.gather(*(verifier.verify(AccessToken(text)) for text in texts), return_exceptions=True)
    assert {type(result) for result in results} == {InvalidToken}
    assert provider.asked == ["/jwks"]


def _b64(header: dict[str, Any]) -> str:
    return b64(json.dumps(header).encode())


async def test_a_thousand_first_callers_cost_one_request(verifier: Verifier, provider: Provider) -> None:
    tokens = [AccessToken(provider.issuer.token(jti=f"j{number}")) for number in range(1_000)]
    await asyncio.gather(*(verifier.verify(token) for token in tokens))
    assert provider.asked == [METADATA, "/jwks"]


@pytest.mark.parametrize("how", ["never answers", "drips"])
async def test_a_slow_issuer_is_given_up(
    verifier: Verifier, provider: Provider, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stead.identity.jwks.TIMEOUT", 0.1)
    released = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b'{"keys":['
        await released.wait()

    async def answer() -> Response:
        if how == "drips":
            return StreamingResponse(drip(), media_type="application/json")
        await released.wait()
        return PlainTextResponse("")

    provider.answer = answer
    await unavailable(verifier, provider.issuer)
    released.set()


async def test_a_hundred_megabytes_are_not_read(verifier: Verifier, provider: Provider) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_600):
            yield b" " * 65_536
            sent += 65_536

    async def answer() -> Response:
        return StreamingResponse(endless(), media_type="application/json")

    provider.answer = answer
    await unavailable(verifier, provider.issuer)
    assert sent < 50_000_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    verifier: Verifier, provider: Provider, clock: Any, serve: Any, status: int
) -> None:
    trap = Provider(provider.issuer)
    elsewhere = await serve(trap)
    for target in (f"{elsewhere}/jwks", "http://169.254.169.254/latest/meta-data", "/jwks2"):

        async def answer(target: str = target) -> Response:
            return RedirectResponse(target, status)

        provider.answer = answer
        clock.now += RETRY
        await unavailable(verifier, provider.issuer)
    assert trap.asked == []
    assert provider.asked == [METADATA, "/jwks"] * 3


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 429, 500, 503])
async def test_an_issuer_that_fails_is_unavailable_and_no_fault_of_the_token(
    verifier: Verifier, provider: Provider, status: int
) -> None:
    async def answer() -> Response:
        return Response(json.dumps(provider.issuer.jwks()) if status != 204 else None, status)

    provider.answer = answer
    await unavailable(verifier, provider.issuer)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"<html>", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff", b'{"keys": [1e999]}',
     b'{"keys":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"keys": [' + b"{}," * 10_000 + b"{}]}"],
    ids=["nothing", "list", "null", "html", "object", "repeated", "not UTF-8", "infinite", "deep", "10k keys"],
)  # fmt: skip
async def test_what_is_no_key_set_is_unusable(verifier: Verifier, provider: Provider, body: bytes) -> None:
    async def answer() -> Response:
        return Response(body, media_type="application/json")

    provider.answer = answer
    await unavailable(verifier, provider.issuer)


async def test_a_published_private_key_is_not_used(verifier: Verifier, provider: Provider) -> None:
    private = provider.issuer.key.as_dict(private=True)
    provider.keys = {"keys": [private, provider.issuer.new_key("k2").as_dict(private=False)]}
    with pytest.raises(InvalidToken, match="does not publish"):
        await verifier.verify(AccessToken(provider.issuer.token()))


async def test_keys_are_rotated_without_a_refusal_and_the_old_one_ends_with_its_set(
    verifier: Verifier, provider: Provider, clock: Any
) -> None:
    issuer, late = provider.issuer, int(clock.now + FRESH) + 200
    old = AccessToken(issuer.token(exp=late))
    await verifier.verify(old)
    new: ECKey = issuer.new_key("k2")
    provider.keys = issuer.jwks(new)
    clock.now += COOL_DOWN
    fresh = AccessToken(issuer.sign(issuer.header(kid="k2"), issuer.claims(exp=late), new))
    assert (await verifier.verify(fresh)).subject == "alice"
    assert (await verifier.verify(old)).subject == "alice"
    provider.keys = {"keys": [new.as_dict(private=False)]}
    clock.now += FRESH
    with pytest.raises(InvalidToken, match="does not publish"):
        await verifier.verify(old)


async def test_a_key_that_is_withdrawn_takes_what_was_remembered_along(
    verifier: Verifier, provider: Provider, clock: Any
) -> None:
    """Remembered for a minute; but any fetch that finds the key gone ends it at once."""
    issuer = provider.issuer
    old = AccessToken(issuer.token())
    await verifier.verify(old)
    new: ECKey = issuer.new_key("k2")
    provider.keys = {"keys": [new.as_dict(private=False)]}
    clock.now += COOL_DOWN
    await verifier.verify(AccessToken(issuer.sign(issuer.header(kid="k2"), issuer.claims(), new)))
    with pytest.raises(InvalidToken, match="does not publish"):
        await verifier.verify(old)


async def test_an_issuer_that_is_away_is_bridged_for_an_hour_and_no_longer(
    verifier: Verifier, provider: Provider, clock: Any
) -> None:
    issuer, late = provider.issuer, int(clock.now + STALE) + 300
    await verifier.verify(AccessToken(issuer.token()))

    async def answer() -> Response:
        return Response("", 503)

    provider.answer = answer
    clock.now += STALE - 1
    claims = {"iat": int(clock.now), "exp": late}
    assert await verifier.verify(AccessToken(issuer.token(**claims)))
    clock.now += COOL_DOWN
    with pytest.raises(ProviderUnavailable):
        await verifier.verify(AccessToken(issuer.token(**claims, jti="another")))


@pytest.mark.parametrize(
    "document",
    [{"issuer": "http://127.0.0.9:1"}, {"issuer": None}, {"issuer": ["x"]}, {"jwks_uri": None}, {"jwks_uri": 7},
     {"jwks_uri": "http://169.254.169.254/latest"}, {"jwks_uri": "https://169.254.169.254/latest"},
     {"jwks_uri": "http://127.0.0.9:1/jwks"}, {"jwks_uri": "https://0xa9fea9fe/jwks"}, {"jwks_uri": "file:///etc/passwd"},
     {"jwks_uri": "https://user@127.0.0.1/jwks"}],
    ids=str,
)  # fmt: skip
async def test_lying_metadata_leads_nowhere(verifier: Verifier, provider: Provider, document: dict[str, Any]) -> None:
    provider.document = document
    await unavailable(verifier, provider.issuer)
    assert "/jwks" not in provider.asked


async def test_keys_of_another_issuer_named_by_an_attacker_in_the_token_are_never_fetched(
    verifier: Verifier, provider: Provider, serve: Any
) -> None:
    trap = Provider(provider.issuer)
    evil = await serve(trap)
    issuer = provider.issuer
    for member in ({"jku": f"{evil}/jwks"}, {"x5u": f"{evil}/cert"}, {"kid": f"{evil}/jwks"}, {"iss": evil}):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(issuer.sign({**issuer.header(), **member}, issuer.claims(**member))))
    for iss in (evil, f"{issuer.name}@{evil.removeprefix('http://')}", f"{issuer.name}.evil.example"):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(issuer.token(iss=iss)))
    assert trap.asked == []
