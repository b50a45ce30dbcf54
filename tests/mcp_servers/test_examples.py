"""The hello example is as small as it says, and works as written."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.mcp_servers.world import World, structured

HELLO = Path(__file__).parents[2] / "examples/hello"


@pytest.mark.parametrize("name", ["agent.py", "tools.py"])
def test_each_file_has_at_most_20_lines(name: str) -> None:
    assert len((HELLO / name).read_text().splitlines()) <= 20


async def test_the_tool_converts_for_a_service_and_for_nobody_else(world: World) -> None:
    server = runpy.run_path(str(HELLO / "tools.py"))["server"]
    fx = await world.start("fx-mcp", server.app)
    arguments = {"amount": "100", "source": "EUR", "target": "GBP"}
    token = world.service(fx, "broker", "fx:read")
    assert structured(await fx.call("convert", arguments, token=token)) == {"result": "88.00"}
    person = world.person(fx, "alice", "fx:read")
    assert (await fx.call("convert", arguments, token=person)).status_code == 403
    unknown = await fx.call("convert", {**arguments, "target": "XXX"}, token=token)
    assert unknown.json()["result"]["isError"]


async def test_the_tool_tells_planners_what_it_is_for(world: World) -> None:
    server = runpy.run_path(str(HELLO / "tools.py"))["server"]
    fx = await world.start("fx-mcp", server.app)
    metadata = (await fx.client.get("/.well-known/oauth-protected-resource")).json()
    assert metadata["resource_name"] == "fx-mcp"
    assert metadata["stead_name"] == "fx"
    assert metadata["stead_tools"]["convert"]["examples"] == ["convert 100 EUR to USD"]


async def test_the_agent_greets_the_person_by_name(world: World) -> None:
    agent = runpy.run_path(str(HELLO / "agent.py"))["agent"]
    hello = await world.start("hello-agent", agent.app)
    token = world.person(hello, "alice", "greet:read", name="Alice Moreau", client_id="broker", act={"sub": "broker"})
    message: dict[str, Any] = {
        "messageId": "step-1",
        "role": "ROLE_USER",
        "parts": [{"data": {"skill": "greet", "input": {}}}],
    }
    response = await hello.client.post(
        "/a2a",
        json={"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}},
        headers={"authorization": f"Bearer {token}", "a2a-version": "1.0"},
    )
    assert "Hello Alice Moreau: broker asked me, in your stead." in response.text
