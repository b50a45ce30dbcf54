"""What outlives a request: tokens that are renewed, and a web that is started anew while something waits."""

import asyncio
import time

import pytest

from stead.demo.web.provider import BROKER_SCOPE, TRAIL_SCOPE
from stead.demo.web.session import Session, digest
from stead.demo.web.site import Site
from stead.identity.errors import InvalidToken
from stead.identity.peek import peek_claims
from stead.identity.workload import Workload
from tests.web import samples
from tests.web.conftest import Tab
from tests.web.test_asking import events, until
from tests.web.world import World

LONG = 1e9
"""A life that no token has, so that each is renewed."""


def session_of(site: Site, tab: Tab) -> Session:
    """The session that the tab's cookie opens."""
    cookie = next(str(one.value) for one in tab.http.cookies.jar if one.name == "finport")
    session = site.sessions.by_key(digest(cookie))
    assert session is not None
    return session


async def test_each_service_gets_a_token_of_its_own_by_refreshing(world: World, alice: Tab) -> None:
    site, network = Site(Workload.open("finport-web", home=world.home)), world.home.network
    async with site.workload:
        session = session_of(site, alice)
        broker, _ = await site.credentials.token(session, network.broker, BROKER_SCOPE)
        trail, _ = await site.credentials.token(session, network.trail, TRAIL_SCOPE)
    site.sessions.close()
    await site.vault.close()
    assert peek_claims(broker)["aud"] == network.broker
    assert peek_claims(trail)["aud"] == network.trail
    assert peek_claims(trail)["scope"] == TRAIL_SCOPE


async def test_renewals_at_once_spend_each_refresh_token_once(world: World, alice: Tab) -> None:
    site, network = Site(Workload.open("finport-web", home=world.home)), world.home.network
    async with site.workload:
        session = session_of(site, alice)
        wanted = [site.credentials.token(session, network.broker, BROKER_SCOPE, life=LONG) for _ in range(5)]
        renewed = await asyncio.gather(*wanted)
        assert len({peek_claims(token)["jti"] for token, _ in renewed}) == 5
        await site.credentials.token(session, network.trail, TRAIL_SCOPE)
    site.sessions.close()
    await site.vault.close()


async def test_a_refresh_token_that_is_no_longer_good_ends_the_session(world: World, alice: Tab) -> None:
    site, network = Site(Workload.open("finport-web", home=world.home)), world.home.network
    async with site.workload:
        session = session_of(site, alice)
        spent = await site.credentials.refresh_token(session)
        assert spent is not None
        await site.credentials.token(session, network.broker, BROKER_SCOPE, life=LONG)
        await site.vault.put(session.owner, session.key, "refresh", spent)
        with pytest.raises(InvalidToken, match="run out"):
            await site.credentials.token(session, network.broker, BROKER_SCOPE, life=LONG)
    site.sessions.close()
    await site.vault.close()
    assert (await alice.http.get("/state")).status_code == 401


async def test_a_restart_while_a_task_waits_loses_nothing(world: World, alice: Tab) -> None:
    world.broker.next = {**samples.parked(time.time()), "id": "t-restart"}
    await alice.post("/ask", {"text": "Pay", "message_id": "message-restart"})
    async with events(alice) as stream:
        last, _, _ = await anext(stream)
    await world.start_web()
    assert (await alice.http.get("/session")).status_code == 200
    async with events(alice, last) as stream:
        await until(stream, "turn", task="t-restart", state="approval")
        world.broker.put(
            {**samples.PAID, "id": "t-restart"}, samples.pay_trail(time.time(), name="t-restart", paid=True)
        )
        done = await until(stream, "turn", task="t-restart", state="done")
        assert "consent-91a0" in done["parts"]["answer"]
        assert len((await until(stream, "trail", task="t-restart"))["hops"]) == 3


async def test_logins_that_nobody_comes_back_from_leave_nothing_behind(world: World, tab: Tab) -> None:
    for _ in range(3):
        await tab.http.get("/login", follow_redirects=False)
    site = Site(Workload.open("finport-web", home=world.home, clock=lambda: time.time() + 700))
    begun = [row[0] for row in site.sessions._database.execute("SELECT key FROM logins").fetchall()]
    assert len(begun) >= 3
    assert all([await site.vault.get("login", key, "authorization request") for key in begun])
    await site.login.sweep()
    assert site.sessions.lapsed_logins() == []
    assert not any([await site.vault.get("login", key, "authorization request") for key in begun])
    site.sessions.close()
    await site.vault.close()


async def test_logins_that_strangers_begin_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stead.demo.web.session.MOST_LOGINS", 2)
    site = Site(Workload.open("finport-web", home=world.home))
    cookies = [site.sessions.begin_login() for _ in range(5)]
    await site.login.sweep()
    assert [site.sessions.take_login(cookie) for cookie in cookies] == [False, False, False, True, True]
    site.sessions.close()
    await site.vault.close()
