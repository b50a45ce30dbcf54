"""The small network that the web's tests share, and a browser that is signed in to it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from stead.demo.cli.browser import Browser, Login
from stead.identity.home import Home
from stead.identity.samples import PERSONS
from tests.web.world import World, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A running network."""
    async with running(Home(tmp_path_factory.mktemp("web") / "home")) as world:
        yield world


class Tab:
    """A browser tab: plain HTTP with cookies, the page's token, and the Origin that a browser would send."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = httpx.AsyncClient(timeout=10, trust_env=False, base_url=world.url)
        self.csrf = ""

    async def sign_in(self, username: str) -> "Tab":
        """Signs a sample person in at the real provider."""
        person = next(one for one in PERSONS if one.username == username)
        login = Login(person.username, person.password)
        page = await Browser(self.http, {self.world.home.network.corporate_idp: login}).visit(f"{self.world.url}/login")
        self.csrf = page.html.partition('name="csrf" content="')[2].partition('"')[0]
        return self

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """A POST as the page's script makes it."""
        own = {"origin": self.world.url, "x-csrf-token": self.csrf, **headers}
        return await self.http.post(path, json=body, headers={name: text for name, text in own.items() if text})


@pytest_asyncio.fixture(loop_scope="session")
async def tab(world: World) -> AsyncIterator[Tab]:
    """A browser nobody is signed in with."""
    tab = Tab(world)
    yield tab
    await tab.http.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(tab: Tab) -> Tab:
    """Alice's browser."""
    return await tab.sign_in("alice")
