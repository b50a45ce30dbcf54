"""The skill `send`: it pins payee and amount, has the person approve exactly that at the bank, and spends it once."""

import hashlib
from base64 import b32encode
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from stead.agents.kit import Agent, Ask, Consent, Grant, McpClient, PinnedOperation, Principal, Provider
from stead.agents.transfer.directory import Directory, Payee
from stead.identity.challenge import differences
from stead.identity.errors import OutOfScope
from stead.identity.home import Network
from stead.identity.samples import BANK_NAME
from stead.identity.types import ASGIApp, Json
from stead.identity.workload import Workload

REMITTANCE = "FinPort transfer"
DEBTOR = "debtorAccount"
"""The member that the bank adds: the person chooses the account to pay from on the bank's page."""


def _cents(amount: str) -> str:
    """An amount as it is pinned: two decimals, positive."""
    value = Decimal(amount)
    if value <= 0:
        raise ValueError("the amount is not positive")
    return f"{value:.2f}"


Amount = Annotated[
    str,
    Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,2})?$", description="How much, such as 250 or 250.00."),
    AfterValidator(_cents),
]
Alias = Annotated[str, Field(min_length=1, max_length=70, description="A payee of the person's directory, by alias.")]


class Sent(BaseModel):
    """A payment that was made."""

    model_config = ConfigDict(frozen=True)

    payment_id: str
    payee: str
    iban: str
    amount: str
    currency: str
    debtor_iban: str
    executed_at: str
    consent_id: str

    def __str__(self) -> str:
        return f"{Decimal(self.amount):,.2f} {self.currency} went to {self.payee}."


def northbank(network: Network) -> Provider:
    """Who must be asked."""
    return Provider(network.bank_idp, BANK_NAME)


transfer = Agent(
    "transfer",
    "Transfers money to a payee of the customer's directory, once the customer has approved it at the bank.",
    needs=["payments:execute"],
    gifts={Directory: Directory.of},
    links=Directory,
    house="Transfer desk",
    policy=Path(__file__).with_name("policy.yaml"),
)


@transfer.skill(
    examples=["Transfer 250 EUR to Bob's savings", "Send 40 EUR to Carol"],
    tags=["transfer", "payment", "send", "pay", "money"],
    scopes=["transfer:create"],
    grant=Grant.OBO,
    effects=True,
    provider=northbank,
)
async def send(
    ask: Ask,
    user: Principal,
    directory: Directory,
    payments: McpClient,
    *,
    payee: Alias,
    amount: Amount,
    currency: Literal["EUR"] = "EUR",
) -> Sent:
    """Transfers an amount to one of the customer's payees, after the customer approves it at the bank."""

    async def look_up() -> Json:
        found = directory.payee(user.issuer, user.subject, payee)
        return {"alias": found.alias, "name": found.name, "iban": found.iban}

    to = Payee(**await ask.once("payee", look_up))
    operation = payment(ask, to, amount, currency, payments.url)
    consent = await ask.authorize(operation)
    # The payee is looked up anew: what is executed is what the directory says now, and it must be what was approved.
    now = Payee(**await ask.once("payee again", look_up))
    require_same(payment(ask, now, amount, currency, payments.url), consent)
    return await execute(payments.using(consent), consent, to)


def payment(ask: Ask, to: Payee, amount: str, currency: str, payments: str) -> PinnedOperation:
    """The payment, pinned to the last member; only the account to pay from is the bank's to add."""
    return PinnedOperation(
        details={
            "type": "payment_initiation",
            "actions": ["initiate"],
            "locations": [payments],
            "instructedAmount": {"currency": currency, "amount": amount},
            "creditorName": to.name,
            "creditorAccount": {"iban": to.iban},
            "remittanceInformationUnstructured": REMITTANCE,
            "endToEndId": end_to_end_id(ask.key),
            "task_id": ask.task,
        },
        audience=payments,
        scopes=("payments",),
        explanation=f"{Decimal(amount):,.2f} {currency} to {to.alias} ({to.name}, {grouped(to.iban)}).",
        may_add=frozenset({DEBTOR}),
    )


def require_same(operation: PinnedOperation, consent: Consent) -> None:
    """Raises `OutOfScope` when what would be executed is not what was approved."""
    differing = differences(operation.details, consent.details, may_add=operation.may_add)
    if differing:
        raise OutOfScope(
            f"What was approved is not what would be done now: {', '.join(differing)} differs.",
            hint="Nothing was paid. Ask again, and approve it anew.",
        )


async def execute(payments: McpClient, consent: Consent, to: Payee) -> Sent:
    """Has the bank make the payment that was approved. A repeated call gets the first one's outcome."""
    details: Any = consent.details
    if DEBTOR not in details:
        raise OutOfScope(f"{BANK_NAME} did not say which account pays.", hint="Nothing was paid. Ask again.")
    done = await payments.call(
        "execute_payment",
        end_to_end_id=details["endToEndId"],
        amount=details["instructedAmount"]["amount"],
        currency=details["instructedAmount"]["currency"],
        creditor_name=details["creditorName"],
        creditor_iban=details["creditorAccount"]["iban"],
        debtor_iban=details[DEBTOR]["iban"],
        remittance=details["remittanceInformationUnstructured"],
    )
    return Sent(
        payment_id=done["payment_id"],
        payee=to.alias,
        iban=to.iban,
        amount=done["amount"],
        currency=done["currency"],
        debtor_iban=done["debtor_iban"],
        executed_at=done["executed_at"],
        consent_id=consent.id,
    )


def end_to_end_id(key: str) -> str:
    """The payment's own key, from the caller's: the same for every retry of one step, whichever task it became."""
    return f"SP{b32encode(hashlib.sha256(key.encode()).digest()).decode()[:32]}"


def grouped(iban: str) -> str:
    """An IBAN in its printed form (ISO 13616): groups of four."""
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


def app(workload: Workload) -> ASGIApp:
    """The agent, for the network's launcher."""
    return transfer.app(workload)
