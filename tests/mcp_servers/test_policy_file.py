"""An MCP server takes rules from YAML as an agent does: its author's file tightens, the operator's takes away."""

from decimal import Decimal
from pathlib import Path

import pytest

from stead.identity.errors import ConfigurationError
from stead.identity.values import Grant, Principal
from stead.identity.workload import Workload
from stead.mcp_servers.kit import Server
from tests.mcp_servers.world import World, reason, structured

RULES = """
- id: small
  resource: shop.order
  when: input.count > 10
  outcome: deny
  reason: "{name} may not order {input[count]} at once."
  hint: Order at most ten.
- id: fresh
  resource: shop.order
  when: input.count > 5 && now - principal.auth_time > 300
  outcome: step_up
  params: {max_age: 300}
"""


def shop(rules: Path) -> Server:
    server = Server("shop", "Takes orders.", policy=rules)

    @server.tool(grant=Grant.OBO, scopes=("shop:order",))
    async def order(user: Principal, *, thing: str, count: int) -> str:
        """Takes an order."""
        return f"{count} {thing} for {user.subject}"

    @server.tool(grant=Grant.OBO, scopes=("shop:order",))
    async def give(
        user: Principal,
        *,
        count: int,
        price: Decimal,
        urgent: bool = False,
        to: list[str] | str = "alice",
        weight: float = 1.0,
    ) -> str:
        """Gives something away."""
        return f"{count} at {price}, {urgent}, to {to}"

    @server.tool(grant=Grant.OBO, scopes=("shop:order",))
    async def look(user: Principal) -> str:
        """Looks around."""
        return "things"

    return server


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "shop-rules.yaml"
    path.write_text(RULES)
    return path


async def test_the_authors_rules_hold_for_a_tool_by_its_arguments(world: World, rules: Path) -> None:
    peer = await world.start("shop-mcp", shop(rules).app)
    alice = world.person(peer, "alice", "shop:order")
    assert structured(await peer.call("order", {"thing": "pens", "count": 10}, token=alice)) == {
        "result": "10 pens for alice"
    }
    refused = await peer.call("order", {"thing": "pens", "count": 11}, token=alice)
    assert (refused.status_code, reason(refused)) == (403, "access_denied")
    assert "Alice may not order 11 at once." in refused.text
    assert "Order at most ten." in refused.text


async def test_a_rule_can_ask_for_a_fresher_sign_in(world: World, rules: Path) -> None:
    peer = await world.start("shop-mcp", shop(rules).app)
    long_ago = world.person(peer, "alice", "shop:order", auth_time=1_700_000_000)
    assert structured(await peer.call("order", {"thing": "pens", "count": 5}, token=long_ago))
    refused = await peer.call("order", {"thing": "pens", "count": 6}, token=long_ago)
    assert refused.json()["error"]["data"] == [{"reason": "INSUFFICIENT_USER_AUTHENTICATION", "max_age": 300}]
    assert "max_age" in refused.headers["www-authenticate"]


async def test_the_operators_file_takes_away_from_a_tool_and_never_gives(world: World, rules: Path) -> None:
    (world.home.folder("policies") / "shop-mcp.yaml").write_text(
        "- {id: no-bob, resource: shop.look, when: 'principal.sub == \"bob\"', outcome: deny, reason: Not for Bob.}"
    )
    peer = await world.start("shop-mcp", shop(rules).app)
    alice, bob = (world.person(peer, name, "shop:order") for name in ("alice", "bob"))
    assert structured(await peer.call("look", token=alice)) == {"result": "things"}
    assert "Not for Bob." in (await peer.call("look", token=bob)).text
    assert structured(await peer.call("order", {"thing": "pens", "count": 1}, token=bob))
    unscoped = world.person(peer, "alice", "other")
    assert (await peer.call("look", token=unscoped)).status_code == 403


@pytest.mark.parametrize(
    ("when", "given"),
    [
        ("input.count == 11", {"count": "11"}),
        ("input.count == 11", {"count": 11.0}),
        ("input.count == 1", {"count": True}),
        ("input.urgent", {"urgent": "yes"}),
        ("input.urgent == true", {"urgent": 1}),
        ("!input.urgent", {}),
        ("has(input.urgent) && !input.urgent", {}),
        ('input.price == "5.0"', {"price": 5.0}),
        ('decimal(input.price) > decimal("4")', {"price": 5}),
        ('input.to == ["mallory"]', {"to": '["mallory"]'}),
        ('input.to == "alice"', {}),
    ],
)
async def test_another_spelling_of_an_argument_or_none_at_all_evades_no_rule(
    world: World, rules: Path, when: str, given: dict[str, object]
) -> None:
    """What is decided on is what the tool will get, with its defaults, and not what was sent."""
    path = world.home.folder("policies") / "shop-mcp.yaml"
    path.write_text(f"- {{id: r, resource: shop.give, when: '{when}', outcome: deny, reason: Caught.}}")
    peer = await world.start("shop-mcp", shop(rules).app)
    refused = await peer.call(
        "give", {"count": 2, "price": "1", **given}, token=world.person(peer, "alice", "shop:order")
    )
    assert refused.json().get("error", {}).get("message") == "Caught.", refused.text


@pytest.mark.parametrize("weight", ["nan", "inf", "-Infinity"])
async def test_a_number_that_is_none_evades_no_comparison(world: World, rules: Path, weight: str) -> None:
    path = world.home.folder("policies") / "shop-mcp.yaml"
    path.write_text("- {id: r, resource: shop.give, when: input.weight > 10, outcome: deny}")
    peer = await world.start("shop-mcp", shop(rules).app)
    given = {"count": 1, "price": "1", "weight": weight}
    answer = (await peer.call("give", given, token=world.person(peer, "alice", "shop:order"))).json()
    assert answer["error"]["message"] == "The request has values that no rule can read."


async def test_arguments_that_do_not_fit_run_nothing_and_are_told_by_the_tool(world: World, rules: Path) -> None:
    peer = await world.start("shop-mcp", shop(rules).app)
    alice = world.person(peer, "alice", "shop:order")
    for given in ({"count": "many", "price": "1"}, {"count": 1}, {"count": 1, "price": "1", "more": 1}):
        assert (await peer.call("give", given, token=alice)).json()["result"]["isError"]


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (("shop.order", "shop.oder"), r"shop-rules\.yaml: Rule small names an unknown resource: shop\.oder", "order"),
        (("input.count > 10", "inptu.count > 10"), r"shop-rules\.yaml: .*unknown variable: inptu", "input"),
        (("input.count > 10", "input.cuont > 10"), r"shop-rules\.yaml: .*unknown input: cuont", "count"),
        (("input.count > 10", 'input.count > "10"'), r"shop-rules\.yaml: .*> does not go with input\.count", ""),
    ],
)
def test_a_server_does_not_start_on_a_file_with_a_mistake(
    world: World, rules: Path, change: tuple[str, str], message: str, hint: str
) -> None:
    rules.write_text(RULES.replace(*change))
    workload = Workload.open("shop-mcp", url="http://shop.example", home=world.home)
    with pytest.raises(ConfigurationError, match=message) as mistake:
        shop(rules).app(workload)
    assert hint in str(mistake.value.hint)
