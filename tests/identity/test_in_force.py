"""A service writes down the rules it starts with; the files of the folder are checked against what there is."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stead.demo.cli.app import app
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home, Network
from stead.identity.in_force import check_files, record, recorded, services_of, stale_files
from stead.identity.policy import Outcome, Policy, Rule, declared, narrowed
from stead.identity.values import Grant

SEND = "transfer.send"
POLICY = Policy([declared(SEND, Grant.OBO, ["transfer:create"])], [SEND])
NIGHT = "- {id: night, resource: transfer.send, outcome: deny, reason: Not at night.}"


@pytest.fixture
def network(home: Home) -> Home:
    """A network with two agents, of which nothing has started."""
    agents = {"transfer": "http://transfer", "market_data": "http://market"}
    home.record(Network("http://web", "http://broker", "http://trail", "http://idp", "http://bank", agents))
    return home


def put(home: Home, name: str, text: str = NIGHT) -> Path:
    path = home.folder("policies") / name
    path.write_text(text)
    return path


def start(home: Home, service: str = "transfer-agent") -> None:
    effective = narrowed(POLICY, service, home.policies, services_of(home))
    record(home, service, effective)


def test_a_misspelt_file_name_is_refused_by_every_service_with_the_nearest_right_one(network: Home) -> None:
    path = put(network, "transfer-agnet.yaml")
    for service in ("transfer-agent", "market-data-agent", "broker"):
        with pytest.raises(ConfigurationError, match=f"No service reads {path}") as mistake:
            start(network, service)
        assert mistake.value.hint == "Did you mean transfer-agent?"


def test_the_files_of_the_other_services_and_of_joiners_are_no_mistake(network: Home) -> None:
    for name in ("network", "broker", "trail", "transfer-agent", "market-data-agent"):
        put(network, f"{name}.yaml", "")
    (network.folder("joined") / "fx-mcp.json").write_text("{}")
    put(network, "fx-mcp.yaml", "")
    start(network)
    assert "fx-mcp" in services_of(network)


def test_the_web_has_no_policy_so_a_file_for_it_is_refused(network: Home) -> None:
    put(network, "finport-web.yaml", "")
    with pytest.raises(ConfigurationError, match="there is none called finport-web"):
        check_files(network)


def test_a_service_records_its_own_rules_and_those_of_the_files_with_their_places(network: Home) -> None:
    put(network, "transfer-agent.yaml")
    put(network, "network.yaml", "- {id: shut, resource: '*', when: false, outcome: step_up, params: {max_age: 60}}")
    start(network)
    known = recorded(network, "transfer-agent")
    assert known.resources == (SEND,)
    assert [(rule.id, rule.source) for rule in known.own] == [(f"declared:{SEND}", "")]
    assert [(rule.id, rule.source) for rule in known.on_top] == [
        ("shut", "policies/network.yaml"),
        ("night", "policies/transfer-agent.yaml"),
    ]
    assert known.on_top[0] == Rule("shut", ("*",), Outcome.STEP_UP, "false", params={"max_age": 60})


def test_a_file_that_changed_after_the_start_is_told(network: Home) -> None:
    path = put(network, "transfer-agent.yaml")
    start(network)
    assert stale_files(network, "transfer-agent") == []
    path.write_text(f"{NIGHT}\n")
    assert stale_files(network, "transfer-agent") == ["transfer-agent.yaml"]
    path.unlink()
    put(network, "network.yaml")
    assert stale_files(network, "transfer-agent") == ["network.yaml", "transfer-agent.yaml"]
    assert stale_files(network, "broker") == []


def test_a_misspelt_skill_is_found_without_starting_again(network: Home) -> None:
    start(network)
    put(network, "transfer-agent.yaml", NIGHT.replace("transfer.send", "transfer.sned"))
    with pytest.raises(ConfigurationError, match=r"unknown resource: transfer\.sned") as mistake:
        check_files(network)
    assert mistake.value.hint == "Did you mean transfer.send?"


def test_a_misspelt_argument_is_found_at_the_start_and_after_it(network: Home) -> None:
    schema = {"type": "object", "properties": {"amount": {"type": "string"}}}
    own = Policy(POLICY.rules, [SEND], inputs={SEND: schema})
    path = put(network, "transfer-agent.yaml", f"- {{id: r, resource: {SEND}, when: has(input.amonut), outcome: deny}}")
    with pytest.raises(ConfigurationError, match=f"{path}: .*unknown input: amonut") as mistake:
        narrowed(own, "transfer-agent", network.policies)
    assert mistake.value.hint == "Did you mean amount?"
    record(network, "transfer-agent", own)
    with pytest.raises(ConfigurationError, match="unknown input: amonut"):
        check_files(network)
    put(network, "transfer-agent.yaml", "- {id: r, resource: '*', when: has(input.amount), outcome: deny}")
    assert check_files(network) == ["transfer-agent"]


def test_what_a_service_had_at_its_last_start_does_not_keep_it_from_a_start_with_more(network: Home) -> None:
    """After an update it may have a new skill, and a record that an older version wrote may not be readable."""
    start(network)
    put(network, "transfer-agent.yaml", "- {id: r, resource: transfer.list, outcome: deny}")
    with pytest.raises(ConfigurationError, match=r"unknown resource: transfer\.list"):
        check_files(network)
    assert check_files(network, starting=True) == ["transfer-agent"]
    (network.path / "rules" / "transfer-agent.json").write_text("{}")
    assert check_files(network) == ["transfer-agent"]
    assert stale_files(network, "transfer-agent") == []


def test_what_never_started_or_is_no_service_is_told_apart(network: Home) -> None:
    with pytest.raises(ConfigurationError, match="has not started here yet"):
        recorded(network, "broker")
    with pytest.raises(ConfigurationError, match="There is no service brocker") as mistake:
        recorded(network, "brocker")
    assert mistake.value.hint == "Did you mean broker?"
    (network.folder("rules") / "broker.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="not readable"):
        recorded(network, "broker")


def test_policy_test_refuses_a_file_that_nobody_would_read(network: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_HOME", str(network.path))
    tests = f"{NIGHT}\n---\ntests: [{{name: never, principal: {{sub: a}}, resource: {SEND}, outcome: deny}}]\n"
    good, bad = put(network, "transfer-agent.yaml", tests), network.policies / "transfer-agnet.yaml"
    assert CliRunner().invoke(app, ["policy", "test", str(good)]).exit_code == 0
    good.rename(bad)
    refused = CliRunner().invoke(app, ["policy", "test", str(bad)])
    assert isinstance(refused.exception, ConfigurationError)
    assert refused.exception.hint == "Did you mean transfer-agent?"


def test_sentences_of_the_operators_rules_speak_to_the_person_too(network: Home) -> None:
    put(network, "transfer-agent.yaml", NIGHT.replace("Not at night.", '"{name}, not {input[amount]} at night."'))
    allowed = Policy([Rule("all", (SEND,), Outcome.ALLOW)], [SEND])
    policy = narrowed(allowed, "transfer-agent", network.policies)
    from tests.identity.test_narrowing import principal

    alice = replace(principal(name="Alice"), scopes=frozenset())
    assert policy.decide(alice, SEND, "SendMessage", {"amount": 5}, 0).reason == "Alice, not 5 at night."
