"""A payment as it is called for, as it must have been approved, and whether the two are one.

The operation is rebuilt from the call and compared with what the bank's token says was approved, member by member and
to the letter: a difference in spelling is a difference. Knows no database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from stead.identity.challenge import differences
from stead.identity.errors import AccessDenied, OutOfScope
from stead.identity.types import Json
from stead.identity.values import Principal

CLIENT = "transfer-agent"
"""The one client whose tokens move money: the transfer agent, which is the bank's own client."""

_NOTHING_DONE = "Nothing was paid. Ask again, and approve it anew."
_INFORMATIVE = frozenset({"task_id"})
"""What an approval may say beyond the payment itself, without changing it. Any other unknown member is refused."""

_MOST_CENTS = 10**14


@dataclass(frozen=True, slots=True)
class Order:
    """One payment order: the arguments of the call, nothing else."""

    end_to_end_id: str
    amount: str
    currency: str
    creditor_name: str
    creditor_iban: str
    debtor_iban: str
    remittance: str = ""

    @property
    def cents(self) -> int:
        """The amount in hundredths of the currency. Raises `OutOfScope` for what is no positive amount."""
        try:
            cents = Decimal(self.amount) * 100
        except InvalidOperation:
            raise OutOfScope("The amount is not a number.", hint=_NOTHING_DONE) from None
        if not cents.is_finite() or not 0 < cents < _MOST_CENTS or cents != cents.to_integral_value():
            raise OutOfScope("The amount is not a positive number of cents.", hint=_NOTHING_DONE)
        return int(cents)

    def as_details(self, audience: str) -> Json:
        """The RFC 9396 object that must have been approved for this order to run."""
        details: Json = {
            "type": "payment_initiation",
            "actions": ["initiate"],
            "locations": [audience],
            "instructedAmount": {"currency": self.currency, "amount": self.amount},
            "creditorName": self.creditor_name,
            "creditorAccount": {"iban": self.creditor_iban},
            "debtorAccount": {"iban": self.debtor_iban},
            "endToEndId": self.end_to_end_id,
        }
        return {**details, "remittanceInformationUnstructured": self.remittance} if self.remittance else details


def require_approved(principal: Principal, arguments: Mapping[str, Any]) -> None:
    """The check of every call: the transfer agent asks, and for exactly what its token says was approved.

    Raises `AccessDenied` for another client, `OutOfScope` naming the members that differ.
    """
    if principal.client_id != CLIENT:
        raise AccessDenied("Only the transfer agent may order payments.")
    approved = _the_approved(principal.claims.get("authorization_details"))
    rebuilt = _order(arguments).as_details(principal.audience)
    differing = differences(rebuilt, approved, may_add=_INFORMATIVE)
    if differing:
        raise OutOfScope(
            f"This is not the payment that was approved: {', '.join(differing)} differs.", hint=_NOTHING_DONE
        )


def consent_of(principal: Principal) -> str:
    """What is spent by one payment: the bank's approval, whichever token it came in."""
    return str(principal.claims.get("consent_id") or principal.jti)


def _the_approved(details: object) -> Mapping[str, Any]:
    if isinstance(details, list | tuple) and len(details) == 1 and isinstance(details[0], Mapping):
        return details[0]
    raise OutOfScope("The token does not stand for exactly one approved payment.", hint=_NOTHING_DONE)


def _order(arguments: Mapping[str, Any]) -> Order:
    try:
        return Order(**arguments)
    except TypeError:
        raise OutOfScope("This is not a complete payment order.", hint=_NOTHING_DONE) from None
