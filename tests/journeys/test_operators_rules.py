"""A file of the operator's for one MCP server, seen from the person who asks to the command that explains it."""

import json
from collections.abc import Iterator

import pytest

from stead.demo.network.addresses import network_of
from stead.identity.home import Home
from tests.journeys.finport import FinPort, start_network, stop_network

RULES = """
- id: closed-to-alice
  resource: holdings.list_holdings
  when: principal.sub == "alice" && principal.chain == ["portfolio-agent", "broker"]
  outcome: deny
  reason: "{name}, your holdings are being reviewed."
  hint: Call the bank.
---
tests:
- name: alice is kept out
  principal: {sub: alice, chain: [portfolio-agent, broker]}
  resource: holdings.list_holdings
  outcome: deny
"""


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """A network whose operator put one rule on top of one server."""
    home = Home(tmp_path_factory.mktemp("narrowed") / "home")
    network_of(home)
    (home.folder("policies") / "holdings-mcp.yaml").write_text(RULES)
    network = start_network(home.path)
    yield network
    stop_network(network)


async def test_the_rule_takes_away_from_the_tool_in_the_persons_words_and_from_nobody_else(narrowed: FinPort) -> None:
    code, refused = await narrowed.ask("Show my portfolio", "alice")
    assert code == 1
    assert "Alice Moreau, your holdings are being reviewed." in json.dumps(refused)
    assert (await narrowed.ask("Show my portfolio", "bob"))[0] == 0


async def test_the_commands_show_and_explain_what_is_in_force(narrowed: FinPort) -> None:
    code, out, _ = await narrowed.stead("policy", "show", "holdings-mcp", "--json")
    (shown,) = json.loads(out)
    assert [rule["source"] for rule in shown["rules"]] == ["", "policies/holdings-mcp.yaml"]
    asked = ("policy", "check", "holdings-mcp", "--resource", "holdings.list_holdings", "--json", "--as")
    chain = ("--through", "portfolio-agent", "--through", "broker")
    code, out, _ = await narrowed.stead(*asked, "alice", *chain)
    assert (code, json.loads(out)["rule"]) == (1, "closed-to-alice")
    assert json.loads(out)["reason"] == "Alice Moreau, your holdings are being reviewed."


async def test_the_doctor_tells_of_a_file_that_changed_and_a_case_for_no_tool_is_refused(narrowed: FinPort) -> None:
    path = narrowed.home.policies / "holdings-mcp.yaml"
    path.write_text(RULES.replace("list_holdings\n  outcome", "list_holdngs\n  outcome"))
    code, _, err = await narrowed.stead("policy", "test", str(path))
    assert (code, "Did you mean holdings.list_holdings?" in err) == (1, True)
    path.write_text(RULES.replace("chain: [portfolio-agent, broker]", "chain: [broker]"))
    code, out, _ = await narrowed.stead("doctor")
    assert (code, "policies: in order: holdings-mcp" in out) == (1, True)
    assert "its test 'alice is kept out' wants deny, and gets silent" in out
    assert "BAD  policies/holdings-mcp.yaml: holdings-mcp goes by an older one" in out
