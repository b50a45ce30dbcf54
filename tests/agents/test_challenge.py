"""What is pinned is compared to the letter, and its digest is the same on every machine."""

from typing import Any

import pytest

from stead.identity.challenge import Challenge, PinnedOperation, Provider, canonical, differences, digest, enriched
from stead.identity.errors import InvalidRequest, OutOfScope

DETAILS = {
    "type": "payment_initiation",
    "instructedAmount": {"currency": "EUR", "amount": "123.50"},
    "creditorName": "Bob Lindqvist",
    "creditorAccount": {"iban": "DE96100100000000200201"},
}
OPERATION = PinnedOperation(DETAILS, "http://127.0.0.9:1", ("payments",), "…", frozenset({"debtorAccount"}))


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (123456789012345680000.0, "123456789012345680000"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (9007199254740991, "9007199254740991"),
    ],
)
def test_numbers_are_written_as_rfc_8785_has_them(number: float, written: str) -> None:
    assert canonical(number).decode() == written


def test_members_are_sorted_by_utf_16_as_in_the_example_of_rfc_8785() -> None:
    order = ["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    value = dict.fromkeys(["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"], 0)
    positions = [canonical(value).decode().index(f'"{name}"') for name in order]
    assert positions == sorted(positions)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1: 2}, {"a": object()}, 2**53])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        canonical(value)


def test_the_digest_does_not_depend_on_the_order_of_members() -> None:
    assert digest(DETAILS) == digest(dict(reversed(DETAILS.items())))


def test_the_account_that_the_bank_adds_is_no_difference() -> None:
    granted = {**DETAILS, "debtorAccount": {"iban": "DE85100100000000100101"}}
    assert enriched(OPERATION, [granted]) == granted


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"instructedAmount": {"currency": "EUR", "amount": "123.5"}}, "instructedAmount"),
        ({"instructedAmount": {"currency": "USD", "amount": "123.50"}}, "instructedAmount"),
        ({"creditorAccount": {"iban": "de96100100000000200201"}}, "creditorAccount"),
        ({"creditorAccount": {"iban": "DE96 1001 0000 0000 2002 01"}}, "creditorAccount"),
        ({"creditorName": "Bob  Lindqvist"}, "creditorName"),
        ({"actions": ["initiate", "cancel"]}, "actions"),
    ],
)
def test_loopjacking_a_changed_member_is_out_of_scope(change: dict[str, Any], named: str) -> None:
    with pytest.raises(OutOfScope, match=named):
        enriched(OPERATION, [{**DETAILS, **change}])


def test_loopjacking_a_second_operation_is_out_of_scope() -> None:
    with pytest.raises(OutOfScope):
        enriched(OPERATION, [DETAILS, DETAILS])
    with pytest.raises(OutOfScope):
        enriched(OPERATION, [])


def test_a_missing_member_is_a_difference() -> None:
    assert differences(DETAILS, {name: it for name, it in DETAILS.items() if name != "creditorName"}) == (
        "creditorName",
    )


def _challenge() -> Challenge:
    return Challenge(
        id="c1",
        link="http://127.0.0.4:1/authorize/c1",
        provider=Provider("http://127.0.0.3:1", "Northbank"),
        authorization_details=(DETAILS,),
        asked_by="transfer-agent",
        through=("broker",),
        subject_issuer="http://127.0.0.2:1",
        subject="alice",
        task="t1",
        expires_at=1_800_000_000,
    )


def test_a_challenge_survives_the_wire() -> None:
    assert Challenge.from_json(_challenge().as_json()) == _challenge()


def test_a_challenge_tampered_with_on_its_way_is_refused() -> None:
    wire = _challenge().as_json()
    wire["authorization_details"][0]["creditorName"] = "Mallory"
    with pytest.raises(InvalidRequest):
        Challenge.from_json(wire)


@pytest.mark.parametrize("name", ["id", "link", "provider", "subject", "task", "expires_at", "through"])
def test_a_challenge_without_a_member_is_refused(name: str) -> None:
    wire = _challenge().as_json()
    del wire[name]
    with pytest.raises(InvalidRequest):
        Challenge.from_json(wire)
