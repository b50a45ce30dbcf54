"""The web while its vault's key service hangs: who needs a key is told so in time, and everybody else is served."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from stead.demo.web.site import Site
from stead.identity.home import Home
from stead.identity.workload import Workload
from tests.parts import transit
from tests.web.conftest import Tab
from tests.web.test_lasting import session_of
from tests.web.world import World, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[transit.Transit]:
    token = tmp_path_factory.mktemp("keys") / "token"
    token.write_text(transit.TOKEN)
    with transit.serving() as service, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STEAD_VAULT__KEYS", "transit")
        environment.setenv("STEAD_VAULT__TRANSIT_URL", service.url)
        environment.setenv("STEAD_VAULT__TRANSIT_TOKEN_FILE", str(token))
        yield service


@pytest.fixture(scope="module")
async def world(service: transit.Transit, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A network whose web keeps its keys with the service."""
    async with running(Home(tmp_path_factory.mktemp("web") / "home")) as world:
        yield world


async def test_pages_that_need_no_key_are_served_while_the_key_service_hangs(
    world: World, service: transit.Transit, alice: Tab
) -> None:
    await world.start_web()  # which has unwrapped nothing yet
    service.answers.clear()
    before = len(service.requests)
    hanging = asyncio.create_task(alice.http.get("/state"))
    while len(service.requests) == before:
        await asyncio.sleep(0.005)
    for page in ("/healthz", "/session", "/"):
        assert (await alice.http.get(page)).status_code == 200
    assert not hanging.done()
    service.answers.set()
    assert (await hanging).status_code == 200


async def test_whoever_needs_a_key_is_told_that_it_is_away_and_signs_in_when_it_is_back(
    world: World, service: transit.Transit, tab: Tab
) -> None:
    await world.start_web()
    service.status = 503
    refused = await tab.http.get("/login", follow_redirects=False)
    assert refused.status_code == 503
    assert "key service" in refused.text
    assert transit.TOKEN not in refused.text
    service.status = None
    assert (await tab.sign_in("alice")).csrf


async def test_signing_out_ends_a_session_whose_tokens_cannot_be_opened(
    world: World, service: transit.Transit, alice: Tab
) -> None:
    await world.start_web()
    service.status = 503
    over = await alice.http.post("/logout", data={"csrf": alice.csrf}, headers={"origin": world.url})
    assert over.status_code == 303
    service.status = None
    assert (await alice.http.get("/session")).status_code == 401


async def test_tokens_of_a_session_that_could_not_be_forgotten_are_forgotten_later(
    world: World, service: transit.Transit, alice: Tab
) -> None:
    site = Site(Workload.open("finport-web", home=world.home))
    session = session_of(site, alice)
    async with site.workload:
        service.status = 503
        await site.login.end(session)
        service.status = None
        assert await site.credentials.refresh_token(session) is not None
        await site.login.sweep()
        assert await site.credentials.refresh_token(session) is None
    site.sessions.close()
    await site.vault.close()
