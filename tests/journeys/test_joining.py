"""Services that the network has never heard of join it while it runs, are planned with, and leave again."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stead.demo.cli.session import signed_in
from stead.identity.driver import drive
from stead.identity.errors import GrantRefused
from stead.identity.flows import ClientIdentity, discover
from stead.identity.flows.client_credentials import s2s
from tests.journeys.finport import FinPort

HELLO = Path(__file__).parents[2] / "examples" / "hello"
COUNTER = '''"""An agent that needs something of another one's server."""

from stead.agents.kit import Agent, McpClient

agent = Agent("counter", "Counts what somebody holds.", needs=["holdings:read"])


@agent.skill(examples=["Count my holdings", "How many holdings are there?"])
async def count(holdings: McpClient) -> str:
    """Counts the holdings of the person in whose stead it is called."""
    held = await holdings.call("list_holdings")
    return f"You hold {len(held['positions'])} different things."


if __name__ == "__main__":
    agent.serve()
'''


@asynccontextmanager
async def joining(finport: FinPort, file: Path) -> AsyncIterator[str]:
    """A service in a process of its own; the address at which it says that it is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(file)),
        env=finport.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        said = re.search(r"is at (http://\S+)\. Let it in: stead registry add \1 --as admin", line)
        assert said, line + (await process.stderr.read(4000)).decode()
        await answering(said[1])
        yield said[1]
    finally:
        process.terminate()
        await process.communicate()


async def answering(url: str) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(f"{url}/readyz")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def skills(finport: FinPort) -> dict[str, Any]:
    """What the broker plans with."""
    alice = await signed_in(finport.home, "alice")
    try:
        token = await alice.token(finport.urls["broker"])
        bearer = {"authorization": f"Bearer {token.reveal()}"}
        reply = await alice.http.get(f"{finport.urls['broker']}/registry", headers=bearer)
    finally:
        await alice.close()
    return {skill["key"]: skill for entry in reply.json()["entries"] for skill in entry["skills"] if skill["planned"]}


async def test_an_agent_of_one_file_joins_is_used_by_the_next_plan_and_leaves(finport: FinPort) -> None:
    async with joining(finport, HELLO / "agent.py") as url:
        code, before = await finport.ask("Greet me", "alice")
        assert (code, before["plan"]["steps"]) == (1, [])
        code, out, err = await finport.stead("registry", "add", url, "--as", "admin")
        assert code == 0, err
        assert "hello is part of the network: greet" in out
        assert f"hello-agent at {url}" in err
        assert "gives greet:read to customer" in err
        code, asked = await finport.ask("Greet me", "alice")
        assert code == 0, asked
        assert "Hello Alice Moreau: broker asked me, in your stead." in asked["answer"]
        hop = next(hop for hop in await finport.trail(asked["task"]) if hop["resource"] == "hello.greet")
        assert (hop["grant"], hop["sub"], hop["aud"], hop["scope"]) == ("obo", "alice", url, "greet:read")
        assert hop["confirmed"]
        code, out, err = await finport.stead("registry", "list", "--as", "alice")
        assert code == 0, err
        assert "hello" in out
        code, _, err = await finport.stead("registry", "remove", "hello", "--as", "alice")
        assert code == 1
        assert "may not change the registry" in err
        code, out, err = await finport.stead("registry", "remove", "hello", "--as", "admin")
        assert (code, out.strip()) == (0, "hello is no longer part of the network."), err
        code, after = await finport.ask("Greet me", "alice")
        assert (code, after["plan"]["steps"]) == (1, [])
        code, _, err = await finport.stead("registry", "remove", "hello", "--as", "admin")
        assert code == 1
        assert "no 'hello'" in err


async def test_a_server_of_one_file_joins_and_is_called_by_the_broker_as_itself(finport: FinPort) -> None:
    async with joining(finport, HELLO / "tools.py") as url:
        code, out, err = await finport.stead("registry", "add", url, "--as", "admin")
        assert code == 0, err
        assert "fx is part of the network: convert" in out
        code, asked = await finport.ask("convert 100 EUR to USD", "alice")
        assert code == 0, asked
        assert asked["answer"] == "fx: 116.00."
        hop = next(hop for hop in await finport.trail(asked["task"]) if hop["resource"] == "fx.convert")
        assert (hop["grant"], hop["sub"], hop["act"], hop["confirmed"]) == ("s2s", "broker", None, True)
        assert (await finport.stead("registry", "remove", "fx", "--as", "admin"))[0] == 0
    assert "fx.convert" not in await skills(finport)


async def test_an_agent_is_given_what_it_needs_of_others_when_it_is_let_in(finport: FinPort, tmp_path: Path) -> None:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER)
    holdings = finport.urls["mcp_servers"]["holdings"]
    async with joining(finport, file) as url:
        code, _, err = await finport.stead("registry", "add", url, "--as", "admin")
        assert code == 0, err
        assert f"may ask {holdings} for holdings:read, on behalf of people" in err
        code, asked = await finport.ask("Count my holdings", "alice")
        assert code == 0, asked
        hop = next(hop for hop in await finport.trail(asked["task"]) if hop["caller"] == "counter-agent")
        assert (hop["sub"], hop["aud"]) == ("alice", holdings)
        assert hop["act"] == {"sub": "counter-agent", "act": {"sub": "broker"}}
        assert (await finport.stead("registry", "remove", "counter", "--as", "admin"))[0] == 0


async def test_who_was_not_let_in_has_a_name_and_no_right(finport: FinPort) -> None:
    """Registering gives a client; nothing may be asked with it, and nobody may call it."""
    async with joining(finport, HELLO / "agent.py") as url, httpx.AsyncClient(trust_env=False) as http:
        issuer = finport.urls["corporate_idp"]
        metadata = await drive(discover(issuer), http)
        client = ClientIdentity("hello-agent", finport.home.key("hello-agent"), issuer)
        for audience, scope in (
            (finport.urls["mcp_servers"]["quotes"], "quotes:read"),
            (finport.urls["broker"], "task:notify"),
            (issuer, "registry:admin"),
            (url, "greet:read"),
        ):
            with pytest.raises(GrantRefused):
                await drive(s2s(client, metadata, audience=audience, scopes=(scope,), now=time.time()), http)


async def test_a_person_without_the_right_lets_nobody_in(finport: FinPort) -> None:
    async with joining(finport, HELLO / "agent.py") as url:
        code, _, err = await finport.stead("registry", "add", url, "--as", "alice")
        assert code == 1
        assert "Alice Moreau may not change the registry" in err
        alice = await signed_in(finport.home, "alice")
        try:
            token = await alice.token(finport.urls["broker"])
            bearer = {"authorization": f"Bearer {token.reveal()}"}
            audience = {"audience": url, "name": "hello", "client_id": "hello-agent", "scopes": {"greet:read": []}}
            issuer = f"{finport.urls['corporate_idp']}/admin/audiences"
            assert (await alice.http.post(issuer, json=audience, headers=bearer)).status_code == 401
            registry = f"{finport.urls['broker']}/registry"
            assert (await alice.http.post(registry, json={"url": url}, headers=bearer)).status_code == 403
            await refused_at_the_issuer(finport, audience)
        finally:
            await alice.close()
    assert "hello.greet" not in await skills(finport)


async def refused_at_the_issuer(finport: FinPort, audience: dict[str, Any]) -> None:
    """A person who asks for the right at the sign-in gets a token without it."""
    issuer = finport.urls["corporate_idp"]
    alice = await signed_in(finport.home, "alice", {issuer: ("registry:admin",)})
    try:
        url = f"{issuer}/admin/audiences"
        reply = await alice.http.post(url, json=audience, headers=await alice.headers("POST", url, issuer))
        assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")
    finally:
        await alice.close()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "127.0.0.1:8000",
        "ftp://127.0.0.1:1",
        "http://127.0.0.1:1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://127.0.0.1:1/agent",
        "http://user:word@127.0.0.1:1",
        "http://no-such-host.invalid:1",
        "",
    ],
)
async def test_an_address_that_is_none_is_refused_in_words(finport: FinPort, url: str) -> None:
    code, out, err = await finport.stead("registry", "add", url, "--as", "admin")
    assert (code, out) == (1, ""), err
    assert err.startswith("stead: ")
    assert "Traceback" not in err


async def test_what_is_no_agent_or_belongs_to_the_network_is_refused_in_words(finport: FinPort) -> None:
    for url, word in (
        (finport.urls["corporate_idp"], "does not say whose tokens it takes"),
        (finport.urls["web"], "does not say whose tokens it takes"),
        (finport.urls["agents"]["portfolio"], "belongs to the network"),
        (finport.urls["mcp_servers"]["quotes"], "belongs to the network"),
    ):
        code, _, err = await finport.stead("registry", "add", url, "--as", "admin")
        assert code == 1, (url, err)
        assert word in err, err
        assert "Traceback" not in err
