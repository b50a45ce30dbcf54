"""Signed out at the provider, or taken back: within five seconds no door of the network takes the token any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from stead.demo.cli.session import Session, signed_in
from stead.identity.egress import Target, shown
from stead.identity.flows.revocation import revoke
from stead.identity.values import AccessToken, Arrival, Grant, acting_for
from stead.identity.workload import Workload
from tests.journeys.finport import FinPort

WITHIN = 5.0
ASK = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}


@asynccontextmanager
async def person(finport: FinPort, name: str = "alice") -> AsyncIterator[Session]:
    session = await signed_in(finport.home, name)
    try:
        yield session
    finally:
        await session.close()


async def status(http: httpx.AsyncClient, url: str, token: AccessToken) -> int:
    headers = {**shown(token, "POST", f"{url}/a2a"), "a2a-version": "1.0"}
    return (await http.post(f"{url}/a2a", json=ASK, headers=headers)).status_code


async def refused(http: httpx.AsyncClient, url: str, token: AccessToken) -> None:
    """Returns once the door is closed; the test fails if that takes too long."""
    async with asyncio.timeout(WITHIN):
        while await status(http, url, token) != 401:
            await asyncio.sleep(0.1)


@pytest.fixture
async def broker(finport: FinPort) -> AsyncIterator[Workload]:
    """The broker's identity, for a token one hop further on."""
    async with Workload.open("broker", home=finport.home) as workload:
        yield workload


async def onward(broker: Workload, finport: FinPort, token: AccessToken) -> AccessToken:
    principal = await broker.verifier.verify(token)
    with acting_for(principal, Arrival("0" * 15 + "1", "0" * 31 + "1", principal.jti)):
        return await broker.exchange(
            Target(finport.urls["agents"]["portfolio"], ("portfolio:read",), Grant.OBO), principal
        )


async def test_a_token_that_was_taken_back_is_refused_at_every_hop(
    finport: FinPort, http: httpx.AsyncClient, broker: Workload
) -> None:
    async with person(finport) as alice:
        first = await alice.token(finport.urls["broker"])
        second = await onward(broker, finport, first)
        agent = finport.urls["agents"]["portfolio"]
        assert [await status(http, finport.urls["broker"], first), await status(http, agent, second)] == [200, 200]
        assert alice._refresh is not None
        metadata = await broker.metadata()
        await broker.run(revoke(alice._client, metadata, alice._refresh, now=0))
        await asyncio.gather(refused(http, finport.urls["broker"], first), refused(http, agent, second))


async def test_signing_out_at_the_provider_closes_every_door(finport: FinPort, http: httpx.AsyncClient) -> None:
    async with person(finport) as alice, person(finport) as elsewhere:
        token, other = [await one.token(finport.urls["broker"]) for one in (alice, elsewhere)]
        assert await status(http, finport.urls["broker"], token) == 200
        page = await alice.browser.visit(f"{finport.urls['corporate_idp']}/logout", decision="yes")
        for form in page.forms():
            done = await alice.http.post(
                f"{finport.urls['corporate_idp']}/logout",
                data=form.fields | dict(form.buttons[:1]),
                headers={"origin": finport.urls["corporate_idp"]},
            )
            assert done.status_code < 400
        await refused(http, finport.urls["broker"], token)
        assert await status(http, finport.urls["broker"], other) == 200


async def test_the_feed_names_nobody(finport: FinPort, http: httpx.AsyncClient) -> None:
    issuer = finport.urls["corporate_idp"]
    reply = await http.get(f"{issuer}/revocations")
    body: dict[str, Any] = reply.json()
    assert not any(name in reply.text for name in ("alice", "bob", "carol"))
    again = await http.get(f"{issuer}/revocations", headers={"if-none-match": reply.headers["etag"]})
    assert again.status_code in {200, 304}
    assert body.keys() == {"set", "revoked"}
