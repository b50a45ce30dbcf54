"""What is in force is shown with where it comes from, and asked about as a person of the directory."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stead.agents import transfer
from stead.agents.kit.edge import policy_of
from stead.agents.transfer.agent import transfer as agent
from stead.demo.cli.app import app
from stead.demo.network.addresses import network_of
from stead.demo.network.providers import corporate_seed
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home
from stead.identity.in_force import record, services_of
from stead.identity.policy import narrowed
from stead.identity.server import ServerSettings, seed

SEND = ("check", "transfer-agent", "--resource", "transfer.send", "--input")
NIGHT = """
- id: night
  resource: transfer.send
  when: hour(now, "Europe/Zurich") < 6
  outcome: deny
  reason: Not at night.
"""


@pytest.fixture
def network(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """FinPort's directory, and the Transfer agent's rules with one of the operator's on top; no process."""
    monkeypatch.setenv("STEAD_HOME", str(home.path))
    addresses = network_of(home)
    url = addresses.corporate_idp
    settings = ServerSettings(url, "FinPort Identity", "corporate", home, "issuer-corporate")
    seed(settings, corporate_seed(home, addresses, url))
    (home.folder("policies") / "transfer-agent.yaml").write_text(NIGHT)
    own = policy_of("transfer", agent.skills, Path(transfer.__file__).with_name("policy.yaml"))
    record(home, "transfer-agent", narrowed(own, "transfer-agent", home.policies, services_of(home)))
    return home


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["policy", *words])
    if isinstance(result.exception, ConfigurationError | InvalidRequest):
        raise result.exception
    return result.exit_code, result.output


def test_what_is_in_force_is_shown_with_where_each_rule_comes_from(network: Home) -> None:
    shown = json.loads(run("show", "transfer-agent", "--json")[1])
    assert [(rule["id"], rule["source"]) for rule in shown[0]["rules"]] == [
        ("declared:transfer.send", ""),
        ("transfer-limit", "policy.yaml"),
        ("night", "policies/transfer-agent.yaml"),
    ]
    said = run("show")[1]
    assert "deny if hour(now" in said
    assert "night, from policies/transfer-agent.yaml: Not at night." in said
    assert "declared:transfer.send, declared in code" in said
    (network.policies / "transfer-agent.yaml").write_text("")
    assert "transfer-agent.yaml has changed since" in run("show")[1]


@pytest.mark.parametrize(
    ("person", "amount", "at", "outcome", "rule"),
    [
        ("alice", "1500.00", "12:00", "allow", "declared:transfer.send"),
        ("carol", "1000.00", "12:00", "allow", "declared:transfer.send"),
        ("carol", "1000.01", "12:00", "step_up", "transfer-limit"),
        ("alice", "1.00", "03:00", "deny", "night"),
        ("carol", "1000.01", "03:00", "deny", "night"),
        ("bob", "1.00", "12:00", "deny", "default"),
    ],
)
def test_a_person_of_the_directory_brings_claims_roles_and_scopes_along(
    network: Home, person: str, amount: str, at: str, outcome: str, rule: str
) -> None:
    given = json.dumps({"payee": "bob", "amount": amount})
    code, said = run(*SEND, given, "--as", person, "--at", f"2026-03-01T{at}+01:00", "--json")
    told = json.loads(said[said.index("{") :])
    assert (told["outcome"], told["rule"], code) == (outcome, rule, 0 if outcome == "allow" else 1)


def test_the_chain_counts_and_a_client_that_may_not_call_gets_nothing(network: Home) -> None:
    given = '{"payee": "bob", "amount": "1.00"}'
    at = ("--at", "2026-03-01T12:00+01:00")
    code, said = run(*SEND, given, "--as", "alice", "--through", "portfolio-agent", "--through", "broker", *at)
    assert (code, "Alice Moreau, through portfolio-agent, through broker" in said) == (1, True)
    assert "needs the scope transfer:create" in said
    code, said = run(*SEND, given, "--as", "alice", *at)
    assert (code, "Alice Moreau, through broker" in said) == (0, True)


def test_a_file_is_asked_about_a_person_of_the_directory(network: Home) -> None:
    path = str(network.policies / "transfer-agent.yaml")
    asked = ("check", path, "--resource", "transfer.send", "--as", "alice", "--at")
    assert run(*asked, "2026-03-01T03:00+01:00")[0] == 1
    code, said = run(*asked, "2026-03-01T12:00+01:00")
    assert (code, "no rule of transfer-agent.yaml applies" in said) == (0, True)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ((*SEND, "{}", "--as", "allice"), "nobody called allice", "Did you mean alice?"),
        ((*SEND, "{}"), "Who asks", "--as USER"),
        ((*SEND, '{"amonut": "1"}', "--as", "alice"), "takes no amonut", "Did you mean amount?"),
        ((*SEND, "{}", "--as", "alice", "--principal", "x.json"), "Who asks", "--as USER"),
        ((*SEND, "{}", "--as", "alice", "--at", "soon"), "soon is no time", "Such as"),
        (
            ("check", "transfer-agnet", "--resource", "x", "--as", "alice"),
            "no service transfer-agnet",
            "transfer-agent",
        ),
        (("check", "transfer-agent", "--resource", "transfer.sned", "--as", "alice"), "has no", "transfer.send"),
        (("show", "broker"), "has not started here", "Start it"),
    ],
)
def test_what_cannot_be_asked_is_told(network: Home, words: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises((ConfigurationError, InvalidRequest), match=message) as mistake:
        run(*words)
    assert hint in str(mistake.value.hint)


def test_where_people_sign_in_elsewhere_there_is_no_directory_to_look_into(network: Home) -> None:
    (network.path / "stead.yaml").write_text("issuer: https://idp.example\n")
    with pytest.raises(ConfigurationError, match=r"People sign in at https://idp\.example"):
        run(*SEND, "{}", "--as", "alice")
