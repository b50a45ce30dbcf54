"""What rules say to people: places that nothing fills are found when they are read, and nobody else's braces count."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from stead.identity.errors import ConfigurationError
from stead.identity.policy import Outcome, Policy, Rule, Worded, narrowed
from stead.identity.values import Grant, Principal

SEND = "transfer.send"
INPUTS = {SEND: {"type": "object", "properties": {"amount": {"type": "string"}, "memo": {"type": "string"}}}}
LIMIT = {"amount": "1000", "currency": "EUR"}
ALICE = Principal(
    issuer="http://idp",
    subject="alice",
    audience="http://here",
    client_id="broker",
    scopes=frozenset(),
    jti="j",
    expires_at=2_000_000_000,
    grant=Grant.OBO,
    claims=MappingProxyType({"name": "Alice", "limit": LIMIT, "secret": "s3cret"}),
)


def policy(reason: str | None, when: str = "true", hint: str | None = None) -> Worded:
    return Worded([Rule("r", (SEND,), Outcome.DENY, when, reason, hint)], [SEND], ["limit", "name"], INPUTS)


def said(decides: Policy, given: Mapping[str, Any]) -> str | None:
    return decides.decide(ALICE, SEND, "SendMessage", given, 0).reason


def test_a_sentence_names_the_person_the_claims_and_the_input() -> None:
    reason = "{name} asked for {input[amount]}, and may have {claims[limit]:money}: {{not}} more."
    assert said(policy(reason), {"amount": "5"}) == "Alice asked for 5, and may have 1,000.00 EUR: {not} more."


@pytest.mark.parametrize(
    ("sentence", "message", "hint"),
    [
        ("{nmae} may not", "unknown place in a sentence: nmae", "Did you mean name?"),
        ("{claims[limt]}", "unknown claim: limt", "Did you mean limit?"),
        ("{input[amonut]}", "unknown input: amonut", "Did you mean amount?"),
        ("{0}", "unknown place in a sentence: 0", ""),
        ("{}", "unknown place in a sentence: ", ""),
        ("{name.__class__}", "never filled", "Such as"),
        ("{name!r}", "never filled", "Such as"),
        ("{name:>9999999999}", "never filled", "Such as"),
        ("{claims[limit]:{input[amount]}}", "never filled", "Such as"),
        ("{name", "brace that nothing closes", "{{"),
        ("name}", "brace that nothing closes", "{{"),
    ],
)
def test_a_place_that_nothing_fills_is_refused_when_it_is_read(sentence: str, message: str, hint: str) -> None:
    for one in ((sentence, None), ("Fine.", sentence)):
        with pytest.raises(ConfigurationError, match=message) as mistake:
            policy(one[0], hint=one[1])
        assert hint in str(mistake.value.hint)


def test_a_place_whose_value_is_missing_leaves_a_sentence_that_says_nothing_false() -> None:
    assert said(policy("{input[amount]} is too much."), {}) == "A rule forbids this."
    assert said(policy("{claims[limit][9]} is too much."), {}) == "A rule forbids this."
    assert said(policy("{input[amount]:money} is too much."), {"amount": "5"}) == "A rule forbids this."


@pytest.mark.parametrize("asked", ["{claims[secret]}", "{name:>999999999999}", "{", "{0}"])
def test_format_string_injection_what_a_caller_writes_is_never_filled(asked: str) -> None:
    """A rule may look up a member by a name of the caller's, which the reason of the refusal then has in it."""
    reason = said(policy(None, when="principal.claims[input.memo] == 1"), {"memo": asked})
    assert reason == f"The rule r could not be evaluated: {asked} is missing."


def test_the_operators_sentences_are_checked_too(tmp_path: Any) -> None:
    own = Policy([Rule("all", (SEND,), Outcome.ALLOW)], [SEND], inputs=INPUTS)
    (tmp_path / "transfer.yaml").write_text(f"- {{id: r, resource: {SEND}, outcome: deny, reason: '{{nmae}}, no.'}}")
    with pytest.raises(ConfigurationError, match=r"transfer\.yaml: .*unknown place in a sentence: nmae"):
        narrowed(own, "transfer", tmp_path)
