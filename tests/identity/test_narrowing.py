"""Rules in the state directory take away from what a service declares, and never give."""

from pathlib import Path
from types import MappingProxyType

import pytest

from stead.identity.confirmation import Confirmation
from stead.identity.errors import ConfigurationError, StepUpRequired
from stead.identity.policy import Decides, Decision, Outcome, Policy, Rule, declared, narrowed
from stead.identity.values import Actor, Grant, Principal

NOW = 1_800_000_000
SEND = "transfer.send"
SERVICE = Policy([declared(SEND, Grant.OBO, ["transfer:create"])], [SEND, "transfer.list"])


def principal(**claims: object) -> Principal:
    return Principal(
        issuer="http://idp",
        subject="alice",
        audience="http://here",
        client_id="broker",
        scopes=frozenset({"transfer:create"}),
        jti="j",
        expires_at=NOW + 300,
        grant=Grant.OBO,
        actor=Actor("broker"),
        claims=MappingProxyType(claims),
    )


def decide(policy: Decides, who: Principal | None = None, **given: object) -> Decision:
    return policy.decide(who or principal(), SEND, "SendMessage", given, NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    return tmp_path / "policies"


def put(folder: Path, text: str, name: str = "transfer.yaml") -> Decides:
    (folder / name).write_text(text)
    return narrowed(SERVICE, "transfer", folder)


def test_without_files_the_policy_is_the_service_s_own(folder: Path) -> None:
    assert narrowed(SERVICE, "transfer", folder) is SERVICE
    assert narrowed(SERVICE, "transfer", folder / "missing") is SERVICE


def test_a_rule_on_top_denies_what_the_service_allows(folder: Path) -> None:
    policy = put(folder, "- {id: big, resource: transfer.send, when: input.amount > 10, outcome: deny}")
    assert decide(policy, amount=10).allowed
    assert (decide(policy, amount=11).outcome, decide(policy, amount=11).rule) == (Outcome.DENY, "big")


def test_a_rule_on_top_asks_for_a_stronger_sign_in(folder: Path) -> None:
    policy = put(folder, "- {id: r, resource: transfer.send, outcome: step_up, params: {acr_values: mfa, max_age: 60}}")
    refusal = decide(policy).refusal()
    assert isinstance(refusal, StepUpRequired)
    assert dict(refusal.details) == {"acr_values": "mfa", "max_age": 60}


def test_what_the_service_denies_stays_denied_by_its_own_rule(folder: Path) -> None:
    (folder / "transfer.yaml").write_text("- {id: r, resource: '*', outcome: consent}")
    denied = Policy([Rule("closed", (SEND,), Outcome.DENY)], [SEND])
    assert decide(narrowed(denied, "transfer", folder)).rule == "closed"


def test_a_softer_rule_on_top_does_not_soften_a_step_up(folder: Path) -> None:
    (folder / "transfer.yaml").write_text("- {id: soft, resource: transfer.send, outcome: consent}")
    strict = Policy([Rule("strong", (SEND,), Outcome.STEP_UP)], [SEND])
    assert decide(narrowed(strict, "transfer", folder)).rule == "strong"


def test_what_nothing_declares_is_denied_whatever_lies_on_top(folder: Path) -> None:
    policy = put(folder, "- {id: r, resource: transfer.list, when: false, outcome: deny}")
    assert policy.decide(principal(), "transfer.list", "SendMessage", {}, NOW).outcome is Outcome.DENY


def test_a_rule_on_top_that_cannot_be_evaluated_denies_and_says_so(folder: Path) -> None:
    decision = decide(put(folder, "- {id: r, resource: '*', when: input.amount > 10, outcome: step_up}"))
    assert decision.outcome is Outcome.DENY
    assert "could not be evaluated" in str(decision.reason)


def test_rules_of_the_network_hold_beside_those_of_the_service(folder: Path) -> None:
    (folder / "network.yaml").write_text("- {id: shut, resource: '*', when: 'principal.sub == \"bob\"', outcome: deny}")
    policy = put(folder, "- {id: amr, resource: transfer.send, when: '!(\"otp\" in principal.amr)', outcome: step_up}")
    assert decide(policy).rule == "amr"
    assert decide(policy, principal(amr=["otp"])).allowed
    assert decide(narrowed(SERVICE, "other", folder)).allowed
    bob = Principal(**{**{name: getattr(principal(), name) for name in Principal.__slots__}, "subject": "bob"})
    assert decide(policy, bob).rule == "shut"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: r, resource: transfer.send, outcome: allow}", "Rule r allows"),
        ("- {id: r, resource: transfer.sned, outcome: deny}", "unknown resource: transfer.sned"),
        ("- {id: r, resource: '*', outcome: deny, when: 'princpal.sub == \"a\"'}", "unknown variable: princpal"),
        ("- {id: r, resource: '*', outcome: step_up, params: {acr: mfa}}", "unknown param of step_up: acr"),
        ("- {id: r, resource: '*', outcome: step_up, params: {max_age: soon}}", "max_age of rule r is not a whole"),
        ("- {id: r, resource: '*', outcome: step_up, params: {max_age: true}}", "max_age of rule r is not a whole"),
        ("- {id: r, resource: '*', outcome: step_up, params: {max_age: -1}}", "max_age of rule r is not a whole"),
        ("- {id: r, resource: '*', outcome: consent, params: {provider: [a]}}", "provider of rule r is not text"),
        ("{", "not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_the_file(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as mistake:
        put(folder, text)
    assert str(folder / "transfer.yaml") in mistake.value.description


def test_the_rules_of_the_guide_do_what_it_says(folder: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "narrow-what-is-allowed.md"
    policy = put(folder, guide.read_text().split("```yaml\n")[1].split("```")[0])
    noon, night = 1_799_924_400, 1_799_971_200  # 12:00 and 01:00 in Zurich
    for now, amount, rule in [
        (noon, "900", f"declared:{SEND}"),
        (night, "500", f"declared:{SEND}"),
        (night, "500.01", "no-large-transfers-at-night"),
    ]:
        assert policy.decide(principal(auth_time=now - 60), SEND, "SendMessage", {"amount": amount}, now).rule == rule
    assert policy.decide(principal(), SEND, "SendMessage", {"amount": "1"}, noon).rule == "recent-sign-in"


def test_a_rule_of_the_network_names_no_single_resource(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown resource: transfer\.send"):
        put(folder, "- {id: r, resource: transfer.send, outcome: deny}", "network.yaml")


def test_a_file_that_nothing_reads_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="No service reads"):
        put(folder, "- {id: r, resource: '*', outcome: deny}", "transfer.yml")


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "transfer.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        narrowed(SERVICE, "transfer", folder)


def test_conditions_see_how_the_chain_is_known_and_whether_the_token_is_bound() -> None:
    policy = Policy([Rule("r", (SEND,), Outcome.ALLOW, "principal.bound && principal.chain_from == 'receipts'")])
    values = {name: getattr(principal(), name) for name in Principal.__slots__}
    proven = {**values, "confirmation": Confirmation("jkt", "thumbprint"), "chain_from": "receipts"}
    assert decide(policy, Principal(**proven)).allowed
    assert not decide(policy, Principal(**{**proven, "chain_from": "shortened"})).allowed
    assert not decide(policy, Principal(**{**proven, "confirmation": None})).allowed
