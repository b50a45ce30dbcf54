"""A stronger sign-in was asked for: only a token that shows it is let through, whatever was promised (RFC 9470 s5)."""

from types import MappingProxyType
from typing import Any

import pytest

from stead.identity.errors import StepUpRequired
from stead.identity.policy import Outcome, Policy, Rule, declared
from stead.identity.values import Actor, Grant, Principal

NOW = 1_800_000_000
SEND = "transfer.send"
POLICY = Policy(
    [
        declared(SEND, Grant.OBO, ["transfer:create"]),
        Rule("strong", (SEND,), Outcome.STEP_UP, 'principal.acr != "mfa"', params={"acr_values": "mfa"}),
        Rule("two", (SEND,), Outcome.STEP_UP, '!("otp" in principal.amr)', params={"acr_values": "mfa"}),
        Rule("fresh", (SEND,), Outcome.STEP_UP, "now - principal.auth_time > 300", params={"max_age": 300}),
    ]
)
STRONG: dict[str, Any] = {"acr": "mfa", "amr": ["pwd", "otp"], "auth_time": NOW - 10}


def refusal(**claims: Any) -> Any:
    given = {name: value for name, value in {**STRONG, **claims}.items() if value is not ...}
    who = Principal(
        issuer="http://idp",
        subject="alice",
        audience="http://here",
        client_id="broker",
        scopes=frozenset({"transfer:create"}),
        jti="j",
        expires_at=NOW + 300,
        grant=Grant.OBO,
        actor=Actor("broker"),
        claims=MappingProxyType(given),
    )
    return POLICY.decide(who, SEND, "SendMessage", {}, NOW).refusal()


def test_a_sign_in_that_is_strong_and_fresh_is_enough() -> None:
    assert refusal() is None
    assert refusal(auth_time=NOW - 300) is None


@pytest.mark.parametrize(
    "acr",
    [..., "pwd", "", "MFA", "mfa ", "mfa pwd", "mfa\u200b", "mfа", ["mfa"], {"mfa": True}, 1, True, None],
)
def test_an_acr_that_was_asked_for_and_not_granted_is_asked_for_again(acr: Any) -> None:
    assert isinstance(refusal(acr=acr), StepUpRequired)


@pytest.mark.parametrize("amr", [..., [], ["pwd"], ["OTP"], ["otp "], None])
def test_a_missing_second_factor_is_asked_for(amr: Any) -> None:
    assert isinstance(refusal(amr=amr), StepUpRequired)


@pytest.mark.parametrize("since", [..., NOW - 301, 0, -1, None, "now", str(NOW), True, [NOW], {}])
def test_an_auth_time_that_is_too_old_or_none_is_not_fresh(since: Any) -> None:
    assert isinstance(refusal(auth_time=since), StepUpRequired)


@pytest.mark.parametrize("claims", [{"amr": "pwd otp"}, {"amr": 7}, {"amr": {"pwd": 1}}, {"auth_time": 1e300}])
def test_what_no_rule_can_read_is_no_sign_in_at_all(claims: dict[str, Any]) -> None:
    assert refusal(**claims) is not None
