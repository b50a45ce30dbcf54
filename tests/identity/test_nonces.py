"""A service that wants its own nonce in each proof: it says so, our clients do it, and an old one is of no use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from joserfc.jwk import ECKey

from stead.identity.audit.journal import Journal
from stead.identity.clock import system_clock
from stead.identity.dpop import sign_proof
from stead.identity.egress import OpenHop, a2a_client, mcp_client, new_span, new_trace, opened
from stead.identity.errors import NonceRequired
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import Ingress
from stead.identity.nonces import LIFETIME, Nonces
from stead.identity.policy import Policy, declared
from stead.identity.values import AccessToken, BoundToken, Grant
from stead.identity.verifier import TrustedIssuer, Verifier
from tests.identity.conftest import NOW, PAY, App, Clock, describe

SECRET = b"s" * 32
KEY = ECKey.generate_key("P-256")


def test_a_nonce_is_good_for_two_minutes_and_for_every_replica(clock: Clock) -> None:
    nonce = Nonces(SECRET, clock).fresh()
    for later in (0, LIFETIME - 1):
        Nonces(SECRET, lambda: NOW + later).require(nonce)  # noqa: B023
    with pytest.raises(NonceRequired):
        Nonces(SECRET, lambda: NOW + LIFETIME).require(nonce)
    with pytest.raises(NonceRequired):
        Nonces(b"t" * 32, clock).require(nonce)


@pytest.mark.parametrize(
    "nonce", [None, "", ".", "1.", f"{NOW}", f"{NOW}.", f"{NOW}.AAAA", f"-{NOW}.x", "٣.x", "9" * 5000, "é", "\x00"]
)
def test_what_is_no_nonce_of_ours_brings_a_fresh_one(clock: Clock, nonce: str | None) -> None:
    nonces = Nonces(SECRET, clock)
    with pytest.raises(NonceRequired) as wanted:
        nonces.require(nonce)
    nonces.require(str(wanted.value.details["nonce"]))


def test_a_nonce_from_the_future_is_not_ours(clock: Clock) -> None:
    ahead = Nonces(SECRET, lambda: NOW + 1).fresh()
    with pytest.raises(NonceRequired):
        Nonces(SECRET, clock).require(ahead)


@pytest.fixture
def bound(door: Any) -> BoundToken:
    return BoundToken(door.issuer.token(cnf={"jkt": KEY.thumbprint()}), KEY)


def nonced(door: Any, web: Any, clock: Clock) -> Nonces:
    nonces = Nonces(SECRET, clock)
    door.verifier = Verifier([TrustedIssuer(door.issuer.name)], door.issuer.audience, web, clock, nonces=nonces)
    return nonces


async def test_a_proof_without_the_nonce_is_told_which_and_one_with_it_is_let_in(
    door: Any, web: Any, clock: Clock, bound: BoundToken
) -> None:
    nonced(door, web, clock)

    async def ask(nonce: str | None = None) -> httpx.Response:
        url = f"{door.issuer.audience}/"
        proof = sign_proof(KEY, "POST", url, NOW, token=bound, nonce=nonce)
        headers = {"authorization": f"DPoP {bound.reveal()}", "dpop": proof}
        answer: httpx.Response = await door.client().post("/", json={"do": PAY}, headers=headers)
        return answer

    first = await ask()
    assert (first.status_code, 'error="use_dpop_nonce"' in first.headers["www-authenticate"]) == (401, True)
    assert (await ask(first.headers["dpop-nonce"])).status_code == 200
    clock.now += LIFETIME
    assert (await ask(first.headers["dpop-nonce"])).status_code == 401


async def test_a_stolen_token_learns_a_nonce_and_gains_nothing(
    door: Any, web: Any, clock: Clock, bound: BoundToken
) -> None:
    """Who has not the key is told that, and gets no nonce."""
    nonced(door, web, clock)
    proof = sign_proof(ECKey.generate_key("P-256"), "POST", f"{door.issuer.audience}/", NOW, token=bound)
    headers = {"authorization": f"DPoP {bound.reveal()}", "dpop": proof}
    answer = await door.client().post("/", json={"do": PAY}, headers=headers)
    assert (answer.status_code, "dpop-nonce" in answer.headers) == (401, False)
    assert door.app.scopes == []


@asynccontextmanager
async def strict_service(door: Any, web: Any, serve: Any, folder: Any) -> AsyncIterator[tuple[str, App]]:
    """On a real socket, with the real time: its audience is known once it listens."""
    app = App()
    behind: dict[str, Any] = {}

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await behind["app"](scope, receive, send)

    url = await serve(late)
    issuers = [TrustedIssuer(door.issuer.name)]
    verifier = Verifier(issuers, url, web, system_clock, nonces=Nonces(SECRET, system_clock))
    policy = Policy([declared(PAY, Grant.LOGIN, ["portfolio:read"])])
    journal = Journal(folder, "strict", system_clock)
    ingress = Ingress(
        app, verifier=verifier, journal=journal, policy=policy, describe=describe, audience=url, scopes=()
    )
    behind["app"] = EdgeGuard(ingress)
    yield url, app
    journal.close()


@pytest.mark.parametrize("make", [a2a_client, mcp_client], ids=["httpx", "httpx2"])
async def test_our_clients_send_a_call_again_with_the_nonce_and_the_next_one_at_once(
    door: Any, web: Any, serve: Any, tmp_path: Any, make: Any
) -> None:
    async with strict_service(door, web, serve, tmp_path) as (url, app), make() as client:
        now = int(system_clock())
        text = door.issuer.token(aud=url, iat=now, exp=now + 300, cnf={"jkt": KEY.thumbprint()})
        seen: list[int] = []

        async def heard(response: httpx.Response | httpx2.Response) -> None:
            seen.append(response.status_code)

        client.event_hooks = {"request": [], "response": [heard]}
        hop = OpenHop(url, BoundToken(text, KEY), new_trace(), new_span())
        with opened(hop):
            for _ in range(2):
                answer = await client.post(f"{url}/", json={"do": PAY})
                assert answer.status_code == 200, answer.text
        assert (hop.status, len(app.scopes), seen) == (200, 2, [401, 200, 200])


@pytest.mark.parametrize("make", [a2a_client, mcp_client], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("nonce", ["n-1", 'a"b', "x" * 600, ""], ids=["good", "quoted", "long", "none"])
async def test_a_service_that_is_never_content_is_asked_twice_at_most(serve: Any, make: Any, nonce: str) -> None:
    asked = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        asked.append(scope)
        headers = [(b"www-authenticate", b'DPoP error="use_dpop_nonce"'), (b"dpop-nonce", nonce.encode())]
        await send({"type": "http.response.start", "status": 401, "headers": [*headers, (b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    url = await serve(never)
    async with make() as client:
        with opened(OpenHop(url, BoundToken("a.b.c", KEY), new_trace(), new_span())):
            assert (await client.post(f"{url}/", json={})).status_code == 401
        assert len(asked) == (2 if nonce == "n-1" else 1)
        asked.clear()
        with opened(OpenHop(url, AccessToken("a.b.c"), new_trace(), new_span())):
            assert (await client.post(f"{url}/", json={})).status_code == 401
        assert len(asked) == 1
