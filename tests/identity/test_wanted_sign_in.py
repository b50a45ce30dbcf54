"""Which sign-in a call needs (RFC 9470): how it is read, when it is met, and that nothing weaker undoes it."""

from typing import Any

import pytest

from stead.identity.errors import StepUpRequired
from stead.identity.replies import body_of, challenge
from stead.identity.step_up import StepUp, renews
from stead.identity.values import Grant, Principal

MFA = "urn:stead:acr:mfa"


def signed_in(expires_at: int = 2000, **claims: Any) -> Principal:
    return Principal(
        "https://idp", "alice", "https://api", "web", frozenset(), "j", expires_at, Grant.OBO, claims=claims
    )


def test_a_refusal_says_in_the_body_what_its_challenge_says() -> None:
    error = StepUpRequired("This needs a stronger sign-in.", acr_values=MFA, max_age=300)
    assert body_of(error, "jsonrpc")["error"]["data"] == [
        {"reason": "INSUFFICIENT_USER_AUTHENTICATION", "acr_values": MFA, "max_age": 300}
    ]
    assert f'acr_values="{MFA}", max_age="300"' in challenge("https://api", (), error)


@pytest.mark.parametrize(
    "said",
    [
        {"acr_values": 5, "max_age": "300", "claims": {}},
        {"acr_values": "a" * 300, "max_age": -1},
        {"acr_values": "a\nb", "max_age": True},
        {"acr_values": "ö", "max_age": 2**40, "claims": "x" * 4000},
        {"acr_values": None, "max_age": float("nan")},
    ],
    ids=str,
)
def test_what_cannot_be_meant_wants_nothing(said: dict[str, Any]) -> None:
    assert StepUp.from_json(said) == StepUp()


@pytest.mark.parametrize(
    ("claims", "met"),
    [
        ({"acr": MFA, "auth_time": 900}, True),
        ({"acr": MFA, "auth_time": 600}, False),
        ({"acr": "urn:stead:acr:pwd", "auth_time": 999}, False),
        ({"acr": [MFA], "auth_time": 999}, False),
        ({"acr": MFA}, False),
        ({"acr": MFA, "auth_time": "999"}, False),
        ({"auth_time": 999}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_wish_for_a_strength_is_met_by_what_the_token_shows_only(claims: dict[str, Any], met: bool) -> None:
    assert StepUp((MFA, "other"), 300).is_met_by(signed_in(**claims), now=1000) is met


@pytest.mark.parametrize(
    ("fresh", "held", "takes"),
    [
        (signed_in(2000, auth_time=100), signed_in(1500, auth_time=100), True),
        (signed_in(1500, auth_time=100), signed_in(1500, auth_time=100), False),
        # The person signed in anew, and the token of before lives longer.
        (signed_in(1500, auth_time=900), signed_in(2000, auth_time=100), True),
        # So soon after that no clock tells.
        (signed_in(1500, auth_time=100, acr=MFA), signed_in(1500, auth_time=100, acr="pwd"), True),
        # Another device, where they did not.
        (signed_in(2000, auth_time=100), signed_in(1500, auth_time=900), False),
        (signed_in(2000), signed_in(1500, auth_time=900), False),
        (signed_in(2000, auth_time=100), signed_in(999, auth_time=900), True),
        (signed_in(999, auth_time=900), signed_in(998, auth_time=100), True),
        (signed_in(990, auth_time=900), signed_in(999, auth_time=100), False),
    ],
)
def test_a_raised_sign_in_is_not_undone_by_a_weaker_one(fresh: Principal, held: Principal, takes: bool) -> None:
    assert renews(fresh, held, now=1000) is takes
